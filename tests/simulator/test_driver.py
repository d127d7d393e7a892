"""The simulated driver: how it steers, and how fast it drives."""

import numpy as np
import pytest

from car.constants import TRACKS
from car.interfaces import Command
from get_data.labels.classes import Classes
from tests.simulator.worlds import MAX_THROTTLE, follow_driver, world_at_rest


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_driver_stays_on_the_road_for_ten_laps(track, seed):
    for state, _ in follow_driver(world_at_rest(track.name, seed=seed)):
        assert state.on_road, state
        if state.laps == 10:
            break


@pytest.mark.slow
def test_the_driver_stays_on_the_road_with_full_throttle_allowed(track):
    for state, _ in follow_driver(world_at_rest(track.name, max_throttle=1.0)):
        assert state.on_road, state
        if state.laps == 2:
            break


@pytest.fixture(scope="module", params=TRACKS)
def three_laps(request):
    states, commands = [], []
    for state, command in follow_driver(world_at_rest(request.param, seed=1)):
        states.append(state)
        commands.append(command)
        if state.laps == 3:
            return states, commands


@pytest.mark.slow
def test_a_drive_has_pictures_of_every_class(three_laps):
    _, commands = three_laps
    classes = Classes(max_throttle=MAX_THROTTLE)
    directions = np.bincount(
        [classes.direction(command.steering) for command in commands], minlength=5
    )
    speeds = np.bincount([classes.speed(command.throttle) for command in commands], minlength=2)
    assert directions.min() > 0.05 * len(commands)
    assert speeds.min() > 0.2 * len(commands)


def test_the_driver_is_fast_on_straights_and_slow_in_bends(three_laps):
    speeds_m_s = [state.speed_m_s for state in three_laps[0]]
    slow, fast = np.percentile(speeds_m_s[100:], [10, 99])
    assert 0.3 < slow < 0.8
    assert 1.0 < fast < 1.5


def test_a_drive_shows_recoveries(three_laps):
    offsets_m = [state.offset_m for state in three_laps[0]]
    assert np.sqrt(np.mean(np.square(offsets_m))) < 0.1
    assert min(offsets_m) < -0.1
    assert max(offsets_m) > 0.1


def test_the_driver_reacts_after_a_reaction_time():
    """With pushes, the commands differ a little later than the states of the car do."""
    calm, pushed = (world_at_rest(push_rate_hz=rate_hz) for rate_hz in (0.0, 5.0))
    differ_at_s: dict[str, float] = {}
    for tick in range(200):
        for world in (calm, pushed):
            world.clock.sleep_until(tick / 100)
            world.apply(Command(0.0, 0.4))
        if calm.state() != pushed.state():
            differ_at_s.setdefault("cars", tick / 100)
        if calm.driver_command() != pushed.driver_command():
            differ_at_s.setdefault("thumbs", tick / 100)
    assert 0.15 <= differ_at_s["thumbs"] - differ_at_s["cars"] <= 0.20
