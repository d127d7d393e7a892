"""`run_manual.py` with a fault in its control loop, triggered when a file appears.

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

STUCK_US = 800_000  # less than the timeout of the camera


def raises(_drive):
    """Raise an exception, as a bug would."""
    raise RuntimeError("a mistake")


def holds_the_lock(_drive):
    """Hold the GIL in C code."""
    ctypes.PyDLL(None).usleep(STUCK_US)


def closes_the_pipe(drive):
    """Close the pipe to the guard, and send the drive's commands nowhere."""
    with open(os.devnull, "w") as null:  # noqa: PTH123
        os.dup2(null.fileno(), drive._motors._command_fd)


def hangs_the_guard(_drive):
    """Make the guard hang while its pulses continue."""
    Path(os.environ["GUARD_HANGS"]).touch()


FAULTS = {
    fault.__name__: fault for fault in (raises, holds_the_lock, closes_the_pipe, hangs_the_guard)
}


def main(fault, file, *arguments):
    """Drive; return the exit code."""
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
