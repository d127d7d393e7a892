"""Readable parts of a label that may be invalid."""

import re
from dataclasses import dataclass
from datetime import datetime

from msgspec import UNSET

from common.errors import InputError
from common.times import parse_time
from get_data.labels.schema import AUTO, MAX_CLASSES
from get_data.labels.validation import is_file_name, parse

_DIGITS = re.compile(r"\d{1,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PartialLabel:
    """Usable values of a document; None where a value is missing or unusable.

    `fault`: why the document is not a valid label, "" if it is one. `text_direction` and
    `text_speed`: classes that are strings in the document, such as "2".
    """

    fault: str
    file_name: str | None = None
    taken: datetime | None = None
    picture_size: int | None = None
    created_by: str = AUTO
    direction: int | None = None
    speed: int | None = None
    text_direction: int | None = None
    text_speed: int | None = None
    nb_dir: int | None = None
    nb_speed: int | None = None
    steering: float | None = None
    throttle: float | None = None
    marked: bool = False
    replaces: bool = False


def read_partial(document: object) -> PartialLabel:
    """Return the readable parts of any JSON value."""
    try:
        label = parse(document)
    except InputError as error:
        return _read_invalid(document, str(error))
    annotation = label.label
    return PartialLabel(
        fault="",
        file_name=label.file_name,
        taken=parse_time(label.timestamp),
        picture_size=None if label.picture_size is UNSET else label.picture_size,
        created_by=annotation.created_by,
        direction=annotation.label_direction,
        speed=annotation.label_speed,
        nb_dir=annotation.nb_dir,
        nb_speed=annotation.nb_speed,
        steering=None if annotation.raw_direction is UNSET else annotation.raw_direction,
        throttle=None if annotation.raw_speed is UNSET else annotation.raw_speed,
        marked=label.to_delete is True,
        replaces=label.replaces is not UNSET,
    )


def _read_invalid(value: object, fault: str) -> PartialLabel:
    document = value if isinstance(value, dict) else {}
    label = document.get("label")
    annotation = label if isinstance(label, dict) else {}
    nb_dir = _integer(annotation.get("nb_dir"), 1, MAX_CLASSES)
    nb_speed = _integer(annotation.get("nb_speed"), 1, MAX_CLASSES)
    direction, speed = annotation.get("label_direction"), annotation.get("label_speed")
    last_direction, last_speed = (nb_dir or MAX_CLASSES) - 1, (nb_speed or MAX_CLASSES) - 1
    file_name, timestamp = document.get("file_name"), document.get("timestamp")
    created_by = annotation.get("created_by")
    return PartialLabel(
        fault=fault,
        file_name=file_name if isinstance(file_name, str) and is_file_name(file_name) else None,
        taken=parse_time(timestamp) if isinstance(timestamp, str) else None,
        created_by=created_by if isinstance(created_by, str) else AUTO,
        direction=_integer(direction, 0, last_direction),
        speed=_integer(speed, 0, last_speed),
        text_direction=_integer(_parse_digits(direction), 0, last_direction),
        text_speed=_integer(_parse_digits(speed), 0, last_speed),
        nb_dir=nb_dir,
        nb_speed=nb_speed,
        steering=_level(annotation.get("raw_direction")),
        throttle=_level(annotation.get("raw_speed")),
        marked=document.get("to_delete") is True,
        replaces="replaces" in document,
    )


def _integer(value: object, low: int, high: int) -> int | None:
    """Return the value if it is an integer from `low` to `high`, else None."""
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    return None


def _parse_digits(value: object) -> int | None:
    """Return the number that a string of one or two digits represents, else None."""
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else None


def _level(value: object) -> float | None:
    """Return the value if it is a number from -1 to 1, else None."""
    if isinstance(value, int | float) and not isinstance(value, bool) and -1 <= value <= 1:
        return float(value)
    return None
