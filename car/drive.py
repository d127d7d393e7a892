"""The drive: what the thumb says becomes what the wheels do, fifty times a second.

The control loop runs in the caller's thread and waits for nothing but its clock: the camera has a
thread of its own, and whoever takes its pictures must not block.
"""

import threading
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from car.interfaces import (
    NEUTRAL,
    Button,
    Camera,
    Clock,
    Command,
    FrameSink,
    Motors,
    Pad,
    PadState,
)
from errors import CameraFailed

CONTROL_HZ = 50.0
AT_REST = 0.05  # a throttle this near to 0 counts as released

_CAMERA_ENDS_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class State:
    """Whether the wheels follow the pad, and whether pictures are wanted."""

    armed: bool = False
    paused: bool = False
    over: bool = False

    @property
    def name(self) -> str:
        """What a driver would call it."""
        if not self.armed:
            return "press Menu"
        return "paused" if self.paused else "recording"


@dataclass(frozen=True, slots=True)
class Decision:
    """What one reading of the pad leads to."""

    state: State
    command: Command
    erase: bool = False


def decide(state: State, pad: PadState, *, max_throttle: float) -> Decision:
    """What the wheels do now.

    The pad's full trigger means `max_throttle`. A car starts disarmed, and is disarmed again by an
    emergency stop. Arming needs the throttle at rest.
    """
    pressed = pad.pressed
    if Button.EMERGENCY_STOP in pressed:
        state = replace(state, armed=False)
    elif Button.ARM in pressed and abs(pad.command.throttle) <= AT_REST:
        state = replace(state, armed=True)
    if Button.PAUSE in pressed:
        state = replace(state, paused=not state.paused)
    if Button.STOP_RUN in pressed:
        state = replace(state, armed=False, over=True)
    command = NEUTRAL
    if state.armed:
        command = Command(pad.command.steering, pad.command.throttle * max_throttle)
    return Decision(state, command, erase=Button.ERASE in pressed)


@dataclass(slots=True)
class Timing:
    """How well a loop kept to its schedule."""

    period_s: float
    ticks: int = 0
    skipped: int = 0
    lateness_s: "array[float]" = field(default_factory=lambda: array("d"))

    def percentile_s(self, percent: float) -> float:
        """The lateness that this share of all ticks stayed below, in seconds."""
        ordered = sorted(self.lateness_s)
        return ordered[int((len(ordered) - 1) * percent / 100)] if ordered else 0.0


class Drive:
    """Joins a camera, a pad and motors. Whatever ends it leaves the car at neutral."""

    def __init__(
        self,
        *,
        camera: Camera,
        pad: Pad,
        motors: Motors,
        clock: Clock,
        max_throttle: float,
        on_picture: FrameSink,
        on_erase: Callable[[], object],
        on_pause: Callable[[], object],
    ) -> None:
        """`on_picture` gets every picture taken while armed and not paused, from another thread."""
        self._camera = camera
        self._pad = pad
        self._motors = motors
        self._clock = clock
        self._max_throttle = max_throttle
        self._on_picture = on_picture
        self._on_erase = on_erase
        self._on_pause = on_pause
        self._stop = threading.Event()
        self._camera_error: Exception | None = None
        self.state = State()
        self.command = NEUTRAL
        self.timing = Timing(1 / CONTROL_HZ)

    def stop(self) -> None:
        """The run ends with the next tick. May be called from a signal handler or a thread."""
        self._stop.set()

    def run(self, duration_s: float | None = None) -> None:
        """Drives until the pad, `stop` or the time ends it; then the car is at neutral.

        Raises: CameraFailed, PadLost, and what a part raises; the car is at neutral then too.
        """
        camera = threading.Thread(target=self._take_pictures, name="camera", daemon=True)
        try:
            camera.start()
            self._control(duration_s)
        finally:
            self._stop.set()
            self.command = NEUTRAL
            self._motors.close()
            camera.join(_CAMERA_ENDS_WITHIN_S)
            self._pad.close()
            self._camera.close()
        if self._camera_error:
            raise CameraFailed(f"the camera failed: {self._camera_error}") from self._camera_error

    def _control(self, duration_s: float | None) -> None:
        period_s = self.timing.period_s
        start = tick = self._clock.now()
        while not self._stop.is_set():
            self._step()
            if self.state.over or (duration_s is not None and tick - start >= duration_s):
                return
            tick += period_s
            missed = int(max(self._clock.now() - tick, 0.0) / period_s)
            self.timing.skipped += missed
            tick += missed * period_s
            self._clock.sleep_until(tick)
            self.timing.ticks += 1
            self.timing.lateness_s.append(self._clock.now() - tick)

    def _step(self) -> None:
        """One reading of the pad has reached the wheels."""
        before = self.state
        decision = decide(before, self._pad.read(), max_throttle=self._max_throttle)
        self._motors.apply(decision.command)
        self.command = decision.command
        self.state = decision.state
        if decision.erase:
            self._on_erase()
        if _wanted(before) and not _wanted(self.state):
            self._on_pause()

    def _take_pictures(self) -> None:
        try:
            while not self._stop.is_set():
                frame = self._camera.capture()
                if _wanted(self.state):
                    self._on_picture(frame, self.command)
        except Exception as error:  # noqa: BLE001  whatever it is, the control loop must end
            self._camera_error = error
            self._stop.set()


def _wanted(state: State) -> bool:
    return state.armed and not state.paused
