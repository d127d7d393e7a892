"""Search files: queries for labels, in JSON.

A search file is a JSON object. Each key names a field; its value is a clause about the field, or a
list of clauses:

    {
      "event":                 {"type": "match", "field": "text", "query": "race"},
      "label.label_direction": {"type": "term", "value": 0},
      "timestamp":             [{"type": "range", "bool": "filter", "gte": "2020-12"},
                                {"type": "exists"}],
      "driver":                {"type": "", "value": ""}
    }

A text, a number, true or false is short for a `term` clause: `{"event": "race"}`.

`type`   a query type of Elasticsearch; a clause with an empty one is skipped.
`field`  optional: a sub-field; the first clause above searches `event.text`.
`bool`   optional: `must` (also spelled `match`; the default), `filter`, `should` (if there are any,
         at least one must match) or `must_not`.

All other keys are arguments of the query type, as in Elasticsearch:

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

Wildcards and regular expressions have at most 1,000 characters. Text is searched in NFC, the form
in which labels are stored; labels of earlier versions in other forms are still found by `term`,
`terms` and the other types that compare for equality or a prefix.
A custom field is searched by its key, as a keyword: numbers, true and false as spelled in JSON.
`ids` and `match_all` apply to no field: the key above them is only a name. A team's database gets
other types and arguments as they are; the database on one machine rejects them.
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
_CLAUSE_KEYS = ("type", "field", "bool")
_SHORT = (str, int, float, bool)  # values that stand for a term
_PATTERN_TYPES = ("wildcard", "regexp")
_MAX_PATTERN_LENGTH = 1000  # characters; Elasticsearch's limit for regexp


@dataclass(frozen=True, slots=True)
class Clause:
    """A condition on a field."""

    field: str
    type: str
    occur: Occur = "must"
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sub_field: str | None = None

    @property
    def path(self) -> str:
        """Dotted name of the field or sub-field."""
        return f"{self.field}.{self.sub_field}" if self.sub_field else self.field


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """Clauses of a search; without any, everything matches.

    `is_blank`: it was written with clauses, and all of them are skipped.
    """

    clauses: tuple[Clause, ...] = ()
    is_blank: bool = False


def read_search_query(text_or_path: str | None) -> SearchQuery:
    """Read a query from a text that starts with `{`, or from a file; None matches everything.

    Raises:
        InputError: the file cannot be read, or the query is invalid.
    """
    if text_or_path is None:
        return SearchQuery()
    if not text_or_path.strip():
        raise InputError("the query is empty; give a file or JSON, or omit -q")
    if text_or_path.lstrip().startswith(("{", "[")):
        raw, where = text_or_path.encode(errors="surrogatepass"), "the query"
        return _parse(strict_json.parse(raw, where), where)
    return _parse(strict_json.read(path.expand_user(text_or_path)), text_or_path)


def parse_search_query(data: object) -> SearchQuery:
    """Return the query of decoded JSON.

    Raises:
        InputError: it is invalid.
    """
    return _parse(data, "the query")


def to_json(query: SearchQuery) -> dict[str, list[dict[str, Any]]]:
    """Return a query as the content of a search file, with every clause in its long form."""
    content: dict[str, list[dict[str, Any]]] = {}
    for clause in query.clauses:
        entry: dict[str, Any] = {"type": clause.type, "bool": clause.occur, **clause.arguments}
        if clause.sub_field:
            entry["field"] = clause.sub_field
        content.setdefault(clause.field, []).append(entry)
    return content


def _parse(data: object, where: str) -> SearchQuery:
    with suppress(RecursionError):  # nested too deep for any clause, which is rejected below
        data = to_nfc(data)
    if not isinstance(data, dict):
        raise InputError(f'{where}: expected an object such as {{"event": {{"type": "exists"}}}}')
    clauses = tuple(_parse_clauses(data, where))
    return SearchQuery(clauses, is_blank=bool(data) and not clauses)


def _parse_clauses(data: Mapping[str, object], where: str) -> Iterator[Clause]:
    for name, content in data.items():
        if not name:
            raise InputError(f'{where}: a key is empty; name the field, as in "label.created_by"')
        if not isinstance(content, list):
            content = [content]
        elif not content:  # it would match everything
            raise InputError(f"{where}, {name}: the list of clauses is empty; leave the key out")
        elif any(isinstance(entry, _SHORT) for entry in content):
            raise InputError(
                f"{where}, {name}: expected a list of clauses; to match any of several values, use "
                '{"type": "terms", "value": [...]}'
            )
        for number, entry in enumerate(content, start=1):
            place = f"{where}, {name}" + (f", clause {number}" if len(content) > 1 else "")
            clause = _parse_clause(name, entry, place)
            if clause.type:
                yield clause


def _parse_clause(name: str, entry: object, place: str) -> Clause:
    if isinstance(entry, _SHORT):
        return Clause(name, "term", arguments={"value": entry})
    if not isinstance(entry, dict):
        raise InputError(f'{place}: expected a value, or {{"type": "term", "value": ...}}')
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
    arguments = {key: value for key, value in entry.items() if key not in _CLAUSE_KEYS}
    for key in ("value", "wildcard") if kind in _PATTERN_TYPES else ():
        if len(str(arguments.get(key))) > _MAX_PATTERN_LENGTH:
            raise InputError(f"{place}: {key!r} is longer than {_MAX_PATTERN_LENGTH} characters")
    return Clause(name, kind, _SPELLINGS[spelling], arguments, sub_field or None)
