"""Bring back what a database has lost since a backup.

Nothing that somebody has done since is undone. The rules that the comments cite are in
`docs/architecture.md`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from common.batching import THREADS, batches
from common.errors import DatabaseError, SetDamaged
from common.progress import Progress, hidden
from get_data.database.backup.folder import BackupFolder, Manifest, SavedLabel, picture_of_set
from get_data.database.delete import delete
from get_data.database.entries import Entry
from get_data.database.frozen import frozen_sets
from get_data.database.frozen.set_references import open_frozen_set
from get_data.database.interfaces import (
    PICTURE_PREFIX,
    Failed,
    LabelIndex,
    LabelReference,
    PictureStore,
    Replacement,
    StoredLabel,
    StoredSet,
    Tombstone,
    is_set_path,
    is_store_path,
    key_matches,
)
from get_data.database.upload import UploadOutcome, upload
from get_data.labels.differences import amended_by, find_difference
from get_data.labels.schema import Document, PictureReference

_CHUNK = 10_000  # labels that are in memory together


@dataclass(slots=True)
class RestoreCounts:
    """Numbers of labels and tombstones, restored or to be restored.

    `there`: as in the backup. `amended`: the database had them as before an amendment.
    `differing`: changed in the database since, and therefore left. `gone`: deleted or replaced
    since, and therefore left out. `tombstones`: added. `undeleted`: labels that the backup knows as
    deleted or replaced, and that the database has: they were uploaded again. `sets`: frozen sets.
    `sets_gone`: names of frozen sets that were thrown away since, and are therefore left out.
    """

    created: int = 0
    there: int = 0
    amended: int = 0
    differing: int = 0
    gone: int = 0
    tombstones: int = 0
    undeleted: int = 0
    pictures_sent: int = 0
    sets: int = 0
    sets_gone: list[str] = field(default_factory=list)
    failures: list[Failed] = field(default_factory=list)

    @property
    def known(self) -> int:
        """Number of labels of the backup that the database has, or had."""
        return self.there + self.amended + self.differing + self.gone

    def count_stored(self, relation: "Relation") -> None:
        """Count a label that the database has."""
        self.there += relation == "equal"
        self.amended += relation == "earlier"
        self.differing += relation == "other"


def plan(
    folder: BackupFolder,
    manifest: Manifest,
    index: LabelIndex,
    store: PictureStore,
    *,
    progress: Progress = hidden,
) -> RestoreCounts:
    """Return what `restore` would do, without changing anything.

    Raises:
        InputError: the backup is damaged.
        DatabaseError: the index cannot be reached.
    """
    counts = RestoreCounts()
    sets = _compare_sets(folder, manifest, index, store)
    counts.sets = len(sets.lost) + len(sets.damaged)
    counts.sets_gone, counts.failures = sets.gone, sets.failures
    for tombstones in batches(_of_labels(folder.tombstones(manifest))):
        names = {tombstone.fingerprint for tombstone in tombstones}
        found, known = index.find(names).keys(), index.find_tombstones(names).keys()
        counts.tombstones += len(names - found - known)
        counts.undeleted += len(found - known)
    labels = progress(
        folder.labels(manifest), total=manifest.labels.count, description="comparing", unit="label"
    )
    for batch in batches(labels):
        names = {label.fingerprint for label in batch}
        stored = index.read(names)
        gone = index.find_tombstones(names)
        absent = [label for label in batch if label.fingerprint not in stored.keys() | gone.keys()]
        counts.gone += len(gone)
        counts.created += len(absent)
        for label in batch:
            if label.fingerprint in stored and label.fingerprint not in gone:
                counts.count_stored(_compare(_decode(label), stored[label.fingerprint]))
    return counts


def restore(
    folder: BackupFolder,
    manifest: Manifest,
    index: LabelIndex,
    store: PictureStore,
    *,
    progress: Progress = hidden,
    threads: Callable[[int], Executor] = ThreadPoolExecutor,
) -> RestoreCounts:
    """Add the tombstones and labels that the database lacks, and their pictures.

    A label that is there stays as it is, unless it is as before an amendment that the backup has.

    Raises:
        InputError: the backup is damaged.
        DatabaseError: index or store cannot be reached; a second run completes the rest.
    """
    run = _Restore(folder, index, store, threads)
    index.ensure_exists()
    sets = _compare_sets(folder, manifest, index, store)
    # D36: before all that may delete a picture, which a damaged set forbids
    run.counts.failures += sets.failures
    run.replace_sets(sets.damaged)
    # D22: first the tombstones, so that no upload brings their labels back meanwhile
    for tombstones in batches(_of_labels(folder.tombstones(manifest))):
        run.restore_tombstones(tombstones)
    run.restore_set_tombstones(
        [each for each in folder.tombstones(manifest) if is_set_path(each.fingerprint)]
    )
    labels = progress(
        folder.labels(manifest), total=manifest.labels.count, description="restoring", unit="label"
    )
    for chunk in batches(labels, _CHUNK):
        run.restore_labels(chunk)
    for stored in folder.sets(manifest):
        run.restore_set(stored)
    return run.counts


def _of_labels(tombstones: Iterable[Tombstone]) -> Iterator[Tombstone]:
    return (each for each in tombstones if not is_set_path(each.fingerprint))


@dataclass(slots=True)
class _Sets:
    """The frozen sets of a backup that the database does not have as they were frozen.

    `damaged`: to be replaced. `gone`: thrown away since, and therefore left out. `failures`:
    those that the backup has damaged, too, and those that are being thrown away.
    """

    lost: list[StoredSet] = field(default_factory=list)
    damaged: list[StoredSet] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    failures: list[Failed] = field(default_factory=list)


def _compare_sets(
    folder: BackupFolder, manifest: Manifest, index: LabelIndex, store: PictureStore
) -> _Sets:
    """Compare the frozen sets of the backup with those of the database, which are read."""
    sets = _Sets()
    saved = {each.path: each for each in folder.sets(manifest)}
    states = frozen_sets.find_states(saved, store)
    missing = [path for path, state in states.items() if state != "whole"]
    # D32: one that was thrown away since stays so
    thrown_away = index.find_tombstones(missing).keys() if missing else set()
    for path in missing:
        each = saved[path]
        if path in thrown_away and states[path] == "absent":
            sets.gone.append(each.full_name)
        elif path in thrown_away:
            sets.failures.append(Failed(each.full_name, _being_thrown_away(each)))
        elif not frozen_sets.is_whole(each, folder.pictures):
            sets.failures.append(Failed(each.full_name, _damaged_in_backup(each)))
        elif states[path] == "absent":
            sets.lost.append(each)
        else:
            sets.damaged.append(each)
    return sets


def _being_thrown_away(stored: StoredSet) -> str:
    return (
        "the frozen set is damaged, and somebody began to throw it away: end that with "
        f"freeze_set.py {stored.full_name} --delete, or freeze it again with freeze_set.py "
        f"{stored.name} DIR"
    )


def _damaged_in_backup(stored: StoredSet) -> str:
    return (
        "the frozen set is damaged in the backup; restore another backup, or freeze it again with "
        f"freeze_set.py {stored.name} DIR"
    )


@dataclass(slots=True)
class _Restore:
    """One call of `restore`."""

    folder: BackupFolder
    index: LabelIndex
    store: PictureStore
    threads: Callable[[int], Executor]
    counts: RestoreCounts = field(default_factory=RestoreCounts)

    def restore_tombstones(self, tombstones: Sequence[Tombstone]) -> None:
        """Add tombstones, except those of labels that somebody has uploaded again."""
        names = {tombstone.fingerprint for tombstone in tombstones}
        found = self.index.find(names)
        known = self.index.find_tombstones(names)
        lost = [each for each in tombstones if each.fingerprint not in found.keys() | known.keys()]
        self.index.add_tombstones(lost)
        self.counts.tombstones += len(lost)
        self.counts.undeleted += len(found.keys() - known.keys())
        # D22: an upload may have created the label before it could see the tombstone
        valid = names - (found.keys() - known.keys())
        late = self.index.find(valid)
        for tombstone in tombstones:
            if tombstone.fingerprint in late:
                self._delete(late[tombstone.fingerprint], tombstone)

    def _delete(self, label: LabelReference, tombstone: Tombstone) -> None:
        """Complete the deletion of a label that has a tombstone."""
        deletion = delete(
            [label],
            self.index,
            self.store,
            reason=tombstone.reason,
            removed_by=tombstone.removed_by,
            threads=self.threads,
        )
        for _ in deletion:
            pass

    def restore_set_tombstones(self, tombstones: Sequence[Tombstone]) -> None:
        """Add the tombstones of frozen sets, except of those that somebody has frozen again."""
        if not tombstones:
            return
        self.index.add_tombstones(tombstones)
        # D32: asked after, since it may have been frozen in between
        live = {each.path for each in self.store.list_sets()}
        self.index.remove_tombstones([e.fingerprint for e in tombstones if e.fingerprint in live])

    def replace_sets(self, damaged: Sequence[StoredSet]) -> None:
        """Put the backup's frozen sets in the place of damaged ones."""
        for saved in damaged:
            self.store.put_set(saved.path, frozen_sets.read_whole(saved, self.folder.pictures))
            self.counts.sets += 1
        # D32: somebody may have thrown it away before it was written
        thrown_away = self.index.find_tombstones([each.path for each in damaged]) if damaged else ()
        for saved in damaged:
            if saved.path in thrown_away:
                self._throw_away(saved)
                self.counts.sets -= 1  # named when it is found lost

    def restore_set(self, saved: StoredSet) -> None:
        """Bring a frozen set back, or its lost pictures, unless it was thrown away since."""
        is_lost = all(each.path != saved.path for each in self.store.list_sets())
        # D32: one that was thrown away since stays so
        if is_lost and self.index.find_tombstones([saved.path]):
            self.counts.sets_gone.append(saved.full_name)
            return
        try:
            content = frozen_sets.read_whole(saved, self.folder.pictures)
        except SetDamaged:  # reported, unless the database has it whole
            return
        keys = open_frozen_set(saved, iter([content])).head.pictures
        references = [picture_of_set(key) for key in keys]
        is_created = False
        if is_lost:
            for batch in batches(references):
                self._put_missing(batch)
            # D32: created like a label, after its pictures
            self.store.make_durable()
            is_created = self.store.put_new_set(saved.path, content)
            self.counts.sets += 1
        completed = frozen_sets.complete(
            saved.path,
            references,
            self.index,
            self.store,
            copy_of=self._copy_of,
            threads=self.threads,
        )
        self.counts.pictures_sent += completed.restored
        self.counts.failures += completed.failures
        # D32: somebody may have thrown it away before it was there
        if is_created and self.index.find_tombstones([saved.path]):
            self._throw_away(saved)
            self.counts.sets -= 1
            self.counts.sets_gone.append(saved.full_name)

    def _throw_away(self, saved: StoredSet) -> None:
        """Complete what somebody has begun who threw the set away."""
        keys = frozen_sets.read_keys(saved, self.folder.pictures) or ()
        frozen_sets.throw_away(
            saved, keys, self.index, self.store, removed_by="", threads=self.threads
        )

    def _put_missing(self, references: Sequence[PictureReference]) -> None:
        keys = {reference.s3_key: reference for reference in references}
        missing = keys.keys() - self.store.sizes(keys).keys()

        def put(key: str) -> bool:
            picture = self._copy_of(keys[key])
            return picture is not None and self.store.put_new(key, picture)

        with self.threads(THREADS) as pool:
            self.counts.pictures_sent += sum(pool.map(put, sorted(missing)))

    def _copy_of(self, reference: PictureReference) -> bytes | None:
        """Return a picture of the backup; None if it is not there or is damaged."""
        try:
            picture = self.folder.pictures.get(reference.s3_key)
        except DatabaseError:
            return None
        return picture if key_matches(reference.s3_key, picture) else None

    def restore_labels(self, labels: Sequence[SavedLabel]) -> None:
        """Upload labels with their pictures; amend those that are as before an amendment."""
        saved = {label.fingerprint: label for label in labels}
        # D23: stored like any upload, so what meets it meanwhile is as safe as with one
        entries = [
            Entry(_decode(label), self._picture(label), is_stored=True) for label in saved.values()
        ]
        sent: set[str] = set()
        existing: list[SavedLabel] = []
        for outcome in upload(entries, self.index, self.store, threads=self.threads):
            if outcome.picture_sent:
                sent.add(outcome.key)
            if outcome.status == "existing":
                existing.append(saved[outcome.fingerprint])
            else:
                self._count(outcome)
        self.counts.pictures_sent += len(sent)
        for batch in batches(existing):
            self._amend(batch)

    def _picture(self, label: SavedLabel) -> Path:
        """Return the path of a label's picture in the backup."""
        key = label.reference.s3_key
        return self.folder.path / (key if is_store_path(key) else PICTURE_PREFIX)

    def _count(self, outcome: UploadOutcome) -> None:
        self.counts.created += outcome.status == "created"
        self.counts.gone += outcome.status == "tombstoned"
        if outcome.status == "failed":
            self.counts.failures.append(Failed(outcome.img_id, outcome.reason))

    def _amend(self, labels: Sequence[SavedLabel]) -> None:
        """Replace labels that are as they were before an amendment."""
        stored = self.index.read([label.fingerprint for label in labels])
        replacements: list[Replacement] = []
        for label in labels:
            if label.fingerprint not in stored:  # deleted since
                self.counts.gone += 1
                continue
            document, found = _decode(label), stored[label.fingerprint]
            relation = _compare(document, found)
            if relation == "earlier":
                reference = {name: found.document[name] for name in ("s3_bucket", "s3_key")}
                replacements.append(Replacement({**document, **reference}, found.version))
            else:
                self.counts.count_stored(relation)
        # D23: with the version that was compared (D15)
        result = self.index.replace(replacements)
        self.counts.amended += len(result.replaced)
        for replacement in replacements:
            name = replacement.document["label_fingerprint"]
            if name not in result.replaced:
                reason = result.rejected.get(name, "changed by somebody meanwhile; run again")
                self.counts.failures.append(Failed(replacement.document["img_id"], reason))


Relation = Literal["equal", "earlier", "other"]


def _compare(saved: Document, stored: StoredLabel) -> Relation:
    """Return how the stored label relates to the saved one."""
    if find_difference(saved, stored.document) is None:
        return "equal"
    # D23: an amendment is never taken back, so the stored label is as it was before
    is_earlier = amended_by(saved) and not amended_by(stored.document)
    return "earlier" if is_earlier else "other"


def _decode(label: SavedLabel) -> Document:
    return msgspec.json.decode(label.line, type=Document)
