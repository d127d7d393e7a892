"""What a car is made of: the parts that stand between the thumb and the wheel.

Parts speak in physical values. Steering goes from -1 (hardest left) to 1 (hardest right), throttle
from -1 (full reverse) to 1 (full ahead). Times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import isnan
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:  # the guard moves the wheels, sees no picture, and has to start fast
    import numpy as np
    from numpy.typing import NDArray

Pixels: TypeAlias = "NDArray[np.uint8]"
"""(height, width, 3), blue green red, as OpenCV and picamera2's "RGB888" have it."""


@dataclass(frozen=True, slots=True)
class Command:
    """What the wheels are told: steering -1 left .. 1 right, throttle -1 .. 1."""

    steering: float
    throttle: float


NEUTRAL = Command(steering=0.0, throttle=0.0)

SILENCE_S = 0.2
"""Commands further apart than this count as silence: the car stops until it is armed again."""


def checked(command: Command) -> Command:
    """The command within -1 .. 1: what every kind of motors does before anything moves.

    Raises: ValueError for a value that is not a number.
    """
    if isnan(command.steering) or isnan(command.throttle):
        raise ValueError(f"{command} is not a number")
    return Command(clamped(command.steering), clamped(command.throttle))


def clamped(value: float) -> float:
    """The value, at least -1 and at most 1."""
    return min(max(value, -1.0), 1.0)


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture and the moment of its exposure."""

    pixels: Pixels
    captured_s: float


class Button(Enum):
    """What the driver can ask for besides driving, named by what it does."""

    ARM = "arm"
    STOP_RUN = "stop the run"
    EMERGENCY_STOP = "emergency stop"
    PAUSE = "pause or resume recording"
    ERASE = "erase the last seconds"
    DEAD_MAN = "hold to drive"


@dataclass(frozen=True, slots=True)
class PadState:
    """Where the driver's thumbs are, and the buttons pressed since the last reading.

    `silent_s` is how long the pad has said nothing, which also a thumb held still brings about;
    `lost` why there is no pad at the moment, in a few words, and "" while there is one. `unheard`
    is how far a trigger is pulled that has said nothing yet, so that `command` does without it; 0
    where that cannot be known.
    """

    command: Command
    pressed: frozenset[Button] = frozenset()
    held: frozenset[Button] = frozenset()
    silent_s: float = 0.0
    lost: str = ""
    unheard: float = 0.0


class Camera(Protocol):
    """Takes pictures at a steady rate."""

    @property
    def missed(self) -> int:
        """Pictures that were made, and not fetched before the next one was."""

    def capture(self) -> Frame:
        """The next picture; waits for it.

        Raises: CameraFailed when none came for far longer than a period.
        """

    def close(self) -> None:
        """The device is free again. May be called twice."""


class Pad(Protocol):
    """Tells what the driver wants."""

    def read(self) -> PadState:
        """The state now; never waits. A pad that comes back is taken up again.

        Raises: PadLost when the device has been gone for too long.
        """

    def forget_presses(self) -> None:
        """The buttons pressed until now do not count. Raises: PadLost as `read` does."""

    def close(self) -> None:
        """The device is free again. May be called twice."""


class Motors(Protocol):
    """Moves the wheels; the last gate: refuses NaN, clamps to -1 .. 1."""

    def apply(self, command: Command) -> None:
        """The wheels follow the command.

        Raises: ValueError for a value that is not a number, MotorsFailed.
        """

    def close(self) -> None:
        """The car is at neutral and the device is free again. May be called twice."""


class GuardedMotors(Motors, Protocol):
    """Motors that go to neutral, and stay there, when the commands stop coming."""

    @property
    def stopped(self) -> str:
        """Why the wheels stay at neutral whatever they are told; "" while they follow.

        Raises: MotorsFailed.
        """

    def rest(self) -> None:
        """The wheels are at neutral, and follow the next command, whatever stopped them.

        Raises: MotorsFailed.
        """


class Clock(Protocol):
    """The one clock of a drive, in seconds; only differences mean something."""

    def now(self) -> float:
        """Seconds now."""

    def sleep_until(self, moment: float) -> None:
        """Returns at `moment`, at once if that is past."""


FrameSink = Callable[[Frame, Command], object]
