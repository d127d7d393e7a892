"""Times of capture of imported pictures, which become their ids.

They follow from the source alone, so that the same source gives the same ids each time: the time
of a record is kept, to the microsecond. Of several records with one time all but the first get the
next free microsecond. A record without a time, or with one that no index takes, comes one period
after the record before it.
"""

from common.times import EPOCH, INDEXABLE_END, to_microseconds

ASSUMED_PERIOD_US = 50_000  # of donkeycar's loop, 20 Hz

_FIRST_US = to_microseconds(EPOCH) + 1
_LAST_US = to_microseconds(INDEXABLE_END) - 1_000_000_000


class UniqueTimes:
    """Times given to the records of one source, in their order; none is given twice.

    `untimed` counts the records whose own time was missing or impossible, `moved` those that share
    their time with an earlier one.
    """

    def __init__(self, started_us: int) -> None:
        """`started_us` is taken for the first record if it has no time."""
        self._later: dict[int, int] = {}  # by time that is given, one that may be free
        self._next_us = min(max(started_us, _FIRST_US), _LAST_US)
        self.untimed = 0
        self.moved = 0

    def assign(self, time_us: int | None) -> int:
        """Return the time of the next record, in microseconds since 1970."""
        if time_us is None or not _FIRST_US <= time_us <= _LAST_US:
            self.untimed += 1
            time_us = self._next_us
        elif time_us in self._later:
            self.moved += 1
        time_us = self._take_free(time_us)
        self._next_us = min(time_us + ASSUMED_PERIOD_US, _LAST_US)
        return time_us

    def _take_free(self, time_us: int) -> int:
        """Return the first time from this one on that is not given yet."""
        passed = [time_us]
        while (later := self._later.get(passed[-1])) is not None:
            passed.append(later)
        free = passed[-1]
        # all that were passed lead behind it: thousands of equal times take no steps each
        self._later |= dict.fromkeys(passed, free + 1)
        return free
