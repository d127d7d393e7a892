"""The search file: what a team asks its labels.

A search file is one JSON object. Each key names a field, each value is a clause about that field,
or a list of clauses:

    {
      "event":                 {"type": "match", "field": "text", "query": "race"},
      "label.label_direction": {"type": "term", "value": 0},
      "timestamp":             [{"type": "range", "bool": "filter", "gte": "2020-12"},
                                {"type": "exists"}],
      "driver":                {"type": "", "value": ""}
    }

`type`   a query type of Elasticsearch; when it is empty the clause is skipped.
`field`  optional: a sub-field, so that the first clause above is about `event.text`.
`bool`   optional: `must` (also spelt `match`; the default), `filter`, `should` (where there is any,
         at least one of them matches) or `must_not`.

All other keys are the arguments that Elasticsearch gives that type for one field:

| type           | arguments                                   | for example                     |
|----------------|---------------------------------------------|---------------------------------|
| `term`         | `value`, `case_insensitive`                 | `"value": 2`                    |
| `terms`        | `value`: a list; any of them                | `"value": ["Zoé", "Ada"]`       |
| `match`        | `query`, `operator`, `minimum_should_match` | `"query": "sunday race"`        |
| `match_phrase` | `query`                                     | `"query": "low sun"`            |
| `range`        | `gte`, `gt`, `lte`, `lt`                    | `"gte": "2020-12-01", "lt": ..` |
| `prefix`       | `value`, `case_insensitive`                 | `"value": "20201231T"`          |
| `wildcard`     | `value`, `case_insensitive`                 | `"value": "*yard?"`             |
| `regexp`       | `value`, `case_insensitive`                 | `"value": "yard-[0-9]+"`        |
| `exists`       | none                                        |                                 |
| `ids`          | `values`: a list of fingerprints            | `"values": ["4f793167d5.."]`    |
| `match_all`    | none                                        |                                 |

A wildcard or a regular expression has 1,000 characters at most. Texts are asked in NFC, in which
labels are stored; labels of earlier versions that are not are found all the same by `term`, `terms`
and the other types that ask for equality or a beginning.
A key of one's own is asked by its name, as a keyword: numbers, true and false as JSON spells them.
For `ids` and `match_all` the key above the clause is but a name, they are about no field. Other
types and arguments go to a team's database as they are; the database on one machine refuses them.
"""

import dataclasses
import reprlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, get_args

import path
from common import strict_json
from common.errors import InputError
from get_data.labels.unicode_forms import to_nfc

Occur = Literal["must", "filter", "should", "must_not"]

_SPELLINGS: Mapping[object, Occur] = {"match": "must"} | {name: name for name in get_args(Occur)}
_OWN_KEYS = ("type", "field", "bool")
_PATTERNS = ("wildcard", "regexp")
_LONGEST_PATTERN = 1000  # characters, as Elasticsearch has it for regexp


@dataclass(frozen=True, slots=True)
class Clause:
    """One question about one field."""

    field: str
    type: str
    occur: Occur = "must"
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sub_field: str | None = None

    @property
    def path(self) -> str:
        """The dotted name of what is asked about: the field, or its sub-field."""
        return f"{self.field}.{self.sub_field}" if self.sub_field else self.field


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """The clauses of a search; none match everything."""

    clauses: tuple[Clause, ...] = ()


def read_search_query(text_or_path: str | None) -> SearchQuery:
    """The query that a text starting with `{` is, or that a file holds; None matches everything.

    Raises: InputError that names the file, the field, the key, and what to do.
    """
    if text_or_path is None:
        return SearchQuery()
    if not text_or_path.strip():
        raise InputError("the query is empty; give a file or its JSON, or leave -q out")
    if text_or_path.lstrip().startswith(("{", "[")):
        raw, where = text_or_path.encode(errors="surrogatepass"), "the query"
        return _parsed(strict_json.parse(raw, where), where)
    return _parsed(strict_json.read(path.expand_user(text_or_path)), text_or_path)


def parse_search_query(data: object) -> SearchQuery:
    """The query that decoded JSON tells. Raises: InputError."""
    return _parsed(data, "the query")


def _parsed(data: object, where: str) -> SearchQuery:
    with suppress(RecursionError):  # no clause is nested so deep; it is refused as what it is
        data = to_nfc(data)
    if not isinstance(data, dict):
        raise InputError(f'{where}: expected an object such as {{"event": {{"type": "exists"}}}}')
    return SearchQuery(tuple(_clauses(data, where)))


def _clauses(data: Mapping[str, object], where: str) -> Iterator[Clause]:
    for name, content in data.items():
        if not name:
            raise InputError(f'{where}: a key is empty; name the field, as in "label.created_by"')
        if not isinstance(content, list):
            content = [content]
        for number, entry in enumerate(content, start=1):
            place = f"{where}, {name}" + (f", clause {number}" if len(content) > 1 else "")
            clause = _clause(name, entry, place)
            if clause.type:
                yield clause


def _clause(name: str, entry: object, place: str) -> Clause:
    if not isinstance(entry, dict):
        raise InputError(f'{place}: expected an object such as {{"type": "term", "value": ...}}')
    if "type" not in entry:
        raise InputError(f'{place}: "type" is missing; name a query type, or "" to skip the clause')
    kind, sub_field = entry["type"], entry.get("field", "")
    if not isinstance(kind, str):
        raise InputError(f'{place}: "type" is {reprlib.repr(kind)}; expected a text such as "term"')
    if not isinstance(sub_field, str):
        shown = reprlib.repr(sub_field)
        raise InputError(f'{place}: "field" is {shown}; expected a text such as "text"')
    spelling = entry.get("bool", "must")
    if not isinstance(spelling, str) or spelling not in _SPELLINGS:
        shown = reprlib.repr(spelling)
        raise InputError(f'{place}: "bool" is {shown}; use {", ".join(get_args(Occur))}')
    arguments = {key: value for key, value in entry.items() if key not in _OWN_KEYS}
    for key in ("value", "wildcard") if kind in _PATTERNS else ():
        if len(str(arguments.get(key))) > _LONGEST_PATTERN:
            raise InputError(f"{place}: {key!r} is longer than {_LONGEST_PATTERN} characters")
    return Clause(name, kind, _SPELLINGS[spelling], arguments, sub_field or None)
