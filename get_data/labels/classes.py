"""Direction and speed classes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Classes:
    """How steering and throttle become classes: equal bins over -1..1 and 0..max_throttle."""

    nb_dir: int = 5
    nb_speed: int = 2
    max_throttle: float = 1.0

    def direction(self, steering: float) -> int:
        """0 for hardest left to nb_dir - 1 for hardest right; steering -1 .. 1."""
        return _bin((steering + 1) / 2, self.nb_dir)

    def speed(self, throttle: float) -> int:
        """0 for slowest (and reverse) to nb_speed - 1; throttle -1 .. 1."""
        return _bin(throttle / self.max_throttle, self.nb_speed)


def _bin(share: float, count: int) -> int:
    return min(max(int(share * count), 0), count - 1)
