"""Ctrl-C before a script has begun: one line and exit code 130, as later on, and no traceback.

    if __name__ == "__main__":
        signals.exit_on_signal()  # before the imports that take time

Importing what a script needs takes most of the first second. Nothing is open or half done then, so
that the process may end where it stands; an exception could be swallowed by what is being imported.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

try:
    import fcntl  # noqa: F401  first of all: locks, pads and the drive stand on it
except ImportError:
    raise SystemExit(
        "error: Windows itself will not do; run this in WSL, or on Linux or macOS"
    ) from None

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXIT_CODE = 130


def exit_on_signal() -> None:
    """Let the signals that stop a script end it, until something else is done about them."""
    for number in STOP_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as with nohup
            signal.signal(number, _end)


@contextmanager
def defer_signals() -> Iterator[None]:
    """Deliver the signals that stop a script only after the block. In the main thread."""
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    try:
        os.write(2, b"interrupted\n")
    except OSError:
        pass
    finally:
        os._exit(EXIT_CODE)
