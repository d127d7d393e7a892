"""Session templates: who drove, where and on what occasion, for a whole recording.

`session_template.json` lies beside the pictures; its keys are copied into every label. Besides
those in `SESSION_KEYS` it may hold custom keys.
"""

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from common import strict_json
from common.atomic_files import atomic_write
from common.errors import InputError
from get_data.labels.constants import SESSION_KEYS
from get_data.labels.schema import RESERVED
from get_data.labels.validation import custom_key_fault, is_custom_value

NAME = "session_template.json"

_MAX_BYTES = 32_768  # as JSON; every label of the recording gets it all

Session = dict[str, Any]


def read(path: Path) -> Session:
    """Return the checked content of a session template.

    Raises:
        InputError: with the file, the key and what it should be.
    """
    session = strict_json.read(path)
    if not isinstance(session, dict):
        raise InputError(f'{path}: expected an object such as {{"driver": "Zoé"}}')
    check(session, str(path))
    return {**dict.fromkeys(SESSION_KEYS, ""), **session}


def check(session: Session, where: str) -> None:
    """Check that a label can hold these values; `where` names them in messages.

    Raises:
        InputError: a key or a value is not allowed, or all together are too long.
    """
    for key, value in session.items():
        if key in SESSION_KEYS:
            if not isinstance(value, str):
                raise InputError(f"{where}: {key}: expected a text, got {reprlib.repr(value)}")
        elif key in RESERVED:
            raise InputError(f"{where}: {key}: every label has a key of that name; choose another")
        elif fault := custom_key_fault(key, session):
            raise InputError(f"{where}: {key!r}: {fault}")
        elif not is_custom_value(value):
            raise InputError(
                f"{where}: {key}: expected a text, a number, true, false or a list of them"
            )
    sizes = {key: len(msgspec.json.encode({key: value})) for key, value in session.items()}
    if (total := sum(sizes.values())) > _MAX_BYTES:
        longest = max(sizes, key=lambda key: sizes[key])
        # what has to be shortened: one value, or the number of keys
        is_one = sizes[longest] > _MAX_BYTES / 2
        what = f"{longest} is too long" if is_one else f"{len(session):,} keys are too many"
        raise InputError(
            f"{where}: {what}: together they take {total:,} bytes, and the limit is "
            f"{_MAX_BYTES:,}, because every label holds a copy"
        )


def write(path: Path, session: Mapping[str, Any]) -> None:
    """Write a session template.

    Raises:
        WriteFailed: it cannot be written; any previous version is untouched.
    """
    with atomic_write(path) as file:
        file.write(msgspec.json.format(msgspec.json.encode(session), indent=2) + b"\n")
