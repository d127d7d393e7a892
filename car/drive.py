"""The drive: what the thumb says becomes what the wheels do, fifty times a second.

The control loop runs in the caller's thread and waits for nothing but its clock: the camera has a
thread of its own, and whoever takes its pictures must not block.
"""

import threading
from array import array
from collections import Counter, deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import inf

from car.interfaces import (
    COMMAND_TIMEOUT_S,
    NEUTRAL,
    Button,
    Camera,
    Clock,
    Command,
    Frame,
    FrameSink,
    GuardedMotors,
    Pad,
    PadState,
)
from car.realtime import CAMERA, CONTROL, priority
from common.errors import CameraFailed

CONTROL_HZ = 50.0
AT_REST = 0.05  # a throttle this near to 0 counts as released
STALLED = "the drive was held up"

_CAMERA_ENDS_WITHIN_S = 2.0
_REMEMBERED_S = 2.0  # longer than any picture takes from the sensor to us


@dataclass(frozen=True, slots=True)
class Rules:
    """What the driver may do.

    Full trigger means `max_throttle`. A pad that says nothing for `silence_s` while it gives
    throttle counts as gone. With `dead_man`, there is throttle only while that button is held.
    """

    max_throttle: float
    silence_s: float = inf
    dead_man: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """Whether the wheels follow the pad, and whether pictures are wanted.

    `stop_reason` is what stopped the car last, or keeps it from being armed; "" when nothing does.
    """

    armed: bool = False
    paused: bool = False
    over: bool = False
    stop_reason: str = ""

    @property
    def name(self) -> str:
        """What a driver would call it."""
        if not self.armed:
            return f"{self.stop_reason}; press Menu" if self.stop_reason else "press Menu"
        return "paused" if self.paused else "recording"


@dataclass(frozen=True, slots=True)
class Decision:
    """What one reading of the pad leads to."""

    state: State
    command: Command
    erase: bool = False


def decide(
    state: State, pad: PadState, rules: Rules, *, motors_stop_reason: str = "", gap_s: float = 0.0
) -> Decision:
    """What the wheels do now, `gap_s` after the reading before.

    A car starts disarmed, and is disarmed again by whatever stops it: the emergency button, a pad
    that is gone or silent, motors that stopped by themselves, a drive that was held up. Arming
    needs the throttle at rest.
    """
    pressed = pad.pressed
    throttle = 0.0 if rules.dead_man and Button.DEAD_MAN not in pad.held else pad.command.throttle
    if abs(throttle) <= AT_REST:
        throttle = 0.0
    if why := _stops(pad, throttle, rules, motors_stop_reason, gap_s):
        state = replace(state, armed=False, stop_reason=why)
    elif Button.ARM in pressed and not state.armed:
        at_rest = max(abs(pad.command.throttle), pad.unreported_throttle) <= AT_REST
        state = replace(state, armed=at_rest, stop_reason="" if at_rest else "release the throttle")
    if Button.PAUSE in pressed:
        state = replace(state, paused=not state.paused)
    if Button.STOP_RUN in pressed:
        state = replace(state, armed=False, over=True)
    command = NEUTRAL
    if state.armed:
        command = Command(pad.command.steering, throttle * rules.max_throttle)
    return Decision(state, command, erase=Button.ERASE in pressed)


def _stops(
    pad: PadState, throttle: float, rules: Rules, motors_stop_reason: str, gap_s: float
) -> str:
    """Why the car has to stand, in a few words; "" when it may drive."""
    if Button.EMERGENCY_STOP in pad.pressed:
        return "emergency stop"
    if pad.fault:
        return pad.fault
    if throttle and pad.silent_s > rules.silence_s:
        return "the pad is silent"
    # The thumb may have let go or pressed Menu long ago: what was said in a gap is no consent.
    if gap_s >= COMMAND_TIMEOUT_S:
        return STALLED
    return motors_stop_reason


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
        motors: GuardedMotors,
        clock: Clock,
        rules: Rules,
        on_frame: Callable[[Frame], object],
        on_picture: FrameSink,
        on_erase: Callable[[], object],
        on_pause: Callable[[], object],
    ) -> None:
        """`on_frame` gets every picture, and `on_picture` those that were taken while armed and not
        paused, with the command of that moment. Both are called from another thread.
        """
        self._camera = camera
        self._pad = pad
        self._motors = motors
        self._clock = clock
        self._rules = rules
        self._on_frame = on_frame
        self._on_picture = on_picture
        self._on_erase = on_erase
        self._on_pause = on_pause
        self._stop = threading.Event()
        self._camera_error: Exception | None = None
        self._read_s = 0.0  # when the pad was read last
        self._commands: deque[tuple[float, Command]] = deque(maxlen=int(_REMEMBERED_S * CONTROL_HZ))
        self.state = State()
        self.command = NEUTRAL
        self.timing = Timing(1 / CONTROL_HZ)
        self.stops: Counter[str] = Counter()
        """How often each reason has stopped an armed car."""

    def stop(self) -> None:
        """The run ends with the next tick. May be called from a signal handler or a thread."""
        self._stop.set()

    def run(self, duration_s: float | None = None) -> None:
        """Drives until the pad, `stop` or the time ends it; then the car is at neutral.

        Raises: CameraFailed, PadLost, MotorsFailed; the car is at neutral then too.
        """
        camera = threading.Thread(target=self._take_pictures, name="camera", daemon=True)
        with ExitStack() as ending:  # backwards, and on when one of them fails
            ending.callback(self._camera.close)
            ending.callback(self._pad.close)
            ending.callback(camera.join, _CAMERA_ENDS_WITHIN_S)
            ending.callback(self._motors.close)
            ending.callback(self._end)
            camera.start()
            self._pad.discard_presses()  # Menu, for one, while the car was looked at
            # Inherited by what times the pulses, if the motors have to be taken over.
            with priority(CONTROL, inherited=True):
                self._control(duration_s)
        if self._camera_error:
            raise CameraFailed(f"the camera failed: {self._camera_error}") from self._camera_error

    def _end(self) -> None:
        self._stop.set()
        self.command = NEUTRAL

    def _control(self, duration_s: float | None) -> None:
        period_s = self.timing.period_s
        start = tick = self._read_s = self._clock.now()
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
        now_s = self._clock.now()
        gap_s, self._read_s = now_s - self._read_s, now_s
        decision = decide(
            before,
            self._pad.read(),
            self._rules,
            motors_stop_reason=self._motors.stop_reason,
            gap_s=gap_s,
        )
        if decision.state.armed:
            self._motors.apply(decision.command)
        else:
            self._motors.disarm()
        self._commands.append((self._clock.now(), decision.command))
        self.command = decision.command
        self.state = decision.state
        if before.armed and self.state.stop_reason:
            self.stops[self.state.stop_reason] += 1
        if decision.erase:
            self._on_erase()
        if _wanted(before) and not _wanted(self.state):
            self._on_pause()

    def _take_pictures(self) -> None:
        with priority(CAMERA):
            self._take_each_picture()

    def _take_each_picture(self) -> None:
        try:
            while not self._stop.is_set():
                frame = self._camera.capture()
                self._on_frame(frame)
                if _wanted(self.state):
                    self._on_picture(frame, self._command_at(frame.captured_s))
        except Exception as error:  # noqa: BLE001  whatever it is, the control loop must end
            self._camera_error = error
            self._stop.set()

    def _command_at(self, moment_s: float) -> Command:
        """What the wheels were told at that moment; a picture reaches us later than it is taken."""
        remembered = self._commands.copy()  # in one go, as the other thread goes on
        commands = (command for told_s, command in reversed(remembered) if told_s <= moment_s)
        return next(commands, NEUTRAL)


def _wanted(state: State) -> bool:
    return state.armed and not state.paused
