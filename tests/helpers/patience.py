"""What removes the time limits of a drive from the processes of a drive: code that they run first.

A machine may be too busy, or too slow, to keep them; what the limits do has tests of its own.
"""

from tests.helpers.waiting import HANGS_S

LIMITS = ("_START_TIMEOUT_S", "_STATUS_TIMEOUT_S", "_EXIT_TIMEOUT_S")
"""Names of the limits in `car.motors.guarded_motors`."""

CODE = f"""
import sys
run = " ".join(sys.orig_argv)
if "run_manual" in run or "car.motors.guard" in run:
    from car import interfaces
    interfaces.COMMAND_TIMEOUT_S = {HANGS_S}
if "run_manual" in run:
    from car.motors import guarded_motors
    for name in {LIMITS}:
        setattr(guarded_motors, name, {HANGS_S})
"""
"""A `sitecustomize.py` of each Python process; other processes of a drive have no such limits."""
