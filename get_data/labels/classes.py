"""Direction and speed classes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Classes:
    """Numbers of classes: equal bins over -1 to 1 (direction) and 0 to max_throttle (speed)."""

    nb_dir: int = 5
    nb_speed: int = 2
    max_throttle: float = 1.0

    def direction(self, steering: float) -> int:
        """Return the class of a steering, -1 to 1: 0 is hardest left, nb_dir - 1 hardest right."""
        return _bin((steering + 1) / 2, self.nb_dir)

    def speed(self, throttle: float) -> int:
        """Return the class of a throttle, -1 to 1: 0 is slowest (and reverse)."""
        return _bin(throttle / self.max_throttle, self.nb_speed)


def _bin(share: float, count: int) -> int:
    return min(max(int(share * count), 0), count - 1)
