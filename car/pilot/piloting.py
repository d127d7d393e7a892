"""A pilot behind the pad's seam: its commands take the way of the stick and the trigger.

The pilot computes in a thread of its own, always from the newest picture, so that a slow one holds
up neither the camera nor the control loop. Buttons are still a person's: Menu arms, B stops.

Comments with a number such as S24 refer to the rows of docs/safety.md.
"""

import threading
from dataclasses import replace
from math import isfinite

import numpy as np

from car.interfaces import (
    NEUTRAL,
    Button,
    Camera,
    Clock,
    Command,
    Frame,
    Pad,
    PadState,
    Pilot,
    clamp_command,
)
from car.realtime import PILOT, priority
from common.errors import PilotFailed

TIMEOUT_S = 0.3
"""Age of the picture that a command was computed from, at which it is too old to be followed."""

GIVE_UP_S = 10.0
"""How long the drive waits for a pilot that does not answer, with the car at neutral."""

LATE = "the pilot does not answer"

_JOIN_TIMEOUT_S = 1.0


class Piloting:
    """A pilot at work."""

    def __init__(self, pilot: Pilot, clock: Clock) -> None:
        """Start the pilot's thread, which waits for pictures."""
        self._pilot = pilot
        self._clock = clock
        self._frame: Frame | None = None
        self._shown = threading.Event()
        self._closed = False
        self._error: Exception | None = None
        self._answer = (NEUTRAL, clock.now())  # and when its picture was taken
        self._thread = threading.Thread(target=self._work, name="pilot", daemon=True)
        self._thread.start()

    def check(self, width_px: int, height_px: int) -> str:
        """Have the pilot answer a black picture; return what it is, in one line.

        Raises:
            PilotFailed: it cannot be driven with.
        """
        try:
            _checked(self._pilot.command(np.zeros((height_px, width_px, 3), np.uint8)))
        except Exception as error:
            raise PilotFailed(f"the pilot failed: {error}") from error
        return self._pilot.describe()

    def restart(self) -> None:
        """Begin a drive: the pilot has as long for its first answer as for any other."""
        self._answer = (NEUTRAL, self._clock.now())

    def show(self, frame: Frame) -> None:
        """Give the pilot a picture, in place of one that it has not begun with. Never waits."""
        self._frame = frame
        self._shown.set()

    def read(self) -> tuple[Command, str]:
        """Return the pilot's newest command, and why it must not be followed; "" if it may.

        Raises:
            PilotFailed: the pilot has failed, or has not answered for `GIVE_UP_S`.
        """
        if self._error:  # S25
            raise PilotFailed(f"the pilot failed: {self._error}") from self._error
        command, captured_s = self._answer
        age_s = self._clock.now() - captured_s
        if age_s > GIVE_UP_S:
            raise PilotFailed(f"{LATE} for {GIVE_UP_S:g} seconds")
        return command, LATE if age_s > TIMEOUT_S else ""  # S24

    def close(self) -> None:
        """End the thread; one that hangs ends with the process. May be called twice."""
        self._closed = True
        self._shown.set()
        self._thread.join(_JOIN_TIMEOUT_S)

    def _work(self) -> None:
        with priority(PILOT):
            self._answer_until_closed()

    def _answer_until_closed(self) -> None:
        while True:
            self._shown.wait()
            self._shown.clear()
            if self._closed:
                return
            frame = self._frame
            assert frame is not None
            try:
                command = _checked(self._pilot.command(frame.pixels))
            except Exception as error:  # noqa: BLE001  whatever a model does wrong stops the car
                self._error = error
                return
            self._answer = (command, frame.captured_s)


def _checked(command: object) -> Command:
    """Return a command that may be sent to the motors.

    Raises:
        ValueError: it is no command of two numbers.
    """
    if not isinstance(command, Command):
        raise ValueError(f"expected steering and throttle, got {str(command)[:60]!r}")  # noqa: TRY004
    if not (isfinite(command.steering) and isfinite(command.throttle)):
        raise ValueError(f"steering {command.steering:g}, throttle {command.throttle:g}")
    return clamp_command(command)


class PilotedCamera:
    """A camera whose pictures the pilot sees, too."""

    def __init__(self, camera: Camera, piloting: Piloting) -> None:
        self._camera = camera
        self._piloting = piloting

    @property
    def missed(self) -> int:
        """Number of pictures that were replaced by the next one before they were fetched."""
        return self._camera.missed

    def describe(self) -> str:
        """Return the camera and its pictures, in one line."""
        return self._camera.describe()

    def measure_rate_hz(self, duration_s: float) -> float:
        """Measure for `duration_s` how many pictures arrive per second.

        Raises:
            CameraFailed: no picture arrives.
        """
        return self._camera.measure_rate_hz(duration_s)

    def check_colours(self) -> str:
        """Check the colour order of the pictures; return the result in a few words.

        Raises:
            CameraFailed: red and blue are swapped.
        """
        return self._camera.check_colours()

    def advice(self) -> str:
        """Return a recommendation for better pictures; "" when there is none."""
        return self._camera.advice()

    def capture(self) -> Frame:
        """Wait for the next picture, show it to the pilot and return it.

        Raises:
            CameraFailed: no picture came for much longer than a period.
        """
        frame = self._camera.capture()
        self._piloting.show(frame)
        return frame

    def close(self) -> None:
        """Release the device. May be called twice."""
        self._camera.close()


class PilotedPad:
    """A pad whose buttons are a person's, and whose stick and trigger are the pilot's."""

    def __init__(self, pad: Pad, piloting: Piloting, *, max_throttle: float) -> None:
        """`max_throttle` is the throttle at full trigger, which the pilot cannot exceed."""
        self._pad = pad
        self._piloting = piloting
        self._max_throttle = max_throttle

    @property
    def arm_button(self) -> str:
        """Name of the button that arms the car, as it is printed on the pad."""
        return self._pad.arm_button

    def describe(self) -> str:
        """Return the pad, in one line."""
        return f"pilot, {self._pad.describe()}"

    def read(self) -> PadState:
        """Return the current state without waiting.

        Raises:
            PadLost: the pad has been missing for too long.
            PilotFailed: the pilot has failed, or has not answered for too long.
        """
        state = self._pad.read()
        command, fault = self._piloting.read()
        on_pad = clamp_command(Command(command.steering, command.throttle / self._max_throttle))
        # P3: as a person would, the pilot has the throttle released while Menu is pressed.
        followed = NEUTRAL if Button.ARM in state.pressed else on_pad
        return replace(state, command=followed, fault=state.fault or fault)

    def discard_presses(self) -> None:
        """Discard the buttons pressed so far; the pilot begins now.

        Raises:
            PadLost: the device has been missing for too long.
        """
        self._pad.discard_presses()
        self._piloting.restart()

    def close(self) -> None:
        """End the pilot and release the pad. May be called twice."""
        self._piloting.close()
        self._pad.close()
