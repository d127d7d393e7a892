"""What index, store and recordings hold, side by side in a temporary SQLite file.

Labels come sorted, pictures in any order, and there may be more of both than memory holds: SQL
joins them.
"""

import math
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from common.batching import batches
from common.errors import DatabaseError, WriteFailed
from get_data.database.interfaces import (
    StoredPicture,
    Tombstone,
    is_made_key,
    key_img_id,
    picture_key,
)
from get_data.labels.schema import PictureReference

Kind = Literal[
    "label_without_picture",
    "set_without_picture",
    "damaged_set",
    "picture_without_label",
    "wrong_size",
    "wrong_content",
    "not_uploaded",
    "unfinished_deletion",
    "leftover",
    "wrong_key",
]
KINDS: Sequence[Kind] = get_args(Kind)

_CACHE_KIB = 32_768
_PAGE = 1000  # differences that are looked at together
_MAX_VALUES = 10_000  # per statement; SQLite allows 32,766
_SETTINGS = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
_SCHEMA = """
    CREATE TABLE labels (
        fingerprint TEXT, img_id TEXT, s3_key TEXT, size INTEGER, has_own_key INTEGER
    );
    CREATE TABLE pictures (key TEXT, size INTEGER, age_s REAL);
    CREATE TABLE frozen (key TEXT PRIMARY KEY, place TEXT) WITHOUT ROWID;
    CREATE TABLE tombstones (fingerprint TEXT, img_id TEXT, s3_key TEXT);
    CREATE TABLE copies (key TEXT, path TEXT);
    CREATE TABLE differences (
        id INTEGER PRIMARY KEY, kind TEXT, img_id TEXT, fingerprint TEXT, key TEXT, size INTEGER,
        age_s REAL, place TEXT, reason TEXT, is_repaired INTEGER DEFAULT 0
    );
    CREATE INDEX differences_by_kind ON differences (kind, id);
    CREATE INDEX differences_by_picture ON differences (img_id);
    CREATE UNIQUE INDEX differences_once ON differences (kind, fingerprint, key);
"""
_INDEXES = """
    CREATE INDEX labels_by_key ON labels (s3_key);
    CREATE INDEX pictures_by_key ON pictures (key);
    CREATE INDEX tombstones_by_fingerprint ON tombstones (fingerprint);
    CREATE INDEX copies_by_key ON copies (key);
    CREATE INDEX differences_by_key ON differences (key);
"""
# A picture of 0 bytes is none, whatever its label says.
_COMPARISONS = """
    INSERT OR IGNORE INTO differences (kind, img_id, fingerprint, key, size)
        SELECT 'wrong_key', img_id, fingerprint, s3_key, size FROM labels WHERE NOT has_own_key;
    INSERT OR IGNORE INTO differences (kind, img_id, fingerprint, key, size)
        SELECT iif(pictures.key IS NULL, 'label_without_picture', 'wrong_size'),
            img_id, fingerprint, s3_key, labels.size
        FROM labels LEFT JOIN pictures ON pictures.key = s3_key
        WHERE has_own_key AND (
            pictures.key IS NULL OR pictures.size = 0 OR pictures.size != labels.size
        );
    INSERT OR IGNORE INTO differences (kind, img_id, fingerprint, key, place)
        SELECT 'set_without_picture', '', '', key, place FROM frozen
        WHERE NOT EXISTS (SELECT 1 FROM pictures WHERE pictures.key = frozen.key AND size > 0)
        AND NOT EXISTS (SELECT 1 FROM labels WHERE s3_key = frozen.key);
    INSERT OR IGNORE INTO differences (kind, img_id, fingerprint, key, size, age_s)
        SELECT 'picture_without_label', '', '', key, size, age_s FROM pictures
        WHERE NOT EXISTS (SELECT 1 FROM labels WHERE s3_key = key)
        AND NOT EXISTS (SELECT 1 FROM frozen WHERE frozen.key = pictures.key);
    INSERT OR IGNORE INTO differences (kind, img_id, fingerprint, key)
        SELECT 'unfinished_deletion', labels.img_id, fingerprint, labels.s3_key
        FROM tombstones JOIN labels USING (fingerprint);
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that index, store and recordings do not agree on.

    Attributes:
        kind: what is wrong.
        img_id, fingerprint: the label; "" for a picture or a file.
        key: the picture's key as the label or the store has it, or the path of a leftover.
        size: what the label states of its picture, in bytes.
        age_s: age of a picture.
        place: the recording that a label is in, or the frozen set.
        reason: why it could not be repaired.
        number: its number in the survey.
    """

    kind: Kind
    img_id: str = ""
    fingerprint: str = ""
    key: str = ""
    size: int | None = None
    age_s: float = 0.0
    place: str = ""
    reason: str = ""
    number: int = 0

    @property
    def subject(self) -> str:
        """What is at fault, for messages."""
        return self.img_id or self.key


class Survey:
    """All labels, pictures and tombstones of a database, and the differences found so far."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.sets = 0  # number of frozen sets
        self.temporary = 0  # differences that other programs have just made and ended

    def add_labels(self, documents: Iterable[bytes]) -> None:
        """Add all labels of an index.

        Raises:
            DatabaseError: a document is not a label.
        """
        self._insert("labels", map(_label_row, documents), columns=5)

    def add_pictures(self, pictures: Iterable[StoredPicture]) -> None:
        """Add all pictures of a store."""
        rows = ((_printable(each.key), each.size, each.age_s) for each in pictures)
        self._insert("pictures", rows, columns=3)

    def add_frozen(self, keys: Iterable[str], name: str) -> None:
        """Add the pictures that a frozen set names; each counts for one of its sets."""
        self._connection.executemany(
            "INSERT OR IGNORE INTO frozen VALUES (?, ?)", ((_printable(key), name) for key in keys)
        )

    def add_tombstones(self, tombstones: Iterable[Tombstone]) -> None:
        """Add all tombstones of an index."""
        rows = ((each.fingerprint, each.img_id, each.s3_key) for each in tombstones)
        self._insert("tombstones", rows, columns=3)

    def add_copies(self, copies: Iterable[tuple[str, Path]]) -> None:
        """Add pictures that recordings have, by key."""
        rows = ((key, str(path)) for key, path in copies)
        self._insert("copies", rows, columns=2)

    def add(self, differences: Iterable[Difference]) -> None:
        """Add differences; a label that several recordings have counts once."""
        for each in differences:
            self._connection.execute(
                "INSERT OR IGNORE INTO differences"
                " (kind, img_id, fingerprint, key, size, age_s, place)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(each.kind, each.img_id, each.fingerprint, each.key, each.size),
                    *(each.age_s, each.place),
                ),
            )

    def compare(self) -> None:
        """Add the differences between labels, pictures and tombstones."""
        self._connection.executescript(_INDEXES + _COMPARISONS)
        self._connection.execute("BEGIN")

    def count(self, table: Literal["labels", "pictures", "tombstones"]) -> int:
        """Return the number of labels, pictures or tombstones."""
        return int(self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def found(self) -> dict[Kind, int]:
        """Return the number of differences of each kind, repaired or not."""
        return self._count_kinds("1")

    def repaired(self) -> dict[Kind, int]:
        """Return the number of differences of each kind that were repaired."""
        return self._count_kinds("is_repaired")

    def _count_kinds(self, condition: str) -> dict[Kind, int]:
        counts = dict(
            self._connection.execute(
                f"SELECT kind, count(*) FROM differences WHERE {condition} GROUP BY kind"
            )
        )
        return {kind: counts.get(kind, 0) for kind in KINDS}

    def differences(self, *kinds: Kind) -> Iterator[list[Difference]]:
        """Yield the differences that are not repaired, kind by kind, in batches.

        Those of a batch may be dropped or marked before the next one is asked for.
        """
        for kind in kinds or KINDS:
            last = 0
            while batch := self._page(kind, last):
                yield batch
                last = batch[-1].number

    def drop(self, differences: Iterable[Difference]) -> None:
        """Drop differences that another look did not confirm."""
        numbers = [(each.number,) for each in differences]
        self._connection.executemany("DELETE FROM differences WHERE id = ?", numbers)
        self.temporary += len(numbers)

    def has_content(self, sha256: str) -> bool:
        """Return whether a picture is stored under a key that says this hash."""
        rows = self._connection.execute(
            "SELECT key FROM pictures WHERE key LIKE ?", (f"%-{sha256[:12]}.jpg",)
        )
        return any(is_made_key(key) for (key,) in rows)

    def claimed(self, keys: Collection[str]) -> set[str]:
        """Return those of the pictures of which a recording has a label that is not uploaded."""
        places = ",".join("?" * len(keys))
        # a label without a hash, and whose file is gone, has only its id
        ids = {key: key_img_id(key) for key in keys}
        rows = self._connection.execute(
            "SELECT img_id FROM differences"
            f" WHERE kind = 'not_uploaded' AND NOT is_repaired AND img_id IN ({places})",
            list(ids.values()),
        )
        claimed = {img_id for (img_id,) in rows}
        return {key for key, img_id in ids.items() if img_id in claimed}

    def mark_repaired(self, differences: Iterable[Difference]) -> None:
        """Mark differences that are no more."""
        numbers = [(each.number,) for each in differences]
        self._connection.executemany("UPDATE differences SET is_repaired = 1 WHERE id = ?", numbers)

    def give_reason(self, difference: Difference, reason: str) -> None:
        """Set why a difference could not be repaired."""
        self._connection.execute(
            "UPDATE differences SET reason = ? WHERE id = ?", (reason, difference.number)
        )

    def sample_keys(self, share: float) -> tuple[int, Iterator[str]]:
        """Return number and keys of a random share of the pictures that have a label.

        Those of a wrong size are left out.
        """
        labelled = (
            "FROM pictures WHERE size > 0 AND (EXISTS"
            " (SELECT 1 FROM labels WHERE s3_key = key AND has_own_key) OR EXISTS"
            " (SELECT 1 FROM frozen WHERE frozen.key = pictures.key)) AND NOT EXISTS"
            " (SELECT 1 FROM labels WHERE s3_key = key AND labels.size != pictures.size)"
        )
        count = int(self._connection.execute(f"SELECT count(*) {labelled}").fetchone()[0])
        number = math.ceil(count * share)
        # the sample is sorted, so that neighbours are asked for together
        rows = self._connection.execute(
            f"SELECT key FROM (SELECT key {labelled} ORDER BY random() LIMIT ?) ORDER BY key",
            (number,),
        )
        return number, (key for (key,) in rows)

    def copies(self, keys: Collection[str]) -> dict[str, list[Path]]:
        """Return the files of recordings that may be these pictures."""
        found: dict[str, list[Path]] = {}
        for batch in batches(keys, _MAX_VALUES):
            places = ",".join("?" * len(batch))
            for key, path in self._connection.execute(
                f"SELECT key, path FROM copies WHERE key IN ({places})", batch
            ):
                found.setdefault(key, []).append(Path(path))
        return found

    def _page(self, kind: Kind, last: int) -> list[Difference]:
        rows = self._connection.execute(
            "SELECT kind, img_id, fingerprint, key, size, coalesce(age_s, 0), coalesce(place, ''),"
            " coalesce(reason, ''), id FROM differences"
            " WHERE kind = ? AND id > ? AND NOT is_repaired ORDER BY id LIMIT ?",
            (kind, last, _PAGE),
        )
        return [Difference(*row) for row in rows]

    def _insert(self, table: str, rows: Iterable[Sequence[Any]], *, columns: int) -> None:
        places = ", ".join("?" * columns)
        self._connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)


@contextmanager
def open_survey() -> Iterator[Survey]:
    """Open an empty survey in a temporary file, of which even a kill leaves nothing.

    Raises:
        WriteFailed: the file cannot be written.
    """
    try:
        # Without a name, SQLite deletes the file as soon as it is open.
        with closing(sqlite3.connect("", isolation_level=None)) as connection:
            connection.executescript(_SETTINGS + _SCHEMA)
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            connection.execute("BEGIN")
            yield Survey(connection)
    except sqlite3.Error as error:
        raise WriteFailed(
            f"the temporary file of this check cannot be written ({error}): it takes about 0.5 GB "
            "per million labels; free some space in the temporary folder, or set TMPDIR to another"
        ) from error


_decode: Callable[[bytes], PictureReference] = msgspec.json.Decoder(PictureReference).decode


def _label_row(document: bytes) -> tuple[str, str, str, int | None, bool]:
    """Return the columns of a label.

    Raises:
        DatabaseError: it is none.
    """
    try:
        label = _decode(document)
    except (ValueError, TypeError, RecursionError) as error:
        raise DatabaseError(
            f"the label index is damaged ({error}); restore it from a backup with back_up.py DIR "
            '--restore, or from a copy; without one see docs/troubleshooting.md, "Uploading"'
        ) from error
    sha256 = label.picture_sha256 or label.s3_key[-16:-4]
    # D1: the key says the content
    has_own_key = sha256.isalnum() and label.s3_key == picture_key(label.img_id, sha256)
    return label.label_fingerprint, label.img_id, label.s3_key, label.picture_size, has_own_key


def _printable(key: str) -> str:
    """Return a key of which SQLite takes each character."""
    return key.encode(errors="backslashreplace").decode()
