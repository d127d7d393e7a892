"""Camera, pad, pilot, motors and clock as Protocols, and the values that pass between them.

Parts speak in physical values: steering from -1 (full left) to 1 (full right), throttle from -1
(full reverse) to 1 (full ahead), times in seconds of one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from math import isnan
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:  # the guard handles no pictures and must start fast
    import numpy as np
    from numpy.typing import NDArray

Pixels: TypeAlias = "NDArray[np.uint8]"
"""(height, width, 3), BGR: the order of OpenCV and of picamera2's "RGB888"."""


@dataclass(frozen=True, slots=True)
class Command:
    """Steering and throttle for the wheels, each from -1 to 1."""

    steering: float
    throttle: float


NEUTRAL = Command(steering=0.0, throttle=0.0)

COMMAND_TIMEOUT_S = 0.2
"""A gap of this length between two commands stops the car until it is armed again."""


def clamp_command(command: Command) -> Command:
    """Clamp the command to -1..1. All motors do so before anything moves.

    Raises:
        ValueError: a value is not a number.
    """
    if isnan(command.steering) or isnan(command.throttle):
        raise ValueError(f"{command} is not a number")
    return Command(clamp(command.steering), clamp(command.throttle))


def clamp(value: float) -> float:
    """Clamp the value to -1..1."""
    return min(max(value, -1.0), 1.0)


@dataclass(frozen=True, slots=True)
class RoadKeeping:
    """How well a car has kept to the road while it had throttle.

    `rms_offset_m` is the root mean square distance from the centre line, `on_road` the share of the
    time in which its middle was on the road (0 to 1). `offsets_m` are distances to the right of the
    centre line, a quarter of a second apart.
    """

    rms_offset_m: float
    on_road: float
    laps: int
    offsets_m: Sequence[float]


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture and the time of its exposure."""

    pixels: Pixels
    captured_s: float


class Button(Enum):
    """Actions that the driver triggers by a button."""

    ARM = "arm"
    STOP_RUN = "stop the run"
    EMERGENCY_STOP = "emergency stop"
    PAUSE = "pause or resume recording"
    ERASE = "erase the last seconds"
    DEAD_MAN = "hold to drive"


@dataclass(frozen=True, slots=True)
class PadState:
    """Stick, trigger and buttons of the pad at one reading.

    `pressed` holds the buttons pressed since the previous reading, `held` those that are down now.
    `silent_s`: seconds since the last event. Holding a stick still also produces none.
    `fault`: why the pad cannot be used at the moment; "" while it works.
    `unreported_throttle`: how far a trigger is pulled that has sent no event yet, so that `command`
    does not include it; 0 where the device cannot be asked.
    """

    command: Command
    pressed: frozenset[Button] = frozenset()
    held: frozenset[Button] = frozenset()
    silent_s: float = 0.0
    fault: str = ""
    unreported_throttle: float = 0.0


class Camera(Protocol):
    """Source of pictures at a steady rate."""

    @property
    def missed(self) -> int:
        """Number of pictures that were replaced by the next one before they were fetched."""

    def describe(self) -> str:
        """Return the camera and its pictures, in one line."""

    def measure_rate_hz(self, duration_s: float) -> float:
        """Measure for `duration_s` how many pictures arrive per second.

        Raises:
            CameraFailed: no picture arrives.
        """

    def check_colours(self) -> str:
        """Check the colour order of the pictures; return the result in a few words.

        Raises:
            CameraFailed: red and blue are swapped.
        """

    def advice(self) -> str:
        """Return a recommendation for better pictures; "" when there is none."""

    def capture(self) -> Frame:
        """Wait for the next picture and return it.

        Raises:
            CameraFailed: no picture came for much longer than a period.
        """

    def close(self) -> None:
        """Release the device. May be called twice."""


class Pad(Protocol):
    """Source of the driver's commands."""

    @property
    def arm_button(self) -> str:
        """Name of the button that arms the car, as it is printed on the pad."""

    def describe(self) -> str:
        """Return the pad and how its controls are read, in one line."""

    def read(self) -> PadState:
        """Return the current state without waiting, reconnecting to a pad that has come back.

        Raises:
            PadLost: the device has been missing for too long.
        """

    def discard_presses(self) -> None:
        """Discard the buttons pressed so far.

        Raises:
            PadLost: the device has been missing for too long.
        """

    def close(self) -> None:
        """Release the device. May be called twice."""


class Pilot(Protocol):
    """Model that drives by what the camera sees."""

    def describe(self) -> str:
        """Return the model, in one line."""

    def command(self, pixels: Pixels) -> Command:
        """Return the command for a picture; throttle is a share of full throttle."""

    def settings(self) -> dict[str, object]:
        """Return what tells this model from others, by key, for the labels."""


class Motors(Protocol):
    """Steering and drive of the car.

    The last check before the wheels: refuses NaN and clamps to -1..1.
    """

    def apply(self, command: Command) -> None:
        """Move the wheels by the command.

        Raises:
            ValueError: a value is not a number.
            MotorsFailed: the motors cannot be reached.
        """

    def close(self) -> None:
        """Bring the wheels to neutral and release the device. May be called twice."""


class GuardedMotors(Motors, Protocol):
    """Motors that go to neutral, and stay there, when commands stop coming."""

    @property
    def stop_reason(self) -> str:
        """Why the wheels stay at neutral whatever the command; "" while they follow.

        Raises:
            MotorsFailed: the guard has failed.
        """

    def disarm(self) -> None:
        """Bring the wheels to neutral and clear `stop_reason`, so that they follow again.

        Raises:
            MotorsFailed: the guard has failed.
        """


class Clock(Protocol):
    """Monotonic clock of a drive, in seconds; only differences have a meaning."""

    def now(self) -> float:
        """Return the current time in seconds."""

    def sleep_until(self, moment: float) -> None:
        """Sleep until `moment`; return at once when it is past."""


FrameSink = Callable[[Frame, Command], object]
"""Receives each picture to record, with the command at the time of its exposure."""
