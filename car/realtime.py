"""Priority over every program that is no real-time one, where the user may have it.

On a Raspberry Pi a line in `/etc/security/limits.d` allows it; docs/safety.md tells which.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

GUARD, CONTROL, CAMERA = 10, 8, 6
"""Priorities of the process that can stop the car, of the control loop, of the camera's thread."""


@contextmanager
def priority(level: int, *, inherited: bool = False) -> Iterator[None]:
    """While the block runs, this thread goes first.

    Threads and processes that it starts do so too if `inherited`, and also after the block.
    """
    before = None
    with suppress(OSError, AttributeError):  # not allowed, or not Linux
        # Only root may clear the flag, so it stays.
        flag = 0 if inherited else os.SCHED_RESET_ON_FORK
        before = os.sched_getscheduler(0) | flag, os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_FIFO | flag, os.sched_param(level))
    try:
        yield
    finally:
        if before:
            with suppress(OSError):
                os.sched_setscheduler(0, *before)
