"""Readable parts of a label that may be invalid."""

import re
from datetime import datetime

from msgspec import UNSET, Struct, UnsetType

from common.errors import InputError
from common.times import parse_time
from get_data.labels.constants import AUTO, MAX_CLASSES
from get_data.labels.schema import Label
from get_data.labels.validation import is_file_name, parse
from get_data.labels.values import read_value, speed_span

_DIGITS = re.compile(r"\d{1,2}", re.ASCII)


class PartialLabel(Struct, frozen=True):
    """Usable values of a document; None where a value is missing or unusable.

    `fault`: why the document is not a valid label, "" if it is one. `text_direction` and
    `text_speed`: classes that are strings in the document, such as "2". `steering` and `throttle`
    are those of a valid label only. `span`: the throttle up to which the speed bins reach.
    `driver` and `picture_sha256` are "" if unknown.
    """

    fault: str
    file_name: str | None = None
    taken: datetime | None = None
    picture_size: int | None = None
    picture_sha256: str = ""
    driver: str = ""
    created_by: str = AUTO
    direction: int | None = None
    speed: int | None = None
    text_direction: int | None = None
    text_speed: int | None = None
    nb_dir: int | None = None
    nb_speed: int | None = None
    raw_direction: float | None = None
    raw_speed: float | None = None
    steering: float | None = None
    throttle: float | None = None
    span: float | None = None
    marked: bool = False
    replaces: bool = False


def read_partial(document: object) -> PartialLabel:
    """Return the readable parts of any JSON value."""
    try:
        return read_valid(parse(document))
    except InputError as error:
        return _read_invalid(document, str(error))


def read_valid(label: Label) -> PartialLabel:
    """Return the parts of a valid label."""
    annotation = label.label
    return PartialLabel(
        fault="",
        file_name=label.file_name,
        taken=parse_time(label.timestamp),
        picture_size=None if label.picture_size is UNSET else label.picture_size,
        picture_sha256="" if label.picture_sha256 is UNSET else label.picture_sha256,
        driver=label.driver,
        created_by=annotation.created_by,
        direction=annotation.label_direction,
        speed=annotation.label_speed,
        nb_dir=annotation.nb_dir,
        nb_speed=annotation.nb_speed,
        raw_direction=_unless_unset(annotation.raw_direction),
        raw_speed=_unless_unset(annotation.raw_speed),
        steering=_unless_unset(annotation.steering),
        throttle=_unless_unset(annotation.throttle),
        span=speed_span({"car_setting": label.car_setting}),
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
        driver=_text(document, "driver"),
        created_by=created_by if isinstance(created_by, str) else AUTO,
        direction=_integer(direction, 0, last_direction),
        speed=_integer(speed, 0, last_speed),
        text_direction=_integer(_parse_digits(direction), 0, last_direction),
        text_speed=_integer(_parse_digits(speed), 0, last_speed),
        nb_dir=nb_dir,
        nb_speed=nb_speed,
        raw_direction=read_value(annotation, "raw_direction"),
        raw_speed=read_value(annotation, "raw_speed"),
        span=speed_span(document),
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


def _text(document: object, key: str) -> str:
    """Return a text of the document; "" if there is none."""
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, str) else ""


def _unless_unset(value: float | UnsetType) -> float | None:
    return None if value is UNSET else value
