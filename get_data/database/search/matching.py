"""What a search means on one document, in Python: the answers that Elasticsearch would give.

What a field is and what a value means, `fields` tells. Of the query types and their arguments only
those in `_ARGUMENTS` are known, `boost` and `_name` are accepted and make no difference, and
everything else is refused.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from get_data.database.search.fields import WORDS, Edges, Field, Matcher, field_of, refuse, wrong
from get_data.database.search.patterns import NotKnown, regexp, wildcard
from get_data.database.search.search_query import Clause, SearchQuery
from get_data.database.search.tokenizer import words
from get_data.labels.custom_fields import term_text as text_of
from get_data.labels.schema import Document

_ARGUMENTS: Mapping[str, frozenset[str]] = {
    "term": frozenset({"value", "case_insensitive"}),
    "terms": frozenset({"value"}),
    "match": frozenset({"query", "operator", "minimum_should_match"}),
    "match_phrase": frozenset({"query"}),
    "range": frozenset({"gte", "gt", "lte", "lt"}),
    "prefix": frozenset({"value", "case_insensitive"}),
    "wildcard": frozenset({"value", "wildcard", "case_insensitive"}),
    "regexp": frozenset({"value", "case_insensitive"}),
    "exists": frozenset(),
    "ids": frozenset({"values"}),
    "match_all": frozenset(),
}
_WITHOUT_EFFECT = {"boost", "_name"}


def compile_query(query: SearchQuery) -> Matcher:
    """A function that tells whether a document matches.

    Raises: InputError for a type, an argument or a value that is not known here.
    """
    tests = [(clause.occur, _test(clause)) for clause in query.clauses]
    needed = [test for occur, test in tests if occur in ("must", "filter")]
    wanted = [test for occur, test in tests if occur == "should"]
    banned = [test for occur, test in tests if occur == "must_not"]

    def matches(document: Document) -> bool:
        return (
            all(test(document) for test in needed)
            and not any(test(document) for test in banned)
            and (not wanted or any(test(document) for test in wanted))
        )

    return matches


def matches_everything(query: SearchQuery) -> bool:
    """Whether it can be told without a look at any document that all match."""
    return all(
        clause.type == "match_all" and clause.occur != "must_not" for clause in query.clauses
    )


@dataclass(frozen=True, slots=True)
class Span:
    """The values from `low` to `high`, as the index keeps them; None leaves that side open."""

    low: Any = None
    high: Any = None
    with_low: bool = True
    with_high: bool = True

    @property
    def is_point(self) -> bool:
        """Whether exactly one value is within."""
        return self.low is not None and self.low == self.high and self.with_low and self.with_high

    def holds(self, value: Any) -> bool:
        """Whether a value is within."""
        above = self.low is None or value > self.low or (self.with_low and value == self.low)
        below = self.high is None or value < self.high or (self.with_high and value == self.high)
        return bool(above and below)


def allowed_spans(clause: Clause) -> tuple[str, list[Span]] | None:
    """The field that a clause is about and the spans that one of its values must be in.

    None for a clause that says something else. Raises: InputError.
    """
    field = field_of(clause)
    spans = _spans(clause, field)
    return None if spans is None else (field.path, spans)


def values_of(path: str) -> Callable[[Document], list[Any]]:
    """A function that tells a field's values as the index keeps them."""
    return field_of(Clause(path, "exists")).values


# --- one clause


def _test(clause: Clause) -> Matcher:
    _check_arguments(clause)
    if clause.type == "match_all":
        return lambda document: True
    field = field_of(clause)
    if clause.type == "exists":
        return field.is_present
    accepts = _accepts(clause, field)
    return lambda document: accepts(field.values(document))


def _check_arguments(clause: Clause) -> None:
    if clause.type not in _ARGUMENTS:
        refuse(clause, f"the query type {clause.type!r}; it knows {', '.join(_ARGUMENTS)}")
    known = _ARGUMENTS[clause.type]
    for name in clause.arguments:
        if name not in known | _WITHOUT_EFFECT:
            of = f"; of {clause.type} it knows {', '.join(sorted(known)) or 'none'}"
            refuse(clause, f"the argument {name!r}{of}")


def _accepts(clause: Clause, field: Field) -> Callable[[Sequence[Any]], bool]:
    """What the values of the field must be like."""
    spans = _spans(clause, field)
    if spans is not None:
        points = {span.low for span in spans if span.is_point}
        wide = [span for span in spans if not span.is_point]
        return lambda values: any(
            value in points or any(span.holds(value) for span in wide) for value in values
        )
    if clause.type == "match":
        return _some_words(clause)
    if clause.type == "match_phrase":
        return _phrase(clause)
    if not field.kind.is_text:
        wrong(clause, f"this asks about the letters of a text, and the field is {field.kind.name}")
    fits = _pattern(clause)
    return lambda values: any(fits(value) for value in values)


def _spans(clause: Clause, field: Field) -> list[Span] | None:
    """The spans that one of the field's values must be in, where that is what the clause says."""
    edges = field.kind.edges

    def point(value: Any) -> Span:
        first, last = _meaning(clause, edges, value)
        return Span(first, last)

    match clause.type:
        case "term" if not _ignores_case(clause):
            return [point(_scalar(clause, "value"))]
        case "match" | "match_phrase" if field.kind is not WORDS:
            return [point(_scalar(clause, "query"))]
        case "terms":
            return [point(value) for value in _list(clause, "value")]
        case "ids":
            return [point(value) for value in _list(clause, "values")]
        case "range":
            return [_range(clause, edges)]
        case "prefix" if field.kind.is_text and not _ignores_case(clause):
            start = text_of(_scalar(clause, "value"))
            return [Span(start, _after_all_that_start_with(start), with_high=False)]
    return None


def _range(clause: Clause, edges: Edges) -> Span:
    for pair in (("gte", "gt"), ("lte", "lt")):
        if all(clause.arguments.get(name) is not None for name in pair):
            wrong(clause, f"give {pair[0]} or {pair[1]}, not both")
    told = {
        name: _meaning(clause, edges, _scalar(clause, name))
        for name in ("gte", "gt", "lte", "lt")
        if clause.arguments.get(name) is not None
    }
    if not told:
        wrong(clause, "range needs one of gte, gt, lte and lt; to ask for any value, use exists")
    return Span(
        low=told["gte"][0] if "gte" in told else told["gt"][1] if "gt" in told else None,
        high=told["lte"][1] if "lte" in told else told["lt"][0] if "lt" in told else None,
        with_low="gt" not in told,
        with_high="lt" not in told,
    )


def _after_all_that_start_with(start: str) -> str | None:
    """The first text that comes after those; None when there is none."""
    for end in range(len(start), 0, -1):
        code = ord(start[end - 1]) + 1
        if code <= 0x10FFFF:
            return start[: end - 1] + chr(0xE000 if 0xD800 <= code < 0xE000 else code)
    return None


def _some_words(clause: Clause) -> Callable[[Sequence[str]], bool]:
    """At least as many words of the query are there as it says; one, when it does not say."""
    wanted = words(text_of(_scalar(clause, "query")))
    operator = str(clause.arguments.get("operator", "or")).lower()
    minimum = clause.arguments.get("minimum_should_match")
    if operator not in ("or", "and"):
        wrong(clause, f'"operator" is {operator!r}; use "or" or "and"')
    if operator == "and" and minimum is not None:
        wrong(clause, 'give "operator": "and" or "minimum_should_match", not both')
    if minimum is not None and not re.fullmatch("-?[0-9]{1,9}", str(minimum)):
        refuse(clause, f'"minimum_should_match": {minimum!r}; it knows whole numbers')
    enough = len(wanted) if operator == "and" else int(minimum or 1)
    if enough < 0:
        enough += len(wanted)
    if len(wanted) == 1 or enough < 1:
        enough = 1
    return lambda values: sum(map(set(values).__contains__, wanted)) >= enough


def _phrase(clause: Clause) -> Callable[[Sequence[str]], bool]:
    """The words of the query are there, one after the other."""
    wanted = words(text_of(_scalar(clause, "query")))
    length = len(wanted)
    return lambda values: (
        length > 0
        and any(
            values[start : start + length] == wanted for start in range(len(values) - length + 1)
        )
    )


def _pattern(clause: Clause) -> Callable[[str], object]:
    name = "wildcard" if "wildcard" in clause.arguments else "value"
    text = text_of(_scalar(clause, name))
    any_case = _ignores_case(clause)
    flags = re.DOTALL | (re.IGNORECASE | re.ASCII if any_case else 0)
    match clause.type:
        case "term":
            return re.compile(re.escape(text), flags).fullmatch
        case "prefix":
            return re.compile(re.escape(text), flags).match
    try:
        kind = wildcard if clause.type == "wildcard" else regexp
        return kind(text, any_case=any_case)
    except NotKnown as error:
        what = "wildcard" if clause.type == "wildcard" else "regular expression"
        refuse(clause, f"the {what} {text!r}: {error}")


def _ignores_case(clause: Clause) -> bool:
    value = clause.arguments.get("case_insensitive", False)
    if not isinstance(value, bool):
        wrong(clause, f'"case_insensitive" is {value!r}; use true or false')
    return value


def _scalar(clause: Clause, name: str) -> Any:
    value = clause.arguments.get(name)
    if not isinstance(value, str | int | float):
        wrong(clause, f"{name!r} is {'missing' if value is None else 'not one text or number'}")
    return value


def _list(clause: Clause, name: str) -> list[Any]:
    values = clause.arguments.get(name)
    if not isinstance(values, list) or not all(
        isinstance(one, str | int | float) for one in values
    ):
        wrong(clause, f'{name!r} is not a list of texts or numbers such as ["a", "b"]')
    return values


def _meaning(clause: Clause, edges: Edges, value: Any) -> tuple[Any, Any]:
    try:
        return edges(value)
    except NotKnown as error:
        wrong(clause, f"{value!r} is not {error}")
