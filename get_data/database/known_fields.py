"""Fields that a search may ask about: those of the declaration, and those that some label has."""

from collections.abc import Collection
from contextlib import closing
from difflib import get_close_matches

from common.errors import InputError
from get_data.database.interfaces import LabelIndex
from get_data.database.search.search_query import Clause, SearchQuery
from get_data.labels.schema import CUSTOM, INDEX_TYPES, is_elasticsearch_field, resolve_field

_ABOUT_NO_FIELD = ("ids", "match_all")
_MOST_NAMES = 3


def check(query: SearchQuery, index: LabelIndex) -> None:
    """Check that each field asked about exists, for a mistyped one matches nothing.

    An index without labels knows no fields of the user's own, and is not asked.

    Raises: InputError that names the field and those of similar names; DatabaseError.
    """
    paths = dict.fromkeys(clause.path for clause in query.clauses if _is_of_labels(clause))
    unknown = [path for path in paths if not _has(index, Clause(path, "exists"))]
    if unknown and index.count(SearchQuery()):
        names = nearest(unknown[0], {*INDEX_TYPES, *index.custom_fields()})
        hint = f"; similar fields: {', '.join(names)}" if names else ""
        raise InputError(f"the query, {unknown[0]}: no label has such a field{hint}")


def nearest(path: str, names: Collection[str]) -> list[str]:
    """Return the names most like `path`, as a whole or in their last part, the nearest first."""
    by_last: dict[str, list[str]] = {}
    for name in sorted(names):
        by_last.setdefault(_last(name), []).append(name)
    similar = get_close_matches(path, names, _MOST_NAMES)
    for last in get_close_matches(_last(path), by_last, _MOST_NAMES):
        similar += by_last[last]
    return list(dict.fromkeys(similar))[:_MOST_NAMES]


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _is_of_labels(clause: Clause) -> bool:
    """Return whether only the labels can tell if there is such a field."""
    path, kind = resolve_field(clause.path)
    is_inside = kind == "flattened" and path not in INDEX_TYPES
    if clause.type in _ABOUT_NO_FIELD or is_elasticsearch_field(path) or "*" in path:
        return False
    return kind == CUSTOM or is_inside


def _has(index: LabelIndex, clause: Clause) -> bool:
    with closing(index.search(SearchQuery((clause,)))) as found:
        return next(found, None) is not None
