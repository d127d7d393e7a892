"""What labels of one set should have in common, and labels that contradict themselves."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from get_data.labels.classes import direction_bins
from get_data.labels.constants import NOT_PEOPLE
from get_data.labels.schema import Document
from get_data.labels.values import read_value

Value = TypeVar("Value", bound=Hashable)
Size = tuple[int, int]  # width and height in pixels; (0, 0) where a label does not tell


@dataclass(frozen=True, slots=True)
class Mixture:
    """Values that differ within a set, each with its number of labels, most frequent first.

    `contradictions`: ids of labels that nobody has corrected, without a steering of their own,
    whose class is not that of what the driver did. `duplicates`: ids of the labels of one picture
    content, for each that has several.
    """

    nb_dir: dict[int, int]
    nb_speed: dict[int, int]
    cars: dict[str, int]
    sizes: dict[Size, int]
    contradictions: tuple[str, ...]
    duplicates: tuple[tuple[str, ...], ...]


def find_mixture(labels: Mapping[str, Document]) -> Mixture:
    """Return what differs within valid labels."""
    annotations = [label["label"] for label in labels.values()]
    return Mixture(
        nb_dir=_count(annotation["nb_dir"] for annotation in annotations),
        nb_speed=_count(annotation["nb_speed"] for annotation in annotations),
        cars=_count(map(_car_of, labels.values())),
        sizes=_count(map(_size_of, labels.values())),
        contradictions=tuple(sorted(filter(lambda name: _contradicts(labels[name]), labels))),
        duplicates=_find_duplicates(labels),
    )


def _count(values: Iterable[Value]) -> dict[Value, int]:
    return dict(Counter(values).most_common())


def _car_of(label: Document) -> str:
    """Return the name of the car; "" if the label does not tell it."""
    return str(label.get("car_setting", {}).get("car", ""))


def _size_of(label: Document) -> Size:
    resolution = label.get("resolution", {"horizontal": 0, "vertical": 0})
    return resolution["horizontal"], resolution["vertical"]


def _contradicts(label: Document) -> bool:
    annotation = label["label"]
    raw = read_value(annotation, "raw_direction")
    by_person = annotation["created_by"] not in NOT_PEOPLE
    if raw is None or by_person or read_value(annotation, "steering") is not None:
        return False
    direction: int = annotation["label_direction"]
    return direction_bins(annotation["nb_dir"]).class_of(raw) != direction


def _find_duplicates(labels: Mapping[str, Document]) -> tuple[tuple[str, ...], ...]:
    same: defaultdict[str, list[str]] = defaultdict(list)
    for img_id in sorted(labels):
        same[labels[img_id].get("picture_sha256", "")].append(img_id)
    return tuple(tuple(names) for sha256, names in same.items() if sha256 and len(names) > 1)
