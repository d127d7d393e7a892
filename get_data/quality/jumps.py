"""Labels that jump away from their neighbours and back, to where no picture suggests.

The order of suspicion compares the labels of one set, so that its score does not tell whether
anything is wrong at all. This does: thumbs and servos do not jump like that, and models of sets
without a fault do not disagree with it.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from get_data.quality.ridge import Rows
from get_data.quality.samples import Samples

MIN_JUMP = 0.5  # of the steering from one picture to the next
MIN_ERROR = 0.5  # of the steering that a picture suggests
REACH = 12  # pictures, within which it jumps back


def find_jumps(samples: Samples, predicted: NDArray[np.float32]) -> Rows:
    """Return the rows of such labels, of which nobody has reviewed one."""
    is_wrong = np.zeros(len(samples), np.bool_)
    for rows in samples.segments():
        steering = samples.steering[rows].astype(np.float64)
        misses = np.abs(steering - predicted[rows]) >= MIN_ERROR  # never where it is unknown
        is_wrong[rows] = misses & _jumps_there_and_back(steering)
    return np.flatnonzero(is_wrong & ~samples.reviewed)


def _jumps_there_and_back(steering: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether the labels jump to each one shortly before, and back shortly after."""
    arrivals = np.diff(steering, prepend=steering[:1])
    departures = -np.diff(steering, append=steering[-1:])
    entering = sliding_window_view(np.pad(arrivals, (REACH, 0)), REACH + 1)
    leaving = sliding_window_view(np.pad(departures, (0, REACH)), REACH + 1)
    right = (entering.max(axis=1) >= MIN_JUMP) & (leaving.max(axis=1) >= MIN_JUMP)
    left = (entering.min(axis=1) <= -MIN_JUMP) & (leaving.min(axis=1) <= -MIN_JUMP)
    return np.asarray(right | left, np.bool_)
