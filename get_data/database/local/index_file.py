"""The SQLite file of a label index: how it is created, opened, locked and brought up to date."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from common import links, migrations
from common.atomic_files import (
    remove_stale_files,
    rename_exclusive,
    sync,
    sync_file_system,
    temporary_file,
)
from common.errors import DatabaseError, InputError
from get_data.database.local import layout
from get_data.database.local.documents import FILE_NAME, RESTORE, SIDE_FILES
from get_data.labels.unicode_forms import to_nfc

_FROZEN = "mode=ro&immutable=1"
_SHARED = "mode=ro&readonly_shm=1"
_LOCK_TIMEOUT_S = 30  # for another program's transaction
_WRITER_CACHE_KB = 16_000
_CHECKPOINT_PAGES = 10_000  # changes of a reused connection before they go from the WAL to the file


class IndexFile:
    """The file in `folder`; the first write creates it.

    With `reuse_connections` the connection of a write serves the next one too, until `close`.
    Otherwise each batch of labels would end with a checkpoint of the WAL, and begin without a page
    in memory.
    """

    def __init__(self, folder: Path, *, reuse_connections: bool = False) -> None:
        self._path = folder.absolute() / FILE_NAME
        self._reuse_connections = reuse_connections
        self._idle: list[_IdleConnection] = []

    @property
    def name(self) -> str:
        """Its path."""
        return str(self._path)

    def exists(self) -> bool:
        """Return whether it can be opened; False also where that cannot be told."""
        return self._path.exists()

    def is_missing(self) -> bool:
        """Return whether there is no such file.

        Raises:
            DatabaseError: that cannot be told.
        """
        try:
            self._path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError as error:
            self._raise_translated(error)
        return False

    def ensure_exists(self) -> None:
        """Create the file unless it exists."""
        try:
            self._create()
        except FileNotFoundError as error:  # no folder can be created here
            raise DatabaseError(
                f"{self._path} cannot be created: {error.strerror}; "
                f"check the rights and the space of {self._path.parent}"
            ) from error
        except (sqlite3.Error, OSError) as error:
            self._raise_translated(error)

    def update(self, *, dry_run: bool) -> list[str]:
        """Bring the layout of the file up to date, and return the versions still to come."""
        if self.is_missing():
            return []
        with self.connected() as connection:
            version = migrations.version_of(connection)
        if not dry_run:
            with self.connected(writing=True):
                pass
        return [f"version {each.version}" for each in layout.MIGRATIONS if each.version > version]

    @contextmanager
    def connected(self, *, writing: bool = False) -> Iterator[sqlite3.Connection]:
        """Open a connection with one transaction; to an empty database while there is no file."""
        mode, is_frozen, modified_ns = "", False, 0
        try:
            if writing:
                self._create()
            exists = self._path.exists()
            if exists:
                self._check_kinds()
                mode = self._open_mode(writing=writing)
                is_frozen = mode == _FROZEN
                modified_ns = self._modified_ns() if is_frozen else 0
            with self._open_connection(mode, writing=writing) as connection:
                if not exists:
                    layout.create_tables(connection)
                self._check_version(connection, writing=writing)
                # D3, D4: a commit is durable before the caller's next step relies on it
                connection.execute("PRAGMA synchronous = FULL")
                if writing:
                    # a batch of labels changes pages all over the index of the fingerprints
                    connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KB}")
                    _update_layout(connection)
                # a writer locks at once: a read lock that is upgraded later can fail half-way
                connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
                yield connection
                connection.execute("COMMIT")
        except Exception as error:
            # half of an old and half of a new file look damaged, and are not
            if is_frozen and self._modified_ns() != modified_ns:
                raise DatabaseError(self._changed_message()) from error
            if mode == _SHARED and _error_name(error).startswith("SQLITE_READONLY"):
                raise DatabaseError(
                    f"{self._path} is being written, or was when a program was killed: run again, "
                    "or let a user who may write to it run a search once"
                ) from error
            if isinstance(error, sqlite3.Error | OSError):
                self._raise_translated(error)
            raise
        # read without locks: the result counts only if nobody wrote meanwhile
        if is_frozen and self._modified_ns() != modified_ns:
            raise DatabaseError(self._changed_message())

    @contextmanager
    def _open_connection(self, mode: str, *, writing: bool) -> Iterator[sqlite3.Connection]:
        """Yield a connection, in memory without a `mode`; a reused one is closed after errors."""
        uri = f"{self._path.as_uri()}?{mode}" if mode else ""
        if not (writing and self._reuse_connections):
            with closing(_connect(uri)) as connection:
                yield connection
            return
        idle = self._take_idle(uri)
        try:
            yield idle.connection
        except BaseException:
            idle.connection.close()
            raise
        self._idle.append(idle)

    def _take_idle(self, uri: str) -> "_IdleConnection":
        """Return a connection that no other thread has, to the file that is at the path now."""
        # before connecting: if the file is replaced in between, the ids differ at the next use
        status = self._path.stat()
        file_id = (status.st_dev, status.st_ino)
        with suppress(IndexError):
            while True:
                idle = self._idle.pop()
                if idle.file_id == file_id:
                    return idle
                idle.connection.close()  # somebody has moved its file away
        connection = _connect(uri)
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        return _IdleConnection(connection, file_id)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().connection.close()

    def _modified_ns(self) -> int:
        """Return the modification time of the file; 0 if it does not exist."""
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return 0

    def _changed_message(self) -> str:
        return f"{self._path} was changed while it was read; run again"

    def _check_kinds(self) -> None:
        """Check that SQLite will open regular files only.

        Raises:
            DatabaseError: the index or a side file is not a regular file.
        """
        if not self._path.is_file():
            raise DatabaseError(
                f"{self._path} cannot be opened: it is not a regular file; move it away"
            )
        try:
            links.check_side_files(self._path.resolve())
        except InputError as error:
            raise DatabaseError(str(error)) from error

    def _open_mode(self, *, writing: bool) -> str:
        """Return the URI parameters by which SQLite leaves nothing behind that locks out others.

        A user who may write opens the file for writing, even to read: only then does SQLite remove
        its two side files afterwards. A reader without that right must not create side files, and
        so own them. It shares those of a current writer; if there are none, it reads the file as
        immutable and checks afterwards whether it was.
        """
        folder = self._path.parent
        may_write = _may_write(self._path) and _may_write(folder)
        if writing or may_write:
            return "mode=rw"
        return _SHARED if (folder / SIDE_FILES[0]).exists() else _FROZEN

    def _create(self) -> None:
        """Create the file unless it exists; it appears complete.

        Raises:
            DatabaseError: there are changes to an earlier file, which SQLite would apply to it.
        """
        if self._path.exists():
            return
        folder = self._path.parent
        # SQLite would replay the changes of a lost index into the new one
        if (changes := folder / SIDE_FILES[0]).exists() and not self._path.exists():
            raise DatabaseError(
                f"{changes} belongs to an index that was here and would corrupt a new one: move "
                f"it, and {SIDE_FILES[1]}, to that index"
            )
        folder.mkdir(parents=True, exist_ok=True)
        remove_stale_files(folder, f"{FILE_NAME}.")
        with temporary_file(folder, f"{FILE_NAME}.") as file:
            file.write(_empty_file())
            file.flush()
            sync(file.fileno())
            with suppress(FileExistsError):  # another program was faster
                rename_exclusive(Path(file.name), self._path)
        sync_file_system(folder)  # including the folders created for it

    def _check_version(self, connection: sqlite3.Connection, *, writing: bool) -> None:
        """Check that the layout can be read, or written.

        An earlier one is read as it is; a later one as far as its columns are the same.

        Raises:
            DatabaseError: it cannot.
        """
        version = migrations.version_of(connection)
        if version < layout.BASE_VERSION:  # as that of an empty file
            raise DatabaseError(
                f"{self._path} has schema version {version}, so it is not a label index: {RESTORE}"
            )
        known = migrations.latest(layout.BASE_VERSION, layout.MIGRATIONS)
        if version <= known:
            return
        is_readable = layout.columns(connection) >= layout.READ_COLUMNS
        if not is_readable or (writing and migrations.oldest_writer(connection) > known):
            action = "be written" if is_readable else "be read"
            raise DatabaseError(
                f"{self._path} has schema version {version}, this toolkit knows {known}: it cannot "
                f"{action} before you update this toolkit"
            )

    def _raise_translated(self, error: sqlite3.Error | OSError) -> NoReturn:
        folder = self._path.parent
        code = _error_name(error)
        if isinstance(error, FileExistsError | NotADirectoryError):
            message = f"{folder} is not a folder; move the file away or set PATATE_HOME"
        elif code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            message = (
                f"another program has kept it locked for {_LOCK_TIMEOUT_S} s; stop it and run again"
            )
        elif code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")) or "no such" in str(error):
            message = f"damaged ({error}); {RESTORE}"
        elif code.startswith("SQLITE_FULL"):
            message = "the disk is full; free some space and run again"
        elif code.startswith("SQLITE_IOERR"):
            message = f"the disk fails or is full ({error}); free some space and run again"
        elif isinstance(error, OSError) or code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
            message = f"cannot be opened for writing ({error}); check the rights of {folder}"
        else:
            message = str(error)
        raise DatabaseError(f"{self._path}: {message}") from error


@dataclass(frozen=True, slots=True)
class _IdleConnection:
    """A connection between two writes, and the file that it has open, by device and inode."""

    connection: sqlite3.Connection
    file_id: tuple[int, int]


def _connect(uri: str) -> sqlite3.Connection:
    """Open a connection that starts no transactions of its own; in memory without a URI."""
    # the generator of a search may be closed by another thread than started it
    connection = sqlite3.connect(
        uri or ":memory:",
        timeout=_LOCK_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        uri=True,
    )
    connection.create_function("nfc", 1, to_nfc, deterministic=True)
    return connection


def _error_name(error: Exception) -> str:
    """Return the name of an SQLite error, "" for other errors."""
    return str(getattr(error, "sqlite_errorname", ""))


def _may_write(place: Path) -> bool:
    return os.access(place, os.W_OK, effective_ids=True)


def _empty_file() -> bytes:
    """Return the content of a new file.

    It is created in memory, so that a kill leaves no partial file. SQLite itself would also create
    a file that the group may not write, regardless of the umask.
    """
    with closing(_connect("")) as connection:
        layout.create_tables(connection)
        content = bytearray(connection.serialize())
    content[18:20] = b"\2\2"  # in WAL mode. Source: https://www.sqlite.org/fileformat2.html, 1.3.3
    return bytes(content)


def _update_layout(connection: sqlite3.Connection) -> None:
    """Bring a file up to date: all tables at once, then the contexts, some labels at a time.

    The file is valid after each of these transactions.
    """
    migrations.migrate(connection, layout.MIGRATIONS)
    while layout.lacks_contexts(connection):
        connection.execute("BEGIN IMMEDIATE")
        layout.fill_contexts(connection)
        connection.execute("COMMIT")
