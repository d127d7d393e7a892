"""Drives told apart, so that what looks at a picture's neighbours stays inside one.

Cars that drive at the same time have interleaved pictures in one folder. A drive is known by its
`session_id`; labels without one (from elsewhere, or older) belong to one drive while they have the
same event, track, driver, comment and car, and no pause lies between them. The folder says nothing:
one folder may hold several drives, and a fetched set mixes them.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice, pairwise
from operator import attrgetter, le
from statistics import median
from typing import cast

from msgspec import UNSET

from common.times import parse_microseconds, parse_time, to_microseconds
from get_data.labels.constants import SESSION_KEYS
from get_data.labels.ids import img_id_microseconds, parse_img_id
from get_data.labels.outline import Outline
from get_data.labels.schema import Document, Label

MIN_PAUSE_S = 1.0
PAUSE_PERIODS = 4.0  # of the median interval between pictures, for drives with few pictures

DriveKey = tuple[str, ...]

_session_of = attrgetter(*SESSION_KEYS)
_session_and_car_of = attrgetter(*SESSION_KEYS, "car")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_LONG_AGO_US = to_microseconds(_LONG_AGO)


def split_into_drives(labels: Iterable[Document]) -> list[list[Document]]:
    """Return the labels of each drive by time of capture, drives by their first picture.

    The documents need not be valid.
    """
    documents = list(labels)
    keys = [drive_key(document) for document in documents]
    times = [time_of(document) for document in documents]
    return [[documents[index] for index in drive] for drive in group_by_drive(keys, times)]


def drive_key(document: object) -> DriveKey:
    """Return what labels of one drive have in common: the `session_id`, or else the session.

    A document of any form has a key, equal for documents that say the same.
    """
    label = document if isinstance(document, dict) else {}
    session_id = label.get("session_id")
    if isinstance(session_id, str):
        return (session_id,)
    setting = label.get("car_setting")
    car = setting.get("car", "") if isinstance(setting, dict) else ""
    return (*(str(label.get(key, "")) for key in SESSION_KEYS), str(car))


def label_drive_key(label: Label) -> DriveKey:
    """Return the drive_key() of the document of a valid label."""
    if label.session_id is not UNSET:
        return (label.session_id,)
    return (*_session_of(label), str(label.car_setting.get("car", "")))


def outline_drive_key(outline: Outline) -> DriveKey:
    """Return the drive_key() of the document of an outline."""
    if isinstance(outline.session_id, str):
        return (outline.session_id,)
    return cast(DriveKey, _session_and_car_of(outline))


def group_by_drive(keys: Sequence[DriveKey], times: Sequence[datetime]) -> list[list[int]]:
    """Return the indices of each drive by time, drives by their first picture; ties by index."""
    numbers: dict[DriveKey, int] = {}
    numbered = [numbers.setdefault(key, len(numbers)) for key in keys]
    return group_numbered(list(numbers), numbered, [to_microseconds(time) for time in times])


class DriveRegister:
    """Drives of labels that come one after the other, and of which only key and time are kept.

    `times_us`: times of capture, in microseconds since 1970, in the order of the labels.
    """

    def __init__(self) -> None:
        self._numbers: dict[DriveKey, int] = {}
        self._keys = array("l")
        self.times_us = array("q")

    def __len__(self) -> int:
        return len(self.times_us)

    def add(self, key: DriveKey, time_us: int) -> None:
        """Add a label of the drive, captured at this time."""
        self._keys.append(self._numbers.setdefault(key, len(self._numbers)))
        self.times_us.append(time_us)

    def drives(self, positions: Sequence[int] | None = None) -> list[list[int]]:
        """Return the positions of each drive's labels, as `group_by_drive` does.

        `positions`: ascending; the drives that these labels alone make (default: all labels).
        """
        keys = list(self._numbers)
        if positions is None:
            return group_numbered(keys, self._keys, self.times_us)
        found = group_numbered(
            keys,
            [self._keys[position] for position in positions],
            [self.times_us[position] for position in positions],
        )
        return [[positions[index] for index in drive] for drive in found]


def group_numbered(
    keys: Sequence[DriveKey], numbers: Sequence[int], times_us: Sequence[int]
) -> list[list[int]]:
    """Return what `group_by_drive` does; `numbers`: the position of each label's key in `keys`.

    `times_us`: times of capture, in microseconds since 1970.
    """
    by_number: defaultdict[int, list[int]] = defaultdict(list)
    for index in _by_time(times_us):
        by_number[numbers[index]].append(index)
    drives = []
    for number, indices in by_number.items():
        is_session = len(keys[number]) == 1
        drives += [indices] if is_session else _split_at_pauses(indices, times_us)
    return sorted(drives, key=lambda drive: (times_us[drive[0]], drive[0]))


def _by_time(times_us: Sequence[int]) -> Iterable[int]:
    indices = range(len(times_us))
    is_sorted = all(map(le, times_us, islice(times_us, 1, None)))
    return indices if is_sorted else sorted(indices, key=times_us.__getitem__)


def find_pauses(times: Sequence[datetime]) -> list[int]:
    """Return the indices, of ascending times, that follow a pause."""
    return _find_pauses([to_microseconds(time) for time in times])


def _find_pauses(times_us: Sequence[int]) -> list[int]:
    intervals_s = [(later - earlier) / 1e6 for earlier, later in pairwise(times_us)]
    limit_s = pause_limit_s(median(intervals_s)) if intervals_s else 0.0
    return [index for index, gap_s in enumerate(intervals_s, start=1) if gap_s > limit_s]


def pause_limit_s(period_s: float) -> float:
    """Return how many seconds apart pictures are at most unless a pause lies between them.

    `period_s`: median interval between the pictures of the drive.
    """
    return max(MIN_PAUSE_S, PAUSE_PERIODS * period_s)


def _split_at_pauses(indices: list[int], times_us: Sequence[int]) -> list[list[int]]:
    starts = [0, *_find_pauses([times_us[index] for index in indices])]
    ends = [*starts[1:], len(indices)]
    return [indices[start:end] for start, end in zip(starts, ends, strict=True)]


def outline_time_us(outline: Outline) -> int:
    """Return the time_of() the document of an outline, in microseconds since 1970."""
    time_us = parse_microseconds(outline.timestamp)
    if time_us is not None:
        return time_us
    time_us = img_id_microseconds(outline.img_id)
    return _LONG_AGO_US if time_us is None else time_us


def time_of(document: Document) -> datetime:
    """Return the time of capture, from the label or else from the id; the year 1 for neither."""
    time, img_id = document.get("timestamp"), document.get("img_id")
    taken = parse_time(time) if isinstance(time, str) else None
    return taken or (parse_img_id(img_id) if isinstance(img_id, str) else None) or _LONG_AGO
