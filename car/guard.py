"""The process that alone moves the wheels, and stops them when the drive falls silent.

Started by `guarded_motors.py`, never by hand. It is told the motors as JSON, hears commands on
standard input and answers on standard output with a byte that says why the wheels are stopped, if
they are. The wheels go to neutral and stay there

- when the newest command is older than `SILENCE_S`: the drive is dead, stopped or stuck. They
  follow again after the drive has said itself that the car is not armed;
- when standard input ends, on any signal, and when the motors fail: then the guard ends too.
"""

import os
import select
import signal
import sys
import time
from contextlib import closing, suppress
from enum import IntEnum
from math import inf

import msgspec

from car import motors, wire
from car.interfaces import NEUTRAL, Command, Motors
from car.motors import AnyMotors
from car.realtime import GUARD, priority
from errors import ToolkitError

SILENCE_S = 0.2
READY = b"ready\n"

_COMMANDS, _ANSWERS = 0, 1  # descriptors
_SPARED = {  # what cannot be caught, what only tells, and the faults that Python cannot outlive
    signal.SIGKILL,
    signal.SIGSTOP,
    signal.SIGCONT,
    signal.SIGCHLD,
    signal.SIGWINCH,
    signal.SIGURG,
    signal.SIGPIPE,
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
}


class Stop(IntEnum):
    """Why the wheels stay at neutral; the byte of an answer."""

    NONE = 0
    SILENCE = 1


class Watch:
    """Decides what the wheels do, from what is heard and the time; knows no pipe and no motors."""

    def __init__(self) -> None:
        self.command = NEUTRAL
        self.stop = Stop.NONE
        self.deadline_s = inf
        """When the wheels have to stop, on the monotonic clock, unless something is heard."""

    def hear(self, message: wire.Message) -> None:
        """The message counts from the moment when it was sent, however late it came."""
        if not message.armed:
            self.command, self.stop, self.deadline_s = NEUTRAL, Stop.NONE, inf
        elif not self.stop:
            self.command, self.deadline_s = message.command, message.sent_s + SILENCE_S

    def look(self, now_s: float) -> None:
        """It is `now_s`; what should have been heard by now is missing."""
        if now_s >= self.deadline_s:
            self.command, self.stop, self.deadline_s = NEUTRAL, Stop.SILENCE, inf


def main() -> int:
    """Guards the motors until standard input ends or a signal comes; returns the exit code."""
    conf = msgspec.json.decode(sys.argv[1], type=AnyMotors)
    signals = _any_signal()
    try:
        with priority(GUARD, inherited=True), closing(motors.opened(conf)) as wheels:
            if not select.select([signals], [], [], motors.neutral_first_s(conf))[0]:
                with suppress(BrokenPipeError):  # the drive is gone already
                    os.write(_ANSWERS, READY)
                os.set_blocking(_ANSWERS, False)  # the guard waits for nobody
                guard(wheels, signals)
    except ToolkitError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def guard(wheels: Motors, signals: int) -> None:
    """The wheels follow standard input until that ends, or `signals` can be read from."""
    watch = Watch()
    moved = NEUTRAL
    while True:
        waits_s = None if watch.deadline_s == inf else watch.deadline_s - time.monotonic()
        readable, _, _ = select.select(
            [_COMMANDS, signals], [], [], None if waits_s is None else max(waits_s, 0.0)
        )
        if signals in readable:
            return
        if _COMMANDS in readable:
            messages = wire.receive(_COMMANDS)
            if not messages:
                return
            for message in messages:
                watch.hear(message)
        watch.look(time.monotonic())
        moved = _move(wheels, moved, watch.command)
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(_ANSWERS, bytes([watch.stop]))


def _move(wheels: Motors, before: Command, command: Command) -> Command:
    """The wheels follow the command, which most often is the one before."""
    if command != before:
        wheels.apply(command)
    return command


def _any_signal() -> int:
    """A descriptor that can be read from once any signal has come that is not to be ignored."""
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    for number in signal.valid_signals() - _SPARED:
        with suppress(OSError, ValueError):  # some systems keep a few for themselves
            signal.signal(number, lambda _number, _frame: None)
    return told


if __name__ == "__main__":
    raise SystemExit(main())
