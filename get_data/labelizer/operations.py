"""Edits as the page sends them and the work file stores them.

An operation sets attributes of some pictures and records their values before. Pictures are
identified by their position. Positions and values are run-length encoded, because most edits are of
neighbours.

`steering` and `throttle` are what should be done at a picture, -1 to 1; null stands for the value
that the label file gives with the class that it has. The server keeps class and value together
(`value_rules.py`), whatever an operation leaves out:

- a value alone (kind `value`) sets the class with it;
- a class alone brings back what the driver did, if that is in it, else sets its centre;
- both must agree, else the operation is refused;
- an undo or a redo without values takes them from the operation that it is `of`;
- a `shift`, `nudge` or `smooth` with an empty `set` is worked out by the server: labels moved `by`
  pictures; `amount` added to the value `name`; each value `name` replaced by the average of `by`
  pictures on both sides. None of them crosses the border of a run.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from common.errors import InputError

ClassName = Literal["direction", "speed"]
ValueName = Literal["steering", "throttle"]
Kind = (
    Literal["label", "confirm", "delete", "fix", "shift", "carry", "undo", "redo"]
    | Literal["value", "nudge", "smooth"]
)
Attribute = Literal["direction", "speed", "reviewed", "deleted", "steering", "throttle"]
ATTRIBUTES: tuple[Attribute, ...] = (
    *("direction", "speed", "reviewed", "deleted"),
    *("steering", "throttle"),
)
VALUES: dict[ClassName, ValueName] = {"direction": "steering", "speed": "throttle"}
MAX_SHIFT = 1_000_000_000  # pictures
UNKNOWN = -1  # the class of an invalid label that has none

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Uid = Annotated[str, Meta(pattern="^[0-9a-f-]{8,36}$")]
Run = tuple[int, int]
ValueRun = tuple[int | float | None, int]
Columns = dict[Attribute, Integers | Floats]


class Operation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An edit that can be undone.

    `positions`: ranges of first and last position, ascending. `set`, `was`: by attribute, the
    values of these positions in order, as runs of value and count. `of`: the operation that an undo
    or a redo refers to. `by`: the number of pictures by which a shift moves labels, or over which
    values are smoothed on each side. `name`, `amount`: the value that a nudge changes, and by how
    much.
    """

    uid: Uid
    kind: Kind
    text: Annotated[str, Meta(max_length=200)]
    of: Uid | None = None
    by: Annotated[int, Meta(ge=-MAX_SHIFT, le=MAX_SHIFT)] = 0
    name: ValueName = "steering"
    amount: Annotated[float, Meta(ge=-2, le=2)] = 0.0
    positions: Annotated[list[Run], Meta(min_length=1)]
    set: dict[Attribute, list[ValueRun]]
    was: dict[Attribute, list[ValueRun]]

    @property
    def is_planned(self) -> bool:
        """Whether the server works out what it sets."""
        return not self.set and self.kind in ("shift", "nudge", "smooth")


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


def expand_values(
    operation: Operation, attribute: Attribute, runs: Sequence[ValueRun], count: int
) -> Integers | Floats:
    """Return the values that the runs of an operation encode; NaN for null.

    Raises:
        InputError: they are not exactly `count` values, or of the wrong type.
    """
    # Each count is checked before anything is allocated for it.
    if not all(0 < times <= count for _, times in runs) or sum(run[1] for run in runs) != count:
        raise InputError(f"operation {operation.uid}: expected {count} values, one a position")
    counts = [times for _, times in runs]
    if attribute in VALUES.values():
        if any(value is not None and not -1 <= value <= 1 for value, _ in runs):
            raise InputError(f"operation {operation.uid}: {attribute} out of range")
        levels = [math.nan if value is None else float(value) for value, _ in runs]
        return np.repeat(np.array(levels, np.float64), counts)
    numbers = [value for value, _ in runs if isinstance(value, int)]
    if len(numbers) != len(runs):
        raise InputError(f"operation {operation.uid}: {attribute} must be integers")
    return np.repeat(np.array(numbers, np.int64), counts)


def expand_set(operation: Operation, count: int) -> Columns:
    """Return the new values by attribute.

    Raises:
        InputError: they are not exactly `count` values each, or of the wrong type.
    """
    return {
        name: expand_values(operation, name, runs, count) for name, runs in operation.set.items()
    }


def to_column(attribute: Attribute, values: Sequence[int | float | None]) -> Integers | Floats:
    """Return values of an attribute as a column; NaN for None."""
    if attribute in VALUES.values():
        return np.array([math.nan if value is None else value for value in values], np.float64)
    return np.array(values, np.int64)


def to_runs(values: Integers | Floats) -> list[ValueRun]:
    """Encode the values as runs of value and count; NaN is null."""
    if not values.size:
        return []
    is_other = values[1:] != values[:-1]
    if values.dtype.kind == "f":
        is_other &= ~(np.isnan(values[1:]) & np.isnan(values[:-1]))
    runs = np.split(values, np.flatnonzero(is_other) + 1)
    return [(_to_json(run[0].item()), run.size) for run in runs]


def _to_json(value: int | float) -> int | float | None:
    return None if math.isnan(value) else value


def to_ranges(positions: Integers) -> list[Run]:
    """Encode ascending positions as ranges of first and last position."""
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    ranges = np.split(positions, breaks)
    return [(int(span[0]), int(span[-1])) for span in ranges if span.size]


def moved(operation: Operation, new_positions: Integers) -> Operation | None:
    """Return the operation for entries in another order; `new_positions` has one for each entry.

    Entries whose new position is negative are left out; None if none is left.
    """
    old = expand_positions(operation, new_positions.size)
    new = new_positions[old]
    order = np.argsort(new)[np.count_nonzero(new < 0) :]
    if not order.size:
        return None

    def reorder(changes: dict[Attribute, list[ValueRun]]) -> dict[Attribute, list[ValueRun]]:
        return {
            attribute: to_runs(expand_values(operation, attribute, runs, old.size)[order])
            for attribute, runs in changes.items()
        }

    return msgspec.structs.replace(
        operation,
        positions=to_ranges(new[order]),
        set=reorder(operation.set),
        was=reorder(operation.was),
    )
