"""What a car is made of: the parts that stand between the thumb and the wheel.

Parts speak in physical values. Steering goes from -1 (hardest left) to 1 (hardest right), throttle
from -1 (full reverse) to 1 (full ahead). Times are seconds of one monotonic clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[
    np.uint8
]  # (height, width, 3), blue green red, as OpenCV and picamera2 "RGB888" have it


@dataclass(frozen=True, slots=True)
class Command:
    """What the wheels are told: steering -1 left .. 1 right, throttle -1 .. 1."""

    steering: float
    throttle: float


NEUTRAL = Command(steering=0.0, throttle=0.0)


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


@dataclass(frozen=True, slots=True)
class PadState:
    """Where the driver's thumbs are, and the buttons pressed since the last reading."""

    command: Command
    pressed: frozenset[Button] = frozenset()


class Camera(Protocol):
    """Takes pictures at a steady rate."""

    def capture(self) -> Frame:
        """The next picture; waits for it, a period at most.

        Raises: CameraFailed when none came.
        """

    def close(self) -> None:
        """The device is free again. May be called twice."""


class Pad(Protocol):
    """Tells what the driver wants."""

    def read(self) -> PadState:
        """The state now; never waits.

        Raises: PadLost when the device is gone.
        """

    def close(self) -> None:
        """The device is free again. May be called twice."""


class Motors(Protocol):
    """Moves the wheels; the last gate: refuses NaN, clamps to -1 .. 1."""

    def apply(self, command: Command) -> None:
        """The wheels follow the command.

        Raises: ValueError for a value that is not a number.
        """

    def close(self) -> None:
        """The car is at neutral and the device is free again. May be called twice."""


class Clock(Protocol):
    """The one clock of a drive, in seconds; only differences mean something."""

    def now(self) -> float:
        """Seconds now."""

    def sleep_until(self, moment: float) -> None:
        """Returns at `moment`, at once if that is past."""


FrameSink = Callable[[Frame, Command], object]
