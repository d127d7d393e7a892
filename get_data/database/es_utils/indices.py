"""The two indices of a team: created when missing, checked for a fitting mapping and for rights."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from common.errors import DatabaseError
from get_data.database.es_utils import mapping
from get_data.database.es_utils.client import Client
from get_data.database.es_utils.errors import RequestRejected
from get_data.database.es_utils.settings import INDEX, USER_ID, Settings

_READER_PRIVILEGES = ("read", "view_index_metadata")
_WRITER_PRIVILEGES = (*_READER_PRIVILEGES, "create_doc", "delete", "maintenance")


class Indices:
    """The index of the labels and the index of the tombstones.

    Attributes:
        labels: the name of the index of the labels.
        tombstones: the name of the index of the tombstones.
    """

    def __init__(self, settings: Settings, client: Client) -> None:
        self.labels = settings.index
        self.tombstones = f"{settings.index}-gone"
        self._settings = settings
        self._client = client
        self._definitions = {
            self.labels: mapping.label_index(),
            self.tombstones: mapping.tombstone_index(),
        }
        self._created: set[str] = set()
        self._create_lock = threading.Lock()

    def check_for_reading(self, *, allow_missing: bool) -> None:
        """Check that the labels can be searched.

        Raises:
            DatabaseError: they cannot be; the message names the variable to check.
        """
        if not self.exists(self.labels) and not allow_missing:
            raise DatabaseError(
                f"{self._settings.name}: no label has been uploaded yet; check {INDEX}"
            )
        self._check_privileges([self.labels], _READER_PRIVILEGES)

    def check_for_writing(self) -> None:
        """Check that labels can be written, and create the indices that are missing.

        Raises:
            DatabaseError: they cannot be; the message names the variable to check.
        """
        missing = [index for index in self._definitions if not self.exists(index)]
        self._check_privileges(list(self._definitions), _WRITER_PRIVILEGES)
        self._check_privileges(missing, ("create_index",))
        for index in self._definitions:
            self.create_if_missing(index)

    def create_if_missing(self, index: str) -> None:
        """Create an index, or add to one from an earlier version the fields that it lacks."""
        with self._create_lock:
            if index in self._created:
                return
            if actual := self._fetch_definition(index):
                self._add_missing_fields(index, actual)
            else:
                try:
                    self._client.request_json("PUT", f"/{index}", self._definitions[index])
                except RequestRejected as error:
                    # Another program may have created it meanwhile.
                    if error.kind != "resource_already_exists_exception":
                        raise
            self._created.add(index)

    def exists(self, index: str) -> bool:
        """Return whether an index exists.

        Raises:
            DatabaseError: it exists and does not fit.
        """
        return self._fetch_definition(index) is not None

    def custom_fields(self) -> Iterator[str]:
        """Yield the dotted names of custom fields that an index from an earlier version maps."""
        yield from mapping.custom_fields(self._fetch_definition(self.labels) or {})

    def _fetch_definition(self, index: str) -> mapping.Definition | None:
        """Return the definition of an index, None if it does not exist.

        Raises:
            DatabaseError: it exists and does not fit.
        """
        try:
            definitions = self._client.request_json(
                "GET", f"/{index}", filter_path="*.mappings,*.settings.index.sort"
            )
        except RequestRejected as error:
            if error.is_missing_index:
                return None
            raise
        misfit = _misfit(self._definitions[index], list(definitions.values()))
        if misfit:
            raise DatabaseError(
                f"{self._settings.url}/{index} was not created by this toolkit: {misfit}; name "
                f"another index in {INDEX}"
            )
        return next(iter(definitions.values()), {})

    def _add_missing_fields(self, index: str, actual: mapping.Definition) -> None:
        addition = mapping.missing_fields(self._definitions[index], actual)
        if not addition:
            return
        try:
            self._client.put_mapping(index, addition)
        except RequestRejected as error:
            if error.status != 403:
                raise
            raise DatabaseError(
                f"{self._settings.url}/{index} is from an earlier version, and the login of "
                f"{USER_ID} may not add to its mapping; ask its administrator to upload once, or "
                f"to send PUT {index}/_mapping {msgspec.json.encode(addition).decode()}"
            ) from error

    def _check_privileges(self, indices: Sequence[str], privileges: Sequence[str]) -> None:
        """Raise DatabaseError unless the login has the privileges on all the indices."""
        if not indices:
            return
        needed = {"index": [{"names": indices, "privileges": privileges}]}
        try:
            answer = self._client.request_json("POST", "/_security/user/_has_privileges", needed)
        except RequestRejected as error:
            if error.status == 401:
                raise
            return  # security is off: there are no users
        lacking = [
            f"{privilege} on {index}"
            for index, granted in answer["index"].items()
            for privilege, is_granted in granted.items()
            if not is_granted
        ]
        if lacking:
            raise DatabaseError(
                f"{self._settings.url}: the login of {USER_ID} lacks the privileges "
                f"{', '.join(sorted(lacking))}; ask its administrator"
            )


def _misfit(expected: mapping.Definition, actual: Sequence[Mapping[str, Any]]) -> str:
    if len(actual) > 1:
        return f"{len(actual)} indices have this name or alias"
    return mapping.misfit(expected, actual[0] if actual else {})
