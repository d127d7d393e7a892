"""Pictures that are missing from a drive, told from the times of those that are there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from get_data.labels.constants import STANDING_S
from get_data.labels.drives import pause_limit_s
from get_data.quality.samples import Samples

MISSED_PERIODS = 1.75
"""Pictures further apart than this have missed some in between."""

MIN_PERIOD_S = 0.002
"""Pictures closer than this are of one moment, as from two cars: they tell nothing of a rate."""

NOTABLE_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Gaps:
    """Missed pictures and pauses of a set.

    `missed`: number of pictures that the rate of their drive leads one to expect. `gaps`: first and
    last row around each place where some are missed; `pauses`: the same around each pause inside a
    drive, the driver's or what a search has left out. `rates_hz`: of each drive, 0 if unknown.
    `is_notable`: more than `NOTABLE_SHARE` are missed.
    """

    missed: int
    gaps: tuple[tuple[int, int], ...]
    pauses: tuple[tuple[int, int], ...]
    rates_hz: tuple[float, ...]
    is_notable: bool


def find_gaps(samples: Samples) -> Gaps:
    """Return where pictures are missing."""
    missed = 0
    gaps: list[tuple[int, int]] = []
    pauses: list[tuple[int, int]] = []
    rates_hz: list[float] = []
    for rows in samples.drives():
        intervals_s = np.diff(samples.time_us[rows]) / 1e6
        periods_s = intervals_s[intervals_s >= MIN_PERIOD_S]
        period_s = float(np.median(periods_s)) if len(periods_s) else 0.0
        rates_hz.append(1 / period_s if period_s > 0 else 0.0)
        is_pause = intervals_s > pause_limit_s(period_s)
        is_wait = _waits_for_throttle(samples, rows, period_s)
        is_gap = (intervals_s > MISSED_PERIODS * period_s) & ~(is_pause | is_wait) & (period_s > 0)
        if is_gap.any():
            missed += int(np.round(intervals_s[is_gap] / period_s - 1).sum())
        gaps += _pairs(np.flatnonzero(is_gap) + rows.start)
        pauses += _pairs(np.flatnonzero(is_pause) + rows.start)
    is_notable = missed > NOTABLE_SHARE * (len(samples) + missed)
    return Gaps(missed, tuple(gaps), tuple(pauses), tuple(rates_hz), is_notable)


def _waits_for_throttle(samples: Samples, rows: slice, period_s: float) -> NDArray[np.bool_]:
    """Return which pictures of a drive, but the last, are of a car that had stood for long enough.

    What follows is no missed picture: `run_manual.py` does not record a standing car.
    """
    moves = samples.throttle[rows] != 0
    first_standing = np.maximum.accumulate(np.where(moves, np.arange(len(moves)) + 1, 0))
    seconds = samples.time_us[rows] / 1e6
    stood_s = seconds - seconds[np.minimum(first_standing, len(moves) - 1)]
    stood_long = stood_s + 2.5 * period_s >= STANDING_S  # some may be missed at its end
    return np.asarray(~moves[:-1] & moves[1:] & stood_long[:-1])


def _pairs(rows: NDArray[np.intp]) -> list[tuple[int, int]]:
    return [(row, row + 1) for row in rows.tolist()]
