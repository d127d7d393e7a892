"""Queries evaluated in Python on single documents, with the answers of Elasticsearch.

Only the query types and arguments in `_ARGUMENTS` are supported; `boost` and `_name` are accepted
without effect. `fields` defines the fields and what values mean.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from get_data.database.search.fields import (
    WORDS,
    Bounds,
    Field,
    Matcher,
    field_of,
    raise_invalid,
    raise_unsupported,
    with_other_spelling,
)
from get_data.database.search.patterns import InvalidValue, compile_regexp, compile_wildcard
from get_data.database.search.search_query import Clause, SearchQuery
from get_data.database.search.tokenizer import tokenize
from get_data.labels.custom_fields import term_text
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
    """Return a predicate that is true for matching documents.

    Raises:
        InputError: a query type, an argument or a value is not supported here.
    """
    tests = [(clause.occur, _compile_clause(clause)) for clause in query.clauses]
    required = [test for occur, test in tests if occur in ("must", "filter")]
    optional = [test for occur, test in tests if occur == "should"]
    forbidden = [test for occur, test in tests if occur == "must_not"]

    def matches(document: Document) -> bool:
        return (
            all(test(document) for test in required)
            and not any(test(document) for test in forbidden)
            and (not optional or any(test(document) for test in optional))
        )

    return matches


@dataclass(frozen=True, slots=True)
class Span:
    """A range of indexed values from `low` to `high`; None leaves a side open."""

    low: Any = None
    high: Any = None
    with_low: bool = True
    with_high: bool = True

    @property
    def is_point(self) -> bool:
        """Whether the range contains exactly one value."""
        return self.low is not None and self.low == self.high and self.with_low and self.with_high

    def contains(self, value: Any) -> bool:
        """Return whether a value is in the range."""
        above = self.low is None or value > self.low or (self.with_low and value == self.low)
        below = self.high is None or value < self.high or (self.with_high and value == self.high)
        return bool(above and below)


def allowed_spans(clause: Clause) -> tuple[str, list[Span]] | None:
    """Return the field of a clause, and the spans one of which must contain one of its values.

    None for clauses with another meaning.

    Raises:
        InputError: the clause is not supported here.
    """
    field = field_of(clause)
    spans = _spans(clause, field)
    return None if spans is None else (field.path, spans)


def _compile_clause(clause: Clause) -> Matcher:
    _check_arguments(clause)
    if clause.type == "match_all":
        return lambda document: True
    field = field_of(clause)
    if clause.type == "exists":
        return field.is_present
    accepts = _compile_values_test(clause, field)
    if other := with_other_spelling(clause):
        accepts_other = _compile_values_test(other, field)
        return lambda document: accepts(values := field.values(document)) or accepts_other(values)
    return lambda document: accepts(field.values(document))


def _check_arguments(clause: Clause) -> None:
    if clause.type not in _ARGUMENTS:
        raise_unsupported(clause, f"the query type {clause.type!r}; use {', '.join(_ARGUMENTS)}")
    known = _ARGUMENTS[clause.type]
    for name in clause.arguments:
        if name not in known | _WITHOUT_EFFECT:
            supported = ", ".join(sorted(known)) or "none"
            raise_unsupported(clause, f"the argument {name!r} of {clause.type}; use {supported}")


def _compile_values_test(clause: Clause, field: Field) -> Callable[[Sequence[Any]], bool]:
    """Return a predicate that is true for field values that satisfy the clause."""
    spans = _spans(clause, field)
    if spans is not None:
        # exact values in a set: a list of thousands costs one lookup
        points = {span.low for span in spans if span.is_point}
        ranges = [span for span in spans if not span.is_point]
        return lambda values: any(
            value in points or any(span.contains(value) for span in ranges) for value in values
        )
    if clause.type == "match":
        return _compile_match(clause)
    if clause.type == "match_phrase":
        return _compile_phrase(clause)
    if not field.kind.is_text:
        feature = "case_insensitive" if clause.type == "term" else clause.type
        raise_invalid(clause, f"{feature} needs a text field, and this one is {field.kind.name}")
    full_match = _compile_pattern(clause)
    return lambda values: any(full_match(value) for value in values)


def _spans(clause: Clause, field: Field) -> list[Span] | None:
    """Return the spans one of which must contain one of the field's values; None for others."""
    bounds = field.kind.bounds

    def point(value: Any) -> Span:
        first, last = _find_bounds(clause, bounds, value)
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
            return [_range(clause, bounds)]
        case "prefix" if field.kind.is_text and not _ignores_case(clause):
            prefix = term_text(_scalar(clause, "value"))
            return [Span(prefix, _first_text_after_prefix(prefix), with_high=False)]
    return None


def _range(clause: Clause, bounds: Bounds) -> Span:
    for pair in (("gte", "gt"), ("lte", "lt")):
        if all(clause.arguments.get(name) is not None for name in pair):
            raise_invalid(clause, f"give {pair[0]} or {pair[1]}, not both")
    given = {
        name: _find_bounds(clause, bounds, _scalar(clause, name))
        for name in ("gte", "gt", "lte", "lt")
        if clause.arguments.get(name) is not None
    }
    if not given:
        raise_invalid(
            clause, "range needs one of gte, gt, lte and lt; use exists to match any value"
        )
    return Span(
        low=given["gte"][0] if "gte" in given else given["gt"][1] if "gt" in given else None,
        high=given["lte"][1] if "lte" in given else given["lt"][0] if "lt" in given else None,
        with_low="gt" not in given,
        with_high="lt" not in given,
    )


def _first_text_after_prefix(prefix: str) -> str | None:
    """Return the smallest text above all texts with the prefix; None if there is none."""
    for end in range(len(prefix), 0, -1):
        code = ord(prefix[end - 1]) + 1
        if code <= 0x10FFFF:
            return prefix[: end - 1] + chr(0xE000 if 0xD800 <= code < 0xE000 else code)
    return None


def _compile_match(clause: Clause) -> Callable[[Sequence[str]], bool]:
    """Return a test for the minimum number of the query's tokens, by default one."""
    tokens = tokenize(term_text(_scalar(clause, "query")))
    operator = str(clause.arguments.get("operator", "or")).lower()
    minimum = clause.arguments.get("minimum_should_match")
    if operator not in ("or", "and"):
        raise_invalid(clause, f'"operator" is {operator!r}; use "or" or "and"')
    if operator == "and" and minimum is not None:
        raise_invalid(clause, 'give "operator": "and" or "minimum_should_match", not both')
    if minimum is not None and not re.fullmatch("-?[0-9]{1,9}", str(minimum)):
        raise_unsupported(clause, f'"minimum_should_match": {minimum!r}; use a whole number')
    required = len(tokens) if operator == "and" else int(minimum or 1)
    # a negative minimum is the number of tokens that may be absent
    if required < 0:
        required += len(tokens)
    if len(tokens) == 1 or required < 1:
        required = 1
    return lambda values: sum(map(set(values).__contains__, tokens)) >= required


def _compile_phrase(clause: Clause) -> Callable[[Sequence[str]], bool]:
    """Return a test for the query's tokens, one after the other."""
    tokens = tokenize(term_text(_scalar(clause, "query")))
    length = len(tokens)
    return lambda values: (
        length > 0
        and any(
            values[start : start + length] == tokens for start in range(len(values) - length + 1)
        )
    )


def _compile_pattern(clause: Clause) -> Callable[[str], object]:
    name = "wildcard" if "wildcard" in clause.arguments else "value"
    text = term_text(_scalar(clause, name))
    any_case = _ignores_case(clause)
    flags = re.DOTALL | (re.IGNORECASE | re.ASCII if any_case else 0)
    match clause.type:
        case "term":
            return re.compile(re.escape(text), flags).fullmatch
        case "prefix":
            return re.compile(re.escape(text), flags).match
    is_wildcard = clause.type == "wildcard"
    compile_pattern = compile_wildcard if is_wildcard else compile_regexp
    try:
        return compile_pattern(text, any_case=any_case)
    except InvalidValue as error:
        name = "wildcard" if is_wildcard else "regular expression"
        raise_unsupported(clause, f"the {name} {text!r}: {error}")


def _ignores_case(clause: Clause) -> bool:
    value = clause.arguments.get("case_insensitive", False)
    if not isinstance(value, bool):
        raise_invalid(clause, f'"case_insensitive" is {value!r}; use true or false')
    return value


def _scalar(clause: Clause, name: str) -> Any:
    value = clause.arguments.get(name)
    if not isinstance(value, str | int | float):
        raise_invalid(
            clause, f"{name!r} is {'missing' if value is None else 'not one text or number'}"
        )
    return value


def _list(clause: Clause, name: str) -> list[Any]:
    values = clause.arguments.get(name)
    if not isinstance(values, list) or not all(
        isinstance(value, str | int | float) for value in values
    ):
        raise_invalid(clause, f'{name!r} is not a list of texts or numbers such as ["a", "b"]')
    return values


def _find_bounds(clause: Clause, bounds: Bounds, value: Any) -> tuple[Any, Any]:
    try:
        return bounds(value)
    except InvalidValue as error:
        raise_invalid(clause, f"{value!r} is not {error}")
