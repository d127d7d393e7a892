"""Clocks: the real one, one that jumps for tests, and the time base of the guard's watchdog."""

import time
from threading import Lock

# macOS has no CLOCK_BOOTTIME; its CLOCK_MONOTONIC counts sleep.
_INCLUDING_SLEEP = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def since_boot_s() -> float:
    """Return seconds since the machine started, suspended time included.

    Watchdogs need this clock: time.monotonic() stops while Linux is suspended, so a command
    sent before would look fresh afterwards. All processes of a machine share it.
    """
    return time.clock_gettime(_INCLUDING_SLEEP)


class RealClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Return the current time in seconds."""
        return time.monotonic()

    def sleep_until(self, moment: float) -> None:
        """Sleep until `moment`; return at once when it is past."""
        time.sleep(max(0.0, moment - self.now()))


class VirtualClock:
    """A clock that advances only when somebody sleeps, and then jumps without waiting."""

    def __init__(self, now_s: float = 0.0) -> None:
        self._now_s = now_s
        self._lock = Lock()

    def now(self) -> float:
        """Return the current time in seconds."""
        return self._now_s

    def sleep_until(self, moment: float) -> None:
        """Advance to `moment`; do nothing when it is past."""
        with self._lock:
            self._now_s = max(self._now_s, moment)
