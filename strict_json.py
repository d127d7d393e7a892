"""JSON as people and programs give it to us, read strictly: what could be misread is refused."""

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from errors import InputError

_LARGEST_INTEGER = 2**63 - 1


def read(path: Path) -> Any:
    """The content of a JSON file. Raises: InputError that names the file and what is wrong."""
    return parse(bytes_of(path, "a JSON file"), str(path))


def bytes_of(path: Path, what: str) -> bytes:
    """The bytes of a file, which a message calls `what`. Raises: InputError.

    Not of a pipe or a device, which may never end.
    """
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder, not {what}")
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is not a regular file")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{path} does not exist") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', error)}") from error


def parse(raw: bytes, where: str) -> Any:
    """The content of JSON text; `where` is what a message calls it.

    Refuses what other readers change in silence: NaN, infinite and oversized numbers, the same key
    twice, half characters, text that is not UTF-8.
    """
    try:
        text = raw.decode("utf-8-sig")
        content = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_integer,
        )
        if "\\ud" in text or "\\uD" in text:  # may be half a character, which no file can hold
            json.dumps(content, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{where} is not UTF-8 text; save it as UTF-8") from error
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where}: holds half a character, a \\u escape without its pair"
        ) from error
    except RecursionError as error:
        raise InputError(f"{where}: nested too deep") from error
    except _Refused as error:
        raise InputError(f"{where}: {error}") from error
    return content


class _Refused(Exception):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Refused(f"the key {twice!r} stands twice in one object; keep one")
    return content


def _constant(name: str) -> NoReturn:
    raise _Refused(f"{name} is not a number that JSON knows")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _Refused(f"the number {text[:20]} is too large")
    return number


def _integer(text: str) -> int:
    if len(text) > len(str(_LARGEST_INTEGER)) + 1 or abs(int(text)) > _LARGEST_INTEGER:
        raise _Refused(f"the number {text[:20]} is too large")
    return int(text)
