"""Disturbances of the simulated car: bumps and gusts that turn its wheels for a while."""

from math import inf

import numpy as np

_DURATION_S = 0.5
_STRENGTH = 0.2, 0.4  # weakest and strongest; 1 is full lock


class Pushes:
    """Random pushes to either side; the driver only sees their effect on the car."""

    def __init__(self, rate_hz: float, rng: np.random.Generator) -> None:
        self._mean_pause_s = max(1 / rate_hz - _DURATION_S, 0.0) if rate_hz else inf
        self._rng = rng
        self._plan(after_s=0.0)

    def steering(self, moment_s: float) -> float:
        """Return the steering that the push adds at a time; times must not decrease."""
        if moment_s >= self._start_s + _DURATION_S:
            self._plan(after_s=moment_s)
        return self._strength if moment_s >= self._start_s else 0.0

    def _plan(self, after_s: float) -> None:
        self._start_s = after_s + self._mean_pause_s * self._rng.exponential()
        self._strength = self._rng.uniform(*_STRENGTH) * self._rng.choice((-1, 1))
