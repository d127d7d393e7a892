"""Labels that look wrong: a score for each picture, and clips to look at.

A label is compared with its neighbours in time and with the steering that its picture suggests to a
model of the other labels (`steering_model`). Single wrong labels differ from their neighbours; runs
of them, and mistakes of a driver, differ from the model. The score is the larger of the two, about
in units of steering, so that both kinds are found from one order; the kind that is more prominent
in the set weighs more. Nothing is a neighbour across the end of a drive or a pause.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from common.progress import Progress, hidden
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
_RUN_WEIGHT = 0.7  # of runs beside single labels, where both are equally prominent
_MOST_RUN_WEIGHT = 0.8  # beyond it single labels weigh less instead; clean drives reach 0.42
_PROMINENT = 0.1  # share of the pictures; the highest distances of a kind show how prominent it is
_PROMINENCE_MIN = 0.02  # steering; what is less is noise
_PROMINENCE_RATIO = 4.0  # the most that counts
_AGREEING = 4.0  # weight of the neighbours beside the model, which may confirm what they say
_CONFIRMED = 0.5  # error of the model that confirms it completely
_LEAST = 0.05  # weight of a distance to the model that is usual in its drive
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
    # Without a picture there is no disagreement with it.
    residual = np.where(np.isnan(predicted), 0.0, samples.steering - predicted).astype(np.float64)
    segments = list(samples.segments())
    score = _judge(samples, residual, np.isnan(predicted), segments)
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


def _judge(samples: Samples, residual: Values, unknown: Mask, segments: list[slice]) -> Values:
    """Return how far each label is from what neighbours and pictures suggest, below 3."""
    steering = samples.steering.astype(np.float64)
    doubt = np.where(unknown, _CONFIRMED, np.minimum(np.abs(residual), _CONFIRMED))
    single = np.zeros(len(samples))
    for segment in segments:
        single[segment] = _distance_to_neighbours(steering[segment], doubt[segment])
    runs = _distance_of_runs(steering, residual, segments)
    unusual = np.maximum(runs - _usual_distance(samples, runs), 0)
    # What is settled does not show which kind of fault is prominent.
    single[samples.reviewed] = unusual[samples.reviewed] = 0
    return _mix(single, unusual) + _LEAST * runs


def _windows(values: Values, count: int) -> Values:
    """Return for each value the `count` (odd) around it, (values, count); mirrored at the ends."""
    return sliding_window_view(np.pad(values, count // 2, mode="reflect"), count)


def _smooth(values: Values, count: int) -> Values:
    """Return the median of the `count` (odd) values around each."""
    return np.asarray(np.median(_windows(values, count), axis=1), np.float64)


def _distance_to_neighbours(steering: Values, doubt: Values) -> Values:
    """Return how far each value is from the median of two before and two after it.

    Less where these differ from each other, as a driver's do who steers in short pulses, and where
    the picture suggests the value. `doubt`: error of the model, up to _CONFIRMED.
    """
    if len(steering) < 3:
        return np.zeros(len(steering))
    neighbours = np.delete(_windows(steering, 5), 2, axis=1)
    middle = np.median(neighbours, axis=1)
    spread = np.sort(np.abs(neighbours - middle[:, None]), axis=1)
    # The farthest does not count: it may be a wrong label itself.
    restlessness = spread[:, :-1].mean(axis=1)
    distance = np.abs(steering - middle) * np.exp(-restlessness / _RESTLESS)
    return np.asarray(distance * (_AGREEING + doubt) / (_AGREEING + _CONFIRMED), np.float64)


def _distance_of_runs(steering: Values, residual: Values, segments: list[slice]) -> Values:
    """Return how far the labels around each picture are from what their pictures suggest."""
    found = np.zeros(len(residual))
    for segment in segments:
        if segment.stop - segment.start < 3:
            continue
        distance = np.abs(_smooth(residual[segment], _RUN_WINDOW))
        edges = _edges_around(_smooth(steering[segment], _SMOOTHED))
        # A model errs gradually; a run of wrong labels begins and ends at once.
        found[segment] = np.maximum(np.minimum(distance, edges), _EDGELESS * distance)
    return found


def _usual_distance(samples: Samples, distance: Values) -> Values:
    """Return the distance that is usual in each drive; in the whole set, for a short one."""
    usual = np.zeros(len(distance))
    for drive in samples.drives():
        is_long = drive.stop - drive.start >= _LONG_DRIVE
        usual[drive] = np.median(distance[drive] if is_long else distance)
    return usual


def _mix(single: Values, runs: Values) -> Values:
    """Return the larger of two distances, the more prominent of which has its full weight.

    Without that, the pulses of a restless driver would hide runs of wrong labels, and the errors of
    a weak model single ones.
    """
    ratio = _prominence(runs) / _prominence(single)
    weight = _RUN_WEIGHT * float(np.clip(ratio, 1 / _PROMINENCE_RATIO, _PROMINENCE_RATIO)) ** 2
    scale = max(weight / _MOST_RUN_WEIGHT, 1.0)
    return np.asarray(np.maximum(single, weight * runs) / scale, np.float64)


def _prominence(distance: Values) -> float:
    """Return the mean of the highest distances."""
    count = int(_PROMINENT * len(distance))
    return float(np.sort(distance)[len(distance) - count :].sum()) / max(count, 1) + _PROMINENCE_MIN


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
