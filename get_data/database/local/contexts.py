"""Contexts: what labels have in common, stored once and searched first.

The context of a label is its document without the fields that differ from picture to picture. The
labels of a drive share a few, so a database of a million labels has some hundred. Whatever a search
asks about an event, a comment, a setting or a custom field is decided on these (`matching`), and
their labels are found by an index: words, wildcards and regular expressions need no other.

Which fields are left out is a table of the file (`varying`), not a constant: a version that leaves
out other fields than the one that wrote a label must not search its context for them.
"""

import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from hashlib import blake2b

import msgspec

from get_data.database.local import documents
from get_data.labels.schema import INDEX_TYPES, OBJECTS, RESERVED, Document
from get_data.labels.unicode_forms import to_nfc

VARYING = (
    *("img_id", "file_name", "timestamp", "label_fingerprint"),
    *("s3_key", "picture_size", "picture_sha256", "upload_date"),
    *("label.created_on_date", "label.label_direction", "label.label_speed"),
    *("label.raw_direction", "label.raw_speed", "label.steering", "label.throttle"),
)
"""Fields that differ from picture to picture; custom ones are found out (`_find_varying`)."""

SCHEMA = (
    """
    CREATE TABLE contexts (
        id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        content BLOB NOT NULL
    )
    """,
    "CREATE TABLE varying (path TEXT PRIMARY KEY) WITHOUT ROWID",
)

_ENOUGH = 100  # labels that show which custom fields vary
_OFTEN = 1 / 8  # of the labels


class Varying:
    """The fields that the contexts of a file do not have."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = frozenset(paths)
        self._top = frozenset(path for path in self.paths if not self._owner(path))
        self._inside = {
            name: frozenset(
                path.removeprefix(f"{name}.") for path in self.paths if self._owner(path) == name
            )
            for name in OBJECTS
        }
        self._last_nfc = b""

    @staticmethod
    def _owner(path: str) -> str:
        """Return the object of a label that the path leads into, "" for none."""
        head, dot, _ = path.partition(".")
        return head if dot and head in OBJECTS else ""

    def concerns(self, path: str) -> bool:
        """Return whether a field is one of these, is inside one, or has one inside."""
        return any(
            path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.")
            for other in self.paths
        )

    def custom_paths(self) -> set[str]:
        """Return the custom fields among them."""
        return {path for path in self.paths if path not in INDEX_TYPES}

    def context(self, document: Document) -> bytes:
        """Return the context of a label as JSON, with all texts in NFC."""
        context = _without(document, self._top)
        for name, keys in self._inside.items():
            if keys and isinstance(inside := context.get(name), dict):
                context[name] = _without(inside, keys)
        encoded = msgspec.json.encode(context)
        if encoded.isascii() or encoded == self._last_nfc:  # as that of the label before
            return encoded
        if not unicodedata.is_normalized("NFC", encoded.decode()):
            return msgspec.json.encode(to_nfc(context))
        self._last_nfc = encoded
        return encoded


def _without(content: Document, keys: Iterable[str]) -> Document:
    rest = content.copy()
    for key in keys:
        rest.pop(key, None)
    return rest


def read_varying(connection: sqlite3.Connection) -> Varying:
    """Return the fields that the contexts of a file do not have."""
    return Varying(path for (path,) in connection.execute("SELECT path FROM varying"))


def read_all(connection: sqlite3.Connection) -> Iterator[tuple[int, Document]]:
    """Yield the number and the content of each context.

    Raises:
        DatabaseError: one is damaged.
    """
    for number, content in connection.execute("SELECT id, content FROM contexts"):
        yield number, documents.decode_and_apply(content, dict)


def _find_varying(labels: Sequence[Document]) -> set[str]:
    """Return the custom fields that often change from one of these labels to the next."""
    changes: Counter[str] = Counter()
    before: dict[str, object] = {}
    for document in labels:
        values = dict(_custom_values(document))
        changes.update(
            path for path in values.keys() | before.keys() if values.get(path) != before.get(path)
        )
        before = values
    return {path for path, count in changes.items() if count > _OFTEN * len(labels)}


def _custom_values(document: Document) -> Iterator[tuple[str, object]]:
    for key, value in document.items():
        if key not in RESERVED:
            yield to_nfc(key), value
        elif key in OBJECTS and isinstance(value, dict):
            for name, inside in value.items():
                if (path := f"{key}.{to_nfc(name)}") not in INDEX_TYPES:
                    yield path, inside


def store(connection: sqlite3.Connection, labels: Sequence[Document]) -> list[int]:
    """Store the contexts of labels that are not stored yet, and return the number of each label's.

    Custom fields that vary are left out from now on.
    """
    varying = read_varying(connection)
    contents = [varying.context(document) for document in labels]
    added = {path for path in VARYING if path not in varying.paths}
    if len(labels) >= _ENOUGH and len(set(contents)) > _OFTEN * len(labels):
        added |= _find_varying(labels) - varying.paths
    if added:
        connection.executemany(
            "INSERT INTO varying (path) VALUES (?)", [(path,) for path in sorted(added)]
        )
        varying = Varying(varying.paths | added)
        contents = [varying.context(document) for document in labels]
    numbers = {content: store_content(connection, content) for content in dict.fromkeys(contents)}
    return [numbers[content] for content in contents]


def store_content(connection: sqlite3.Connection, content: bytes) -> int:
    """Store a context unless it is there, and return its number."""
    digest = blake2b(content, digest_size=16).digest()
    found = connection.execute("SELECT id FROM contexts WHERE digest = ?", (digest,)).fetchone()
    if found:
        return int(found[0])
    added = connection.execute(
        "INSERT INTO contexts (digest, content) VALUES (?, ?)", (digest, content)
    )
    return int(added.lastrowid or 0)


def remove_unused(connection: sqlite3.Connection, numbers: Collection[int]) -> None:
    """Remove the contexts that no label has any more, among those with these numbers."""
    unused = (
        "DELETE FROM contexts WHERE id = ?"
        " AND NOT EXISTS (SELECT 1 FROM labels WHERE labels.context = contexts.id)"
    )
    connection.executemany(unused, [(number,) for number in sorted(numbers)])
