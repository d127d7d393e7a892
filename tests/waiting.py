"""Waiting for what another process or thread does."""

import time
from collections.abc import Callable


def until(holds: Callable[[], bool], within_s: float = 30.0) -> None:
    """Returns when it holds. Raises: AssertionError when it does not in time."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
