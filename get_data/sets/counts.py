"""What a set has of each class, drive and person."""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from common.times import format_time, from_microseconds
from get_data.labels.constants import NOBODY, PARTS
from get_data.labels.drives import (
    DriveKey,
    group_numbered,
    outline_drive_key,
    outline_time_us,
)
from get_data.labels.outline import Outline

Histogram = dict[str, int]

_Kind = tuple[Any, ...]  # what is counted of a label; also drive and part
_DRIVER, _SPLIT = 4, 7  # positions in it


class DriveCounts(msgspec.Struct, kw_only=True, frozen=True):
    """Pictures of a drive; `splits` are those by part of the set, if it has parts."""

    session_id: str
    start: str
    end: str
    event: str
    track: str
    driver: str
    pictures: int
    splits: Histogram = {}


class Counts(msgspec.Struct, kw_only=True, frozen=True):
    """Pictures of a set.

    `directions` and `speeds`: by number of classes, then by class, both in decimal, without
    pictures that nobody has labelled. `drivers`: by name, "" for pictures that name nobody.
    `created_by`: by author of the label.
    """

    pictures: int
    directions: dict[str, Histogram]
    speeds: dict[str, Histogram]
    drivers: Histogram
    drives: list[DriveCounts]
    splits: Histogram = {}
    created_by: Histogram = {}


class Tally:
    """Counts of labels that come one after the other.

    Of each label only its time and its kind are kept: a drive has one for each of its classes.
    """

    def __init__(self) -> None:
        self._numbers: dict[_Kind, int] = {}
        self._drive_keys: list[DriveKey] = []  # by number of the kind
        self._kinds = array("l")
        self._times_us = array("q")

    def add(self, outline: Outline) -> None:
        """Count a label."""
        annotation = outline.label
        kind: _Kind = (
            outline.session_id,
            outline.event,
            outline.track,
            outline.track_type,
            outline.driver,
            outline.comment,
            outline.car,
            outline.split,
            annotation.created_by,
            annotation.nb_dir,
            annotation.label_direction,
            annotation.nb_speed,
            annotation.label_speed,
        )
        number = self._numbers.get(kind)
        if number is None:
            number = self._numbers[kind] = len(self._numbers)
            self._drive_keys.append(outline_drive_key(outline))
        self._kinds.append(number)
        self._times_us.append(outline_time_us(outline))

    def counts(self) -> Counts:
        """Return the counts so far; drives by their first picture."""
        directions: Counter[tuple[int, int]] = Counter()
        speeds: Counter[tuple[int, int]] = Counter()
        drivers: Counter[str] = Counter()
        authors: Counter[str] = Counter()
        kinds = list(self._numbers)
        for number, pictures in Counter(self._kinds).items():
            *_, author, nb_dir, direction, nb_speed, speed = kinds[number]
            if author != NOBODY:
                directions[nb_dir, direction] += pictures
                speeds[nb_speed, speed] += pictures
            drivers[kinds[number][_DRIVER]] += pictures
            authors[author] += pictures
        return Counts(
            pictures=len(self._kinds),
            directions=_by_number(directions),
            speeds=_by_number(speeds),
            drivers=dict(sorted(drivers.items())),
            drives=[self._drive(kinds, rows) for rows in self._drives()],
            splits=self._by_split(kinds, self._kinds),
            created_by=dict(sorted(authors.items())),
        )

    def _drives(self) -> list[list[int]]:
        """Return the positions of each drive's labels by time, drives by their first picture."""
        numbers: dict[DriveKey, int] = {}
        of_kinds = [numbers.setdefault(key, len(numbers)) for key in self._drive_keys]
        of_labels = array("l", map(of_kinds.__getitem__, self._kinds))
        return group_numbered(list(numbers), of_labels, self._times_us)

    def _drive(self, kinds: Sequence[_Kind], rows: Sequence[int]) -> DriveCounts:
        """Return the counts of a drive from the positions of its labels, by time."""
        session_id, event, track, _, driver, *_ = kinds[self._kinds[rows[0]]]
        return DriveCounts(
            session_id="" if session_id is UNSET else str(session_id),
            start=self._time(rows[0]),
            end=self._time(rows[-1]),
            event=event,
            track=track,
            driver=driver,
            pictures=len(rows),
            splits=self._by_split(kinds, map(self._kinds.__getitem__, rows)),
        )

    def _time(self, row: int) -> str:
        return format_time(from_microseconds(self._times_us[row]))

    def _by_split(self, kinds: Sequence[_Kind], numbers: Iterable[int]) -> Histogram:
        """Return the pictures of each part; `numbers`: those of the pictures' kinds."""
        found: Counter[str] = Counter()
        for number, pictures in Counter(numbers).items():
            found[kinds[number][_SPLIT]] += pictures
        names = sorted(
            found, key=lambda name: (name not in PARTS, (*PARTS, name).index(name), name)
        )
        return {name: found[name] for name in names if name}


def _by_number(counter: Counter[tuple[int, int]]) -> dict[str, Histogram]:
    """Return the counts of classes by number of classes; without labels that tell no class."""
    found: dict[str, Histogram] = {}
    for (count, number), pictures in sorted(counter.items()):
        if count > 0 and number >= 0:
            found.setdefault(str(count), {})[str(number)] = pictures
    return found
