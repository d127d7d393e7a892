"""The label index on one machine: an SQLite file.

SQL narrows a search down by the fields that have a column; then Python decides on each document
(`matching`), so that both kinds of database answer the same. Each call has a connection and a
transaction of its own, hence calls from any thread, and from other programs, do not meet.
"""

import json
import os
import sqlite3
import unicodedata
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec

from common import links, times
from common.atomic_files import (
    remove_stale_files,
    rename_exclusive,
    sync,
    sync_file_system,
    temporary_file,
)
from common.batching import batches
from common.errors import DatabaseError, InputError
from get_data.database.interfaces import CreateResult, LabelReference, Tombstone
from get_data.database.search import matching
from get_data.database.search.fields import Matcher
from get_data.database.search.matching import Span
from get_data.database.search.search_query import SearchQuery
from get_data.labels import custom_fields, validation
from get_data.labels.schema import Document
from get_data.labels.unicode_forms import to_nfc

Result = TypeVar("Result")

FILE_NAME = "index.sqlite"
SCHEMA_VERSION = 1
SIDE_FILES = (f"{FILE_NAME}-wal", f"{FILE_NAME}-shm")  # the newest changes to it, and who reads
PUT_BACK = (
    f"move it away together with {' and '.join(SIDE_FILES)} and put back a copy of it; without one "
    "see docs/troubleshooting.md"
)

_FROZEN = "mode=ro&immutable=1"
_SHARED = "mode=ro&readonly_shm=1"
_WAIT_S = 30  # for another program's transaction
_MAX_NAMES = 10_000  # in one question; SQLite takes 32,766
_MAX_SPANS = 100  # which become one condition each
_MAX_CONDITIONS = 100  # SQLite takes 1,000 in each other

# The fields whose columns narrow a search. An index on those with few different values would be
# in the way: SQLite has no figures about them and would take it for a better one.
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
_TEXTS = frozenset({"event", "track", "driver", "created_by"})
_VALUES: Mapping[str, Callable[[Document], list[Any]]] = {
    column: matching.values_of(path) for path, column in _COLUMNS.items()
}
_IN_ORDER = "img_id, created DESC, fingerprint"
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
    CREATE INDEX labels_in_order ON labels ({_IN_ORDER});
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
    PRAGMA user_version = {SCHEMA_VERSION};
"""


class SqliteIndex:
    """A `LabelIndex` in `folder`; the file is made by the first label that goes in."""

    def __init__(self, folder: Path) -> None:
        self._path = folder.absolute() / FILE_NAME

    @property
    def name(self) -> str:
        """The path of the file."""
        return str(self._path)

    def find(self, fingerprints: Collection[str]) -> dict[str, LabelReference]:
        """Those of the labels that are there."""
        with self._connected() as connection:
            rows = _rows(
                connection,
                "SELECT fingerprint, img_id, s3_key FROM labels WHERE fingerprint IN ({})",
                fingerprints,
            )
            return {row[0]: LabelReference(*row) for row in rows}

    def find_tombstones(self, fingerprints: Collection[str]) -> dict[str, Tombstone]:
        """Those of the labels that are gone for good."""
        with self._connected() as connection:
            rows = _rows(connection, "SELECT * FROM gone WHERE fingerprint IN ({})", fingerprints)
            return {row[0]: Tombstone(*row) for row in rows}

    def picture_hashes(self, img_ids: Collection[str]) -> dict[str, set[str]]:
        """The SHA-256 of the pictures that the labels of each id speak of."""
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
        """Return the path of the file when it is not there, else "".

        It holds the tombstones too.
        """
        del tombstones
        try:
            self._path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return self.name
        except OSError as error:
            self._complain(error)
        return ""

    def ensure_exists(self) -> None:
        """Create the file where there is none."""
        try:
            self._make()
        except FileNotFoundError as error:  # a place where no folder can be
            raise DatabaseError(
                f"{self._path} cannot be created: {error.strerror}; "
                f"check the rights and the space of {self._path.parent}"
            ) from error
        except (sqlite3.Error, OSError) as error:
            self._complain(error)

    def create(self, documents: Sequence[Document]) -> CreateResult:
        """The labels are in, each that was not there; one that was there stays as it was."""
        result = CreateResult()
        rows: list[dict[str, Any]] = []
        for document in documents:
            try:
                rows.append(_row(document))
            except (InputError, ValueError, TypeError) as error:
                result.rejected[str(document.get("label_fingerprint"))] = str(error)
        if not rows:
            return result
        names = list(rows[0])
        statement = (
            f"INSERT INTO labels ({', '.join(names)}) VALUES (:{', :'.join(names)})"
            " ON CONFLICT (fingerprint) DO NOTHING"
        )
        with self._connected(writing=True) as connection:
            for row in rows:
                is_new = connection.execute(statement, row).rowcount == 1
                (result.created if is_new else result.existing).add(row["fingerprint"])
        return result

    def add_tombstones(self, gone: Sequence[Tombstone]) -> None:
        """The labels count as gone for good; of one that did already the older record stays."""
        with self._connected(writing=True) as connection:
            connection.executemany(
                "INSERT INTO gone VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (fingerprint) DO NOTHING",
                [astuple(one) for one in gone],
            )

    def remove_tombstones(self, fingerprints: Collection[str]) -> None:
        """The labels may be created again."""
        self._delete("gone", fingerprints)

    def remove(self, fingerprints: Collection[str]) -> set[str]:
        """The labels are out; returns those that were there."""
        return self._delete("labels", fingerprints)

    def find_references(self, keys: Collection[str]) -> dict[str, set[str]]:
        """The fingerprints of the labels that name each picture key."""
        with self._connected() as connection:
            return _grouped(
                _rows(
                    connection, "SELECT s3_key, fingerprint FROM labels WHERE s3_key IN ({})", keys
                )
            )

    def search(self, query: SearchQuery) -> Generator[bytes, None, None]:
        """The documents that match, as they were at the start.

        Raises: InputError for what this index cannot answer.
        """
        matches = _decided(query)
        return self._found(*_narrowed(query), matches)

    def count(self, query: SearchQuery) -> int:
        """How many labels match."""
        if not matching.matches_everything(query):
            return sum(1 for _ in self.search(query))
        with self._connected() as connection:
            return int(connection.execute("SELECT count(*) FROM labels").fetchone()[0])

    def custom_fields(self) -> set[str]:
        """Return the dotted names of the fields that labels have beyond the declared ones."""
        names: set[str] = set()
        with self._connected() as connection:
            for (document,) in connection.execute("SELECT document FROM labels"):
                names.update(_seen(document, custom_fields.custom_values))
        return names

    def close(self) -> None:
        """Nothing is held open, as at any time between two calls."""

    def _found(
        self, condition: str, values: list[Any], matches: Callable[[bytes], bool]
    ) -> Generator[bytes, None, None]:
        # the documents are fetched one by one, so that where SQLite has to sort, it sorts numbers
        wanted = f"SELECT id FROM labels WHERE {condition} ORDER BY {_IN_ORDER}"
        with self._connected() as connection:
            for row in connection.execute(wanted, values):
                one = connection.execute("SELECT document FROM labels WHERE id = ?", row)
                document: bytes = one.fetchone()[0]
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
        """A connection in one transaction; to an empty database in memory while there is none."""
        how, frozen, before = "", False, 0
        try:
            if writing:
                self._make()
            there = self._path.exists()
            if there:
                self._check_files()
            how = self._way_in(writing=writing) if there else ""
            frozen = how == _FROZEN
            before = self._changed_ns() if frozen else 0
            with closing(
                _connection(f"{self._path.as_uri()}?{how}" if there else "")
            ) as connection:
                if not there:
                    connection.executescript(_SCHEMA)
                self._check_version(connection)
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
                yield connection
                connection.execute("COMMIT")
        except Exception as error:
            # Half of an old and half of a new file look damaged, and are not.
            if frozen and self._changed_ns() != before:
                raise DatabaseError(self._written_meanwhile()) from error
            if how == _SHARED and _error_name(error).startswith("SQLITE_READONLY"):
                raise DatabaseError(
                    f"{self._path} is being written to, or was by a program that was killed: run "
                    "again, or let somebody who may write to it search it once"
                ) from error
            if isinstance(error, sqlite3.Error | OSError):
                self._complain(error)
            raise
        if frozen and self._changed_ns() != before:
            raise DatabaseError(self._written_meanwhile())

    def _changed_ns(self) -> int:
        """When the file was last written to; 0 when it is gone."""
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return 0

    def _written_meanwhile(self) -> str:
        return f"{self._path} was written to meanwhile; run again"

    def _check_files(self) -> None:
        """Raise DatabaseError unless SQLite opens nothing but regular files."""
        if not self._path.is_file():
            raise DatabaseError(
                f"{self._path} cannot be opened: it is not a regular file; move it away"
            )
        try:
            links.check_side_files(self._path.resolve())
        except InputError as error:
            raise DatabaseError(str(error)) from error

    def _way_in(self, *, writing: bool) -> str:
        """How SQLite may open the file, so that it leaves nothing behind that others cannot use.

        Whoever may write opens it so, also to read: only then SQLite takes its two files away again
        that it makes beside it. Whoever may only read must not make them: they would be his, and
        lock the others out. He uses those of somebody who writes just now; while there are none he
        reads the file as one that nobody changes, and looks afterwards whether that was so.
        """
        folder = self._path.parent
        may_write = _may_write(self._path) and _may_write(folder)
        if writing or may_write:
            return "mode=rw"
        return _SHARED if (folder / SIDE_FILES[0]).exists() else _FROZEN

    def _make(self) -> None:
        """Make the file unless it is there; it is whole from its first moment on.

        Raises: DatabaseError where changes to an earlier one lie, which SQLite would take for its.
        """
        if self._path.exists():
            return
        folder = self._path.parent
        if (changes := folder / SIDE_FILES[0]).exists() and not self._path.exists():
            raise DatabaseError(
                f"{changes} belongs to the index that was here and would damage a new one: move "
                f"it, and {SIDE_FILES[1]}, to where that index is now"
            )
        folder.mkdir(parents=True, exist_ok=True)
        remove_stale_files(folder, f"{FILE_NAME}.")
        with temporary_file(folder, f"{FILE_NAME}.") as file:
            file.write(_empty_file())
            file.flush()
            sync(file.fileno())
            with suppress(FileExistsError):  # another program was faster
                rename_exclusive(Path(file.name), self._path)
        sync_file_system(folder)  # with the folders that were made for it

    def _check_version(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise DatabaseError(
                f"{self._path} has the layout {version}, this toolkit knows {SCHEMA_VERSION}: use "
                "the toolkit that made it, or update this one"
            )
        if version != SCHEMA_VERSION:  # as that of an empty file
            raise DatabaseError(
                f"{self._path} has the layout {version}, hence is no label index: {PUT_BACK}"
            )

    def _complain(self, error: sqlite3.Error | OSError) -> NoReturn:
        folder = self._path.parent
        code = _error_name(error)
        if isinstance(error, FileExistsError | NotADirectoryError):
            what = f"{folder} is not a folder; move the file away or set PATATE_HOME"
        elif code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            what = f"another program kept it locked for {_WAIT_S} s; end that one and run again"
        elif code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")) or "no such" in str(error):
            what = f"damaged ({error}); {PUT_BACK}"
        elif code.startswith("SQLITE_FULL"):
            what = "the disk is full; free some space and run again"
        elif code.startswith("SQLITE_IOERR"):
            what = f"the disk fails or is full ({error}); free some space and run again"
        elif isinstance(error, OSError) or code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
            what = f"cannot be opened for writing ({error}); check the rights of {folder}"
        else:
            what = str(error)
        raise DatabaseError(f"{self._path}: {what}") from error


def _connection(uri: str) -> sqlite3.Connection:
    """A connection that begins no transaction by itself; in memory for no address."""
    # a search may be ended by another thread than began it
    connection = sqlite3.connect(
        uri or ":memory:", timeout=_WAIT_S, isolation_level=None, check_same_thread=False, uri=True
    )
    connection.create_function("nfc", 1, to_nfc, deterministic=True)
    return connection


def _error_name(error: Exception) -> str:
    """Return SQLite's name of the error, "" for any other error."""
    return str(getattr(error, "sqlite_errorname", ""))


def _may_write(place: Path) -> bool:
    return os.access(place, os.W_OK, effective_ids=True)


def _empty_file() -> bytes:
    """The content of a new file: made in memory, so that no half-made one lies about.

    SQLite itself would make a file that the group may not write, whatever the umask says.
    """
    with closing(_connection("")) as connection:
        connection.executescript(_SCHEMA)
        content = bytearray(connection.serialize())
    content[18:20] = b"\2\2"  # in WAL mode. Source: https://www.sqlite.org/fileformat2.html, 1.3.3
    return bytes(content)


def _row(document: Document) -> dict[str, Any]:
    """The columns of a label. Raises: InputError, ValueError, TypeError for what is none."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    checked = validation.parse(document)
    created = times.indexable_time(checked.label.created_on_date)
    return {
        **{column: next(iter(values(document)), None) for column, values in _VALUES.items()},
        "created": times.format_time(created) if created else "",
        "s3_key": checked.s3_key,
        "picture_sha256": checked.picture_sha256 or "",
        "document": text.encode(),
    }


def _rows(
    connection: sqlite3.Connection, statement: str, names: Iterable[str]
) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement whose `{}` stands for any number of names."""
    for some in batches(names, _MAX_NAMES):
        yield from connection.execute(statement.format(",".join("?" * len(some))), some)


def _grouped(pairs: Iterable[tuple[Any, ...]]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = {}
    for name, value in pairs:
        groups.setdefault(name, set()).add(value)
    return groups


def _decided(query: SearchQuery) -> Callable[[bytes], bool]:
    """Whether a document, still encoded, matches. Raises: InputError."""
    matches: Matcher = matching.compile_query(query)
    if matching.matches_everything(query):
        return lambda document: True
    return lambda document: _seen(document, matches)


_decode = msgspec.json.Decoder(Document).decode


def _seen(document: bytes, look: Callable[[Document], Result]) -> Result:
    """Return what a look at a label that the index holds gives. Raises: DatabaseError."""
    try:
        text = str(document, "utf-8")  # a damaged index may hold anything
        is_composed = text.isascii() or unicodedata.is_normalized("NFC", text)
        return look(_decode(document) if is_composed else to_nfc(_decode(document)))
    except (ValueError, TypeError, RecursionError) as error:
        raise DatabaseError(f"the label index is damaged ({error}); {PUT_BACK}") from error


def _narrowed(query: SearchQuery) -> tuple[str, list[Any]]:
    """A condition that holds for all that match, and its values."""
    conditions: list[str] = ["1"]
    values: list[Any] = []
    for clause in query.clauses:
        if len(conditions) > _MAX_CONDITIONS:
            break
        allowed = matching.allowed(clause) if clause.occur in ("must", "filter") else None
        if allowed is None or allowed[0] not in _COLUMNS:
            continue
        column, spans = _COLUMNS[allowed[0]], allowed[1]
        points = [span.low for span in spans if span.is_point]
        wide = [span for span in spans if not span.is_point]
        if column in _TEXTS and (wide or not "".join(points).isascii()):
            column = f"nfc({column})"  # earlier versions did not store texts in NFC
        if len(wide) > _MAX_SPANS or len(values) + len(points) > _MAX_NAMES:
            continue
        ways = [f"{column} IN ({','.join('?' * len(points))})"] if points or not wide else []
        values += points
        for span in wide:
            way, bounds = _between(column, span)
            ways.append(way)
            values += bounds
        conditions.append(f"({' OR '.join(ways)})")
    return " AND ".join(conditions), values


def _between(column: str, span: Span) -> tuple[str, list[Any]]:
    sides = [
        (f"{column} >{'=' if span.with_low else ''} ?", span.low),
        (f"{column} <{'=' if span.with_high else ''} ?", span.high),
    ]
    told = [side for side in sides if side[1] is not None]
    return " AND ".join(text for text, _ in told) or "1", [value for _, value in told]
