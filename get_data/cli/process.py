"""The process of a script: exit code, signals, and errors as one line."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from common import signals
from common.errors import ToolkitError
from get_data.cli.exit_codes import INTERRUPTED
from get_data.cli.output import print_message


def run(main: Callable[[], int]) -> int:
    """Run a script's `main` and return its exit code; a ToolkitError becomes one line on stderr.

    A bug keeps its traceback, and with `DEBUG=1` a ToolkitError has one too.
    """
    _reopen_closed_streams()
    try:
        with signals.wake_main_thread(), _interruptible():
            return main()
    except ToolkitError as error:
        if os.environ.get("DEBUG"):
            import traceback  # noqa: PLC0415  only here

            for part in traceback.format_exception(error):
                for line in part.rstrip("\n").split("\n"):
                    print_message(line)
        print_message(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        print_message("interrupted")
        return INTERRUPTED


def _reopen_closed_streams() -> None:
    """Open /dev/null for each standard stream that the parent process has closed.

    Otherwise the next file to be opened would get its descriptor, and with it the script's output.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.dup2(descriptor, number)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt for stop signals during the block.

    The previous handlers are restored afterwards, so that a second Ctrl-C runs no code of ours.
    """
    previous = {number: signal.getsignal(number) for number in signals.STOP_SIGNALS}
    handled = {number for number, handler in previous.items() if handler != signal.SIG_IGN}  # nohup
    for number in handled:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, previous[number])


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def stop_on_signal(stop: Callable[[], None]) -> Iterator[threading.Event]:
    """Call `stop` on Ctrl-C, a closed terminal or a kill, and set the event that is yielded."""
    signalled = threading.Event()

    def handle(_number: int, _frame: object) -> None:
        signalled.set()
        stop()

    previous = {number: signal.signal(number, handle) for number in signals.STOP_SIGNALS}
    try:
        yield signalled
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
