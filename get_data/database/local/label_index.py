"""A label index on one machine: an SQLite file.

`query_plan` says what SQLite decides of a search; what is left, Python decides on each document
(`matching`), so that both kinds of database give the same answers. Each call has a transaction of
its own, and a connection while it runs (`index_file`): threads and programs do not interfere.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import astuple
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

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
from get_data.database.local.documents import RESTORE, decode_and_apply
from get_data.database.local.index_file import IndexFile
from get_data.database.local.query_plan import Plan
from get_data.database.search import matching, summaries
from get_data.database.search.search_query import SearchQuery
from get_data.database.search.summaries import Summary
from get_data.labels import custom_fields
from get_data.labels.ids import sha256
from get_data.labels.label_reader import LabelReader
from get_data.labels.schema import Document

_MAX_VALUES = 10_000  # per statement; SQLite allows 32,766
_FETCHED = 500  # labels that one statement fetches
_first: Callable[[tuple[Any, ...]], bytes] = itemgetter(0)

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
    """A `LabelIndex` in `folder`; the first write creates the file.

    `reuse_connections`: for many writes; then it has to be closed.
    """

    def __init__(self, folder: Path, *, reuse_connections: bool = False) -> None:
        self._file = IndexFile(folder, reuse_connections=reuse_connections)

    @property
    def name(self) -> str:
        """Path of the file."""
        return self._file.name

    @property
    def search_delay_s(self) -> float:
        """0: what is written is found at once."""
        return 0.0

    def find(self, fingerprints: Collection[str]) -> dict[str, LabelReference]:
        """Return the labels that exist, by fingerprint."""
        with self._file.connected() as connection:
            rows = _rows(
                connection,
                "SELECT fingerprint, img_id, s3_key FROM labels WHERE fingerprint IN ({})",
                fingerprints,
            )
            return {row[0]: LabelReference(*row) for row in rows}

    def read(self, fingerprints: Collection[str]) -> dict[str, StoredLabel]:
        """Return the labels that exist with their versions, by fingerprint."""
        with self._file.connected() as connection:
            return {
                fingerprint: StoredLabel(decode_and_apply(document, dict), sha256(document))
                for fingerprint, document in _documents(connection, fingerprints)
            }

    def find_tombstones(self, fingerprints: Collection[str]) -> dict[str, Tombstone]:
        """Return the tombstones that exist, by fingerprint."""
        with self._file.connected() as connection:
            rows = _rows(
                connection,
                f"SELECT {_TOMBSTONE_COLUMNS} FROM gone WHERE fingerprint IN ({{}})",
                fingerprints,
            )
            return {row[0]: Tombstone(*row) for row in rows}

    def all_tombstones(self) -> Iterator[Tombstone]:
        """Yield all tombstones, sorted by `img_id`, then fingerprint."""
        with self._file.connected() as connection:
            order = f"SELECT {_TOMBSTONE_COLUMNS} FROM gone ORDER BY img_id, fingerprint"
            for row in connection.execute(order):
                yield Tombstone(*row)

    def refresh(self) -> None:
        """Do nothing: what is committed is found."""

    def picture_hashes(
        self, img_ids: Collection[str], *, refresh: bool = True
    ) -> dict[str, set[str]]:
        """Return the SHA-256 hashes that labels state of each picture."""
        with self._file.connected() as connection:
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
        return self.name if self._file.is_missing() else ""

    def ensure_exists(self) -> None:
        """Create the file unless it exists."""
        self._file.ensure_exists()

    def update(self, *, dry_run: bool) -> list[str]:
        """Bring the layout of the file up to date, and return the versions still to come."""
        return self._file.update(dry_run=dry_run)

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
        with self._file.connected(writing=True) as connection:
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
        with self._file.connected(writing=True) as connection:
            connection.executemany(
                f"INSERT INTO gone ({_TOMBSTONE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (fingerprint) DO NOTHING",
                [astuple(tombstone) for tombstone in tombstones],
            )

    def remove_tombstones(self, fingerprints: Collection[str]) -> None:
        """Remove the tombstones of these labels, if any, so that they can be uploaded again."""
        if self._file.exists():
            with self._file.connected(writing=True) as connection:
                statement = "DELETE FROM gone WHERE fingerprint IN ({}) RETURNING fingerprint"
                list(_rows(connection, statement, fingerprints))

    def remove(self, fingerprints: Collection[str]) -> set[str]:
        """Remove the labels and return the fingerprints of those that existed."""
        if not self._file.exists():
            return set()
        with self._file.connected(writing=True) as connection:
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
        if not rows or not self._file.exists():
            result.changed.update(rows)
            return result
        # D15: compared and replaced in one transaction, and never created
        with self._file.connected(writing=True) as connection:
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
        if not versions or not self._file.exists():
            return set()
        with self._file.connected(writing=True) as connection:
            present = {name for name, _ in _documents(connection, versions)}
            return present - _remove(connection, _unchanged(connection, versions))

    def find_references(self, keys: Collection[str]) -> dict[str, set[str]]:
        """Return the fingerprints of the labels that name each picture key."""
        with self._file.connected() as connection:
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
        with self._file.connected() as connection:
            plan = _plan(connection, query)
            statement, values = plan.statement("document", order="")
            found = map(_first, connection.execute(statement, values))
            try:
                return summaries.summarize(filter(_predicate(plan), found))
            except msgspec.DecodeError as error:
                raise DatabaseError(f"the label index is damaged ({error}); {RESTORE}") from error

    def count(self, query: SearchQuery) -> int:
        """Return the number of matching labels."""
        matching.compile_query(query)
        with self._file.connected() as connection:
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
        with self._file.connected() as connection:
            if layout.lacks_contexts(connection):
                for (document,) in connection.execute("SELECT document FROM labels"):
                    names.update(decode_and_apply(document, custom_fields.custom_values))
                return names
            for _, context in contexts.read_all(connection):
                names.update(custom_fields.custom_values(context))
            return names | contexts.read_varying(connection).custom_paths()

    def close(self) -> None:
        """Close the connection between two writes, if one is kept."""
        self._file.close()

    def _select(self, query: SearchQuery) -> Generator[bytes, None, None]:
        with self._file.connected() as connection:
            yield from _matches(connection, _plan(connection, query))


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
        else map(_first, connection.execute(statement, values))
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
