"""Statistics of a LeRobotDataset, by which models scale what they see and do.

Of numbers they are exact. Of pixels they are those of as many pictures of an episode, evenly
spread, as LeRobot's own recorder takes: all up to 100, then 177 of 1,000 and 1,000 of 10,000. What
is kept of these is a histogram, so that quantiles are exact, too: a pixel has 256 values.

Source: lerobot/datasets/compute_stats.py of LeRobot 0.6 (`sample_images`, `get_feature_stats`).
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}

Floats = NDArray[np.float64]
Stats = dict[str, Floats]  # by name: min, max, mean, std, count, q01 ...

_FEWEST, _MOST, _POWER = 100, 10_000, 0.75
_LONG_SIDE_PX = 300  # from here on LeRobot leaves pixels out
_SMALL_SIDE_PX = 150
_LEVELS = np.arange(256)


def looked_at(pictures: int) -> set[int]:
    """Return the numbers of the pictures of an episode whose pixels are looked at."""
    count = max(min(_FEWEST, pictures), min(int(pictures**_POWER), _MOST))
    return set(np.round(np.linspace(0, pictures - 1, count)).astype(int).tolist())


class PixelStats:
    """Statistics of pixels by colour (red, green, blue, or grey), from 0 to 1."""

    def __init__(self, colours: int) -> None:
        self._levels = np.zeros((colours, 256), np.int64)
        self._pictures = 0

    def add(self, content: bytes) -> bool:
        """Add the pixels of a JPEG; return False if it cannot be decoded."""
        grey = len(self._levels) == 1
        mode = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR
        try:
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), mode)
        except cv2.error:
            pixels = None
        if pixels is None:
            return False
        height, width = pixels.shape[:2]
        if max(height, width) >= _LONG_SIDE_PX:
            step = max(int((width if width > height else height) / _SMALL_SIDE_PX), 1)
            pixels = np.ascontiguousarray(pixels[::step, ::step])
        for colour, levels in enumerate(self._levels):
            channel = 0 if grey else 2 - colour  # OpenCV has blue first
            counts = cv2.calcHist([pixels], [channel], None, [256], [0, 256])
            levels += counts.ravel().astype(np.int64)
        self._pictures += 1
        return True

    def merge(self, other: "PixelStats") -> None:
        """Add what another one has counted."""
        self._levels += other._levels
        self._pictures += other._pictures

    def stats(self) -> Stats:
        """Return the statistics, of shape (colours, 1, 1), and the number of pictures."""
        pixels = self._levels.sum(axis=1)
        mean = self._levels @ _LEVELS / pixels
        variance = self._levels @ _LEVELS**2 / pixels - mean**2
        reached = np.cumsum(self._levels, axis=1)
        found = {
            "min": np.argmax(self._levels > 0, axis=1),
            "max": 255 - np.argmax(self._levels[:, ::-1] > 0, axis=1),
            "mean": mean,
            "std": np.sqrt(np.maximum(variance, 0)),
        }
        for name, share in QUANTILES.items():
            found[name] = np.argmax(reached >= (share * pixels)[:, None], axis=1)
        scaled = {name: (value / 255).reshape(-1, 1, 1) for name, value in found.items()}
        return scaled | {"count": np.array([self._pictures])}


def stats_of(values: Floats) -> Iterator[Stats]:
    """Yield the statistics of each column."""
    found = {
        "min": values.min(axis=0),
        "max": values.max(axis=0),
        "mean": values.mean(axis=0),
        "std": values.std(axis=0),
        **dict(zip(QUANTILES, np.quantile(values, list(QUANTILES.values()), axis=0), strict=True)),
    }
    count = np.array([len(values)])
    for column in range(values.shape[1]):
        yield {name: value[column : column + 1] for name, value in found.items()} | {"count": count}
