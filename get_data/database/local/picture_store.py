"""A picture store on one machine: a folder, read through obstore.

Writing uses system calls instead: obstore's create-only rename needs hard links, which exFAT and
many network drives do not have.
"""

import errno
import functools
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from obstore.exceptions import BaseError
from obstore.store import LocalStore

from common.atomic_files import (
    find_stale_files,
    remove_stale_files,
    rename_exclusive,
    sync,
    sync_file_system,
    temporary_file,
)
from common.errors import DatabaseError, PictureMissing, PictureUnreadable, SetMissing
from common.macos_files import is_macos_file
from get_data.database.frozen.set_references import SetReferences
from get_data.database.interfaces import (
    BACKUP_PREFIX,
    PICTURE_PREFIX,
    SET_PREFIX,
    BackupCopy,
    CopyReader,
    PictureState,
    StoredPicture,
    StoredSet,
    backed_up_key,
    backup_path,
    checked_path,
    checked_set_path,
    is_set_path,
    is_store_path,
    key_matches,
)

LOCAL = "local"
INCOMING = "incoming"

_ABSENT = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP))
_BLOCK_BYTES = 2**18
_MAX_DEPTH = 8  # of folders: a link may lead back

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _translate_errors(
    method: Callable[Concatenate["LocalPictureStore", Arguments], Result],
) -> Callable[Concatenate["LocalPictureStore", Arguments], Result]:
    """Make a method raise DatabaseError for errors of obstore and of the system."""

    @functools.wraps(method)
    def translated(
        self: "LocalPictureStore", /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        try:
            return method(self, *args, **kwargs)
        except (BaseError, OSError) as error:
            raise self._failure(error) from error

    return translated


def _list_file(entry: "os.DirEntry[str]", key: str, now_s: float) -> StoredPicture | None:
    """Return a file of a listing; None if it is no picture, or was deleted meanwhile."""
    if is_macos_file(entry.name):
        return None
    try:
        status = entry.stat()
    except OSError:  # such as a link that leads nowhere, or to itself
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return StoredPicture(key, status.st_size, now_s - status.st_mtime)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _first_line(error: Exception) -> str:
    """Return the message of obstore without the debug structure that follows it."""
    return str(error).partition("\n")[0]


class LocalPictureStore:
    """Pictures as files below a folder, which is created with the first of them."""

    name = LOCAL
    transfers_at_once = 16

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: LocalStore | None = None
        self._has_written = False
        self._set_references = SetReferences(self.list_sets, self.read_set)

    def _failure(self, error: Exception) -> DatabaseError:
        return DatabaseError(
            f"picture store: {_first_line(error)}; check the rights and the free space of "
            f"{self._folder}"
        )

    @_translate_errors
    def put_new(self, key: str, picture: bytes) -> bool:
        """Store the picture; return False if it is there already.

        A file with this key but another content is what a power cut left, and is overwritten.
        """
        with self._incoming_file(picture, key) as (incoming, target):
            # D1: create-only; a second writer finds the picture instead of replacing it
            try:
                rename_exclusive(incoming, target)
            except FileExistsError:
                with suppress(DatabaseError):  # deleted meanwhile, or unreadable
                    if self.get(key) == picture:
                        return False
                # the key states the content, so what differs from it is damaged
                incoming.replace(target)
        return True

    @_translate_errors
    def has_pictures(self) -> bool:
        """Return whether there is any picture, labelled or not."""
        return any(picture.key.endswith(".jpg") for picture in self.list_pictures())

    def list_pictures(self) -> Iterator[StoredPicture]:
        """Yield all pictures, labelled or not, with ages by this machine's clock.

        Links are followed, as by `get`: a folder of pictures may be on another disk. One that leads
        to a folder that is listed already is left out: its pictures would seem to be others.
        """
        folders = deque([PICTURE_PREFIX.rstrip("/")])
        listed: set[tuple[int, int]] = set()
        now_s = time.time()
        while folders:
            folder = folders.popleft()
            try:
                status = (self._folder / folder).stat()
                if (status.st_dev, status.st_ino) in listed:
                    continue
                listed.add((status.st_dev, status.st_ino))
                with os.scandir(self._folder / folder) as entries:
                    for entry in entries:
                        key = f"{folder}/{entry.name}"
                        if picture := _list_file(entry, key, now_s):
                            yield picture
                        elif _is_folder(entry) and key.count("/") < _MAX_DEPTH:
                            # links last, so that a folder is listed by its own name
                            (folders.append if entry.is_symlink() else folders.appendleft)(key)
            except FileNotFoundError:  # or deleted meanwhile
                continue
            except OSError as error:
                raise self._failure(error) from error

    @_translate_errors
    def put(self, key: str, picture: bytes) -> None:
        """Store the picture, overwriting whatever has its key."""
        with self._incoming_file(picture, key) as (incoming, target):
            incoming.replace(target)

    @_translate_errors
    def get(self, path: str) -> bytes:
        """Return the picture with this key, or the backup copy at this path.

        Raises:
            PictureMissing: it does not exist.
            PictureUnreadable: this one cannot be read, others may.
        """
        file = self._folder / checked_path(path)
        try:
            # a pipe or a device in the place of a picture would never end
            if stat.S_ISREG(file.stat().st_mode):
                return file.read_bytes()  # a tenth of the time that obstore takes
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # or a zero byte
            raise PictureMissing(f"{self._folder} does not have {path!r}") from error
        except OSError as error:
            raise PictureUnreadable(
                f"picture store: {_first_line(error)}; check the rights of {file}"
            ) from error
        raise PictureMissing(f"{file} is not a regular file")

    @_translate_errors
    def sizes(self, keys: Collection[str]) -> dict[str, int]:
        """Return the size in bytes of each picture that exists."""
        found: dict[str, int] = {}
        for key in filter(is_store_path, keys):
            try:
                status = (self._folder / key).stat()
            except ValueError:  # a zero byte
                continue
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                continue
            if stat.S_ISREG(status.st_mode):  # as `get`, which returns nothing of a pipe
                found[key] = status.st_size
        return found

    def examine(
        self, pictures: Mapping[str, CopyReader], *, read: bool = False
    ) -> dict[str, PictureState]:
        """Return the state of each picture that exists.

        All of them are read: that costs little here. obstore would take twice as long.
        """
        found = {key: self._examine_one(key) for key in filter(is_store_path, pictures)}
        return {key: state for key, state in found.items() if state is not None}

    def _examine_one(self, key: str) -> PictureState | None:
        """Return the state of a picture; None if it does not exist."""
        file = self._folder / key
        try:
            status = file.stat()
            if not stat.S_ISREG(status.st_mode):  # reading a pipe would block
                return PictureState(0, is_intact=False)
            picture = file.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:  # an unreadable picture counts as damaged
            return PictureState(0, is_intact=False)
        is_intact = key_matches(key, picture)
        return PictureState(len(picture), is_intact, file=(status.st_dev, status.st_ino))

    @_translate_errors
    def make_durable(self) -> None:
        """Make everything stored so far survive a power cut."""
        if self._folder.is_dir():
            sync_file_system(self._folder)

    @_translate_errors
    def backup_copies(self) -> dict[str, list[BackupCopy]]:
        """Return all backup copies by picture key, with ages by this machine's clock."""
        found: dict[str, list[BackupCopy]] = {}
        if not self._folder.is_dir():
            return found
        now = datetime.now(UTC)
        for page in self._store().list(BACKUP_PREFIX):
            for item in page:
                if is_macos_file(item["path"].rpartition("/")[2]):
                    continue
                age_s = (now - item["last_modified"]).total_seconds()
                copy = BackupCopy(item["path"], age_s)
                found.setdefault(backed_up_key(copy.path), []).append(copy)
        return found

    @_translate_errors
    def back_up(self, key: str, run: str) -> bool:
        """Copy the picture to `backup_path(key, run)`; return False if there is none.

        Written anew: obstore would copy by a hard link, as old as the picture itself.
        """
        try:
            picture = self.get(key)
        except PictureMissing:
            return False
        with self._incoming_file(picture, backup_path(key, run)) as (incoming, target):
            incoming.replace(target)
        return True

    @_translate_errors
    def delete(self, path: str) -> None:
        """Delete the picture with this key, or the backup copy at this path, if it exists."""
        with suppress(FileNotFoundError):
            self._store().delete(checked_path(path))

    @_translate_errors
    def list_sets(self) -> list[StoredSet]:
        """Return all frozen sets by path, with ages by this machine's clock."""
        found = []
        now_s = time.time()
        try:
            with os.scandir(self._folder / SET_PREFIX) as entries:
                for entry in entries:
                    path = SET_PREFIX + entry.name
                    with suppress(FileNotFoundError):  # deleted meanwhile
                        if is_set_path(path) and stat.S_ISREG((status := entry.stat()).st_mode):
                            age_s = now_s - status.st_mtime
                            found.append(StoredSet(path, status.st_size, age_s))
        except FileNotFoundError:
            return []
        return sorted(found, key=lambda each: each.path)

    @_translate_errors
    def put_new_set(self, path: str, content: bytes) -> bool:
        """Store a frozen set durably; return False if there is one at this path, which stays."""
        with self._incoming_set(content, path) as (incoming, target):
            try:
                rename_exclusive(incoming, target)
            except FileExistsError:
                return False
        self.make_durable()
        return True

    @_translate_errors
    def put_set(self, path: str, content: bytes) -> None:
        """Store a frozen set durably and in one step, overwriting a damaged one at this path."""
        with self._incoming_set(content, path) as (incoming, target):
            incoming.replace(target)
        self.make_durable()

    def read_set(self, stored: StoredSet) -> Iterator[bytes]:
        """Yield a frozen set block by block.

        Raises:
            SetMissing: it does not exist any more.
        """
        file = self._folder / checked_set_path(stored.path)
        try:
            with file.open("rb") as content:
                while block := content.read(_BLOCK_BYTES):
                    yield block
        except FileNotFoundError as error:
            raise SetMissing(f"{self._folder} does not have {stored.path}") from error
        except OSError as error:
            raise self._failure(error) from error

    @_translate_errors
    def delete_set(self, path: str) -> None:
        """Delete the frozen set at this path, if it exists."""
        (self._folder / checked_set_path(path)).unlink(missing_ok=True)
        self.make_durable()

    def find_set_references(self, keys: Collection[str]) -> set[str]:
        """Return those of the picture keys that frozen sets name."""
        return self._set_references.find(keys)

    @_translate_errors
    def stale_files(self) -> list[str]:
        """Return the names of half-written files that killed programs have left."""
        stale = find_stale_files(self._folder / INCOMING)
        return sorted(str(file.relative_to(self._folder)) for file in stale)

    @_translate_errors
    def remove_stale_files(self) -> None:
        """Remove the half-written files that killed programs have left."""
        remove_stale_files(self._folder / INCOMING)

    @contextmanager
    def _incoming_file(self, picture: bytes, path: str) -> Iterator[tuple[Path, Path]]:
        """Write a picture to a temporary file; yield that and the file that it is to become.

        Temporary files are all in one folder, so that those of killed programs can be found.
        """
        if not self._has_written:
            remove_stale_files(self._folder / INCOMING)
            self._has_written = True
        self._store(create=True)
        target = self._folder / (path if is_set_path(path) else checked_path(path))
        folder = self._folder / INCOMING
        folder.mkdir(exist_ok=True)
        with temporary_file(folder) as file:
            file.write(picture)
            file.flush()
            target.parent.mkdir(parents=True, exist_ok=True)
            yield Path(file.name), target

    @contextmanager
    def _incoming_set(self, content: bytes, path: str) -> Iterator[tuple[Path, Path]]:
        """Write a frozen set to a temporary file, as `_incoming_file` does."""
        with self._incoming_file(content, checked_set_path(path)) as (incoming, target):
            # durable before it has its name: what it names must not be deleted after a power cut
            with incoming.open("rb") as file:
                sync(file.fileno())
            yield incoming, target

    def _store(self, *, create: bool = False) -> LocalStore:
        """Return the folder as an obstore store.

        Raises:
            FileNotFoundError: it does not exist, and is not to be created.
        """
        if self._opened is None:
            if not create and not self._folder.is_dir():
                raise FileNotFoundError(f"{self._folder} does not exist")
            self._opened = LocalStore(self._folder, mkdir=create)
        return self._opened
