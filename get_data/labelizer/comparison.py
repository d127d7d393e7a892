"""Labels of the same pictures from another label file, beside those of the catalogue."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec import Struct

from common import strict_json
from common.errors import InputError
from get_data.labelizer.catalogue import Catalogue, Progress
from get_data.labelizer.entries import Group
from get_data.labelizer.operations import UNKNOWN
from get_data.labelizer.picture_folder import printable_name
from get_data.labels import label_file
from get_data.labels.constants import NOT_PEOPLE
from get_data.labels.values import steering_of, throttle_of

MIN_COMMON_SHARE = 0.5  # of the smaller file, below which the files may be of different sets


@dataclass(frozen=True, slots=True)
class OtherLabel:
    """A valid label of the other file."""

    direction: int
    speed: int
    steering: float
    throttle: float
    is_deleted: bool
    group: Group
    created_by: str


class Comparison(Struct, frozen=True, kw_only=True):
    """The other labels as columns in the order of the catalogue, as the page gets them.

    `direction`, `speed`: classes, -1 where there is no label to compare; then the values mean
    nothing. `only_here`, `only_there`, `invalid`, `other_classes`: numbers of labels that are not
    compared. `name`: who made most of the other file's corrections, or else the name of the file.
    """

    name: str
    file: str
    direction: list[int]
    speed: list[int]
    steering: list[float]
    throttle: list[float]
    deleted: list[int]
    common: int
    only_here: int
    only_there: int
    invalid: int
    other_classes: int

    @property
    def is_doubtful(self) -> bool:
        """Whether so few pictures are in both files that they may be of different sets."""
        smaller = self.common + min(self.only_here, self.only_there)
        return self.common < MIN_COMMON_SHARE * smaller


def read_comparison(
    file: Path, catalogue: Catalogue, user: str, progress: Progress = iter
) -> Comparison:
    """Read the label file to compare with.

    Raises:
        InputError: it is no label file, or the same file, or no picture in it can be compared.
    """
    if catalogue.labels.exists() and file.exists() and file.samefile(catalogue.labels):
        raise InputError(f"{file} is the label file itself; compare with that of another person")
    with strict_json.open_file(file, "a label file") as opened:
        labels, invalid = _read_labels(progress(label_file.iter_entries(opened, str(file))))
    if not labels:
        raise InputError(f"{file} has no valid label to compare with")
    common = [position for position, img_id in enumerate(catalogue.ids) if img_id in labels]
    if not common:
        raise InputError(
            f"{file} and {catalogue.labels} have no picture in common; compare labels of one set"
        )
    comparable = [
        position
        for position in common
        if labels[catalogue.ids[position]].group == catalogue.group_of(position)
    ]
    if not comparable:
        raise InputError(
            f"{file} has {_describe(labels[catalogue.ids[common[0]]].group)}, "
            f"{catalogue.labels} has {_describe(catalogue.group_of(common[0]))}; "
            "only labels with the same classes can be compared"
        )
    by_position = {position: labels[catalogue.ids[position]] for position in comparable}
    return _to_columns(
        by_position,
        len(catalogue),
        name=_name_of(labels.values(), user) or printable_name(file.name),
        file=printable_name(file.absolute()),
        common=len(common),
        only_here=len(catalogue) - len(catalogue.unlabelled) - _count_labelled(common, catalogue),
        only_there=len(labels) - len(common),
        invalid=invalid,
        other_classes=len(common) - len(comparable),
    )


def _read_labels(entries: Iterable[label_file.Entry]) -> tuple[dict[str, OtherLabel], int]:
    """Return the valid labels by img_id, and the number of the others."""
    labels, invalid = {}, 0
    for entry in entries:
        try:
            checked = entry.check()
        except InputError:
            invalid += 1
            continue
        annotation = checked.label.label
        labels[entry.key] = OtherLabel(
            direction=annotation.label_direction,
            speed=annotation.label_speed,
            steering=steering_of(checked.document),
            throttle=throttle_of(checked.document),
            is_deleted=checked.label.to_delete is True,
            group=Group(annotation.nb_dir, annotation.nb_speed),
            created_by=annotation.created_by,
        )
    return labels, invalid


def _count_labelled(positions: Iterable[int], catalogue: Catalogue) -> int:
    return sum(position not in catalogue.unlabelled for position in positions)


def _name_of(labels: Iterable[OtherLabel], user: str) -> str:
    """Return the person who made most of the labels, "" if nobody else than the user did."""
    people = Counter(label.created_by for label in labels)
    nobody_else = {*NOT_PEOPLE, user}
    others = [(name, count) for name, count in people.most_common() if name not in nobody_else]
    return others[0][0] if others else ""


def _describe(group: Group) -> str:
    return f"{group.nb_dir} directions and {group.nb_speed} speeds"


def _to_columns(labels: dict[int, OtherLabel], size: int, **rest: object) -> Comparison:
    columns = {
        name: np.full(size, UNKNOWN if name in ("direction", "speed") else 0).tolist()
        for name in ("direction", "speed", "steering", "throttle", "deleted")
    }
    for position, label in labels.items():
        columns["direction"][position] = label.direction
        columns["speed"][position] = label.speed
        columns["steering"][position] = label.steering
        columns["throttle"][position] = label.throttle
        columns["deleted"][position] = int(label.is_deleted)
    return Comparison(**columns, **rest)  # type: ignore[arg-type]
