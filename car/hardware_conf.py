"""`hardware_conf.json`: what this car is. Values only, measured on the car."""

import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

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
    try:
        if file.exists() and not file.is_file():
            raise InputError(f"{file} cannot be read: it is not a regular file")
        raw = file.read_bytes()
        conf = msgspec.json.decode(raw, type=HardwareConf)
        json.loads(raw, object_pairs_hook=partial(_refuse_repeated, file))
        return conf
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 text; save it as UTF-8") from error
    except msgspec.DecodeError as error:
        what, _, where = str(error).replace("`", "").partition(" - at $.")
        raise InputError(f"{file}: {where + ': ' if where else ''}{what}") from error
    except RecursionError as error:
        raise InputError(f"{file}: nested too deep") from error


def _refuse_repeated(file: Path, pairs: Sequence[tuple[str, object]]) -> None:
    """Two values of one key may be meant either way. Raises: InputError."""
    name, times = Counter(key for key, _ in pairs).most_common(1)[0]
    if times > 1:
        raise InputError(f"{file}: {name} stands twice; keep one")


def contents(conf: HardwareConf) -> dict[str, object]:
    """The values by key, as they stand in the file and in a label's `car_setting`."""
    return msgspec.structs.asdict(conf)
