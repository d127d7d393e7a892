"""The guard: the process that alone moves the wheels, and stops them when commands stop coming.

Started by `guarded_motors.py`, never by hand. Its argument is the motors' configuration; it reads
commands from standard input and writes its status to standard output, in the formats of `wire.py`.
The wheels go to neutral and stay there

- when `Watchdog` finds a gap between two commands: the drive is dead, stopped or stuck, or this
  process was delayed, or both. They stay there until the drive reports the car disarmed;
- when standard input ends, on any signal, and when the motors fail. Then the guard exits.
"""

import os
import select
import signal
import sys
from contextlib import closing, suppress
from math import inf

from car.clock import since_boot_s
from car.interfaces import NEUTRAL, Command, Motors
from car.motors import wire
from car.motors.drivers import open_motors
from car.motors.watchdog import Watchdog
from car.realtime import GUARD, priority
from common.child_process import report_ready
from common.errors import ToolkitError

_COMMANDS, _STATUS = 0, 1  # descriptors
_UNHANDLED_SIGNALS = {
    # Cannot be caught.
    signal.SIGKILL,
    signal.SIGSTOP,
    # Harmless notices.
    signal.SIGCONT,
    signal.SIGCHLD,
    signal.SIGWINCH,
    signal.SIGURG,
    signal.SIGPIPE,
    # Faults after which Python cannot go on.
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
}


def main() -> int:
    """Guard the motors until standard input ends or a signal comes; return the exit code."""
    conf = wire.decode_settings(sys.argv[1])
    signals = _create_signal_pipe()  # S22: before the motors are opened, so that none is missed
    try:
        # Leaving the block for whatever reason brings the wheels to neutral.
        with priority(GUARD, inherited=True), closing(open_motors(conf)) as wheels:
            # P2: nothing but neutral until the ESC has learned it.
            if not select.select([signals], [], [], conf.neutral_first_s)[0]:
                report_ready()
                os.set_blocking(_STATUS, False)  # a drive that does not read must not block us
                guard(wheels, signals)
    except ToolkitError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def guard(wheels: Motors, signals: int) -> None:
    """Move the wheels by the commands until those end, or a signal can be read from `signals`."""
    watchdog = Watchdog()
    applied = NEUTRAL
    while True:
        readable, _, _ = select.select(
            [_COMMANDS, signals], [], [], _timeout_s(watchdog.deadline_s)
        )
        if signals in readable:
            return  # S22
        if _COMMANDS in readable:
            messages = wire.receive_commands(_COMMANDS)
            if not messages:
                return  # S6, S12, S16: the drive has exited or closed the pipe
            # S8: the clock is read after the pipe, since the process may be delayed in between.
            read_s = since_boot_s()
            for message in messages:
                watchdog.receive(message, read_s)
        watchdog.check(since_boot_s())  # S7, S11: no command in time
        applied = _apply_change(wheels, applied, watchdog.command)
        # A drive that does not read its status must not keep the wheels from stopping.
        with suppress(BlockingIOError, BrokenPipeError):
            wire.send_status(_STATUS, watchdog.status)


def _timeout_s(deadline_s: float) -> float | None:
    """Return the seconds left until the deadline; None when there is none."""
    return None if deadline_s == inf else max(deadline_s - since_boot_s(), 0.0)


def _apply_change(wheels: Motors, applied: Command, command: Command) -> Command:
    """Apply the command unless it is the one applied last; return it."""
    if command != applied:
        wheels.apply(command)
    return command


def _create_signal_pipe() -> int:
    """Return a descriptor that becomes readable when a signal arrives."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in signal.valid_signals() - _UNHANDLED_SIGNALS:
        with suppress(OSError, ValueError):  # some systems reserve a few
            signal.signal(number, lambda _number, _frame: None)
    return read_end


if __name__ == "__main__":
    # at once, since a library of pins may crash while Python ends (lgpio 0.2.2 with Python 3.13)
    os._exit(main())
