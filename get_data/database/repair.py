"""Repair differences between index and store, from recordings and backup copies.

Nothing here decides whether a repair has succeeded: `check.look_again` does. The rules that the
comments cite are in `docs/architecture.md`.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from common.batching import THREADS, batches
from common.errors import PictureMissing, PictureUnreadable
from get_data.database.delete import delete, reconcile
from get_data.database.entries import Entry
from get_data.database.interfaces import (
    LabelIndex,
    LabelReference,
    PictureStore,
    Replacement,
    is_made_key,
    key_matches,
)
from get_data.database.rekey import may_be_stored, rekey
from get_data.database.survey import Difference, Kind, Survey
from get_data.database.upload import upload
from get_data.labels import ids, picture_file
from get_data.labels.picture_file import NotAPicture

_PICTURES_IN_MEMORY = 100
PICTURE_KINDS: Sequence[Kind] = (
    "label_without_picture",
    "set_without_picture",
    "wrong_size",
    "wrong_content",
)


@dataclass
class Sources:
    """Where intact pictures may be: files of recordings, folders of backups, backup copies."""

    survey: Survey
    store: PictureStore
    backups: Sequence[PictureStore] = ()
    threads: Callable[[int], Executor] = field(default=ThreadPoolExecutor)

    def find(self, keys: Collection[str]) -> dict[str, bytes]:
        """Return the intact pictures that were found, by key."""
        files = self.survey.copies(keys)
        copies = self.store.backup_copies()

        def read(key: str) -> bytes | None:
            return next(
                (
                    picture
                    for read_copy in self._readers(
                        key, files.get(key, ()), [copy.path for copy in copies.get(key, ())]
                    )
                    # D1: only a copy with the content that the key says may take its place
                    if (picture := read_copy()) is not None and key_matches(key, picture)
                ),
                None,
            )

        with self.threads(THREADS) as pool:
            found = zip(keys, pool.map(read, keys), strict=True)
            return {key: picture for key, picture in found if picture is not None}

    def _readers(
        self, key: str, files: Sequence[Path], copies: Sequence[str]
    ) -> Iterator[Callable[[], bytes | None]]:
        for file in files:
            yield lambda file=file: _read_file(file)  # type: ignore[misc]
        for store, path in (
            *((backup, key) for backup in self.backups),
            *((self.store, path) for path in copies),
        ):
            yield lambda store=store, path=path: _read_stored(store, path)  # type: ignore[misc]


def _read_file(file: Path) -> bytes | None:
    try:
        return picture_file.read(file)
    except (OSError, NotAPicture):
        return None


def _read_stored(store: PictureStore, path: str) -> bytes | None:
    if not may_be_stored(path):
        return None
    try:
        return store.get(path)
    except (PictureMissing, PictureUnreadable):
        return None


def restore_pictures(
    survey: Survey, index: LabelIndex, store: PictureStore, sources: Sources
) -> Iterator[Difference]:
    """Put back missing and damaged pictures of which an intact copy is found; yield all of them."""
    for batch in survey.differences(*PICTURE_KINDS):
        lost = {each.key for each in batch}
        for keys in batches(sorted(filter(may_be_stored, lost)), _PICTURES_IN_MEMORY):
            found = sources.find(keys)
            lost -= found.keys()
            # D1: the key says the content, so an intact picture may replace what has its key
            is_absent = batch[0].kind in ("label_without_picture", "set_without_picture")
            put = store.put_new if is_absent else store.put
            with sources.threads(THREADS) as pool:
                for _ in pool.map(put, found, found.values()):
                    pass
        store.make_durable()
        if batch[0].kind == "wrong_size":
            _correct_sizes(batch, index, store)
        # D11: a deletion may have removed the label meanwhile, or restores the picture itself
        reconcile_pictures({each.key for each in batch}, index, store, sources.threads)
        for each in batch:
            if each.key in lost:
                survey.give_reason(each, "no intact copy was found")
        yield from batch


def find_repairable(survey: Survey, sources: Sources) -> Iterator[Difference]:
    """Yield the differences that a repair would end, as far as can be told beforehand."""
    for batch in survey.differences():
        keys = sorted({each.key for each in batch})
        if batch[0].kind in PICTURE_KINDS:
            available = {
                key for part in batches(keys, _PICTURES_IN_MEMORY) for key in sources.find(part)
            }
            yield from (each for each in batch if each.key in available)
        elif batch[0].kind == "picture_without_label":
            removable = _find_removable(batch, survey, sources.store)
            yield from (each for each in batch if each.key in removable)
        elif batch[0].kind != "damaged_set":  # a restore brings it back
            yield from batch


def _correct_sizes(batch: Sequence[Difference], index: LabelIndex, store: PictureStore) -> None:
    """Correct the size that labels state of pictures that are intact by their hash."""
    labels = index.read([each.fingerprint for each in batch])
    replacements = []
    for each in batch:
        label = labels.get(each.fingerprint)
        picture = _read_stored(store, each.key)
        if label is None or not picture or not key_matches(each.key, picture):
            continue
        size = label.document.get("picture_size")
        sha256 = label.document.get("picture_sha256")
        if sha256 in (None, ids.sha256(picture)) and size != len(picture):
            document = {**label.document, "picture_size": len(picture)}
            replacements.append(Replacement(document, label.version))
    if replacements:
        index.replace(replacements)  # D15: as of the version that was read


def move_pictures(
    survey: Survey, index: LabelIndex, store: PictureStore, sources: Sources
) -> Iterator[Difference]:
    """Give pictures under a wrong key their own one, and yield all their labels."""
    for batch in survey.differences("wrong_key"):
        by_fingerprint = {each.fingerprint: each for each in batch}
        for failed in rekey(by_fingerprint, index, store, sources.find, threads=sources.threads):
            survey.give_reason(by_fingerprint[failed.fingerprint], failed.reason)
        yield from batch


def upload_labels(
    survey: Survey,
    index: LabelIndex,
    store: PictureStore,
    read_recording: Callable[[Path], Sequence[Entry]],
    backups: Collection[Path] = (),
) -> Iterator[Difference]:
    """Upload labels that only recordings have, and yield all of them.

    Those of `backups` are left to a restore. `read_recording` returns the labels of a recording,
    given as the `place` of a difference.
    """
    missing: dict[str, dict[str, Difference]] = {}
    for batch in survey.differences("not_uploaded"):
        for each in batch:
            missing.setdefault(each.place, {})[each.fingerprint] = each
    for place, differences in missing.items():
        if Path(place) in backups:
            for difference in differences.values():
                survey.give_reason(difference, f"back_up.py {place} --restore brings it back")
                yield difference
            continue
        entries = [each for each in read_recording(Path(place)) if each.fingerprint in differences]
        for outcome in upload(entries, index, store):
            difference = differences[outcome.fingerprint]
            if outcome.status == "failed":
                survey.give_reason(difference, outcome.reason)
            yield difference


def remove_pictures(
    survey: Survey,
    index: LabelIndex,
    store: PictureStore,
    *,
    threads: Callable[[int], Executor] = ThreadPoolExecutor,
) -> Iterator[Difference]:
    """Remove pictures that no label names, and yield all of them.

    Those that a label of a recording describes stay: it may yet be uploaded. So do files that no
    upload has named: somebody has put them there.
    """
    for batch in survey.differences("picture_without_label"):
        removable = _find_removable(batch, survey, store)
        reconcile_pictures(removable, index, store, threads)
        for each in batch:
            if each.key not in removable and not is_made_key(each.key):
                survey.give_reason(each, "no upload has named this file; move it elsewhere")
        yield from batch


def count_removable(survey: Survey, store: PictureStore) -> int:
    """Return how many pictures `remove_pictures` would remove."""
    batches_found = survey.differences("picture_without_label")
    return sum(len(_find_removable(batch, survey, store)) for batch in batches_found)


def _find_removable(batch: Sequence[Difference], survey: Survey, store: PictureStore) -> set[str]:
    keys = {each.key for each in batch}
    return {
        key
        for key in keys - survey.claimed(keys)
        # what a killed `rekey` has left is there under its own key, too
        if is_made_key(key)
        or ((picture := _read_stored(store, key)) and survey.has_content(ids.sha256(picture)))
    }


def remove_leftovers(
    survey: Survey,
    index: LabelIndex,
    store: PictureStore,
    *,
    threads: Callable[[int], Executor] = ThreadPoolExecutor,
) -> Iterator[Difference]:
    """Complete what killed deletions have left, remove half-written files, and yield all."""
    for batch in survey.differences("leftover"):
        # D12, D13: a copy goes only once index and store agree about its picture
        reconcile_pictures((), index, store, threads)
        store.remove_stale_files()
        yield from batch


def complete_deletions(
    survey: Survey,
    index: LabelIndex,
    store: PictureStore,
    *,
    threads: Callable[[int], Executor] = ThreadPoolExecutor,
) -> Iterator[Difference]:
    """Remove labels that have a tombstone, and yield all of them."""
    for batch in survey.differences("unfinished_deletion"):
        tombstones = index.find_tombstones([each.fingerprint for each in batch])
        references = index.find_references({each.key for each in batch})
        labels = []
        for each in batch:
            tombstone = tombstones.get(each.fingerprint)
            if not tombstone:
                continue
            # D8: a label goes once its correction is there, which another restore may have lost
            if tombstone.reason == "replaced" and not references.get(each.key, set()) - {
                each.fingerprint
            }:
                survey.give_reason(each, "its correction is missing")
                continue
            labels.append(LabelReference(each.fingerprint, each.img_id, each.key))
        # D4: a label keeps the tombstone that it has, with its reason
        deletion = delete(labels, index, store, reason="deleted", removed_by="", threads=threads)
        for _ in deletion:
            pass
        yield from batch


def reconcile_pictures(
    keys: Collection[str],
    index: LabelIndex,
    store: PictureStore,
    threads: Callable[[int], Executor],
) -> None:
    """Bring index and store to agree on pictures; a label may name anything."""
    paths = {key for key in keys if may_be_stored(key)}
    reconcile(paths, index, store, run=uuid4().hex, threads=threads)
