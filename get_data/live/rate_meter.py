"""The rate at which a count grows."""

import time


class RateMeter:
    """A count's growth over the last whole second, in `hz`."""

    def __init__(self) -> None:
        self.hz = 0.0
        self._count, self._since_s = 0, time.monotonic()

    def update(self, count: int) -> None:
        """Record the current count."""
        elapsed_s = time.monotonic() - self._since_s
        if elapsed_s >= 1.0:
            self.hz = (count - self._count) / elapsed_s
            self._count, self._since_s = count, self._since_s + elapsed_s
