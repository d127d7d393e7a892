"""Labels that look wrong: a score for each picture, and clips to look at.

A label is compared with its neighbours in time and with the steering that its picture suggests to a
model of the other labels (`steering_model`). Single wrong labels differ from their neighbours; runs
of them, and mistakes of a driver, differ from the model. The score is the larger of the two, in
units of steering, so that both kinds are found from one order. Nothing is a neighbour across the
end of a drive or a pause.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from common.progress import Progress, hidden
from get_data.labels.drives import MIN_PAUSE_S, PAUSE_PERIODS
from get_data.quality.samples import Samples
from get_data.quality.steering_model import Mask, predict_out_of_fold
from get_data.quality.thumbnails import Thumbnails

Values = NDArray[np.float64]

CONTRADICTION = 3.0
"""Least score of a label whose class is not that of the driver's steering; others are below 3."""

CLIP_DISTANCE = 20  # pictures between the worst ones of two clips

_RESTLESS = 0.3  # steering by which neighbours differ so much that a label may differ as well
_RUN_WINDOW = 9  # pictures; more than half of them are wrong in the middle of a run
_SMOOTHED = 5  # pictures; removes single wrong labels
_EDGE_REACH = 12  # pictures on both sides, within which a run begins and ends
_EDGELESS = 0.7  # weight of a run without sharp ends
_RUN_WEIGHT = 0.65  # of what a model says, beside what the neighbours say
_USUAL = 0.75  # share of the usual distance to a model that is no fault
_LEAST = 0.05  # weight of what is usual
_LONG_DRIVE = 200  # pictures from which on a drive tells what is usual in it
_CLIP_WINDOW = 7  # pictures
_CLIP_MIN = 0.15  # steering, averaged over the window
_BIN_TOLERANCE = 1e-5  # steering; of values stored as float32


@dataclass(frozen=True, slots=True)
class Suspicion:
    """How wrong the labels of a set look, in the order of its samples.

    `score` is 0 or more. `predicted`: the steering that a picture suggests to a model of the labels
    of other times, NaN where unknown. `order`: row numbers, most suspicious first, reviewed ones
    last. `clips`: first and last row of stretches to look at, worst first.
    """

    score: NDArray[np.float32]
    predicted: NDArray[np.float32]
    order: NDArray[np.int64]
    clips: list[tuple[int, int]]


def find_suspects(
    samples: Samples, thumbnails: Thumbnails, progress: Progress = hidden
) -> Suspicion:
    """Return how wrong each label looks. A reviewed label is settled, and serves as evidence."""
    predicted = predict_out_of_fold(
        thumbnails.grey, samples.steering, thumbnails.readable, progress
    )
    steering = samples.steering.astype(np.float64)
    # Without a picture there is no disagreement with it.
    residual = np.where(np.isnan(predicted), 0.0, steering - predicted)
    segments = list(_segments(samples))
    score = np.zeros(len(samples))
    for segment in segments:
        score[segment] = _distance_to_neighbours(steering[segment])
    score = np.maximum(score, _distance_of_runs(samples, steering, residual, segments))
    contradicts = _find_contradictions(samples)
    gap = np.abs(samples.steering - np.nan_to_num(samples.raw_steering))
    score = np.where(contradicts, CONTRADICTION + gap, score)
    score[samples.reviewed] = 0
    return Suspicion(
        score=score.astype(np.float32),
        predicted=predicted,
        order=np.lexsort((-score, samples.reviewed)).astype(np.int64),
        clips=_find_clips(np.where(samples.reviewed, 0.0, residual), segments),
    )


def _segments(samples: Samples) -> Iterator[slice]:
    """Yield the rows between the ends of drives and the pauses within them."""
    for drive in samples.drives():
        periods_s = np.diff(samples.time_us[drive]) / 1e6
        period_s = float(np.median(periods_s)) if len(periods_s) else 0.0
        limit_s = max(MIN_PAUSE_S, PAUSE_PERIODS * period_s)
        pauses = (np.flatnonzero(periods_s > limit_s) + 1 + drive.start).tolist()
        for start, end in pairwise([drive.start, *pauses, drive.stop]):
            yield slice(start, end)


def _windows(values: Values, count: int) -> Values:
    """Return for each value the `count` (odd) around it, (values, count); mirrored at the ends."""
    return sliding_window_view(np.pad(values, count // 2, mode="reflect"), count)


def _smooth(values: Values, count: int) -> Values:
    """Return the median of the `count` (odd) values around each."""
    return np.asarray(np.median(_windows(values, count), axis=1), np.float64)


def _distance_to_neighbours(steering: Values) -> Values:
    """Return how far each value is from the median of two before and two after it.

    Less where these differ from each other, as a driver's do who steers in short pulses.
    """
    if len(steering) < 3:
        return np.zeros(len(steering))
    neighbours = np.delete(_windows(steering, 5), 2, axis=1)
    middle = np.median(neighbours, axis=1)
    spread = np.sort(np.abs(neighbours - middle[:, None]), axis=1)
    # The farthest does not count: it may be a wrong label itself.
    restlessness = spread[:, :-1].mean(axis=1)
    return np.asarray(np.abs(steering - middle) * np.exp(-restlessness / _RESTLESS), np.float64)


def _distance_of_runs(
    samples: Samples, steering: Values, residual: Values, segments: list[slice]
) -> Values:
    """Return how far the labels around each picture are from what their pictures suggest.

    Only what exceeds the usual in the drive has its full weight.
    """
    distance, supported = np.zeros(len(residual)), np.zeros(len(residual))
    for segment in segments:
        if segment.stop - segment.start < 3:
            continue
        distance[segment] = np.abs(_smooth(residual[segment], _RUN_WINDOW))
        edges = _edges_around(_smooth(steering[segment], _SMOOTHED))
        # A model errs gradually; a run of wrong labels begins and ends at once.
        supported[segment] = np.maximum(
            np.minimum(distance[segment], edges), _EDGELESS * distance[segment]
        )
    usual = np.zeros(len(residual))
    for drive in samples.drives():
        is_long = drive.stop - drive.start >= _LONG_DRIVE
        usual[drive] = np.median(distance[drive] if is_long else distance)
    return _RUN_WEIGHT * np.maximum(supported - _USUAL * usual, 0) + _LEAST * supported


def _edges_around(smoothed: Values) -> Values:
    """Return the smaller of the largest jumps shortly before and shortly after each value."""
    count = len(smoothed)
    padded = np.pad(smoothed, 2, mode="edge")
    jumps = np.abs(padded[2 : count + 2] - padded[:count])  # to each value, within two steps
    reach = np.pad(jumps, (_EDGE_REACH, _EDGE_REACH + 2))
    largest = sliding_window_view(reach, _EDGE_REACH).max(axis=1)
    before, after = largest[1 : count + 1], largest[_EDGE_REACH + 2 : count + _EDGE_REACH + 2]
    return np.asarray(np.minimum(before, after), np.float64)


def _find_contradictions(samples: Samples) -> Mask:
    """Return which classes are neither that of the driver's steering nor that of a value set."""
    width = 2.0 / samples.nb_dir
    low = -1 + samples.direction * width
    is_centre = np.abs(samples.steering - (low + width / 2)) < _BIN_TOLERANCE
    raw = np.nan_to_num(samples.raw_steering)  # beside the unknown ones, which are left out below
    outside = (raw < low - _BIN_TOLERANCE) | (raw > low + width + _BIN_TOLERANCE)
    known = ~np.isnan(samples.raw_steering) & ~samples.reviewed
    return np.asarray(known & is_centre & outside, np.bool_)


def _find_clips(residual: Values, segments: list[slice]) -> list[tuple[int, int]]:
    """Return stretches around the peaks of the smoothed residual, highest first."""
    smoothed = np.zeros(len(residual))
    owner = np.zeros(len(residual), np.intp)
    for number, segment in enumerate(segments):
        owner[segment] = number
        if segment.stop - segment.start >= 3:
            smoothed[segment] = np.abs(_windows(residual[segment], _CLIP_WINDOW).mean(axis=1))
    free = np.ones(len(residual), np.bool_)
    clips = []
    for peak in np.argsort(-smoothed, kind="stable"):
        if smoothed[peak] < _CLIP_MIN:
            break
        if not free[peak]:
            continue
        segment = segments[owner[peak]]
        near = slice(
            max(peak - CLIP_DISTANCE, segment.start), min(peak + CLIP_DISTANCE + 1, segment.stop)
        )
        # As far as half of the peak is reached without a break, and no other clip is met.
        ends = (smoothed[near] < smoothed[peak] / 2) | ~free[near]
        low = np.flatnonzero(ends) + near.start
        free[near] = False
        first = low[low < peak].max(initial=near.start - 1) + 1
        last = low[low > peak].min(initial=near.stop) - 1
        clips.append((int(first), int(last)))
    return clips
