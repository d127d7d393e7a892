"""The control loop: from the pad to the wheels, and neutral however it ends."""

import math
import threading
from dataclasses import replace

import numpy as np
import pytest

from car import drive as car_drive
from car.clock import VirtualClock
from car.drive import STALLED, Drive, DriveLimits, State, decide
from car.interfaces import COMMAND_TIMEOUT_S, NEUTRAL, Button, Command, Frame, PadState
from common.errors import CameraFailed, MotorsFailed, PadLost
from tests.helpers.waiting import HANGS_S, wait_until

PIXELS = np.zeros((12, 16, 3), np.uint8)


def pad(steering=0.0, throttle=0.0, *pressed):
    return PadState(Command(steering, throttle), frozenset(pressed))


ARMED = State(armed=True)


def test_a_car_starts_disarmed_and_stays_at_neutral():
    assert decide(State(), pad(1.0, 1.0), DriveLimits(0.5)).command == NEUTRAL


def test_arming_needs_the_throttle_released():
    assert not decide(State(), pad(0, 0.5, Button.ARM), DriveLimits(0.5)).state.armed
    assert decide(State(), pad(0, 0.0, Button.ARM), DriveLimits(0.5)).state.armed


def test_full_trigger_is_max_throttle():
    assert decide(ARMED, pad(-1.0, 1.0), DriveLimits(0.3)).command == Command(-1.0, 0.3)


def test_an_emergency_stop_disarms_even_with_the_arming_button():
    pressed = pad(0.0, 0.0, Button.EMERGENCY_STOP, Button.ARM)
    decision = decide(ARMED, pressed, DriveLimits(0.5))
    assert decision.command == NEUTRAL
    assert not decision.state.armed


def test_pause_is_pressed_again_to_resume_and_the_car_drives_on():
    paused = decide(ARMED, pad(0, 1.0, Button.PAUSE), DriveLimits(0.5))
    assert (paused.state.paused, paused.command.throttle) == (True, 0.5)
    assert not decide(paused.state, pad(0, 0, Button.PAUSE), DriveLimits(0.5)).state.paused


def test_stopping_the_run_is_neutral_at_once():
    decision = decide(ARMED, pad(1.0, 1.0, Button.STOP_RUN), DriveLimits(0.5))
    assert decision.state.ended
    assert decision.command == NEUTRAL


LIMITS = DriveLimits(0.5, silence_s=1.5)


@pytest.mark.parametrize(
    ("reading", "motors_stop_reason", "reason"),
    [
        (pad(0.2, 1.0, Button.EMERGENCY_STOP), "", "emergency stop"),
        (PadState(NEUTRAL, fault="the pad is gone"), "", "the pad is gone"),
        (replace(pad(0.2, 1.0), silent_s=1.6), "", "the pad is silent"),
        (pad(0.2, 1.0), "commands came too late", "commands came too late"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_stopped_car_stays_so_until_the_throttle_is_released_and_menu_pressed(
    reading, motors_stop_reason, reason
):
    stopped = decide(ARMED, reading, LIMITS, motors_stop_reason=motors_stop_reason)
    assert (stopped.command, stopped.state.armed) == (NEUTRAL, False)
    assert stopped.state.describe("Menu") == f"{reason}; press Menu"
    assert decide(stopped.state, pad(0.2, 1.0), LIMITS).command == NEUTRAL
    held = decide(stopped.state, pad(0.2, 1.0, Button.ARM), LIMITS)
    assert not held.state.armed
    assert held.state.describe("Menu") == "release the throttle; press Menu"
    again = decide(held.state, pad(0.2, 0.0, Button.ARM), LIMITS)
    assert (again.state.armed, again.state.stop_reason) == (True, "")


@pytest.mark.parametrize(
    ("gap_s", "stopped"), [(0.02, ""), (0.19, ""), (COMMAND_TIMEOUT_S, STALLED), (60.0, STALLED)]
)
def test_a_late_reading_stops_the_car(gap_s, stopped):
    decision = decide(ARMED, pad(0.2, 1.0), LIMITS, gap_s=gap_s)
    assert decision.state == State(armed=not stopped, stop_reason=stopped)
    assert (decision.command == NEUTRAL) == bool(stopped)


def test_menu_pressed_while_the_drive_was_held_up_does_not_arm():
    decision = decide(State(), pad(0.2, 0.0, Button.ARM), LIMITS, gap_s=COMMAND_TIMEOUT_S)
    assert not decision.state.armed
    assert decide(decision.state, pad(0.2, 0.0, Button.ARM), LIMITS, gap_s=0.02).state.armed


@pytest.mark.parametrize(
    "reading",
    [
        replace(pad(0.2, 1.0), silent_s=1.4),  # a thumb held still sends no event
        replace(pad(0.2, 0.0), silent_s=60.0),  # a car without throttle may stand
        replace(pad(0.2, 0.04), silent_s=60.0),
    ],
)
def test_a_silent_pad_stops_only_a_car_that_drives(reading):
    assert decide(ARMED, reading, LIMITS).state.armed


@pytest.mark.parametrize("throttle", [0.05, -0.05, 0.04])
def test_a_throttle_that_counts_as_released_does_not_reach_the_wheels(throttle):
    """Otherwise a silent pad would not stop the car."""
    assert decide(ARMED, pad(0.2, throttle), LIMITS).command == Command(0.2, 0.0)
    assert decide(ARMED, pad(0.2, throttle * 6), LIMITS).command.throttle == throttle * 3


def test_reverse_is_throttle_too():
    assert not decide(ARMED, replace(pad(0, -1.0), silent_s=1.6), LIMITS).state.armed


def test_a_dead_man_button_gives_throttle_only_while_it_is_held():
    limits = DriveLimits(0.5, dead_man=True)
    held = replace(pad(0.3, 1.0), held=frozenset({Button.DEAD_MAN}))
    assert decide(ARMED, held, limits).command == Command(0.3, 0.5)
    let_go = decide(ARMED, pad(0.3, 1.0), limits)
    assert let_go.command == Command(0.3, 0.0)
    assert let_go.state.armed  # pressing it again is enough


class LockstepClock(VirtualClock):
    """A clock with which camera and control loop take turns, one picture per tick.

    No machine is too slow for such a drive, and each picture belongs to a tick.
    """

    def __init__(self):
        super().__init__()
        self._camera_turn, self._drive_turn = threading.Semaphore(0), threading.Semaphore(0)
        self._failed_camera = None
        self.is_stopping = lambda: False

    def sleep_until(self, moment):
        super().sleep_until(moment)
        self._wait_for_camera()  # until it waits
        self._camera_turn.release()
        self._wait_for_camera()  # until it has the picture, or has failed
        self._drive_turn.release()
        if self._failed_camera:
            self._failed_camera.join()

    def _wait_for_camera(self):
        """Wait for the drive's turn; a camera that is stopping does not give it."""
        while not self._drive_turn.acquire(timeout=0.01) and not self.is_stopping():
            pass

    def camera_waits(self, is_over):
        """Wait for the camera's turn, or the end of the drive."""
        self._drive_turn.release()
        while not self._camera_turn.acquire(timeout=0.01) and not is_over():
            pass

    def camera_fails(self):
        """Let the drive continue once the camera's thread has ended."""
        self._failed_camera = threading.current_thread()
        self._drive_turn.release()


class Parts:
    """Camera, pad and motors that record their calls and can fail on demand."""

    def __init__(self, script):
        self.script = script  # pad states by tick; the last one is repeated
        self.applied = []
        self.closed = []
        self.discarded_at = []
        self.camera_error = None
        self.motor_calls_after_close = 0
        self.pictures = []
        self.erasures = 0
        self.pauses = 0
        self.clock = LockstepClock()
        self.latency_s = 0.0  # from exposure to capture
        self.delays_s = {}  # by reading of the pad

    def drive(self):
        drive = Drive(
            camera=self.Camera(self),
            pad=self.Pad(self),
            motors=self.Motors(self),
            clock=self.clock,
            limits=DriveLimits(0.5),
            on_frame=lambda _frame: None,
            on_picture=lambda frame, command: self.pictures.append((frame, command)),
            on_erase=lambda: setattr(self, "erasures", self.erasures + 1),
            on_pause=lambda: setattr(self, "pauses", self.pauses + 1),
        )
        self.clock.is_stopping = drive._stop.is_set
        return drive

    class Camera:
        def __init__(self, parts):
            self.parts = parts

        def capture(self):
            clock = self.parts.clock
            if isinstance(clock, LockstepClock):
                clock.camera_waits(lambda: "motors" in self.parts.closed)
            if self.parts.camera_error:
                clock.camera_fails()
                raise self.parts.camera_error
            return Frame(PIXELS, clock.now() - self.parts.latency_s)

        def close(self):
            self.parts.closed.append("camera")

    class Pad:
        arm_button = "Options"

        def __init__(self, parts):
            self.parts, self.tick = parts, 0

        def read(self):
            if delay_s := self.parts.delays_s.get(self.tick):
                self.parts.clock.sleep_until(self.parts.clock.now() + delay_s)
            state = self.parts.script[min(self.tick, len(self.parts.script) - 1)]
            self.tick += 1
            if isinstance(state, Exception):
                raise state
            return state

        def discard_presses(self):
            self.parts.discarded_at.append(self.tick)

        def close(self):
            self.parts.closed.append("pad")

    class Motors:
        stop_reason = ""

        def __init__(self, parts):
            self.parts = parts

        def disarm(self):
            self.apply(NEUTRAL)

        def apply(self, command):
            assert not math.isnan(command.steering)
            assert "motors" not in self.parts.closed
            self.parts.applied.append(command)

        def close(self):
            self.parts.applied.append(NEUTRAL)
            self.parts.closed.append("motors")


ARM = pad(0.0, 0.0, Button.ARM)
GO = pad(0.4, 1.0)
STOP = pad(0.4, 1.0, Button.STOP_RUN)


def assert_ended_safely(parts):
    assert parts.applied[-1] == NEUTRAL
    assert parts.closed[0] == "motors"
    assert sorted(parts.closed) == ["camera", "motors", "pad"]
    assert not [thread for thread in threading.enumerate() if thread.name == "camera"]


def test_the_pad_drives_the_wheels_and_ends_the_run():
    parts = Parts([ARM, *[GO] * 20, STOP])
    parts.drive().run()
    assert parts.applied.count(Command(0.4, 0.5)) == 20
    assert_ended_safely(parts)
    assert parts.pictures
    assert {command for _, command in parts.pictures} <= {NEUTRAL, Command(0.4, 0.5)}
    assert parts.pictures[-1][1] == Command(0.4, 0.5)  # a label has the command of the wheels


@pytest.mark.parametrize(("held_up_s", "stops"), [(0.15, 0), (0.2, 1), (0.6, 1)])
def test_a_drive_that_was_held_up_stops_until_menu_is_pressed_and_counts_it(held_up_s, stops):
    parts = Parts([ARM, GO, GO, GO, ARM, GO, GO, ARM, GO, STOP])
    parts.delays_s = {3: held_up_s}
    drive = parts.drive()
    drive.run()
    assert drive.stop_counts == ({STALLED: stops} if stops else {})
    throttles = [command.throttle for command in parts.applied[4:9]]  # after it was held up
    assert throttles == ([0, 0, 0, 0, 0.5] if stops else [0, 0.5, 0.5, 0, 0.5])


def test_every_stop_is_counted_by_its_reason():
    emergency, gone = pad(0.4, 1.0, Button.EMERGENCY_STOP), PadState(NEUTRAL, fault="gone")
    parts = Parts([ARM, GO, emergency, emergency, GO, ARM, GO, gone, gone, ARM, emergency, STOP])
    drive = parts.drive()
    drive.run()
    assert drive.stop_counts == {"emergency stop": 2, "gone": 1}


def test_a_disarmed_drive_names_the_button_of_this_pad_that_arms_it():
    drive = Parts([GO, STOP]).drive()
    drive.run()
    assert drive.describe_state().endswith("press Options")


def test_presses_before_the_drive_are_discarded_once_and_first():
    parts = Parts([ARM, GO, STOP])
    parts.drive().run()
    assert parts.discarded_at == [0]


def test_no_picture_is_taken_before_arming_or_in_a_pause():
    parts = Parts([*[GO] * 10, STOP])
    parts.drive().run()
    assert parts.pictures == []
    parts = Parts([ARM, pad(0, 0, Button.PAUSE), *[GO] * 15, STOP])
    parts.drive().run()
    assert len(parts.pictures) <= 3  # those of the first two ticks
    assert parts.pauses == 1


def test_erasing_is_called_once_a_press():
    parts = Parts([ARM, pad(0, 0, Button.ERASE), GO, GO, pad(0, 0, Button.ERASE), STOP])
    parts.drive().run()
    assert parts.erasures == 2


def test_the_duration_ends_the_run():
    parts = Parts([ARM, GO])
    parts.drive().run(duration_s=0.3)
    assert parts.clock.now() == pytest.approx(0.3, abs=0.02)
    assert_ended_safely(parts)


def test_stop_ends_the_run_from_another_thread():
    parts = Parts([ARM, GO])
    drive = parts.drive()
    stopping = threading.Thread(
        target=lambda: [wait_until(lambda: len(parts.applied) > 5), drive.stop()]
    )
    stopping.start()
    drive.run()
    stopping.join()
    assert_ended_safely(parts)


@pytest.mark.parametrize("error", [PadLost("unplugged"), OSError(19, "No such device")])
def test_a_pad_that_fails_leaves_the_car_at_neutral(error):
    parts = Parts([ARM, GO, error])
    with pytest.raises(type(error)):
        parts.drive().run()
    assert_ended_safely(parts)


def test_a_camera_that_fails_ends_the_run_at_neutral():
    parts = Parts([ARM, GO])
    parts.camera_error = RuntimeError("no frame")
    with pytest.raises(CameraFailed, match="no frame"):
        parts.drive().run(duration_s=10)
    assert_ended_safely(parts)


def test_a_camera_that_fails_ends_the_run_at_once():
    parts = Parts([ARM, GO])
    parts.camera_error = RuntimeError("no frame")
    with pytest.raises(CameraFailed):
        parts.drive().run(duration_s=60)
    assert parts.clock.now() < 0.1


def test_a_camera_that_hangs_does_not_keep_the_car_driving(monkeypatch):
    """The motors are closed before the camera is waited for."""
    parts = Parts([ARM, *[GO] * 10, STOP])
    parts.clock = VirtualClock()
    monkeypatch.setattr(car_drive, "_CAMERA_JOIN_TIMEOUT_S", 2 * HANGS_S)
    stopped, results = threading.Event(), []

    def hang(_camera):
        results.append(stopped.wait(HANGS_S))
        return Frame(PIXELS, 0.0)

    def close(motors, real=Parts.Motors.close):
        real(motors)
        stopped.set()

    monkeypatch.setattr(Parts.Camera, "capture", hang)
    monkeypatch.setattr(Parts.Motors, "close", close)
    parts.drive().run()
    assert results == [True]
    assert_ended_safely(parts)


def test_a_label_has_the_command_at_the_time_of_exposure(monkeypatch):
    """A picture arrives some time after its exposure."""
    parts = Parts([ARM, *[GO] * 20, pad(-0.4, 1.0)])
    parts.latency_s = 0.2
    turned_s = []

    def apply(motors, command, real=Parts.Motors.apply):
        if command.steering < 0 and not turned_s:
            turned_s.append(parts.clock.now())
        real(motors, command)

    monkeypatch.setattr(Parts.Motors, "apply", apply)
    parts.drive().run(duration_s=1.2)
    left = [frame.captured_s for frame, command in parts.pictures if command.steering < 0]
    right = [frame.captured_s for frame, command in parts.pictures if command.steering > 0]
    assert left
    assert right
    assert max(right) <= turned_s[0] + 1e-6
    assert min(left) >= turned_s[0] - 1e-6


def test_motors_that_fail_end_the_run_and_close_the_other_parts(monkeypatch):
    parts = Parts([ARM, GO])

    def close(self):
        self.parts.closed.append("motors")
        raise MotorsFailed("the guard has ended")

    monkeypatch.setattr(Parts.Motors, "close", close)
    with pytest.raises(MotorsFailed):
        parts.drive().run(duration_s=0.1)
    assert sorted(parts.closed) == ["camera", "motors", "pad"]


def test_skipped_ticks_are_counted(monkeypatch):
    parts = Parts([ARM, GO])
    drive = parts.drive()
    slow_s = iter([0.105])

    def apply(motors, command, real=Parts.Motors.apply):
        parts.clock.sleep_until(parts.clock.now() + next(slow_s, 0.0))
        real(motors, command)

    monkeypatch.setattr(Parts.Motors, "apply", apply)
    drive.run(duration_s=0.4)
    assert drive.timing.skipped == 4
    assert drive.timing.ticks + drive.timing.skipped == pytest.approx(20, abs=1)
    assert drive.timing.percentile_s(100) >= drive.timing.percentile_s(50)
