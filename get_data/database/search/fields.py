"""Fields of a label as a search sees them.

A field defines where a document has its values, how they are indexed, and what a value in a query
means. Fields have the types of `schema.INDEX_TYPES`; all others are keywords:

- keyword: the whole text, up to 8191 characters; numbers, true and false as spelled in JSON.
  `driver.keyword` is the same as `driver`. Compared by code point.
- `event.text`, and likewise where people write sentences: its tokens, in lower case.
- integer, long: a number, also as text ("2"). A fraction equals none of them.
- float: a number of 32 bits; -0.0 is less than 0.0.
- boolean: true or false, also as text.
- date: nanoseconds from 1970 to 2262-04-11; earlier and later times are not dates, nor is "".
  `2020-12-31T15:45:55.123456Z` with an optional zone, `20201231T15-45-55-123456`, `20201231`, and
  leading parts of the first form: `2020-12` means its first moment with `gte` and `lt`. With `gt`
  and `lte` the missing parts have their last value, except month and day, which are 1. A term
  matches everything between the two.
- flattened: all values inside, as keywords; `car_setting.camera.width` is one of them. There, and
  in custom fields, a number in a query also means its other spelling: 20 and 20.0.

A field with several values matches if any of them does. `null` and `[]` are not values.
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, NoReturn

from common.errors import InputError
from common.times import parse_time, to_microseconds
from get_data.database.search.patterns import InvalidValue
from get_data.database.search.search_query import Clause
from get_data.database.search.tokenizer import tokenize
from get_data.labels import custom_fields, schema
from get_data.labels.custom_fields import term_text
from get_data.labels.schema import CUSTOM, MAX_KEYWORD, OBJECT, Document

Matcher = Callable[[Document], bool]

FINGERPRINT = "label_fingerprint"  # the `_id` of a label


def raise_invalid(clause: Clause, message: str) -> NoReturn:
    """Raise InputError for a clause that no database accepts."""
    raise InputError(f"{clause.path}: {message}")


def raise_unsupported(clause: Clause, feature: str) -> NoReturn:
    """Raise InputError for a clause that only Elasticsearch may accept."""
    raise InputError(
        f"{clause.path}: the database on this machine does not support {feature}. "
        "A team's database (Elasticsearch) may support it"
    )


Bounds = Callable[[Any], tuple[Any, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A type of field.

    `bounds` returns the first and the last indexed value that a value in a query means, or raises
    InvalidValue. A document's value is indexed as the first.
    """

    name: str
    bounds: Bounds
    is_text: bool = False


def _text_bounds(value: Any) -> tuple[str, str]:
    return term_text(value), term_text(value)


def _integer_bounds(value: Any) -> tuple[float, float]:
    number = min(max(_number(value), -(2**63)), 2**63 - 1)
    return number, number


def _float_bounds(value: Any) -> tuple[int, int]:
    number = _number(value)
    try:
        packed = struct.pack("<f", number)
    except OverflowError:
        packed = struct.pack("<f", float("inf") if number > 0 else float("-inf"))
    (bits,) = struct.unpack("<i", packed)
    ordered = bits if bits >= 0 else bits ^ 0x7FFFFFFF
    return ordered, ordered


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise InvalidValue("a number")
    if not isinstance(value, str):
        return float(value) if isinstance(value, float) else int(value)
    if re.fullmatch(r"[+-]?[0-9]{1,400}", value):
        return int(value)
    if re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", value):
        return float(value)
    raise InvalidValue("a number")


def _boolean_bounds(value: Any) -> tuple[bool, bool]:
    if isinstance(value, bool):
        return value, value
    if value in ("true", "false"):
        return value == "true", value == "true"
    raise InvalidValue("true or false")


_ISO = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?"
    r"(Z|[+-]\d\d(?::?\d\d)?)?)?)?)?",
    re.ASCII,
)
_LIKE_IMG_ID = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)-(\d\d)-(\d\d)-(\d{6}))?()", re.ASCII)
_FULL_LENGTH = len("2020-12-31T15:45:55.123456Z")
_A_TIME = 'a time such as "2020-12-31T15:45:55.123456Z", "2020-12" or an img_id'


def _date_bounds(value: Any) -> tuple[int, int]:
    if not isinstance(value, str):
        raise InvalidValue(_A_TIME)
    if len(value) == _FULL_LENGTH and value[19::7] == ".Z" and value[11:13] < "24":
        # as this toolkit writes times, with all parts: in a fifth of the time
        return _other_date_bounds(value)
    match = _ISO.fullmatch(value) or _LIKE_IMG_ID.fullmatch(value)
    if not match:
        return _other_date_bounds(value)
    *parts, fraction, zone = match.groups()
    try:
        first = _nanoseconds(parts, (1, 1, 1, 0, 0, 0), fraction or "0", zone)
        last = _nanoseconds(parts, (1, 1, 1, 23, 59, 59), fraction or "9" * 9, zone)
    except (ValueError, OverflowError) as error:  # such as 30 February
        raise InvalidValue(_A_TIME) from error
    return first, last


def indexed_date(text: str) -> int | None:
    """Return a time as a date field indexes it, None for one that does not fit."""
    try:
        return _date_bounds(text)[0]
    except InvalidValue:
        return None


def _other_date_bounds(value: str) -> tuple[int, int]:
    moment = parse_time(value)  # other forms of ISO 8601, in labels from elsewhere
    if moment is None:
        raise InvalidValue(_A_TIME)
    nanoseconds = _since_epoch(moment)
    return nanoseconds, nanoseconds


def _nanoseconds(
    parts: Sequence[str | None], defaults: Sequence[int], fraction: str, zone: str | None
) -> int:
    year, month, day, hour, minute, second = (
        int(part or default) for part, default in zip(parts, defaults, strict=True)
    )
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - _offset(zone)
    return _since_epoch(moment, int(fraction.ljust(9, "0")))


def _offset(zone: str | None) -> timedelta:
    if not zone or zone == "Z":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    east = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -east if zone.startswith("-") else east


def _since_epoch(moment: datetime, more_nanoseconds: int = 0) -> int:
    nanoseconds = to_microseconds(moment) * 1000 + more_nanoseconds
    if not 0 <= nanoseconds < 2**63:
        raise InvalidValue("a time from 1970 to 2262-04-11")
    return nanoseconds


_EXACT = {"term": "value", "terms": "value", "match": "query", "match_phrase": "query"}
_MAX_RESPELLED = 10**15  # above it, not every spelling has all digits


def with_other_spelling(clause: Clause) -> Clause | None:
    """Return the clause with its whole numbers spelled the other way, as texts; None without any.

    A field without a declared type has numbers as JSON spells them: 20 in one label, 20.0 in
    another.
    """
    name = _EXACT.get(clause.type)
    asked = clause.arguments.get(name) if name else None
    if name is None or schema.resolve_field(clause.path)[1] not in ("flattened", CUSTOM):
        return None
    other = [_respell(item) for item in asked] if isinstance(asked, list) else _respell(asked)
    if other == asked:
        return None
    return replace(clause, arguments={**clause.arguments, name: other})


def _respell(value: object) -> object:
    """Return the other spelling of a whole number, "20.0" for 20; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if not abs(value) < _MAX_RESPELLED or value != int(value):
        return value
    return term_text(int(value) if isinstance(value, float) else float(value))


_KEYWORD = Kind("a keyword", _text_bounds, is_text=True)
WORDS = Kind("a text", _text_bounds, is_text=True)
_INTEGER = Kind("a whole number", _integer_bounds)
_KINDS = {
    "keyword": _KEYWORD,
    "keyword+text": _KEYWORD,
    "flattened": _KEYWORD,
    "integer": _INTEGER,
    "long": _INTEGER,
    "float": Kind("a number", _float_bounds),
    "boolean": Kind("true or false", _boolean_bounds),
    "date": Kind("a date", _date_bounds),
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its type, and the indexed values that a document has."""

    path: str
    kind: Kind
    values: Callable[[Document], list[Any]]
    is_present: Matcher


def field_of(clause: Clause) -> Field:
    """Return the field of a clause.

    Raises:
        InputError: only Elasticsearch has it.
    """
    path = FINGERPRINT if clause.type == "ids" else clause.path
    if clause.type not in ("ids", "match_all") and (
        schema.is_elasticsearch_field(path) or "*" in path
    ):
        raise_unsupported(
            clause, f"the field {path!r}; ask one field by its name, fingerprints with ids"
        )
    path, kind = schema.resolve_field(path)
    if kind == schema.TEXT:
        raw = scalars_at(path.removesuffix(".text"))
        return Field(
            path,
            WORDS,
            lambda document: [word for text in raw(document) for word in tokenize(term_text(text))],
            lambda document: bool(raw(document)),
        )
    if kind == "flattened":
        head, _, rest = path.partition(".")
        return _create_field(path, _KEYWORD, _leaves_at(head, rest))
    # an object has no values of its own, but exists if anything inside it does
    if kind == OBJECT:
        inside = _leaves_at(path, "")
        return Field(path, _KEYWORD, lambda document: [], lambda document: bool(inside(document)))
    if kind == CUSTOM:
        return _create_field(path, _KEYWORD, _own_values_at(path))
    return _create_field(path, _KINDS[kind], scalars_at(path))


def _create_field(path: str, kind: Kind, raw: Callable[[Document], list[Any]]) -> Field:
    def values(document: Document) -> list[Any]:
        return list(index_values(kind, raw(document)))

    return Field(path, kind, values, lambda document: bool(values(document)))


def index_values(kind: Kind, raw: Iterable[Any]) -> Iterator[Any]:
    """Yield the values as this type of field indexes them, without those that do not fit."""
    for value in raw:
        try:
            indexed = kind.bounds(value)[0]
        except InvalidValue:  # such as "" for a date
            continue
        if not (kind.is_text and len(indexed) > MAX_KEYWORD):
            yield indexed


def _own_values_at(path: str) -> Callable[[Document], list[Any]]:
    """Return a function that returns the searchable values of a custom field."""

    def values(document: Document) -> list[Any]:
        found = custom_fields.custom_values(document).get(path, ())
        return [value for value in found if custom_fields.is_searchable(path, value)]

    return values


def scalars_at(path: str) -> Callable[[Document], list[Any]]:
    """Return a function that returns the values at a dotted path; none if it is an object."""
    steps = path.split(".")

    def scalars(document: Document) -> list[Any]:
        node: Any = document
        for step in steps:
            node = node.get(step) if isinstance(node, dict) else None
        found = node if isinstance(node, list) else [node]
        return [value for value in found if isinstance(value, str | int | float)]

    return scalars


def _leaves_at(path: str, inside: str) -> Callable[[Document], list[Any]]:
    """Return a function that returns all values inside the object at `path`.

    `inside` limits them to those with this dotted name.
    """

    def leaves(document: Document) -> list[Any]:
        found = _leaves(document.get(path), "")
        return [value for name, value in found if not inside or name == inside]

    return leaves


def _leaves(node: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{name}.{key}" if name else key)
    elif isinstance(node, list):
        yield from chain.from_iterable(_leaves(value, name) for value in node)
    elif node is not None:
        yield name, node
