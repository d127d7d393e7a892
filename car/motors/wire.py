"""Settings, commands and status, exchanged by the drive, the guard and a simulated car.

The drive starts the guard with `encode_settings` as its argument, sends it commands on one pipe and
reads its status from another. A simulated car receives commands in the same format.

Both ends of a pipe are on one machine and share a clock, so that a command can carry the time at
which it was sent. Messages are shorter than PIPE_BUF and are therefore written whole or not at all.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

import msgspec

from car.clock import since_boot_s
from car.hardware_conf import GpioMotorsConf, Pca9685MotorsConf, PwmMotorsConf
from car.interfaces import Command

_COMMAND = struct.Struct("<d?dd")  # time sent, whether the car is armed, steering, throttle
_MAX_COMMANDS = 256  # in one read
_MAX_STATUSES = 65_536


class SimulatedWheels(msgspec.Struct, frozen=True, tag_field="driver", tag="simulated"):
    """Wheels of a simulated car, at the other end of the pipe `descriptor`."""

    descriptor: int
    neutral_first_s: ClassVar[float] = 0.0


AnyMotors = GpioMotorsConf | PwmMotorsConf | Pca9685MotorsConf | SimulatedWheels


def encode_settings(conf: AnyMotors) -> str:
    """Encode the motors' configuration for the guard's command line."""
    return msgspec.json.encode(conf).decode()


def decode_settings(text: str) -> AnyMotors:
    """Decode what `encode_settings` returned."""
    settings: AnyMotors = msgspec.json.decode(text, type=AnyMotors)
    return settings


@dataclass(frozen=True, slots=True)
class Message:
    """A command on the wire; `sent_s` is a time of `since_boot_s`."""

    sent_s: float
    armed: bool
    command: Command


class GuardStatus(IntEnum):
    """Status of the wheels: following the commands or stopped; one byte after each read."""

    FOLLOWING = 0
    TIMED_OUT = 1


def send_command(descriptor: int, command: Command, *, armed: bool) -> None:
    """Write the command and the current time to the pipe.

    Raises:
        BrokenPipeError: the other end is closed.
        BlockingIOError: the pipe does not block and is full.
    """
    os.write(descriptor, _COMMAND.pack(since_boot_s(), armed, command.steering, command.throttle))


def receive_commands(descriptor: int) -> list[Message]:
    """Wait for commands and return them in order; empty when the other end is closed."""
    return list(_unpack(os.read(descriptor, _COMMAND.size * _MAX_COMMANDS)))


def _unpack(packed: bytes) -> Iterator[Message]:
    for sent_s, armed, steering, throttle in _COMMAND.iter_unpack(packed):
        yield Message(sent_s, armed, Command(steering, throttle))


def send_status(descriptor: int, status: GuardStatus) -> None:
    """Write the status to the pipe.

    Raises:
        BrokenPipeError: the other end is closed.
        BlockingIOError: the pipe does not block and is full.
    """
    os.write(descriptor, bytes([status]))


def receive_status(descriptor: int) -> GuardStatus:
    """Read the pipe, which must not block, and return the newest status.

    Raises:
        BlockingIOError: there is none since the last call.
        EOFError: the other end is closed.
    """
    statuses = os.read(descriptor, _MAX_STATUSES)
    if not statuses:
        raise EOFError
    return GuardStatus(statuses[-1])
