"""Labels in numbers, drive by drive."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime

import msgspec

from common.times import parse_time
from get_data.labels.constants import AUTO, NOT_PEOPLE


@dataclass(frozen=True, slots=True, order=True)
class DriveKey:
    """What the labels of one row have in common; "" for what they lack.

    `day` is that of the capture, in UTC, such as 2020-12-31.
    """

    day: str = ""
    session_id: str = ""
    event: str = ""
    track: str = ""
    driver: str = ""


@dataclass(slots=True)
class DriveNumbers:
    """Numbers of the labels of one row.

    Attributes:
        labels: all labels; a picture may have several.
        pictures: different pictures.
        corrected: labels that a person made.
        sized: labels that state the size of their picture.
        size_bytes: sum of these sizes.
        first: time of the earliest capture.
        last: time of the latest one.
        directions: labels by direction.
        speeds: labels by speed.
    """

    labels: int = 0
    pictures: int = 0
    corrected: int = 0
    sized: int = 0
    size_bytes: int = 0
    first: datetime | None = None
    last: datetime | None = None
    directions: Counter[int] = field(default_factory=Counter)
    speeds: Counter[int] = field(default_factory=Counter)

    @property
    def minutes(self) -> float:
        """Time from the first picture to the last."""
        if self.first is None or self.last is None:
            return 0.0
        return (self.last - self.first).total_seconds() / 60

    @property
    def picture_bytes(self) -> int:
        """Size of the pictures, each counted once."""
        return round(self.size_bytes / self.sized * self.pictures) if self.sized else 0

    def add(self, other: "DriveNumbers") -> None:
        """Add the numbers of other labels."""
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            if each.name in ("first", "last"):
                known = [time for time in (mine, theirs) if time is not None]
                choose = min if each.name == "first" else max
                setattr(self, each.name, choose(known, default=None))
            else:
                setattr(self, each.name, mine + theirs)


Summary = dict[DriveKey, DriveNumbers]


class _Annotation(msgspec.Struct):
    label_direction: int
    label_speed: int
    created_by: str = AUTO


class _Label(msgspec.Struct):
    img_id: str
    label: _Annotation
    session_id: str = ""
    event: str = ""
    track: str = ""
    driver: str = ""
    timestamp: str = ""
    picture_size: int | None = None


_decode = msgspec.json.Decoder(_Label).decode


def summarize(documents: Iterable[bytes]) -> Summary:
    """Return the numbers of encoded labels by drive."""
    summary: Summary = {}
    pictures: dict[DriveKey, set[str]] = {}
    for document in documents:
        label = _decode(document)
        time = parse_time(label.timestamp)
        day = f"{time:%Y-%m-%d}" if time else ""
        key = DriveKey(day, label.session_id, label.event, label.track, label.driver)
        numbers = summary.setdefault(key, DriveNumbers())
        numbers.labels += 1
        pictures.setdefault(key, set()).add(label.img_id)
        numbers.corrected += label.label.created_by not in NOT_PEOPLE
        if label.picture_size is not None:
            numbers.sized += 1
            numbers.size_bytes += label.picture_size
        if time:
            numbers.first = min(numbers.first or time, time)
            numbers.last = max(numbers.last or time, time)
        numbers.directions[label.label.label_direction] += 1
        numbers.speeds[label.label.label_speed] += 1
    for key, ids in pictures.items():
        summary[key].pictures = len(ids)
    return dict(sorted(summary.items()))


def merge(rows: Iterable[tuple[DriveKey, DriveNumbers]]) -> Summary:
    """Return the rows by key, those of the same key added up."""
    summary: Summary = {}
    for key, numbers in rows:
        summary.setdefault(key, DriveNumbers()).add(numbers)
    return dict(sorted(summary.items()))
