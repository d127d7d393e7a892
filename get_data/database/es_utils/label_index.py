"""The label index of a team: Elasticsearch 8 or 9.

Labels are documents of the index that `PATATE_ES_INDEX` names, under their fingerprints; those gone
for good are in a second one, `<index>-gone`. Both are made by the first write. What was written is
found by its id at once, and by a search after a refresh: whoever writes asks for one at the end,
and before a question that has to be answered from all that was written.
"""

import json
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from common import retry
from common.batching import batches
from common.errors import DatabaseError, InputError
from get_data.database.es_utils import bulk, search
from get_data.database.es_utils.bulk import Outcome
from get_data.database.es_utils.errors import NOT_READY, cause_of
from get_data.database.es_utils.http import Http, is_missing
from get_data.database.es_utils.indices import Indices
from get_data.database.es_utils.query import check, query_body
from get_data.database.es_utils.settings import Settings
from get_data.database.interfaces import CreateResult, LabelReference, Tombstone
from get_data.database.search.search_query import SearchQuery
from get_data.labels import custom_fields, schema, validation
from get_data.labels.schema import Document

_MAX_NAMES = 5000  # in one question
_ALL = SearchQuery()
_TOMBSTONE_FIELDS = {  # as the index calls them
    "img_id": "img_id",
    "s3_key": "s3_key",
    "reason": "why",
    "removed_by": "by",
    "removed_at": "when",
}


class _Found(msgspec.Struct):
    """One answer of `_mget`."""

    id: str = msgspec.field(name="_id")
    found: bool = False
    source: dict[str, Any] = msgspec.field(name="_source", default_factory=dict)
    error: dict[str, Any] | None = None


class _AllFound(msgspec.Struct):
    docs: list[_Found]


class ElasticsearchIndex:
    """A `LabelIndex` on the server that the settings name; nothing is asked before it is needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http = Http(settings)
        self._indices = Indices(settings, self._http)
        self._only_reads = False
        self._has_written = False

    @property
    def name(self) -> str:
        """The address of the index."""
        return self._settings.name

    def check(self, *, writing: bool, missing_is_empty: bool = False) -> None:
        """The index can be reached and fits, and who asks has the rights; to be called first.

        For `writing` what is missing is made; for reading it is refused, unless it counts as empty.
        Who only reads needs no right to refresh, and finds what was written a second ago.

        Raises: DatabaseError that names the variable to look at.
        """
        self._only_reads = not writing
        if writing:
            self._indices.check_for_writing()
        else:
            self._indices.check_for_reading(missing_is_empty=missing_is_empty)

    def missing_part(self, *, tombstones: bool) -> str:
        """Return the address of the index that is not there, else "".

        `tombstones`: that of the tombstones counts as well. It is made after that of the labels, so
        it may be missing while there are no labels.
        """
        if not self._indices.is_there(self._indices.labels):
            return self.name
        if tombstones and not self._indices.is_there(self._indices.gone) and self.count(_ALL):
            return f"{self._settings.url}/{self._indices.gone}"
        return ""

    def find(self, fingerprints: Collection[str]) -> dict[str, LabelReference]:
        """Those of the labels that are there, in real time."""
        found = self._get(self._indices.labels, fingerprints, ("img_id", "s3_key"))
        return {
            name: LabelReference(name, has["img_id"], has.get("s3_key", "")) for name, has in found
        }

    def find_tombstones(self, fingerprints: Collection[str]) -> dict[str, Tombstone]:
        """Those of the labels that are gone for good, in real time."""
        found = self._get(self._indices.gone, fingerprints, tuple(_TOMBSTONE_FIELDS.values()))
        return {
            name: Tombstone(name, **{to: has[field] for to, field in _TOMBSTONE_FIELDS.items()})
            for name, has in found
        }

    def picture_hashes(self, img_ids: Collection[str]) -> dict[str, set[str]]:
        """The SHA-256 of the pictures that the labels of each id speak of."""
        return self._grouped("img_id", img_ids, "picture_sha256")

    def ensure_exists(self) -> None:
        """Create the indices where there are none."""
        self._indices.make(self._indices.labels)
        self._indices.make(self._indices.gone)

    def create(self, documents: Sequence[Document]) -> CreateResult:
        """The labels are in, each that was not there; one that was there stays as it was."""
        result = CreateResult()
        lines: dict[str, bytes] = {}
        for document in documents:
            name = str(document.get("label_fingerprint"))
            try:
                lines.setdefault(name, _line(document))
            except (InputError, ValueError, TypeError) as error:
                result.rejected[name] = str(error)
        outcomes = self._change(self._indices.labels, "create", lines)
        for name, outcome in outcomes.items():
            if outcome.status == 201:
                result.created.add(name)
            elif outcome.status == 409:
                result.existing.add(name)
            else:
                result.rejected[name] = outcome.reason
        ours = self._written_by_us(lines, outcomes)
        result.created |= ours
        result.existing -= ours
        return result

    def add_tombstones(self, gone: Sequence[Tombstone]) -> None:
        """The labels count as gone for good; of one that did already the older record stays."""
        lines: dict[str, bytes] = {}
        for one in gone:
            record = {field: getattr(one, name) for name, field in _TOMBSTONE_FIELDS.items()}
            lines.setdefault(one.fingerprint, msgspec.json.encode(record))
        self._check_done(self._change(self._indices.gone, "create", lines), 201, 409)

    def remove_tombstones(self, fingerprints: Collection[str]) -> None:
        """The labels may be created again. Those that were not gone are passed over."""
        lines = dict.fromkeys(fingerprints, b"")
        self._check_done(self._change(self._indices.gone, "delete", lines), 200, 404)

    def remove(self, fingerprints: Collection[str]) -> set[str]:
        """The labels are out; returns those that were there.

        Where an answer was lost and the question repeated, all that are out count as those.
        """
        lines = dict.fromkeys(fingerprints, b"")
        outcomes = self._change(self._indices.labels, "delete", lines)
        self._check_done(outcomes, 200, 404)
        return {name for name, done in outcomes.items() if done.status == 200 or done.is_repeated}

    def find_references(self, keys: Collection[str]) -> dict[str, set[str]]:
        """The fingerprints of the labels that name each picture key."""
        return self._grouped("s3_key", keys, "label_fingerprint")

    def search(self, query: SearchQuery) -> Generator[bytes, None, None]:
        """The documents that match, as they were when the first was asked for.

        Raises: InputError at once for what Elasticsearch refuses; later DatabaseError, also when
        the server has forgotten the search, for the rest would be of another answer.
        """
        check(query)
        self._show_what_was_written()
        search.total(self._http, self._indices.labels, query, limit=1)
        return search.in_order(self._http, self._indices.labels, query_body(query, both_forms=True))

    def count(self, query: SearchQuery) -> int:
        """How many labels match."""
        check(query)
        self._show_what_was_written()
        return search.total(self._http, self._indices.labels, query)

    def custom_fields(self) -> set[str]:
        """Return the dotted names of the fields that labels have beyond the declared ones."""
        self._show_what_was_written()
        terms = search.own_names(self._http, self._indices.labels)
        return {*terms, *self._indices.custom_fields()}

    def close(self) -> None:
        """No connection is open, and what was written is found by whoever searches next."""
        with suppress(DatabaseError):  # then it is found a second later
            self._show_what_was_written(is_worth_waiting=False)
        self._http.close()

    def _show_what_was_written(self, *, is_worth_waiting: bool = True) -> None:
        """A search finds what was written here; who only searches needs no right to refresh."""
        if self._has_written:
            search.refresh(self._http, self._indices.labels, is_worth_waiting=is_worth_waiting)

    def _get(
        self, index: str, names: Iterable[str], fields: Sequence[str] = ()
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Those of the documents that are there, or these fields of them, in real time."""
        for some in batches(names, _MAX_NAMES):
            for one in self._looked_up(index, some, ",".join(fields) or "true"):
                if one.error:
                    self._pass_if_missing(one.error)
                elif one.found:
                    yield one.id, one.source

    def _looked_up(self, index: str, names: Sequence[str], wanted: str) -> list[_Found]:
        """What is known of each name; an index that was just made, or restarts, is waited for."""
        body = msgspec.json.encode({"ids": names})
        backoff = retry.Backoff()
        while True:
            answer = self._http.ask("POST", f"/{index}/_mget", body, _source=wanted)
            docs = msgspec.json.decode(answer.body, type=_AllFound).docs
            is_ready = all(cause_of(one.error)[0] not in NOT_READY for one in docs if one.error)
            if is_ready or not backoff.wait(retry.TIMEOUT_S):
                return docs

    def _pass_if_missing(self, error: Mapping[str, Any]) -> None:
        kind, reason = cause_of(error)
        refused = self._http.refused(403 if kind == "security_exception" else 404, kind, reason)
        if not is_missing(refused):
            raise refused

    def _grouped(self, field: str, values: Collection[str], wanted: str) -> dict[str, set[str]]:
        """What labels have in the field `wanted`, by what they have in `field`."""
        groups: dict[str, set[str]] = {}
        if values and not self._only_reads:
            search.refresh(self._http, self._indices.labels)
        for some in batches(values, _MAX_NAMES):
            question = {"terms": {field: some}}
            found = search.everything(self._http, self._indices.labels, question, (field, wanted))
            for has in found:
                if has.get(wanted):
                    groups.setdefault(has[field], set()).add(has[wanted])
        return groups

    def _change(self, index: str, operation: str, lines: Mapping[str, bytes]) -> dict[str, Outcome]:
        """What became of each change; a line is the document, where the operation takes one."""
        if not lines:
            return {}
        if operation == "create":
            self._indices.make(index)
        self._has_written = True
        operations = {
            name: msgspec.json.encode({operation: {"_id": name}})
            + b"\n"
            + line
            + b"\n" * bool(line)
            for name, line in lines.items()
        }
        return bulk.send(self._http, index, operations)

    def _written_by_us(
        self, lines: Mapping[str, bytes], outcomes: Mapping[str, Outcome]
    ) -> set[str]:
        """The labels that are there because an earlier try, whose answer was lost, created them."""
        names = [name for name, done in outcomes.items() if done.status == 409 and done.is_repeated]
        there = self._get(self._indices.labels, names)
        return {name for name, document in there if document == json.loads(lines[name])}

    def _check_done(self, outcomes: Mapping[str, Outcome], *expected: int) -> None:
        for name, outcome in outcomes.items():
            if outcome.status not in expected:
                raise DatabaseError(
                    f"{self.name} refuses a change of {name}: {outcome.reason}; run again"
                )


def _line(document: Document) -> bytes:
    """A label as JSON. Raises: InputError, ValueError, TypeError for what is none."""
    validation.parse(document)
    if terms := custom_fields.custom_terms(document):
        document = {**document, schema.CUSTOM_TERMS: terms}
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()
