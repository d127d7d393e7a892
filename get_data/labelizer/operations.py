"""An edit, as the page makes it and the work file keeps it.

An operation sets attributes of some pictures and says what they were before. Pictures are named by
their position in time; positions and values travel as runs, because most edits are of neighbours.
"""

from typing import Annotated, Literal

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from common.errors import InputError

Attribute = Literal["direction", "speed", "reviewed", "deleted"]
ATTRIBUTES: tuple[Attribute, ...] = ("direction", "speed", "reviewed", "deleted")
UNKNOWN = -1  # a class that an invalid label does not tell

Integers = NDArray[np.int64]
Uid = Annotated[str, Meta(pattern="^[0-9a-f-]{8,36}$")]
Run = tuple[int, int]


class Operation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step that can be undone.

    `positions`: runs of first and last, ascending. `set`, `was`: for each attribute the values of
    these positions in turn, as runs of value and count. `of`: what an undo or a redo is of. `by`:
    how many pictures later a shift moves labels.
    """

    uid: Uid
    kind: Literal["label", "confirm", "delete", "fix", "shift", "carry", "undo", "redo"]
    text: Annotated[str, Meta(max_length=200)]
    of: Uid | None = None
    by: int = 0
    positions: Annotated[list[Run], Meta(min_length=1)]
    set: Annotated[dict[Attribute, list[Run]], Meta(min_length=1)]
    was: dict[Attribute, list[Run]]


def positions_of(operation: Operation, count: int) -> Integers:
    """The positions, ascending. Raises: InputError unless there are pictures of all of them."""
    before = -1
    for first, last in operation.positions:
        if not before < first <= last < count:
            raise InputError(f"operation {operation.uid}: {first} to {last} are no positions")
        before = last
    runs = [np.arange(first, last + 1, dtype=np.int64) for first, last in operation.positions]
    return np.concatenate(runs)


def values_of(operation: Operation, runs: list[Run], count: int) -> Integers:
    """The values that runs stand for. Raises: InputError unless they are so many."""
    if not all(0 < times <= count for _, times in runs) or sum(run[1] for run in runs) != count:
        raise InputError(f"operation {operation.uid}: not a value for each of {count} positions")
    values = np.array([value for value, _ in runs], dtype=np.int64)
    return np.repeat(values, [times for _, times in runs])


def runs_of(values: Integers) -> list[Run]:
    """The values as runs of value and count."""
    pieces = np.split(values, np.flatnonzero(np.diff(values)) + 1)
    return [(int(piece[0]), piece.size) for piece in pieces if piece.size]


def ranges_of(positions: Integers) -> list[Run]:
    """Ascending positions as runs of first and last."""
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    return [(int(run[0]), int(run[-1])) for run in np.split(positions, breaks) if run.size]


class Batch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Operations in the order in which they were made, by whoever holds the lease."""

    work: str
    epoch: int
    operations: list[Operation]
