"""The simulated pad: the buttons that the simulated driver presses."""

from itertools import pairwise

import pytest

from car.interfaces import NEUTRAL, Button, Command, PadState
from car.simulator.pad import SimulatedPad
from common.errors import PadLost
from tests.simulator.worlds import world_at_rest


def test_the_driver_arms_once_with_the_throttle_released_however_late_the_pad_is_read():
    world = world_at_rest()
    world.clock.sleep_until(10.0)
    pad = SimulatedPad(world)
    first = pad.read()
    assert first.pressed == frozenset({Button.ARM})
    assert first.command == NEUTRAL
    later = pad.read()
    assert later.pressed == frozenset()
    assert later.command.throttle > 0.5


def test_buttons_are_pressed_at_the_requested_times():
    world = world_at_rest()
    pad = SimulatedPad(world, presses=[(3.0, Button.STOP_RUN), (1.0, Button.ERASE)])
    pressed_at_s = {}
    world.apply(Command(0.0, 0.3))
    for tick in range(40):
        world.clock.sleep_until(tick / 10)
        pressed_at_s.update(dict.fromkeys(pad.read().pressed, tick / 10))
    assert pressed_at_s == {Button.ARM: 0.0, Button.ERASE: 1.0, Button.STOP_RUN: 3.0}


def test_a_driver_whose_car_stands_arms_it_again():
    world = world_at_rest()
    pad = SimulatedPad(world)
    pad.read()
    world.apply(Command(0.1, 0.5))
    world.clock.sleep_until(5.0)
    assert pad.read().pressed == frozenset()
    world.apply(NEUTRAL)  # stopped for some reason
    world.clock.sleep_until(5.9)
    world.apply(NEUTRAL)
    assert pad.read().pressed == frozenset()
    world.clock.sleep_until(6.1)
    assert pad.read() == PadState(NEUTRAL, frozenset({Button.ARM}))
    assert pad.read().pressed == frozenset()
    assert pad.read().command.throttle > 0


def test_a_driver_presses_menu_again_until_the_car_is_armed():
    """About once a second, with a release between presses: a held button does not arm."""
    world = world_at_rest()
    pad = SimulatedPad(world)
    pressed = []
    for tick in range(250):
        world.clock.sleep_until(tick / 50)
        pressed.append(Button.ARM in pad.read().pressed)
    assert sum(pressed) == 5
    assert not any(before and after for before, after in pairwise(pressed))


def test_a_driver_who_stopped_the_car_does_not_arm_it_again():
    world = world_at_rest()
    pad = SimulatedPad(world, presses=[(2.0, Button.EMERGENCY_STOP)])
    pad.read()
    world.apply(Command(0.1, 0.5))
    world.clock.sleep_until(2.0)
    assert pad.read().pressed == frozenset({Button.EMERGENCY_STOP})
    world.apply(NEUTRAL)
    world.clock.sleep_until(60.0)
    assert pad.read().pressed == frozenset()


def test_reading_the_pad_takes_no_time():
    world = world_at_rest()
    pad = SimulatedPad(world)
    for _ in range(100):
        pad.read()
    assert world.clock.now() == 0.0


@pytest.mark.parametrize("max_throttle", [0.25, 0.5, 1.0])
def test_full_throttle_on_the_pad_is_the_highest_allowed(max_throttle):
    world = world_at_rest(max_throttle=max_throttle)
    pad = SimulatedPad(world)
    pad.read()
    world.apply(Command(0.0, 0.1))
    for tick in range(200):
        world.clock.sleep_until(tick / 20)
        thumbs, command = pad.read().command, world.driver_command()
        assert 0 <= command.throttle <= max_throttle
        assert thumbs.steering == command.steering
        assert thumbs.throttle * max_throttle == pytest.approx(command.throttle)


def test_a_closed_pad_is_lost():
    pad = SimulatedPad(world_at_rest())
    pad.close()
    pad.close()
    with pytest.raises(PadLost, match="closed"):
        pad.read()
