"""The process that alone moves the wheels, and stops them when the drive falls silent.

Started by `guarded_motors.py`, never by hand. It is told the motors as JSON, hears commands on
standard input and answers on standard output with a byte that says why the wheels are stopped, if
they are. The wheels go to neutral and stay there

- when the newest command is older than `COMMAND_TIMEOUT_S`, or was sent or read that long after the
  one before: the drive is dead, stopped or stuck, or this process was held up, or both. They stay
  there until the drive reports the car disarmed;
- when standard input ends, on any signal, and when the motors fail: then the guard ends too.
"""

import os
import select
import signal
import sys
from contextlib import closing, suppress
from enum import IntEnum
from math import inf

import msgspec

from car.clock import since_boot_s
from car.interfaces import COMMAND_TIMEOUT_S, NEUTRAL, Command, Motors
from car.motors import opening, wire
from car.motors.opening import AnyMotors
from car.realtime import GUARD, priority
from common.child_process import report_ready
from common.errors import ToolkitError

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
        """When the wheels have to stop, as `since_boot_s` tells it, unless something is heard."""

    def hear(self, message: wire.Message, now_s: float) -> None:
        """Follow the message, read at `now_s`, unless there was silence before it.

        Silence is a gap, whether or not anybody looked into it: whatever held up this process too
        may end with a message that is there before `look` is called.
        """
        if not message.armed:
            self.command, self.stop, self.deadline_s = NEUTRAL, Stop.NONE, inf
            return
        # In time is what was both sent and read before the message before it had become too old.
        self.look(max(message.sent_s, now_s))
        if not self.stop:
            self.command = message.command
            self.deadline_s = min(message.sent_s, now_s) + COMMAND_TIMEOUT_S
            self.look(now_s)  # it may be too old itself, being the first

    def look(self, now_s: float) -> None:
        """Stop the wheels if at `now_s` the newest message is too old."""
        if now_s >= self.deadline_s:
            self.command, self.stop, self.deadline_s = NEUTRAL, Stop.SILENCE, inf


def main() -> int:
    """Guards the motors until standard input ends or a signal comes; returns the exit code."""
    conf = msgspec.json.decode(sys.argv[1], type=AnyMotors)
    signals = _any_signal()
    try:
        with priority(GUARD, inherited=True), closing(opening.opened(conf)) as wheels:
            if not select.select([signals], [], [], opening.neutral_first_s(conf))[0]:
                report_ready()
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
        waits_s = None if watch.deadline_s == inf else watch.deadline_s - since_boot_s()
        readable, _, _ = select.select(
            [_COMMANDS, signals], [], [], None if waits_s is None else max(waits_s, 0.0)
        )
        if signals in readable:
            return
        if _COMMANDS in readable:
            messages = wire.receive(_COMMANDS)
            if not messages:
                return
            read_s = since_boot_s()  # after reading: a process can be held up between the two
            for message in messages:
                watch.hear(message, read_s)
        watch.look(since_boot_s())
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
