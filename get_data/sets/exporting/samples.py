"""The labels of a set as an export needs them: corrected values, in drives and episodes.

An episode is a stretch of one drive without a gap of more than a second, inside one part of a
split: what a model may take for a sequence. Drives are told apart as everywhere
(`get_data/labels/drives.py`).

Labels are read one at a time; what is kept of each takes about a kilobyte.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.progress import Progress
from common.times import to_microseconds
from get_data.labels.constants import NOBODY, PARTS, SESSION_KEYS
from get_data.labels.drives import MIN_PAUSE_S, DriveKey, drive_key, group_by_drive, time_of
from get_data.labels.schema import RESERVED, Document
from get_data.labels.unicode_forms import file_name_key
from get_data.labels.values import steering_of, throttle_of

SPLIT = "split"

_MAX_GAP_US = round(MIN_PAUSE_S * 1_000_000)


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture with what was to be done there.

    `steering` and `throttle`, -1 to 1, are the corrected values. `time_us`: time of capture in
    microseconds since 1970. `part`: that of the split, "" without one. `session`: the values of
    SESSION_KEYS. `own`: fields of the team's own.
    """

    img_id: str
    file_name: str
    size: int | None
    sha256: str | None
    time_us: int
    timestamp: str
    session_id: str
    steering: float
    throttle: float
    direction: int
    speed: int
    nb_dir: int
    nb_speed: int
    created_by: str
    is_deleted: bool
    part: str
    session: tuple[str, ...]
    own: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Episode:
    """Consecutive pictures of a drive, in order of time; at least one.

    `drive` is the `session_id`, or the first picture of a drive that has none.
    """

    part: str
    drive: str
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class Frame:
    """A sample at its place: frame `index` of episode `number`."""

    sample: Sample
    episode: Episode
    number: int
    index: int


@dataclass(frozen=True, slots=True)
class ExportSet:
    """What is exported from a folder.

    Episodes are in order of their parts, and in a part in order of their drives. `deleted` counts
    labels marked for deletion, which no episode has unless they were asked for; `unlabelled` those
    of pictures that nobody has labelled, which none has. `car`: its name, "" if the labels do not
    agree on one.
    """

    folder: Path
    episodes: Sequence[Episode]
    deleted: int
    unlabelled: int
    car: str

    def __len__(self) -> int:
        """Return the number of samples."""
        return sum(len(episode.samples) for episode in self.episodes)

    def frames(self) -> Iterator[Frame]:
        """Yield the samples, episode by episode."""
        for number, episode in enumerate(self.episodes):
            for index, sample in enumerate(episode.samples):
                yield Frame(sample, episode, number, index)

    def frames_shown(self, progress: Progress) -> Iterator[Frame]:
        """Yield the samples, and show the progress of their export."""
        yield from progress(self.frames(), total=len(self), description="exporting", unit="picture")

    def parts(self) -> dict[str, list[Episode]]:
        """Return the episodes by part; one part "" without a split."""
        return {part: list(group) for part, group in groupby(self.episodes, lambda one: one.part)}


@dataclass(slots=True)
class _Read:
    """What has been read so far."""

    samples: list[Sample] = field(default_factory=list)
    keys: list[DriveKey] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    cars: set[str] = field(default_factory=set)
    deleted: int = 0
    unlabelled: int = 0


def read_set(file: Path, labels: Iterable[Document], *, with_deleted: bool = False) -> ExportSet:
    """Return the set of a label file with these labels.

    Labels marked for deletion are left out, or kept `with_deleted`. Those of pictures that nobody
    has labelled are left out: nobody says what is to be done there.

    Raises:
        InputError: there is no label to export; a split is not whole; or two labels have one
            picture.
    """
    read = _Read()
    for label in labels:
        _add(read, file, label, with_deleted=with_deleted)
    if len(read.samples) <= (read.deleted if with_deleted else 0):
        raise InputError(f"{file} has no labels to export{_explain_none(read)}")
    _check_split(file, read.samples)
    drives = group_by_drive(read.keys, read.times)
    episodes = [
        episode for drive in drives for episode in _episodes([read.samples[row] for row in drive])
    ]
    ranks = {part: rank for rank, part in enumerate(("", *PARTS))}
    episodes.sort(key=lambda episode: ranks[episode.part])
    car = read.cars.pop() if len(read.cars) == 1 else ""
    return ExportSet(file.parent, episodes, read.deleted, read.unlabelled, car)


def _explain_none(read: _Read) -> str:
    reasons = []
    if read.unlabelled:
        reasons.append(f"{read.unlabelled:,} not labelled yet (see run_labelizer.py)")
    if read.deleted:
        reasons.append(f"{read.deleted:,} marked for deletion")
    return ": " + ", ".join(reasons) if reasons else ""


def _add(read: _Read, file: Path, label: Document, *, with_deleted: bool) -> None:
    if label["label"]["created_by"] == NOBODY:
        read.unlabelled += 1
        return
    sample = _sample(label)
    if sample.is_deleted:
        read.deleted += 1
        if not with_deleted:
            return
    other = read.names.setdefault(file_name_key(sample.file_name), sample.img_id)
    if other != sample.img_id:
        raise InputError(
            f"{file}: {other!r} and {sample.img_id!r} both have the picture {sample.file_name}; "
            "keep one of them"
        )
    read.samples.append(sample)
    read.keys.append(tuple(map(sys.intern, drive_key(label))))
    read.times.append(time_of(label))
    car = label.get("car_setting", {}).get("car", "")
    read.cars.add(car if isinstance(car, str) else "")


def _sample(label: Document) -> Sample:
    """Return the sample of a valid label."""
    annotation = label["label"]
    part = label.get(SPLIT, "")
    return Sample(
        img_id=label["img_id"],
        file_name=label["file_name"],
        size=label.get("picture_size"),
        sha256=label.get("picture_sha256"),
        time_us=to_microseconds(time_of(label)),
        timestamp=label["timestamp"],
        session_id=sys.intern(label.get("session_id", "")),
        steering=steering_of(label),
        throttle=throttle_of(label),
        direction=annotation["label_direction"],
        speed=annotation["label_speed"],
        nb_dir=annotation["nb_dir"],
        nb_speed=annotation["nb_speed"],
        created_by=sys.intern(annotation["created_by"]),
        is_deleted=label.get("to_delete") is True,
        part=sys.intern(part) if isinstance(part, str) else repr(part),
        session=tuple(sys.intern(label.get(key, "")) for key in SESSION_KEYS),
        own={key: label[key] for key in label.keys() - RESERVED - {SPLIT}},
    )


def _check_split(file: Path, samples: Sequence[Sample]) -> None:
    """Check that all samples have a part of a split, or none.

    Raises:
        InputError: some have none, or one that is not known.
    """
    if not any(sample.part for sample in samples):
        return
    for sample in samples:
        if sample.part not in PARTS:
            found = f"split {sample.part!r}" if sample.part else "no split, unlike others"
            raise InputError(
                f"{file}, entry {sample.img_id!r} has {found}; expected train, val or test: "
                "fetch the set with search_and_download.py --split"
            )


def _episodes(drive: Sequence[Sample]) -> Iterator[Episode]:
    """Yield the episodes of a drive, part by part."""
    name = drive[0].session_id or drive[0].img_id
    for part in sorted({sample.part for sample in drive}):
        samples = [sample for sample in drive if sample.part == part]
        starts = [
            row
            for row, (before, after) in enumerate(pairwise(samples), start=1)
            if after.time_us - before.time_us > _MAX_GAP_US
        ]
        for start, end in zip([0, *starts], [*starts, len(samples)], strict=True):
            yield Episode(part, name, samples[start:end])


COLUMNS = (
    *("file_name", "img_id", "session_id", "episode", "timestamp", "steering", "throttle"),
    *("direction", "nb_dir", "speed", "nb_speed", "created_by", *SESSION_KEYS, SPLIT),
)
"""Keys of a row, in this order; fields of a team's own follow. Only a split set has SPLIT."""


def as_row(sample: Sample, episode: int) -> dict[str, Any]:
    """Return what a table says of a sample; `episode` is the number of its episode."""
    row = {
        "file_name": sample.file_name,
        "img_id": sample.img_id,
        "session_id": sample.session_id,
        "episode": episode,
        "timestamp": sample.timestamp,
        "steering": sample.steering,
        "throttle": sample.throttle,
        "direction": sample.direction,
        "nb_dir": sample.nb_dir,
        "speed": sample.speed,
        "nb_speed": sample.nb_speed,
        "created_by": sample.created_by,
        **dict(zip(SESSION_KEYS, sample.session, strict=True)),
        **({SPLIT: sample.part} if sample.part else {}),
    }
    return row | {own_column(key): value for key, value in sample.own.items()}


def own_column(key: str) -> str:
    """Return the column of a field of a team's own: its name, unless a column has it."""
    return f"own.{key}" if key in COLUMNS else key
