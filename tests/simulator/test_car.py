"""The simulated car: how it moves, and what pushes it."""

import math
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from car.interfaces import Command, RoadKeeping
from car.simulator.motors import SimulatedMotors
from car.simulator.track import load_track
from tests.simulator.worlds import world_at_rest


def test_a_car_with_straight_wheels_goes_straight():
    world = world_at_rest(push_rate_hz=0)
    SimulatedMotors(world).apply(Command(0.0, 0.5))
    world.clock.sleep_until(4.0)
    state = world.state()
    assert state.pose.x_m - load_track("school").x_m[0] > 3.0
    assert abs(state.offset_m) < 1e-9


def test_a_car_accelerates_to_90_percent_of_its_speed_in_a_second():
    world = world_at_rest(push_rate_hz=0)
    SimulatedMotors(world).apply(Command(0.0, 0.5))
    speeds_m_s = []
    for moment in (0.05, 1.0, 2.0):
        world.clock.sleep_until(moment)
        speeds_m_s.append(world.state().speed_m_s)
    early, later, final = speeds_m_s
    assert early < 0.3 * final
    assert 0.9 * final < later < final
    assert 1.0 < final < 1.5


def test_wheels_take_a_moment_to_turn():
    world = world_at_rest(push_rate_hz=0)
    motors = SimulatedMotors(world)
    motors.apply(Command(0.0, 0.3))
    headings_rad = []
    for moment in (2.0, 2.06, 2.12):
        world.clock.sleep_until(moment)
        headings_rad.append(world.state().pose.heading_rad)
        motors.apply(Command(1.0, 0.3))
    at_first, then = abs(np.diff(headings_rad))
    assert 0.2 * then < at_first < 0.6 * then


def test_reverse_goes_back():
    world = world_at_rest(push_rate_hz=0)
    SimulatedMotors(world).apply(Command(0.0, -0.3))
    world.clock.sleep_until(1.0)
    assert world.state().pose.x_m < load_track("school").x_m[0]


@pytest.mark.parametrize(("steering", "side"), [(-1.0, -1), (1.0, 1)], ids=["left", "right"])
def test_steering_left_goes_left_and_right_goes_right(steering, side):
    world = world_at_rest(push_rate_hz=0)
    before = world.state()
    SimulatedMotors(world).apply(Command(steering, 0.3))
    world.clock.sleep_until(1.0)
    after = world.state()
    assert side * after.offset_m > 0.02
    assert side * (after.pose.heading_rad - before.pose.heading_rad) < -0.1


def test_a_drive_does_not_depend_on_how_often_its_state_is_read():
    often, seldom = world_at_rest(seed=4), world_at_rest(seed=4)
    for tick in range(2000):
        often.clock.sleep_until(tick * 0.0013)
        often.state(), often.driver_command()
        if tick % 500 == 0:
            seldom.clock.sleep_until(tick * 0.0013)
            for world in (often, seldom):
                world.apply(Command(0.2 - tick / 5000, 0.4))
    seldom.clock.sleep_until(often.clock.now())
    assert often.state() == seldom.state()
    assert often.driver_command() == seldom.driver_command()


@pytest.fixture
def hasty_threads():
    """Make threads switch often enough to reveal missing locks."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
def test_a_drive_does_not_depend_on_how_many_threads_read_its_state():
    shared, alone = world_at_rest(seed=4), world_at_rest(seed=4)
    for world in (shared, alone):
        world.apply(Command(0.1, 0.4))

    def read():
        for tick in range(300):
            shared.clock.sleep_until(tick * 0.01)
            shared.state(), shared.driver_command()

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone.clock.sleep_until(shared.clock.now())
    assert shared.state() == alone.state()


def test_pushes_turn_the_car_although_nobody_steers():
    offsets_m = []
    for rate_hz in (0.0, 1.0):
        world = world_at_rest(push_rate_hz=rate_hz)
        SimulatedMotors(world).apply(Command(0.0, 0.3))
        world.clock.sleep_until(5.0)
        offsets_m.append(abs(world.state().offset_m))
    assert offsets_m[0] < 1e-9 < 0.05 < offsets_m[1]


@pytest.mark.slow
def test_pushes_come_at_the_requested_rate_and_from_both_sides():
    """A push is seen as a turn of a slow car that is steered straight ahead."""
    world = world_at_rest(push_rate_hz=0.3)
    SimulatedMotors(world).apply(Command(0.0, 0.02))
    headings_rad = []
    for tick in range(20 * 300):
        world.clock.sleep_until(tick / 20)
        headings_rad.append(world.state().pose.heading_rad)
    turned_rad = np.diff(headings_rad)
    for side in (turned_rad > 1e-3, turned_rad < -1e-3):
        starts = np.count_nonzero(side[1:] & ~side[:-1])
        assert 0.08 * 300 < starts < 0.22 * 300


@pytest.mark.parametrize("wrong", [0.0, -0.1, 1.1, math.nan])
def test_a_highest_throttle_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match="max_throttle"):
        world_at_rest(max_throttle=wrong)


@pytest.mark.parametrize("wrong", [-0.1, math.nan])
def test_a_push_rate_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match="push_rate_hz"):
        world_at_rest(push_rate_hz=wrong)


def test_laps_are_counted_forwards_only():
    world = world_at_rest(push_rate_hz=0)
    SimulatedMotors(world).apply(Command(0.0, -0.3))
    world.clock.sleep_until(2.0)
    assert world.state().laps == 0


def test_a_car_beside_the_road_is_not_on_it():
    state = world_at_rest().state()
    assert state.on_road
    assert replace(state, offset_m=-0.39).on_road
    assert not replace(state, offset_m=-0.41).on_road
    assert not replace(state, offset_m=0.41).on_road


def test_how_well_a_car_keeps_to_the_road_is_measured_while_it_drives():
    world = world_at_rest(push_rate_hz=0)
    world.clock.sleep_until(5.0)
    assert world.road_keeping() == RoadKeeping(0.0, 1.0, 0, []), "it stands"
    motors = SimulatedMotors(world)
    motors.apply(Command(0.3, 0.3))
    offsets_m = []
    for tick in range(1, 801):
        world.clock.sleep_until(5.0 + tick / 100)
        offsets_m.append(world.state().offset_m)
    motors.apply(Command(0.0, 0.0))
    world.clock.sleep_until(20.0)
    keeping = world.road_keeping()
    assert keeping.rms_offset_m == pytest.approx(np.sqrt(np.mean(np.square(offsets_m))), rel=0.01)
    assert keeping.on_road == pytest.approx(np.mean(np.abs(offsets_m) <= 0.4), abs=0.01)
    assert 0.1 < keeping.on_road < 0.9
    assert keeping.offsets_m == pytest.approx([0.0, *offsets_m[24::25]][:32], abs=0.02)
    world.restart()
    assert world.road_keeping().offsets_m == []
