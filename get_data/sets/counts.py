"""What a set has of each class, drive and person."""

from array import array
from collections import Counter
from typing import Any

import msgspec

from common.times import format_time, from_microseconds
from get_data.labels.constants import NOBODY, PARTS
from get_data.labels.drives import DriveRegister
from get_data.labels.schema import Document

Histogram = dict[str, int]


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
    """Counts of labels that come one after the other."""

    def __init__(self) -> None:
        self._directions: Counter[tuple[int, int]] = Counter()
        self._speeds: Counter[tuple[int, int]] = Counter()
        self._drivers: Counter[str] = Counter()
        self._authors: Counter[str] = Counter()
        self._sessions: dict[tuple[str, ...], int] = {}
        self._session = array("l")
        self._splits: list[str] = []
        self._split = array("l")
        self._drives = DriveRegister()

    def add(self, label: Document) -> None:
        """Count a label."""
        annotation = label.get("label")
        annotation = annotation if isinstance(annotation, dict) else {}
        author = str(annotation.get("created_by", ""))
        self._authors[author] += 1
        if author != NOBODY:
            for counter, number, name in (
                (self._directions, "nb_dir", "label_direction"),
                (self._speeds, "nb_speed", "label_speed"),
            ):
                counter[_integer(annotation.get(number)), _integer(annotation.get(name))] += 1
        driver = str(label.get("driver", ""))
        self._drivers[driver] += 1
        session_id, event, track = (
            str(label.get(key, "")) for key in ("session_id", "event", "track")
        )
        session = (session_id, event, track, driver)
        self._session.append(self._sessions.setdefault(session, len(self._sessions)))
        split = str(label.get("split", ""))
        if split not in self._splits:
            self._splits.append(split)
        self._split.append(self._splits.index(split))
        self._drives.add(label)

    def counts(self) -> Counts:
        """Return the counts so far; drives by their first picture."""
        return Counts(
            pictures=len(self._drives),
            directions=_by_number(self._directions),
            speeds=_by_number(self._speeds),
            drivers=dict(sorted(self._drivers.items())),
            drives=[self._drive(rows) for rows in self._drives.drives()],
            splits=self._by_split(range(len(self._split))),
            created_by=dict(sorted(self._authors.items())),
        )

    def _drive(self, rows: list[int]) -> DriveCounts:
        """Return the counts of a drive from the positions of its labels, by time."""
        session_id, event, track, driver = list(self._sessions)[self._session[rows[0]]]
        return DriveCounts(
            session_id=session_id,
            start=self._time(rows[0]),
            end=self._time(rows[-1]),
            event=event,
            track=track,
            driver=driver,
            pictures=len(rows),
            splits=self._by_split(rows),
        )

    def _time(self, row: int) -> str:
        return format_time(from_microseconds(self._drives.times_us[row]))

    def _by_split(self, rows: Any) -> Histogram:
        found = Counter(self._splits[self._split[row]] for row in rows)
        names = sorted(
            found, key=lambda name: (name not in PARTS, (*PARTS, name).index(name), name)
        )
        return {name: found[name] for name in names if name}


def _integer(value: object) -> int:
    return value if isinstance(value, int) else -1


def _by_number(counter: Counter[tuple[int, int]]) -> dict[str, Histogram]:
    """Return the counts of classes by number of classes; without labels that tell no class."""
    found: dict[str, Histogram] = {}
    for (count, number), pictures in sorted(counter.items()):
        if count > 0 and number >= 0:
            found.setdefault(str(count), {})[str(number)] = pictures
    return found
