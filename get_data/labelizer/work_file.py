"""Work in progress: a SQLite file beside the label file, which itself is never changed.

It stores every operation in the order of arrival, and the resulting state of each entry. An undo is
one more operation, so the log only grows and any step can be undone after a restart. A commit
survives a kill and a power cut, and an operation that the page sends twice counts once. One process
at a time has the file open. Of the pages that it serves one at a time may write: the one that took
the lease last.
"""

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np

from common import times
from common.atomic_files import sync_folder
from common.errors import InputError, ToolkitError, WriteFailed
from get_data.labelizer import work_database
from get_data.labelizer.catalogue import Catalogue, Flag
from get_data.labelizer.decisions import (
    CarriedDecision,
    Decision,
    RoundSummary,
    build_carry_operation,
)
from get_data.labelizer.operations import (
    ATTRIBUTES,
    VALUES,
    Attribute,
    Columns,
    Floats,
    Integers,
    Operation,
    expand_positions,
    moved,
    to_column,
)
from get_data.labelizer.value_rules import ValueRules, with_all_values
from get_data.labels import ids

SUFFIX = work_database.SUFFIX
HISTORY_LENGTH = 1000  # operations that a page gets when it opens, and can undo

_COLUMNS = [column.name for column in fields(Decision)]
_SELECT_ENTRIES = f"SELECT {', '.join(_COLUMNS)} FROM entry WHERE position >= 0"
_IS_EDITED = """
reviewed OR direction != old_direction OR speed != old_speed OR deleted != old_deleted
OR steering IS NOT NULL OR throttle IS NOT NULL
"""


class LeaseLost(ToolkitError):
    """Another page has taken the lease since."""


def path_for(labels: Path) -> Path:
    """Return the path of the work file of a label file."""
    return labels.with_name(labels.name + SUFFIX)


class WorkFile:
    """An open work file.

    Raises:
        WorkFileInUse: another process has it open.
        InputError: the file is not a work file, or of a newer version.
        WriteFailed: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._open()

    def _open(self) -> None:
        self._lock_descriptor = work_database.acquire_lock(self.path)
        try:
            self._database = work_database.connect(self.path)
        except BaseException:
            os.close(self._lock_descriptor)
            raise

    def close(self) -> None:
        """Close the file; SQLite writes its log back into it."""
        with self._lock:
            self._database.close()
            os.close(self._lock_descriptor)

    @property
    def is_new(self) -> bool:
        """Whether the file is still empty."""
        return not self._rows("SELECT 1 FROM sqlite_master LIMIT 1")

    @property
    def name(self) -> str:
        """Unique identifier of this work, different for each file that is begun."""
        return str(self._read_fact("work"))

    @property
    def sha256(self) -> str:
        """Hash of the label file that the work belongs to."""
        return str(self._read_fact("sha256"))

    @property
    def epoch(self) -> int:
        """Number of times that the lease was taken; identifies the current lease."""
        return int(self._read_fact("epoch"))

    def initialize(self, catalogue: Catalogue, *, epoch: int = 0) -> None:
        """Create the tables and fill in the entries of the catalogue.

        `epoch` continues that of the previous work file, so that none of its leases is valid here.

        Raises:
            WriteFailed: the file cannot be written; it stays empty.
        """
        facts = [("work", uuid4().hex), ("sha256", catalogue.sha256), ("epoch", epoch)]
        # one transaction: after a kill the file is empty, and is initialized again
        with self._transaction() as database:
            work_database.create_tables(database)
            database.executemany("INSERT INTO fact VALUES (?, ?)", facts)
            _insert_entries(database, catalogue, range(len(catalogue)))

    def follow(self, catalogue: Catalogue) -> None:
        """Move entries and operations to where the catalogue has them, if that differs.

        A version that ordered entries by time alone mixed drives recorded at the same time, and
        pictures without a label come and go. Those that are gone keep their state, below zero,
        for when they come back; operations go on without them.

        The work gets a new name: an operation that a page has not sent yet has earlier positions.

        Raises:
            WriteFailed: the file cannot be written; nothing in it has moved.
        """
        old_ids = [
            img_id
            for (img_id,) in self._rows(
                "SELECT img_id FROM entry WHERE position >= 0 ORDER BY position"
            )
        ]
        if old_ids == catalogue.ids:
            return
        rows = self._rows("SELECT position, img_id FROM entry")
        positions = {img_id: position for position, img_id in enumerate(catalogue.ids)}
        missing = -1
        new_positions = {}
        for old, img_id in rows:
            new_positions[old] = positions.pop(img_id, missing)
            missing -= new_positions[old] == missing
        with self._transaction() as database:
            # positions are unique at every moment: first all out of the way
            out_of_the_way = max(new_positions, default=0) - min(new_positions, default=0) + 1
            out_of_the_way += len(catalogue)
            database.execute("UPDATE entry SET position = -position - ?", (out_of_the_way,))
            database.executemany(
                "UPDATE entry SET position = ? WHERE position = ?",
                [(new, -old - out_of_the_way) for old, new in new_positions.items()],
            )
            _insert_entries(database, catalogue, positions.values())
            self._move_operations(database, new_positions, len(old_ids))
            database.execute("UPDATE fact SET value = ? WHERE name = 'work'", (uuid4().hex,))
        self.__dict__.pop("_limits", None)  # computed again, in the new order

    def _move_operations(
        self, database: sqlite3.Connection, new_positions: Mapping[int, int], count: int
    ) -> None:
        """Rewrite the operations for entries that have moved; `count` entries had been there."""
        by_position = np.array([new_positions[position] for position in range(count)], np.int64)
        for seq, content in self._rows("SELECT seq, content FROM operation"):
            operation = moved(msgspec.json.decode(content, type=Operation), by_position)
            if operation is None:
                database.execute("DELETE FROM operation WHERE seq = ?", (seq,))
            else:
                database.execute(
                    "UPDATE operation SET content = ? WHERE seq = ?",
                    (msgspec.json.encode(operation).decode(), seq),
                )

    def take_lease(self) -> int:
        """Start a new lease and return its epoch; earlier ones are void.

        Raises:
            WriteFailed: the file cannot be written.
        """
        with self._transaction() as database:
            database.execute("UPDATE fact SET value = value + 1 WHERE name = 'epoch'")
        return self.epoch

    def check_lease(self, epoch: int) -> None:
        """Check that the lease is the current one.

        Raises:
            LeaseLost: another lease was taken since.
        """
        if epoch != self.epoch:
            raise LeaseLost(f"lease {epoch} is no longer valid; the current one is {self.epoch}")

    def apply(
        self,
        operations: Sequence[Operation],
        rules: ValueRules,
        *,
        epoch: int,
        by: str,
        on: datetime,
    ) -> list[Operation]:
        """Save the operations and apply those that are new; all of them or none.

        Return those that the server had to plan, as they were saved.

        Raises:
            LeaseLost: `epoch` is not the current lease.
            InputError: an operation is invalid.
            WriteFailed: the file cannot be written.
        """
        with self._transaction() as database:
            # within the transaction: a lease taken meanwhile voids the whole batch
            self.check_lease(epoch)
            origin = (epoch, by, times.format_time(on))
            saved = [self._apply(database, operation, rules, origin) for operation in operations]
        return [after for before, after in zip(operations, saved, strict=True) if before.is_planned]

    def _apply(
        self,
        database: sqlite3.Connection,
        operation: Operation,
        rules: ValueRules,
        origin: tuple[int, str, str],
    ) -> Operation:
        """Apply one operation and return it as saved; `origin`: epoch, author and time."""
        epoch, by, on = origin
        if (known := self._find_operation(operation.uid)) is not None:
            # The page sends an operation again when the answer was lost: it counts once.
            return known
        positions = expand_positions(operation, self._limits["direction"].size)
        if operation.is_planned:
            operation = rules.plan(operation, positions, self._current())
        elif not operation.set:
            raise InputError(f"operation {operation.uid} sets nothing")
        near = self._current(positions)
        current: Columns = {name: near[name][positions - positions[0]] for name in ATTRIBUTES}
        referred = self._find_operation(operation.of) if operation.of else None
        changes = rules.complete(operation, positions, current, referred)
        self._check_limits(operation, positions, changes)
        operation = with_all_values(operation, changes, current)
        database.execute(
            "INSERT INTO operation (uid, epoch, made_by, made_on, content) VALUES (?, ?, ?, ?, ?)",
            (operation.uid, epoch, by, on, msgspec.json.encode(operation).decode()),
        )
        # the resulting state is stored beside the log, so that opening replays nothing
        assignments = "".join(f"{attribute} = ?, " for attribute in changes)
        database.executemany(
            f"UPDATE entry SET {assignments}changed_by = ?, changed_on = ? WHERE position = ?",
            zip(
                *(_to_rows(values) for values in changes.values()),
                (by,) * positions.size,
                (on,) * positions.size,
                positions.tolist(),
                strict=True,
            ),
        )
        return operation

    def _check_limits(self, operation: Operation, positions: Integers, changes: Columns) -> None:
        """Raise InputError if a class or a flag is out of the range of its entry."""
        for attribute, limits in self._limits.items():
            if attribute in changes:
                values = changes[attribute]
                lowest = -1 if attribute in VALUES else 0
                if np.any((values < lowest) | (values >= limits[positions])):
                    raise InputError(f"operation {operation.uid}: {attribute} out of range")

    def _find_operation(self, uid: str) -> Operation | None:
        """Return a saved operation."""
        rows = self._rows("SELECT content FROM operation WHERE uid = ?", uid)
        return msgspec.json.decode(rows[0][0], type=Operation) if rows else None

    def _current(self, positions: Integers | None = None) -> Columns:
        """Return the state by attribute; only read near the positions, if there are some."""
        count = self._limits["direction"].size
        first, last = (0, count - 1) if positions is None else (positions[0], positions[-1])
        rows = self._rows(
            f"SELECT {', '.join(ATTRIBUTES)} FROM entry WHERE position BETWEEN ? AND ?"
            " ORDER BY position",
            int(first),
            int(last),
        )
        columns = zip(ATTRIBUTES, zip(*rows, strict=True), strict=True)
        found: Columns = {name: to_column(name, values) for name, values in columns}
        return found

    @cached_property
    def _limits(self) -> dict[Attribute, Integers]:
        """Exclusive upper limit of each attribute, by position."""
        rows = self._rows(
            "SELECT nb_dir, nb_speed FROM entry WHERE position >= 0 ORDER BY position"
        )
        counts = np.array(rows)
        two = np.full(len(counts), 2)
        return {
            "direction": counts[:, 0],
            "speed": counts[:, 1],
            "reviewed": two,
            "deleted": two,
        }

    def carry(
        self, carried: Sequence[CarriedDecision], rules: ValueRules, *, by: str, on: datetime
    ) -> None:
        """Repeat the decisions of another work file, with their original authors and times.

        Raises:
            WriteFailed: the file cannot be written.
        """
        if not carried:
            return
        authors = [(each.changed_by, each.changed_on, position) for position, each in carried]
        # the operation is signed by whoever carries; each decision keeps its author and time
        with self._transaction() as database:
            origin = (self.epoch, by, times.format_time(on))
            self._apply(database, build_carry_operation(carried), rules, origin)
            database.executemany(
                "UPDATE entry SET changed_by = ?, changed_on = ? WHERE position = ?", authors
            )

    def settle(self, settled: Sequence[CarriedDecision], summary: RoundSummary) -> None:
        """Note what an earlier round has decided and the label file has; keep its summary.

        That is no step of this work: nothing of it is undone or exported.

        Raises:
            WriteFailed: the file cannot be written.
        """
        rows = [
            (each.reviewed and not each.deleted, each.changed_by, each.changed_on, position)
            for position, each in settled
        ]
        with self._transaction() as database:
            database.executemany(
                "UPDATE entry SET settled = 1, reviewed = ?, changed_by = ?, changed_on = ?"
                " WHERE position = ?",
                rows,
            )
            fact = ("round", msgspec.json.encode(summary).decode())
            database.execute("INSERT INTO fact VALUES (?, ?)", fact)

    def settled(self) -> list[int]:
        """Return the positions of entries that an earlier round has settled."""
        rows = self._rows("SELECT position FROM entry WHERE settled AND position >= 0")
        return sorted(position for (position,) in rows)

    def previous_round(self) -> RoundSummary | None:
        """Return what became of the round before this work; None if it is the first."""
        rows = self._rows("SELECT value FROM fact WHERE name = 'round'")
        return msgspec.json.decode(rows[0][0], type=RoundSummary) if rows else None

    def history(self) -> list[Operation]:
        """Return the latest operations, oldest first."""
        rows = self._rows("SELECT content FROM operation ORDER BY seq DESC LIMIT ?", HISTORY_LENGTH)
        return [msgspec.json.decode(content, type=Operation) for (content,) in reversed(rows)]

    def decisions(self, *, with_settled: bool = False) -> list[Decision]:
        """Return the entries that were edited, by position; also those settled before, if asked."""
        condition = f"{_IS_EDITED} OR settled" if with_settled else _IS_EDITED
        rows = self._rows(f"{_SELECT_ENTRIES} AND ({condition}) ORDER BY position")
        return [Decision(**dict(zip(_COLUMNS, row, strict=True))) for row in rows]

    def archive(self, now: datetime) -> Path:
        """Close the file, rename it after the time, and return its new path.

        Raises:
            WriteFailed: the file is open again under its own name.
        """
        archived = self.path.with_suffix(f".{ids.format_img_id(now)}.sqlite3")
        wal = work_database.wal_path(self.path)
        with self._lock:
            self.close()
            # A log that is still there, on a full disk for example, would be lost with the name.
            if wal.exists():
                self._open()
                raise WriteFailed(f"{self.path} cannot be written back from {wal}")
            try:
                self.path.rename(archived)
                sync_folder(archived.parent)
            except OSError as error:
                if archived.exists():
                    archived.rename(self.path)
                self._open()
                raise WriteFailed(f"{archived} cannot be written: {error.strerror}") from error
        return archived

    def _read_fact(self, name: str) -> str | int:
        value: str | int = self._rows("SELECT value FROM fact WHERE name = ?", name)[0][0]
        return value

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit what the block does, or roll it back after any exception.

        Raises:
            WriteFailed: the file cannot be written.
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


def _insert_entries(
    database: sqlite3.Connection, catalogue: Catalogue, positions: Iterable[int]
) -> None:
    """Add entries as the catalogue has them: old and current values are the same at first."""
    chosen = np.fromiter(positions, np.int64)
    groups = [catalogue.groups[number] for number in catalogue.group[chosen].tolist()]
    values = (
        catalogue.direction[chosen].tolist(),
        catalogue.speed[chosen].tolist(),
        ((catalogue.flags[chosen] & Flag.MARKED) != 0).tolist(),
    )
    rows = zip(
        chosen.tolist(),
        [catalogue.ids[position] for position in chosen.tolist()],
        [group.nb_dir for group in groups],
        [group.nb_speed for group in groups],
        *values,
        *values,
        strict=True,
    )
    database.executemany(
        "INSERT INTO entry (position, img_id, nb_dir, nb_speed, old_direction, old_speed,"
        " old_deleted, direction, speed, deleted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def _to_rows(values: Integers | Floats) -> list[int | float | None]:
    """Return a column for SQLite: NULL for NaN."""
    return [None if value != value else value for value in values.tolist()]


def restore_archived(archived: Path, path: Path) -> None:
    """Give an archived file its name back, replacing the new one begun there."""
    # SQLite would replay the new file's log into the old one
    work_database.wal_path(path).unlink(missing_ok=True)
    archived.replace(path)
