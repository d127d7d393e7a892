"""Freeze a set, find it, read it, throw it away.

A frozen set is an object in the picture store that never changes. It names its pictures as labels
do, so a deletion leaves them. Freezing races with deletions as an upload does. The rules that the
comments cite are in `docs/architecture.md`.
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Literal
from uuid import uuid4

import msgspec

from common import times
from common.batching import THREADS, batches
from common.errors import (
    DatabaseError,
    InputError,
    PictureMissing,
    PictureUnreadable,
    SetDamaged,
    SetMissing,
)
from get_data.database.delete import MAX_ROUNDS, reconcile
from get_data.database.frozen.frozen_file import (
    Damaged,
    FrozenSetReader,
    FrozenSetWriter,
    Head,
)
from get_data.database.frozen.set_references import SetReferences, damaged, open_frozen_set
from get_data.database.interfaces import (
    Failed,
    LabelIndex,
    PictureStore,
    StoredSet,
    Tombstone,
    is_picture_key,
    is_set_name,
    key_matches,
    read_picture,
    set_path,
)
from get_data.labels.label_lines import Line
from get_data.labels.schema import PictureReference

CopyOf = Callable[[PictureReference], bytes | None]
"""Reads the caller's own copy of a picture; None if there is none."""

_decode_reference = msgspec.json.Decoder(PictureReference).decode


@dataclass(frozen=True, slots=True)
class SetToFreeze:
    """A set that is to be frozen.

    `description` is its `set.json`, `lines` reads its labels, `source` is its name in messages.
    """

    count: int
    sha256: str
    description: bytes
    lines: Callable[[], Iterator[Line]]
    source: str = "the set"


@dataclass(slots=True)
class FreezeOutcome:
    """What freezing has done.

    `is_new`: it was not frozen before. `is_replaced`: it was, and the store had it damaged.
    `restored`: number of pictures that were put back. With `failures`, pictures that the store
    lacks, neither was a new set frozen nor a damaged one replaced.
    """

    stored: StoredSet | None = None
    is_new: bool = False
    is_replaced: bool = False
    restored: int = 0
    failures: list[Failed] = field(default_factory=list)


def find(store: PictureStore, name: str) -> StoredSet:
    """Return the frozen set of this name, or of this full name: with the hash.

    Raises:
        InputError: there is none, or there are several.
    """
    stored = store.list_sets()
    found = [each for each in stored if name in (each.full_name, each.name)]
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(each.full_name for each in found)
        raise InputError(f"several frozen sets are named {name}; give one of {names}")
    known = sorted({each.name for each in stored})
    similar = get_close_matches(name, known) or known[:5]
    hint = f"those there are: {', '.join(similar)}" if similar else "nothing has been frozen yet"
    raise InputError(f"there is no frozen set {name!r}; {hint}")


def find_same_name(store: PictureStore, name: str, sha256: str) -> StoredSet | None:
    """Return the frozen set of this name, if it has the same content or another; None if none.

    Raises:
        InputError: the name is not allowed, or differs from that of another set only in case.
    """
    if not is_set_name(name):
        raise InputError(
            f"{name!r} cannot be the name of a set: use up to 64 letters, digits, dots, dashes "
            "and underscores, beginning with a letter or a digit, without two dots in a row, and "
            "not ending with a dash and 12 digits of a hash"
        )
    found = [each for each in store.list_sets() if each.name.casefold() == name.casefold()]
    for each in found:
        if each.name != name:
            raise InputError(
                f"a frozen set is named {each.name}, which some disks do not distinguish from "
                f"{name}; choose another name"
            )
    same = [each for each in found if each.path == set_path(name, sha256)]
    return next(iter(same or found), None)


def freeze(
    name: str,
    content: SetToFreeze,
    index: LabelIndex,
    store: PictureStore,
    *,
    copy_of: CopyOf = lambda _: None,
    threads: Callable[[int], Executor] = ThreadPoolExecutor,
) -> FreezeOutcome:
    """Freeze a set, complete what a killed run has begun, or replace a damaged set.

    The caller has seen that no other set has this name. Pictures that a deletion takes meanwhile
    are put back, from `copy_of` if need be.

    Raises:
        InputError: a label does not name its picture as an uploaded one does.
        DatabaseError: index or store cannot be reached, or somebody has given another set the same
            name in the same moment.
    """
    path = set_path(name, content.sha256)
    references = [_reference(line, content.source) for line in content.lines()]
    outcome = FreezeOutcome()
    state = find_states([path], store)[path]
    if state != "whole":
        # D28: a set is frozen of pictures that are there
        outcome.failures = list(_find_missing(references, store))
        if outcome.failures:
            return outcome
        encoded = _encode(content, references)
        if state == "damaged":
            # D36: a deletion finds it there all the time
            store.put_set(path, encoded)
            outcome.is_replaced = True
        else:
            outcome.is_new = store.put_new_set(path, encoded)
    # D28: a deletion may have taken a picture before it could see the set
    completed = complete(path, references, index, store, copy_of=copy_of, threads=threads)
    outcome.restored = completed.restored
    outcome.failures = completed.failures
    # D30: what was thrown away before is wanted again
    index.remove_tombstones([tombstone_name(path)])
    same = [each for each in store.list_sets() if each.name == name]
    outcome.stored = next((each for each in same if each.path == path), None)
    if len(same) > 1:
        names = " and ".join(each.full_name for each in same)
        raise DatabaseError(
            f"somebody has frozen another set {name} in the same moment: there are {names}; throw "
            "one of them away with freeze_set.py --delete"
        )
    if outcome.stored is None:
        raise DatabaseError(f"somebody has thrown the set {name} away meanwhile; run again")
    return outcome


SetState = Literal["absent", "damaged", "whole"]


def find_states(paths: Iterable[str], store: PictureStore) -> dict[str, SetState]:
    """Return whether the store has the sets at these paths, and as they were frozen; reads them.

    Raises:
        DatabaseError: the store cannot be reached, or a set is of a later version.
    """
    stored = {each.path: each for each in store.list_sets()}
    return {path: _state(stored.get(path), store) for path in paths}


def _state(stored: StoredSet | None, store: PictureStore) -> SetState:
    if stored is None:
        return "absent"
    try:
        return "whole" if is_whole(stored, store) else "damaged"
    except SetMissing:  # thrown away meanwhile
        return "absent"


def is_whole(stored: StoredSet, store: PictureStore) -> bool:
    """Return whether a frozen set is what was frozen; reads it all.

    Raises:
        SetMissing: it does not exist any more.
        DatabaseError: the store cannot be reached, or the set is of a later version.
    """
    try:
        read_whole(stored, store)
    except SetDamaged:
        return False
    return True


def read_whole(stored: StoredSet, store: PictureStore) -> bytes:
    """Return the object of a frozen set, once its labels have the hash that it states.

    Raises:
        SetMissing: it does not exist any more.
        SetDamaged: it is not what was frozen.
        DatabaseError: the store cannot be reached, or the set is of a later version.
    """
    blocks: list[bytes] = []

    def read_blocks() -> Iterator[bytes]:
        for block in store.read_set(stored):
            blocks.append(block)
            yield block

    reading = read_blocks()
    deque(_lines(stored, _open(stored, reading).lines()), maxlen=0)
    deque(reading, maxlen=0)
    return b"".join(blocks)


def _open(stored: StoredSet, blocks: Iterator[bytes]) -> FrozenSetReader:
    """Return a reader of a frozen set whose labels are those that its path states.

    Raises:
        SetMissing: it does not exist any more.
        SetDamaged: it is damaged, or another set.
        DatabaseError: it is of a later version.
    """
    reader = open_frozen_set(stored, blocks)
    if not reader.head.sha256.startswith(stored.short_hash):
        raise damaged(stored, Damaged("it is another set"))
    return reader


def _exists(path: str, store: PictureStore) -> bool:
    return any(each.path == path for each in store.list_sets())


def _reference(line: Line, source: str) -> PictureReference:
    """Return where a label's picture is.

    Raises:
        InputError: it does not name its picture as an uploaded label does.
    """
    try:
        reference = _decode_reference(line.document)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source}, entry {line.img_id!r}: not a label: {error}") from error
    if reference.img_id != line.img_id:
        raise InputError(f"{source}, entry {line.img_id!r}: its img_id is {reference.img_id!r}")
    if not is_picture_key(reference.s3_key, reference.img_id):
        raise InputError(
            f"{source}, entry {line.img_id!r}: s3_key {reference.s3_key!r} is not the key of an "
            "uploaded picture; repair it with check_database.py --repair, and fetch the set again"
        )
    return reference


def _find_missing(references: Iterable[PictureReference], store: PictureStore) -> Iterator[Failed]:
    """Yield the pictures that the store lacks, or has in another size."""
    for batch in batches(references):
        sizes = store.sizes([reference.s3_key for reference in batch])
        held: Mapping[str, Any] | None = None
        for reference in batch:
            size = sizes.get(reference.s3_key)
            if size is None:
                held = store.backup_copies() if held is None else held
                if reference.s3_key not in held:  # by a deletion, which may put it back
                    yield Failed(
                        reference.img_id,
                        "its picture is not in the database any more; fetch the set again, and "
                        "freeze what is there",
                    )
            elif not size or reference.picture_size not in (None, size):
                yield Failed(
                    reference.img_id,
                    "its picture is damaged in the database; run check_database.py --repair with "
                    "the folder of its recording or of a backup",
                )


def _encode(content: SetToFreeze, references: Sequence[PictureReference]) -> bytes:
    """Return the object of a set."""
    writer = FrozenSetWriter(
        count=content.count, sha256=content.sha256, description=content.description
    )
    for reference in references:
        writer.add_picture(reference.s3_key)
    return writer.close(content.lines())


@dataclass(slots=True)
class Completed:
    """Number of pictures that were put back, and those that are lost."""

    restored: int = 0
    failures: list[Failed] = field(default_factory=list)


def complete(
    path: str,
    references: Iterable[PictureReference],
    index: LabelIndex,
    store: PictureStore,
    *,
    copy_of: CopyOf = lambda _: None,
    threads: Callable[[int], Executor] = ThreadPoolExecutor,
) -> Completed:
    """Look for all pictures of a set that is there, and put missing ones back.

    Raises:
        DatabaseError: index or store cannot be reached, or another program takes the pictures as
            fast as they are stored.
    """
    completed = Completed()
    run = uuid4().hex
    for batch in batches(references):
        pending = {reference.s3_key: reference for reference in batch}
        for _ in range(MAX_ROUNDS):
            pending = {key: pending[key] for key in pending.keys() - store.sizes(pending).keys()}
            if not pending:
                break
            with threads(THREADS) as pool:
                put = pool.map(lambda each: _put_back(each, store, copy_of), pending.values())
                lost = {key for key, is_put in zip(pending, put, strict=True) if not is_put}
            completed.restored += len(pending) - len(lost)
            completed.failures += [
                Failed(
                    pending[key].img_id,
                    "its picture is lost; if you have its recording, run check_database.py "
                    "--repair with its folder",
                )
                for key in sorted(lost)
            ]
            store.make_durable()
            pending = {key: each for key, each in pending.items() if key not in lost}
            # D29: the set may have been thrown away meanwhile
            reconcile(pending, index, store, run=run, threads=threads)
            if not _exists(path, store):
                return completed
        else:
            raise DatabaseError(
                f"picture store {store.name!r}: another program deletes pictures as fast as they "
                "are stored; stop it and run again"
            )
    return completed


def _put_back(reference: PictureReference, store: PictureStore, copy_of: CopyOf) -> bool:
    """Store a picture from the caller's copy, or from what a deletion holds."""
    picture = copy_of(reference)
    if picture is None or not key_matches(reference.s3_key, picture):
        with suppress(PictureMissing, PictureUnreadable):
            picture = read_picture(store, reference.s3_key)
    if picture is None or not key_matches(reference.s3_key, picture):
        return False
    store.put_new(reference.s3_key, picture)
    return True


def read(stored: StoredSet, store: PictureStore) -> tuple[Head, Iterator[Line]]:
    """Return the head of a frozen set, and its labels.

    Raises:
        DatabaseError: it is damaged, of a later version, or has been thrown away meanwhile.
    """
    reader = _open(stored, store.read_set(stored))
    return reader.head, _lines(stored, reader.lines())


def _lines(stored: StoredSet, lines: Iterator[Line]) -> Iterator[Line]:
    try:
        yield from lines
    except Damaged as error:
        raise damaged(stored, error) from error


@dataclass(frozen=True, slots=True)
class SetDescription:
    """A frozen set in numbers: `size` in bytes; `labels` is None if it is damaged.

    `created` is the time when it was fetched, ISO 8601, UTC.
    """

    name: str
    size: int
    labels: int | None = None
    created: str = ""


def describe(store: PictureStore) -> list[SetDescription]:
    """Return all frozen sets in numbers; several of one name have their hash in it.

    Raises:
        DatabaseError: the store cannot be reached, or a set is of a later version.
    """
    stored = store.list_sets()
    names = Counter(each.name for each in stored)
    found = []
    for each in stored:
        name = each.name if names[each.name] == 1 else each.full_name
        try:
            head = open_frozen_set(each, store.read_set(each)).head
        except SetMissing:  # thrown away meanwhile
            continue
        except SetDamaged:
            found.append(SetDescription(name, each.size))
        else:
            created = str(head.set.get("created", ""))
            found.append(SetDescription(name, each.size, head.count, created))
    return found


@dataclass(frozen=True, slots=True)
class ThrownAway:
    """Number of a set's pictures that nothing else names, and of those that stay."""

    labels: int
    pictures_deleted: int
    pictures_kept: int


def read_keys(stored: StoredSet, store: PictureStore) -> list[str] | None:
    """Return the keys of a set's pictures; None if it is damaged.

    Raises:
        SetMissing: it was thrown away meanwhile.
    """
    try:
        return open_frozen_set(stored, store.read_set(stored)).head.pictures
    except SetDamaged:
        return None


def plan_throwing_away(
    stored: StoredSet, keys: Collection[str], index: LabelIndex, store: PictureStore
) -> ThrownAway:
    """Return what `throw_away` would do, without changing anything."""

    def others() -> list[StoredSet]:
        return [each for each in store.list_sets() if each.path != stored.path]

    elsewhere = SetReferences(others, store.read_set)
    deleted = kept = 0
    for batch in batches(keys):
        named = index.find_references(batch).keys() | elsewhere.find(batch)
        there = store.sizes(batch).keys()
        kept += len(there & named)
        deleted += len(there - named)
    return ThrownAway(len(keys), deleted, kept)


def throw_away(
    stored: StoredSet,
    keys: Collection[str],
    index: LabelIndex,
    store: PictureStore,
    *,
    removed_by: str,
    threads: Callable[[int], Executor] = ThreadPoolExecutor,
) -> ThrownAway:
    """Throw a frozen set away, and its pictures unless a label or another set names them.

    Raises:
        DatabaseError: index or store cannot be reached.
    """
    # D30: a restore that brings the set back meanwhile finds its tombstone
    index.add_tombstones([_tombstone(stored.path, removed_by)])
    store.delete_set(stored.path)
    # D29, D9: only now may its pictures go, as by a deletion
    run = uuid4().hex
    deleted = kept = 0
    for batch in batches(keys):
        statuses = reconcile(batch, index, store, run=run, threads=threads)
        results = [statuses.get(key) for key in batch]
        deleted += results.count("deleted")
        kept += results.count("kept")
    return ThrownAway(len(keys), deleted, kept)


def tombstone_name(path: str) -> str:
    """Return the name of a set's tombstone; no label has such a fingerprint."""
    return path


def _tombstone(path: str, removed_by: str) -> Tombstone:
    removed_at = times.format_time(datetime.now(UTC))
    return Tombstone(tombstone_name(path), path, "", "deleted", removed_by, removed_at)
