"""The work in progress: a SQLite file beside the label file, which itself is never changed.

It holds every operation in the order in which it came, and what they come to. An undo is one more
operation, so the log only grows and can be undone after any restart. A commit outlives a kill and a
power cut; what the page sends twice counts once. One process at a time has the file open, and of
the pages that it serves one at a time may write: the one that took the lease last.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np

from common import links, locks, times
from common.atomic_files import sync_folder
from common.errors import InputError, ToolkitError, WriteFailed
from get_data.labelizer.catalogue import Catalogue, Flag
from get_data.labelizer.operations import (
    ATTRIBUTES,
    Attribute,
    Integers,
    Operation,
    Run,
    positions_of,
    ranges_of,
    runs_of,
    values_of,
)
from get_data.labels import ids

SUFFIX = ".labelizer.sqlite3"
HISTORY = 1000  # operations that a page learns of when it opens, and can undo

_VERSION = 1
_APPLICATION = 0x50415441  # marks the file as ours
_SCHEMA = """
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
_TOUCHED = """
    reviewed OR direction != old_direction OR speed != old_speed OR deleted != old_deleted
"""


class BeingLabelled(ToolkitError):
    """Another process has the work file open."""


class LeaseLost(ToolkitError):
    """Another page has taken the lease since."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person has come to about one entry; classes are -1 where unknown, yes is 1."""

    position: int
    img_id: str
    nb_dir: int
    nb_speed: int
    old_direction: int
    old_speed: int
    old_deleted: int
    direction: int
    speed: int
    reviewed: int
    deleted: int
    changed_by: str
    changed_on: str

    @property
    def changes_classes(self) -> bool:
        """Whether the direction or the speed is another one."""
        return (self.direction, self.speed) != (self.old_direction, self.old_speed)


_COLUMNS = [column.name for column in fields(Decision)]
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM entry"


def path_for(labels: Path) -> Path:
    """Where the work on a label file is kept."""
    return labels.with_name(labels.name + SUFFIX)


class WorkFile:
    """The open work file.

    Raises: BeingLabelled when another process has it open; InputError when it is none of ours or
    of a newer version; WriteFailed when the folder takes no file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._open()

    def _open(self) -> None:
        self._held = _hold(self.path)
        try:
            self._database = _connect(self.path)
        except BaseException:
            os.close(self._held)
            raise

    @property
    def is_new(self) -> bool:
        """Whether nothing has been begun in it."""
        return not self._rows("SELECT 1 FROM sqlite_master LIMIT 1")

    def begin(self, catalogue: Catalogue, *, epoch: int = 0) -> None:
        """The file holds the entries of the catalogue, and no operation.

        `epoch`: that of the work before it, so that no page of that can write here. Raises:
        WriteFailed.
        """
        groups = [catalogue.group_of(position) for position in range(len(catalogue))]
        marked = (catalogue.flags & Flag.MARKED) != 0
        entries = zip(
            range(len(catalogue)),
            catalogue.ids,
            (group.nb_dir for group in groups),
            (group.nb_speed for group in groups),
            *(catalogue.direction.tolist(), catalogue.speed.tolist(), marked.tolist()) * 2,
            strict=True,
        )
        facts = [("work", uuid4().hex), ("sha256", catalogue.sha256), ("epoch", epoch)]
        with self._saving() as database:
            for statement in _SCHEMA.split(";"):
                database.execute(statement)
            database.executemany("INSERT INTO fact VALUES (?, ?)", facts)
            database.executemany(
                "INSERT INTO entry (position, img_id, nb_dir, nb_speed, old_direction, old_speed,"
                " old_deleted, direction, speed, deleted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                entries,
            )
            database.execute(f"PRAGMA application_id = {_APPLICATION}")
            database.execute(f"PRAGMA user_version = {_VERSION}")

    @property
    def name(self) -> str:
        """What tells this work from any other, also of the same label file."""
        return str(self._fact("work"))

    @property
    def sha256(self) -> str:
        """The hash of the label file that this work is on."""
        return str(self._fact("sha256"))

    @property
    def epoch(self) -> int:
        """How many times the lease was taken."""
        return int(self._fact("epoch"))

    def take_lease(self) -> int:
        """The epoch of whoever may write from now on. Raises: WriteFailed."""
        with self._saving() as database:
            database.execute("UPDATE fact SET value = value + 1 WHERE name = 'epoch'")
        return self.epoch

    def check_lease(self, epoch: int) -> None:
        """Raises: LeaseLost unless this is the lease that was taken last."""
        if epoch != self.epoch:
            raise LeaseLost(f"the lease {epoch} is not the last one taken, which is {self.epoch}")

    def apply(self, operations: Sequence[Operation], *, epoch: int, by: str, on: datetime) -> None:
        """All operations are saved, and those that are new also done.

        Raises: LeaseLost, InputError or WriteFailed, and none is.
        """
        with self._saving() as database:
            self.check_lease(epoch)
            for operation in operations:
                self._apply(database, operation, (epoch, by, times.format_time(on)))

    def _apply(
        self,
        database: sqlite3.Connection,
        operation: Operation,
        made: tuple[int, str, str],
    ) -> None:
        epoch, by, on = made
        limits = self._limits
        positions = positions_of(operation, limits["direction"].size)
        changes = {
            attribute: values_of(operation, runs, positions.size)
            for attribute, runs in operation.set.items()
        }
        for attribute, values in changes.items():
            least = -1 if attribute in ("direction", "speed") else 0
            if np.any((values < least) | (values >= limits[attribute][positions])):
                raise InputError(f"operation {operation.uid}: no such {attribute}")
        added = database.execute(
            "INSERT INTO operation (uid, epoch, made_by, made_on, content)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (uid) DO NOTHING",
            (operation.uid, epoch, by, on, msgspec.json.encode(operation).decode()),
        )
        if added.rowcount == 0:  # sent twice
            return
        settings = "".join(f"{attribute} = ?, " for attribute in changes)
        database.executemany(
            f"UPDATE entry SET {settings}changed_by = ?, changed_on = ? WHERE position = ?",
            zip(
                *(values.tolist() for values in changes.values()),
                (by,) * positions.size,
                (on,) * positions.size,
                positions.tolist(),
                strict=True,
            ),
        )

    @cached_property
    def _limits(self) -> dict[Attribute, Integers]:
        """What each attribute of each entry is below."""
        counts = np.array(self._rows("SELECT nb_dir, nb_speed FROM entry ORDER BY position"))
        two = np.full(len(counts), 2)
        return {
            "direction": counts[:, 0],
            "speed": counts[:, 1],
            "reviewed": two,
            "deleted": two,
        }

    def carry(self, carried: Sequence[tuple[int, Decision]], *, by: str, on: datetime) -> None:
        """What was decided in another work file is decided in this one too, by the same people.

        `carried`: positions here and the decisions there. Raises: WriteFailed.
        """
        if not carried:
            return
        authors = [(one.changed_by, one.changed_on, position) for position, one in carried]
        with self._saving() as database:
            self._apply(
                database, _carry_operation(carried), (self.epoch, by, times.format_time(on))
            )
            database.executemany(
                "UPDATE entry SET changed_by = ?, changed_on = ? WHERE position = ?", authors
            )

    def history(self) -> list[Operation]:
        """The last operations, oldest first."""
        rows = self._rows("SELECT content FROM operation ORDER BY seq DESC LIMIT ?", HISTORY)
        return [msgspec.json.decode(content, type=Operation) for (content,) in reversed(rows)]

    def decisions(self) -> list[Decision]:
        """The entries about which something was decided, by position."""
        return [
            Decision(**dict(zip(_COLUMNS, row, strict=True)))
            for row in self._rows(f"{_SELECT} WHERE {_TOUCHED} ORDER BY position")
        ]

    def _fact(self, name: str) -> str | int:
        value: str | int = self._rows("SELECT value FROM fact WHERE name = ?", name)[0][0]
        return value

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def _saving(self) -> Iterator[sqlite3.Connection]:
        """What is done in the block is on the disk, or, on any error, nothing of it.

        Raises: WriteFailed.
        """
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield self._database
                self._database.execute("COMMIT")
            except BaseException as error:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError):
                    raise WriteFailed(f"{self.path} cannot be written: {error}") from error
                raise

    def close(self) -> None:
        """The file is closed and complete in itself."""
        with self._lock:
            self._database.close()
            os.close(self._held)

    def put_aside(self, now: datetime) -> Path:
        """The file is closed and has another name; returns it.

        Raises: WriteFailed, and it is open under its own name.
        """
        aside = self.path.with_suffix(f".{ids.format_img_id(now)}.sqlite3")
        with self._lock:
            self.close()
            if _log(self.path).exists():  # on a full disk, say
                self._open()
                raise WriteFailed(f"{self.path} cannot be written back from {_log(self.path)}")
            try:
                self.path.rename(aside)
                sync_folder(aside.parent)
            except OSError as error:
                if aside.exists():
                    aside.rename(self.path)
                self._open()
                raise WriteFailed(f"{aside} cannot be written: {error.strerror}") from error
        return aside


def take_back(aside: Path, path: Path) -> None:
    """What was put aside has its name again, instead of what was begun under it."""
    _log(path).unlink(missing_ok=True)
    aside.replace(path)


def _log(path: Path) -> Path:
    """What SQLite has not yet written back into the file."""
    return path.with_name(f"{path.name}-wal")


def _hold(path: Path) -> int:
    """A descriptor that keeps other processes away from the file until it is closed.

    A file system without locks lets two work on one file: SQLite's transactions and the lease, of
    which only the last one counts, keep what each of them saved.

    Raises: BeingLabelled; InputError for what is no regular file in the place of a file of the
    work; WriteFailed.
    """
    try:
        links.check_side_files(path)
        descriptor = links.open_file(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise WriteFailed(f"{path} cannot be written: {error.strerror}") from error
    with suppress(locks.LocksUnsupported):
        if not locks.acquire(descriptor):
            os.close(descriptor)
            raise BeingLabelled(
                f"{path} is open in another labelizer; use that one, or end it first"
            )
    return descriptor


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _check(database, path)
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


def _check(database: sqlite3.Connection, path: Path) -> None:
    """The file is ours, or empty. Raises: InputError."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != _APPLICATION and tables:
        raise InputError(f"{path} is no work file of the labelizer; move it away")
    if version > _VERSION:
        raise InputError(
            f"{path} was written by a newer version of the labelizer (format {version}, this one "
            f"knows {_VERSION}); update this checkout, or move the file away"
        )


def carried_over(old: WorkFile, catalogue: Catalogue) -> list[tuple[int, Decision]]:
    """What was decided about entries that the catalogue has with the same old label, and where."""
    positions = {img_id: position for position, img_id in enumerate(catalogue.ids)}
    found = []
    for decision in old.decisions():
        position = positions.get(decision.img_id)
        if position is not None and _is_same(decision, catalogue, position):
            found.append((position, decision))
    return sorted(found, key=lambda pair: pair[0])


def _is_same(decision: Decision, catalogue: Catalogue, position: int) -> bool:
    group = catalogue.group_of(position)
    return (
        decision.old_direction,
        decision.old_speed,
        decision.nb_dir,
        decision.nb_speed,
        decision.old_deleted,
    ) == (
        catalogue.direction[position],
        catalogue.speed[position],
        group.nb_dir,
        group.nb_speed,
        bool(catalogue.flags[position] & Flag.MARKED),
    )


def _carry_operation(carried: Sequence[tuple[int, Decision]]) -> Operation:
    """The one operation that does again what was decided before."""
    before = [(one.old_direction, one.old_speed, 0, one.old_deleted) for _, one in carried]
    now = [(one.direction, one.speed, one.reviewed, one.deleted) for _, one in carried]
    return Operation(
        uid=str(uuid4()),
        kind="carry",
        text=f"{len(carried)} changes carried over",
        positions=ranges_of(np.array([position for position, _ in carried])),
        set=_columns(now),
        was=_columns(before),
    )


def _columns(rows: Sequence[tuple[int, int, int, int]]) -> dict[Attribute, list[Run]]:
    values = np.array(rows, np.int64)
    return {name: runs_of(values[:, at]) for at, name in enumerate(ATTRIBUTES)}
