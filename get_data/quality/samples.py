"""Labels of a set as arrays: one row a picture, by drive and then by time."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import nan

import numpy as np
from numpy.typing import NDArray

from common.times import to_microseconds
from get_data.labels import edits
from get_data.labels.constants import NOT_PEOPLE
from get_data.labels.drives import pause_limit_s, split_into_drives, time_of
from get_data.labels.schema import Document
from get_data.labels.values import read_value, steering_of, throttle_of


@dataclass(frozen=True, slots=True)
class Samples:
    """Labels as columns, all of one length.

    `sha256` is "" where a label has no hash. `time_us`: microseconds since 1970. `drive` counts the
    drives from 0, by their first picture. `steering` and `throttle` are what regression trains on;
    `raw_steering` is NaN where a label has none. A `reviewed` label was made by a person, or is
    marked for deletion: it is settled.
    """

    img_ids: list[str]
    file_names: list[str]
    sha256: list[str]
    time_us: NDArray[np.int64]
    drive: NDArray[np.int32]
    steering: NDArray[np.float32]
    throttle: NDArray[np.float32]
    raw_steering: NDArray[np.float32]
    direction: NDArray[np.int16]
    nb_dir: NDArray[np.int16]
    speed: NDArray[np.int16]
    nb_speed: NDArray[np.int16]
    reviewed: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.img_ids)

    def drives(self) -> Iterator[slice]:
        """Yield the rows of each drive."""
        starts = np.flatnonzero(np.diff(self.drive, prepend=-1)).tolist()
        for start, end in pairwise([*starts, len(self)]):
            yield slice(start, end)

    def segments(self) -> Iterator[slice]:
        """Yield the rows between the ends of drives and the pauses within them."""
        for drive in self.drives():
            periods_s = np.diff(self.time_us[drive]) / 1e6
            limit_s = pause_limit_s(float(np.median(periods_s)) if len(periods_s) else 0.0)
            pauses = (np.flatnonzero(periods_s > limit_s) + 1 + drive.start).tolist()
            for start, end in pairwise([drive.start, *pauses, drive.stop]):
                yield slice(start, end)


def from_labels(labels: Mapping[str, Document]) -> Samples:
    """Return valid labels as arrays; the order of the labels does not matter."""
    drives = split_into_drives(labels[img_id] for img_id in sorted(labels))
    documents = [document for drive in drives for document in drive]
    annotations = [document["label"] for document in documents]
    lengths = np.array([len(drive) for drive in drives], np.intp)
    raw = (read_value(annotation, "raw_direction") for annotation in annotations)

    def classes(name: str) -> NDArray[np.int16]:
        return np.array([annotation[name] for annotation in annotations], np.int16)

    return Samples(
        img_ids=[document["img_id"] for document in documents],
        file_names=[document["file_name"] for document in documents],
        sha256=[document.get("picture_sha256", "") for document in documents],
        time_us=np.array([to_microseconds(time_of(each)) for each in documents], np.int64),
        drive=np.repeat(np.arange(len(drives), dtype=np.int32), lengths),
        steering=_floats(steering_of(document) for document in documents),
        throttle=_floats(throttle_of(document) for document in documents),
        raw_steering=_floats(nan if value is None else value for value in raw),
        direction=classes("label_direction"),
        nb_dir=classes("nb_dir"),
        speed=classes("label_speed"),
        nb_speed=classes("nb_speed"),
        reviewed=np.array([_is_settled(each) for each in documents], np.bool_),
    )


def _is_settled(label: Document) -> bool:
    return label["label"]["created_by"] not in NOT_PEOPLE or edits.is_marked_for_deletion(label)


def _floats(values: Iterable[float]) -> NDArray[np.float32]:
    return np.fromiter(values, np.float32)
