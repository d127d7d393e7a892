"""The deletion: labels out, then every picture that no label names any more.

Another upload may give a picture a new label at any moment, so a picture is never deleted before it
was copied aside, and afterwards the index is asked once more: a picture that is named again is put
back. The copies go when index and store agree. What a killed deletion leaves, a copy, is dropped by
the next one, or put back if its picture is needed.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

from common import times
from common.batching import THREADS, batches
from common.errors import DatabaseError, PictureMissing
from get_data.database.interfaces import (
    LabelIndex,
    LabelReference,
    PictureStore,
    RemovalReason,
    Tombstone,
    backup_path,
    is_picture_key,
    key_matches,
    picture_key,
)
from get_data.labels import schema
from get_data.labels.schema import Document

OLD_COPY_S = 3600.0  # longer than any deletion of a batch takes

MAX_ROUNDS = 20  # of making good what another program keeps undoing


@dataclass(frozen=True, slots=True)
class Deleted:
    """What became of one label and of its picture.

    `deleted`: the label was there and is out; `absent`: it was out already. `picture` is `deleted`,
    `kept` for another label's sake, `absent`, or `lost` when a label names it and nobody has it.
    """

    img_id: str
    fingerprint: str
    what: Literal["deleted", "absent"]
    picture: Literal["deleted", "kept", "absent", "lost"]


def target(document: Document) -> LabelReference:
    """The deletion of the label that a document is."""
    says = schema.picture_reference(document)
    key = says.s3_key if is_picture_key(says.s3_key, says.img_id) else ""
    if not key and says.picture_sha256:
        key = picture_key(says.img_id, says.picture_sha256)
    return LabelReference(says.label_fingerprint, says.img_id, key)


def delete(
    targets: Iterable[LabelReference],
    index: LabelIndex,
    store: PictureStore,
    *,
    reason: RemovalReason,
    removed_by: str,
    threads: Callable[[int], Executor] = ThreadPoolExecutor,
) -> Iterator[Deleted]:
    """The labels are out for good, with the pictures that no other label names.

    Raises: DatabaseError when index or store cannot be reached; a second run goes on from there.
    """
    run = uuid4().hex
    distinct = {one.fingerprint: one for one in targets}
    for batch in batches(distinct.values()):
        keys = _keys(batch, index)
        now = times.format_time(datetime.now(UTC))
        index.add_tombstones(
            [
                Tombstone(
                    one.fingerprint, one.img_id, keys[one.fingerprint], reason, removed_by, now
                )
                for one in batch
            ]
        )
        removed = index.remove([one.fingerprint for one in batch])
        named = {key for key in keys.values() if key}
        pictures = settle(named, index, store, run=run, threads=threads)
        for one in batch:
            what: Literal["deleted", "absent"] = (
                "deleted" if one.fingerprint in removed else "absent"
            )
            yield Deleted(
                one.img_id, one.fingerprint, what, pictures.get(keys[one.fingerprint], "absent")
            )


def plan(
    targets: Sequence[LabelReference],
    index: LabelIndex,
    store: PictureStore,
    *,
    kept: Collection[str] = (),
) -> Iterator[Deleted]:
    """What `delete` would do; nothing changes. The keys `kept` are about to get a label."""
    leaving = {one.fingerprint for one in targets}
    for batch in batches({one.fingerprint: one for one in targets}.values()):
        keys = _keys(batch, index)
        there = index.find([one.fingerprint for one in batch])
        named = index.find_references(set(keys.values()))
        present = store.sizes({key for key in keys.values() if key})
        for one in batch:
            key = keys[one.fingerprint]
            what: Literal["deleted", "absent"] = "absent"
            if one.fingerprint in there:
                what = "deleted"
            picture: Literal["deleted", "kept", "absent"] = "absent"
            if key in present:
                picture = "kept" if key in kept or named.get(key, set()) - leaving else "deleted"
            yield Deleted(one.img_id, one.fingerprint, what, picture)


def _keys(targets: Sequence[LabelReference], index: LabelIndex) -> dict[str, str]:
    """The key of each label's picture: as the index tells it, else the list of those gone, else
    the label file; "" where nobody knows."""
    fingerprints = [one.fingerprint for one in targets]
    keys = {one.fingerprint: one.s3_key for one in targets}
    gone = index.find_tombstones(fingerprints)
    keys |= {name: one.s3_key for name, one in gone.items() if one.s3_key}
    keys |= {name: stored.s3_key for name, stored in index.find(fingerprints).items()}
    return keys


Settled = Literal["deleted", "kept", "absent", "lost"]


def settle(
    keys: Collection[str],
    index: LabelIndex,
    store: PictureStore,
    *,
    run: str,
    threads: Callable[[int], Executor] = ThreadPoolExecutor,
) -> dict[str, Settled]:
    """For each picture, index and store agree: it is named and there, or neither.

    Goes round until a fresh question to each says so. Returns what became of each picture; `lost`
    is one that a label names and that is neither there nor aside. Old copies that killed deletions
    left are settled along with it.
    """
    outcome: dict[str, Settled] = {}
    old = _old_copies(store)
    unsettled = {*keys, *old}
    with threads(THREADS) as pool:
        for _ in range(MAX_ROUNDS):
            named = index.find_references(unsettled)
            there = store.sizes(unsettled)
            agreed = sorted(key for key in unsettled if (key in named) == (key in there))
            # an old copy may be the only whole one: what is put right from it is asked about again
            with_copies = [key for key in agreed if key in there and key in old]
            tried = pool.map(lambda key: _put_right(key, store), with_copies)
            put_right = {key for key, done in zip(with_copies, tried, strict=True) if done}
            agreed = [key for key in agreed if key not in put_right]
            missing = sorted(unsettled & named.keys() - there.keys())
            needless = sorted(unsettled & there.keys() - named.keys())
            copies = [path for key in agreed for path in {backup_path(key, run), *old.get(key, ())}]
            _all(pool.map(store.delete, copies))
            for key in agreed:
                outcome[key] = "kept" if key in there else outcome.get(key, "absent")
            put_back = list(pool.map(lambda key: _put_back(key, store, store.put_new), missing))
            lost = [key for key, is_back in zip(missing, put_back, strict=True) if not is_back]
            outcome |= dict.fromkeys(lost, "lost")
            copied = list(pool.map(lambda key: store.back_up(key, run), needless))
            store.make_durable()  # what was put back or aside, before anything is deleted for it
            going = [key for key, is_aside in zip(needless, copied, strict=True) if is_aside]
            _all(pool.map(store.delete, going))
            outcome |= dict.fromkeys(going, "deleted")
            unsettled -= {*agreed, *lost}
            if not unsettled:
                return outcome
            old = _old_copies(store)
    raise DatabaseError(
        f"picture store {store.name!r}: another program uploads pictures as fast as they are "
        "deleted; end that one and run again"
    )


def _all(results: Iterable[object]) -> None:
    """Each is done. Raises: what one of them raised."""
    for _ in results:
        pass


def _old_copies(store: PictureStore) -> dict[str, list[str]]:
    """What killed deletions left aside, by key.

    To be listed before the index is asked: a copy made later may be needed by whoever made it.
    """
    old = {
        key: [copy.path for copy in copies if copy.age_s > OLD_COPY_S]
        for key, copies in store.backup_copies().items()
    }
    return {key: paths for key, paths in old.items() if paths}


def _put_right(key: str, store: PictureStore) -> bool:
    """Put a whole copy in the place of a damaged picture; return whether that was done."""
    try:
        is_whole = key_matches(key, store.get(key))
    except PictureMissing:
        return False
    return not is_whole and _put_back(key, store, store.put)


def _put_back(key: str, store: PictureStore, put: Callable[[str, bytes], object]) -> bool:
    """Put the picture from a whole copy; return False when there is none."""
    for copy in store.backup_copies().get(key, ()):
        try:
            picture = store.get(copy.path)
        except PictureMissing:
            continue
        if key_matches(key, picture):  # a damaged one must not take a whole one's place
            put(key, picture)
            return True
    return False
