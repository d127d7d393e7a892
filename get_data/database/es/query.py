"""A search file in the words of Elasticsearch."""

from typing import Any

from errors import InputError
from get_data.database.search_query import Clause, SearchQuery
from get_data.labels.label import INDEX_TYPES


def query_body(query: SearchQuery) -> dict[str, Any]:
    """The query of Elasticsearch that the clauses make. Raises: InputError."""
    if not query.clauses:
        return {"match_all": {}}
    clauses: dict[str, Any] = {}
    for clause in query.clauses:
        clauses.setdefault(clause.occur, []).append(_clause_body(clause))
    if "should" in clauses:
        clauses["minimum_should_match"] = 1
    return {"bool": clauses}


def _clause_body(clause: Clause) -> dict[str, Any]:
    arguments = dict(clause.arguments)
    match clause.type:
        case "match_all":
            return {"match_all": arguments}
        case "ids":
            _check_list(clause, "values")
            return {"ids": arguments}
        case "exists":
            return {"exists": {"field": _path(clause), **arguments}}
        case "terms":
            _check_list(clause, "value")
            return {"terms": {_path(clause): arguments.pop("value"), **arguments}}
    return {clause.type: {_path(clause): arguments}}


def _check_list(clause: Clause, name: str) -> None:
    if not isinstance(clause.arguments.get(name), list):
        raise InputError(f'{clause.path}: {name!r} is not a list such as ["a", "b"]')


def _path(clause: Clause) -> str:
    """The name that the field has in the index: `driver.keyword` is kept as `driver`."""
    whole = clause.path.removesuffix(".keyword")
    inside_settings = INDEX_TYPES.get(whole.partition(".")[0]) == "flattened"
    is_keyword = INDEX_TYPES.get(whole, "keyword") in ("keyword", "keyword+text")
    return whole if is_keyword and not inside_settings else clause.path
