"""The two indices of a team: that they are there, fit, and may be used by who asks."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from common.errors import DatabaseError
from get_data.database.es_utils import mapping
from get_data.database.es_utils.http import Http, Refused, is_missing
from get_data.database.es_utils.settings import INDEX, USER_ID, Settings

_READING = ("read", "view_index_metadata")
_WRITING = (*_READING, "create_doc", "delete", "maintenance")


class Indices:
    """The index of the labels, and beside it that of the labels which are gone for good."""

    def __init__(self, settings: Settings, http: Http) -> None:
        self.labels = settings.index
        self.gone = f"{settings.index}-gone"
        self._settings = settings
        self._http = http
        self._definitions = {self.labels: mapping.labels(), self.gone: mapping.gone()}
        self._made: set[str] = set()
        self._making = threading.Lock()

    def check_for_reading(self, *, missing_is_empty: bool) -> None:
        """Labels can be searched. Raises: DatabaseError that names the variable to look at."""
        if not self.is_there(self.labels) and not missing_is_empty:
            raise DatabaseError(
                f"no label was uploaded to {self._settings.name} yet; check {INDEX}"
            )
        self._check_rights([self.labels], _READING)

    def check_for_writing(self) -> None:
        """Both are there, and labels can be written. Raises: DatabaseError, as above."""
        missing = [index for index in self._definitions if not self.is_there(index)]
        self._check_rights(list(self._definitions), _WRITING)
        self._check_rights(missing, ("create_index",))
        for index in self._definitions:
            self.make(index)

    def make(self, index: str) -> None:
        """The index is there, with its whole mapping."""
        with self._making:
            if index in self._made:
                return
            if actual := self._look(index):
                self._extend(index, actual)
            else:
                try:
                    self._http.talk("PUT", f"/{index}", self._definitions[index])
                except Refused as error:
                    if error.kind != "resource_already_exists_exception":  # made by another program
                        raise
            self._made.add(index)

    def is_there(self, index: str) -> bool:
        """Raises: DatabaseError when there is one that does not fit."""
        return self._look(index) is not None

    def custom_fields(self) -> Iterator[str]:
        """The dotted names of the fields that an index from an earlier version has for own keys."""
        actual = self._look(self.labels) or {}
        yield from mapping.custom_fields(actual)

    def _extend(self, index: str, actual: mapping.Definition) -> None:
        """Add what an index from an earlier version lacks. Raises: DatabaseError."""
        addition = mapping.addition(self._definitions[index], actual)
        if not addition:
            return
        try:
            self._http.put_mapping(index, addition)
        except Refused as error:
            if error.status != 403:
                raise
            raise DatabaseError(
                f"{self._settings.url}/{index} is from an earlier version, and the login of "
                f"{USER_ID} may not add to its mapping; ask whoever runs it to upload once, or to "
                f"send PUT {index}/_mapping {msgspec.json.encode(addition).decode()}"
            ) from error

    def _look(self, index: str) -> mapping.Definition | None:
        """Return how the index is made, None when it is not there.

        Raises: DatabaseError when there is one that does not fit.
        """
        try:
            answer = self._http.talk(
                "GET", f"/{index}", filter_path="*.mappings,*.settings.index.sort"
            )
        except Refused as error:
            if is_missing(error):
                return None
            raise
        difference = _misfit(self._definitions[index], list(answer.values()))
        if difference:
            raise DatabaseError(
                f"{self._settings.url}/{index} was not made by this toolkit: {difference}; name "
                f"another in {INDEX}"
            )
        return next(iter(answer.values()), {})

    def _check_rights(self, indices: Sequence[str], privileges: Sequence[str]) -> None:
        if not indices:
            return
        wanted = {"index": [{"names": indices, "privileges": privileges}]}
        try:
            answer = self._http.talk("POST", "/_security/user/_has_privileges", wanted)
        except Refused as error:
            if error.status == 401:
                raise
            return  # a server without users
        lacking = [
            f"{privilege} on {index}"
            for index, granted in answer["index"].items()
            for privilege, is_granted in granted.items()
            if not is_granted
        ]
        if lacking:
            raise DatabaseError(
                f"{self._settings.url}: the login of {USER_ID} lacks the privileges "
                f"{', '.join(sorted(lacking))}; ask whoever runs it"
            )


def _misfit(wanted: mapping.Definition, actual: Sequence[Mapping[str, Any]]) -> str:
    if len(actual) > 1:
        return f"{len(actual)} indices go by that name"
    return mapping.misfit(wanted, actual[0] if actual else {})
