"""Direction and speed classes: bins of steering and throttle."""

from dataclasses import dataclass
from functools import lru_cache

STRAIGHT = 0.2
"""Steering up to here, to either side, counts as straight: the middle of five classes."""

STRAIGHT_HEAVY = 0.7
"""From this share of straight pictures on, a model learns to go straight on."""


@dataclass(frozen=True, slots=True)
class Bins:
    """Equal bins from `low` to `high`, numbered from 0; the outer ones reach beyond.

    A value on an edge is in the upper bin. `values.js` has the same arithmetic, operation by
    operation, so that the page and the server agree about every float.
    """

    count: int
    low: float
    high: float

    def class_of(self, value: float) -> int:
        """Return the bin of a value; 0 if the bins have no width."""
        width = self.high - self.low
        scaled = (value - self.low) / width * self.count if width > 0 else 0.0
        if 0 <= scaled < self.count:
            return int(scaled)
        return int(min(max(scaled, 0), self.count - 1))

    def centre(self, number: int) -> float:
        """Return the value in the middle of a bin."""
        upper_parts = 2 * number + 1
        lower_parts = 2 * self.count - upper_parts
        return (self.low * lower_parts + self.high * upper_parts) / (2 * self.count)

    def value_in(self, number: int, raw: float | None) -> float:
        """Return the value of a label whose class is set to `number`.

        It is what the driver did, `raw`, if that is in the bin, else the bin's centre.
        """
        if raw is not None and self.class_of(raw) == number:
            return raw
        return self.centre(number)


@lru_cache
def direction_bins(nb_dir: int) -> Bins:
    """Return the bins of the direction classes: 0 is hardest left, the last one hardest right."""
    return Bins(nb_dir, -1.0, 1.0)


@lru_cache
def speed_bins(nb_speed: int, max_throttle: float) -> Bins:
    """Return the bins of the speed classes: 0 is slowest (and reverse)."""
    return Bins(nb_speed, 0.0, max_throttle)


@dataclass(frozen=True, slots=True)
class Classes:
    """Numbers of classes: equal bins over -1 to 1 (direction) and 0 to max_throttle (speed)."""

    nb_dir: int = 5
    nb_speed: int = 2
    max_throttle: float = 1.0

    def direction(self, steering: float) -> int:
        """Return the class of a steering, -1 to 1."""
        return direction_bins(self.nb_dir).class_of(steering)

    def speed(self, throttle: float) -> int:
        """Return the class of a throttle, -1 to 1."""
        return speed_bins(self.nb_speed, self.max_throttle).class_of(throttle)
