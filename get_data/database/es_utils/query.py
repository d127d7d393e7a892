"""A search file in the words of Elasticsearch."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from common.errors import InputError
from get_data.database.search.search_query import Clause, SearchQuery, parse_search_query
from get_data.labels.custom_fields import field_term, term_text, value_term
from get_data.labels.schema import CUSTOM, CUSTOM_TERMS, is_elasticsearch_field, resolve_field
from get_data.labels.unicode_forms import to_nfd

# The types that find a text in whichever form it is asked: in a regular expression an accent of
# its own would belong to what stands behind it, and a range goes by the form that is stored.
_ALIKE_IN_BOTH_FORMS = {
    "term": "value",
    "terms": "value",
    "match": "query",
    "match_phrase": "query",
    "prefix": "value",
    "wildcard": "value",
}
_LIMITS = ("gte", "gt", "lte", "lt")
_VALUES = ("value", "wildcard", "query")
_OF_WORDS = ("operator", "minimum_should_match")  # of which a keyword has one
_NO_LETTER = re.compile(r"[^A-Za-z0-9_\x80-\U0010ffff]")
_ESCAPED = r"\\\g<0>"
_UNKNOWN_OF_OWN = frozenset(
    (
        *("fuzzy", "intervals", "match_bool_prefix", "match_phrase_prefix", "span_term"),
        *("terms_set", "common"),
    )
)


def get_search_query_from_dict(search: dict[str, Any]) -> dict[str, Any]:
    """The Elasticsearch query of a search file that was read, for `search(query=...)`.

    The keys are fields of a label, the values what is asked of each, or a list of that:

        {"event":     {"type": "match", "field": "text", "query": "race"},
         "driver":    {"type": "term", "bool": "must_not", "value": "Zoé"},
         "timestamp": {"type": "range", "bool": "filter", "gte": "2020-12", "lt": "2021-01"}}

    becomes

        {"bool": {"must":     [{"match": {"event.text": {"query": "race"}}}],
                  "must_not": [{"term": {"driver": {"value": "Zoé"}}}],
                  "filter":   [{"range": {"timestamp": {"gte": "2020-12", "lt": "2021-01"}}}]}}

    `type` is a query type of Elasticsearch; an entry where it is empty is skipped. `field` is a
    sub-field, `bool` one of `must` (the default, also spelt `match`), `filter`, `should` and
    `must_not`; where there is any `should`, at least one of them has to match. All other keys are
    the arguments of that type, as Elasticsearch's guide has them; the list of `terms` is `value`:

        term, prefix, wildcard, regexp      value, case_insensitive
        terms                               value: a list
        match                               query, operator, minimum_should_match
        match_phrase                        query
        range                               gte, gt, lte, lt
        ids                                 values: a list of fingerprints
        exists, match_all                   none

    Dots reach inside: `label.label_direction`. `.text` asks for words and is there for `event`,
    `track` and `comment`; `.keyword` asks for the whole text, as no sub-field does. An empty search
    matches everything.

    Raises: InputError that names the field and the key.
    """
    return query_body(parse_search_query(search))


def query_body(query: SearchQuery, *, both_forms: bool = False) -> dict[str, Any]:
    """The query of Elasticsearch that the clauses make.

    `both_forms`: that also finds texts which earlier versions did not store in NFC, or which
    somebody else has put there. Raises: InputError.
    """
    if not query.clauses:
        return {"match_all": {}}
    clauses: dict[str, Any] = {}
    for clause in query.clauses:
        body = _clause_body(clause)
        if both_forms and (other := _in_the_other_form(clause)):
            ways = [body, _clause_body(other)]
            body = {"bool": {"should": ways, "minimum_should_match": 1}}
        clauses.setdefault(clause.occur, []).append(body)
    if "should" in clauses:
        clauses["minimum_should_match"] = 1
    return {"bool": clauses}


def _in_the_other_form(clause: Clause) -> Clause | None:
    """The clause about the same text with its accents apart; None where there is no other form."""
    name = _ALIKE_IN_BOTH_FORMS.get(clause.type)
    asked = clause.arguments.get(name) if name else None
    if isinstance(asked, list):
        other: object = [to_nfd(one) if isinstance(one, str) else one for one in asked]
    else:
        other = to_nfd(asked) if isinstance(asked, str) else asked
    if name is None or other == asked:
        return None
    return replace(clause, arguments={**clause.arguments, name: other})


def check(query: SearchQuery) -> None:
    """Raise InputError for what Elasticsearch knows, but not of fields of the user's own."""
    for clause in query.clauses:
        if _is_own(clause) and clause.type in _UNKNOWN_OF_OWN:
            raise InputError(
                f"{clause.path}: {clause.type} cannot ask a key of your own; "
                "use term, terms, prefix, wildcard, regexp, range or exists"
            )


def _clause_body(clause: Clause) -> dict[str, Any]:
    if clause.type == "match_all":
        return {"match_all": dict(clause.arguments)}
    if clause.type == "ids":
        _check_list(clause, "values")
        return {"ids": dict(clause.arguments)}
    if clause.type == "terms":
        _check_list(clause, "value")
    path = resolve_field(clause.path)[0]
    asked = _question(clause.type, path, clause.arguments)
    if not _is_own(clause) or not (of_terms := _of_own_terms(clause, path)):
        return asked
    # an index from before `CUSTOM_TERMS` has labels of which only the field itself tells
    return {"bool": {"should": [of_terms, asked]}}


def _question(kind: str, path: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    match kind:
        case "exists":
            return {"exists": {"field": path, **arguments}}
        case "terms":
            others = {name: value for name, value in arguments.items() if name != "value"}
            return {"terms": {path: arguments["value"], **others}}
    return {kind: {path: dict(arguments)}}


def _is_own(clause: Clause) -> bool:
    path, kind = resolve_field(clause.path)
    return kind == CUSTOM and not is_elasticsearch_field(path) and "*" not in path


def _of_own_terms(clause: Clause, path: str) -> dict[str, Any] | None:
    """Return the clause as a query of `CUSTOM_TERMS`; None where there is no such query."""
    arguments = {name: value for name, value in clause.arguments.items() if name not in _OF_WORDS}
    start = value_term(path, "")
    match clause.type:
        case "exists":
            return _question("term", CUSTOM_TERMS, {**arguments, "value": field_term(path)})
        case "terms":
            arguments["value"] = [start + term_text(value) for value in arguments["value"]]
        case "range":
            arguments = _within(start, arguments)
        case "term" | "match" | "match_phrase" | "prefix" | "wildcard" | "regexp":
            name = next((name for name in _VALUES if name in arguments), "value")
            value = arguments.pop(name, None)
            if not isinstance(value, str | int | float):
                return None  # which the question about the field itself is refused for
            arguments["value"] = _begun(clause.type, start, term_text(value))
        case _:
            return None
    kind = "term" if clause.type.startswith("match") else clause.type
    asked = _question(kind, CUSTOM_TERMS, arguments)
    if not arguments.get("case_insensitive"):
        return asked
    has_key = _question("term", CUSTOM_TERMS, {"value": field_term(path)})  # whose case does count
    return {"bool": {"filter": [has_key, asked]}}


def _begun(kind: str, start: str, value: str) -> str:
    """Return the value, or the pattern, for terms that begin so."""
    if kind == "wildcard":
        return re.sub(r"([\\*?])", r"\\\1", start) + value
    if kind == "regexp":
        return f"{re.sub(_NO_LETTER, _ESCAPED, start)}({value})"
    return start + value


def _within(start: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the limits of a range, none of which leads to terms that begin in another way."""
    limits = {
        name: start + term_text(value) if name in _LIMITS else value
        for name, value in arguments.items()
        if value is not None
    }
    if not {"gte", "gt"} & limits.keys():
        limits["gte"] = start
    if not {"lte", "lt"} & limits.keys():
        limits["lt"] = start[:-1] + chr(ord("=") + 1)
    return limits


def _check_list(clause: Clause, name: str) -> None:
    if not isinstance(clause.arguments.get(name), list):
        raise InputError(f'{clause.path}: {name!r} is not a list such as ["a", "b"]')
