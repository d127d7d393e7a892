"""Delete labels, and every picture that neither a label nor a frozen set names any more.

Another upload may create a label of a picture at any moment. So a picture is deleted only after a
backup copy was made, and the index is asked again afterwards: a picture that a label names again is
restored. Backup copies are removed when index and store agree. Those that a killed deletion left
are removed by the next one, or restored if a label names their picture. The rules that the comments
cite are in `docs/architecture.md`.
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
    key_matches,
)

OLD_BACKUP_S = 3600.0  # longer than the deletion of a batch takes
MAX_ROUNDS = 20  # of repairs that another program keeps undoing

DeletionStatus = Literal["deleted", "absent"]
PictureStatus = Literal["deleted", "kept", "absent", "lost"]


@dataclass(frozen=True, slots=True)
class DeletionOutcome:
    """Outcome for one label and its picture.

    `absent`: not in the database before. A picture is `kept` while another label or a frozen set
    names it, and `lost` if one does but neither the store nor a backup copy has it.
    """

    img_id: str
    fingerprint: str
    status: DeletionStatus
    picture: PictureStatus


def delete(
    labels: Iterable[LabelReference],
    index: LabelIndex,
    store: PictureStore,
    *,
    reason: RemovalReason,
    removed_by: str,
    threads: Callable[[int], Executor] = ThreadPoolExecutor,
) -> Iterator[DeletionOutcome]:
    """Delete labels with the pictures that only they name, and yield the outcome of each label.

    Raises:
        DatabaseError: index or store cannot be reached; a second run completes the deletion.
    """
    run = uuid4().hex
    for batch in _distinct_batches(labels):
        keys = _find_keys(batch, index)
        removed_at = times.format_time(datetime.now(UTC))
        tombstones = [
            Tombstone(
                label.fingerprint,
                label.img_id,
                keys[label.fingerprint],
                reason,
                removed_by,
                removed_at,
            )
            for label in batch
        ]
        # D9: a label without its picture is worse than a picture without a label
        removed = _remove_labels(tombstones, index)
        named = {key for key in keys.values() if key}
        pictures = reconcile(named, index, store, run=run, threads=threads)
        for label in batch:
            yield DeletionOutcome(
                label.img_id,
                label.fingerprint,
                "deleted" if label.fingerprint in removed else "absent",
                pictures.get(keys[label.fingerprint], "absent"),
            )


def _remove_labels(tombstones: Collection[Tombstone], index: LabelIndex) -> set[str]:
    """Remove labels for good, and return the fingerprints of those that existed.

    Raises:
        DatabaseError: another program keeps restoring them.
    """
    removed: set[str] = set()
    for _ in range(MAX_ROUNDS):
        # D4: an upload that creates one of these labels meanwhile finds its tombstone
        index.add_tombstones(list(tombstones))
        removed |= index.remove([tombstone.fingerprint for tombstone in tombstones])
        # D34: an upload that restores a label may have removed its tombstone before that
        kept = index.find_tombstones([tombstone.fingerprint for tombstone in tombstones])
        tombstones = [each for each in tombstones if each.fingerprint not in kept]
        if not tombstones:
            return removed
    raise DatabaseError(
        f"{index.name}: another program restores labels as fast as they are deleted; stop it and "
        "run again"
    )


def plan(
    labels: Iterable[LabelReference],
    index: LabelIndex,
    store: PictureStore,
    *,
    kept: Collection[str] = (),
) -> Iterator[DeletionOutcome]:
    """Yield what `delete` would do, without changing anything.

    `kept`: keys of the pictures that the same run gives another label.
    """
    labels = list(labels)
    leaving = {label.fingerprint for label in labels}
    for batch in _distinct_batches(labels):
        keys = _find_keys(batch, index)
        found = index.find([label.fingerprint for label in batch])
        references = index.find_references(set(keys.values()))
        sizes = store.sizes({key for key in keys.values() if key})
        held = {*kept, *store.find_set_references(sizes)}
        # a picture stays while a label that this run does not remove names it, or a frozen set
        for label in batch:
            key = keys[label.fingerprint]
            picture: PictureStatus = "absent"
            if key in sizes:
                is_named = key in held or references.get(key, set()) - leaving
                picture = "kept" if is_named else "deleted"
            yield DeletionOutcome(
                label.img_id,
                label.fingerprint,
                "deleted" if label.fingerprint in found else "absent",
                picture,
            )


def _distinct_batches(labels: Iterable[LabelReference]) -> Iterator[list[LabelReference]]:
    return batches({label.fingerprint: label for label in labels}.values())


def _find_keys(labels: Sequence[LabelReference], index: LabelIndex) -> dict[str, str]:
    """Return each label's picture key: from the index, else its tombstone, else as given."""
    fingerprints = [label.fingerprint for label in labels]
    keys = {label.fingerprint: label.s3_key for label in labels}
    tombstones = index.find_tombstones(fingerprints)
    keys |= {name: tombstone.s3_key for name, tombstone in tombstones.items() if tombstone.s3_key}
    keys |= {name: label.s3_key for name, label in index.find(fingerprints).items()}
    return keys


def reconcile(
    keys: Collection[str],
    index: LabelIndex,
    store: PictureStore,
    *,
    run: str,
    threads: Callable[[int], Executor] = ThreadPoolExecutor,
) -> dict[str, PictureStatus]:
    """Bring index and store to agree on each picture: named and stored, or neither.

    Repeats until fresh answers of both agree. Old backup copies that killed deletions left are
    reconciled along with the pictures. Returns the status of each picture.

    Raises:
        DatabaseError: another program keeps changing the same pictures.
    """
    statuses: dict[str, PictureStatus] = {}
    # D13: list old copies before asking the index; a newer one may be its owner's only picture
    old = _list_old_backups(store)
    unreconciled = {*keys, *old}
    with threads(THREADS) as pool:
        for _ in range(MAX_ROUNDS):
            # D11: both are asked anew in each round, so changes of other programs are seen
            # D27: a frozen set names its pictures as a label does
            named = index.find_references(unreconciled).keys() | store.find_set_references(
                unreconciled
            )
            stored = store.sizes(unreconciled)
            agreed = {key for key in unreconciled if (key in named) == (key in stored)}

            # D12: an old copy may be the only intact one, so repair the picture before the copy
            # goes, and ask about it again
            with_old_copy = sorted(key for key in agreed if key in stored and key in old)
            repaired = pool.map(lambda key: _repair(key, store), with_old_copy)
            agreed -= {key for key, done in zip(with_old_copy, repaired, strict=True) if done}

            # D12: only now that both agree are the copies needless, and old ones only once the
            # picture is durable: a killed program may have left it in memory
            if with_old_copy:
                store.make_durable()
            copies = [path for key in agreed for path in {backup_path(key, run), *old.get(key, ())}]
            _wait_for_all(pool.map(store.delete, sorted(copies)))
            for key in agreed:
                statuses[key] = "kept" if key in stored else statuses.get(key, "absent")

            # D11: a label was created after its picture was deleted
            missing = sorted(unreconciled & named - stored.keys())
            restored = pool.map(lambda key: _restore(key, store, store.put_new), missing)
            lost = [key for key, done in zip(missing, restored, strict=True) if not done]
            statuses |= dict.fromkeys(lost, "lost")

            # D10: back up, make the copies durable, and only then delete
            unnamed = sorted(unreconciled & stored.keys() - named)
            backed_up = list(pool.map(lambda key: store.back_up(key, run), unnamed))
            store.make_durable()
            going = [key for key, done in zip(unnamed, backed_up, strict=True) if done]
            _wait_for_all(pool.map(store.delete, going))
            statuses |= dict.fromkeys(going, "deleted")

            # a lost picture cannot be reconciled; the others are asked about again
            unreconciled -= {*agreed, *lost}
            if not unreconciled:
                return statuses
            old = _list_old_backups(store)  # D13
    raise DatabaseError(
        f"picture store {store.name!r}: another program uploads pictures as fast as they are "
        "deleted; stop it and run again"
    )


def _wait_for_all(results: Iterable[object]) -> None:
    """Exhaust the results of `Executor.map`; raise the first exception among them."""
    for _ in results:
        pass


def _list_old_backups(store: PictureStore) -> dict[str, list[str]]:
    """Return the paths of the backup copies that killed deletions left, by key."""
    old = {
        key: [copy.path for copy in copies if copy.age_s > OLD_BACKUP_S]
        for key, copies in store.backup_copies().items()
    }
    return {key: paths for key, paths in old.items() if paths}


def _repair(key: str, store: PictureStore) -> bool:
    """Replace a damaged picture by an intact backup copy; return whether that was done."""
    try:
        is_intact = key_matches(key, store.get(key))
    except PictureMissing:
        return False
    return not is_intact and _restore(key, store, store.put)


def _restore(key: str, store: PictureStore, put: Callable[[str, bytes], object]) -> bool:
    """Store the picture from an intact backup copy; return False if there is none."""
    for copy in store.backup_copies().get(key, ()):
        try:
            picture = store.get(copy.path)
        except PictureMissing:
            continue
        # D1: a damaged copy must not take an intact picture's place
        if key_matches(key, picture):
            put(key, picture)
            return True
    return False
