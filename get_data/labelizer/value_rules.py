"""Steering and throttle of the entries, kept together with their classes."""

from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.errors import InputError
from get_data.labelizer.catalogue import Catalogue, Flag
from get_data.labelizer.operations import (
    UNKNOWN,
    VALUES,
    ClassName,
    Columns,
    Floats,
    Integers,
    Operation,
    expand_set,
    expand_values,
    to_runs,
)
from get_data.labels.classes import Bins, direction_bins, speed_bins

_DIGITS = 6  # of a nudged or smoothed value


class ValueRules:
    """What values an operation sets, judged by the label file and by the work so far."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._classes = {"direction": catalogue.direction, "speed": catalogue.speed}
        self._file_values = {"steering": catalogue.steering, "throttle": catalogue.throttle}
        self._raws = {"direction": catalogue.raw_direction, "speed": catalogue.raw_speed}

    def complete(
        self,
        operation: Operation,
        positions: Integers,
        current: Columns,
        referred: Operation | None,
    ) -> Columns:
        """Return the new values by attribute: a class for each value, a value for each class.

        `current`: the work so far, at these positions. `referred`: the operation that an undo or a
        redo is of.

        Raises:
            InputError: a value is out of range, or not in the class that is set with it; or there
                is no label to delete.
        """
        changes = expand_set(operation, positions.size)
        if np.any((changes.get("deleted", 0) != 0) & self._is_new[positions]):
            raise InputError(f"operation {operation.uid}: there is no label to delete")
        self._take_referred_values(changes, operation, referred)
        for class_name, value_name in VALUES.items():
            if value_name in changes:
                self._match_class(operation, class_name, positions, changes, current)
            elif class_name in changes:
                changes[value_name] = self._values_of_classes(
                    class_name, positions, changes[class_name], current
                )
        return changes

    @staticmethod
    def _take_referred_values(
        changes: Columns, operation: Operation, referred: Operation | None
    ) -> None:
        """Add the values of the operation that this one undoes or repeats, unless it has some."""
        if referred is None or referred.positions != operation.positions:
            return
        source = referred.was if operation.kind == "undo" else referred.set
        for class_name, name in VALUES.items():
            if class_name in changes and name not in changes and name in source:
                count = changes[class_name].size
                changes[name] = expand_values(referred, name, source[name], count)

    def _match_class(
        self,
        operation: Operation,
        class_name: ClassName,
        positions: Integers,
        changes: Columns,
        current: Columns,
    ) -> None:
        """Set the class of each value, or check it where the operation sets it itself."""
        name = VALUES[class_name]
        values = changes[name]
        given = changes.get(class_name)
        classes = (current[class_name] if given is None else given).copy()
        for index in np.flatnonzero(~np.isnan(values)).tolist():
            position, value = int(positions[index]), float(values[index])
            number = self._bins(class_name, position).class_of(value)
            if given is None:
                classes[index] = number
            elif number != given[index] and self._is_judged(class_name, position):
                if operation.kind != "carry":
                    raise InputError(
                        f"operation {operation.uid}: {name} {value} is in {class_name} {number}, "
                        f"not in {given[index]}"
                    )
                values[index] = np.nan  # the label file has other bins now
        changes[class_name] = classes

    def _is_judged(self, class_name: ClassName, position: int) -> bool:
        """Return whether a label tells the bins of its values: a throttle may have no span."""
        return class_name == "direction" or bool(self._catalogue.tells_span[position])

    def _values_of_classes(
        self,
        class_name: ClassName,
        positions: Integers,
        classes: Integers | Floats,
        current: Columns,
    ) -> Floats:
        """Return the values that go with classes set without them."""
        values = np.full(positions.size, np.nan)
        kept, now = current[VALUES[class_name]], current[class_name]
        for index, position in enumerate(positions.tolist()):
            number = int(classes[index])
            if number == now[index]:
                values[index] = kept[index]
            elif number >= 0 and not (
                class_name == "speed"
                and not self._catalogue.tells_span[position]
                and number == self._classes["speed"][position]
            ):
                values[index] = self._bins(class_name, position).value_in(
                    number, self._raw(class_name, position)
                )
        return self._settled(class_name, positions, classes, values)

    def _settled(
        self,
        class_name: ClassName,
        positions: Integers,
        classes: Integers | Floats,
        values: Floats,
    ) -> Floats:
        """Return values as they are saved: NaN where they are what the label file has."""
        is_same_class = classes == self._classes[class_name][positions]
        is_same = values == self._file_values[VALUES[class_name]][positions]
        return np.where(is_same_class & is_same, np.nan, values)

    def plan(self, operation: Operation, positions: Integers, everything: Columns) -> Operation:
        """Return an operation without a `set` as it is to be saved; see operations.py.

        `everything`: the work so far, at all positions.

        Raises:
            InputError: none of the entries has a value to change.
        """
        if operation.kind == "shift":
            return _with_changes(
                operation, self._shift(operation.by, positions, everything), positions, everything
            )
        class_name: ClassName = "direction" if operation.name == "steering" else "speed"
        values = self._effective(class_name, everything)
        if operation.kind == "nudge":
            values = values + operation.amount
        else:
            values = self._smoothed(values, abs(operation.by), positions)
        if np.isnan(values[positions]).any():
            raise InputError(
                f"operation {operation.uid}: a label has no {class_name} yet; set it first"
            )
        # adding zero makes -0.0 zero
        changed = np.round(np.clip(values[positions], -1, 1), _DIGITS).astype(np.float64) + 0.0
        classes = np.array(
            [
                self._bins(class_name, position).class_of(value)
                for position, value in zip(positions.tolist(), changed.tolist(), strict=True)
            ],
            np.int64,
        )
        changes: Columns = {
            class_name: classes,
            operation.name: changed,
            "reviewed": np.ones(positions.size, np.int64),
        }
        return _with_changes(operation, changes, positions, everything)

    def _shift(self, by: int, positions: Integers, everything: Columns) -> Columns:
        """Return classes and values of labels moved to other pictures of the same run.

        A picture that gets no label from another of these, of the same run and classes, is marked
        to delete, or has no label again if it had none in the file.
        """
        moved: Columns = {
            "direction": everything["direction"].copy(),
            "speed": everything["speed"].copy(),
            "deleted": everything["deleted"].copy(),
            "steering": self._effective("direction", everything),
            "throttle": self._effective("speed", everything),
        }
        sources = {name: column.copy() for name, column in moved.items()}
        is_source = np.zeros(len(self._catalogue), np.bool_)
        is_source[positions] = True
        is_new = self._is_new
        is_source &= ~(is_new & ((everything["direction"] < 0) | (everything["speed"] < 0)))
        groups, spans, runs = self._catalogue.group, self._catalogue.span, self._runs
        for position in positions.tolist():
            source = position - by
            if (
                0 <= source < len(self._catalogue)
                and is_source[source]
                and runs[source] == runs[position]
                and groups[source] == groups[position]
                and spans[source] == spans[position]
            ):
                for name in ("direction", "speed", "steering", "throttle"):
                    moved[name][position] = sources[name][source]
            elif is_new[position]:
                moved["direction"][position] = moved["speed"][position] = UNKNOWN
                moved["steering"][position] = moved["throttle"][position] = np.nan
            else:
                moved["deleted"][position] = 1
        found: Columns = {name: column[positions] for name, column in moved.items()}
        for class_name, name in VALUES.items():
            values = found[name].astype(np.float64)
            found[name] = self._settled(class_name, positions, found[class_name], values)
        return found

    def _smoothed(self, values: Floats, reach: int, positions: Integers) -> Floats:
        """Return averages over `reach` pictures on both sides, of the same run."""
        smoothed = values.copy()
        for position in positions.tolist():
            first, last = max(position - reach, 0), position + reach + 1
            is_same_run = self._runs[first:last] == self._runs[position]
            near = values[first:last][is_same_run]
            known = near[~np.isnan(near)]
            smoothed[position] = known.mean() if known.size else np.nan
        return smoothed

    @cached_property
    def _is_new(self) -> NDArray[np.bool_]:
        """Whether an entry has no label in the file."""
        is_new: NDArray[np.bool_] = (self._catalogue.flags & Flag.UNLABELLED) != 0
        return is_new

    @cached_property
    def _runs(self) -> Integers:
        """Number of the run of each entry."""
        return np.cumsum((self._catalogue.flags & Flag.RUN_START) != 0)

    def _effective(self, class_name: ClassName, everything: Columns) -> Floats:
        """Return the value of every entry as an export would have it; NaN without a class."""
        name = VALUES[class_name]
        values = np.array(everything[name], np.float64)
        classes, in_file = everything[class_name], self._classes[class_name]
        for position in np.flatnonzero(np.isnan(values)).tolist():
            number = int(classes[position])
            if number < 0:
                continue
            if number == in_file[position]:
                values[position] = self._file_values[name][position]
            else:
                bins = self._bins(class_name, position)
                values[position] = bins.value_in(number, self._raw(class_name, position))
        return values

    def _bins(self, class_name: ClassName, position: int) -> Bins:
        group = self._catalogue.group_of(position)
        if class_name == "direction":
            return direction_bins(group.nb_dir)
        return speed_bins(group.nb_speed, float(self._catalogue.span[position]))

    def _raw(self, class_name: ClassName, position: int) -> float | None:
        raw = float(self._raws[class_name][position])
        return None if np.isnan(raw) else raw


def with_all_values(operation: Operation, changes: Columns, before: Columns) -> Operation:
    """Return the operation with everything that it changes, and what was there before."""
    return msgspec.structs.replace(
        operation,
        set={name: to_runs(column) for name, column in changes.items()},
        was={name: to_runs(before[name]) for name in changes},
    )


def _with_changes(
    operation: Operation, changes: Columns, positions: Integers, everything: Columns
) -> Operation:
    before: Columns = {name: everything[name][positions] for name in changes}
    return with_all_values(operation, changes, before)
