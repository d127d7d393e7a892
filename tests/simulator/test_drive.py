"""Whole drives of the simulated car, and the clocks that they run on."""

import time

import numpy as np
import pytest

from car.clock import RealClock, VirtualClock
from car.drive import Drive, DriveLimits
from car.interfaces import Command, Frame
from car.simulator.motors import SimulatedMotors
from car.simulator.pad import SimulatedPad
from car.simulator.track import load_track
from car.simulator.world import World
from tests.helpers.waiting import HANGS_S
from tests.simulator.worlds import MAX_THROTTLE, camera_of, world_at_rest


def drive_after(ready_s):
    """Return pictures and pad states of a drive that begins `ready_s` after the world was made."""
    world = world_at_rest(push_rate_hz=1.0)
    camera, pad, motors = camera_of(world), SimulatedPad(world), SimulatedMotors(world)
    camera.capture()  # as the checks do
    world.clock.sleep_until(ready_s)
    pad.discard_presses()
    records = []
    for _ in range(100):
        frame, state = camera.capture(), pad.read()
        motors.apply(Command(state.command.steering, state.command.throttle * MAX_THROTTLE))
        records.append((round(frame.captured_s - ready_s, 6), frame.pixels.tobytes(), state))
    assert world.state().speed_m_s > 0
    return records, camera.missed


@pytest.mark.parametrize("ready_s", [0.111, 1.0, 7.77])
def test_the_same_seed_gives_the_same_drive_however_long_the_checks_took(ready_s):
    assert drive_after(ready_s) == drive_after(0.03)


def test_a_drive_that_was_stopped_goes_on_with_one_press_of_menu():
    world = world_at_rest()
    records = []

    class StoppingMotors(SimulatedMotors):
        @property
        def stop_reason(self):
            return "commands came too late" if 2.0 <= world.clock.now() <= 2.1 else ""

        def apply(self, command):
            records.append((world.clock.now(), command.throttle))
            super().apply(command)

    class StillCamera:
        def capture(self):
            time.sleep(0.01)
            return Frame(np.zeros((12, 16, 3), np.uint8), world.clock.now())

        def close(self):
            pass

    drive = Drive(
        camera=StillCamera(),
        pad=SimulatedPad(world),
        motors=StoppingMotors(world),
        clock=world.clock,
        limits=DriveLimits(MAX_THROTTLE),
        on_frame=lambda _frame: None,
        on_picture=lambda _frame, _command: None,
        on_erase=lambda: None,
        on_pause=lambda: None,
    )
    drive.run(duration_s=10.0)
    assert drive.stop_counts == {"commands came too late": 1}
    standing = [moment_s for moment_s, throttle in records[:-1] if moment_s > 1 and not throttle]
    assert 1.9 < min(standing) < 2.1
    assert 3.0 < max(standing) < 3.2


@pytest.mark.slow
def test_a_simulated_car_drives_in_real_time(monkeypatch):
    """All parts run together, as in a real drive."""
    monkeypatch.setattr("car.drive.COMMAND_TIMEOUT_S", HANGS_S)  # a busy machine may delay the loop
    clock = RealClock()
    world = World(seed=1, clock=clock, max_throttle=MAX_THROTTLE)
    frames = []
    drive = Drive(
        camera=camera_of(world, rate_hz=50.0),
        pad=SimulatedPad(world),
        motors=SimulatedMotors(world),
        clock=clock,
        limits=DriveLimits(MAX_THROTTLE),
        on_frame=lambda _frame: None,
        on_picture=lambda frame, command: frames.append(frame),
        on_erase=lambda: None,
        on_pause=lambda: None,
    )
    start_s = time.monotonic()
    drive.run(duration_s=0.8)
    assert time.monotonic() - start_s >= 0.8
    assert world.state().pose.x_m - load_track("school").x_m[0] > 0.1
    assert frames
    moments = [frame.captured_s for frame in frames]
    assert moments == sorted(set(moments))


def test_a_virtual_clock_jumps_ahead_and_never_back():
    clock = VirtualClock(5.0)
    clock.sleep_until(7.0)
    clock.sleep_until(6.0)
    assert clock.now() == 7.0


def test_a_real_clock_waits_for_a_future_moment_and_not_for_a_past_one():
    clock = RealClock()
    start_s = clock.now()
    clock.sleep_until(start_s + 0.05)
    clock.sleep_until(start_s)
    assert clock.now() - start_s >= 0.05
