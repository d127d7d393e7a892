"""A strict JSON reader: ambiguous input is an error."""

import json
import math
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from common.errors import InputError

LARGEST_INTEGER = 2**63 - 1  # and its negative are the limits of whole numbers

_BUFFER_BYTES = 1 << 17  # a line of a label file has one or two thousand
_DIGITS = len(str(LARGEST_INTEGER))
_BLANK = frozenset(" \t\n\r")


def read(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: the file cannot be read, or `parse` does not accept it.
    """
    return parse(read_bytes(path, "a JSON file"), str(path))


def read_bytes(path: Path, description: str, *, max_bytes: float = math.inf) -> bytes:
    """Read a regular file; messages call it by its `description` ("a label file").

    Raises:
        InputError: it cannot be read, it has more than `max_bytes`, or it is a pipe or a device,
            which may never end.
    """
    with open_file(path, description, max_bytes=max_bytes) as file:
        return file.read()


@contextmanager
def open_file(path: Path, description: str, *, max_bytes: float = math.inf) -> Iterator[BinaryIO]:
    """Open a file for the block, which reads it; raises as `read_bytes`."""
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder, not {description}")
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is not a regular file")
        if path.stat().st_size > max_bytes:
            raise InputError(
                f"{path} is too large for {description}, which has {max_bytes:,} bytes at most"
            )
        file = path.open("rb", buffering=_BUFFER_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{path} does not exist") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', error)}") from error
    with file:
        try:
            yield file
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error


def parse(raw: bytes, source: str) -> Any:
    """Parse JSON text; messages name its `source`.

    Raises:
        InputError: it is not JSON, or has something that other readers change silently: NaN,
            infinite and oversized numbers, duplicate keys, lone surrogates, other text than UTF-8.
    """
    with _translate_errors(source):
        text = raw.decode("utf-8-sig")
        content = _decoder.decode(text)
        _check_characters(text, content)
    return content


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of an object; `raw[start:end]` is its value."""

    key: str
    value: Any
    start: int
    end: int


def iter_entries(raw: bytes, source: str) -> Iterator[Entry]:
    """Yield the entries of an object, parsed as by `parse`, with one of them in memory at a time.

    Raises:
        InputError: `parse` would not accept it, or it is not an object.
    """
    with _translate_errors(source):
        text = raw.decode("utf-8-sig")
        position = _past_blank(text, 0)
        if text[position : position + 1] != "{":
            _decoder.decode(text)
            raise _NotAccepted("expected an object")
        seen: set[str] = set()
        bom_bytes = len(BOM_UTF8) if raw.startswith(BOM_UTF8) else 0
        # the same position, in characters and in bytes
        counted, start = position, bom_bytes + position
        position = _past_blank(text, position + 1)
        while text[position : position + 1] != "}" or seen:
            _expect(text, position, '"', "property name enclosed in double quotes")
            key_at = position
            key, position = _decoder.raw_decode(text, position)
            if key in seen:
                raise _NotAccepted(f"duplicate key {key!r}; keep one")
            seen.add(key)
            position = _past_blank(text, position)
            _expect(text, position, ":", "':' delimiter")
            position = _past_blank(text, position + 1)
            value, end = _decoder.raw_decode(text, position)
            _check_characters(text[key_at:end], [key, value])
            start += len(text[counted:position].encode())
            stop = start + len(text[position:end].encode())
            yield Entry(key, value, start, stop)
            counted, start = end, stop
            position = _past_blank(text, end)
            if text[position : position + 1] == "}":
                break
            _expect(text, position, ",", "',' delimiter")
            position = _past_blank(text, position + 1)
        position = _past_blank(text, position + 1)
        if position != len(text):
            raise json.JSONDecodeError("Extra data", text, position)


def _past_blank(text: str, position: int) -> int:
    """Return the position of the next non-blank character."""
    while text[position : position + 1] in _BLANK:
        position += 1
    return position


def _expect(text: str, position: int, character: str, description: str) -> None:
    if text[position : position + 1] != character:
        raise json.JSONDecodeError(f"Expecting {description}", text, position)


def _check_characters(text: str, content: Any) -> None:
    if "\\ud" in text or "\\uD" in text:  # may be a lone surrogate, which cannot be encoded
        json.dumps(content, ensure_ascii=False).encode()


@contextmanager
def _translate_errors(source: str) -> Iterator[None]:
    """Raise errors of the decoder as InputError."""
    try:
        yield
    except json.JSONDecodeError as error:
        raise InputError(
            f"{source}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is not UTF-8 text; save it as UTF-8") from error
    except UnicodeEncodeError as error:
        raise InputError(
            f"{source}: has a lone surrogate, a \\u escape without its pair"
        ) from error
    except RecursionError as error:
        raise InputError(f"{source}: nested too deeply") from error
    except _NotAccepted as error:
        raise InputError(f"{source}: {error}") from error


class _NotAccepted(Exception):
    """Valid JSON that other readers may read differently."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _NotAccepted(f"duplicate key {name!r}; keep one")
            seen.add(name)
    return content


def _constant(name: str) -> NoReturn:
    raise _NotAccepted(f"{name} is not a JSON number")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _NotAccepted(f"the number {text[:20]} is too large")
    return number


def _integer(text: str) -> int:
    if len(text) < _DIGITS:
        return int(text)
    if len(text) > _DIGITS + 1 or abs(int(text)) > LARGEST_INTEGER:
        raise _NotAccepted(f"the number {text[:20]} is too large")
    return int(text)


_decoder = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_constant=_constant,
    parse_float=_float,
    parse_int=_integer,
)
