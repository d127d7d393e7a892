"""A label index on one machine: an SQLite file.

SQL narrows a search by the fields that have a column; Python then decides on each document
(`matching`), so that both kinds of database give the same answers. Each call has its own connection
and transaction, so calls from other threads and programs do not interfere.
"""

import os
import sqlite3
import unicodedata
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec

from common import links, migrations, times
from common.atomic_files import (
    remove_stale_files,
    rename_exclusive,
    sync,
    sync_file_system,
    temporary_file,
)
from common.batching import batches
from common.errors import DatabaseError, InputError
from common.migrations import Migration
from get_data.database.interfaces import (
    CreateResult,
    LabelReference,
    Replacement,
    ReplaceResult,
    StoredLabel,
    Tombstone,
    encode_document,
)
from get_data.database.search import matching, summaries
from get_data.database.search.fields import Matcher
from get_data.database.search.matching import Span
from get_data.database.search.search_query import SearchQuery
from get_data.database.search.summaries import Summary
from get_data.labels import custom_fields, validation
from get_data.labels.ids import sha256
from get_data.labels.schema import Document
from get_data.labels.unicode_forms import to_nfc

Result = TypeVar("Result")

FILE_NAME = "index.sqlite"
BASE_VERSION = 1  # the layout of _SCHEMA
MIGRATIONS: Sequence[Migration] = ()  # a new field of a label needs none
SIDE_FILES = (f"{FILE_NAME}-wal", f"{FILE_NAME}-shm")  # its latest changes, and its readers
RESTORE = (
    f"move it away together with {' and '.join(SIDE_FILES)} and restore a backup with back_up.py "
    'DIR --restore, or a copy of it; without one see docs/troubleshooting.md, "Uploading"'
)

_FROZEN = "mode=ro&immutable=1"
_SHARED = "mode=ro&readonly_shm=1"
_LOCK_TIMEOUT_S = 30  # for another program's transaction
_MAX_VALUES = 10_000  # per statement; SQLite allows 32,766
_MAX_SPANS = 100  # each of them becomes a condition
_MAX_CONDITIONS = 100  # SQLite allows a nesting of 1,000

# Fields whose columns narrow a search; all others are only in the document, so that a new field
# needs no other layout. An index on those with few distinct values would do harm:
# without statistics SQLite would prefer it to a better one.
_COLUMNS: Mapping[str, str] = {
    "label_fingerprint": "fingerprint",
    "img_id": "img_id",
    "timestamp": "timestamp",
    "event": "event",
    "track": "track",
    "driver": "driver",
    "label.created_by": "created_by",
    "label.label_direction": "label_direction",
    "label.label_speed": "label_speed",
}
_NARROWING_COLUMNS = frozenset(_COLUMNS.values())
_TEXT_COLUMNS = frozenset({"event", "track", "driver", "created_by"})
_VALUES: Mapping[str, Callable[[Document], list[Any]]] = {
    column: matching.indexed_values(path) for path, column in _COLUMNS.items()
}
_TOMBSTONE_COLUMNS = "fingerprint, img_id, s3_key, why, by_whom, at"
_SORT_ORDER = "img_id, created DESC, fingerprint"
_SCHEMA = f"""
    CREATE TABLE labels (
        id INTEGER PRIMARY KEY,
        fingerprint TEXT NOT NULL UNIQUE,
        img_id TEXT NOT NULL,
        created TEXT NOT NULL,
        s3_key TEXT NOT NULL,
        picture_sha256 TEXT NOT NULL,
        timestamp INTEGER,
        event TEXT,
        track TEXT,
        driver TEXT,
        created_by TEXT,
        label_direction INTEGER,
        label_speed INTEGER,
        document BLOB NOT NULL
    );
    CREATE INDEX labels_in_order ON labels ({_SORT_ORDER});
    CREATE INDEX labels_by_s3_key ON labels (s3_key);
    CREATE INDEX labels_by_timestamp ON labels (timestamp);
    CREATE INDEX labels_by_event ON labels (event, img_id);
    CREATE TABLE gone (
        fingerprint TEXT PRIMARY KEY,
        img_id TEXT NOT NULL,
        s3_key TEXT NOT NULL,
        why TEXT NOT NULL,
        by_whom TEXT NOT NULL,
        at TEXT NOT NULL
    ) WITHOUT ROWID;
    PRAGMA user_version = {BASE_VERSION};
"""


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
                fingerprint: StoredLabel(_decode_and_apply(document, dict), sha256(document))
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
        rows: list[dict[str, Any]] = []
        for document in documents:
            try:
                rows.append(_row(document))
            except (InputError, ValueError, TypeError) as error:
                result.rejected[str(document.get("label_fingerprint"))] = str(error)
        if not rows:
            return result
        columns = list(rows[0])
        statement = (
            f"INSERT INTO labels ({', '.join(columns)}) VALUES (:{', :'.join(columns)})"
            " ON CONFLICT (fingerprint) DO NOTHING"
        )
        # one transaction: after a kill all labels of the call exist, or none
        with self._connected(writing=True) as connection:
            for row in rows:
                is_new = connection.execute(statement, row).rowcount == 1
                (result.created if is_new else result.existing).add(row["fingerprint"])
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
        self._delete("gone", fingerprints)

    def remove(self, fingerprints: Collection[str]) -> set[str]:
        """Remove the labels and return the fingerprints of those that existed."""
        return self._delete("labels", fingerprints)

    def replace(self, replacements: Sequence[Replacement]) -> ReplaceResult:
        """Replace labels that are still as they were read; never create one."""
        result = ReplaceResult()
        rows: dict[str, dict[str, Any]] = {}
        versions: dict[str, str] = {}
        for replacement in replacements:
            fingerprint = str(replacement.document.get("label_fingerprint"))
            versions.setdefault(fingerprint, replacement.version)
            try:
                rows.setdefault(fingerprint, _row(replacement.document))
            except (InputError, ValueError, TypeError) as error:
                result.rejected[fingerprint] = str(error)
        if not rows or not self._path.exists():
            result.changed.update(rows)
            return result
        changed = (name for name in next(iter(rows.values())) if name != "fingerprint")
        assignments = ", ".join(f"{name} = :{name}" for name in changed)
        statement = f"UPDATE labels SET {assignments} WHERE fingerprint = :fingerprint"
        # D15: compared and replaced in one transaction, and never created
        with self._connected(writing=True) as connection:
            result.replaced |= _unchanged(connection, {name: versions[name] for name in rows})
            connection.executemany(statement, [rows[name] for name in sorted(result.replaced)])
        result.changed.update(rows.keys() - result.replaced)
        return result

    def remove_unchanged(self, versions: Mapping[str, str]) -> set[str]:
        """Remove the labels that still have these versions; return those that were changed."""
        if not versions or not self._path.exists():
            return set()
        with self._connected(writing=True) as connection:
            present = {name for name, _ in _documents(connection, versions)}
            unchanged = _unchanged(connection, versions)
            connection.executemany(
                "DELETE FROM labels WHERE fingerprint = ?", [(name,) for name in sorted(unchanged)]
            )
        return present - unchanged

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
        matches = _compile(query)
        _where_clause(query)
        return self._select(query, matches)

    def summarize(self, query: SearchQuery) -> Summary:
        """Return the numbers of the labels that match, by drive.

        Raises:
            InputError: this index does not support the query.
        """
        matches = _compile(query)
        with self._connected() as connection:
            condition, values = _where_clause(query, _columns(connection))
            statement = f"SELECT document FROM labels WHERE {condition}"
            documents = (document for (document,) in connection.execute(statement, values))
            try:
                return summaries.summarize(filter(matches, documents))
            except msgspec.DecodeError as error:
                raise DatabaseError(f"the label index is damaged ({error}); {RESTORE}") from error

    def count(self, query: SearchQuery) -> int:
        """Return the number of matching labels."""
        if not matching.matches_everything(query):
            return sum(1 for _ in self.search(query))
        with self._connected() as connection:
            return int(connection.execute("SELECT count(*) FROM labels").fetchone()[0])

    def custom_fields(self) -> set[str]:
        """Return the dotted names of the fields that labels have beyond the declared ones."""
        names: set[str] = set()
        with self._connected() as connection:
            for (document,) in connection.execute("SELECT document FROM labels"):
                names.update(_decode_and_apply(document, custom_fields.custom_values))
        return names

    def close(self) -> None:
        """Do nothing: no connection is open between two calls."""

    def _select(
        self, query: SearchQuery, matches: Callable[[bytes], bool]
    ) -> Generator[bytes, None, None]:
        with self._connected() as connection:
            condition, values = _where_clause(query, _columns(connection))
            # fetch the documents one by one: SQLite then has only numbers to sort
            ids = f"SELECT id FROM labels WHERE {condition} ORDER BY {_SORT_ORDER}"
            for row in connection.execute(ids, values):
                selected = connection.execute("SELECT document FROM labels WHERE id = ?", row)
                document: bytes = selected.fetchone()[0]
                if matches(document):
                    yield document

    def _delete(self, table: str, fingerprints: Collection[str]) -> set[str]:
        if not self._path.exists():
            return set()
        with self._connected(writing=True) as connection:
            statement = f"DELETE FROM {table} WHERE fingerprint IN ({{}}) RETURNING fingerprint"
            return {fingerprint for (fingerprint,) in _rows(connection, statement, fingerprints)}

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
                    _create_tables(connection)
                self._check_version(connection, writing=writing)
                # D3, D4: a commit is durable before the caller's next step relies on it
                connection.execute("PRAGMA synchronous = FULL")
                if writing:
                    migrations.migrate(connection, MIGRATIONS)
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
        if version < BASE_VERSION:  # as that of an empty file
            raise DatabaseError(
                f"{self._path} has schema version {version}, so it is not a label index: {RESTORE}"
            )
        known = migrations.latest(BASE_VERSION, MIGRATIONS)
        if version <= known:
            return
        is_readable = {*_NARROWING_COLUMNS, "created", "s3_key", "document"} <= _columns(connection)
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
        return [f"version {each.version}" for each in MIGRATIONS if each.version > version]

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


def _create_tables(connection: sqlite3.Connection) -> None:
    connection.executescript(_SCHEMA)
    migrations.migrate(connection, MIGRATIONS)


def _columns(connection: sqlite3.Connection) -> frozenset[str]:
    """Return the columns that the labels have in this file's layout."""
    return frozenset(row[1] for row in connection.execute("PRAGMA table_info(labels)"))


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
        _create_tables(connection)
        content = bytearray(connection.serialize())
    content[18:20] = b"\2\2"  # in WAL mode. Source: https://www.sqlite.org/fileformat2.html, 1.3.3
    return bytes(content)


def _row(document: Document) -> dict[str, Any]:
    """Return the columns of a label.

    Raises:
        InputError, ValueError, TypeError: it is not a valid label.
    """
    encoded = encode_document(document)
    checked = validation.parse(document)
    created = times.indexable_time(checked.label.created_on_date)
    return {
        **{column: next(iter(values(document)), None) for column, values in _VALUES.items()},
        "created": times.format_time(created) if created else "",
        "s3_key": checked.s3_key,
        "picture_sha256": checked.picture_sha256 or "",
        "document": encoded,
    }


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


def _compile(query: SearchQuery) -> Callable[[bytes], bool]:
    """Return a predicate that is true for encoded documents that match.

    Raises:
        InputError: this index does not support the query.
    """
    matches: Matcher = matching.compile_query(query)
    if matching.matches_everything(query):
        return lambda document: True
    return lambda document: _decode_and_apply(document, matches)


_decode = msgspec.json.Decoder(Document).decode


def _decode_and_apply(document: bytes, function: Callable[[Document], Result]) -> Result:
    """Apply a function to a stored label.

    Raises:
        DatabaseError: the index is damaged.
    """
    try:
        text = str(document, "utf-8")  # a damaged index may hold anything
        is_nfc = text.isascii() or unicodedata.is_normalized("NFC", text)
        return function(_decode(document) if is_nfc else to_nfc(_decode(document)))
    except (ValueError, TypeError, RecursionError) as error:
        raise DatabaseError(f"the label index is damaged ({error}); {RESTORE}") from error


def _where_clause(
    query: SearchQuery, columns: Collection[str] = _NARROWING_COLUMNS
) -> tuple[str, list[Any]]:
    """Return a condition on these columns that all matches meet, and its values."""
    conditions: list[str] = ["1"]
    values: list[Any] = []
    for clause in query.clauses:
        if len(conditions) > _MAX_CONDITIONS:
            break
        allowed = matching.allowed_spans(clause) if clause.occur in ("must", "filter") else None
        if allowed is None or _COLUMNS.get(allowed[0]) not in columns:
            continue
        column, spans = _COLUMNS[allowed[0]], allowed[1]
        points = [span.low for span in spans if span.is_point]
        ranges = [span for span in spans if not span.is_point]
        if column in _TEXT_COLUMNS and (ranges or not "".join(points).isascii()):
            column = f"nfc({column})"  # earlier versions did not store text in NFC
        if len(ranges) > _MAX_SPANS or len(values) + len(points) > _MAX_VALUES:
            continue
        alternatives = []
        if points or not ranges:
            alternatives.append(f"{column} IN ({','.join('?' * len(points))})")
        values += points
        for span in ranges:
            comparison, bounds = _comparison(column, span)
            alternatives.append(comparison)
            values += bounds
        conditions.append(f"({' OR '.join(alternatives)})")
    return " AND ".join(conditions), values


def _comparison(column: str, span: Span) -> tuple[str, list[Any]]:
    sides = [
        (f"{column} >{'=' if span.with_low else ''} ?", span.low),
        (f"{column} <{'=' if span.with_high else ''} ?", span.high),
    ]
    bounded = [side for side in sides if side[1] is not None]
    return " AND ".join(text for text, _ in bounded) or "1", [value for _, value in bounded]
