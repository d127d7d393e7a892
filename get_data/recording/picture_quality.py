"""How bright and how sharp pictures are, measured cheaply while they are recorded.

Sharpness is told apart by direction. Lens and focus blur all edges alike; a car that moves while
the shutter is open smears its pictures in one direction and keeps edges across the other.
"""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from get_data.recording.wire import PictureQuality

MEASURE_PERIOD_S = 0.5
"""Period at which one picture is measured: more would say the same."""

# From real pictures, as they are and blurred: docs/scripts.md, "The report of a drive".
BLURRED = 0.2  # of an edge: blurred over about a pixel to each side
SMEARED = 0.12  # of an edge: blurred over about five pixels
DARK = 64  # the brightest twentieth of the road is darker than a quarter of full brightness
OVEREXPOSED = 0.25  # share of the road that is white
WHITE = 250

_WIDTH_PX = 160  # wider pictures are reduced: models see about this size
_BRIGHTEST = 0.95  # quantile


class Measures(NamedTuple):
    """Measures of one picture.

    `brightness` is the mean, 0 to 255. `horizontal` and `vertical` are the sharpness of changes
    along that direction: the energy of second derivatives beside that of first ones, so contrast
    does not matter. 0.4 and more is sharp.
    """

    brightness: float
    horizontal: float
    vertical: float
    is_dark: bool
    is_overexposed: bool

    @property
    def is_out_of_focus(self) -> bool:
        """Whether edges in all directions are blurred."""
        return max(self.horizontal, self.vertical) < BLURRED

    @property
    def is_smeared(self) -> bool:
        """Whether edges in one direction only are blurred, and more than a little."""
        return not self.is_out_of_focus and min(self.horizontal, self.vertical) < SMEARED


def measure(frame: NDArray[np.uint8]) -> Measures:
    """Measure a frame (height, width, 3) in BGR."""
    grey = np.asarray(cv2.cvtColor(_reduce(frame), cv2.COLOR_BGR2GRAY), np.uint8)
    # the road: above it, windows and sky are white and walls are dark without harm
    road = grey[grey.shape[0] // 2 :]
    up_to = np.cumsum(np.bincount(road.ravel(), minlength=256)) / road.size
    return Measures(
        brightness=cv2.mean(grey)[0],
        horizontal=_sharpness(grey, 1, 0),
        vertical=_sharpness(grey, 0, 1),
        is_dark=int(np.searchsorted(up_to, _BRIGHTEST)) < DARK,
        is_overexposed=bool(1 - up_to[WHITE - 1] > OVEREXPOSED),
    )


def _reduce(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = frame.shape[:2]
    if width <= _WIDTH_PX:
        return frame
    size = _WIDTH_PX, max(1, round(height * _WIDTH_PX / width))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def _sharpness(grey: NDArray[np.uint8], horizontal: int, vertical: int) -> float:
    """Return the sharpness in the direction that is 1; without any edge, that of a sharp one."""
    first = cv2.Sobel(grey, cv2.CV_16S, horizontal, vertical, ksize=3)
    second = cv2.Sobel(grey, cv2.CV_16S, 2 * horizontal, 2 * vertical, ksize=3)
    energy = cv2.norm(first, cv2.NORM_L2SQR)
    return cv2.norm(second, cv2.NORM_L2SQR) / energy if energy else 1.0


def summarize(measured: Sequence[Measures]) -> PictureQuality:
    """Return the medians of the measures, and the shares of pictures with each fault."""
    if not measured:
        return PictureQuality()

    def share(faults: Sequence[bool]) -> float:
        return round(sum(faults) / len(measured), 3)

    return PictureQuality(
        measured=len(measured),
        brightness=round(median(each.brightness for each in measured), 1),
        sharpness_horizontal=round(median(each.horizontal for each in measured), 3),
        sharpness_vertical=round(median(each.vertical for each in measured), 3),
        dark=share([each.is_dark for each in measured]),
        overexposed=share([each.is_overexposed for each in measured]),
        out_of_focus=share([each.is_out_of_focus for each in measured]),
        smeared=share([each.is_smeared for each in measured]),
    )
