"""Simulated worlds on a virtual clock."""

from car.clock import VirtualClock
from car.simulator.camera import SimulatedCamera
from car.simulator.motors import SimulatedMotors
from car.simulator.world import World

MAX_THROTTLE = 0.5


def world_at_rest(track="school", *, seed=1, **options):
    return World(track, seed=seed, clock=VirtualClock(), **options)


def camera_of(world, *, width_px=160, height_px=120, rate_hz=20.0):
    return SimulatedCamera(world, width_px=width_px, height_px=height_px, rate_hz=rate_hz)


def follow_driver(world, *, rate_hz=20.0):
    """Apply each command of the driver; yield the car's state and the command, tick by tick."""
    motors = SimulatedMotors(world)
    for tick in range(1_000_000):
        world.clock.sleep_until(world.started_s + tick / rate_hz)
        command = world.driver_command()
        motors.apply(command)
        yield world.state(), command
