"""Motors behind a guard: the drive's end of the pipe to the process that owns them."""

import os
import select
import subprocess
import time
from contextlib import suppress
from typing import NoReturn

import msgspec

from car.interfaces import NEUTRAL, Command, clamp_command
from car.motors import opening, wire
from car.motors.guard import Stop
from car.motors.opening import AnyMotors
from car.realtime import GUARD, priority
from common import child_process
from common.child_process import ChildFailed
from common.errors import MotorsFailed, ToolkitError

REASONS = {Stop.NONE: "", Stop.SILENCE: "commands came too late"}

GUARD_MODULE = "car.motors.guard"

_NAME = "the motors' guard"
_STARTS_WITHIN_S = 20.0  # besides the time for which it sends neutral
_ANSWERS_WITHIN_S = 0.2
_UNANSWERED = 5  # commands at least: a drive that was held up itself gives the guard a moment more
_ENDS_WITHIN_S = 3.0
_DIES_WITHIN_S = 1.0
_ANSWERS_AT_ONCE = 65536


class MotorsBehindGuard:
    """Motors that go to neutral by themselves when this process falls silent, or is no more.

    The other way round, when the guard dies or does not answer, this process takes the motors over,
    brings them to neutral and raises MotorsFailed.
    """

    def __init__(self, conf: AnyMotors, *, inherited: tuple[int, ...] = ()) -> None:
        """The guard runs and has sent neutral for as long as `conf` says.

        `inherited` are descriptors that the guard needs. Raises: MotorsFailed.
        """
        self._conf = conf
        self._stop = Stop.NONE
        self._unanswered = 0
        self._unanswered_since_s = 0.0
        self._closed = False
        try:
            self._guard = child_process.start_process(
                GUARD_MODULE,
                msgspec.json.encode(conf).decode(),
                name=_NAME,
                inherited_fds=inherited,
                stdin=subprocess.PIPE,
                timeout_s=_STARTS_WITHIN_S + opening.neutral_first_s(conf),
            )
        except ChildFailed as error:
            raise MotorsFailed(str(error)) from error
        assert self._guard.stdin is not None
        assert self._guard.stdout is not None
        self._commands = self._guard.stdin.fileno()
        self._answers = self._guard.stdout.fileno()
        os.set_blocking(self._commands, False)
        os.set_blocking(self._answers, False)

    @property
    def pid(self) -> int:
        """The guard's process."""
        return self._guard.pid

    @property
    def stop_reason(self) -> str:
        """Why the wheels stay at neutral whatever they are told; "" while they follow.

        Raises: MotorsFailed.
        """
        self._hear()
        return REASONS[self._stop]

    def apply(self, command: Command) -> None:
        """The guard is told the command, and that the car is armed.

        Raises: ValueError for a value that is not a number, MotorsFailed.
        """
        self._tell(clamp_command(command), armed=True)

    def disarm(self) -> None:
        """The guard is told that the car is not armed. Raises: MotorsFailed."""
        self._tell(NEUTRAL, armed=False)

    def close(self) -> None:
        """The car is at neutral and the guard has ended. May be called twice.

        Raises: MotorsFailed.
        """
        if self._closed:
            return
        self._closed = True
        self._come_to_rest()
        try:
            said = self._last_words(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._take_over("the motors' guard does not end")
        if self._guard.returncode != 0:
            self._take_over(f"the motors' guard failed: {said}")

    def _come_to_rest(self) -> None:
        """The wheels are at neutral, or the guard has ended. Raises: MotorsFailed."""
        for _ in range(2):  # the first answer may be to the command before
            with suppress(BlockingIOError):
                os.read(self._answers, _ANSWERS_AT_ONCE)
            with suppress(BlockingIOError, BrokenPipeError):
                wire.send(self._commands, NEUTRAL, armed=False)
            if not select.select([self._answers], [], [], _ANSWERS_WITHIN_S)[0]:
                self._take_over("the motors' guard does not answer")

    def _tell(self, command: Command, *, armed: bool) -> None:
        if self._closed:
            raise MotorsFailed("the motors are closed")
        self._hear()
        now_s = time.monotonic()
        if not self._unanswered:
            self._unanswered_since_s = now_s
        elif (
            self._unanswered >= _UNANSWERED and now_s - self._unanswered_since_s > _ANSWERS_WITHIN_S
        ):
            self._take_over("the motors' guard does not answer")
        self._unanswered += 1
        try:
            wire.send(self._commands, command, armed=armed)
        except BlockingIOError:
            return  # the guard does not read; soon that is noticed
        except BrokenPipeError:
            self._take_over("the motors' guard has ended")

    def _hear(self) -> None:
        """What the guard has answered since is known. Raises: MotorsFailed."""
        if self._closed:
            return
        with suppress(BlockingIOError):
            answers = os.read(self._answers, _ANSWERS_AT_ONCE)
            if not answers:
                self._take_over("the motors' guard has ended")
            self._stop = Stop(answers[-1])
            self._unanswered = 0

    def _take_over(self, why: str) -> NoReturn:
        """The guard is killed, and the wheels are at neutral all the same.

        Raises: MotorsFailed, always.
        """
        self._closed = True
        self._guard.kill()
        with suppress(subprocess.TimeoutExpired):  # stuck in the kernel: it moves nothing any more
            self._last_words(_DIES_WITHIN_S)
        try:
            with priority(GUARD, inherited=True):
                opening.opened(self._conf).close()
        except ToolkitError as error:
            raise MotorsFailed(f"{why}, and the motors cannot be stopped: {error}") from error
        raise MotorsFailed(f"{why}; the car is at neutral")

    def _last_words(self, within_s: float) -> str:
        """The guard's input has ended, and so has the guard; returns the last line it said.

        Raises: subprocess.TimeoutExpired.
        """
        return child_process.end_process(self._guard, name=_NAME, timeout_s=within_s)
