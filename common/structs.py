"""Conversion of parsed JSON to msgspec structs."""

from typing import TypeVar

import msgspec

from common.errors import InputError

T = TypeVar("T")


def convert(content: object, struct: type[T]) -> T:
    """Return the content as a struct, with all types and ranges checked.

    Raises:
        InputError: with the path of the first bad value and the reason, "motors.driver: ...".
    """
    try:
        return msgspec.convert(content, struct)
    except msgspec.ValidationError as error:
        reason, _, location = str(error).replace("`", "").partition(" - at ")
        path = location.removeprefix("$").removeprefix(".")
        reason = reason.replace("Object missing required field", "missing key")
        raise InputError(f"{path}: {reason}" if path else reason) from error
