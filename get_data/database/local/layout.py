"""The tables of an SQLite index, how a label becomes a row, and the steps from earlier layouts.

Version 1 had no contexts. Its programs can read and write a later file: the columns of the session
(`event`, `driver` and others) are still filled for them, and a label that they add or change has no
context until a program of this version writes. Until then a search does without contexts.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from common import migrations, times
from common.migrations import Migration
from get_data.database.interfaces import encode_document
from get_data.database.local import contexts, documents
from get_data.database.local.query_plan import COLUMNS, ORDER, SESSION_COLUMNS
from get_data.database.search import fields
from get_data.labels.label_reader import LabelReader
from get_data.labels.schema import MAX_KEYWORD, Document

BASE_VERSION = 1  # the layout of _SCHEMA
_BATCH_SIZE = 5000  # labels that get their context in one transaction
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
    CREATE INDEX labels_in_order ON labels ({ORDER});
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

_SEARCHED = (*COLUMNS.values(), *SESSION_COLUMNS.values())
READ_COLUMNS = frozenset({*_SEARCHED, "created", "s3_key", "document"})
"""The columns without which a file of a later version cannot be read."""

ROW = (*_SEARCHED, "created", "s3_key", "picture_sha256", "document")
"""The columns of a label, beside its context; the first is the fingerprint."""


def row_of(document: Document, reader: LabelReader) -> tuple[Any, ...]:
    """Return the values of a label's columns, in the order of `ROW`.

    Raises:
        InputError, ValueError, TypeError: it is not a valid label.
    """
    encoded = encode_document(document)  # first, so that what JSON cannot express is told
    checked = reader.prove(encoded, is_encoded=True) or reader.check(document).label
    annotation, captured = checked.label, fields.indexed_date(checked.timestamp)
    return (
        checked.label_fingerprint,
        checked.img_id,
        captured,
        annotation.label_direction,
        annotation.label_speed,
        _keyword(document.get("event")),
        _keyword(document.get("track")),
        _keyword(document.get("driver")),
        _keyword(annotation.created_by),
        _sortable(
            annotation.created_on_date,
            is_indexable=captured is not None and annotation.created_on_date == checked.timestamp,
        ),
        checked.s3_key,
        checked.picture_sha256 or "",
        encoded,
    )


def _sortable(text: str, *, is_indexable: bool) -> str:
    """Return a time as text that sorts, "" for one that no index has.

    `is_indexable`: it is known to be a time that an index has.
    """
    # as this toolkit writes times; to compare is a tenth of the work
    is_formatted = len(text) == 27 and text[4:11:3] == "--T" and text[19::7] == ".Z"
    if is_indexable and is_formatted:
        return text
    time = times.indexable_time(text)
    if time is None:
        return ""
    return text if is_formatted else times.format_time(time)


def _keyword(text: str | None) -> str | None:
    """Return a text as a search compares it; None for one that is too long for that."""
    return text if text is not None and len(text) <= MAX_KEYWORD else None


def create_tables(connection: sqlite3.Connection) -> None:
    """Create the tables of the newest layout in an empty database."""
    connection.executescript(_SCHEMA)
    migrations.migrate(connection, MIGRATIONS)


def columns(connection: sqlite3.Connection) -> frozenset[str]:
    """Return the columns that the labels have in this file's layout."""
    return frozenset(row[1] for row in connection.execute("PRAGMA table_info(labels)"))


def _add_contexts(connection: sqlite3.Connection) -> None:
    """Add the contexts, and find labels by these instead of by their event.

    They are filled afterwards (`fill_contexts`), and again after an earlier version has written.
    """
    for statement in contexts.SCHEMA:
        connection.execute(statement)
    connection.execute("ALTER TABLE labels ADD COLUMN context INTEGER")
    connection.execute("DROP INDEX labels_by_event")
    # the classes are in it so that no label is read that has another one
    connection.execute(
        f"CREATE INDEX labels_by_context ON labels (context, {ORDER}, label_direction, label_speed)"
    )
    connection.execute(
        """
        CREATE TRIGGER labels_forget_context AFTER UPDATE OF document ON labels
        WHEN NEW.context IS OLD.context
        BEGIN
            UPDATE labels SET context = NULL WHERE id = NEW.id;
        END
        """
    )


MIGRATIONS: Sequence[Migration] = (Migration(2, _add_contexts),)


def lacks_contexts(connection: sqlite3.Connection) -> bool:
    """Return whether some label has no context yet, or the file's layout has none."""
    if "context" not in columns(connection):
        return True
    some = connection.execute("SELECT 1 FROM labels WHERE context IS NULL LIMIT 1")
    return some.fetchone() is not None


def fill_contexts(connection: sqlite3.Connection) -> None:
    """Set the context of some labels that have none, within the caller's transaction."""
    rows = connection.execute(
        "SELECT id, document FROM labels WHERE context IS NULL LIMIT ?", (_BATCH_SIZE,)
    ).fetchall()
    found: list[tuple[int, Document]] = []
    numbers: list[tuple[int, int]] = []
    for row, content in rows:
        try:
            found.append((row, documents.decode(content)))
        except (ValueError, TypeError, RecursionError):
            # the context of a damaged label is itself, so that searches tell of it
            numbers.append((contexts.store_content(connection, content), row))
    stored = contexts.store(connection, [document for _, document in found])
    numbers += zip(stored, (row for row, _ in found), strict=True)
    connection.executemany("UPDATE labels SET context = ? WHERE id = ?", numbers)
