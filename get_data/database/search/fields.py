"""The fields of a label as a search sees them: where a document holds their values, how those are
kept, and what a value in a question means.

Fields are kept as `label.INDEX_TYPES` says, all others as keywords:

- keyword: the whole text, unless it is longer than 8191 characters; numbers, true and false as they
  are spelt in JSON. `driver.keyword` is the same as `driver`. Texts are compared by code point.
- `event.text`, and so on where people write sentences: its words, in small letters (`words`).
- integer, long: a number, which a text may tell ("2"). A fraction equals none of them.
- float: a number in 32 bits, where -0.0 comes before 0.0.
- boolean: true or false, also as texts.
- date: nanoseconds from 1970 to 2262-04-11; what is before or after is no date.
  `2020-12-31T15:45:55.123456Z` with an optional zone, `20201231T15-45-55-123456`, `20201231`, and
  the first from the left in parts: `2020-12` means its first moment after `gte` and `lt`; after
  `gt` and `lte` the last of what is missing, but for month and day, which are 1. A term means
  everything between these two. "" is no date.
- flattened: all the values inside, as keywords; `car_setting.camera.width` for one of them.

A field with several values matches when any of them does. `null` and `[]` are no values.
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, NoReturn

from common.errors import InputError
from common.times import parse_time, to_microseconds
from get_data.database.search.patterns import NotKnown
from get_data.database.search.search_query import Clause
from get_data.database.search.tokenizer import words
from get_data.labels import custom_fields, schema
from get_data.labels.custom_fields import term_text as text_of
from get_data.labels.schema import CUSTOM, MAX_KEYWORD, OBJECT, Document

Matcher = Callable[[Document], bool]

FINGERPRINT = "label_fingerprint"  # which is a label's `_id`


def wrong(clause: Clause, what: str) -> NoReturn:
    """No database can answer the clause. Raises: InputError."""
    raise InputError(f"{clause.path}: {what}")


def refuse(clause: Clause, what: str) -> NoReturn:
    """This kind of database cannot answer the clause. Raises: InputError."""
    raise InputError(
        f"{clause.path}: the database on this machine does not know {what}. "
        "A team's database (Elasticsearch) may"
    )


Edges = Callable[[Any], tuple[Any, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """`edges` gives the first and the last of the kept values that a given one means.

    A document's value is kept as the first. Raises: NotKnown.
    """

    name: str
    edges: Edges
    is_text: bool = False


def _text_edges(value: Any) -> tuple[str, str]:
    return text_of(value), text_of(value)


def _integer_edges(value: Any) -> tuple[float, float]:
    number = min(max(_number(value), -(2**63)), 2**63 - 1)
    return number, number


def _float_edges(value: Any) -> tuple[int, int]:
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
        raise NotKnown("a number")
    if not isinstance(value, str):
        return float(value) if isinstance(value, float) else int(value)
    if re.fullmatch(r"[+-]?[0-9]{1,400}", value):
        return int(value)
    if re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", value):
        return float(value)
    raise NotKnown("a number")


def _boolean_edges(value: Any) -> tuple[bool, bool]:
    if isinstance(value, bool):
        return value, value
    if value in ("true", "false"):
        return value == "true", value == "true"
    raise NotKnown("true or false")


_ISO = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?"
    r"(Z|[+-]\d\d(?::?\d\d)?)?)?)?)?",
    re.ASCII,
)
_LIKE_IMG_ID = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)-(\d\d)-(\d\d)-(\d{6}))?()", re.ASCII)
_A_TIME = 'a time such as "2020-12-31T15:45:55.123456Z", "2020-12" or an img_id'


def _date_edges(value: Any) -> tuple[int, int]:
    if not isinstance(value, str):
        raise NotKnown(_A_TIME)
    told = _ISO.fullmatch(value) or _LIKE_IMG_ID.fullmatch(value)
    if not told:
        return _other_date_edges(value)
    *parts, fraction, zone = told.groups()
    try:
        first = _nanoseconds(parts, (1, 1, 1, 0, 0, 0), fraction or "0", zone)
        last = _nanoseconds(parts, (1, 1, 1, 23, 59, 59), fraction or "9" * 9, zone)
    except (ValueError, OverflowError) as error:  # the 30th of February
        raise NotKnown(_A_TIME) from error
    return first, last


def _other_date_edges(value: str) -> tuple[int, int]:
    moment = parse_time(value)  # forms of ISO 8601 that only labels from elsewhere have
    if moment is None:
        raise NotKnown(_A_TIME)
    nanoseconds = _since_epoch(moment)
    return nanoseconds, nanoseconds


def _nanoseconds(
    parts: Sequence[str | None], missing: Sequence[int], fraction: str, zone: str | None
) -> int:
    year, month, day, hour, minute, second = (
        int(part or instead) for part, instead in zip(parts, missing, strict=True)
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
        raise NotKnown("a time from 1970 to 2262-04-11")
    return nanoseconds


_KEYWORD = Kind("a keyword", _text_edges, is_text=True)
WORDS = Kind("a text", _text_edges, is_text=True)
_INTEGER = Kind("a whole number", _integer_edges)
_KINDS = {
    "keyword": _KEYWORD,
    "keyword+text": _KEYWORD,
    "flattened": _KEYWORD,
    "integer": _INTEGER,
    "long": _INTEGER,
    "float": Kind("a number", _float_edges),
    "boolean": Kind("true or false", _boolean_edges),
    "date": Kind("a date", _date_edges),
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its kind, and the values that a document holds, as they are kept."""

    path: str
    kind: Kind
    values: Callable[[Document], list[Any]]
    is_present: Matcher


def field_of(clause: Clause) -> Field:
    """The field that a clause asks. Raises: InputError for one that only Elasticsearch has."""
    path = FINGERPRINT if clause.type == "ids" else clause.path
    if clause.type not in ("ids", "match_all") and (
        schema.is_elasticsearch_field(path) or "*" in path
    ):
        refuse(clause, f"the field {path!r}; ask one field by its name, fingerprints with ids")
    path, kind = schema.resolve_field(path)
    if kind == schema.TEXT:
        raw = scalars_at(path.removesuffix(".text"))
        return Field(
            path,
            WORDS,
            lambda document: [word for text in raw(document) for word in words(text_of(text))],
            lambda document: bool(raw(document)),
        )
    if kind == "flattened":
        head, _, rest = path.partition(".")
        return _kept_field(path, _KEYWORD, _leaves_at(head, rest))
    if kind == OBJECT:
        inside = _leaves_at(path, "")
        return Field(path, _KEYWORD, lambda document: [], lambda document: bool(inside(document)))
    if kind == CUSTOM:
        return _kept_field(path, _KEYWORD, _own_values_at(path))
    return _kept_field(path, _KINDS[kind], scalars_at(path))


def _kept_field(path: str, kind: Kind, raw: Callable[[Document], list[Any]]) -> Field:
    def values(document: Document) -> list[Any]:
        return list(kept(kind, raw(document)))

    return Field(path, kind, values, lambda document: bool(values(document)))


def kept(kind: Kind, raw: Iterable[Any]) -> Iterator[Any]:
    """The values as that kind of field keeps them, without those that are none of the kind."""
    for value in raw:
        try:
            one = kind.edges(value)[0]
        except NotKnown:  # such as "" for a date
            continue
        if not (kind.is_text and len(one) > MAX_KEYWORD):
            yield one


def _own_values_at(path: str) -> Callable[[Document], list[Any]]:
    """Return a function that gives the values of a field of the user's own that can be found."""

    def values(document: Document) -> list[Any]:
        found = custom_fields.custom_values(document).get(path, ())
        return [value for value in found if custom_fields.is_searchable(path, value)]

    return values


def scalars_at(path: str) -> Callable[[Document], list[Any]]:
    """The values at a dotted path; none where there is an object."""
    steps = path.split(".")

    def scalars(document: Document) -> list[Any]:
        node: Any = document
        for step in steps:
            node = node.get(step) if isinstance(node, dict) else None
        found = node if isinstance(node, list) else [node]
        return [value for value in found if isinstance(value, str | int | float)]

    return scalars


def _leaves_at(path: str, inside: str) -> Callable[[Document], list[Any]]:
    """The values anywhere inside the object at `path`, or only those called `inside` there."""

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
