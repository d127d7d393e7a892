"""Motors behind a guard: the drive's end of the pipes to the process that moves the wheels."""

import os
import select
import subprocess
import time
from contextlib import suppress
from typing import NoReturn

from car.interfaces import NEUTRAL, Command, clamp_command
from car.motors import wire
from car.motors.drivers import open_motors
from car.motors.wire import AnyMotors, GuardStatus
from car.realtime import GUARD, priority
from common import child_process
from common.child_process import ChildFailed
from common.errors import MotorsFailed, ToolkitError

STOP_REASONS = {GuardStatus.FOLLOWING: "", GuardStatus.TIMED_OUT: "commands came too late"}

GUARD_MODULE = "car.motors.guard"

_NAME = "the motors' guard"
_START_TIMEOUT_S = 20.0  # besides the time for which the guard sends neutral
_STATUS_TIMEOUT_S = 0.2
_MIN_UNANSWERED = 5  # commands; gives the guard more time if the drive itself was delayed
_EXIT_TIMEOUT_S = 3.0
_KILL_TIMEOUT_S = 1.0


class MotorsBehindGuard:
    """Motors that go to neutral by themselves when this process goes silent or exits.

    When the guard exits or does not answer, this process takes the motors over, brings them to
    neutral and raises MotorsFailed.
    """

    def __init__(self, conf: AnyMotors, *, inherited_fds: tuple[int, ...] = ()) -> None:
        """Start the guard and wait until it has sent neutral for the time set in `conf`.

        `inherited_fds` stay open in the guard.

        Raises:
            MotorsFailed: the guard cannot start, or cannot open the motors.
        """
        self._conf = conf
        self._status = GuardStatus.FOLLOWING
        self._unanswered = 0
        self._unanswered_since_s = 0.0
        self._closed = False
        try:
            self._guard = child_process.start_process(
                GUARD_MODULE,
                wire.encode_settings(conf),
                name=_NAME,
                inherited_fds=inherited_fds,
                stdin=subprocess.PIPE,
                timeout_s=_START_TIMEOUT_S + conf.neutral_first_s,
            )
        except ChildFailed as error:
            raise MotorsFailed(str(error)) from error
        assert self._guard.stdin is not None
        assert self._guard.stdout is not None
        self._command_fd = self._guard.stdin.fileno()
        self._status_fd = self._guard.stdout.fileno()
        os.set_blocking(self._command_fd, False)
        os.set_blocking(self._status_fd, False)

    @property
    def pid(self) -> int:
        """Process id of the guard."""
        return self._guard.pid

    @property
    def stop_reason(self) -> str:
        """Why the wheels stay at neutral whatever the command; "" while they follow.

        Raises:
            MotorsFailed: the guard has exited.
        """
        self._read_status()
        return STOP_REASONS[self._status]

    def apply(self, command: Command) -> None:
        """Send the command to the guard, with the car armed.

        Raises:
            ValueError: a value is not a number.
            MotorsFailed: the guard has exited, or does not answer.
        """
        self._send(clamp_command(command), armed=True)

    def disarm(self) -> None:
        """Tell the guard that the car is disarmed, which clears `stop_reason`.

        Raises:
            MotorsFailed: the guard has exited, or does not answer.
        """
        self._send(NEUTRAL, armed=False)

    def close(self) -> None:
        """Bring the wheels to neutral and end the guard. May be called twice.

        Raises:
            MotorsFailed: the guard does not answer, does not exit, or failed.
        """
        if self._closed:
            return
        self._closed = True
        # S20: neutral before the guard's exit is waited for.
        self._stop_wheels()
        try:
            last_line = self._end_guard(_EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._take_over("the motors' guard does not exit")
        if self._guard.returncode != 0:
            self._take_over(f"the motors' guard failed: {last_line}")

    def _stop_wheels(self) -> None:
        """Bring the wheels to neutral, before anything is waited for (S20).

        Raises:
            MotorsFailed: the guard does not answer.
        """
        for _ in range(2):  # the first answer may be to an earlier command
            with suppress(BlockingIOError, EOFError):
                wire.receive_status(self._status_fd)
            with suppress(BlockingIOError, BrokenPipeError):
                wire.send_command(self._command_fd, NEUTRAL, armed=False)
            if not select.select([self._status_fd], [], [], _STATUS_TIMEOUT_S)[0]:
                self._take_over("the motors' guard does not answer")

    def _send(self, command: Command, *, armed: bool) -> None:
        if self._closed:
            raise MotorsFailed("the motors are closed")
        self._read_status()
        # S18, S19: a guard that answers no command for 0.2 s hangs. Time alone would not do: after
        # a pause of this process the guard needs a moment for what has queued up.
        now_s = time.monotonic()
        if not self._unanswered:
            self._unanswered_since_s = now_s
        elif (
            self._unanswered >= _MIN_UNANSWERED
            and now_s - self._unanswered_since_s > _STATUS_TIMEOUT_S
        ):
            self._take_over("the motors' guard does not answer")
        self._unanswered += 1
        try:
            wire.send_command(self._command_fd, command, armed=armed)
        except BlockingIOError:
            return  # the guard does not read; the check above takes over soon
        except BrokenPipeError:
            self._take_over("the motors' guard has ended")  # S17

    def _read_status(self) -> None:
        """Update the status from what the guard has written meanwhile.

        Raises:
            MotorsFailed: the guard has exited.
        """
        if self._closed:
            return
        try:
            self._status = wire.receive_status(self._status_fd)
        except BlockingIOError:
            return
        except EOFError:
            self._take_over("the motors' guard has ended")  # S17
        self._unanswered = 0

    def _take_over(self, reason: str) -> NoReturn:
        """Kill the guard and bring the wheels to neutral without it.

        Raises:
            MotorsFailed: always.
        """
        self._closed = True
        # S18, S19: a hanging guard would keep repeating its last pulses.
        self._guard.kill()
        # A guard stuck in the kernel dies later, but it moves nothing any more.
        with suppress(subprocess.TimeoutExpired):
            self._end_guard(_KILL_TIMEOUT_S)
        try:
            # Opening and closing the motors sends neutral, and clears a pin that stayed high.
            with priority(GUARD, inherited=True):
                open_motors(self._conf).close()
        except ToolkitError as error:
            raise MotorsFailed(f"{reason}, and the motors cannot be stopped: {error}") from error
        raise MotorsFailed(f"{reason}; the car is at neutral")

    def _end_guard(self, timeout_s: float) -> str:
        """Close the guard's input and wait for its exit; return the last line of its stderr.

        Raises:
            subprocess.TimeoutExpired: the guard did not exit in time.
        """
        return child_process.end_process(self._guard, name=_NAME, timeout_s=timeout_s)
