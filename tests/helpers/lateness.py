"""A yardstick for tests that measure time: how late a busy machine makes whoever sleeps."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SLEEPS_S = 0.005
_WAY = 10  # so many sleeps, at most, lie on the way from a cause to its effect


class Lateness:
    """How late sleeps have ended so far."""

    def __init__(self) -> None:
        self.worst_s = 0.0

    @property
    def allowed_s(self) -> float:
        """What is due to the machine, of a time that was measured meanwhile."""
        return _WAY * self.worst_s


@contextmanager
def measured() -> Iterator[Lateness]:
    """Measure the machine while the block runs."""
    lateness, over = Lateness(), threading.Event()

    def measure() -> None:
        before_s = time.monotonic()
        while not over.wait(_SLEEPS_S):
            now_s = time.monotonic()
            lateness.worst_s = max(lateness.worst_s, now_s - before_s - _SLEEPS_S)
            before_s = now_s

    thread = threading.Thread(target=measure, name="lateness", daemon=True)
    thread.start()
    try:
        yield lateness
    finally:
        over.set()
        thread.join()
