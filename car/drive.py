"""The control loop: the state of the pad becomes a command to the wheels, 50 times a second.

It runs in the caller's thread and waits for nothing but its clock. The camera has a thread of its
own, and the callbacks that receive its pictures must not block.

Comments with a number such as S4 or P3 refer to the rows of docs/safety.md.
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
RELEASED_THROTTLE = 0.05  # up to here the throttle counts as released
STALLED = "the drive was held up"

_CAMERA_JOIN_TIMEOUT_S = 2.0
_COMMAND_HISTORY_S = 2.0  # longer than any picture takes from the sensor to this process


@dataclass(frozen=True, slots=True)
class DriveLimits:
    """Limits of a drive.

    `max_throttle`: the throttle at full trigger. `silence_s`: the longest time without an event
    from a pad whose throttle is not released. `dead_man`: throttle only while that button is held.
    """

    max_throttle: float
    silence_s: float = inf
    dead_man: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """State of a drive.

    `armed`: the wheels follow the pad. `stop_reason`: what stopped the car last or prevented arming
    it; "" if nothing did.
    """

    armed: bool = False
    paused: bool = False
    ended: bool = False
    stop_reason: str = ""

    def describe(self, arm_button: str) -> str:
        """Return the state in words for the driver; `arm_button` is that button's name."""
        if not self.armed:
            reason = f"{self.stop_reason}; " if self.stop_reason else ""
            return f"{reason}press {arm_button}"
        return "paused" if self.paused else "recording"

    @property
    def recording(self) -> bool:
        """Whether pictures are recorded."""
        return self.armed and not self.paused


@dataclass(frozen=True, slots=True)
class Decision:
    """Result of one reading of the pad."""

    state: State
    command: Command
    erase: bool = False


def decide(
    state: State,
    pad: PadState,
    limits: DriveLimits,
    *,
    motors_stop_reason: str = "",
    gap_s: float = 0.0,
) -> Decision:
    """Decide what the wheels do, `gap_s` after the previous reading of the pad.

    A car starts disarmed and is disarmed by whatever stops it: the emergency button, a missing or
    silent pad, motors that have stopped, a stalled control loop. It can only be armed with the
    throttle released.
    """
    pressed = pad.pressed
    # S4: without the dead man's button there is no throttle, but the car stays armed and steers.
    throttle = 0.0 if limits.dead_man and Button.DEAD_MAN not in pad.held else pad.command.throttle
    if abs(throttle) <= RELEASED_THROTTLE:
        throttle = 0.0
    if reason := _find_stop_reason(pad, throttle, limits, motors_stop_reason, gap_s):
        state = replace(state, armed=False, stop_reason=reason)
    elif Button.ARM in pressed and not state.armed:
        # P3, P5: a trigger that has sent no event yet may nevertheless be pulled.
        released = max(abs(pad.command.throttle), pad.unreported_throttle) <= RELEASED_THROTTLE
        reason = "" if released else "release the throttle"
        state = replace(state, armed=released, stop_reason=reason)
    if Button.PAUSE in pressed:
        state = replace(state, paused=not state.paused)
    if Button.STOP_RUN in pressed:  # S5
        state = replace(state, armed=False, ended=True)
    # P3: only an armed car gets anything but neutral.
    command = NEUTRAL
    if state.armed:
        command = Command(pad.command.steering, throttle * limits.max_throttle)
    return Decision(state, command, erase=Button.ERASE in pressed)


def _find_stop_reason(
    pad: PadState, throttle: float, limits: DriveLimits, motors_stop_reason: str, gap_s: float
) -> str:
    """Return why the car has to stop, in a few words; "" if it may drive."""
    if Button.EMERGENCY_STOP in pad.pressed:  # S3
        return "emergency stop"
    if pad.fault:  # S1
        return pad.fault
    if throttle and pad.silent_s > limits.silence_s:  # S2
        return "the pad is silent"
    # S10: after a gap the state of the pad is stale; the driver may have released the trigger, or
    # pressed Menu, long ago.
    if gap_s >= COMMAND_TIMEOUT_S:
        return STALLED
    return motors_stop_reason  # S7, S8, S11: the guard saw a gap


@dataclass(slots=True)
class Timing:
    """Timing of a loop: ticks made, ticks skipped, and how late each tick was."""

    period_s: float
    ticks: int = 0
    skipped: int = 0
    lateness_s: "array[float]" = field(default_factory=lambda: array("d"))

    def percentile_s(self, percent: float) -> float:
        """Return a percentile of the lateness of all ticks, in seconds."""
        ordered = sorted(self.lateness_s)
        return ordered[int((len(ordered) - 1) * percent / 100)] if ordered else 0.0


class Drive:
    """A drive with a camera, a pad and motors. Whatever ends it leaves the car at neutral."""

    def __init__(
        self,
        *,
        camera: Camera,
        pad: Pad,
        motors: GuardedMotors,
        clock: Clock,
        limits: DriveLimits,
        on_frame: Callable[[Frame], object],
        on_picture: FrameSink,
        on_erase: Callable[[], object],
        on_pause: Callable[[], object],
    ) -> None:
        """Connect the parts; `run` starts the drive and closes them.

        `on_frame` receives every picture, `on_picture` those taken while recording, with the
        command at the time of exposure. Both are called from the camera's thread.
        """
        self._camera = camera
        self._pad = pad
        self._motors = motors
        self._clock = clock
        self._limits = limits
        self._on_frame = on_frame
        self._on_picture = on_picture
        self._on_erase = on_erase
        self._on_pause = on_pause
        self._stop = threading.Event()
        self._camera_error: Exception | None = None
        self._last_read_s = 0.0  # when the pad was read last
        self._commands: deque[tuple[float, Command]] = deque(
            maxlen=int(_COMMAND_HISTORY_S * CONTROL_HZ)
        )
        self.state = State()
        self.command = NEUTRAL
        self.timing = Timing(1 / CONTROL_HZ)
        self.stop_counts: Counter[str] = Counter()
        """How often each reason has stopped an armed car."""

    def describe_state(self) -> str:
        """Return the state in words for the driver."""
        return self.state.describe(self._pad.arm_button)

    def stop(self) -> None:
        """End the run with the next tick. May be called from a signal handler or any thread."""
        self._stop.set()

    def run(self, duration_s: float | None = None) -> None:
        """Drive until the pad, `stop` or the duration ends the run, then close all parts.

        The car is at neutral afterwards, also if an exception is raised.

        Raises:
            CameraFailed: the camera gives no pictures.
            PadLost: the pad has been missing for too long.
            MotorsFailed: the motors or their guard have failed.
        """
        camera_thread = threading.Thread(target=self._take_pictures, name="camera", daemon=True)
        with ExitStack() as steps:  # run in reverse order, even after a failure
            steps.callback(self._camera.close)
            steps.callback(self._pad.close)
            steps.callback(camera_thread.join, _CAMERA_JOIN_TIMEOUT_S)
            # S12, S14: the motors come first, since the other parts may hang or fail.
            steps.callback(self._motors.close)
            steps.callback(self._finish)
            camera_thread.start()
            self._pad.discard_presses()  # P4: buttons pressed during the checks
            # Inherited by the threads that time the pulses, if the motors have to be taken over.
            with priority(CONTROL, inherited=True):
                self._control(duration_s)
        if self._camera_error:
            raise CameraFailed(f"the camera failed: {self._camera_error}") from self._camera_error

    def _finish(self) -> None:
        self._stop.set()
        self.command = NEUTRAL

    def _control(self, duration_s: float | None) -> None:
        period_s = self.timing.period_s
        start = tick = self._last_read_s = self._clock.now()
        while not self._stop.is_set():
            self._step()
            if self.state.ended or (duration_s is not None and tick - start >= duration_s):
                return
            tick += period_s
            # Missed ticks are skipped, not caught up in a burst.
            skipped = int(max(self._clock.now() - tick, 0.0) / period_s)
            self.timing.skipped += skipped
            tick += skipped * period_s
            self._clock.sleep_until(tick)
            self.timing.ticks += 1
            self.timing.lateness_s.append(self._clock.now() - tick)

    def _step(self) -> None:
        """Read the pad once and move the wheels accordingly."""
        before = self.state
        now_s = self._clock.now()
        gap_s, self._last_read_s = now_s - self._last_read_s, now_s
        decision = decide(
            before,
            self._pad.read(),
            self._limits,
            motors_stop_reason=self._motors.stop_reason,
            gap_s=gap_s,
        )
        # The wheels come first, then whatever may take time.
        if decision.state.armed:
            self._motors.apply(decision.command)
        else:
            self._motors.disarm()
        # A picture arrives later than it was taken: its label needs the command of that time.
        self._commands.append((self._clock.now(), decision.command))
        self.command = decision.command
        self.state = decision.state
        if before.armed and self.state.stop_reason:
            self.stop_counts[self.state.stop_reason] += 1
        if decision.erase:
            self._on_erase()
        if before.recording and not self.state.recording:
            self._on_pause()

    def _take_pictures(self) -> None:
        with priority(CAMERA):
            self._capture_until_stopped()

    def _capture_until_stopped(self) -> None:
        try:
            while not self._stop.is_set():
                frame = self._camera.capture()
                self._on_frame(frame)
                if self.state.recording:
                    self._on_picture(frame, self._command_at(frame.captured_s))
        except Exception as error:  # noqa: BLE001  any failure ends the control loop (S14)
            self._camera_error = error
            self._stop.set()

    def _command_at(self, moment_s: float) -> Command:
        """Return the command at the time of exposure: a picture arrives later than it is taken."""
        history = self._commands.copy()  # atomic, while the control loop appends
        commands = (command for sent_s, command in reversed(history) if sent_s <= moment_s)
        return next(commands, NEUTRAL)
