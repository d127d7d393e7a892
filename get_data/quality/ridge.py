"""Ridge regression from small grey pictures to values of their labels, with folds left out.

Pictures of 20x15 are enough to tell whether labels fit them. Sums of products are taken once for
each fold, so that the memory does not grow with the set, and many labels cost little more than one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from math import nan

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

_RIDGE = 7.5
_BATCH = 4096


@dataclass(frozen=True, slots=True)
class Residuals:
    """Sums of squares, by fold and label: what the others' model misses, and what there is."""

    missed: Floats
    total: Floats

    def r_squared(self, folds: slice = slice(None)) -> Floats:
        """Return R2 of each label over some of the folds; NaN where all values are equal."""
        total = self.total[folds].sum(axis=0)
        explained = 1 - self.missed[folds].sum(axis=0) / np.where(total > 0, total, nan)
        return np.asarray(explained, np.float64)


@dataclass(frozen=True, slots=True)
class _Products:
    """Sums over pictures and their labels."""

    count: int
    pixels: Floats
    squares: Floats
    labels: Floats
    products: Floats

    def __add__(self, other: "_Products") -> "_Products":
        return _Products(
            self.count + other.count,
            self.pixels + other.pixels,
            self.squares + other.squares,
            self.labels + other.labels,
            self.products + other.products,
        )

    def __sub__(self, other: "_Products") -> "_Products":
        return _Products(
            self.count - other.count,
            self.pixels - other.pixels,
            self.squares - other.squares,
            self.labels - other.labels,
            self.products - other.products,
        )


def cross_validate(
    grey: NDArray[np.uint8], labels: Callable[[Rows], Floats], folds: Sequence[Rows]
) -> Residuals:
    """Predict the labels of each fold from the others; at least two folds, none of them empty.

    `labels` returns the values for some rows, one column a label.
    """
    sums = [_sum_products(grey, labels, fold) for fold in folds]
    whole = reduce(_Products.__add__, sums)
    label_mean = whole.labels / whole.count
    missed, total = [], []
    for fold, own in zip(folds, sums, strict=True):
        others = whole - own
        mean, bias = others.pixels / others.count, others.labels / others.count
        squares = others.squares - others.count * np.outer(mean, mean)
        products = others.products - others.count * np.outer(mean, bias)
        weights = np.linalg.solve(squares + _RIDGE * np.eye(len(mean)), products)
        fold_missed, fold_total = np.zeros_like(label_mean), np.zeros_like(label_mean)
        for batch in _batches(fold):
            actual = labels(batch)
            predicted = (small_pixels(grey, batch) - mean) @ weights + bias
            fold_missed += np.square(actual - predicted).sum(axis=0)
            fold_total += np.square(actual - label_mean).sum(axis=0)
        missed.append(fold_missed)
        total.append(fold_total)
    return Residuals(np.array(missed), np.array(total))


def small_pixels(grey: NDArray[np.uint8], rows: Rows) -> Floats:
    """Return thumbnails, halved, as rows of grey levels from 0 to 1."""
    chosen = grey[rows].astype(np.float64)
    halved = chosen[:, ::2] + chosen[:, 1::2]
    small = halved[:, :, ::2] + halved[:, :, 1::2]
    return np.asarray(small.reshape(len(rows), -1) / (4 * 255), np.float64)


def _sum_products(
    grey: NDArray[np.uint8], labels: Callable[[Rows], Floats], fold: Rows
) -> _Products:
    def of_batch(batch: Rows) -> _Products:
        pixels, values = small_pixels(grey, batch), labels(batch)
        return _Products(
            len(batch),
            pixels.sum(axis=0),
            pixels.T @ pixels,
            values.sum(axis=0),
            pixels.T @ values,
        )

    return reduce(_Products.__add__, map(of_batch, _batches(fold)))


def _batches(rows: Rows) -> list[Rows]:
    return [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
