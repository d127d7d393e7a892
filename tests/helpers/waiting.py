"""Waiting for what other threads and processes do."""

import time
from collections.abc import Callable

HANGS_S = 300.0
"""Long enough for any machine: what has not come by then hangs."""


def wait_until(
    condition: Callable[[], object], within_s: float = HANGS_S, *, poll_s: float = 0.01
) -> None:
    """Return when the condition holds. Raises: AssertionError when it does not in time."""
    give_up = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(poll_s)
