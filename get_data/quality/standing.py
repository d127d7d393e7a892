"""Pictures that a standing car took: the same picture again and again, without throttle.

They teach that this one picture needs whatever the thumb did meanwhile, and take the share of
pictures that teach something.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from get_data.quality.samples import Samples
from get_data.quality.thumbnails import Thumbnails

MAX_THROTTLE = 0.02  # of a released trigger
MAX_CHANGE = 1.5
"""Mean difference of grey levels that the noise of a camera makes; a slow car makes 2 and more."""

MIN_RUN = 10  # pictures; a moment without throttle is no standing
NOTABLE_SHARE = 0.05  # a recording has the first second of each stop, which is no fault

_BATCH = 4096


@dataclass(frozen=True, slots=True)
class Standing:
    """Standing pictures of a set.

    `rows` has them ascending, `runs` the first and last row of each run. `is_notable`: they are
    more than `NOTABLE_SHARE` of the set.
    """

    rows: NDArray[np.intp]
    runs: tuple[tuple[int, int], ...]
    share: float
    is_notable: bool


def find_standing(samples: Samples, thumbnails: Thumbnails) -> Standing:
    """Return the pictures that a standing car took."""
    count = len(samples)
    is_same = np.zeros(count, np.bool_)  # as the one before
    is_same[1:] = measure_changes(thumbnails) <= MAX_CHANGE
    is_same &= thumbnails.readable & np.append(False, thumbnails.readable[:-1])[:count]
    is_same &= np.diff(samples.drive, prepend=-1)[:count] == 0
    has_throttle = np.abs(samples.throttle) > MAX_THROTTLE
    # A run goes on while nothing moves; it begins with the picture that the next one equals.
    goes_on = is_same & ~has_throttle & ~np.append(True, has_throttle[:-1])[:count]
    starts = np.flatnonzero(~goes_on)
    ends = np.append(starts[1:], count)[: len(starts)] - 1
    is_long = ends - starts + 1 >= MIN_RUN
    runs = tuple(zip(starts[is_long].tolist(), ends[is_long].tolist(), strict=True))
    rows = np.concatenate([np.arange(first, last + 1) for first, last in runs] or [starts[:0]])
    share = len(rows) / count if count else 0.0
    return Standing(rows, runs, share, share > NOTABLE_SHARE)


def measure_changes(thumbnails: Thumbnails) -> NDArray[np.float32]:
    """Return the mean difference of grey levels from each picture to the next."""
    grey = thumbnails.grey
    changes = np.zeros(max(len(grey) - 1, 0), np.float32)
    for start in range(0, len(changes), _BATCH):
        batch = grey[start : start + _BATCH + 1].astype(np.int16)
        difference = np.abs(np.diff(batch, axis=0))
        changes[start : start + _BATCH] = difference.mean(axis=(1, 2))
    return changes
