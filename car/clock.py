"""The clocks of a drive: the real one, one that jumps for tests, and that of the watchdogs."""

import time
from threading import Lock

# macOS has no CLOCK_BOOTTIME; its CLOCK_MONOTONIC counts sleep.
_WITH_SLEEP = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def since_boot_s() -> float:
    """Return seconds since the machine started, time asleep included.

    The clock of watchdogs: time.monotonic() stands still while Linux sleeps, so a command from
    before would look fresh afterwards. Both ends of a pipe on one machine share it.
    """
    return time.clock_gettime(_WITH_SLEEP)


class RealClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Seconds now."""
        return time.monotonic()

    def sleep_until(self, moment: float) -> None:
        """Returns at `moment`, at once if that is past."""
        time.sleep(max(0.0, moment - self.now()))


class VirtualClock:
    """A clock that stands still until somebody sleeps, and then jumps: nobody ever waits."""

    def __init__(self, now_s: float = 0.0) -> None:
        self._now_s = now_s
        self._lock = Lock()

    def now(self) -> float:
        """Seconds now."""
        return self._now_s

    def sleep_until(self, moment: float) -> None:
        """It is `moment` now, unless that was past already."""
        with self._lock:
            self._now_s = max(self._now_s, moment)
