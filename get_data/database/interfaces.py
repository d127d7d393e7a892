"""The two seams of the database, and the key that ties a label to its picture.

Everything above (`upload`, `delete`, `download`) is written against these Protocols; every
implementation passes the same contract tests (`tests/test_label_index.py`,
`tests/test_picture_store.py`).
"""

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from common.errors import DatabaseError, PictureMissing, PictureUnreadable
from get_data.database.search.search_query import SearchQuery
from get_data.labels.ids import parse_img_id, sha256
from get_data.labels.schema import Document


@dataclass(frozen=True, slots=True)
class Failed:
    """One item of many that could not be dealt with, and why; a second run may."""

    img_id: str
    reason: str


PICTURE_PREFIX = "pictures/"
BACKUP_PREFIX = "deleting/"  # where a deletion keeps copies until it is sure


def picture_key(img_id: str, sha256: str) -> str:
    """The key of a picture in the store. It tells the content: two contents never share a key."""
    day = img_id[:8] if parse_img_id(img_id) else "other"
    return f"{PICTURE_PREFIX}{day}/{img_id}-{sha256[:12]}.jpg"


def key_matches(key: str, picture: bytes) -> bool:
    """Whether the key of a picture tells this content."""
    return key[-16:-4] == sha256(picture)[:12]


def is_picture_key(key: str, img_id: str) -> bool:
    """Whether a key that a label file tells is one of that picture, and leads nowhere else."""
    return key == picture_key(img_id, key[-16:-4]) and key[-16:-4].isalnum()


def is_store_path(path: str) -> bool:
    """Whether a picture, or a copy of one, may lie there; a label may name anything."""
    return path.startswith((PICTURE_PREFIX, BACKUP_PREFIX)) and ".." not in path.split("/")


def checked_path(path: str) -> str:
    """The path, when it is one of a picture: beside these lies the index. Raises: DatabaseError."""
    if not is_store_path(path):
        raise DatabaseError(f"picture store: {path!r} is no key of a picture")
    return path


@dataclass(frozen=True, slots=True)
class LabelReference:
    """A label by its fingerprint, and its picture by id and key; "" for a key that is unknown."""

    fingerprint: str
    img_id: str
    s3_key: str = ""


RemovalReason = Literal["deleted", "replaced"]


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The record of a deleted or replaced label, which keeps a later upload from restoring it."""

    fingerprint: str
    img_id: str
    s3_key: str
    reason: RemovalReason
    removed_by: str
    removed_at: str


@dataclass(slots=True)
class CreateResult:
    """The outcome of `LabelIndex.create` by fingerprint; `rejected` maps to the reason."""

    created: set[str] = field(default_factory=set)
    existing: set[str] = field(default_factory=set)
    rejected: dict[str, str] = field(default_factory=dict)


class LabelIndex(Protocol):
    """Holds labels by fingerprint and finds those that match a query. Safe to call from threads.

    All methods raise DatabaseError when the index cannot be reached or refuses.
    """

    @property
    def name(self) -> str:
        """What to call this index in a message: a path or an address."""

    def find(self, fingerprints: Collection[str]) -> dict[str, LabelReference]:
        """Those of the labels that are there, in real time: whatever was written before is seen."""

    def find_tombstones(self, fingerprints: Collection[str]) -> dict[str, Tombstone]:
        """Those of the labels that are gone for good, in real time."""

    def picture_hashes(self, img_ids: Collection[str]) -> dict[str, set[str]]:
        """The SHA-256 of the pictures that the labels of each id speak of."""

    def missing_part(self, *, tombstones: bool) -> str:
        """Return what to call the part of the index that is not there, "" when all is there.

        `tombstones`: their list counts as a part.
        """

    def ensure_exists(self) -> None:
        """Create the index where there is none.

        Called before the first picture goes in: a store of pictures without an index has lost it.
        """

    def create(self, documents: Sequence[Document]) -> CreateResult:
        """The labels are in, each that was not there; one that was there stays as it was."""

    def add_tombstones(self, gone: Sequence[Tombstone]) -> None:
        """The labels count as gone for good; of one that did already the older record stays."""

    def remove_tombstones(self, fingerprints: Collection[str]) -> None:
        """The labels may be created again. Those that were not gone are passed over."""

    def remove(self, fingerprints: Collection[str]) -> set[str]:
        """The labels are out; returns those that were there."""

    def find_references(self, keys: Collection[str]) -> dict[str, set[str]]:
        """The fingerprints of the labels that name each picture key; keys without one are left out.

        Counts all writes before the call.
        """

    def search(self, query: SearchQuery) -> Generator[bytes, None, None]:
        """The documents that match, as they were at the start: JSON, one line each.

        What another program wrote is found at the latest when that has closed its index.

        Sorted by `img_id` up, `label.created_on_date` down (missing is oldest), fingerprint up. No
        cap; memory is bounded by a page. To be closed when it is not used up. Raises: InputError
        for what this index cannot answer.
        """

    def count(self, query: SearchQuery) -> int:
        """How many labels match."""

    def custom_fields(self) -> set[str]:
        """Return the dotted names of the fields that labels have beyond the declared ones."""

    def close(self) -> None:
        """Nothing is held open. May be called twice."""


@dataclass(frozen=True, slots=True)
class BackupCopy:
    """A copy of a picture that a deletion has put aside."""

    path: str
    age_s: float


@dataclass(frozen=True, slots=True)
class PictureState:
    """A picture that the store has: its size in bytes, and whether its content is the key's."""

    size: int
    is_intact: bool


CopyReader = Callable[[], bytes | None]  # a picture as the caller has it, whole; None without one


class PictureStore(Protocol):
    """Holds pictures by key. Safe to call from threads.

    All methods raise DatabaseError when the store cannot be reached or refuses.
    """

    @property
    def name(self) -> str:
        """What a label's `s3_bucket` says."""

    def put_new(self, key: str, picture: bytes) -> bool:
        """Put the picture; return False when it was there already and stays.

        An object with this key but another content is damaged and is overwritten: keys are
        content-addressed. A store that charges for reading judges by the size and the hash that it
        tells without being read.
        """

    def has_pictures(self) -> bool:
        """Return whether any picture is there, labelled or not."""

    def put(self, key: str, picture: bytes) -> None:
        """Put the picture, over whatever has its key."""

    def get(self, path: str) -> bytes:
        """Return the picture under a key, or a copy.

        Raises: PictureMissing; PictureUnreadable when only this one cannot be read.
        """

    def sizes(self, keys: Collection[str]) -> dict[str, int]:
        """Those of the keys that are there, each with its size in bytes."""

    def examine(
        self, pictures: Mapping[str, CopyReader], *, read: bool = False
    ) -> dict[str, PictureState]:
        """Return those of the pictures that are there, and whether each is whole.

        A store that charges for reading compares the hash that it lists with the caller's own copy,
        where both are to be had; `read` reads every picture.
        """

    def make_durable(self) -> None:
        """All that was put before outlives a power cut."""

    def backup_copies(self) -> dict[str, list[BackupCopy]]:
        """The copies that deletions have put aside, by key; ages by the store's own clock."""

    def back_up(self, key: str, run: str) -> bool:
        """A copy lies under `backup_path(key, run)`; False when there was no picture to copy."""

    def delete(self, path: str) -> None:
        """Nothing is under that key, or copy's path."""


def read_picture(store: PictureStore, key: str) -> bytes:
    """The picture of that key, also while a deletion has it aside.

    A damaged one only where there is no whole one. Raises: PictureMissing, PictureUnreadable.
    """
    damaged = unreadable = None
    for path in _places(store, key):
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


def _places(store: PictureStore, key: str) -> Iterator[str]:
    """Where a picture may be, asked for one after the other."""
    yield key
    yield from (copy.path for copy in store.backup_copies().get(key, ()))
    yield key  # which may have been put back meanwhile


def backup_path(key: str, run: str) -> str:
    """Where the deletion `run` puts its copy of a picture."""
    return f"{BACKUP_PREFIX}{key}/{run}"
