"""Which pictures a recording leaves out because the car stands still.

They repeat one picture with throttle 0, and a model trained on them learns to stand. A car that
has just lost its throttle may still roll, so the first second is recorded.
"""

from get_data.labels.constants import STANDING_S


class StandingFilter:
    """Decides picture by picture; it reads no clock but the times of the pictures.

    `waiting`: whether the last picture was left out. `waits`: how often recording began to wait.
    `left_out`: pictures left out so far.
    """

    def __init__(self, recorded_s: float = STANDING_S) -> None:
        """Record a car without throttle for `recorded_s`; `inf` leaves nothing out."""
        self._recorded_s = recorded_s
        self._stopped_s: float | None = None  # time of the first picture without throttle
        self.waiting = False
        self.waits = 0
        self.left_out = 0

    def admits(self, captured_s: float, throttle: float) -> bool:
        """Return whether a picture is recorded, given the throttle at its exposure.

        `captured_s` is monotonic. A throttle counts as released when it is 0: the drive has applied
        dead zones by then.
        """
        if throttle:
            self._stopped_s = None
        elif self._stopped_s is None:
            self._stopped_s = captured_s
        waited = self.waiting
        self.waiting = (
            self._stopped_s is not None and captured_s - self._stopped_s >= self._recorded_s
        )
        self.waits += self.waiting and not waited
        self.left_out += self.waiting
        return not self.waiting
