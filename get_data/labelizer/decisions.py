"""Decisions of people about entries, and how they move to a new version of the label file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from uuid import uuid4

import numpy as np
from msgspec import Struct

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

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Decision:
    """State of an entry that was edited; classes are -1 if unknown, flags 0 or 1.

    `steering` and `throttle` are None unless they were set; see operations.py. `settled` is 1 for
    what an earlier round has decided and the label file has: a label that was reviewed then, or a
    picture whose label was deleted. The fields are columns of the work file's table `entry`.
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
    settled: int

    @property
    def changes_classes(self) -> bool:
        """Whether direction or speed differ from the label file."""
        return (self.direction, self.speed) != (self.old_direction, self.old_speed)

    @property
    def sets_values(self) -> bool:
        """Whether steering or throttle were set, perhaps within their class."""
        return self.steering is not None or self.throttle is not None

    @property
    def is_kept(self) -> bool:
        """Whether nothing was decided since an earlier round."""
        return bool(
            self.settled
            and self.deleted == self.old_deleted
            and not (self.changes_classes or self.sets_values)
        )


CarriedDecision = tuple[int, Decision]  # the position in the new label file


class RoundSummary(Struct, frozen=True):
    """What became of the decisions of a round in the label file that came after it, as counts.

    `applied`: corrections, confirmations and deletions that the file has, `deleted` of them
    deletions. `kept`: labels that are the same and stay reviewed. `archive`: name of the file with
    the work of the round, "" before it is archived.
    """

    decided: int
    applied: int
    deleted: int
    carried: int
    lost: int
    kept: int
    archive: str = ""


@dataclass(slots=True)
class NextRound:
    """Decisions of a round, compared with the label file that came after it.

    `applied`: decisions that the file has. `settled`: those of them, and of earlier rounds, whose
    label was reviewed and is the same, or whose label is deleted while its picture is still there.
    `carried`: their label is as it was before they were made. `lost`: it is neither.
    """

    applied: int = 0
    applied_deletions: int = 0
    settled: list[CarriedDecision] = field(default_factory=list)
    carried: list[CarriedDecision] = field(default_factory=list)
    lost: int = 0

    def summary(self) -> RoundSummary:
        """Return the counts."""
        applied = self.applied + self.applied_deletions
        return RoundSummary(
            decided=applied + len(self.carried) + self.lost,
            applied=applied,
            deleted=self.applied_deletions,
            carried=len(self.carried),
            lost=self.lost,
            kept=sum(decision.reviewed for _, decision in self.settled if not decision.deleted),
        )


def compare_decisions(decisions: Iterable[Decision], catalogue: Catalogue) -> NextRound:
    """Compare the decisions about an earlier version of the label file with this one."""
    positions = {img_id: position for position, img_id in enumerate(catalogue.ids)}
    result = NextRound()
    for decision in decisions:
        position = positions.get(decision.img_id)
        if decision.deleted and not decision.old_deleted and _is_gone(catalogue, position):
            result.applied_deletions += 1
            if position is not None:
                result.settled.append((position, decision))
        elif decision.is_kept:
            # what was settled before is no work of this round
            if position is not None and _is_as_decided(decision, catalogue, position):
                result.settled.append((position, decision))
        elif position is None:
            result.lost += 1
        elif _is_as_decided(decision, catalogue, position):
            result.applied += 1
            if decision.reviewed and not decision.deleted:
                result.settled.append((position, decision))
        elif _has_same_label(decision, catalogue, position):
            result.carried.append((position, decision))
        else:
            result.lost += 1
    result.carried.sort(key=lambda match: match[0])
    return result


def _is_gone(catalogue: Catalogue, position: int | None) -> bool:
    """Return whether the label file has no label of a picture any more."""
    return position is None or position in catalogue.unlabelled


def _is_as_decided(decision: Decision, catalogue: Catalogue, position: int) -> bool:
    """Return whether the label is what an export makes of the decision."""
    is_marked = bool(catalogue.flags[position] & Flag.MARKED)
    if decision.deleted:
        return is_marked and not decision.old_deleted
    if is_marked or position in catalogue.unlabelled:
        return decision.settled == 1 and not decision.reviewed
    group = catalogue.group_of(position)
    has_classes = (decision.direction, decision.speed) == _classes(catalogue, position) and (
        decision.nb_dir,
        decision.nb_speed,
    ) == (group.nb_dir, group.nb_speed)
    if not (decision.reviewed or decision.changes_classes or decision.sets_values):
        return has_classes  # only the mark was removed
    return (
        has_classes
        and catalogue.people.get(position) == decision.changed_by
        and _is_value(decision.steering, float(catalogue.steering[position]))
        and _is_value(decision.throttle, float(catalogue.throttle[position]))
    )


def _classes(catalogue: Catalogue, position: int) -> tuple[int, int]:
    return int(catalogue.direction[position]), int(catalogue.speed[position])


def _is_value(decided: float | None, value: float) -> bool:
    """Return whether a value is the decided one; an index may have rounded it."""
    return decided is None or abs(decided - value) < _ROUNDING


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
