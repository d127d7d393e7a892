"""The simulated person who drives the car."""

from collections import deque
from math import atan, atan2, exp, hypot, sin, sqrt

import numpy as np

from car.interfaces import NEUTRAL, Command, clamp
from car.simulator.car_model import MAX_STEERING_RAD, STEP_S, WHEELBASE_M
from car.simulator.track import Pose, RoadPosition, Track

STEPS_PER_UPDATE = 2
_PERIOD_S = STEP_S * STEPS_PER_UPDATE

_REACTION_S = 0.17
_LOOK_AHEAD_M = 0.5
_BRAKING_M = 0.75
_HIGHEST_THROTTLE = 0.5  # even if more is allowed: above it, the driver reacts too late
_STRAIGHT_THROTTLE = 0.9  # share of the highest throttle
_THROTTLE_PER_CURVATURE_M = 0.47  # reduction for a curvature of 1/m
_STEERING_NOISE = 0.05
_THROTTLE_NOISE = 0.02
_NOISE_CORRELATION_S = 0.1
_NOISE_DECAY = exp(-_PERIOD_S / _NOISE_CORRELATION_S)
_NEW_NOISE = sqrt(1 - _NOISE_DECAY**2)


class Driver:
    """A person who looks ahead, reacts late, has unsteady thumbs and slows down for bends."""

    def __init__(self, track: Track, max_throttle: float, rng: np.random.Generator) -> None:
        self.command = NEUTRAL
        self._track = track
        self._max_throttle = min(max_throttle, _HIGHEST_THROTTLE)
        self._rng = rng
        self._seen: deque[tuple[Pose, RoadPosition]] = deque(maxlen=round(_REACTION_S / _PERIOD_S))
        self._noise = 0.0, 0.0  # of both thumbs, with standard deviation 1
        self._target_points = track.points_ahead(_LOOK_AHEAD_M)
        self._tightest_per_m: list[float] = track.tightest_ahead(_BRAKING_M).tolist()

    def update(self, pose: Pose, position: RoadPosition) -> None:
        """Show the car to the driver, who steers by what was seen a reaction time ago."""
        self._seen.append((pose, position))
        if len(self._seen) < (self._seen.maxlen or 0):
            return
        thumbs = zip(self._noise, self._rng.standard_normal(2).tolist(), strict=True)
        of_stick, of_trigger = (_NOISE_DECAY * old + _NEW_NOISE * new for old, new in thumbs)
        self._noise = of_stick, of_trigger
        steering = self._steering(*self._seen[0]) + _STEERING_NOISE * of_stick
        throttle = self._throttle(position) + _THROTTLE_NOISE * of_trigger
        self.command = Command(clamp(steering), self._max_throttle * max(0.0, min(throttle, 1.0)))

    def _steering(self, pose: Pose, position: RoadPosition) -> float:
        """Return the steering with which the car's arc meets the middle of the road ahead."""
        target = self._track.pose(position.index + self._target_points)
        east_m, north_m = target.x_m - pose.x_m, target.y_m - pose.y_m
        bearing_rad = atan2(north_m, east_m) - pose.heading_rad
        curvature_per_m = 2 * sin(bearing_rad) / hypot(east_m, north_m)
        return -atan(curvature_per_m * WHEELBASE_M) / MAX_STEERING_RAD

    def _throttle(self, position: RoadPosition) -> float:
        """Return the share of the highest throttle that suits the tightest bend in sight."""
        return _STRAIGHT_THROTTLE - _THROTTLE_PER_CURVATURE_M * self._tightest_per_m[position.index]
