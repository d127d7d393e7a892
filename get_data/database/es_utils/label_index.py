"""The label index of a team: Elasticsearch 8 or 9.

Labels are documents of the index that `PATATE_ES_INDEX` names, with their fingerprints as ids;
tombstones are in a second index, `<index>-gone`. The first write creates both. A document is found
by its id as soon as it is written, and by a search after a refresh: writers refresh at the end, and
before a query that must see everything written so far.
"""

import json
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from itertools import groupby
from typing import Any

import msgspec

from common import retry
from common.batching import batches
from common.errors import DatabaseError, InputError
from common.together import run_together
from get_data.database.es_utils import aggregations, bulk, mapping, search
from get_data.database.es_utils.bulk import Outcome
from get_data.database.es_utils.client import Client
from get_data.database.es_utils.errors import (
    INDEX_BLOCKED,
    INDEX_NOT_FOUND,
    is_transient,
    root_cause,
)
from get_data.database.es_utils.indices import Indices
from get_data.database.es_utils.query import Gaps, check_query, search_body
from get_data.database.es_utils.settings import Settings
from get_data.database.interfaces import (
    CreateResult,
    LabelReference,
    Replacement,
    ReplaceResult,
    StoredLabel,
    Tombstone,
    encode_document,
)
from get_data.database.search import summaries
from get_data.database.search.search_query import Clause, SearchQuery
from get_data.database.search.summaries import Summary
from get_data.labels import custom_fields, schema
from get_data.labels.label_reader import LabelReader
from get_data.labels.schema import Document

_BATCH_SIZE = 5000  # ids or terms in one request
_ALL = SearchQuery()
_TOMBSTONE_FIELDS = {  # by attribute, as the index calls them
    "img_id": "img_id",
    "s3_key": "s3_key",
    "reason": "why",
    "removed_by": "by",
    "removed_at": "when",
}


class ElasticsearchIndex:
    """A `LabelIndex` on the server that the settings name; it connects when first used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = Client(settings)
        self._indices = Indices(settings, self._client)
        self._reader = LabelReader()
        self._only_reads = False
        self._has_written = False

    @property
    def name(self) -> str:
        """The address of the index."""
        return self._settings.name

    @property
    def notice(self) -> str:
        """A line about fields that the index lacks, known after a check for writing; or ""."""
        return self._indices.notice

    @property
    def search_delay_s(self) -> float:
        """How long a reader, who may not refresh, may miss what another program has written."""
        return mapping.REFRESH_S if self._only_reads else 0.0

    def check(self, *, writing: bool, allow_missing: bool = False) -> None:
        """Check address, mapping and rights; call this first.

        Reading needs no right to refresh, and sees what was written `search_delay_s` ago.

        Args:
            writing: check the rights of a writer as well, and create missing indices.
            allow_missing: for reading, a missing index counts as empty.

        Raises:
            DatabaseError: the index cannot be used; the message names the variable to check.
        """
        self._only_reads = not writing
        if writing:
            self._indices.check_for_writing()
        else:
            self._indices.check_for_reading(allow_missing=allow_missing)

    def inspect(self) -> None:
        """Fetch what `check(writing=True)` needs, concurrently; change nothing.

        Raises:
            DatabaseError: the index cannot be used; the message names the variable to check.
        """
        self._indices.inspect()

    def update(self, *, dry_run: bool) -> list[str]:
        """Add the fields that the indices lack, and return the requests that do.

        Raises:
            DatabaseError: an index does not fit, or the login may not change it.
        """
        return self._indices.update(dry_run=dry_run)

    def missing_part(self, *, tombstones: bool) -> str:
        """Return the address of the index that is missing, "" if none is.

        With `tombstones`, theirs counts too. It is created after that of the labels, so it may be
        missing while there are no labels.
        """
        if not self._indices.has_existed(self._indices.labels):
            return self.name
        if (
            tombstones
            and not self._indices.has_existed(self._indices.tombstones)
            and self.count(_ALL)
        ):
            return f"{self._settings.url}/{self._indices.tombstones}"
        return ""

    def find(self, fingerprints: Collection[str]) -> dict[str, LabelReference]:
        """Return the labels that exist, by fingerprint, in real time."""
        found = self._get(self._indices.labels, fingerprints, ("img_id", "s3_key"))
        return {
            fingerprint: LabelReference(fingerprint, source["img_id"], source.get("s3_key", ""))
            for fingerprint, source in found
        }

    def read(self, fingerprints: Collection[str]) -> dict[str, StoredLabel]:
        """Return the labels that exist with their versions, in real time."""
        # D15: document and version come from one answer
        return {
            item.id: StoredLabel(
                {name: value for name, value in item.source.items() if name != schema.CUSTOM_TERMS},
                f"{item.seq_no}:{item.primary_term}",
            )
            for item in self._get_items(self._indices.labels, fingerprints, "true")
        }

    def find_tombstones(self, fingerprints: Collection[str]) -> dict[str, Tombstone]:
        """Return the tombstones that exist, by fingerprint, in real time."""
        found = self._get(self._indices.tombstones, fingerprints, tuple(_TOMBSTONE_FIELDS.values()))
        return {item[0]: _tombstone(item) for item in found}

    def all_tombstones(self) -> Iterator[Tombstone]:
        """Yield all tombstones, sorted by `img_id`, then fingerprint."""
        found = search.scan_tombstones(self._client, self._indices.tombstones)
        for _, neighbours in groupby(map(_tombstone, found), lambda tombstone: tombstone.img_id):
            yield from sorted(neighbours, key=lambda tombstone: tombstone.fingerprint)

    def refresh(self) -> None:
        """Make everything written so far, by any program, visible to searches.

        Raises:
            DatabaseError: the login may not refresh.
        """
        # Not by one request for both: a missing index takes ignore_unavailable, which leaves out in
        # silence what the login may not refresh.
        run_together(
            lambda: search.refresh(self._client, self._indices.labels),
            lambda: search.refresh(self._client, self._indices.tombstones),
        )

    def picture_hashes(
        self, img_ids: Collection[str], *, refresh: bool = True
    ) -> dict[str, set[str]]:
        """Return the SHA-256 of the pictures that labels name, by image id."""
        if img_ids and refresh:
            self._refresh_all()
        return self._group("picture_sha256", "img_id", img_ids)

    def ensure_exists(self) -> None:
        """Create the indices that are missing."""
        self._indices.create_if_missing(self._indices.labels)
        self._indices.create_if_missing(self._indices.tombstones)

    def create(self, documents: Sequence[Document]) -> CreateResult:
        """Create the labels that do not exist yet, and return the outcome of each."""
        result = CreateResult()
        bodies: dict[str, bytes] = {}
        if documents:
            self._indices.create_if_missing(self._indices.labels)
        undeclared = self._indices.lacking
        for document in documents:
            fingerprint = str(document.get("label_fingerprint"))
            try:
                bodies.setdefault(fingerprint, _encode(document, undeclared, self._reader))
            except (InputError, ValueError, TypeError) as error:
                result.rejected[fingerprint] = str(error)
        # create-only: an existing label is reported (409) and left as it is
        outcomes = self._send("create", self._indices.labels, bodies)
        for fingerprint, outcome in outcomes.items():
            if outcome.status == 201:
                result.created.add(fingerprint)
            elif outcome.status == 409:
                result.existing.add(fingerprint)
            else:
                result.rejected[fingerprint] = outcome.reason
        # a retry after a lost response meets this call's own label, which is then new
        ours = self._written_by_lost_attempt(bodies, outcomes)
        result.created |= ours
        result.existing -= ours
        return result

    def add_tombstones(self, tombstones: Sequence[Tombstone]) -> None:
        """Create the tombstones that do not exist yet."""
        bodies: dict[str, bytes] = {}
        for tombstone in tombstones:
            fields = {field: getattr(tombstone, name) for name, field in _TOMBSTONE_FIELDS.items()}
            bodies.setdefault(tombstone.fingerprint, msgspec.json.encode(fields))
        outcomes = self._send("create", self._indices.tombstones, bodies)
        self._require_status(outcomes, 201, 409)

    def remove_tombstones(self, fingerprints: Collection[str]) -> None:
        """Delete the tombstones that exist, so that the labels may be created again."""
        bodies = dict.fromkeys(fingerprints, b"")
        outcomes = self._send("delete", self._indices.tombstones, bodies)
        self._require_status(outcomes, 200, 404)

    def remove(self, fingerprints: Collection[str]) -> set[str]:
        """Delete the labels, and return the fingerprints of those that existed.

        After a retry, all count as existing: the attempt whose response was lost may have deleted
        them.
        """
        bodies = dict.fromkeys(fingerprints, b"")
        outcomes = self._send("delete", self._indices.labels, bodies)
        self._require_status(outcomes, 200, 404)
        return {
            fingerprint
            for fingerprint, outcome in outcomes.items()
            if outcome.status == 200 or outcome.was_retried
        }

    def replace(self, replacements: Sequence[Replacement]) -> ReplaceResult:
        """Replace labels that are still as they were read; never create one."""
        result = ReplaceResult()
        # a bulk request would create an index that is missing
        if not replacements or not self._indices.exists(self._indices.labels):
            labels = (replacement.document for replacement in replacements)
            result.changed.update(str(label.get("label_fingerprint")) for label in labels)
            return result
        self._indices.create_if_missing(self._indices.labels)
        undeclared = self._indices.lacking
        bodies: dict[str, bytes] = {}
        versions: dict[str, str] = {}
        for replacement in replacements:
            fingerprint = str(replacement.document.get("label_fingerprint"))
            versions.setdefault(fingerprint, replacement.version)
            try:
                bodies.setdefault(
                    fingerprint, _encode(replacement.document, undeclared, self._reader)
                )
            except (InputError, ValueError, TypeError) as error:
                result.rejected[fingerprint] = str(error)
        # D15: as of the version that was read; a label that is missing is a conflict, too
        outcomes = self._send("index", self._indices.labels, bodies, versions)
        for fingerprint, outcome in outcomes.items():
            if outcome.status == 200:
                result.replaced.add(fingerprint)
            elif outcome.status == 409:
                result.changed.add(fingerprint)
            else:
                result.rejected[fingerprint] = outcome.reason
        # D15: a retry after a lost response meets this call's own replacement
        ours = self._written_by_lost_attempt(bodies, outcomes)
        result.replaced |= ours
        result.changed -= ours
        return result

    def remove_unchanged(self, versions: Mapping[str, str]) -> set[str]:
        """Delete the labels that still have these versions; return those that were changed."""
        if not versions or not self._indices.exists(self._indices.labels):
            return set()
        bodies = dict.fromkeys(versions, b"")
        outcomes = self._send("delete", self._indices.labels, bodies, versions)
        self._require_status(outcomes, 200, 404, 409)
        # a label that is missing is a conflict, too
        conflicts = [name for name, outcome in outcomes.items() if outcome.status == 409]
        return set(self.find(conflicts))

    def find_references(self, keys: Collection[str]) -> dict[str, set[str]]:
        """Return the fingerprints of the labels that name each picture key."""
        # D11: a deletion acts on this answer, so it must include every label created so far
        if keys:
            self._refresh_all()
        return self._group("label_fingerprint", "s3_key", keys)

    def search(self, query: SearchQuery) -> Generator[bytes, None, None]:
        """Return a generator of the documents that match, sorted: JSON, one line each.

        Raises:
            InputError: Elasticsearch rejects the query.
        """
        check_query(query)
        self._refresh()
        find = partial(search.scan_in_order, self._client, self._indices.labels, query)
        if not self._indices.is_complete():
            return find(self._find_gaps(query))
        # labels from before it was complete are rare: asked for together with the answer
        gaps, found = run_together(lambda: self._find_gaps(query), lambda: find(Gaps()))
        if not gaps.missing and not gaps.partial:
            return found
        found.close()
        return find(gaps)

    def summarize(self, query: SearchQuery) -> Summary:
        """Return the numbers of the labels that match, by drive.

        Raises:
            InputError: Elasticsearch rejects the query.
        """
        drives = SearchQuery((Clause("session_id", "exists"),))
        gaps = self._indices.find_gaps(drives)
        if gaps.missing or gaps.partial:  # only the documents tell the drives
            with closing(self.search(query)) as found:
                return summaries.summarize(found)
        return aggregations.summarize(self._client, self._indices.labels, self._select(query))

    def _select(self, query: SearchQuery) -> dict[str, Any]:
        """Return the body of a search that the server accepts, and that sees all own writes."""
        check_query(query)
        self._refresh()
        gaps = self._find_gaps(query)
        # a query that the server rejects fails here, before the caller begins its output
        search.count(self._client, self._indices.labels, query, gaps, limit=1)
        return search_body(query, gaps)

    def _find_gaps(self, query: SearchQuery) -> Gaps:
        """Return what the index lacks of the fields of a query.

        Raises:
            InputError: Elasticsearch cannot answer the query without them.
        """
        gaps = self._indices.find_gaps(query)
        check_query(query, gaps)
        return gaps

    def count(self, query: SearchQuery) -> int:
        """Return how many labels match.

        Raises:
            InputError: Elasticsearch rejects the query.
        """
        return self._count(query)

    def has_matches(self, query: SearchQuery) -> bool:
        """Return whether any label matches.

        Raises:
            InputError: Elasticsearch rejects the query.
        """
        return self._count(query, limit=1) > 0

    def _count(self, query: SearchQuery, limit: int | None = None) -> int:
        check_query(query)
        self._refresh()
        gaps = self._find_gaps(query)
        return search.count(self._client, self._indices.labels, query, gaps, limit)

    def custom_fields(self) -> set[str]:
        """Return the dotted names of the fields that labels have beyond the declared ones."""
        self._refresh()
        names = search.custom_names(self._client, self._indices.labels)
        return {*names, *self._indices.custom_fields()}

    def close(self) -> None:
        """Make everything written visible to the next search, and close all connections."""
        with suppress(DatabaseError):  # Elasticsearch refreshes by itself later
            self._refresh(should_retry=False)
        self._client.close()

    def _refresh(self, *, should_retry: bool = True) -> None:
        """Refresh the labels if this object wrote any; readers need no right to refresh."""
        if self._has_written:
            search.refresh(self._client, self._indices.labels, should_retry=should_retry)

    def _refresh_all(self) -> None:
        """Refresh the labels whoever wrote them, unless this object only reads."""
        if not self._only_reads:
            search.refresh(self._client, self._indices.labels)

    def _get(
        self, index: str, ids: Iterable[str], fields: Sequence[str] = ()
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield id and source of the documents that exist; only these fields, or all."""
        for item in self._get_items(index, ids, ",".join(fields) or "true"):
            yield item.id, item.source

    def _get_items(self, index: str, ids: Iterable[str], fields: str) -> "Iterator[_Item]":
        """Yield the documents that exist; `fields` as `_source` takes them."""
        # D5, D6: asked by id, Elasticsearch answers in real time, without a refresh; it refuses an
        # empty one
        for batch in batches(filter(None, ids), _BATCH_SIZE):
            for item in self._multi_get(index, batch, fields):
                if item.error:
                    self._raise_unless_missing_index(item.error)
                elif item.found:
                    yield item

    def _multi_get(self, index: str, ids: Sequence[str], fields: str) -> "list[_Item]":
        """Return an item per id; wait for an index that was just created, or a node that left."""
        body = msgspec.json.encode({"ids": ids})
        backoff = retry.Backoff()
        while True:
            response = self._client.request("POST", f"/{index}/_mget", body, _source=fields)
            items = msgspec.json.decode(response.body, type=_MultiGetResponse).docs
            failures = [_classify_error(item.error)[:2] for item in items if item.error]
            is_temporary = any(is_transient(status, kind) for status, kind in failures)
            if not is_temporary or not backoff.wait(retry.TIMEOUT_S):
                return items

    def _raise_unless_missing_index(self, error: Mapping[str, Any]) -> None:
        rejection = self._client.rejection(*_classify_error(error))
        if not rejection.is_missing_index:
            raise rejection

    def _group(self, field: str, by: str, values: Collection[str]) -> dict[str, set[str]]:
        """Return the values of `field` in the labels whose field `by` has each of the values."""
        groups: dict[str, set[str]] = {}
        for batch in batches(values, _BATCH_SIZE):
            query = {"terms": {by: batch}}
            for source in search.scan(self._client, self._indices.labels, query, (by, field)):
                if source.get(field):
                    groups.setdefault(source[by], set()).add(source[field])
        return groups

    def _send(
        self,
        operation: str,
        index: str,
        bodies: Mapping[str, bytes],
        versions: Mapping[str, str] | None = None,
    ) -> dict[str, Outcome]:
        """Send one operation per id, with the document in `bodies` or b"" where it takes none.

        With `versions`, an operation is a conflict unless the document has that version.
        """
        if not bodies:
            return {}
        if operation == "create":
            self._indices.create_if_missing(index)
        self._has_written = True
        operations = {
            name: msgspec.json.encode(
                {operation: {"_id": name, **(_condition(versions[name]) if versions else {})}}
            )
            + b"\n"
            + body
            + b"\n" * bool(body)
            for name, body in bodies.items()
        }
        return bulk.send(self._client, index, operations)

    def _written_by_lost_attempt(
        self, bodies: Mapping[str, bytes], outcomes: Mapping[str, Outcome]
    ) -> set[str]:
        """Return the labels in conflict with an attempt of their own whose response was lost.

        They are those whose stored document is exactly the one that was sent.
        """
        candidates = [
            fingerprint
            for fingerprint, outcome in outcomes.items()
            if outcome.status == 409 and outcome.was_retried
        ]
        found = self._get(self._indices.labels, candidates)
        return {
            fingerprint
            for fingerprint, source in found
            if source == json.loads(bodies[fingerprint])
        }

    def _require_status(self, outcomes: Mapping[str, Outcome], *expected: int) -> None:
        for name, outcome in outcomes.items():
            if outcome.status not in expected:
                raise DatabaseError(
                    f"{self.name} rejected a change of {name}: {outcome.reason}; run again"
                )


class _Item(msgspec.Struct):
    """The result of `_mget` for one id."""

    id: str = msgspec.field(name="_id")
    found: bool = False
    source: dict[str, Any] = msgspec.field(name="_source", default_factory=dict)
    seq_no: int = msgspec.field(name="_seq_no", default=-1)
    primary_term: int = msgspec.field(name="_primary_term", default=-1)
    error: dict[str, Any] | None = None


class _MultiGetResponse(msgspec.Struct):
    docs: list[_Item]


_STATUSES = {  # by type of error; that of a block is in its reason
    INDEX_NOT_FOUND: 404,
    "circuit_breaking_exception": 429,
    "es_rejected_execution_exception": 429,
    "security_exception": 403,
}


def _classify_error(error: Mapping[str, Any]) -> tuple[int, str, str]:
    """Return the status, which `_mget` leaves out, the type and the reason of an item's error."""
    kind, reason = root_cause(error)
    if kind == INDEX_BLOCKED:
        return (503 if "SERVICE_UNAVAILABLE" in reason else 403), kind, reason
    return _STATUSES.get(kind, 500), kind, reason


def _tombstone(item: tuple[str, Mapping[str, Any]]) -> Tombstone:
    """Return the tombstone in a document, given as its id and its source."""
    fingerprint, source = item
    return Tombstone(
        fingerprint, **{name: source[field] for name, field in _TOMBSTONE_FIELDS.items()}
    )


def _condition(version: str) -> dict[str, int]:
    """Return the parameters of an operation that a document of another version refuses.

    Source: https://www.elastic.co/docs/reference/elasticsearch/rest-apis/optimistic-concurrency-control
    """
    seq_no, _, primary_term = version.partition(":")
    return {"if_seq_no": int(seq_no), "if_primary_term": int(primary_term)}


def _encode(document: Document, undeclared: Collection[str], reader: LabelReader) -> bytes:
    """Return a label as JSON, with its custom terms and those of `undeclared` paths.

    Raises:
        InputError: it is not a valid label.
        ValueError: it holds a value that JSON does not have.
        TypeError: likewise.
    """
    encoded = encode_document(document)
    if not reader.prove(encoded):
        reader.check(document)
    if terms := custom_fields.custom_terms(document, undeclared):
        encoded = encode_document({**document, schema.CUSTOM_TERMS: terms})
    return encoded
