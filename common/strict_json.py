"""JSON as people and programs give it to us, read strictly: what could be misread is refused."""

import json
import math
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from common.errors import InputError

_LARGEST_INTEGER = 2**63 - 1
_BLANK = frozenset(" \t\n\r")


def read(path: Path) -> Any:
    """The content of a JSON file. Raises: InputError that names the file and what is wrong."""
    return parse(read_bytes(path, "a JSON file"), str(path))


def read_bytes(path: Path, what: str) -> bytes:
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
    with _told(where):
        text = raw.decode("utf-8-sig")
        content = _decoder.decode(text)
        _check_characters(text, content)
    return content


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an object; `raw[start:end]` is its value."""

    key: str
    value: Any
    start: int
    end: int


def iter_entries(raw: bytes, where: str) -> Iterator[Entry]:
    """The entries of an object, each as strictly read as by `parse`, one in memory at a time.

    Raises: InputError, also for what is no object.
    """
    with _told(where):
        text = raw.decode("utf-8-sig")
        at = _past_blank(text, 0)
        if text[at : at + 1] != "{":
            _decoder.decode(text)
            raise _Refused("expected an object")
        seen: set[str] = set()
        mark = len(BOM_UTF8) if raw.startswith(BOM_UTF8) else 0
        counted, start = at, mark + at  # the same place, in bytes
        at = _past_blank(text, at + 1)
        while text[at : at + 1] != "}" or seen:
            _expect(text, at, '"', "property name enclosed in double quotes")
            key_at = at
            key, at = _decoder.raw_decode(text, at)
            if key in seen:
                raise _Refused(f"the key {key!r} stands twice in one object; keep one")
            seen.add(key)
            at = _past_blank(text, at)
            _expect(text, at, ":", "':' delimiter")
            at = _past_blank(text, at + 1)
            value, end = _decoder.raw_decode(text, at)
            _check_characters(text[key_at:end], [key, value])
            start += len(text[counted:at].encode())
            stop = start + len(text[at:end].encode())
            yield Entry(key, value, start, stop)
            counted, start = end, stop
            at = _past_blank(text, end)
            if text[at : at + 1] == "}":
                break
            _expect(text, at, ",", "',' delimiter")
            at = _past_blank(text, at + 1)
        at = _past_blank(text, at + 1)
        if at != len(text):
            raise json.JSONDecodeError("Extra data", text, at)


def _past_blank(text: str, at: int) -> int:
    """The place of the next sign that is not blank."""
    while text[at : at + 1] in _BLANK:
        at += 1
    return at


def _expect(text: str, at: int, sign: str, what: str) -> None:
    if text[at : at + 1] != sign:
        raise json.JSONDecodeError(f"Expecting {what}", text, at)


def _check_characters(text: str, content: Any) -> None:
    if "\\ud" in text or "\\uD" in text:  # may be half a character, which no file can hold
        json.dumps(content, ensure_ascii=False).encode()


@contextmanager
def _told(where: str) -> Iterator[None]:
    """What is wrong with the text becomes an InputError that names the place."""
    try:
        yield
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


class _Refused(Exception):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _Refused(f"the key {name!r} stands twice in one object; keep one")
            seen.add(name)
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


_decoder = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_constant=_constant,
    parse_float=_float,
    parse_int=_integer,
)
