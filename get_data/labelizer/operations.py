"""Edits as the page sends them and the work file stores them.

An operation sets attributes of some pictures and records their values before. Pictures are
identified by their position in time. Positions and values are run-length encoded, because most
edits are of neighbours.
"""

from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from common.errors import InputError

Attribute = Literal["direction", "speed", "reviewed", "deleted"]
ATTRIBUTES: tuple[Attribute, ...] = ("direction", "speed", "reviewed", "deleted")
UNKNOWN = -1  # the class of an invalid label that has none

Integers = NDArray[np.int64]
Uid = Annotated[str, Meta(pattern="^[0-9a-f-]{8,36}$")]
Run = tuple[int, int]


class Operation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An edit that can be undone.

    `positions`: ranges of first and last position, ascending. `set`, `was`: by attribute, the
    values of these positions in order, as runs of value and count. `of`: the operation that an undo
    or a redo refers to. `by`: the number of pictures by which a shift moves labels.
    """

    uid: Uid
    kind: Literal["label", "confirm", "delete", "fix", "shift", "carry", "undo", "redo"]
    text: Annotated[str, Meta(max_length=200)]
    of: Uid | None = None
    by: int = 0
    positions: Annotated[list[Run], Meta(min_length=1)]
    set: Annotated[dict[Attribute, list[Run]], Meta(min_length=1)]
    was: dict[Attribute, list[Run]]


class Batch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Operations in the order in which they were made, sent by the holder of the lease."""

    work: str
    epoch: int
    operations: list[Operation]


def expand_positions(operation: Operation, count: int) -> Integers:
    """Return the positions of an operation, ascending.

    Raises:
        InputError: the ranges overlap, are out of order, or exceed `count` pictures.
    """
    previous = -1
    for first, last in operation.positions:
        if not previous < first <= last < count:
            raise InputError(
                f"operation {operation.uid}: {first} to {last} is not a range of positions"
            )
        previous = last
    ranges = [np.arange(first, last + 1, dtype=np.int64) for first, last in operation.positions]
    return np.concatenate(ranges)


def expand_values(operation: Operation, runs: list[Run], count: int) -> Integers:
    """Return the values that the runs of an operation encode.

    Raises:
        InputError: they are not exactly `count` values.
    """
    # Each count is checked before anything is allocated for it.
    if not all(0 < times <= count for _, times in runs) or sum(run[1] for run in runs) != count:
        raise InputError(f"operation {operation.uid}: expected {count} values, one a position")
    values = np.array([value for value, _ in runs], dtype=np.int64)
    return np.repeat(values, [times for _, times in runs])


def to_runs(values: Integers) -> list[Run]:
    """Encode the values as runs of value and count."""
    runs = np.split(values, np.flatnonzero(np.diff(values)) + 1)
    return [(int(run[0]), run.size) for run in runs if run.size]


def to_ranges(positions: Integers) -> list[Run]:
    """Encode ascending positions as ranges of first and last position."""
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    ranges = np.split(positions, breaks)
    return [(int(span[0]), int(span[-1])) for span in ranges if span.size]


def moved(operation: Operation, new_positions: Integers) -> Operation:
    """Return the operation for entries in another order; `new_positions` has one for each entry."""
    old = expand_positions(operation, new_positions.size)
    new = new_positions[old]
    order = np.argsort(new)

    def reorder(changes: dict[Attribute, list[Run]]) -> dict[Attribute, list[Run]]:
        return {
            attribute: to_runs(expand_values(operation, runs, old.size)[order])
            for attribute, runs in changes.items()
        }

    return msgspec.structs.replace(
        operation,
        positions=to_ranges(new[order]),
        set=reorder(operation.set),
        was=reorder(operation.was),
    )
