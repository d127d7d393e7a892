"""The two clocks of a drive: the real one, and one that jumps, for tests and fast simulations."""

import time
from threading import Lock


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
