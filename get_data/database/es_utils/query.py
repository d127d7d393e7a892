"""Search files translated into queries of Elasticsearch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from common.errors import InputError
from get_data.database.es_utils.mapping import DATE_FORMATS
from get_data.database.search.fields import with_other_spelling
from get_data.database.search.search_query import Clause, SearchQuery, parse_search_query
from get_data.labels.custom_fields import field_term, term_text, value_term
from get_data.labels.schema import (
    CUSTOM,
    CUSTOM_TERMS,
    INDEX_TYPES,
    is_elasticsearch_field,
    resolve_field,
)
from get_data.labels.unicode_forms import to_nfd

# The argument that holds the text, for the types that can be asked in both Unicode forms. In a
# regular expression an accent of its own would belong to the character before it, and a range is
# compared with the form that is stored.
_TEXT_ARGUMENTS = {
    "term": "value",
    "terms": "value",
    "match": "query",
    "match_phrase": "query",
    "prefix": "value",
    "wildcard": "value",
}
_RANGE_LIMITS = ("gte", "gt", "lte", "lt")
_VALUE_ARGUMENTS = ("value", "wildcard", "query")
_WORD_ARGUMENTS = ("operator", "minimum_should_match")  # pointless for a keyword, which is one word
_NOT_A_LETTER = re.compile(r"[^A-Za-z0-9_\x80-\U0010ffff]")
_ESCAPED = r"\\\g<0>"
_UNSUPPORTED_FOR_CUSTOM_FIELDS = frozenset(
    (
        *("fuzzy", "intervals", "match_bool_prefix", "match_phrase_prefix", "span_term"),
        *("terms_set", "common"),
    )
)


_RUNTIME_TYPES: Mapping[str, Mapping[str, Any]] = {
    "integer": {"type": "long"},
    "long": {"type": "long"},
    "float": {"type": "double"},
    "boolean": {"type": "boolean"},
    "date": {"type": "date", "format": DATE_FORMATS},
}


@dataclass(frozen=True, slots=True)
class Gaps:
    """Declared fields that some labels have only as custom terms (`added_fields`).

    Attributes:
        missing: paths that the index lacks.
        partial: paths that the index has, but not for all labels.
    """

    missing: frozenset[str] = frozenset()
    partial: frozenset[str] = frozenset()

    def __contains__(self, path: str) -> bool:
        return path in self.missing or path in self.partial


_NO_GAPS = Gaps()


def get_search_query_from_dict(search: dict[str, Any]) -> dict[str, Any]:
    """Return the Elasticsearch query for a search file, to pass to `search(query=...)`.

    The keys of `search` are fields of a label; each value is a condition on that field, or a list
    of conditions:

        {"event":     {"type": "match", "field": "text", "query": "race"},
         "driver":    {"type": "term", "bool": "must_not", "value": "Zoé"},
         "timestamp": {"type": "range", "bool": "filter", "gte": "2020-12", "lt": "2021-01"}}

    becomes

        {"bool": {"must":     [{"match": {"event.text": {"query": "race"}}}],
                  "must_not": [{"term": {"driver": {"value": "Zoé"}}}],
                  "filter":   [{"range": {"timestamp": {"gte": "2020-12", "lt": "2021-01"}}}]}}

    In a condition, `type` is a query type of Elasticsearch; a condition whose `type` is empty is
    skipped. `field` selects a sub-field. `bool` is `must` (the default, also spelt `match`),
    `filter`, `should` or `must_not`; if there are `should` conditions, at least one of them has to
    match. All other keys are the arguments of the query type, as in Elasticsearch's reference,
    except that the list of `terms` is called `value`:

        term, prefix, wildcard, regexp      value, case_insensitive
        terms                               value: a list
        match                               query, operator, minimum_should_match
        match_phrase                        query
        range                               gte, gt, lte, lt
        ids                                 values: a list of fingerprints
        exists, match_all                   none

    Dots reach into objects: `label.label_direction`. The sub-field `.text`, which `event`, `track`
    and `comment` have, matches words; without a sub-field, or with `.keyword`, the whole text is
    matched. An empty search matches everything.

    Raises:
        InputError: a condition is malformed; the message names the field and the key.
    """
    return query_body(parse_search_query(search))


def search_body(query: SearchQuery, gaps: Gaps) -> dict[str, Any]:
    """Return the body of a search in an index: the query, and the runtime fields that it needs.

    Texts are also matched in NFD, as earlier versions and other programs may have stored them, and
    whole numbers in both spellings where they are kept as texts.
    """
    paths = {resolve_field(clause.path)[0] for clause in query.clauses}
    runtime = {
        path: _RUNTIME_TYPES[kind]
        for path in sorted(paths)
        if path in gaps and (kind := INDEX_TYPES.get(path, "")) in _RUNTIME_TYPES
    }
    body = {"query": query_body(query, all_forms=True, gaps=gaps)}
    return {**body, "runtime_mappings": runtime} if runtime else body


def query_body(
    query: SearchQuery, *, all_forms: bool = False, gaps: Gaps = _NO_GAPS
) -> dict[str, Any]:
    """Return the query of Elasticsearch for a parsed search.

    Args:
        query: the parsed search.
        all_forms: also match texts in NFD, and whole numbers in the other spelling.
        gaps: the fields that some labels have only as custom terms.

    Raises:
        InputError: an argument that must be a list is not.
    """
    if not query.clauses:
        return {"match_all": {}}
    clauses: dict[str, Any] = {}
    for clause in query.clauses:
        body = _clause_body(clause, gaps)
        others = (_decompose(clause), with_other_spelling(clause)) if all_forms else ()
        if any(others):
            forms = [body, *(_clause_body(other, gaps) for other in others if other)]
            body = {"bool": {"should": forms, "minimum_should_match": 1}}
        clauses.setdefault(clause.occur, []).append(body)
    if "should" in clauses:
        clauses["minimum_should_match"] = 1
    return {"bool": clauses}


def check_query(query: SearchQuery, gaps: Gaps = _NO_GAPS) -> None:
    """Raise InputError for a query type that Elasticsearch supports, but not for custom fields."""
    for clause in query.clauses:
        if _has_terms(clause, gaps) and clause.type in _UNSUPPORTED_FOR_CUSTOM_FIELDS:
            raise InputError(
                f"{clause.path}: {clause.type} is not supported for custom fields; "
                "use term, terms, prefix, wildcard, regexp, range or exists"
            )


def _decompose(clause: Clause) -> Clause | None:
    """Return the clause with its text in NFD, None if that makes no difference."""
    name = _TEXT_ARGUMENTS.get(clause.type)
    text = clause.arguments.get(name) if name else None
    decomposed: object = text
    if isinstance(text, list):
        decomposed = [to_nfd(item) if isinstance(item, str) else item for item in text]
    elif isinstance(text, str):
        decomposed = to_nfd(text)
    if name is None or decomposed == text:
        return None
    return replace(clause, arguments={**clause.arguments, name: decomposed})


def _clause_body(clause: Clause, gaps: Gaps) -> dict[str, Any]:
    if clause.type == "match_all":
        return {"match_all": dict(clause.arguments)}
    if clause.type == "ids":
        _check_list(clause, "values")
        return {"ids": dict(clause.arguments)}
    if clause.type == "terms":
        _check_list(clause, "value")
    path = resolve_field(clause.path)[0]
    of_field = _typed_query(clause.type, path, clause.arguments)
    if path in gaps.missing and not _has_terms(clause, gaps):
        # the runtime field would be read from every document
        has_key = _typed_query("term", CUSTOM_TERMS, {"value": field_term(path)})
        return {"bool": {"filter": [has_key, of_field]}}
    if not _has_terms(clause, gaps) or not (of_terms := _custom_terms_query(clause, path)):
        return of_field
    # An index from before CUSTOM_TERMS has labels whose custom fields are only in the field itself.
    return {"bool": {"should": [of_terms, of_field]}}


def _typed_query(kind: str, path: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    match kind:
        case "exists":
            return {"exists": {"field": path, **arguments}}
        case "terms":
            options = {name: value for name, value in arguments.items() if name != "value"}
            return {"terms": {path: arguments["value"], **options}}
    return {kind: {path: dict(arguments)}}


def _has_terms(clause: Clause, gaps: Gaps) -> bool:
    """Return whether custom terms have the values of a field, which is a keyword."""
    path, kind = resolve_field(clause.path)
    if path in gaps:
        return kind in ("keyword", "keyword+text", "flattened")
    return kind == CUSTOM and not is_elasticsearch_field(path) and "*" not in path


def _custom_terms_query(clause: Clause, path: str) -> dict[str, Any] | None:
    """Return the clause as a query on CUSTOM_TERMS, None where there is no equivalent."""
    arguments = {
        name: value for name, value in clause.arguments.items() if name not in _WORD_ARGUMENTS
    }
    prefix = value_term(path, "")
    match clause.type:
        case "exists":
            return _typed_query("term", CUSTOM_TERMS, {**arguments, "value": field_term(path)})
        case "terms":
            arguments["value"] = [prefix + term_text(value) for value in arguments["value"]]
        case "range":
            arguments = _prefix_range(prefix, arguments)
        case "term" | "match" | "match_phrase" | "prefix" | "wildcard" | "regexp":
            name = next((name for name in _VALUE_ARGUMENTS if name in arguments), "value")
            value = arguments.pop(name, None)
            if not isinstance(value, str | int | float):
                return None  # Elasticsearch rejects the query on the field itself
            arguments["value"] = _prefix_pattern(clause.type, prefix, term_text(value))
        case _:
            return None
    kind = "term" if clause.type.startswith("match") else clause.type
    query = _typed_query(kind, CUSTOM_TERMS, arguments)
    if not arguments.get("case_insensitive"):
        return query
    # The case of the key itself still counts.
    has_key = _typed_query("term", CUSTOM_TERMS, {"value": field_term(path)})
    return {"bool": {"filter": [has_key, query]}}


def _prefix_pattern(kind: str, prefix: str, value: str) -> str:
    """Return the value or pattern after a literal prefix."""
    if kind == "wildcard":
        return re.sub(r"([\\*?])", r"\\\1", prefix) + value
    if kind == "regexp":
        return f"{re.sub(_NOT_A_LETTER, _ESCAPED, prefix)}({value})"
    return prefix + value


def _prefix_range(prefix: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a range over terms with this prefix and no others."""
    limits = {
        name: prefix + term_text(value) if name in _RANGE_LIMITS else value
        for name, value in arguments.items()
        if value is not None
    }
    if not {"gte", "gt"} & limits.keys():
        limits["gte"] = prefix
    if not {"lte", "lt"} & limits.keys():
        limits["lt"] = prefix[:-1] + chr(ord("=") + 1)
    return limits


def _check_list(clause: Clause, name: str) -> None:
    if not isinstance(clause.arguments.get(name), list):
        raise InputError(f'{clause.path}: {name!r} is not a list such as ["a", "b"]')
