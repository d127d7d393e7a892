"""`hardware_conf.json`: what this car is. Values only, measured on the car."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

import strict_json
from errors import InputError


class HardwareConf(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One car."""

    car: Annotated[str, Meta(description="The car's name, in every label", min_length=1)]
    max_throttle: Annotated[
        float, Meta(description="What full trigger means, as a share of full throttle", gt=0, le=1)
    ]
    jpeg_quality: Annotated[int, Meta(description="Quality of the pictures", ge=1, le=100)]


def read(file: Path) -> HardwareConf:
    """The checked content of the file.

    Raises: InputError that names the file, the key and what it should be.
    """
    content = strict_json.read(file)
    try:
        return msgspec.convert(content, HardwareConf)
    except msgspec.ValidationError as error:
        what, _, where = str(error).replace("`", "").partition(" - at $.")
        raise InputError(f"{file}: {where + ': ' if where else ''}{what}") from error


def contents(conf: HardwareConf) -> dict[str, object]:
    """The values by key, as they stand in the file and in a label's `car_setting`."""
    return msgspec.structs.asdict(conf)
