"""A set of picture ids that stays small when there are millions of them."""

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator

_is_time = re.compile(r"20\d{6}T\d\d-\d\d-\d\d-\d{6}", re.ASCII).fullmatch

_DIGITS_ALONE = str.maketrans("", "", "T-")
_SECOND = len("20201231T15-45-55-")  # ids that follow each other often share it


def is_time(img_id: str) -> bool:
    """Return whether an id is a time, as those of recorded pictures are."""
    return _is_time(img_id) is not None


class IdSet:
    """A set of picture ids: 8 bytes for each that is a time and later than those before it.

    In label files nearly all are. The others are kept as texts.
    """

    def __init__(self) -> None:
        self._times = array("q")
        self._others: set[str] = set()
        self._last = -1  # of the times
        self._second = ""  # beginning of the last id that was a time
        self._of_second = 0  # as a number

    def __len__(self) -> int:
        return len(self._times) + len(self._others)

    def __contains__(self, img_id: str) -> bool:
        if img_id in self._others:
            return True
        return self._has_time(self._as_number(img_id))

    def add(self, img_id: str) -> bool:
        """Add an id; return False if it is there already."""
        if self.append(img_id):
            return True
        if img_id in self:
            return False
        self._others.add(img_id)
        return True

    def append(self, img_id: str) -> bool:
        """Add an id if it is a time, and later than all before; return whether it is."""
        time = self._as_number(img_id)
        if time <= self._last:
            return False
        self._last = time
        self._times.append(time)
        return True

    def common(self, other: "IdSet") -> set[str]:
        """Return the ids that both sets have."""
        found = {img_id for img_id in self._others if img_id in other}
        found |= {img_id for img_id in other._others if img_id in self}
        return found.union(map(_as_text, self._common_times(other)))

    def _common_times(self, other: "IdSet") -> Iterator[int]:
        if self._times and other._times:
            begin = bisect_left(self._times, other._times[0])
            end = bisect_left(self._times, other._times[-1] + 1)
            yield from filter(other._has_time, self._times[begin:end])

    def _as_number(self, img_id: str) -> int:
        """Return the digits of an id that is a time, in the order of the ids; else -1."""
        second, fraction = img_id[:_SECOND], img_id[_SECOND:]
        is_fraction = len(fraction) == 6 and fraction.isascii() and fraction.isdigit()
        if second != self._second or not is_fraction:
            if not _is_time(img_id):
                return -1
            self._second = second
            self._of_second = int(second[2:].translate(_DIGITS_ALONE)) * 1_000_000
        return self._of_second + int(fraction)

    def _has_time(self, time: int) -> bool:
        position = bisect_left(self._times, time)
        return position < len(self._times) and self._times[position] == time


def _as_text(time: int) -> str:
    digits = f"{time:018}"
    parts = (digits[6:8], digits[8:10], digits[10:12], digits[12:])
    return f"20{digits[:6]}T{'-'.join(parts)}"
