"""The simulated motors: range, closing, and the guard that does not start."""

import math
import sys
import threading
from pathlib import Path

import pytest

from car.interfaces import NEUTRAL, Command
from car.simulator.motors import GuardedSimulatedMotors, SimulatedMotors
from common.errors import MotorsFailed
from tests.simulator.worlds import world_at_rest


@pytest.mark.parametrize(
    "command", [Command(math.nan, 0.0), Command(0.0, math.nan)], ids=["steering", "throttle"]
)
def test_motors_refuse_nan_and_keep_the_last_command(command):
    world, other = world_at_rest(), world_at_rest()
    for car in (world, other):
        SimulatedMotors(car).apply(Command(0.1, 0.2))
    with pytest.raises(ValueError, match="not a number"):
        SimulatedMotors(world).apply(command)
    for car in (world, other):
        car.clock.sleep_until(1.0)
    assert world.state() == other.state()


@pytest.mark.parametrize(
    ("command", "clamped"),
    [
        (Command(5.0, 0.3), Command(1.0, 0.3)),
        (Command(-math.inf, 0.3), Command(-1.0, 0.3)),
        (Command(0.0, 2.0), Command(0.0, 1.0)),
        (Command(0.0, -math.inf), Command(0.0, -1.0)),
    ],
    ids=str,
)
def test_motors_clamp_values_out_of_range(command, clamped):
    states = []
    for sent in (command, clamped):
        world = world_at_rest(push_rate_hz=2.0)
        SimulatedMotors(world).apply(sent)
        world.clock.sleep_until(2.0)
        states.append(world.state())
    assert states[0] == states[1]


def test_closed_motors_leave_the_car_at_neutral():
    world = world_at_rest()
    motors = SimulatedMotors(world)
    motors.apply(Command(0.0, 0.5))
    world.clock.sleep_until(1.0)
    motors.close()
    motors.close()
    world.clock.sleep_until(5.0)
    assert world.state().speed_m_s < 0.01


def test_closed_motors_take_no_command():
    motors = SimulatedMotors(world_at_rest())
    motors.close()
    with pytest.raises(RuntimeError, match="closed"):
        motors.apply(NEUTRAL)


def test_a_guard_that_cannot_start_leaves_no_thread_and_no_descriptor(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'no such module' >&2\nexit 1\n")
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    before = len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
    with pytest.raises(MotorsFailed, match="no such module"):
        GuardedSimulatedMotors(world_at_rest())
    assert (len(list(Path("/proc/self/fd").iterdir())), threading.active_count()) == before
