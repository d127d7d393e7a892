"""Steering and throttle that should be done at a picture: what regression trains on.

Recorded, they equal `raw_direction` and `raw_speed`, what the driver did, which nobody changes.
A correction changes them together with the class: a value is in the bin of its class, always.
Labels of earlier versions have no values; a reader gets them from class and raw value.
"""

from typing import Any

from get_data.labels.classes import Bins, direction_bins, speed_bins
from get_data.labels.schema import Annotation, Document

DEFAULT_SPAN = 1.0  # of speed bins, where neither the label nor its drive tells a throttle


def steering_of(label: Document) -> float:
    """Return the steering of a valid label, -1 left to 1 right."""
    annotation = label["label"]
    steering = read_value(annotation, "steering")
    if steering is not None:
        return steering
    bins = direction_bins(annotation["nb_dir"])
    return bins.value_in(annotation["label_direction"], read_value(annotation, "raw_direction"))


def throttle_of(label: Document) -> float:
    """Return the throttle of a valid label, -1 to 1.

    Without a value, `raw_speed` is taken as it is where the label does not tell the span of its
    speed bins: then nothing shows that somebody changed the class.
    """
    annotation = label["label"]
    throttle = read_value(annotation, "throttle")
    if throttle is not None:
        return throttle
    raw, span = read_value(annotation, "raw_speed"), speed_span(label)
    if raw is not None and span is None:
        return raw
    bins = speed_bins(annotation["nb_speed"], span or DEFAULT_SPAN)
    return bins.value_in(annotation["label_speed"], raw)


def speed_span(document: Any) -> float | None:
    """Return the throttle up to which the speed bins reach, `car_setting.run.max_throttle`.

    None for a document that does not tell it, or tells one that no car has.
    """
    try:
        found = document["car_setting"]["run"]["max_throttle"]
    except (KeyError, TypeError):  # no such key, or something else than an object
        return None
    if isinstance(found, int | float) and not isinstance(found, bool) and 0 < found <= 1:
        return float(found)
    return None


def read_value(annotation: object, name: str) -> float | None:
    """Return a value of an annotation of any form; None if it is not a number from -1 to 1."""
    value = annotation.get(name) if isinstance(annotation, dict) else None
    if isinstance(value, int | float) and not isinstance(value, bool) and -1 <= value <= 1:
        return float(value)
    return None


def contradictions(annotation: Annotation, span: float | None) -> list[tuple[str, str]]:
    """Return path and reason of each value that is not in the bin of its class."""
    found = []
    value, number = annotation.steering, annotation.label_direction
    if isinstance(value, float):
        bins = direction_bins(annotation.nb_dir)
        if bins.class_of(value) != number:
            found.append(_contradiction("steering", value, "label_direction", number, bins))
    value, number = annotation.throttle, annotation.label_speed
    if span is not None and isinstance(value, float):
        bins = speed_bins(annotation.nb_speed, span)
        if bins.class_of(value) != number:
            found.append(_contradiction("throttle", value, "label_speed", number, bins))
    return found


def _contradiction(
    name: str, value: float, class_name: str, number: int, bins: Bins
) -> tuple[str, str]:
    return (
        f"label.{name}",
        f"{value} is in class {bins.class_of(value)} of {bins.count}, "
        f"but label.{class_name} is {number}; change both together",
    )
