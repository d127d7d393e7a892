"""Real-time priority for the threads that keep the car safe, where the user is allowed to have it.

On a Raspberry Pi a line in `/etc/security/limits.d` grants it, see docs/safety.md.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

GUARD, CONTROL, CAMERA, PILOT = 10, 8, 6, 4
"""Priorities of the guard's process, and of the threads of control loop, camera and pilot."""


@contextmanager
def priority(level: int, *, inherited: bool = False) -> Iterator[None]:
    """Run the block at the real-time priority `level`, or unchanged where that is not allowed.

    Threads and processes started within the block get it too if `inherited`, and keep it.
    """
    before = None
    with suppress(OSError, AttributeError):  # not allowed, or not Linux
        # Only root may clear this flag once it is set, so it is kept.
        flag = 0 if inherited else os.SCHED_RESET_ON_FORK
        before = os.sched_getscheduler(0) | flag, os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_FIFO | flag, os.sched_param(level))
    try:
        yield
    finally:
        if before:
            with suppress(OSError):
                os.sched_setscheduler(0, *before)
