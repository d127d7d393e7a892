"""Fields that a later version declares, in an index and labels from before.

Until an index has such a field, and in labels written before it had, its values are custom terms
(`CUSTOM_TERMS`) as those of a team's own fields. So both versions find them:

- keywords by these terms;
- numbers, dates and booleans by a runtime field, which Elasticsearch reads from the documents. It
  hides an indexed field of its name, and dates have only milliseconds.

A writer who may indexes labels from before once more.
"""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from get_data.database.es_utils import bulk, mapping
from get_data.database.es_utils.client import Client
from get_data.database.es_utils.errors import RequestRejected
from get_data.database.es_utils.query import Gaps
from get_data.database.search.search_query import Clause, SearchQuery
from get_data.labels.custom_fields import field_term
from get_data.labels.schema import (
    CUSTOM_TERMS,
    INDEX_TYPES,
    TEXT,
    is_flattened,
    resolve_field,
)

_BATCH_SIZE = 1000


def find_gaps(
    client: Client, index: str, missing: Collection[str], query: SearchQuery
) -> tuple[Gaps, str]:
    """Return what an index lacks of the fields of a query, and a field that it cannot search.

    That is "", or the name of a field whose words or objects some label has, unindexed.

    Args:
        client: the connection to the server.
        index: the name of the index.
        missing: the declared fields that the index lacks.
        query: the query, with at least one declared field.
    """
    paths = declared_paths(query)
    counts = _count_unindexed(client, index, paths)
    lacking = frozenset(path for path in paths if _declaration(path) in missing)
    partial = frozenset(path for path in paths - lacking if counts.get(path))
    unsearchable = (
        path
        for clause in query.clauses
        if counts.get(path := _declared_path(clause)) and _has_no_terms(clause)
    )
    return Gaps(lacking, partial), next(unsearchable, "")


def declared_paths(query: SearchQuery) -> frozenset[str]:
    """Return the paths of the declared fields in a query that an index may lack."""
    return frozenset(filter(None, map(_declared_path, query.clauses)))


def index_again(client: Client, index: str) -> None:
    """Index the labels once more that have declared fields only as custom terms.

    A label that changes meanwhile is left to whoever changed it.

    Raises:
        RequestRejected: the login may not write labels again, or a request failed.
    """
    unindexed = {"bool": {"should": [_unindexed(path) for path in INDEX_TYPES]}}
    body: dict[str, Any] = {
        "query": unindexed,
        "size": _BATCH_SIZE,
        "sort": ["label_fingerprint"],
        "seq_no_primary_term": True,
    }
    while hits := _search(client, index, body).hits:
        bulk.send(client, index, {hit.id: _replacement(hit) for hit in hits})
        body["search_after"] = msgspec.json.decode(hits[-1].sort)


class _Hit(msgspec.Struct):
    id: str = msgspec.field(name="_id")
    source: msgspec.Raw = msgspec.field(name="_source")
    seq_no: int = msgspec.field(name="_seq_no")
    primary_term: int = msgspec.field(name="_primary_term")
    sort: msgspec.Raw


class _Hits(msgspec.Struct):
    hits: list[_Hit]


class _Page(msgspec.Struct):
    hits: _Hits


def _search(client: Client, index: str, body: Mapping[str, Any]) -> _Hits:
    response = client.request(
        "POST",
        f"/{index}/_search",
        msgspec.json.encode(body),
        allow_partial_search_results="false",
    )
    return msgspec.json.decode(response.body, type=_Page).hits


def _replacement(hit: _Hit) -> bytes:
    """Return the operation that indexes a label again, unless it has changed or is gone."""
    condition = {
        "_id": hit.id,
        "if_seq_no": hit.seq_no,
        "if_primary_term": hit.primary_term,
    }
    source = bytes(hit.source).replace(b"\n", b" ").replace(b"\r", b" ")
    return msgspec.json.encode({"index": condition}) + b"\n" + source + b"\n"


def _count_unindexed(client: Client, index: str, paths: Collection[str]) -> dict[str, int]:
    """Return by path how many labels have a field only as custom terms."""
    body = {
        "size": 0,
        "query": {"bool": {"should": [_has_terms(path) for path in paths]}},
        "aggs": {"paths": {"filters": {"filters": {path: _unindexed(path) for path in paths}}}},
    }
    try:
        answer = client.request_json(
            "POST", f"/{index}/_search", body, allow_partial_search_results="false"
        )
    except RequestRejected as error:
        if error.is_missing_index:
            return {}
        raise
    buckets = answer["aggregations"]["paths"]["buckets"]
    return {path: bucket["doc_count"] for path, bucket in buckets.items()}


def _unindexed(path: str) -> dict[str, Any]:
    """Return the query for labels that have a field only as custom terms."""
    indexed = [{"exists": {"field": path}}, {"term": {"_ignored": path}}]
    return {"bool": {"filter": [_has_terms(path)], "must_not": indexed}}


def _has_terms(path: str) -> dict[str, Any]:
    if INDEX_TYPES.get(path) == "flattened":  # only what is inside has terms
        return {"prefix": {CUSTOM_TERMS: {"value": f"{field_term(path)}."}}}
    return {"term": {CUSTOM_TERMS: {"value": field_term(path)}}}


def _declared_path(clause: Clause) -> str:
    """Return the path of a declared field in a clause, "" for any other."""
    path, kind = resolve_field(clause.path)
    path = path.removesuffix(".text") if kind == TEXT else path
    if clause.type in ("ids", "match_all") or path in mapping.ORDER:
        return ""
    return path if path in INDEX_TYPES or is_flattened(path) else ""


def _declaration(path: str) -> str:
    """Return the declared field that a path is, or is inside of."""
    return path if path in INDEX_TYPES else path.partition(".")[0]


def _has_no_terms(clause: Clause) -> bool:
    """Return whether the meaning of a clause cannot be expressed by custom terms."""
    path, kind = resolve_field(clause.path)
    return kind == TEXT or INDEX_TYPES.get(path) == "flattened"
