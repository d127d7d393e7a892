"""What can be read of a label that may be invalid."""

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
class Glance:
    """What a document says, whether or not it is a valid label; None where it says nothing usable.

    `fault` is why it is no valid label, "" if it is one. `said_direction` and `said_speed` are
    classes that stand there as a text, such as "2".
    """

    fault: str
    file_name: str | None = None
    taken: datetime | None = None
    picture_size: int | None = None
    created_by: str = AUTO
    direction: int | None = None
    speed: int | None = None
    said_direction: int | None = None
    said_speed: int | None = None
    nb_dir: int | None = None
    nb_speed: int | None = None
    steering: float | None = None
    throttle: float | None = None
    marked: bool = False
    replaces: bool = False


def glance(document: object) -> Glance:
    """What can be seen in a document that was read from somewhere."""
    try:
        label = parse(document)
    except InputError as error:
        return _glance_at_invalid(document, str(error))
    said = label.label
    return Glance(
        fault="",
        file_name=label.file_name,
        taken=parse_time(label.timestamp),
        picture_size=None if label.picture_size is UNSET else label.picture_size,
        created_by=said.created_by,
        direction=said.label_direction,
        speed=said.label_speed,
        nb_dir=said.nb_dir,
        nb_speed=said.nb_speed,
        steering=None if said.raw_direction is UNSET else said.raw_direction,
        throttle=None if said.raw_speed is UNSET else said.raw_speed,
        marked=label.to_delete is True,
        replaces=label.replaces is not UNSET,
    )


def _glance_at_invalid(document: object, fault: str) -> Glance:
    """What of an invalid label can be used all the same."""
    whole = document if isinstance(document, dict) else {}
    label = whole.get("label")
    said = label if isinstance(label, dict) else {}
    nb_dir, nb_speed = (_whole(said.get(key), 1, MAX_CLASSES) for key in ("nb_dir", "nb_speed"))
    direction, speed = said.get("label_direction"), said.get("label_speed")
    last_dir, last_speed = (nb_dir or MAX_CLASSES) - 1, (nb_speed or MAX_CLASSES) - 1
    name, taken, by = whole.get("file_name"), whole.get("timestamp"), said.get("created_by")
    return Glance(
        fault=fault,
        file_name=name if isinstance(name, str) and is_file_name(name) else None,
        taken=parse_time(taken) if isinstance(taken, str) else None,
        created_by=by if isinstance(by, str) else AUTO,
        direction=_whole(direction, 0, last_dir),
        speed=_whole(speed, 0, last_speed),
        said_direction=_whole(_number(direction), 0, last_dir),
        said_speed=_whole(_number(speed), 0, last_speed),
        nb_dir=nb_dir,
        nb_speed=nb_speed,
        steering=_share(said.get("raw_direction")),
        throttle=_share(said.get("raw_speed")),
        marked=whole.get("to_delete") is True,
        replaces="replaces" in whole,
    )


def _whole(value: object, least: int, most: int) -> int | None:
    """The value, if it is a whole number of that range."""
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    return None


def _number(value: object) -> int | None:
    """The number that a text of one or two digits tells."""
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else None


def _share(value: object) -> float | None:
    """The value, if it is a number of -1 .. 1."""
    if isinstance(value, int | float) and not isinstance(value, bool) and -1 <= value <= 1:
        return float(value)
    return None
