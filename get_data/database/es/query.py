"""A search file in the words of Elasticsearch."""

from dataclasses import replace
from typing import Any

from errors import InputError
from get_data.database.search_query import Clause, SearchQuery
from get_data.labels.label import INDEX_TYPES
from get_data.labels.unicode_forms import decomposed

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
        other: object = [decomposed(one) if isinstance(one, str) else one for one in asked]
    else:
        other = decomposed(asked) if isinstance(asked, str) else asked
    if name is None or other == asked:
        return None
    return replace(clause, arguments={**clause.arguments, name: other})


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
