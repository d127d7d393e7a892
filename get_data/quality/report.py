"""All that is known about a set, joined."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from common.progress import Progress, hidden
from common.times import from_microseconds
from get_data.labels.constants import NOBODY, SESSION_KEYS
from get_data.labels.schema import Document
from get_data.quality import samples as sample_arrays
from get_data.quality import split, suspicion
from get_data.quality.balance import Balance, find_balance
from get_data.quality.delay import SetDelay, estimate_delay
from get_data.quality.gaps import Gaps, find_gaps
from get_data.quality.jumps import find_jumps
from get_data.quality.mixture import Mixture, find_mixture
from get_data.quality.ridge import Rows
from get_data.quality.samples import Samples
from get_data.quality.split import Flattery, Leak
from get_data.quality.standing import Standing, find_standing
from get_data.quality.suspicion import Suspicion
from get_data.quality.thumbnails import read_thumbnails

MOST_CLIPS = 40  # of a page; more are in the JSON


@dataclass(frozen=True, slots=True)
class Drive:
    """Rows of one drive, and what its labels say of it."""

    rows: slice
    session_id: str
    description: str
    seconds: float

    @property
    def pictures(self) -> int:
        """Number of pictures."""
        return int(self.rows.stop - self.rows.start)


@dataclass(frozen=True, slots=True)
class SetReport:
    """What is wrong with a set, or not; rows are those of `samples`.

    `is_uploaded`: the labels were fetched from a database, and are not those of a recording.
    `is_chosen`: a search has left out pictures of each drive, so none counts as missed.
    `unreadable`: rows whose picture is missing or no JPEG. `unlabelled`: those that nobody has
    labelled. `notice`: a warning for people, or "".
    """

    folder: Path
    samples: Samples
    drives: tuple[Drive, ...]
    is_uploaded: bool
    is_chosen: bool
    unreadable: Rows
    unlabelled: Rows
    notice: str
    suspicion: Suspicion
    jumps: Rows
    delay: SetDelay
    balance: Balance
    standing: Standing
    gaps: Gaps
    mixture: Mixture
    leak: Leak
    flattery: Flattery

    def name(self, row: int) -> str:
        """Return the id of a picture."""
        return self.samples.img_ids[row]

    def suspects(self) -> list[int]:
        """Return the rows of suspicious pictures, most suspicious first; no reviewed ones."""
        order = self.suspicion.order
        is_suspicious = (self.suspicion.score[order] > 0) & ~self.samples.reviewed[order]
        rows: list[int] = order[is_suspicious].tolist()
        return rows

    def worst_of(self, clip: tuple[int, int]) -> int:
        """Return the row of a clip where the model differs most from the label."""
        rows = slice(clip[0], clip[1] + 1)
        missed = np.abs(self.samples.steering[rows] - self.suspicion.predicted[rows])
        return clip[0] + int(np.nan_to_num(missed).argmax())

    def capture_time(self, row: int) -> str:
        """Return when a picture was taken, in UTC: "2026-11-22 12:03:41"."""
        return f"{from_microseconds(int(self.samples.time_us[row])):%Y-%m-%d %H:%M:%S}"

    def seconds_between(self, before: int, after: int) -> float:
        """Return the seconds from one picture to another."""
        return float(self.samples.time_us[after] - self.samples.time_us[before]) / 1e6


def inspect_set(
    folder: Path,
    labels: Mapping[str, Document],
    progress: Progress = hidden,
    *,
    seed: int = 0,
    is_chosen: bool = False,
) -> SetReport:
    """Look for all that may be wrong with valid labels and the pictures in `folder`.

    `progress` shows pictures that are read, and then the steps. `seed` chooses the balanced sample.
    `is_chosen`: see SetReport.

    Raises:
        InputError: the folder cannot be read.
    """
    samples = sample_arrays.from_labels(labels)
    thumbnails = read_thumbnails(folder, samples, progress)
    unlabelled = np.flatnonzero(
        [labels[img_id]["label"]["created_by"] == NOBODY for img_id in samples.img_ids]
    )
    gaps = find_gaps(samples)
    if is_chosen:
        gaps = replace(gaps, missed=0, gaps=(), is_notable=False)
    suspects = suspicion.find_suspects(samples, thumbnails, progress)
    return SetReport(
        folder=folder,
        samples=samples,
        drives=tuple(_describe_drive(samples, rows, labels) for rows in samples.drives()),
        is_uploaded=all(label.get("upload_date") for label in labels.values()),
        is_chosen=is_chosen,
        unlabelled=unlabelled,
        unreadable=np.flatnonzero(~thumbnails.readable),
        notice=thumbnails.notice,
        suspicion=suspects,
        jumps=find_jumps(samples, suspects.predicted),
        delay=estimate_delay(samples, thumbnails),
        balance=find_balance(samples, unlabelled=unlabelled, seed=seed),
        standing=find_standing(samples, thumbnails),
        gaps=gaps,
        mixture=find_mixture(labels),
        leak=split.find_leak(samples, thumbnails, split.parts_of(labels)),
        flattery=split.measure_flattery(samples, thumbnails, seed=seed),
    )


def _describe_drive(samples: Samples, rows: slice, labels: Mapping[str, Document]) -> Drive:
    label = labels[samples.img_ids[rows.start]]
    texts = (label.get(key, "") for key in SESSION_KEYS)
    return Drive(
        rows=rows,
        session_id=label.get("session_id", ""),
        description=", ".join(filter(None, texts)),
        seconds=float(samples.time_us[rows.stop - 1] - samples.time_us[rows.start]) / 1e6,
    )
