"""Which pictures frozen sets name, known without reading the sets for each question.

A set never changes, so it is read once. Of each key 8 bytes are kept: 100 sets of 100,000 pictures
take 80 MB. Two keys of the same 8 bytes would keep a picture that nobody needs, and lose none.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator
from threading import Lock

from common.errors import DatabaseError, SetDamaged, SetMissing
from get_data.database.frozen.frozen_file import Damaged, FrozenSetReader, NewerFormat
from get_data.database.interfaces import StoredSet

_64_BITS = 2**64 - 1


def open_frozen_set(stored: StoredSet, blocks: Iterator[bytes]) -> FrozenSetReader:
    """Return a reader of a frozen set.

    Raises:
        SetMissing: it does not exist any more.
        SetDamaged: it is damaged.
        DatabaseError: it is of a later version.
    """
    try:
        return FrozenSetReader(blocks)
    except Damaged as error:
        raise damaged(stored, error) from error
    except NewerFormat as error:
        raise DatabaseError(
            f"the frozen set {stored.full_name} was written by a later version: update this "
            "checkout"
        ) from error


def remedy(stored: StoredSet) -> str:
    """Return what to do about a frozen set that is damaged."""
    return (
        "bring it back with back_up.py DIR --restore, freeze it again with freeze_set.py "
        f"{stored.name} DIR, or throw it away with freeze_set.py {stored.full_name} --delete"
    )


def damaged(stored: StoredSet, error: Damaged) -> SetDamaged:
    """Return the error of a frozen set that is damaged."""
    return SetDamaged(f"the frozen set {stored.full_name} is damaged ({error}); {remedy(stored)}")


class SetReferences:
    """The pictures that the frozen sets of a store name. Thread-safe."""

    def __init__(
        self,
        list_sets: Callable[[], list[StoredSet]],
        read_set: Callable[[StoredSet], Iterator[bytes]],
    ) -> None:
        self._list_sets = list_sets
        self._read_set = read_set
        self._lock = Lock()
        self._digests: dict[str, array[int]] = {}  # of each set's keys, sorted, by path

    def find(self, keys: Collection[str]) -> set[str]:
        """Return those of the keys that a frozen set names.

        Raises:
            DatabaseError: a set cannot be read, so that what it names is unknown.
        """
        with self._lock:
            # D27: the list is asked for each time, the sets only once
            stored = {each.path: each for each in self._list_sets()}
            for path in self._digests.keys() - stored.keys():
                del self._digests[path]
            for path in stored.keys() - self._digests.keys():
                try:
                    self._digests[path] = self._read(stored[path])
                except SetMissing:  # thrown away meanwhile
                    continue
            return {key for key in keys if self._is_named(_digest(key))}

    def _read(self, stored: StoredSet) -> "array[int]":
        head = open_frozen_set(stored, self._read_set(stored)).head
        return array("Q", sorted(map(_digest, head.pictures)))

    def _is_named(self, digest: int) -> bool:
        for digests in self._digests.values():
            position = bisect_left(digests, digest)
            if position < len(digests) and digests[position] == digest:
                return True
        return False


def _digest(key: str) -> int:
    return hash(key) & _64_BITS
