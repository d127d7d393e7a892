"""Exit codes, signals, and errors as one line: how each script runs."""

import getpass
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from common import signals
from common.errors import ToolkitError
from get_data.cli.exit_codes import INTERRUPTED
from get_data.cli.output import print_message


def run(main: Callable[[], int]) -> int:
    """The exit code of a script's `main`; a failure of ours is one line on stderr.

    A bug keeps its traceback, and `DEBUG=1` shows one for our failures too.
    """
    _open_what_is_closed()
    try:
        with _interruptible():
            return main()
    except ToolkitError as error:
        if os.environ.get("DEBUG"):
            for part in traceback.format_exception(error):
                for line in part.rstrip("\n").split("\n"):
                    print_message(line)
        print_message(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        print_message("interrupted")
        return INTERRUPTED


def _open_what_is_closed() -> None:
    """A standard stream that whoever started us has closed reads and writes nothing.

    Otherwise the next file that is opened would take its number, and what we say would go there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.dup2(descriptor, number)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


@contextmanager
def _interruptible() -> Iterator[None]:
    """While the block runs, the signals that stop a script raise KeyboardInterrupt.

    Afterwards they do what they did before: a second Ctrl-C meets no code of ours.
    """
    before = {number: signal.getsignal(number) for number in signals.STOP_SIGNALS}
    heard = {number for number, handler in before.items() if handler != signal.SIG_IGN}  # nohup
    for number in heard:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def stop_on_signal(stop: Callable[[], None]) -> Iterator[threading.Event]:
    """While the block runs, Ctrl-C, a lost terminal or a kill stop the drive and nothing else."""
    signalled = threading.Event()

    def handle(_number: int, _frame: object) -> None:
        signalled.set()
        stop()

    before = {number: signal.signal(number, handle) for number in signals.STOP_SIGNALS}
    try:
        yield signalled
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def login_name() -> str:
    """Who runs the script, as the system knows them; a number where that has no name."""
    try:
        return getpass.getuser().encode(errors="replace").decode()
    except (KeyError, OSError):  # in a container, for one
        return str(os.getuid())
