"""Waiting for what other threads and processes do."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], within_s: float = 30.0) -> None:
    """Returns when the condition holds. Raises: AssertionError when it does not in time."""
    give_up = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.002)
