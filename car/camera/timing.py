"""Deadlines of cameras, and the measurement of their rate."""

import time
from collections.abc import Callable, Iterator

CLOSE_TIMEOUT_S = 3.0

_NO_PICTURE_S = 1.0
_NO_PICTURE_PERIODS = 5
_NO_FIRST_PICTURE_S = 3.0  # the sensor needs to start, and libcamera drops the first pictures
_NO_FIRST_PICTURE_PERIODS = 15
_WAITS = 10  # the parts of a timeout


def picture_timeout_s(period_s: float) -> float:
    """Return how long to wait for a picture, in seconds."""
    return max(_NO_PICTURE_S, _NO_PICTURE_PERIODS * period_s)


def first_picture_timeout_s(period_s: float) -> float:
    """Return how long to wait for the first picture of a camera that starts, in seconds."""
    return max(_NO_FIRST_PICTURE_S, _NO_FIRST_PICTURE_PERIODS * period_s)


def divide_timeout(timeout_s: float) -> Iterator[float]:
    """Yield short waits, in seconds, that add up to `timeout_s`.

    A wait that takes longer than asked counts only as what was asked: this process was suspended or
    got no processor meanwhile, which says nothing about the camera.
    """
    left_s = timeout_s
    while left_s > 0:
        wait_s = min(left_s, timeout_s / _WAITS)
        started_s = time.monotonic()
        yield wait_s
        left_s -= min(wait_s, time.monotonic() - started_s)


def measure_rate_hz(next_captured_s: Callable[[], float], duration_s: float) -> float:
    """Return the rate of the pictures that arrive over `duration_s`.

    `next_captured_s` waits for a picture and returns when it was captured, in seconds.
    """
    first_s = last_s = next_captured_s()
    count = 0
    while not count or last_s - first_s < duration_s:
        last_s = next_captured_s()
        count += 1
    return count / (last_s - first_s)
