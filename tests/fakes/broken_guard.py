"""A guard that hangs in C code, holding the GIL, once the file in GUARD_HANGS exists.

The threads of RPi.GPIO go on meanwhile, with the last width.
"""

import ctypes
import os
from pathlib import Path

from car.motors import guard, wire

STUCK_US = 10_000_000


def main():
    """Guards the motors; returns the exit code."""
    real = wire.receive_commands

    def receive(descriptor):
        if Path(os.environ["GUARD_HANGS"]).exists():
            ctypes.PyDLL(None).usleep(STUCK_US)
        return real(descriptor)

    wire.receive_commands = receive
    return guard.main()


if __name__ == "__main__":
    raise SystemExit(main())
