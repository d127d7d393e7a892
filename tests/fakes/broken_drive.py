"""`run_manual.py` with a fault in its control loop, from the moment when a file appears.

python -m tests.fakes.broken_drive FAULT FILE -o DIR ...
"""

import ctypes
import os
import sys
from pathlib import Path

from car.drive import Drive
from car.motors import guarded_motors
from get_data import run_manual
from get_data.cli import process

STUCK_US = 800_000  # less than what a camera is waited for


def raises(_drive):
    """A mistake of ours."""
    raise RuntimeError("a mistake")


def holds_the_lock(_drive):
    """C code that keeps all threads of Python waiting."""
    ctypes.PyDLL(None).usleep(STUCK_US)


def closes_the_pipe(drive):
    """The guard hears the end, and the drive talks to nobody."""
    with open(os.devnull, "w") as nobody:  # noqa: PTH123
        os.dup2(nobody.fileno(), drive._motors._command_fd)


def hangs_the_guard(_drive):
    """The guard is stuck, and its pulses go on."""
    Path(os.environ["GUARD_HANGS"]).touch()


FAULTS = {one.__name__: one for one in (raises, holds_the_lock, closes_the_pipe, hangs_the_guard)}


def main(fault, file, *arguments):
    """Drives; returns the exit code."""
    os.environ["GUARD_HANGS"] = f"{file}_guard"
    guarded_motors.GUARD_MODULE = "tests.fakes.broken_guard"
    real = Drive._step

    def step(self):
        if Path(file).exists():
            Path(file).unlink()
            FAULTS[fault](self)
        real(self)

    Drive._step = step
    return process.run(lambda: run_manual.main(arguments))


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
