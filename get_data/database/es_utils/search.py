"""Questions to an index of Elasticsearch, and answers that are whole or none."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import msgspec

from common.errors import DatabaseError, InputError
from get_data.database.es_utils import mapping
from get_data.database.es_utils.http import Http, Refused, is_missing
from get_data.database.es_utils.query import query_body
from get_data.database.search.search_query import SearchQuery
from get_data.labels.custom_fields import path_of_term
from get_data.labels.schema import CUSTOM_TERMS

LARGEST_PAGE = 10_000  # documents, the most that Elasticsearch gives at once
FIRST_PAGE = 1000  # whose size tells how many documents make up PAGE_BYTES
PAGE_BYTES = 8 * 2**20

_NAME_ALONE = r"([^=\\]|\\.)*"  # of the terms, those without a value

_KEEP_ALIVE = "30m"  # from one page to the next, while pictures are fetched
_FORGOTTEN = "search_context_missing_exception"
_ORDER = [{field: order} for field, order in mapping.ORDER.items()]


class _Hit(msgspec.Struct):
    source: msgspec.Raw = msgspec.field(name="_source")
    sort: msgspec.Raw


class _Hits(msgspec.Struct):
    hits: list[_Hit]


class _Page(msgspec.Struct):
    """One page of an answer; the documents undecoded."""

    hits: _Hits
    pit_id: str = ""
    size_bytes: int = 0


_decode_page = msgspec.json.Decoder(_Page).decode


def refresh(http: Http, index: str, *, is_worth_waiting: bool = True) -> None:
    """Questions are about all that was written before. Raises: DatabaseError, Refused."""
    try:
        answer = http.talk("POST", f"/{index}/_refresh", is_worth_waiting=is_worth_waiting)
    except Refused as error:
        if is_missing(error):  # so nothing was written
            return
        raise
    if answer["_shards"]["failed"]:
        raise DatabaseError(f"{http.name} could not be refreshed; run again when it is well")


def total(http: Http, index: str, query: SearchQuery, limit: int | None = None) -> int:
    """How many documents match; with a limit, no more than that are counted.

    Raises: InputError for a query that Elasticsearch refuses, DatabaseError.
    """
    body = {
        "size": 0,
        "query": query_body(query, both_forms=True),
        "track_total_hits": limit or True,
    }
    try:
        answer = http.talk("POST", f"/{index}/_search", body, allow_partial_search_results="false")
    except Refused as error:
        if is_missing(error):
            return 0
        if error.status == 400 and error.kind != "index_closed_exception":
            for clause in query.clauses if len(query.clauses) > 1 else ():
                total(http, index, SearchQuery((clause,)), limit=1)  # tells which one it is
            raise _wrong(query, error) from error
        raise
    return int(answer["hits"]["total"]["value"])


def _wrong(query: SearchQuery, error: Refused) -> InputError:
    about = ", ".join(f"{clause.path}: {clause.type}" for clause in query.clauses)
    return InputError(f"{about}: Elasticsearch refuses the question: {error.short_reason}")


def own_names(http: Http, index: str) -> list[str]:
    """Return the names of fields of the users' own that documents have; the most frequent ones."""
    terms = {"field": CUSTOM_TERMS, "include": _NAME_ALONE, "size": LARGEST_PAGE}
    body = {"size": 0, "aggs": {"names": {"terms": terms}}}
    answer = http.talk("POST", f"/{index}/_search", body, allow_partial_search_results="false")
    return [path_of_term(one["key"]) for one in answer["aggregations"]["names"]["buckets"]]


def everything(
    http: Http, index: str, query: Mapping[str, Any], fields: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Those fields of all documents that match, as they are now.

    Labels never change, so a page that is asked for later still has all that were there at first.
    """
    body = {
        "query": query,
        "sort": ["label_fingerprint"],
        "_source": fields,
        "size": LARGEST_PAGE,
        "track_total_hits": False,
    }
    while True:
        try:
            hits = _page(http, f"/{index}/_search", body).hits.hits
        except Refused as error:
            if is_missing(error):
                return
            raise
        for hit in hits:
            yield msgspec.json.decode(hit.source)
        if len(hits) < LARGEST_PAGE:
            return
        body["search_after"] = msgspec.json.decode(hits[-1].sort)


def in_order(http: Http, index: str, query: Mapping[str, Any]) -> Generator[bytes, None, None]:
    """The documents that match, as they were at the start, sorted: JSON, one line each.

    A page is asked for while the one before it is used. Raises: DatabaseError.
    """
    try:
        pit = http.talk("POST", f"/{index}/_pit", keep_alive=_KEEP_ALIVE)["id"]
    except Refused as error:
        if is_missing(error):
            return
        raise
    body = {
        "query": query,
        "sort": _ORDER,
        "_source": {"excludes": [CUSTOM_TERMS]},
        "track_total_hits": False,
        "size": FIRST_PAGE,
    }
    try:
        with ThreadPoolExecutor(1) as ahead:
            coming: Future[_Page] | None = ahead.submit(_pit_page, http, body, pit)
            while coming:
                page = coming.result()
                pit, hits, coming = page.pit_id, page.hits.hits, None
                if len(hits) == body["size"]:
                    after = msgspec.json.decode(hits[-1].sort)
                    body = {**body, "size": _next_size(page), "search_after": after}
                    coming = ahead.submit(_pit_page, http, body, pit)
                for hit in hits:
                    yield bytes(hit.source).replace(b"\n", b" ").replace(b"\r", b" ")
    finally:
        with suppress(DatabaseError):  # it ends by itself in time
            http.talk("DELETE", "/_pit", {"id": pit}, is_worth_waiting=False)


def _pit_page(http: Http, body: Mapping[str, Any], pit: str) -> _Page:
    try:
        return _page(http, "/_search", {**body, "pit": {"id": pit, "keep_alive": _KEEP_ALIVE}})
    except Refused as error:
        if error.kind != _FORGOTTEN:
            raise
        raise DatabaseError(
            f"{http.name} has forgotten the search, as it does when it is restarted; run it again, "
            "what was fetched is kept"
        ) from error


def _page(http: Http, path: str, body: Mapping[str, Any]) -> _Page:
    encoded = msgspec.json.encode(body)
    answer = http.ask("POST", path, encoded, allow_partial_search_results="false")
    page = _decode_page(answer.body)
    page.size_bytes = len(answer.body)
    return page


def _next_size(page: _Page) -> int:
    """How many documents like those of a page make up the bytes that a page may have."""
    size = PAGE_BYTES * len(page.hits.hits) // page.size_bytes
    return min(max(size, 1), LARGEST_PAGE)
