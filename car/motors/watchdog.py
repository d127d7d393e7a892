"""The guard's decision: follow the commands, or stop the wheels because they are too late."""

from math import inf

from car.interfaces import COMMAND_TIMEOUT_S, NEUTRAL
from car.motors.wire import GuardStatus, Message


class Watchdog:
    """State machine over the commands received and the time; it does no input or output.

    Times are those of `since_boot_s`, which goes on while the machine is suspended (safety S9).
    """

    def __init__(self) -> None:
        self.command = NEUTRAL
        self.status = GuardStatus.FOLLOWING
        self.deadline_s = inf
        """When the wheels have to stop unless another command arrives."""

    def receive(self, message: Message, now_s: float) -> None:
        """Follow a command read at `now_s`, unless a gap came before it."""
        if not message.armed:
            # A disarmed drive is always in time, and ends a stop: the driver has to press Menu.
            self.command, self.status, self.deadline_s = NEUTRAL, GuardStatus.FOLLOWING, inf
            return
        # S8: a gap counts even if nobody checked during it. Whatever delayed this process may end
        # with a command already in the pipe, so the command must have been both sent and read
        # before the previous one expired.
        self.check(max(message.sent_s, now_s))
        if self.status is GuardStatus.FOLLOWING:
            self.command = message.command
            # P6: the age of a command counts from when it was sent, not from when it was read.
            self.deadline_s = min(message.sent_s, now_s) + COMMAND_TIMEOUT_S
            self.check(now_s)  # the first command after arming may be too old itself

    def check(self, now_s: float) -> None:
        """Stop the wheels if the newest command is too old at `now_s`.

        They stay stopped until a message reports the car disarmed.
        """
        if now_s >= self.deadline_s:
            self.command, self.status, self.deadline_s = NEUTRAL, GuardStatus.TIMED_OUT, inf
