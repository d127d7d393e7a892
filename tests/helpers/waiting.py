"""Waiting for what other threads and processes do."""

import os
import time
from collections.abc import Callable

HANGS_S = 30.0 if "VIRTUAL_PI" in os.environ else 300.0
"""Longer than any machine needs: whatever takes longer hangs.

In the virtual Pi time does not depend on how busy the machine is.
"""


def wait_until(
    condition: Callable[[], object], within_s: float = HANGS_S, *, poll_s: float = 0.01
) -> None:
    """Wait until the condition holds.

    Raises:
        AssertionError: it does not hold in time.
    """
    give_up = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up, "timed out"
        time.sleep(poll_s)
