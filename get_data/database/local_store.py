"""The picture store of one machine: a folder, through obstore."""

import functools
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore

from errors import DatabaseError, PictureMissing
from get_data.database.interfaces import ASIDE, Copy, copy_path
from get_data.durable import sync_file_system

LOCAL = "local"

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _in_our_words(method: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The method, with its failures as DatabaseError."""

    @functools.wraps(method)
    def with_our_errors(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return method(*args, **kwargs)
        except (BaseError, OSError) as error:
            what = str(error).splitlines()[0]
            raise DatabaseError(f"picture store: {what}") from error

    return with_our_errors


class LocalPictureStore:
    """Pictures as files below a folder, which is created with the first of them."""

    name = LOCAL

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: LocalStore | None = None

    @_in_our_words
    def put_new(self, key: str, picture: bytes) -> bool:
        """The picture is there, whole; False when one of that key was there already and stays."""
        try:
            self._store(create=True).put(key, picture, mode="create")
        except AlreadyExistsError:
            return False
        return True

    @_in_our_words
    def get(self, path: str) -> bytes:
        """The picture under a key, or a copy. Raises: PictureMissing."""
        try:
            return bytes(self._store().get(path).bytes())
        except FileNotFoundError as error:
            raise PictureMissing(f"{self._folder} holds no {path}") from error

    @_in_our_words
    def look(self, keys: Collection[str]) -> dict[str, int]:
        """Those of the keys that are there, each with its size in bytes."""
        there: dict[str, int] = {}
        for key in keys:
            try:
                there[key] = self._store().head(key)["size"]
            except FileNotFoundError:
                continue
        return there

    @_in_our_words
    def make_durable(self) -> None:
        """All that was put before outlives a power cut."""
        if self._folder.is_dir():
            sync_file_system(self._folder)

    @_in_our_words
    def copies(self) -> dict[str, list[Copy]]:
        """The copies that deletions have put aside, by key; ages by the store's own clock."""
        found: dict[str, list[Copy]] = {}
        if not self._folder.is_dir():
            return found
        now = datetime.now(UTC)
        for page in self._store().list(ASIDE):
            for item in page:
                key = item["path"].removeprefix(ASIDE).rpartition("/")[0]
                age_s = (now - item["last_modified"]).total_seconds()
                found.setdefault(key, []).append(Copy(item["path"], age_s))
        return found

    @_in_our_words
    def put_aside(self, key: str, run: str) -> bool:
        """A copy lies under `copy_path(key, run)`; False when there was no picture to copy.

        Written anew: obstore copies by a hard link, and the copy would be as old as the picture.
        """
        try:
            picture = self.get(key)
        except PictureMissing:
            return False
        self._store().put(copy_path(key, run), picture)
        return True

    @_in_our_words
    def delete(self, path: str) -> None:
        """Nothing is under that key, or copy's path."""
        try:
            self._store().delete(path)
        except FileNotFoundError:
            return

    def _store(self, *, create: bool = False) -> LocalStore:
        """The folder as a store. Raises: FileNotFoundError when it is not there yet."""
        if self._opened is None:
            if not create and not self._folder.is_dir():
                raise FileNotFoundError(f"{self._folder} does not exist")
            self._opened = LocalStore(self._folder, mkdir=create)
        return self._opened
