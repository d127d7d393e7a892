"""A guard that hangs in C code, holding the GIL, once the file in GUARD_HANGS exists.

The threads of RPi.GPIO continue with the last width meanwhile.
"""

import ctypes
import os
from pathlib import Path

from car.motors import guard, wire

STUCK_US = 10_000_000


def main():
    """Guard the motors; return the exit code."""
    real = wire.receive_commands

    def receive(descriptor):
        if Path(os.environ["GUARD_HANGS"]).exists():
            ctypes.PyDLL(None).usleep(STUCK_US)
        return real(descriptor)

    wire.receive_commands = receive
    return guard.main()


if __name__ == "__main__":
    raise SystemExit(main())
