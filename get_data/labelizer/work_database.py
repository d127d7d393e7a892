"""SQLite file of the work in progress: schema, exclusive lock, and format checks."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from common import links, locks, migrations
from common.errors import InputError, ToolkitError, WriteFailed
from common.migrations import Migration

APPLICATION_ID = 0x50415441  # "PATA"; marks the file as ours
SUFFIX = ".labelizer.sqlite3"  # after the name of the label file
BASE_VERSION = 1  # the layout of SCHEMA
_VALUE_COLUMNS = ("steering", "throttle")  # empty: as the label file and the class have it


def _add_value_columns(database: sqlite3.Connection) -> None:
    for name in _VALUE_COLUMNS:
        database.execute(f"ALTER TABLE entry ADD COLUMN {name} REAL")


def _add_settled_column(database: sqlite3.Connection) -> None:
    database.execute("ALTER TABLE entry ADD COLUMN settled INTEGER NOT NULL DEFAULT 0")


MIGRATIONS: Sequence[Migration] = (
    # a program of version 1 would set a class and leave the value of another one
    Migration(2, _add_value_columns, is_additive=False),
    # a program of version 2 exports a settled label as confirmed once more, which changes its date
    Migration(3, _add_settled_column),
)
SCHEMA = """
CREATE TABLE fact (name TEXT PRIMARY KEY, value NOT NULL);
CREATE TABLE entry (
    position INTEGER PRIMARY KEY,
    img_id TEXT NOT NULL,
    nb_dir INTEGER NOT NULL,
    nb_speed INTEGER NOT NULL,
    old_direction INTEGER NOT NULL,
    old_speed INTEGER NOT NULL,
    old_deleted INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    speed INTEGER NOT NULL,
    reviewed INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL,
    changed_by TEXT,
    changed_on TEXT
);
CREATE TABLE operation (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,
    epoch INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    made_on TEXT NOT NULL,
    content TEXT NOT NULL
);
"""


class WorkFileInUse(ToolkitError):
    """Another process has the work file open."""


def wal_path(path: Path) -> Path:
    """Return the path of SQLite's write-ahead log."""
    return path.with_name(f"{path.name}-wal")


def acquire_lock(path: Path) -> int:
    """Lock the file, created if missing, and return the descriptor that holds the lock.

    On a file system without locks two processes can work on one file. SQLite's transactions and the
    lease, of which only the latest is valid, then protect what each of them saved.

    Raises:
        WorkFileInUse: another process has the lock.
        InputError: the file, or one of SQLite's files beside it, is not a regular file.
        WriteFailed: the file cannot be written.
    """
    try:
        links.check_side_files(path)
        descriptor = links.open_file(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise WriteFailed(f"{path} cannot be written: {error.strerror}") from error
    with suppress(locks.LocksUnsupported):
        if not locks.acquire(descriptor):
            os.close(descriptor)
            raise WorkFileInUse(f"{path} is open in another labelizer; use that one or stop it")
    return descriptor


@contextmanager
def read_closed(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an existing file that no labelizer has open; it stays as it is, in whatever layout.

    Raises:
        WorkFileInUse: a labelizer has it open.
        InputError: it is not a work file, or a killed labelizer left its log.
        WriteFailed: it cannot be locked.
    """
    lock = acquire_lock(path)
    try:
        log = wal_path(path)
        if log.exists() and log.stat().st_size:
            raise InputError(
                f"{path} was left open by a killed labelizer; start and stop run_labelizer.py once"
            )
        address = f"file:{quote(str(path.absolute()))}?immutable=1"  # without a log beside it
        with closing(sqlite3.connect(address, uri=True)) as database:
            _check_format(database, path)
            yield database
    except sqlite3.DatabaseError as error:
        raise InputError(f"{path} cannot be read: {error}; move it away") from error
    finally:
        os.close(lock)


def create_tables(database: sqlite3.Connection) -> None:
    """Create the tables of the newest layout in an empty file, within the caller's transaction."""
    for statement in SCHEMA.split(";"):
        database.execute(statement)
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {BASE_VERSION}")
    migrations.apply_pending(database, MIGRATIONS)


def connect(path: Path) -> sqlite3.Connection:
    """Open the database, durable at each commit, in the newest layout.

    Raises:
        InputError: the file is not a work file, or of a version too new to be written.
        WriteFailed: the file cannot be written.
    """
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _check_format(database, path)
        if migrations.version_of(database):  # else it is still empty
            migrations.migrate(database, MIGRATIONS)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
    except sqlite3.OperationalError as error:
        database.close()
        raise WriteFailed(f"{path} cannot be written: {error}") from error
    except sqlite3.DatabaseError as error:
        database.close()
        raise InputError(f"{path} cannot be read: {error}; move it away") from error
    except BaseException:
        database.close()
        raise
    return database


def _check_format(database: sqlite3.Connection, path: Path) -> None:
    """Raise InputError unless the file is empty or a work file of a known version."""
    (application_id,) = database.execute("PRAGMA application_id").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application_id != APPLICATION_ID and tables:
        raise InputError(f"{path} is not a work file of the labelizer; move it away")
    version, known = migrations.version_of(database), migrations.latest(BASE_VERSION, MIGRATIONS)
    if version > known and migrations.oldest_writer(database) > known:
        raise InputError(
            f"{path} was written by a newer version of the labelizer (format {version}; this one "
            f"knows {known}); update this checkout"
        )
