"""Searches in an index of Elasticsearch, whose results are complete or an error."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any

import msgspec

from common import retry
from common.errors import DatabaseError, InputError
from get_data.database.es_utils import mapping
from get_data.database.es_utils.client import Client
from get_data.database.es_utils.errors import NO_SHARD, RequestRejected
from get_data.database.es_utils.query import Gaps, search_body
from get_data.database.search.search_query import SearchQuery
from get_data.labels.custom_fields import path_of_term
from get_data.labels.schema import CUSTOM_TERMS

MAX_PAGE_SIZE = 10_000  # documents, the most that Elasticsearch returns at once
FIRST_PAGE_SIZE = 1000  # from which the size of a document is estimated
PAGE_BYTES = 8 * 2**20

_NAMES_ONLY = r"([^=\\]|\\.)*"  # of the custom terms, those without a value

_KEEP_ALIVE = "30m"  # from one page to the next, while pictures are downloaded
_MAX_SNAPSHOTS_PER_PAGE = 5
# The snapshot has expired, or a node that held a part of it has left.
_LOST = NO_SHARD | {"search_context_missing_exception", "search_context_missing_nodes_exception"}
_ORDER = [{field: order} for field, order in mapping.ORDER.items()]


class _Hit(msgspec.Struct):
    source: msgspec.Raw = msgspec.field(name="_source")
    sort: msgspec.Raw
    id: str = msgspec.field(name="_id", default="")


class _Hits(msgspec.Struct):
    hits: list[_Hit]


class _Page(msgspec.Struct):
    """One page of results, with undecoded documents."""

    hits: _Hits
    pit_id: str = ""
    size_bytes: int = 0


_decode_page = msgspec.json.Decoder(_Page).decode


def refresh(client: Client, index: str, *, should_retry: bool = True) -> None:
    """Make everything written so far visible to searches.

    Raises:
        DatabaseError: a shard could not be refreshed.
    """
    backoff = retry.Backoff()
    while True:
        try:
            answer = client.request_json("POST", f"/{index}/_refresh", should_retry=should_retry)
        except RequestRejected as error:
            if error.is_missing_index:  # nothing has been written
                return
            raise
        if not answer["_shards"]["failed"]:
            return
        # D11: labels of a shard left out would look absent, and their pictures be deleted
        if not backoff.wait(retry.TIMEOUT_S if should_retry else 0.0):
            raise DatabaseError(
                f"{client.name} could not be refreshed; run again when the server is healthy"
            )


def count(
    client: Client, index: str, query: SearchQuery, gaps: Gaps, limit: int | None = None
) -> int:
    """Return how many documents match; with a limit, counting stops there.

    Raises:
        InputError: Elasticsearch rejects the query.
    """
    body = {
        "size": 0,
        **search_body(query, gaps),
        "track_total_hits": limit or True,
    }
    try:
        answer = search_json(client, index, body)
    except RequestRejected as error:
        if error.is_missing_index:
            return 0
        _raise_if_query_is_at_fault(client, index, query, gaps, error)
        raise
    return int(answer["hits"]["total"]["value"])


def _raise_if_query_is_at_fault(
    client: Client, index: str, query: SearchQuery, gaps: Gaps, error: RequestRejected
) -> None:
    """Raise InputError with the clause that Elasticsearch has rejected, if it was one."""
    if error.status != 400 or error.kind == "index_closed_exception":
        return
    # asked one by one, the clause at fault can be named
    if len(query.clauses) > 1:
        for clause in query.clauses:  # one of which is rejected by name
            count(client, index, SearchQuery((clause,)), gaps, limit=1)
    raise _rejected_query(query, error) from error


def custom_names(client: Client, index: str) -> list[str]:
    """Return the names of the custom fields that documents have: the most frequent ones."""
    terms = {"field": CUSTOM_TERMS, "include": _NAMES_ONLY, "size": MAX_PAGE_SIZE}
    answer = search_json(client, index, {"size": 0, "aggs": {"names": {"terms": terms}}})
    return [path_of_term(bucket["key"]) for bucket in answer["aggregations"]["names"]["buckets"]]


def scan(
    client: Client, index: str, query: Mapping[str, Any], fields: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield these fields of all documents that match, in no useful order.

    Ask only for fields that no amendment changes, such as `s3_key`. No snapshot is needed then: a
    later page still has every label that was there at the start.
    """
    body = {
        "query": query,
        "sort": ["label_fingerprint"],
        "_source": fields,
        "size": MAX_PAGE_SIZE,
        "track_total_hits": False,
    }
    while True:
        try:
            hits = _fetch_page(client, f"/{index}/_search", body).hits.hits
        except RequestRejected as error:
            if error.is_missing_index:
                return
            raise
        for hit in hits:
            yield msgspec.json.decode(hit.source)
        if len(hits) < MAX_PAGE_SIZE:
            return
        # after the last one rather than by number: Elasticsearch caps numbered pages
        body["search_after"] = msgspec.json.decode(hits[-1].sort)


def scan_in_order(
    client: Client, index: str, query: SearchQuery, gaps: Gaps
) -> Generator[bytes, None, None]:
    """Return a generator of the documents that match, sorted: JSON, one line each.

    The first page is fetched at once: nearly always it is the whole answer, one round trip away.
    Only of a longer one does the server keep a snapshot for all pages.

    Raises:
        InputError: Elasticsearch rejects the query.
        DatabaseError: the server failed; the generator raises it too.
    """
    body = {
        **search_body(query, gaps),
        "sort": _ORDER,
        "_source": {"excludes": [CUSTOM_TERMS]},
        "track_total_hits": False,
        "size": FIRST_PAGE_SIZE,
    }
    try:
        hits = _fetch_page(client, f"/{index}/_search", body).hits.hits
    except RequestRejected as error:
        if error.is_missing_index:
            return _lines(_no_hits())
        _raise_if_query_is_at_fault(client, index, query, gaps, error)
        raise
    if len(hits) < FIRST_PAGE_SIZE:
        return _lines(hit for hit in hits)
    return _lines(_scan_snapshot(client, index, body))


def _lines(hits: Generator[_Hit, None, None]) -> Generator[bytes, None, None]:
    with closing(hits):
        for hit in hits:
            yield bytes(hit.source).replace(b"\n", b" ").replace(b"\r", b" ")


def _no_hits() -> Generator[_Hit, None, None]:
    yield from ()


def scan_tombstones(client: Client, index: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield id and source of all tombstones, sorted by `img_id`.

    They are those of one moment, or of a later one where the server loses its snapshot (rule D35).

    Raises:
        DatabaseError: the server failed.
    """
    with closing(_scan_snapshot(client, index, {"sort": ["img_id"]})) as hits:
        for hit in hits:
            yield hit.id, msgspec.json.decode(hit.source)


def _scan_snapshot(
    client: Client, index: str, search: Mapping[str, Any]
) -> Generator[_Hit, None, None]:
    """Yield the hits of a search that is sorted by `img_id` first; none if there is no such index.

    The next page is fetched while the current one is consumed.
    """
    try:
        reader = _SnapshotReader(client, index, search)
    except RequestRejected as error:
        if error.is_missing_index:
            return
        raise
    try:
        with ThreadPoolExecutor(1) as prefetcher:
            try:
                pending = prefetcher.submit(reader.next_page)
                while hits := pending.result():
                    pending = prefetcher.submit(reader.next_page)
                    yield from hits
            finally:
                reader.stop()
    finally:
        reader.close()


class _SnapshotReader:
    """The pages of a search in a snapshot: what others write neither appears nor shifts them.

    Where the server no longer has the snapshot, the rest is from a new one (rule D35). One thread
    at a time may call its methods, except for `stop`.

    Raises:
        RequestRejected: there is no such index.
    """

    def __init__(self, client: Client, index: str, search: Mapping[str, Any]) -> None:
        self._client = client
        self._index = index
        self._query = search.get("query", {"match_all": {}})
        self._body = {**search, "track_total_hits": False, "size": FIRST_PAGE_SIZE}
        self._last_img_id = ""
        self._ids_of_last_picture: set[str] = set()
        self._is_finished = self._is_stopped = False
        self._pit: str | None = self._open()

    def _open(self) -> str:
        answer = self._client.request_json("POST", f"/{self._index}/_pit", keep_alive=_KEEP_ALIVE)
        pit: str = answer["id"]
        return pit

    def next_page(self) -> list[_Hit]:
        """Return the hits of the next page; none after the last one.

        Raises:
            DatabaseError: the server failed, or loses one snapshot after the other.
        """
        if self._is_finished:
            self.close()
            return []
        page = self._request()
        hits = page.hits.hits
        new = [hit for hit in hits if hit.id not in self._ids_of_last_picture]
        self._is_finished = len(hits) < self._body["size"]
        if not self._is_finished:
            after = msgspec.json.decode(hits[-1].sort)
            self._body |= {"size": _next_page_size(page), "search_after": after}
            self._remember(hits, picture=after[0])
        return new or self.next_page()

    def _remember(self, hits: Sequence[_Hit], picture: str) -> None:
        """Remember the hits of the last picture, which may have some of an earlier page."""
        if picture != self._last_img_id:
            self._last_img_id, self._ids_of_last_picture = picture, set()
        for hit in reversed(hits):
            if msgspec.json.decode(hit.sort)[0] != picture:
                break
            self._ids_of_last_picture.add(hit.id)

    def _request(self) -> _Page:
        lost: RequestRejected | None = None
        for _ in range(_MAX_SNAPSHOTS_PER_PAGE):
            pit = {"id": self._pit, "keep_alive": _KEEP_ALIVE}
            try:
                page = _fetch_page(self._client, "/_search", {**self._body, "pit": pit})
            except RequestRejected as error:
                if error.kind not in _LOST or self._is_stopped:
                    raise
                lost = error
                self._continue_in_new_snapshot()
            else:
                self._pit = page.pit_id
                return page
        raise DatabaseError(
            f"{self._client.name} keeps losing the snapshot of this search; run again when the "
            "server is healthy"
        ) from lost

    def _continue_in_new_snapshot(self) -> None:
        # D35: from the last picture on, since a label may have moved within it
        self.close()
        self._pit = self._open()
        self._body.pop("search_after", None)
        rest = {"range": {"img_id": {"gte": self._last_img_id}}}
        self._body["query"] = {"bool": {"filter": [self._query, rest]}}

    def stop(self) -> None:
        """Let a fetch that is under way in another thread open no further snapshot."""
        self._is_stopped = True

    def close(self) -> None:
        """Release the snapshot; idempotent."""
        pit, self._pit = self._pit, None
        if pit:
            with suppress(DatabaseError):  # it expires by itself
                self._client.request_json("DELETE", "/_pit", {"id": pit}, should_retry=False)


def search_json(client: Client, index: str, body: Mapping[str, Any]) -> Any:
    """Return the answer of all shards to a search."""
    return client.request_json(
        "POST", f"/{index}/_search", body, allow_partial_search_results="false"
    )


def _rejected_query(query: SearchQuery, error: RequestRejected) -> InputError:
    clauses = ", ".join(f"{clause.path}: {clause.type}" for clause in query.clauses)
    return InputError(f"{clauses}: Elasticsearch rejects the query: {error.short_reason}")


def _fetch_page(client: Client, path: str, body: Mapping[str, Any]) -> _Page:
    encoded = msgspec.json.encode(body)
    # without all shards a search would pass a part off as the whole: an error instead
    response = client.request("POST", path, encoded, allow_partial_search_results="false")
    page = _decode_page(response.body)
    page.size_bytes = len(response.body)
    return page


def _next_page_size(page: _Page) -> int:
    """Return how many documents of this page's average size fit in PAGE_BYTES."""
    size = PAGE_BYTES * len(page.hits.hits) // page.size_bytes
    return min(max(size, 1), MAX_PAGE_SIZE)
