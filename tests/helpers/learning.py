"""A model that learns to drive from a recorded drive, as a test of the data.

Ridge regression on small grey pictures is the weakest sufficient learner, so a fault in the
pictures, the labels or their timing shows at once. It is that of `docs/examples/train.py`, and it
drives as a pilot of `run_manual.py` does. Everything runs on a virtual clock.
"""

from dataclasses import dataclass

import numpy as np

from car.clock import VirtualClock
from car.interfaces import Command, clamp_command
from car.pilot.model import Layer, Model, small_grey
from car.simulator.camera import SimulatedCamera
from car.simulator.motors import SimulatedMotors
from car.simulator.pad import SimulatedPad
from car.simulator.track import Floats
from car.simulator.world import World
from docs.examples import train

RATE_HZ = 20.0
WIDTH_PX, HEIGHT_PX = train.WIDTH, train.HEIGHT
RIDGE = 30.0  # more than enough for the whole of these drives, so that faults of a set show
FAST, SLOW = 0.35, 0.2  # throttle with the wheels about straight, and otherwise
STRAIGHT = 0.25  # steering up to here is about straight
LONGEST_LAP_S = 120.0


@dataclass(frozen=True)
class Lesson:
    """Pictures as rows of grey levels from 0 to 1, and the steering that goes with each."""

    pictures: Floats
    steering: Floats

    @property
    def commands(self) -> Floats:
        """Steering, and the throttle that suits it."""
        return np.column_stack([self.steering, throttle_for(self.steering)])


@dataclass(frozen=True)
class Outcome:
    """Outcome of a drive."""

    laps: int
    left_road: bool
    rms_offset_m: float


def throttle_for(steering: Floats) -> Floats:
    """Return a throttle that follows from the steering, so that nothing else is judged."""
    return np.where(np.abs(steering) < STRAIGHT, FAST, SLOW)


def record(track: str, *, seed: int, pictures: int) -> Lesson:
    """Record this many pictures of the simulated driver."""
    world = World(track, seed=seed, clock=VirtualClock())
    camera = _camera(world)
    pad, motors = SimulatedPad(world), SimulatedMotors(world)
    seen, steering = [], []
    for _ in range(pictures):
        frame = camera.capture()
        thumbs = pad.read().command
        motors.apply(Command(thumbs.steering, thumbs.throttle * world.max_throttle))
        seen.append(small_grey(frame.pixels, WIDTH_PX, HEIGHT_PX))
        steering.append(thumbs.steering)
    return Lesson(np.array(seen), np.array(steering))


def mirrored(lesson: Lesson) -> Lesson:
    """Return the same drive on a track that bends the other way."""
    pictures = lesson.pictures.reshape(-1, HEIGHT_PX, WIDTH_PX)[:, :, ::-1]
    return Lesson(pictures.reshape(lesson.pictures.shape), -lesson.steering)


def fit(lesson: Lesson) -> Model:
    """Fit a model with small weights to the lesson and its mirror image."""
    layer = Layer(*train.fit(lesson.pictures, lesson.commands, RIDGE))
    return Model(WIDTH_PX, HEIGHT_PX, [layer], source="lesson", sha256="")


def r_squared(model: Model, lesson: Lesson) -> float:
    """Return how much of the steering in a lesson the model explains; at most 1."""
    missed = lesson.steering - model.predict(lesson.pictures)[:, 0]
    return 1 - float(missed.var() / lesson.steering.var())


def drive(model: Model, track: str, *, seed: int, laps: int, push_rate_hz: float = 0.0) -> Outcome:
    """Let the model drive until it has done its laps, left the road or taken far too long."""
    world = World(track, seed=seed, clock=VirtualClock(), push_rate_hz=push_rate_hz)
    camera, motors = _camera(world), SimulatedMotors(world)
    state = world.state()
    while state.laps < laps and state.on_road and world.clock.now() < laps * LONGEST_LAP_S:
        steering = model.command(camera.capture().pixels).steering
        motors.apply(clamp_command(Command(steering, float(throttle_for(np.float64(steering))))))
        state = world.state()
    return Outcome(state.laps, not state.on_road, world.road_keeping().rms_offset_m)


def _camera(world: World) -> SimulatedCamera:
    return SimulatedCamera(world, width_px=160, height_px=120, rate_hz=RATE_HZ)
