"""The two interfaces of the database, and the picture key that ties a label to its picture.

Everything above (`upload`, `delete`, `download`) is written against these Protocols. Every
implementation passes the same contract tests, `tests/label_index/` and
`tests/test_picture_store.py`.
"""

import json
import re
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import msgspec

from common.errors import DatabaseError, PictureMissing, PictureUnreadable
from get_data.database.search.search_query import SearchQuery
from get_data.database.search.summaries import Summary
from get_data.labels.ids import img_id_microseconds, sha256
from get_data.labels.schema import Document


@dataclass(frozen=True, slots=True)
class Failed:
    """One item of many that failed, and the reason; a second run may succeed."""

    img_id: str
    reason: str


PICTURE_PREFIX = "pictures/"
BACKUP_PREFIX = "deleting/"  # backup copies, kept until a deletion is complete
SET_PREFIX = "sets/"  # frozen sets

_SET_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_KEY_ENDING = len("-0123456789ab.jpg")  # of a picture key, after the img_id
_SET_PATH = re.compile(f"{SET_PREFIX}({_SET_NAME})-([0-9a-f]{{12}})\\.json\\.gz")


def picture_key(img_id: str, sha256: str) -> str:
    """Return the key of a picture in the store."""
    day = "other" if img_id_microseconds(img_id) is None else img_id[:8]
    # D1: two contents never share a key
    return f"{PICTURE_PREFIX}{day}/{img_id}-{sha256[:12]}.jpg"


def key_matches(key: str, picture: bytes) -> bool:
    """Return whether the picture has the hash that its key contains."""
    return key[-16:-4] == sha256(picture)[:12]


def is_picture_key(key: str, img_id: str) -> bool:
    """Return whether the key is one that `picture_key` makes for this picture."""
    return key == picture_key(img_id, key[-16:-4]) and key[-16:-4].isalnum()


def is_made_key(key: str) -> bool:
    """Return whether the key is one that `picture_key` makes for some picture."""
    return is_picture_key(key, key_img_id(key))


def key_img_id(key: str) -> str:
    """Return the id of the picture that has this key."""
    return key.rpartition("/")[2][:-_KEY_ENDING]


def backup_path(key: str, run: str) -> str:
    """Return the path of the backup copy that the deletion `run` makes of a picture."""
    return f"{BACKUP_PREFIX}{key}/{run}"


def backed_up_key(path: str) -> str:
    """Return the key of the picture that a backup copy was made of."""
    return path.removeprefix(BACKUP_PREFIX).rpartition("/")[0]


def is_store_path(path: str) -> bool:
    """Return whether a picture or a backup copy may be there; labels may name anything."""
    return path.startswith((PICTURE_PREFIX, BACKUP_PREFIX)) and ".." not in path.split("/")


def checked_path(path: str) -> str:
    """Return the path if it is one of a picture or a backup copy.

    Raises:
        DatabaseError: it is not; beside the pictures is the index.
    """
    if not is_store_path(path):
        raise DatabaseError(f"picture store: {path!r} is not a picture key")
    return path


@dataclass(frozen=True, slots=True)
class StoredSet:
    """A frozen set in a store: path, size in bytes, and age by the store's own clock."""

    path: str
    size: int
    age_s: float

    @property
    def full_name(self) -> str:
        """Its name, and the first 12 digits of the hash of its label file."""
        return self.path.removeprefix(SET_PREFIX).removesuffix(".json.gz")

    @property
    def name(self) -> str:
        """The name that it was given."""
        return self.full_name[:-13]

    @property
    def short_hash(self) -> str:
        """The first 12 digits of the hash of its label file."""
        return self.full_name[-12:]


def is_set_name(text: str) -> bool:
    """Return whether a frozen set may have this name; one like a full name would be ambiguous."""
    return (
        re.fullmatch(_SET_NAME, text) is not None
        and ".." not in text
        and re.search("-[0-9a-f]{12}$", text) is None
    )


def set_path(name: str, sha256: str) -> str:
    """Return the path of a frozen set, from its name and the hash of its label file."""
    return f"{SET_PREFIX}{name}-{sha256[:12]}.json.gz"


def is_set_path(path: str) -> bool:
    """Return whether a path is one of a frozen set; other files may lie beside them."""
    return _SET_PATH.fullmatch(path) is not None and ".." not in path


def checked_set_path(path: str) -> str:
    """Return the path if it is one of a frozen set.

    Raises:
        DatabaseError: it is not.
    """
    if not is_set_path(path):
        raise DatabaseError(f"picture store: {path!r} is not the path of a frozen set")
    return path


@dataclass(frozen=True, slots=True)
class LabelReference:
    """A label by its fingerprint, and its picture by id and key; "" for an unknown key."""

    fingerprint: str
    img_id: str
    s3_key: str = ""


RemovalReason = Literal["deleted", "replaced"]


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A record of a deleted or replaced label, which keeps a later upload from restoring it."""

    fingerprint: str
    img_id: str
    s3_key: str
    reason: RemovalReason
    removed_by: str
    removed_at: str


@dataclass(slots=True)
class CreateResult:
    """Outcome of `LabelIndex.create` by fingerprint; `rejected` maps to the reason."""

    created: set[str] = field(default_factory=set)
    existing: set[str] = field(default_factory=set)
    rejected: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredLabel:
    """A label as the index has it; `version` is opaque and differs after every change."""

    document: Document
    version: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """A document for a label that the index has, and the version that it may replace."""

    document: Document
    version: str


@dataclass(slots=True)
class ReplaceResult:
    """Outcome of `LabelIndex.replace` by fingerprint; `rejected` maps to the reason.

    `changed`: another program changed or removed the label, and nothing was done.
    """

    replaced: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    rejected: dict[str, str] = field(default_factory=dict)


_encode = msgspec.json.Encoder().encode


def encode_document(document: Document) -> bytes:
    """Return a label as one line of JSON.

    Raises:
        ValueError, TypeError: JSON cannot express one of its values, such as NaN.
    """
    encoded = _encode(document)
    if b"null" in encoded:  # it may stand for a NaN
        json.dumps(document, allow_nan=False)
    return encoded


class LabelIndex(Protocol):
    """Labels by fingerprint, and those that match a query. Thread-safe.

    All methods raise DatabaseError if the index cannot be reached or refuses the request.
    """

    @property
    def name(self) -> str:
        """Path or address of this index, for messages."""

    @property
    def search_delay_s(self) -> float:
        """How long searches and `find_references` may miss what another program has written."""

    def find(self, fingerprints: Collection[str]) -> dict[str, LabelReference]:
        """Return the labels that exist, by fingerprint, including all earlier writes."""

    def read(self, fingerprints: Collection[str]) -> dict[str, StoredLabel]:
        """Return the labels that exist with their versions, including all earlier writes."""

    def find_tombstones(self, fingerprints: Collection[str]) -> dict[str, Tombstone]:
        """Return the tombstones that exist, by fingerprint, including all earlier writes."""

    def all_tombstones(self) -> Iterator[Tombstone]:
        """Yield all tombstones, sorted by `img_id`, then fingerprint; memory is bounded by a page.

        Another program's writes are found as by `search`.
        """

    def refresh(self) -> None:
        """Make all writes so far, by any program, visible to `search` and `all_tombstones`."""

    def picture_hashes(
        self, img_ids: Collection[str], *, refresh: bool = True
    ) -> dict[str, set[str]]:
        """Return the SHA-256 hashes that labels state of each picture.

        Includes all earlier writes; without `refresh`, those before the last one, by anybody.
        """

    def missing_part(self, *, tombstones: bool) -> str:
        """Return the name of the part of the index that does not exist, "" if all exist.

        `tombstones`: their part counts as well.
        """

    def ensure_exists(self) -> None:
        """Create the index unless it exists."""

    def create(self, documents: Sequence[Document]) -> CreateResult:
        """Create the labels that do not exist; leave existing ones unchanged."""

    def add_tombstones(self, tombstones: Sequence[Tombstone]) -> None:
        """Add the tombstones; a label that has one keeps the older one."""

    def remove_tombstones(self, fingerprints: Collection[str]) -> None:
        """Remove the tombstones of these labels, if any, so that they can be uploaded again."""

    def remove(self, fingerprints: Collection[str]) -> set[str]:
        """Remove the labels and return the fingerprints of those that existed."""

    def replace(self, replacements: Sequence[Replacement]) -> ReplaceResult:
        """Replace labels that are still as they were read; never create one.

        A replacement that names another picture key is only for `rekey`, which keeps D26.
        """

    def remove_unchanged(self, versions: Mapping[str, str]) -> set[str]:
        """Remove the labels that still have these versions, by fingerprint.

        Returns the fingerprints of those that were changed and therefore stay.
        """

    def summarize(self, query: SearchQuery) -> Summary:
        """Return the numbers of the labels that match, by drive, days in order.

        Raises:
            InputError: this index does not support the query.
        """

    def find_references(self, keys: Collection[str]) -> dict[str, set[str]]:
        """Return the fingerprints of the labels that name each picture key, without empty sets.

        Includes all earlier writes, but for those that a reader may miss (`search_delay_s`).
        """

    def search(self, query: SearchQuery) -> Generator[bytes, None, None]:
        """Yield the matching documents as of the start, each as one line of JSON.

        Another program's writes are found once it has closed its index, if not before. Sorted by
        `img_id`, then `label.created_on_date` descending (missing ones last), then fingerprint.
        Where a server loses that state, the rest is as of a later moment (rule D35), and the labels
        of one picture may be out of order. Unlimited in number; memory is bounded by a page. Close
        the generator if you stop iterating early.

        Raises:
            InputError: this index does not support the query.
        """

    def count(self, query: SearchQuery) -> int:
        """Return the number of matching labels."""

    def has_matches(self, query: SearchQuery) -> bool:
        """Return whether any label matches.

        Raises:
            InputError: this index does not support the query.
        """

    def custom_fields(self) -> set[str]:
        """Return the dotted names of the fields that labels have beyond the declared ones."""

    def close(self) -> None:
        """Release all connections. May be called twice."""


@dataclass(frozen=True, slots=True)
class BackupCopy:
    """A copy of a picture that a deletion has made."""

    path: str
    age_s: float


@dataclass(frozen=True, slots=True)
class PictureState:
    """Size of a stored picture in bytes, and whether its content matches its key.

    `is_verified`: whether the content was compared, by reading it or by a hash that the store
    lists; otherwise it only counts as intact. `file`: device and inode, if it is a file here.
    """

    size: int
    is_intact: bool
    is_verified: bool = True
    file: tuple[int, int] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """Key of a stored picture, its size in bytes, and its age by the store's own clock."""

    key: str
    size: int
    age_s: float


CopyReader = Callable[[], bytes | None]
"""Reads the caller's own copy of a picture; None if there is no intact one."""


class PictureStore(Protocol):
    """Pictures by key. Thread-safe.

    All methods raise DatabaseError if the store cannot be reached or refuses the request. What only
    a store on a server needs, such as `check` of S3 before the first request, is not part of it:
    `connection.py`, which knows what it opens, calls that.
    """

    @property
    def name(self) -> str:
        """Name of this store; labels whose pictures it holds have it as `s3_bucket`."""

    @property
    def transfers_at_once(self) -> int:
        """How many pictures to put or get at once, for the most of them in a second."""

    def put_new(self, key: str, picture: bytes) -> bool:
        """Store the picture; return False if it is there already.

        An object with this key but another content is corrupt and is overwritten: keys are
        content-addressed. A store that charges for reading compares size and listed hash.
        """

    def has_pictures(self) -> bool:
        """Return whether there is any picture, labelled or not."""

    def list_pictures(self) -> Iterator[StoredPicture]:
        """Yield all pictures, labelled or not, in no particular order; backup copies are none."""

    def put(self, key: str, picture: bytes) -> None:
        """Store the picture, overwriting whatever has its key."""

    def get(self, path: str) -> bytes:
        """Return the picture with this key, or the backup copy at this path.

        Raises:
            PictureMissing: it does not exist.
            PictureUnreadable: this one cannot be read, others may.
        """

    def sizes(self, keys: Collection[str]) -> dict[str, int]:
        """Return the size in bytes of each picture that exists."""

    def examine(
        self, pictures: Mapping[str, CopyReader], *, read: bool = False
    ) -> dict[str, PictureState]:
        """Return the state of each picture that exists.

        A store that charges for reading compares the hash it lists with the caller's copy where
        both are available; `read` makes it read every picture.
        """

    def make_durable(self) -> None:
        """Make everything stored so far survive a power cut."""

    def backup_copies(self) -> dict[str, list[BackupCopy]]:
        """Return all backup copies by picture key, with ages by the store's own clock."""

    def back_up(self, key: str, run: str) -> bool:
        """Copy the picture to `backup_path(key, run)`; return False if there is none."""

    def delete(self, path: str) -> None:
        """Delete the picture with this key, or the backup copy at this path, if it exists."""

    def list_sets(self) -> list[StoredSet]:
        """Return all frozen sets by path, including all earlier writes."""

    def put_new_set(self, path: str, content: bytes) -> bool:
        """Store a frozen set durably; return False if there is one at this path, which stays."""

    def put_set(self, path: str, content: bytes) -> None:
        """Store a frozen set durably and in one step, overwriting a damaged one at this path."""

    def read_set(self, stored: StoredSet) -> Iterator[bytes]:
        """Yield a frozen set block by block; a caller that stops early has cost no more than that.

        Raises:
            SetMissing: it does not exist any more.
        """

    def delete_set(self, path: str) -> None:
        """Delete the frozen set at this path, if it exists."""

    def find_set_references(self, keys: Collection[str]) -> set[str]:
        """Return those of the picture keys that frozen sets name, including all earlier writes.

        Each set is read once in the life of the store object.

        Raises:
            DatabaseError: a set cannot be read, so that what it names is unknown.
        """

    def stale_files(self) -> list[str]:
        """Return the names of half-written files that killed programs have left."""

    def remove_stale_files(self) -> None:
        """Remove the half-written files that killed programs have left."""


def read_picture(store: PictureStore, key: str) -> bytes:
    """Return the picture, also while a deletion holds it as a backup copy.

    A damaged one is returned only if there is no intact one.

    Raises:
        PictureMissing: there is neither a picture nor a backup copy.
        PictureUnreadable: there is, but it cannot be read.
    """
    damaged = unreadable = None
    for path in _possible_paths(store, key):
        try:
            picture = store.get(path)
        except PictureMissing:
            continue
        except PictureUnreadable as error:
            unreadable = error
            continue
        if key_matches(key, picture):
            return picture
        damaged = picture
    if damaged is None and unreadable:
        raise unreadable
    if damaged is None:
        raise PictureMissing(f"the store has no {key}")
    return damaged


def _possible_paths(store: PictureStore, key: str) -> Iterator[str]:
    """Yield the paths at which a picture may be, one after the other."""
    yield key
    yield from (copy.path for copy in store.backup_copies().get(key, ()))
    yield key  # a deletion may have restored it meanwhile
