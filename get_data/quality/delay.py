"""How many pictures late the labels of a drive are, compared with what the pictures show.

Two curves over the labels moved by k pictures (k > 0: each picture gets a later label).

The *fit* is the cross-validated R2 of a ridge regression from the picture to the steering. It moves
by exactly the delay, but it is highest where the driver *answers* to the picture, a reaction time
(0.05 to 0.3 s) after the label of that moment, so it overstates.

The *turn* is the response of the picture to the steering: how far the upper half moves sideways
from each picture to the next, as a weighted sum of the labels around it. Wheels turn the car
`RESPONSE_S` after the command, whoever drives, so this tells the delay itself, to a fraction of a
picture. All shifts are fitted at once: correlated one by one they would also show how the driver
answers to what the car does.

The turn is the estimate and the fit its witness: labels that the pictures do not explain, or
explain as well wherever they are moved to, tell nothing, and neither do halves of a drive that
disagree.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from get_data.quality.ridge import Floats, Residuals, Rows, cross_validate
from get_data.quality.samples import Samples
from get_data.quality.thumbnails import WIDTH_PX, Thumbnails

SHIFTS = np.arange(-4, 16)
"""Pictures by which labels are moved for the fit."""

RESPONSE_S = 0.05
"""From a command until the car turns: 0.03 to 0.065 s for a servo of 60 ms, at 10 to 30 pictures a
second and reaction times of 0.05 to 0.22 s."""

MIN_PICTURES = 200
MIN_FIT = 0.1  # R2 of labels that the pictures explain
MIN_GAIN = 0.03  # of the peak's R2 over what it is `GAIN_DISTANCE` pictures away
GAIN_DISTANCE = 5
MAX_DISAGREEMENT = 1.0  # of the halves of a drive, in pictures
MIN_TURN = 0.4  # correlation of steering and turn
MAX_REACTION_S = 0.5

_PERIOD_S = 0.05  # pictures that come faster are thinned to about this
_GAP_PERIODS = 1.75  # pictures further apart than this are no neighbours
_BLOCKS = 10  # of time, each left out once
_FAR_ROWS = 15  # of a thumbnail: the upper half, where turning moves everything alike
_MOST_MOVED_PX = 6
_REACH = 12  # pictures before and after that may explain a turn
_TURN_RIDGE = 0.3  # of the mean variance
_BATCH = 4096


@dataclass(frozen=True, slots=True)
class Delay:
    """Delay of the labels of one drive, or of a set.

    `pictures`: how many pictures late the labels are, 0 on time, None if that cannot be told, for
    the `reason`. `offset`: the same as a fraction, NaN if unknown; below 0 the picture lags behind
    its label, as with a slow camera, which harms nothing. `disagreement`: how far apart the halves
    are, in pictures. `fit`: R2 for each of `SHIFTS`, NaN where it is not known. `usable`: number of
    pictures that it rests on.
    """

    pictures: int | None
    reason: str
    offset: float
    disagreement: float
    fit: Floats
    usable: int


@dataclass(frozen=True, slots=True)
class SetDelay:
    """Delay of a set, and of each of its drives in their order."""

    whole: Delay
    drives: tuple[Delay, ...]


def estimate_delay(samples: Samples, thumbnails: Thumbnails) -> SetDelay:
    """Return how late the labels are, by drive and for the set."""
    found = [
        _estimate_drive(
            samples.time_us[rows],
            samples.steering[rows].astype(np.float64),
            thumbnails.grey[rows],
            thumbnails.readable[rows],
        )
        for rows in samples.drives()
    ]
    drives = tuple(delay for delay, _ in found)
    return SetDelay(_join(drives, [fit for _, fit in found if fit is not None]), drives)


def _join(drives: Sequence[Delay], fits: Sequence[Residuals]) -> Delay:
    """Return the delay of a set: that of its drives, if they agree."""
    curve = np.full(len(SHIFTS), nan)
    if fits:
        missed = np.concatenate([fit.missed for fit in fits])
        curve = Residuals(missed, np.concatenate([fit.total for fit in fits])).r_squared()
    usable = sum(drive.usable for drive in drives)
    told = [drive for drive in drives if drive.pictures is not None]
    if not told:
        reasons = Counter(drive.reason for drive in drives)
        reason = reasons.most_common(1)[0][0] if reasons else "there are no pictures"
        return Delay(None, reason, nan, nan, curve, usable)
    late = [drive.pictures or 0 for drive in told]
    if max(late) - min(late) > MAX_DISAGREEMENT:
        reason = f"drives differ, from {min(late)} to {max(late)} pictures late"
        return Delay(None, reason, nan, float(max(late) - min(late)), curve, usable)
    weights = [drive.usable for drive in told]
    offset = float(np.average([drive.offset for drive in told], weights=weights))
    disagreement = float(np.average([drive.disagreement for drive in told], weights=weights))
    return Delay(max(round(offset), 0), "", offset, disagreement, curve, usable)


def _estimate_drive(
    time_us: NDArray[np.int64],
    steering: Floats,
    grey: NDArray[np.uint8],
    readable: NDArray[np.bool_],
) -> tuple[Delay, Residuals | None]:
    # Pictures that come fast are thinned: both curves need some change from one to the next.
    period_s = float(np.median(np.diff(time_us))) / 1e6 if len(time_us) > 1 else 0.0
    stride = max(1, round(_PERIOD_S / period_s)) if period_s > 0 else 1
    every = slice(None, None, stride)
    time_us, steering, grey, readable = (
        time_us[every],
        steering[every],
        grey[every],
        readable[every],
    )
    before, after = _distances_to_gaps(time_us, readable, period_s * stride)
    none = np.full(len(SHIFTS), nan)

    rows = np.flatnonzero((before >= -SHIFTS[0]) & (after >= SHIFTS[-1]))
    if len(rows) < MIN_PICTURES:
        return Delay(None, "too few pictures without a gap", nan, nan, none, len(rows)), None

    def moved(chosen: Rows) -> Floats:
        return np.asarray(steering[chosen[:, np.newaxis] + SHIFTS], np.float64)

    fit = cross_validate(grey, moved, np.array_split(rows, _BLOCKS))
    curve = fit.r_squared()

    # The halves of the drive are asked one by one; what they do not agree on is not known.
    blocks = slice(None, _BLOCKS // 2), slice(_BLOCKS // 2, None)
    peaks = [_peak(fit.r_squared(half)) for half in blocks]
    turn = _measure_turns(grey)
    turn_rows = np.flatnonzero((before >= _REACH) & (after > _REACH))
    middle = len(turn_rows) // 2
    response, strength = _response(turn, steering, turn_rows)
    halves = [_response(turn, steering, half)[0] for half in np.split(turn_rows, [middle])]

    disagreement = abs(halves[0] - halves[1])
    offset = response + RESPONSE_S / (period_s * stride)
    reason = _find_doubt(curve, peaks, strength, disagreement)
    reaction_s = (_peak(curve) - offset) * period_s * stride
    if not reason and not -_PERIOD_S <= reaction_s <= MAX_REACTION_S:
        reason = "the steering that fits the pictures best is not the one that turns the car"
    if reason:
        return Delay(None, reason, nan, nan, curve, len(rows)), fit
    delay = Delay(
        pictures=max(round(offset * stride), 0),
        reason="",
        offset=offset * stride,
        disagreement=disagreement * stride,
        fit=curve,
        usable=len(rows),
    )
    return delay, fit


def _find_doubt(curve: Floats, peaks: Sequence[float], strength: float, disagreement: float) -> str:
    """Return why a delay cannot be told from the curves of a drive; "" if it can."""
    best = int(curve.argmax()) if np.isfinite(curve).all() else -1
    if best < 0 or curve[best] < MIN_FIT:
        return "the pictures do not explain the steering"
    if best in (0, len(curve) - 1):
        return "the curve has no peak"
    # Flat on one side is flat: there, labels fit as well wherever they are moved to.
    sides = curve[max(best - GAIN_DISTANCE, 0)], curve[min(best + GAIN_DISTANCE, len(curve) - 1)]
    if curve[best] - max(sides) < MIN_GAIN * curve[best]:
        return "the curve is flat: labels fit as well when they are moved"
    if abs(peaks[0] - peaks[1]) > MAX_DISAGREEMENT:
        return "the halves of the drive disagree"
    if not strength >= MIN_TURN:
        return "the pictures do not turn with the steering"
    if not disagreement <= MAX_DISAGREEMENT:
        return "the halves of the drive disagree"
    return ""


def _distances_to_gaps(
    time_us: NDArray[np.int64], readable: NDArray[np.bool_], period_s: float
) -> tuple[Rows, Rows]:
    """Return how many neighbours each picture has before and after it without a gap."""
    count = len(time_us)
    index = np.arange(count)
    starts = np.ones(count, np.bool_)
    if count > 1:
        is_far = np.diff(time_us) > _GAP_PERIODS * period_s * 1e6
        starts[1:] = is_far | ~readable[1:] | ~readable[:-1]
    first = np.maximum.accumulate(np.where(starts, index, 0))
    ends = np.append(starts[1:], np.ones(min(count, 1), np.bool_))
    last = np.minimum.accumulate(np.where(ends, index, count)[::-1])[::-1]
    return index - first, last - index


def _measure_turns(grey: NDArray[np.uint8]) -> Floats:
    """Return by how many pixels the far part moves left from each picture to the next.

    The shift with the least difference, refined by a parabola.
    """
    shifts = np.arange(-_MOST_MOVED_PX, _MOST_MOVED_PX + 1)
    moved = np.zeros(max(len(grey) - 1, 0))
    for start in range(0, len(moved), _BATCH):
        far = grey[start : start + _BATCH + 1, :_FAR_ROWS].astype(np.float32)
        edges = far[:, :, 2:] - far[:, :, :-2]  # whatever the light does
        width = WIDTH_PX - 2 - 2 * _MOST_MOVED_PX
        middle = edges[:-1, :, _MOST_MOVED_PX : _MOST_MOVED_PX + width]
        costs = [
            np.square(middle - edges[1:, :, at : at + width]).mean(axis=(1, 2))
            for at in shifts + _MOST_MOVED_PX
        ]
        moved[start : start + _BATCH] = -_refined_minimum(np.stack(costs, axis=1), shifts)
    return moved


def _refined_minimum(costs: NDArray[np.float32], shifts: NDArray[np.int_]) -> Floats:
    """Return the shift of least cost in each row, between the shifts tried."""
    best = costs[:, 1:-1].argmin(axis=1) + 1
    rows = np.arange(len(costs))
    left, least, right = (costs[rows, best + step].astype(np.float64) for step in (-1, 0, 1))
    bend = left - 2 * least + right
    between = np.where(bend > 0, (left - right) / np.where(bend > 0, 2 * bend, 1), 0)
    return np.asarray(shifts[best] + between, np.float64)


def _response(turn: Floats, steering: Floats, rows: Rows) -> tuple[float, float]:
    """Return which label a turn answers to, in pictures after its own, and how well they correlate.

    NaN if nothing turns or nobody steers.
    """
    if len(rows) < MIN_PICTURES // 2:
        return nan, nan
    shifts = np.arange(-_REACH, _REACH + 1)
    labels = steering[rows[:, np.newaxis] + shifts]
    labels = labels - labels.mean(axis=0)
    turns = turn[rows] - turn[rows].mean()
    squares = labels.T @ labels
    if not turns.any() or not squares.any():
        return nan, nan
    ridge = _TURN_RIDGE * np.trace(squares) / len(shifts)
    weights = np.linalg.solve(squares + ridge * np.eye(len(shifts)), labels.T @ turns)
    best = int(weights.argmax())
    if not 3 <= best < len(shifts) - 3 or weights[best] <= 0:
        return nan, nan
    around = slice(best - 3, best + 4)
    shares = np.maximum(weights[around], 0)
    explained = labels @ weights
    scale = np.sqrt((explained @ explained) * (turns @ turns))
    return float(shares @ shifts[around] / shares.sum()), float(explained @ turns / scale)


def _peak(curve: Floats) -> float:
    """Return the shift with the highest R2, between the shifts tried; NaN if there is none."""
    if not np.isfinite(curve).all():
        return nan
    best = int(curve.argmax())
    if not 0 < best < len(curve) - 1:
        return float(SHIFTS[best])
    left, most, right = curve[best - 1 : best + 2]
    bend = left - 2 * most + right
    return float(SHIFTS[best] + ((left - right) / (2 * bend) if bend < 0 else 0.0))
