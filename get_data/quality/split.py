"""Whether the parts of a split (`train`, `val`, `test`) are told apart by more than their names.

A model that is validated on neighbours of what it learned looks better than it is: docs/quality.md,
"Split".
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from get_data.labels.schema import Document
from get_data.quality.ridge import Floats, Rows, cross_validate
from get_data.quality.samples import Samples
from get_data.quality.thumbnails import Thumbnails

KEY = "split"  # of a label that was fetched with its part
NEAR_S = 1.0
MAX_DIFFERENCE = 2.0  # mean of grey levels, of pictures that are nearly equal
FOLDS = 10

_MIN_PICTURES = 200
_COMPARED = 8
_BATCH = 4096
_CELLS = (6, 8)  # rows and columns of the pattern that nearly equal pictures share


@dataclass(frozen=True, slots=True)
class Leak:
    """What parts of a split share; empty if there is no split.

    `sizes`: pictures by part. `drives`: drives that are in several parts. `neighbours`: rows within
    `NEAR_S` of a picture of the same drive in another part. `near_equal`: rows whose picture is
    nearly equal to one of another part, neighbours left out.
    """

    sizes: dict[str, int]
    drives: tuple[int, ...]
    neighbours: Rows
    near_equal: Rows

    @property
    def is_notable(self) -> bool:
        """Whether a model validated with this split looks better than it is."""
        return bool(len(self.neighbours) or len(self.near_equal))


@dataclass(frozen=True, slots=True)
class Flattery:
    """R2 of the same model with folds of random pictures, and of blocks of time; NaN: unknown."""

    random: float
    blocks: float


def parts_of(labels: Mapping[str, Document]) -> dict[str, str]:
    """Return the part of each label that has one."""
    parts = {img_id: label.get(KEY) for img_id, label in labels.items()}
    return {img_id: part for img_id, part in parts.items() if isinstance(part, str) and part}


def find_leak(samples: Samples, thumbnails: Thumbnails, parts: Mapping[str, str]) -> Leak:
    """Return what the parts of a split share; `parts` may leave out pictures."""
    names = [parts.get(img_id, "") for img_id in samples.img_ids]
    numbers = {name: number for number, name in enumerate(sorted({*names} - {""}))}
    part = np.array([numbers.get(name, -1) for name in names], np.int32)
    drives = tuple(
        number
        for number, rows in enumerate(samples.drives())
        if len(np.unique(part[rows][part[rows] >= 0])) > 1
    )
    is_near = np.zeros(len(samples), np.bool_)
    for rows in samples.drives():
        is_near[rows] = _is_near_another(samples.time_us[rows], part[rows])
    is_equal = _equals_another(thumbnails, part) & ~is_near
    sizes = Counter(name for name in names if name)
    return Leak(dict(sorted(sizes.items())), drives, *map(np.flatnonzero, (is_near, is_equal)))


def _is_near_another(time_us: NDArray[np.int64], part: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which pictures of a drive have one of another part within `NEAR_S`."""
    is_near = np.zeros(len(time_us), np.bool_)
    rows = np.flatnonzero(part >= 0)
    time_us, part = time_us[rows], part[rows]
    # Of other parts, the nearest pictures end the stretch before one's own and begin the next.
    starts = np.append(True, np.diff(part) != 0)[: len(part)]
    first = np.flatnonzero(starts)
    stretch = np.cumsum(starts) - 1
    last = np.append(first[1:], len(part)) - 1
    far = np.iinfo(np.int64).max
    before, after = np.full(len(part), far), np.full(len(part), far)
    has_before, has_after = stretch > 0, stretch < len(first) - 1
    before[has_before] = (time_us - time_us[last[stretch - 1]])[has_before]
    following = first[np.minimum(stretch + 1, len(first) - 1)]
    after[has_after] = (time_us[following] - time_us)[has_after]
    is_near[rows] = np.minimum(before, after) <= NEAR_S * 1e6
    return is_near


def _equals_another(thumbnails: Thumbnails, part: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which pictures are nearly equal to one of another part.

    Only pictures with the same pattern of bright and dark are compared.
    """
    equals = np.zeros(len(part), np.bool_)
    rows = np.flatnonzero((part >= 0) & thumbnails.readable)
    if len(np.unique(part[rows])) < 2:
        return equals
    groups: defaultdict[bytes, list[int]] = defaultdict(list)
    for row in rows.tolist():
        groups[_pattern(thumbnails.grey[row])].append(row)
    for group in groups.values():
        members = np.array(group)
        if len(np.unique(part[members])) > 1:
            brightness = thumbnails.grey[members].mean(axis=(1, 2))
            _mark_equal(members[np.argsort(brightness)], thumbnails.grey, part, equals)
    return equals


def _mark_equal(
    members: Rows,
    grey: NDArray[np.uint8],
    part: NDArray[np.int32],
    equals: NDArray[np.bool_],
) -> None:
    """Mark pictures, by brightness, that equal one of the next `_COMPARED` in another part."""
    for step in range(1, _COMPARED + 1):
        one, other = members[:-step], members[step:]
        differs = part[one] != part[other]
        one, other = one[differs], other[differs]
        for start in range(0, len(one), _BATCH):
            a, b = one[start : start + _BATCH], other[start : start + _BATCH]
            difference = np.abs(grey[a].astype(np.int16) - grey[b]).mean(axis=(1, 2))
            is_equal = difference <= MAX_DIFFERENCE
            equals[a[is_equal]] = equals[b[is_equal]] = True


def _pattern(grey: NDArray[np.uint8]) -> bytes:
    height, width = grey.shape
    rows, columns = _CELLS
    cells = grey.reshape(rows, height // rows, columns, width // columns).mean(axis=(1, 3))
    return np.packbits(cells > cells.mean()).tobytes()


def measure_flattery(samples: Samples, thumbnails: Thumbnails, *, seed: int = 0) -> Flattery:
    """Return how much better a model looks when the pictures are split at random."""
    rows = np.flatnonzero(thumbnails.readable)
    if len(rows) < _MIN_PICTURES:
        return Flattery(nan, nan)

    def steering(chosen: Rows) -> Floats:
        return samples.steering[chosen].astype(np.float64)[:, np.newaxis]

    def r_squared(folds: Sequence[Rows]) -> float:
        return float(cross_validate(thumbnails.grey, steering, folds).r_squared()[0])

    shuffled = np.random.default_rng(seed).permutation(rows)
    return Flattery(
        random=r_squared(np.array_split(shuffled, FOLDS)),
        blocks=r_squared(np.array_split(rows, FOLDS)),
    )
