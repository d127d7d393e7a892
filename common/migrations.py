"""Layouts of an SQLite file, and the steps from one to the next.

`PRAGMA user_version` is the version of a file's layout. A file from an earlier version is read as
it is, and gets the missing steps, all in one transaction, before it is written. A file from a later
version is read as far as its tables are known, and written if all later steps are additive: such a
step leaves valid what an earlier version writes afterwards.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_TABLE = "layout"  # of one row; a file that was never migrated has none


@dataclass(frozen=True, slots=True)
class Migration:
    """The step to a version from the one before.

    `apply` uses `execute` only, since `executescript` would commit. An additive step must expect
    rows that an earlier version adds later, in which new columns are empty.
    """

    version: int
    apply: Callable[[sqlite3.Connection], object]
    is_additive: bool = True


def latest(base: int, migrations: Sequence[Migration]) -> int:
    """Return the version of the newest layout; `base` is that of the oldest.

    Raises:
        ValueError: a version is missing or out of order.
    """
    versions = [migration.version for migration in migrations]
    if versions != list(range(base + 1, base + 1 + len(versions))):
        raise ValueError(f"migrations to {versions} do not follow {base}")
    return base + len(versions)


def version_of(database: sqlite3.Connection) -> int:
    """Return the version of a file's layout; 0 for a file that has none."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return int(version)


def oldest_writer(database: sqlite3.Connection) -> int:
    """Return the oldest version whose programs may write to a file.

    Where the file does not say it, that is its own version.
    """
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    if not database.execute(query, (_TABLE,)).fetchone():
        return version_of(database)
    row = database.execute(f"SELECT oldest_writer FROM {_TABLE}").fetchone()
    return row[0] if row and isinstance(row[0], int) else version_of(database)


def migrate(database: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Take the steps that a file lacks, in a transaction of their own: all or none.

    A later step sees what the earlier ones have done. Programs that migrate at the same time wait
    for each other.
    """
    if not _pending(database, migrations):
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        apply_pending(database, migrations)
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def apply_pending(database: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Take the steps that a file lacks, within the caller's transaction."""
    for migration in _pending(database, migrations):
        writer = oldest_writer(database) if migration.is_additive else migration.version
        migration.apply(database)
        if not database.in_transaction:
            raise RuntimeError(f"the migration to {migration.version} has committed half of it")
        database.execute(f"CREATE TABLE IF NOT EXISTS {_TABLE} (oldest_writer INTEGER NOT NULL)")
        database.execute(f"DELETE FROM {_TABLE}")
        database.execute(f"INSERT INTO {_TABLE} VALUES (?)", (writer,))
        database.execute(f"PRAGMA user_version = {migration.version:d}")


def _pending(database: sqlite3.Connection, migrations: Sequence[Migration]) -> list[Migration]:
    version = version_of(database)
    return [migration for migration in migrations if migration.version > version]
