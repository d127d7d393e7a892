"""Decisions of people about entries, and how they move to a new version of the label file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from uuid import uuid4

import numpy as np

from get_data.labelizer.catalogue import Catalogue, Flag
from get_data.labelizer.operations import (
    ATTRIBUTES,
    Attribute,
    Operation,
    ValueRun,
    to_column,
    to_ranges,
    to_runs,
)


@dataclass(frozen=True, slots=True)
class Decision:
    """State of an entry that was edited; classes are -1 if unknown, flags 0 or 1.

    `steering` and `throttle` are None unless they were set; see operations.py. The fields are
    columns of the work file's table `entry`.
    """

    position: int
    img_id: str
    nb_dir: int
    nb_speed: int
    old_direction: int
    old_speed: int
    old_deleted: int
    direction: int
    speed: int
    reviewed: int
    deleted: int
    steering: float | None
    throttle: float | None
    changed_by: str
    changed_on: str

    @property
    def changes_classes(self) -> bool:
        """Whether direction or speed differ from the label file."""
        return (self.direction, self.speed) != (self.old_direction, self.old_speed)

    @property
    def sets_values(self) -> bool:
        """Whether steering or throttle were set, perhaps within their class."""
        return self.steering is not None or self.throttle is not None


CarriedDecision = tuple[int, Decision]  # the position in the new label file


def match_decisions(decisions: Iterable[Decision], catalogue: Catalogue) -> list[CarriedDecision]:
    """Return the decisions about entries whose old label is the same in the catalogue."""
    positions = {img_id: position for position, img_id in enumerate(catalogue.ids)}
    matches = []
    for decision in decisions:
        position = positions.get(decision.img_id)
        if position is not None and _has_same_label(decision, catalogue, position):
            matches.append((position, decision))
    return sorted(matches, key=lambda match: match[0])


def _has_same_label(decision: Decision, catalogue: Catalogue, position: int) -> bool:
    group = catalogue.group_of(position)
    return (
        decision.old_direction,
        decision.old_speed,
        decision.nb_dir,
        decision.nb_speed,
        decision.old_deleted,
    ) == (
        catalogue.direction[position],
        catalogue.speed[position],
        group.nb_dir,
        group.nb_speed,
        bool(catalogue.flags[position] & Flag.MARKED),
    )


def build_carry_operation(carried: Sequence[CarriedDecision]) -> Operation:
    """Build one operation that repeats all the decisions."""
    decisions = [decision for _, decision in carried]
    before: list[tuple[int | float | None, ...]] = [
        (each.old_direction, each.old_speed, 0, each.old_deleted, None, None) for each in decisions
    ]
    return Operation(
        uid=str(uuid4()),
        kind="carry",
        text=f"{len(carried)} changes carried over",
        positions=to_ranges(np.array([position for position, _ in carried])),
        set=_attribute_runs([attrgetter(*ATTRIBUTES)(each) for each in decisions]),
        was=_attribute_runs(before),
    )


def _attribute_runs(
    rows: Sequence[tuple[int | float | None, ...]],
) -> dict[Attribute, list[ValueRun]]:
    """Encode rows of values, in the order of `ATTRIBUTES`, by attribute."""
    columns = zip(ATTRIBUTES, zip(*rows, strict=True), strict=True)
    return {name: to_runs(to_column(name, column)) for name, column in columns}
