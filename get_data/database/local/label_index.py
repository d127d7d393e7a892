"""A label index on one machine: an SQLite file.

`query_plan` says what SQLite decides of a search; what is left, Python decides on each document
(`matching`), so that both kinds of database give the same answers. Each call has its own connection
and transaction, so calls from other threads and programs do not interfere.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from common import links, migrations
from common.atomic_files import (
    remove_stale_files,
    rename_exclusive,
    sync,
    sync_file_system,
    temporary_file,
)
from common.batching import batches
from common.errors import DatabaseError, InputError
from get_data.database.interfaces import (
    CreateResult,
    LabelReference,
    Replacement,
    ReplaceResult,
    StoredLabel,
    Tombstone,
)
from get_data.database.local import contexts, layout, query_plan
from get_data.database.local.documents import FILE_NAME, RESTORE, SIDE_FILES, decode_and_apply
from get_data.database.local.query_plan import Plan
from get_data.database.search import matching, summaries
from get_data.database.search.search_query import SearchQuery
from get_data.database.search.summaries import Summary
from get_data.labels import custom_fields
from get_data.labels.ids import sha256
from get_data.labels.label_reader import LabelReader
from get_data.labels.schema import Document
from get_data.labels.unicode_forms import to_nfc

_FROZEN = "mode=ro&immutable=1"
_SHARED = "mode=ro&readonly_shm=1"
_LOCK_TIMEOUT_S = 30  # for another program's transaction
_MAX_VALUES = 10_000  # per statement; SQLite allows 32,766
_FETCHED = 500  # labels that one statement fetches
_WRITER_CACHE_KB = 16_000

_TOMBSTONE_COLUMNS = "fingerprint, img_id, s3_key, why, by_whom, at"
_INSERT = (
    f"INSERT INTO labels ({', '.join(layout.ROW)}, context)"
    f" VALUES ({', '.join('?' * len(layout.ROW))}, ?) ON CONFLICT (fingerprint) DO NOTHING"
)
_UPDATE = (
    f"UPDATE labels SET {', '.join(f'{name} = ?' for name in layout.ROW)}, context = ?"
    " WHERE fingerprint = ?"
)
_SET_CONTEXT = "UPDATE labels SET context = ? WHERE fingerprint = ?"


class SqliteIndex:
    """A `LabelIndex` in `folder`; the first write creates the file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder.absolute() / FILE_NAME

    @property
    def name(self) -> str:
        """Path of the file."""
        return str(self._path)

    def find(self, fingerprints: Collection[str]) -> dict[str, LabelReference]:
        """Return the labels that exist, by fingerprint."""
        with self._connected() as connection:
            rows = _rows(
                connection,
                "SELECT fingerprint, img_id, s3_key FROM labels WHERE fingerprint IN ({})",
                fingerprints,
            )
            return {row[0]: LabelReference(*row) for row in rows}

    def read(self, fingerprints: Collection[str]) -> dict[str, StoredLabel]:
        """Return the labels that exist with their versions, by fingerprint."""
        with self._connected() as connection:
            return {
                fingerprint: StoredLabel(decode_and_apply(document, dict), sha256(document))
                for fingerprint, document in _documents(connection, fingerprints)
            }

    def find_tombstones(self, fingerprints: Collection[str]) -> dict[str, Tombstone]:
        """Return the tombstones that exist, by fingerprint."""
        with self._connected() as connection:
            rows = _rows(
                connection,
                f"SELECT {_TOMBSTONE_COLUMNS} FROM gone WHERE fingerprint IN ({{}})",
                fingerprints,
            )
            return {row[0]: Tombstone(*row) for row in rows}

    def all_tombstones(self) -> Iterator[Tombstone]:
        """Yield all tombstones, sorted by `img_id`, then fingerprint."""
        with self._connected() as connection:
            order = f"SELECT {_TOMBSTONE_COLUMNS} FROM gone ORDER BY img_id, fingerprint"
            for row in connection.execute(order):
                yield Tombstone(*row)

    def refresh(self) -> None:
        """Do nothing: what is committed is found."""

    def picture_hashes(
        self, img_ids: Collection[str], *, refresh: bool = True
    ) -> dict[str, set[str]]:
        """Return the SHA-256 hashes that labels state of each picture."""
        with self._connected() as connection:
            return _grouped(
                _rows(
                    connection,
                    "SELECT img_id, picture_sha256 FROM labels"
                    " WHERE img_id IN ({}) AND picture_sha256 != ''",
                    img_ids,
                )
            )

    def missing_part(self, *, tombstones: bool) -> str:
        """Return the path of the file if it does not exist, else ""; tombstones are in it too."""
        del tombstones
        try:
            self._path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return self.name
        except OSError as error:
            self._raise_translated(error)
        return ""

    def ensure_exists(self) -> None:
        """Create the file unless it exists."""
        try:
            self._create_file()
        except FileNotFoundError as error:  # no folder can be created here
            raise DatabaseError(
                f"{self._path} cannot be created: {error.strerror}; "
                f"check the rights and the space of {self._path.parent}"
            ) from error
        except (sqlite3.Error, OSError) as error:
            self._raise_translated(error)

    def create(self, documents: Sequence[Document]) -> CreateResult:
        """Create the labels that do not exist; leave existing ones unchanged."""
        result = CreateResult()
        reader = LabelReader()
        rows: dict[str, tuple[Any, ...]] = {}
        labels: list[Document] = []
        for document in documents:
            try:
                row = layout.row_of(document, reader)
            except (InputError, ValueError, TypeError) as error:
                result.rejected[str(document.get("label_fingerprint"))] = str(error)
                continue
            if row[0] not in rows:
                rows[row[0]] = row
                labels.append(document)
        if not rows:
            return result
        # one transaction: after a kill all labels of the call exist, or none
        with self._connected(writing=True) as connection:
            numbers = contexts.store(connection, labels)
            (last,) = connection.execute("SELECT max(id) FROM labels").fetchone()
            added = connection.executemany(
                _INSERT,
                [(*row, number) for row, number in zip(rows.values(), numbers, strict=True)],
            )
            if added.rowcount == len(rows):
                result.created.update(rows)
            else:
                new = connection.execute(
                    "SELECT fingerprint FROM labels WHERE id > ?", (last or 0,)
                )
                result.created.update(name for (name,) in new)
                result.existing.update(rows.keys() - result.created)
                contexts.remove_unused(connection, set(numbers))
        return result

    def add_tombstones(self, tombstones: Sequence[Tombstone]) -> None:
        """Add the tombstones; a label that has one keeps the older one."""
        with self._connected(writing=True) as connection:
            connection.executemany(
                f"INSERT INTO gone ({_TOMBSTONE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (fingerprint) DO NOTHING",
                [astuple(tombstone) for tombstone in tombstones],
            )

    def remove_tombstones(self, fingerprints: Collection[str]) -> None:
        """Remove the tombstones of these labels, if any, so that they can be uploaded again."""
        if self._path.exists():
            with self._connected(writing=True) as connection:
                statement = "DELETE FROM gone WHERE fingerprint IN ({}) RETURNING fingerprint"
                list(_rows(connection, statement, fingerprints))

    def remove(self, fingerprints: Collection[str]) -> set[str]:
        """Remove the labels and return the fingerprints of those that existed."""
        if not self._path.exists():
            return set()
        with self._connected(writing=True) as connection:
            return _remove(connection, fingerprints)

    def replace(self, replacements: Sequence[Replacement]) -> ReplaceResult:
        """Replace labels that are still as they were read; never create one."""
        result = ReplaceResult()
        reader = LabelReader()
        rows: dict[str, tuple[Any, ...]] = {}
        labels: dict[str, Document] = {}
        versions: dict[str, str] = {}
        for replacement in replacements:
            fingerprint = str(replacement.document.get("label_fingerprint"))
            versions.setdefault(fingerprint, replacement.version)
            try:
                rows.setdefault(fingerprint, layout.row_of(replacement.document, reader))
                labels.setdefault(fingerprint, replacement.document)
            except (InputError, ValueError, TypeError) as error:
                result.rejected[fingerprint] = str(error)
        if not rows or not self._path.exists():
            result.changed.update(rows)
            return result
        # D15: compared and replaced in one transaction, and never created
        with self._connected(writing=True) as connection:
            result.replaced |= _unchanged(connection, {name: versions[name] for name in rows})
            names = sorted(result.replaced)
            earlier = _contexts(connection, names)
            numbers = contexts.store(connection, [labels[name] for name in names])
            connection.executemany(
                _UPDATE,
                [(*rows[name], number, name) for name, number in zip(names, numbers, strict=True)],
            )
            # a change of the document alone has taken the context away
            connection.executemany(_SET_CONTEXT, zip(numbers, names, strict=True))
            contexts.remove_unused(connection, earlier - set(numbers))
        result.changed.update(rows.keys() - result.replaced)
        return result

    def remove_unchanged(self, versions: Mapping[str, str]) -> set[str]:
        """Remove the labels that still have these versions; return those that were changed."""
        if not versions or not self._path.exists():
            return set()
        with self._connected(writing=True) as connection:
            present = {name for name, _ in _documents(connection, versions)}
            return present - _remove(connection, _unchanged(connection, versions))

    def find_references(self, keys: Collection[str]) -> dict[str, set[str]]:
        """Return the fingerprints of the labels that name each picture key."""
        with self._connected() as connection:
            return _grouped(
                _rows(
                    connection, "SELECT s3_key, fingerprint FROM labels WHERE s3_key IN ({})", keys
                )
            )

    def search(self, query: SearchQuery) -> Generator[bytes, None, None]:
        """Return a generator of the matching documents as of the start.

        Raises:
            InputError: this index does not support the query.
        """
        matching.compile_query(query)
        return self._select(query)

    def summarize(self, query: SearchQuery) -> Summary:
        """Return the numbers of the labels that match, by drive.

        Raises:
            InputError: this index does not support the query.
        """
        matching.compile_query(query)
        with self._connected() as connection:
            plan = _plan(connection, query)
            statement, values = plan.statement("document", order="")
            found = (document for (document,) in connection.execute(statement, values))
            try:
                return summaries.summarize(filter(_predicate(plan), found))
            except msgspec.DecodeError as error:
                raise DatabaseError(f"the label index is damaged ({error}); {RESTORE}") from error

    def count(self, query: SearchQuery) -> int:
        """Return the number of matching labels."""
        matching.compile_query(query)
        with self._connected() as connection:
            plan = _plan(connection, query)
            if plan.matches:
                return sum(1 for _ in _matches(connection, plan))
            statement, values = plan.statement("count(*)", order="")
            return int(connection.execute(statement, values).fetchone()[0])

    def has_matches(self, query: SearchQuery) -> bool:
        """Return whether any label matches."""
        with closing(self.search(query)) as found:
            return next(found, None) is not None

    def custom_fields(self) -> set[str]:
        """Return the dotted names of the fields that labels have beyond the declared ones."""
        names: set[str] = set()
        with self._connected() as connection:
            if layout.lacks_contexts(connection):
                for (document,) in connection.execute("SELECT document FROM labels"):
                    names.update(decode_and_apply(document, custom_fields.custom_values))
                return names
            for _, context in contexts.read_all(connection):
                names.update(custom_fields.custom_values(context))
            return names | contexts.read_varying(connection).custom_paths()

    def close(self) -> None:
        """Do nothing: no connection is open between two calls."""

    def _select(self, query: SearchQuery) -> Generator[bytes, None, None]:
        with self._connected() as connection:
            yield from _matches(connection, _plan(connection, query))

    @contextmanager
    def _connected(self, *, writing: bool = False) -> Iterator[sqlite3.Connection]:
        """Open a connection with one transaction; to an empty database while there is no file."""
        mode, is_frozen, modified_ns = "", False, 0
        try:
            if writing:
                self._create_file()
            exists = self._path.exists()
            if exists:
                self._check_files()
                mode = self._open_mode(writing=writing)
                is_frozen = mode == _FROZEN
                modified_ns = self._modified_ns() if is_frozen else 0
            with closing(_connect(f"{self._path.as_uri()}?{mode}" if exists else "")) as connection:
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

    def _modified_ns(self) -> int:
        """Return the modification time of the file; 0 if it does not exist."""
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return 0

    def _changed_message(self) -> str:
        return f"{self._path} was changed while it was read; run again"

    def _check_files(self) -> None:
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

    def _create_file(self) -> None:
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

    def update(self, *, dry_run: bool) -> list[str]:
        """Bring the layout of the file up to date, and return the versions still to come."""
        if self.missing_part(tombstones=True):
            return []
        with self._connected() as connection:
            version = migrations.version_of(connection)
        if not dry_run:
            with self._connected(writing=True):
                pass
        return [f"version {each.version}" for each in layout.MIGRATIONS if each.version > version]

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


def _rows(
    connection: sqlite3.Connection, statement: str, values: Iterable[str]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a statement whose `{}` is a placeholder for any number of values."""
    for batch in batches(values, _MAX_VALUES):
        yield from connection.execute(statement.format(",".join("?" * len(batch))), batch)


def _documents(
    connection: sqlite3.Connection, fingerprints: Iterable[str]
) -> list[tuple[str, bytes]]:
    """Return fingerprint and encoded document of the labels that exist."""
    statement = "SELECT fingerprint, document FROM labels WHERE fingerprint IN ({})"
    return list(_rows(connection, statement, fingerprints))


def _unchanged(connection: sqlite3.Connection, versions: Mapping[str, str]) -> set[str]:
    """Return the labels that have these versions."""
    return {
        fingerprint
        for fingerprint, document in _documents(connection, versions)
        if sha256(document) == versions[fingerprint]
    }


def _grouped(pairs: Iterable[tuple[Any, ...]]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = {}
    for key, value in pairs:
        groups.setdefault(key, set()).add(value)
    return groups


def _contexts(connection: sqlite3.Connection, fingerprints: Iterable[str]) -> set[int]:
    """Return the contexts of the labels that exist."""
    statement = "SELECT context FROM labels WHERE fingerprint IN ({})"
    return {number for (number,) in _rows(connection, statement, fingerprints)} - {None}


def _remove(connection: sqlite3.Connection, fingerprints: Iterable[str]) -> set[str]:
    """Remove labels, and return the fingerprints of those that existed."""
    statement = "DELETE FROM labels WHERE fingerprint IN ({}) RETURNING fingerprint, context"
    removed = dict(_rows(connection, statement, fingerprints))
    contexts.remove_unused(connection, set(removed.values()) - {None})
    return set(removed)


def _update_layout(connection: sqlite3.Connection) -> None:
    """Bring a file up to date: all tables at once, then the contexts, some labels at a time.

    The file is valid after each of these transactions.
    """
    migrations.migrate(connection, layout.MIGRATIONS)
    while layout.lacks_contexts(connection):
        connection.execute("BEGIN IMMEDIATE")
        layout.fill_contexts(connection)
        connection.execute("COMMIT")


def _plan(connection: sqlite3.Connection, query: SearchQuery) -> Plan:
    is_filled = not layout.lacks_contexts(connection)
    varying = contexts.read_varying(connection) if is_filled else None
    return query_plan.make_plan(connection, query, varying)


def _predicate(plan: Plan) -> Callable[[bytes], bool]:
    """Return a predicate that is true for documents that match, of those that meet a plan."""
    matches = plan.matches
    if matches is None:
        return lambda document: True
    return lambda document: decode_and_apply(document, matches)


def _matches(connection: sqlite3.Connection, plan: Plan) -> Iterator[bytes]:
    """Yield the documents that match, in their order; memory does not grow with their number."""
    statement, values = plan.statement("document")
    found = (
        _in_sorted_order(connection, plan)
        if _sorts(connection, statement, values)
        else (document for (document,) in connection.execute(statement, values))
    )
    if plan.matches is None:
        yield from found
    else:
        yield from filter(_predicate(plan), found)


def _sorts(connection: sqlite3.Connection, statement: str, values: Sequence[Any]) -> bool:
    """Return whether SQLite has to sort the rows of a statement, so all of them come at once."""
    steps = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
    return any("TEMP B-TREE" in step for *_, step in steps)


def _in_sorted_order(connection: sqlite3.Connection, plan: Plan) -> Iterator[bytes]:
    """Yield the documents that meet a plan; SQLite sorts numbers, and then reads what they name."""
    statement, values = plan.statement("id")
    fetch = "SELECT labels.id, document FROM json_each(?) CROSS JOIN labels ON labels.id = value"
    for batch in batches(connection.execute(statement, values), _FETCHED):
        numbers = [number for (number,) in batch]
        found: dict[int, bytes] = dict(connection.execute(fetch, (json.dumps(numbers),)).fetchall())
        yield from map(found.__getitem__, numbers)
