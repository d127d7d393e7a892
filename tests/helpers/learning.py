"""A model that learns to drive from a recorded drive, as a test of the data.

Ridge regression on small grey pictures is the weakest sufficient learner, so a fault in the
pictures, the labels or their timing shows at once. Everything runs on a virtual clock.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from car.clock import VirtualClock
from car.interfaces import Command, Pixels
from car.simulator.camera import SimulatedCamera
from car.simulator.motors import SimulatedMotors
from car.simulator.pad import SimulatedPad
from car.simulator.track import Floats
from car.simulator.world import World

RATE_HZ = 20.0
WIDTH_PX, HEIGHT_PX = 40, 30
RIDGE = 30.0
FAST, SLOW = 0.35, 0.2  # throttle with the wheels about straight, and otherwise
STRAIGHT = 0.25  # steering up to here is about straight
LONGEST_LAP_S = 120.0


@dataclass(frozen=True)
class Lesson:
    """Pictures as rows of grey levels from 0 to 1, and the steering that goes with each."""

    pictures: Floats
    steering: Floats


@dataclass(frozen=True)
class Model:
    """Steering as a weighted sum of grey levels."""

    weights: Floats
    bias: float

    def steering(self, pictures: Floats) -> Floats:
        """Return the steering for each row of grey levels."""
        return np.asarray(pictures @ self.weights + self.bias, np.float64)


@dataclass(frozen=True)
class Outcome:
    """Outcome of a drive."""

    laps: int
    left_road: bool
    rms_offset_m: float


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
        seen.append(_small_grey(frame.pixels))
        steering.append(thumbs.steering)
    return Lesson(np.array(seen), np.array(steering))


def mirrored(lesson: Lesson) -> Lesson:
    """Return the same drive on a track that bends the other way."""
    pictures = lesson.pictures.reshape(-1, HEIGHT_PX, WIDTH_PX)[:, :, ::-1]
    return Lesson(pictures.reshape(lesson.pictures.shape), -lesson.steering)


def fit(lesson: Lesson) -> Model:
    """Fit a model with small weights to the lesson and its mirror image."""
    other = mirrored(lesson)
    pictures = np.concatenate([lesson.pictures, other.pictures])
    steering = np.concatenate([lesson.steering, other.steering])  # 0 on average, being mirrored
    average = pictures.mean(axis=0)
    centred = pictures - average
    squares = centred.T @ centred + RIDGE * np.eye(centred.shape[1])
    weights = np.linalg.solve(squares, centred.T @ steering)
    return Model(weights, bias=-float(average @ weights))


def r_squared(model: Model, lesson: Lesson) -> float:
    """Return how much of the steering in a lesson the model explains; at most 1."""
    missed = lesson.steering - model.steering(lesson.pictures)
    return 1 - float(missed.var() / lesson.steering.var())


def drive(model: Model, track: str, *, seed: int, laps: int, push_rate_hz: float = 0.0) -> Outcome:
    """Let the model drive until it has done its laps, left the road or taken far too long."""
    world = World(track, seed=seed, clock=VirtualClock(), push_rate_hz=push_rate_hz)
    camera, motors = _camera(world), SimulatedMotors(world)
    offsets_m = []
    state = world.state()
    while state.laps < laps and state.on_road and world.clock.now() < laps * LONGEST_LAP_S:
        steering = float(model.steering(_small_grey(camera.capture().pixels)))
        motors.apply(Command(steering, FAST if abs(steering) < STRAIGHT else SLOW))
        state = world.state()
        offsets_m.append(state.offset_m)
    rms_offset_m = float(np.sqrt(np.mean(np.square(offsets_m))))
    return Outcome(state.laps, not state.on_road, rms_offset_m)


def _camera(world: World) -> SimulatedCamera:
    return SimulatedCamera(world, width_px=160, height_px=120, rate_hz=RATE_HZ)


def _small_grey(pixels: Pixels) -> Floats:
    """Return the picture as the model sees it."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float64).ravel() / 255
