"""Fields that a search may use: the declared ones, and those that some label has."""

from collections.abc import Collection
from difflib import get_close_matches

from common.errors import InputError
from get_data.database.interfaces import LabelIndex
from get_data.database.search.search_query import Clause, SearchQuery
from get_data.labels.schema import (
    CUSTOM,
    INDEX_TYPES,
    MAX_KEYWORD,
    OBJECT,
    is_elasticsearch_field,
    resolve_field,
)

_TYPES_WITHOUT_FIELD = ("ids", "match_all")
_WITH_VALUE = frozenset(
    (
        *("term", "terms", "match", "match_phrase", "range"),
        *("exists", "prefix", "wildcard", "regexp"),
    )
)
_MAX_NAMES = 3


def check(query: SearchQuery, index: LabelIndex, *, has_matches: bool = False) -> None:
    """Check that all fields of a query exist, since a mistyped one matches nothing.

    In an index without labels any custom field may exist. With `has_matches` the query is known to
    match some label, which has the fields that it must have: these are not looked for.

    Raises:
        InputError: a field does not exist, or has no value of its own; the message names others.
        DatabaseError: the index cannot be searched.
    """
    for clause in query.clauses:
        _check_has_value(clause)
    paths = dict.fromkeys(
        clause.path
        for clause in query.clauses
        if _is_undeclared(clause) and not (has_matches and _needs_value(clause))
    )
    for path in paths:
        check_field(path, index, "the query")


def _check_has_value(clause: Clause) -> None:
    """Check that a clause does not ask an object of the schema for a value.

    Raises:
        InputError: it does; the message names the fields inside.
    """
    if clause.type in ("exists", *_TYPES_WITHOUT_FIELD):
        return
    path, kind = resolve_field(clause.path)
    if kind == OBJECT:
        names = ", ".join(name for name in INDEX_TYPES if name.startswith(f"{path}."))
        raise InputError(
            f"the query, {path}: is an object without a value; search one of its fields: {names}"
        )


def check_field(path: str, index: LabelIndex, where: str) -> None:
    """Check that a field exists; `where` names its place in messages.

    In an index without labels any custom field may exist.

    Raises:
        InputError: it does not exist; the message names similar ones.
        DatabaseError: the index cannot be searched.
    """
    if not _is_undeclared(Clause(path, "exists")) or has_field(index, path):
        return
    if index.has_matches(SearchQuery()):
        if path in index.custom_fields():
            raise InputError(
                f"{where}, {path}: all values of this field are too long to be searched: they "
                f"have more than {MAX_KEYWORD:,} characters"
            )
        hint = similar_fields(index, path)
        raise InputError(f"{where}, {path}: no label has such a field{hint}")


def has_field(index: LabelIndex, path: str) -> bool:
    """Return whether some label has the field."""
    return index.has_matches(SearchQuery((Clause(path, "exists"),)))


def similar_fields(index: LabelIndex, path: str) -> str:
    """Return the end of a message about a field that does not exist: similar ones, if any."""
    names = closest_names(path, {*INDEX_TYPES, *index.custom_fields()})
    return f"; similar fields: {', '.join(names)}" if names else ""


def closest_names(path: str, names: Collection[str]) -> list[str]:
    """Return the names most like `path`, as a whole or in their last part, best first."""
    by_last: dict[str, list[str]] = {}
    for name in sorted(names):
        by_last.setdefault(_last(name), []).append(name)
    similar = get_close_matches(path, names, _MAX_NAMES)
    for last in get_close_matches(_last(path), by_last, _MAX_NAMES):
        similar += by_last[last]
    return list(dict.fromkeys(similar))[:_MAX_NAMES]


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _needs_value(clause: Clause) -> bool:
    """Return whether only labels that have the field match the query of this clause."""
    is_needed = clause.occur in ("must", "filter") and clause.type in _WITH_VALUE
    return is_needed and "zero_terms_query" not in clause.arguments


def _is_undeclared(clause: Clause) -> bool:
    """Return whether the schema does not declare the field, so only the labels can have it."""
    path, kind = resolve_field(clause.path)
    is_inside = kind == "flattened" and path not in INDEX_TYPES
    if clause.type in _TYPES_WITHOUT_FIELD or is_elasticsearch_field(path) or "*" in path:
        return False
    return kind == CUSTOM or is_inside
