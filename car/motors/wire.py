"""Commands on a pipe: from the drive to the guard, and from the guard to a simulated car.

Both ends are on one machine, so they share its clock, and a message tells when it was sent.
Messages are shorter than what a pipe takes or gives in one piece, so none is ever torn.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from car.clock import since_boot_s
from car.interfaces import NEUTRAL, Command, clamp_command

_LAYOUT = Struct("<d?dd")  # when it was sent, whether the car is armed, steering, throttle
_AT_ONCE = 256  # messages in one reading


@dataclass(frozen=True, slots=True)
class Message:
    """What the wheels shall do; `sent_s` is as `since_boot_s` tells it."""

    sent_s: float
    armed: bool
    command: Command


def send(descriptor: int, command: Command, *, armed: bool) -> None:
    """The command is in the pipe. Raises: BrokenPipeError, and BlockingIOError when it is full."""
    packed = _LAYOUT.pack(since_boot_s(), armed, command.steering, command.throttle)
    os.write(descriptor, packed)


def receive(descriptor: int) -> list[Message]:
    """The messages that wait, in their order; waits for one. Empty when the other end is closed."""
    packed = os.read(descriptor, _LAYOUT.size * _AT_ONCE)
    return list(_messages(packed))


def _messages(packed: bytes) -> Iterator[Message]:
    for sent_s, armed, steering, throttle in _LAYOUT.iter_unpack(packed):
        yield Message(sent_s, armed, Command(steering, throttle))


class WireMotors:
    """Motors at the other end of a pipe: those of a simulated car."""

    def __init__(self, descriptor: int) -> None:
        """`descriptor` stays the caller's to close."""
        self._descriptor = descriptor

    def apply(self, command: Command) -> None:
        """The other end is told the command. Raises: ValueError for what is not a number."""
        send(self._descriptor, clamp_command(command), armed=True)

    def close(self) -> None:
        """The other end is told to be at neutral. May be called twice."""
        send(self._descriptor, NEUTRAL, armed=False)
