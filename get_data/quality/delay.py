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
_PAUSE_PERIODS = 5.0  # longer ones end what belongs together; the steering in others is known
_NEXT_PERIODS = 1.5  # up to here no picture is missing in between
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
    reasons: Counter[str] = Counter()
    for drive in drives:
        reasons[drive.reason] += drive.usable
    if not told or reasons[""] <= usable / 2:
        del reasons[""]
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
    period_us = period_s * stride * 1e6
    before, after = _distances_to_pauses(time_us, period_us)
    none = np.full(len(SHIFTS), nan)

    def moved(rows: Rows, shifts: NDArray[np.int_]) -> Floats:
        """Return the steering so many periods later; labels in between are interpolated."""
        moments = time_us[rows][:, np.newaxis] + period_us * shifts
        return np.asarray(np.interp(moments, time_us, steering), np.float64)

    rows = np.flatnonzero((before >= -SHIFTS[0]) & (after >= SHIFTS[-1]) & readable)
    if len(rows) < MIN_PICTURES:
        return Delay(None, "too few pictures without a pause", nan, nan, none, len(rows)), None
    blocks_of_time = np.array_split(rows, _BLOCKS)
    fit = cross_validate(grey, lambda chosen: moved(chosen, SHIFTS), blocks_of_time)
    curve = fit.r_squared()

    # The halves of the drive are asked one by one; what they do not agree on is not known.
    blocks = slice(None, _BLOCKS // 2), slice(_BLOCKS // 2, None)
    peaks = [_peak(fit.r_squared(half)) for half in blocks]
    turn = _measure_turns(grey)
    turn_rows = np.flatnonzero(_has_next(time_us, readable, period_us) & (before >= _REACH))
    turn_rows = turn_rows[after[turn_rows] >= _REACH]
    nearby = moved(turn_rows, np.arange(-_REACH, _REACH + 1))
    response, strength = _response(turn[turn_rows], nearby)
    middle = len(turn_rows) // 2
    halves = [
        _response(turn[turn_rows[half]], nearby[half])[0]
        for half in (slice(None, middle), slice(middle, None))
    ]
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


def _distances_to_pauses(time_us: NDArray[np.int64], period_us: float) -> tuple[Floats, Floats]:
    """Return how many periods each picture comes after the last pause and before the next."""
    count = len(time_us)
    if not count or not period_us:
        return np.zeros(count), np.zeros(count)
    starts = np.append(True, np.diff(time_us) > _PAUSE_PERIODS * period_us)
    ends = np.append(starts[1:], True)
    first = time_us[starts][np.cumsum(starts) - 1]
    last = time_us[ends][np.cumsum(starts) - 1]
    return (time_us - first) / period_us, (last - time_us) / period_us


def _has_next(
    time_us: NDArray[np.int64], readable: NDArray[np.bool_], period_us: float
) -> NDArray[np.bool_]:
    """Return which pictures can be compared with the next one: a period later, both readable."""
    follows = np.diff(time_us) <= _NEXT_PERIODS * period_us
    return np.append(follows & readable[1:] & readable[:-1], np.zeros(min(1, len(time_us)), bool))


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


def _response(turns: Floats, labels: Floats) -> tuple[float, float]:
    """Return which label a turn answers to, in pictures after its own, and how well they correlate.

    `labels` has those from `_REACH` before to `_REACH` after each turn. NaN if nothing turns or
    nobody steers.
    """
    if len(turns) < MIN_PICTURES // 2:
        return nan, nan
    shifts = np.arange(-_REACH, _REACH + 1)
    if not np.ptp(turns) or not np.ptp(labels):
        return nan, nan
    weights = _fit_turns(turns, labels)
    best = int(weights.argmax())
    if not 3 <= best < len(shifts) - 3 or weights[best] <= 0:
        return nan, nan
    around = slice(best - 3, best + 4)
    shares = np.maximum(weights[around], 0)
    strength = np.corrcoef(labels @ weights, turns)[0, 1]
    return float(shares @ shifts[around] / shares.sum()), float(strength)


def _fit_turns(turns: Floats, labels: Floats) -> Floats:
    """Return by how much each label contributes to a turn."""
    centred = labels - labels.mean(axis=0)
    squares = centred.T @ centred
    ridge = _TURN_RIDGE * np.trace(squares) / len(squares)
    products = centred.T @ (turns - turns.mean())
    return np.asarray(np.linalg.solve(squares + ridge * np.eye(len(squares)), products))


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
