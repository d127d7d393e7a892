"""Steering predicted from thumbnails by a model that has not seen the neighbourhood.

A ridge regression on random features, which approximate a Gaussian kernel (Rahimi and Recht,
"Random Features for Large-Scale Kernel Machines", 2007). It is odd by construction: a mirrored
picture gets the negative steering, as if each picture had been learned mirrored, too.

Every picture is predicted by a model that was fitted without a block of time around it. Otherwise
the model would repeat a wrong label, from the same picture or from its neighbours. A second round
leaves out the labels that the first one found most wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from common.progress import Progress, hidden

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]

FOLDS = 10
MIN_FOLD = 50  # pictures
MARGIN = 20  # pictures on both sides of a fold that are not learned from, either

_COMPONENTS = 60
_MAX_FEATURES = 800
_RIDGE = 0.3
_BANDWIDTH = 0.5  # of the kernel: its variance, in units of the median squared distance
_WORST = 0.05  # share of the labels that the second round leaves out
_BLOCK = 2000  # pictures
_PCA_PICTURES = 10_000
_DISTANCE_PICTURES = 300


@dataclass(frozen=True, slots=True)
class _Features:
    """Random features of thumbnails; `even` and `odd` are parts of a picture under mirroring."""

    mean: Floats
    even: Floats  # (pixels, components)
    odd: Floats
    even_weights: Floats  # (components, features)
    odd_weights: Floats
    phases: Floats

    def of(self, grey: NDArray[np.uint8]) -> Floats:
        """Return the features, (pictures, features); those of a mirrored picture are negative."""
        pixels = _shrink(grey) - self.mean
        even = np.sin(pixels @ self.even @ self.even_weights + self.phases)
        return even * np.sin(pixels @ self.odd @ self.odd_weights)


def predict_out_of_fold(
    grey: NDArray[np.uint8], steering: Floats, usable: Mask, progress: Progress = hidden
) -> Floats:
    """Return the steering that each picture suggests, from -1 to 1.

    The rows are ordered by drive and time, (pictures, height, width). NaN for pictures that are not
    `usable`, and for all where there are too few to learn from.
    """
    predicted = np.full(len(grey), np.nan, np.float32)
    rows = np.flatnonzero(usable)
    folds = _split(len(rows))
    if len(folds) < 2:
        return predicted
    features = _fit_features(grey, rows)
    learned = np.ones(len(rows), np.bool_)
    sums = []
    for fold in progress(folds, total=len(folds), description="learning", unit="part"):
        sums.append(_sums(features, grey, steering, rows, fold, learned))
    first = _predict(features, grey, steering, rows, folds, learned, sums)
    # The labels that look most wrong would teach their fault to the models of the other folds.
    missed = np.abs(steering[rows] - first)
    learned = missed <= np.quantile(missed, 1 - _WORST)
    for fold, total in zip(folds, sums, strict=True):
        total -= _sums(features, grey, steering, rows, fold, ~learned)
    predicted[rows] = _predict(features, grey, steering, rows, folds, learned, sums)
    return predicted


def _split(count: int) -> list[slice]:
    """Return blocks of consecutive rows of about equal length."""
    number = min(FOLDS, count // MIN_FOLD)
    edges = [count * fold // number for fold in range(number + 1)] if number else []
    return [slice(start, end) for start, end in pairwise(edges)]


def _shrink(grey: NDArray[np.uint8]) -> Floats:
    """Return pictures at half their size as rows of grey levels, 0 to 1."""
    count, height, width = grey.shape
    halves = grey.reshape(count, height // 2, 2, width // 2, 2).mean((2, 4), dtype=np.float32)
    return np.asarray(halves.reshape(count, height * width // 4) / np.float32(255), np.float32)


def _fit_features(grey: NDArray[np.uint8], rows: Rows) -> _Features:
    """Return features that suit the pictures: their principal components, a fitting kernel."""
    height, width = grey.shape[1] // 2, grey.shape[2] // 2
    sample = rows[:: -(-len(rows) // _PCA_PICTURES)]
    pixels = _shrink(grey[sample])
    mirrored = pixels.reshape(-1, height, width)[:, :, ::-1].reshape(pixels.shape)
    even, odd = (pixels + mirrored) / 2, (pixels - mirrored) / 2
    mean = np.asarray(even.mean(0), np.float32)
    even -= mean
    found = [_principal_components(np.asarray(part, np.float32)) for part in (even, odd)]
    # Of both parts together those components that vary most.
    threshold = np.sort(np.concatenate([variances for variances, _ in found]))[-_COMPONENTS]
    bases = [vectors[:, variances >= threshold] for variances, vectors in found]
    some = slice(None, None, -(-len(sample) // _DISTANCE_PICTURES))
    points = np.hstack([part[some] @ basis for part, basis in zip((even, odd), bases, strict=True)])
    squares = (points**2).sum(1)
    distances = squares[:, None] + squares - 2 * points @ points.T
    scale = np.sqrt(max(float(np.median(distances)) * _BANDWIDTH, 1e-6))
    count = min(_MAX_FEATURES, len(rows))
    generator = np.random.default_rng(0)  # the same set has the same result

    def weights(basis: Floats) -> Floats:
        shape = (basis.shape[1], count)
        return np.asarray(generator.standard_normal(shape) / scale, np.float32)

    phases = generator.uniform(0, 2 * np.pi, count).astype(np.float32)
    return _Features(mean, bases[0], bases[1], weights(bases[0]), weights(bases[1]), phases)


def _principal_components(centred: Floats) -> tuple[Floats, Floats]:
    """Return variances and components, as columns."""
    variances, vectors = np.linalg.eigh(centred.T @ centred)
    return np.asarray(variances, np.float32), np.asarray(vectors, np.float32)


def _sums(
    features: _Features,
    grey: NDArray[np.uint8],
    steering: Floats,
    rows: Rows,
    part: slice,
    chosen: Mask,
) -> NDArray[np.float64]:
    """Return the normal equations of the chosen rows of a part: products, then right-hand side."""
    count = len(features.phases)
    sums = np.zeros((count, count + 1))
    for block in _blocks(part):
        picked = rows[block][chosen[block]]
        values = features.of(grey[picked])
        sums[:, :-1] += values.T @ values
        sums[:, -1] += values.T @ steering[picked]
    return sums


def _blocks(part: slice) -> Iterator[slice]:
    for start in range(part.start, part.stop, _BLOCK):
        yield slice(start, min(start + _BLOCK, part.stop))


def _predict(
    features: _Features,
    grey: NDArray[np.uint8],
    steering: Floats,
    rows: Rows,
    folds: list[slice],
    learned: Mask,
    totals: list[NDArray[np.float64]],
) -> Floats:
    predicted = np.empty(len(rows), np.float32)
    everything = np.sum(totals, axis=0)
    count = len(features.phases)
    ridge = _RIDGE * count / 2 * np.eye(count)
    for fold, total in zip(folds, totals, strict=True):
        sums = everything - total
        for edge in (
            slice(max(fold.start - MARGIN, 0), fold.start),
            slice(fold.stop, min(fold.stop + MARGIN, len(rows))),
        ):
            sums -= _sums(features, grey, steering, rows, edge, learned)
        weights = np.linalg.solve(sums[:, :-1] + ridge, sums[:, -1]).astype(np.float32)
        for block in _blocks(fold):
            predicted[block] = features.of(grey[rows[block]]) @ weights
    return np.asarray(np.clip(predicted, -1, 1), np.float32)
