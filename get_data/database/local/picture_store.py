"""The picture store of one machine: a folder, read through obstore.

It is written with the calls of the system: obstore's create-only renaming takes a hard link, which
exFAT and many network drives do not have.
"""

import functools
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from obstore.exceptions import BaseError
from obstore.store import LocalStore

from common.atomic_files import (
    remove_stale_files,
    rename_exclusive,
    sync_file_system,
    temporary_file,
)
from common.errors import DatabaseError, PictureMissing, PictureUnreadable
from get_data.database.interfaces import (
    BACKUP_PREFIX,
    PICTURE_PREFIX,
    BackupCopy,
    CopyReader,
    PictureState,
    backed_up_key,
    backup_path,
    checked_path,
    is_store_path,
    key_matches,
)

LOCAL = "local"
INCOMING = "incoming"

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _in_our_words(
    method: Callable[Concatenate["LocalPictureStore", Arguments], Result],
) -> Callable[Concatenate["LocalPictureStore", Arguments], Result]:
    """The method, with its failures as DatabaseError."""

    @functools.wraps(method)
    def with_our_errors(
        self: "LocalPictureStore", /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        try:
            return method(self, *args, **kwargs)
        except (BaseError, OSError) as error:
            raise DatabaseError(
                f"picture store: {_said(error)}; check the rights and the space of {self._folder}"
            ) from error

    return with_our_errors


def _said(error: Exception) -> str:
    """What obstore says, without the structure that it prints behind."""
    return str(error).partition("\n")[0]


class LocalPictureStore:
    """Pictures as files below a folder, which is created with the first of them."""

    name = LOCAL

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: LocalStore | None = None

    @_in_our_words
    def put_new(self, key: str, picture: bytes) -> bool:
        """The picture is there, whole; False when it was there already and stays.

        What has that key and is another picture is what a power cut left of this one.
        """
        self._store(create=True)
        target = self._folder / checked_path(key)
        with self._incoming(picture) as incoming:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                rename_exclusive(incoming, target)
            except FileExistsError:
                with suppress(DatabaseError):  # gone meanwhile, or not to be read any more
                    if self.get(key) == picture:
                        return False
                incoming.replace(target)
        return True

    @_in_our_words
    def has_pictures(self) -> bool:
        """Return whether any picture is there, labelled or not."""
        return any(self._folder.joinpath(PICTURE_PREFIX).rglob("*.jpg"))

    @_in_our_words
    def put(self, key: str, picture: bytes) -> None:
        """Put the picture, over whatever has its key."""
        self._store(create=True)
        target = self._folder / checked_path(key)
        with self._incoming(picture) as incoming:
            target.parent.mkdir(parents=True, exist_ok=True)
            incoming.replace(target)

    @_in_our_words
    def get(self, path: str) -> bytes:
        """Return the picture under a key, or a copy. Raises: PictureMissing, PictureUnreadable."""
        checked = checked_path(path)
        try:
            # a pipe or a device in the place of a picture has no end
            if stat.S_ISREG((self._folder / checked).stat().st_mode):
                return bytes(self._store().get(checked).bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise PictureMissing(f"{self._folder} holds no {path}") from error
        except (BaseError, OSError) as error:
            raise PictureUnreadable(
                f"picture store: {_said(error)}; check the rights of {self._folder / path}"
            ) from error
        raise PictureMissing(f"{self._folder} holds no regular file {path}")

    @_in_our_words
    def sizes(self, keys: Collection[str]) -> dict[str, int]:
        """Those of the keys that are there, each with its size in bytes."""
        there: dict[str, int] = {}
        for key in keys:
            try:
                there[key] = self._store().head(key)["size"]
            except FileNotFoundError:
                continue
        return there

    def examine(
        self,
        pictures: Mapping[str, CopyReader],
        *,
        read: bool = False,
    ) -> dict[str, PictureState]:
        """Return those of the pictures that are there, and whether each is whole.

        Reading costs little here, so every picture is read, past obstore, which takes twice as
        long.
        """
        found = {key: self._examined(key) for key in filter(is_store_path, pictures)}
        return {key: it for key, it in found.items() if it is not None}

    def _examined(self, key: str) -> PictureState | None:
        """Return the state of one picture; None when it is not there."""
        file = self._folder / key
        try:
            if not stat.S_ISREG(file.stat().st_mode):  # a pipe would be waited for
                return PictureState(0, is_intact=False)
            picture = file.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:  # what cannot be read any more is as good as damaged
            return PictureState(0, is_intact=False)
        return PictureState(len(picture), key_matches(key, picture))

    @_in_our_words
    def make_durable(self) -> None:
        """All that was put before outlives a power cut."""
        if self._folder.is_dir():
            sync_file_system(self._folder)

    @_in_our_words
    def backup_copies(self) -> dict[str, list[BackupCopy]]:
        """The copies that deletions have put aside, by key; ages by the store's own clock."""
        found: dict[str, list[BackupCopy]] = {}
        if not self._folder.is_dir():
            return found
        now = datetime.now(UTC)
        for page in self._store().list(BACKUP_PREFIX):
            for item in page:
                key = backed_up_key(item["path"])
                age_s = (now - item["last_modified"]).total_seconds()
                found.setdefault(key, []).append(BackupCopy(item["path"], age_s))
        return found

    @_in_our_words
    def back_up(self, key: str, run: str) -> bool:
        """A copy lies under `backup_path(key, run)`; False when there was no picture to copy.

        Written anew: obstore copies by a hard link, and the copy would be as old as the picture.
        """
        try:
            picture = self.get(key)
        except PictureMissing:
            return False
        with self._incoming(picture) as incoming:
            copy = self._folder / backup_path(key, run)
            copy.parent.mkdir(parents=True, exist_ok=True)
            incoming.replace(copy)
        return True

    @_in_our_words
    def delete(self, path: str) -> None:
        """Nothing is under that key, or copy's path."""
        try:
            self._store().delete(checked_path(path))
        except FileNotFoundError:
            return

    @contextmanager
    def _incoming(self, picture: bytes) -> Iterator[Path]:
        """Where the picture lies, whole, until the block has renamed it.

        A killed writing leaves a file that nobody knows of: all of them are in one folder, so that
        they can be found.
        """
        folder = self._folder / INCOMING
        folder.mkdir(exist_ok=True)
        with temporary_file(folder) as file:
            file.write(picture)
            file.flush()
            yield Path(file.name)

    def _store(self, *, create: bool = False) -> LocalStore:
        """The folder as a store. Raises: FileNotFoundError when it is not there yet."""
        if self._opened is None:
            if not create and not self._folder.is_dir():
                raise FileNotFoundError(f"{self._folder} does not exist")
            remove_stale_files(self._folder / INCOMING)
            self._opened = LocalStore(self._folder, mkdir=create)
        return self._opened
