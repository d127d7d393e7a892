"""The two indices of a team: created when missing, checked for a fitting mapping and for rights."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from common.errors import DatabaseError
from common.together import run_together
from get_data.database.es_utils import added_fields, mapping
from get_data.database.es_utils.client import Client
from get_data.database.es_utils.errors import RequestRejected
from get_data.database.es_utils.query import Gaps
from get_data.database.es_utils.settings import INDEX, SHARDS, USER_ID, Settings
from get_data.database.search.search_query import SearchQuery

_READER_PRIVILEGES = ("read", "view_index_metadata")
_WRITER_PRIVILEGES = (*_READER_PRIVILEGES, "create_doc", "delete", "maintenance")
_CREATOR_PRIVILEGE = "create_index"


_COMPARED = "*.mappings,*.settings.index.sort,*.settings.index.number_of_shards"


class Indices:
    """The index of the labels and the index of the tombstones.

    Attributes:
        labels: the name of the index of the labels.
        tombstones: the name of the index of the tombstones.
        lacking: declared fields that the index of the labels lacks, and that this login may not
            add; labels are written with their custom terms instead.
    """

    def __init__(self, settings: Settings, client: Client) -> None:
        self.labels = settings.index
        self.tombstones = f"{settings.index}-gone"
        self._settings = settings
        self._client = client
        self._definitions = {
            self.labels: mapping.label_index(settings.shards or 1),
            self.tombstones: mapping.tombstone_index(),
        }
        self.lacking: frozenset[str] = frozenset()
        self._complete_paths: set[str] = set()  # fields that all labels have indexed
        self._seen: dict[str, mapping.Definition] = {}  # by name, as last looked at
        self._absent: set[str] = set()  # likewise
        self._lacking_rights: list[tuple[str, str]] | None = None  # of a writer, once known
        self._notices: dict[str, str] = {}
        self._created: set[str] = set()
        self._create_lock = threading.Lock()

    @property
    def notice(self) -> str:
        """What an administrator has to add to the indices; "" for nothing."""
        return "; ".join(self._notices.values())

    def check_for_reading(self, *, allow_missing: bool) -> None:
        """Check that the labels can be searched.

        Raises:
            DatabaseError: they cannot be; the message names the variable to check.
        """
        exists, lacking = run_together(
            lambda: self.exists(self.labels),
            lambda: self._find_lacking_rights([self.labels], _READER_PRIVILEGES),
        )
        self._require_rights(lacking)
        if not exists and not allow_missing:
            raise DatabaseError(
                f"{self._settings.name}: no label has been uploaded yet; check {INDEX}"
            )

    def inspect(self) -> None:
        """Fetch the definitions of both indices, and the rights of a writer, concurrently.

        Raises:
            DatabaseError: they do not fit, or the server cannot be used.
        """
        privileges = (*_WRITER_PRIVILEGES, _CREATOR_PRIVILEGE)
        _, self._lacking_rights = run_together(
            lambda: run_together(
                lambda: self.exists(self.labels), lambda: self.exists(self.tombstones)
            ),
            lambda: self._find_lacking_rights(list(self._definitions), privileges),
        )

    def check_for_writing(self) -> None:
        """Check that labels can be written, and create the indices that are missing.

        Raises:
            DatabaseError: they cannot be; the message names the variable to check.
        """
        if self._lacking_rights is None:
            self.inspect()
        self._require_rights(
            (index, privilege)
            for index, privilege in self._lacking_rights or ()
            # another program may have created it meanwhile
            if privilege != _CREATOR_PRIVILEGE or not self.has_existed(index)
        )
        for index in self._definitions:
            self.create_if_missing(index)

    def create_if_missing(self, index: str) -> None:
        """Create an index, or add to one from an earlier version the fields that it lacks."""
        with self._create_lock:
            if index in self._created:
                return
            actual = self._seen.get(index)
            if actual is None and index not in self._absent:
                actual = self._fetch_definition(index)
            if actual is None and not self._create(index):
                actual = self._fetch_definition(index)
            if actual is not None:
                self._check_version(index, actual)
                self._complete(index, actual)
                self._compare_shards(index, actual)
            self._created.add(index)

    def _create(self, index: str) -> bool:
        """Create an index; return False if another program has created it meanwhile."""
        try:
            self._client.request_json("PUT", f"/{index}", self._definitions[index])
        except RequestRejected as error:
            if error.kind != "resource_already_exists_exception":
                raise
            return False
        return True

    def exists(self, index: str) -> bool:
        """Return whether an index exists.

        Raises:
            DatabaseError: it exists and does not fit.
        """
        return self._fetch_definition(index) is not None

    def has_existed(self, index: str) -> bool:
        """Return whether an index exists, or did when this object last looked.

        Raises:
            DatabaseError: it exists and does not fit.
        """
        return index in self._seen or self.exists(index)

    def custom_fields(self) -> Iterator[str]:
        """Yield the dotted names of custom fields that an index from an earlier version maps."""
        yield from mapping.custom_fields(self._fetch_definition(self.labels) or {})

    def _fetch_definition(self, index: str) -> mapping.Definition | None:
        """Return the definition of an index, None if it does not exist.

        Raises:
            DatabaseError: it exists and does not fit.
        """
        try:
            definitions = self._client.request_json("GET", f"/{index}", filter_path=_COMPARED)
        except RequestRejected as error:
            if error.is_missing_index:
                self._absent.add(index)
                return None
            raise
        difference = _find_incompatibility(self._definitions[index], list(definitions.values()))
        if difference:
            raise DatabaseError(
                f"{self._settings.url}/{index} does not fit this toolkit: {difference}; name "
                f"another index in {INDEX}"
            )
        self._absent.discard(index)
        self._seen[index] = next(iter(definitions.values()), {})
        return self._seen[index]

    def is_complete(self) -> bool:
        """Return whether the index of the labels has all declared fields, as far as is known.

        Labels from before it had them may still lack some.
        """
        seen = self._seen.get(self.labels)
        return seen is not None and not mapping.missing_paths(seen)

    def find_gaps(self, query: SearchQuery) -> Gaps:
        """Return what the index of the labels lacks of the fields of a query.

        Raises:
            DatabaseError: some label has a field whose words only an index can search.
        """
        # An index loses no field, and indexes the fields that it has in each new label: what is
        # complete stays so, and is asked about once; so does a definition with all fields.
        paths = added_fields.declared_paths(query)
        if paths <= self._complete_paths:
            return Gaps()
        actual = self._seen.get(self.labels)
        if actual is None or mapping.missing_paths(actual):
            actual = self._fetch_definition(self.labels)
        if actual is None:
            return Gaps()
        missing = mapping.missing_paths(actual)
        gaps, unsearchable = added_fields.find_gaps(self._client, self.labels, missing, query)
        self._complete_paths |= paths - gaps.missing - gaps.partial
        if unsearchable:
            addition = mapping.missing_fields(self._definitions[self.labels], actual)
            raise DatabaseError(
                f"{self._settings.name} cannot search the words of {unsearchable} yet: an "
                f"administrator has to add the field ({self._remedy(self.labels, addition)})"
            )
        return gaps

    def update(self, *, dry_run: bool) -> list[str]:
        """Add the fields that the indices lack, and return the requests that do.

        With `dry_run` nothing is changed, and an index that does not exist yet has the request
        that creates it; otherwise the first upload creates it.

        Raises:
            DatabaseError: an index does not fit, or the login may not change it.
        """
        requests = []
        for index, definition in self._definitions.items():
            actual = self._fetch_definition(index)
            if actual is None:
                if dry_run:
                    requests.append(_request(f"PUT {index}", definition))
                continue
            self._check_version(index, actual)
            if addition := mapping.missing_fields(definition, actual):
                requests.append(_mapping_request(index, addition))
                if not dry_run:
                    self._put_mapping(index, addition)
            if index == self.labels and not dry_run:
                added_fields.index_again(self._client, index)
        return requests

    def _put_mapping(self, index: str, addition: mapping.Definition) -> None:
        try:
            self._client.request_json("PUT", f"/{index}/_mapping", addition)
        except RequestRejected as error:
            if error.status != 403:
                raise
            raise DatabaseError(
                f"{self._settings.url}/{index}: the login of {USER_ID} may not add fields; ask an "
                f"administrator to send {_mapping_request(index, addition)}"
            ) from error

    def _check_version(self, index: str, actual: mapping.Definition) -> None:
        if mapping.is_newer(actual):
            raise DatabaseError(
                f"{self._settings.url}/{index} belongs to a newer version of this toolkit: this "
                "one can search it, but not change it; update this checkout"
            )

    def _complete(self, index: str, actual: mapping.Definition) -> None:
        """Add what an index from an earlier version lacks, if the login may.

        If not, labels are written and found without; `notice` tells who can add it.
        """
        addition = mapping.missing_fields(self._definitions[index], actual)
        try:
            if addition:
                self._client.request_json("PUT", f"/{index}/_mapping", addition)
            if index == self.labels:
                added_fields.index_again(self._client, index)
        except RequestRejected as error:
            if error.status not in (400, 403):
                raise
            if not addition:  # labels from before are found by their documents
                return
            if index == self.labels:
                self.lacking = mapping.missing_paths(actual)
            reason = "this login may not add" if error.status == 403 else error.short_reason
            self._notices[index] = (
                f"{self._settings.url}/{index} is from an earlier version and lacks fields "
                f"({reason}). Labels are uploaded and found all the same; an administrator "
                f"should add them once: {self._remedy(index, addition)}"
            )

    def _compare_shards(self, index: str, actual: mapping.Definition) -> None:
        """Tell that an index keeps the number of shards that it was created with."""
        shards = mapping.shards(actual)
        if index == self.labels and self._settings.shards not in (None, shards):
            self._notices[SHARDS] = (
                f"{self._settings.name} was created with {shards} instead of {SHARDS}="
                f"{self._settings.shards} shards; docs/team_database.md tells how it gets more"
            )

    def _remedy(self, index: str, addition: mapping.Definition) -> str:
        """Return what an administrator does to complete an index."""
        by_script = "upload_data.py --update-index"
        return f"{by_script}, or {_mapping_request(index, addition)}" if addition else by_script

    def _find_lacking_rights(
        self, indices: Sequence[str], privileges: Sequence[str]
    ) -> list[tuple[str, str]]:
        """Return the indices, each with a privilege that the login does not have on it."""
        needed = {"index": [{"names": indices, "privileges": privileges}]}
        try:
            answer = self._client.request_json("POST", "/_security/user/_has_privileges", needed)
        except RequestRejected as error:
            if error.status == 401:
                raise
            return []  # security is off: there are no users
        return [
            (index, privilege)
            for index, granted in answer["index"].items()
            for privilege, is_granted in granted.items()
            if not is_granted
        ]

    def _require_rights(self, lacking: Iterable[tuple[str, str]]) -> None:
        """Raise DatabaseError unless nothing is lacking."""
        if missing := sorted(f"{privilege} on {index}" for index, privilege in lacking):
            raise DatabaseError(
                f"{self._settings.url}: the login of {USER_ID} lacks the privileges "
                f"{', '.join(missing)}; ask its administrator"
            )


def _mapping_request(index: str, addition: mapping.Definition) -> str:
    return _request(f"PUT {index}/_mapping", addition)


def _request(operation: str, body: mapping.Definition) -> str:
    """Return a request as Kibana's console takes it."""
    return f"{operation} {msgspec.json.encode(body).decode()}"


def _find_incompatibility(expected: mapping.Definition, actual: Sequence[Mapping[str, Any]]) -> str:
    if len(actual) > 1:
        return f"{len(actual)} indices have this name or alias"
    return mapping.find_incompatibility(expected, actual[0] if actual else {})
