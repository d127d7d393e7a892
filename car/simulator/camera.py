"""The camera of the simulated car."""

from math import ceil, floor

from car.interfaces import Frame
from car.simulator.view import SimulatedView
from car.simulator.world import CLOCK_TOLERANCE_S, World
from common.errors import CameraFailed


class SimulatedCamera:
    """Camera at a steady rate; a slow reader misses pictures."""

    def __init__(self, world: World, *, width_px: int, height_px: int, rate_hz: float) -> None:
        """Prepare the view of the world's track.

        Raises:
            ValueError: a size or the rate is not above 0.
        """
        if width_px < 1 or height_px < 1 or not rate_hz > 0:
            raise ValueError(f"no camera takes {width_px}x{height_px} pixels at {rate_hz} Hz")
        self._world = world
        self._width_px, self._height_px, self._rate_hz = width_px, height_px, rate_hz
        self._view = SimulatedView(world.track, width_px, height_px, seed=world.seed)
        self._start_s = world.started_s
        self._number = -1
        self._missed = 0
        self._closed = False

    @property
    def missed(self) -> int:
        """Number of pictures that were replaced by the next one before they were fetched."""
        return self._missed

    def describe(self) -> str:
        """Return the camera and its pictures, in one line."""
        return f"simulated camera: {self._width_px}x{self._height_px} at {self._rate_hz:g} Hz"

    def measure_rate_hz(self, duration_s: float) -> float:
        """Return the rate without measuring it: the world's clock keeps it."""
        return self._rate_hz

    def check_colours(self) -> str:
        """Return that the colours are right, as they are drawn."""
        return "red is red and blue is blue"

    def advice(self) -> str:
        """Return "": the pictures show all there is."""
        return ""

    def capture(self) -> Frame:
        """Wait for the next picture and return it.

        Takes a period at most, or two if the world restarts meanwhile.

        Raises:
            CameraFailed: the camera is closed.
        """
        if self._closed:
            raise CameraFailed("the simulated camera is closed")
        due = self._wait_for_next()
        # The car has moved on if this thread woke up late, so the picture is a later one.
        number = max(due, floor(self._elapsed_periods(CLOCK_TOLERANCE_S)))
        self._missed += number - self._number - 1 if self._number >= 0 else 0
        self._number = number
        captured_s = self._capture_time_s(self._number)
        pose = self._world.pose_at(captured_s)
        pixels = self._view.render(pose, captured_s - self._start_s, self._number)
        return Frame(pixels, captured_s)

    def _wait_for_next(self) -> int:
        """Wait for the next picture; return its number since the world's last restart."""
        while True:
            start_s = self._world.started_s
            if start_s != self._start_s:
                self._start_s, self._number = start_s, -1
            due = max(self._number + 1, ceil(self._elapsed_periods(-CLOCK_TOLERANCE_S)))
            self._world.clock.sleep_until(self._capture_time_s(due))
            if start_s == self._world.started_s:  # else the world restarted during the sleep
                return due

    def close(self) -> None:
        """Stop taking pictures. May be called twice."""
        self._closed = True

    def _elapsed_periods(self, tolerance_s: float) -> float:
        elapsed_s = self._world.clock.now() - self._start_s
        return (elapsed_s + tolerance_s) * self._rate_hz

    def _capture_time_s(self, number: int) -> float:
        return self._start_s + number / self._rate_hz
