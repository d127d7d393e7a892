"""How even the classes of a set are, and which pictures would make it even.

A model that sees four straights for one bend learns to go straight on. Leaving straights out costs
pictures, and the model is still better: docs/quality.md, "Balance".
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from get_data.labels.classes import STRAIGHT, STRAIGHT_HEAVY
from get_data.quality.samples import Samples

MIN_PICTURES = 100  # in smaller sets a share says little


@dataclass(frozen=True, slots=True)
class Balance:
    """Classes of a set.

    `directions` and `speeds`: number of labels by class, from class 0 on, among the labels with the
    most frequent number of classes; pictures that nobody has labelled are not counted.
    `middle_share`: of the class that straight on is in, 0 where two classes share it;
    `straight_share`: of steering within `STRAIGHT`. `balanced`: rows of a sample in which no
    direction class is larger than the second largest of the set, ascending; `per_class` is that
    size.
    """

    directions: tuple[int, ...]
    speeds: tuple[int, ...]
    middle_share: float
    straight_share: float
    is_straight_heavy: bool
    balanced: NDArray[np.intp]
    per_class: int


def find_balance(
    samples: Samples, *, unlabelled: NDArray[np.intp] | None = None, seed: int = 0
) -> Balance:
    """Return how even the classes are, with a balanced sample that is the same for a seed."""
    is_labelled = np.ones(len(samples), np.bool_)
    if unlabelled is not None:
        is_labelled[unlabelled] = False
    nb_dir = most_frequent(samples.nb_dir[is_labelled])
    nb_speed = most_frequent(samples.nb_speed[is_labelled])
    rows = np.flatnonzero((samples.nb_dir == nb_dir) & is_labelled)
    directions = np.bincount(samples.direction[rows], minlength=nb_dir)
    is_counted = (samples.nb_speed == nb_speed) & is_labelled
    speeds = np.bincount(samples.speed[is_counted], minlength=nb_speed)
    middle = int(directions[nb_dir // 2]) if nb_dir % 2 else 0
    middle_share = middle / len(rows) if len(rows) else 0.0
    is_straight = np.abs(samples.steering[is_labelled]) <= STRAIGHT
    per_class = int(np.sort(directions)[-2]) if nb_dir > 1 else len(rows)
    return Balance(
        directions=tuple(directions.tolist()),
        speeds=tuple(speeds.tolist()),
        middle_share=middle_share,
        straight_share=float(is_straight.mean()) if len(is_straight) else 0.0,
        is_straight_heavy=middle_share >= STRAIGHT_HEAVY and len(rows) >= MIN_PICTURES,
        balanced=_sample(samples.direction, rows, per_class, seed=seed),
        per_class=per_class,
    )


def most_frequent(values: NDArray[np.int16]) -> int:
    """Return the most frequent value, the lowest of several; 0 if there is none."""
    return int(np.bincount(values).argmax()) if len(values) else 0


def _sample(
    direction: NDArray[np.int16], rows: NDArray[np.intp], per_class: int, *, seed: int
) -> NDArray[np.intp]:
    """Return at most `per_class` rows of each class, chosen at random."""
    order = np.random.default_rng(seed).permutation(rows)
    chosen = [
        order[direction[order] == number][:per_class] for number in np.unique(direction[rows])
    ]
    return np.sort(np.concatenate(chosen)) if chosen else rows
