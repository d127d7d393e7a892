"""The delay of sleeps on a busy machine, as a tolerance for tests that measure time."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SLEEPS_S = 0.005
_SLEEPS_TO_EFFECT = 10  # most sleeps between a cause and its effect


class Lateness:
    """Worst delay of a sleep so far."""

    def __init__(self) -> None:
        self.worst_s = 0.0

    @property
    def allowed_s(self) -> float:
        """Tolerance for times measured meanwhile."""
        return _SLEEPS_TO_EFFECT * self.worst_s


@contextmanager
def measured() -> Iterator[Lateness]:
    """Measure the delay of sleeps while the block runs."""
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
