"""Priority over every program that is no real-time one, where the user may have it.

On a Raspberry Pi a line in `/etc/security/limits.d` allows it; docs/safety.md tells which.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

GUARD, CONTROL, CAMERA = 10, 8, 6
"""Priorities of the process that can stop the car, of the control loop, of the camera's thread."""


@contextmanager
def priority(level: int) -> Iterator[None]:
    """While the block runs, this thread goes first; threads and processes that it starts do not."""
    before = None
    with suppress(OSError, AttributeError):  # not allowed, or not Linux
        before = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(level))
    try:
        yield
    finally:
        if before:
            with suppress(OSError):
                os.sched_setscheduler(0, *before)
