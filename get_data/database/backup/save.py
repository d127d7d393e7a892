"""Back up a database into a folder while others use it.

What the database has lost since an earlier backup stays in the folder. The rules that the comments
cite are in `docs/architecture.md`.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import groupby

import msgspec

from common.batching import THREADS, batches, cancel_on_error
from common.errors import (
    DatabaseError,
    PictureMissing,
    PictureUnreadable,
    SetDamaged,
    SetMissing,
    WriteFailed,
)
from common.progress import Progress, hidden
from common.times import format_time
from get_data.database.backup import lines
from get_data.database.backup.folder import (
    BackupFolder,
    Manifest,
    SavedLabel,
    SavedPicture,
    decode_label,
    picture_of_set,
)
from get_data.database.backup.lines import LineWriter
from get_data.database.delete import MAX_ROUNDS
from get_data.database.frozen import frozen_sets
from get_data.database.frozen.set_references import open_frozen_set, remedy
from get_data.database.interfaces import (
    Failed,
    LabelIndex,
    PictureStore,
    StoredSet,
    Tombstone,
    is_picture_key,
    is_store_path,
    key_matches,
    read_picture,
)
from get_data.database.search.search_query import Clause, SearchQuery
from get_data.labels import ids
from get_data.labels.schema import PictureReference

_ALL = SearchQuery()
_RECORDING = "run upload_data.py --verify on the folder of its recording"


@dataclass(slots=True)
class Contents:
    """Numbers of what a backup will have.

    `lost_labels`, `lost_tombstones`, `lost_sets`: those that only the earlier backup has, or has
    amended or undamaged;
    `earlier_labels`: all labels of the earlier one.
    """

    labels: int = 0
    tombstones: int = 0
    pictures: int = 0
    earlier_labels: int = 0
    lost_labels: int = 0
    lost_tombstones: int = 0
    sets: int = 0
    lost_sets: int = 0


@dataclass(slots=True)
class _Picture:
    """All that is known of a picture: by the database, and by an earlier backup."""

    labels: list[SavedLabel] = field(default_factory=list)
    tombstones: list[Tombstone] = field(default_factory=list)
    earlier_labels: list[SavedLabel] = field(default_factory=list)
    earlier_tombstones: list[Tombstone] = field(default_factory=list)

    def add(self, item: SavedLabel | Tombstone, *, is_earlier: bool) -> None:
        """Add what is known from the database, or from an earlier backup."""
        if isinstance(item, SavedLabel):
            (self.earlier_labels if is_earlier else self.labels).append(item)
        else:
            (self.earlier_tombstones if is_earlier else self.tombstones).append(item)

    def merged(self, img_id: str, contents: Contents) -> SavedPicture:
        """Return the labels and tombstones to save, and count them."""
        labels = {label.fingerprint: label for label in self.labels}
        tombstones = {tombstone.fingerprint: tombstone for tombstone in self.tombstones}
        # D21: a deletion is lost with the index, unless the label was uploaded again on purpose
        for tombstone in self.earlier_tombstones:
            if tombstone.fingerprint not in labels.keys() | tombstones.keys():
                tombstones[tombstone.fingerprint] = tombstone
                contents.lost_tombstones += 1
        # D21: who deletes a label leaves a tombstone, and an amendment is never taken back
        for label in self.earlier_labels:
            is_lost = label.fingerprint not in tombstones and (
                label.fingerprint not in labels or _is_later(label, labels[label.fingerprint])
            )
            if is_lost:
                labels[label.fingerprint] = label
                contents.lost_labels += 1
        # D19: a label with a tombstone is about to go
        kept = [labels[name] for name in sorted(labels.keys() - tombstones.keys())]
        contents.earlier_labels += len(self.earlier_labels)
        contents.labels += len(kept)
        contents.tombstones += len(tombstones)
        contents.pictures += bool(kept)
        return SavedPicture(img_id, kept, [tombstones[name] for name in sorted(tombstones)])


def _is_later(saved: SavedLabel, stored: SavedLabel) -> bool:
    """Return whether a label was amended, and the stored one is as it was before."""
    return bool(saved.reference.amended_by) and not stored.reference.amended_by


class Snapshot:
    """Labels and tombstones of a database that fit together, in temporary files.

    What was deleted while they were read has been read again.
    """

    def __init__(
        self,
        index: LabelIndex,
        store: PictureStore,
        folder: BackupFolder,
        earlier: Manifest | None,
        open_files: ExitStack,
    ) -> None:
        self._index = index
        self._store = store
        self._sets: dict[str, StoredSet] = {}  # by path
        self._damaged_sets: set[str] = set()  # paths
        self._folder = folder
        self._earlier = earlier
        self._open_files = open_files
        self._labels = self._open_writer()
        # D19: a label that is replaced meanwhile is known by its tombstone, before or after
        self._tombstones = self._read_tombstones()
        self._reread: dict[str, list[SavedLabel]] = {}  # by img_id, instead of those in the file

    def _open_writer(self) -> LineWriter:
        writer = lines.open_writer(self._folder.path, is_temporary=True)
        return self._open_files.enter_context(writer)

    def read(self, progress: Progress) -> None:
        """Read the whole index."""
        # the labels that these tombstones made room for were created before them
        self._index.refresh()
        total = self._index.count(_ALL)
        with closing(self._index.search(_ALL)) as found:
            for line in progress(found, total=total, description="reading", unit="label"):
                self._labels.add(line)
        # D31: one that is thrown away from here on is as it was, one before has a tombstone
        self._sets = {each.path: each for each in self._store.list_sets()}
        self.settle()

    def _read_tombstones(self) -> LineWriter:
        self._index.refresh()
        tombstones = self._open_writer()
        for tombstone in self._index.all_tombstones():
            tombstones.add(msgspec.json.encode(tombstone))
        return tombstones

    def settle(self) -> None:
        """Read pictures again whose labels were deleted or replaced, until none are.

        Raises:
            DatabaseError: another program deletes labels all the time.
        """
        for _ in range(MAX_ROUNDS):
            before, self._tombstones = self._tombstones, self._read_tombstones()
            changed = _differing_pictures(before, self._tombstones)
            if not changed:
                return
            self.read_again(changed)
        raise DatabaseError(
            f"{self._index.name}: another program deletes labels as fast as they are read; stop it "
            "and run again"
        )

    def read_again(self, img_ids: Collection[str]) -> None:
        """Read the labels of these pictures again."""
        self._index.refresh()
        for batch in batches(sorted(img_ids)):
            self._reread |= {img_id: [] for img_id in batch}
            query = SearchQuery((Clause("img_id", "terms", arguments={"value": batch}),))
            with closing(self._index.search(query)) as found:
                for line in found:
                    label = self._decode(line)
                    self._reread[label.img_id].append(label)

    def _decode(self, line: bytes) -> SavedLabel:
        try:
            return decode_label(line)
        except (ValueError, RecursionError) as error:
            raise DatabaseError(
                f"the label index {self._index.name} is damaged ({error}); an earlier backup is as "
                "it was and can be restored with back_up.py DIR --restore"
            ) from error

    @property
    def sets(self) -> Collection[StoredSet]:
        """The frozen sets of the database."""
        return self._sets.values()

    def has_saved(self, stored: StoredSet) -> bool:
        """Return whether the earlier backup has this set, and with it its pictures."""
        earlier = self._earlier.sets if self._earlier else ()
        return any(each.path == stored.path for each in earlier)

    def add_damaged_set(self, stored: StoredSet) -> None:
        """Note that the database has a set damaged that the earlier backup has whole."""
        self._damaged_sets.add(stored.path)

    def lost_sets(self) -> set[str]:
        """Return the paths of frozen sets that only the earlier backup has, or has whole."""
        earlier = {each.path for each in self._earlier.sets} if self._earlier else set()
        missing = earlier - self._sets.keys()
        # D31: who throws a set away leaves a tombstone
        if missing:
            missing -= {each.fingerprint for each in _decode_tombstones(self._tombstones)}
        return missing | self._damaged_sets

    def count(self) -> Contents:
        """Return the numbers of what there is to save."""
        contents = Contents(sets=len(self._sets), lost_sets=len(self.lost_sets()))
        for _ in self.pictures(contents):
            pass
        return contents

    def pictures(self, contents: Contents | None = None) -> Iterator[SavedPicture]:
        """Yield what to save of each picture, in order of `img_id`; count it in `contents`."""
        contents = contents or Contents()
        merged = heapq.merge(*self._streams(), key=lambda item: item[0].img_id)
        for img_id, neighbours in groupby(merged, key=lambda item: item[0].img_id):
            picture = _Picture()
            for item, is_earlier in neighbours:
                picture.add(item, is_earlier=is_earlier)
            yield picture.merged(img_id, contents)

    def _streams(self) -> Iterator[Iterator[tuple[SavedLabel | Tombstone, bool]]]:
        """Yield the sources of labels and tombstones, each in order of `img_id`.

        Their items are given with whether they are from the earlier backup.
        """
        labels = map(self._decode, self._labels.lines())
        yield ((label, False) for label in labels if label.img_id not in self._reread)
        reread = sorted(self._reread.items())
        yield ((label, False) for _, labels in reread for label in labels)
        # D31: a set that is there is live, whatever tombstone it has
        live = self._sets.keys() | self.lost_sets()
        tombstones = _decode_tombstones(self._tombstones)
        yield ((each, False) for each in tombstones if each.fingerprint not in live)
        if self._earlier:
            yield ((label, True) for label in self._folder.labels(self._earlier))
            tombstones = self._folder.tombstones(self._earlier)
            yield ((each, True) for each in tombstones if each.fingerprint not in live)


@contextmanager
def read_database(
    index: LabelIndex,
    store: PictureStore,
    folder: BackupFolder,
    earlier: Manifest | None,
    *,
    progress: Progress = hidden,
) -> Iterator[Snapshot]:
    """Read all labels and tombstones, and list the frozen sets; the snapshot ends with the block.

    Raises:
        DatabaseError: the index cannot be read.
        WriteFailed: the folder cannot be written to.
    """
    try:
        lines.remove_stale(folder.path)
        with ExitStack() as open_files:
            snapshot = Snapshot(index, store, folder, earlier, open_files)
            snapshot.read(progress)
            yield snapshot
    except OSError as error:
        raise WriteFailed(f"{folder.path} cannot be written to: {error.strerror}") from error


@dataclass(slots=True)
class BackupOutcome:
    """Number of pictures copied, what the backup has, and the pictures and sets that it lacks.

    `lost_sets`: full names of the frozen sets that the database has lost or damaged and the backup
    has.
    """

    copied: int
    contents: Contents
    failures: list[Failed]
    set_failures: list[Failed]  # of sets, and of pictures that they name
    lost_sets: list[str]


def save(
    snapshot: Snapshot,
    folder: BackupFolder,
    store: PictureStore,
    *,
    database: str,
    total: int | None = None,
    verify: bool = False,
    progress: Progress = hidden,
    threads: Callable[[int], Executor] = ThreadPoolExecutor,
) -> BackupOutcome:
    """Save the pictures that the folder lacks, then labels and tombstones.

    `total` is the number of pictures, if known; `database` a name for people. With `verify`, the
    folder's pictures are read, and damaged ones replaced, and all frozen sets of the database are
    read, not only those that the folder lacks.

    Raises:
        DatabaseError: the database cannot be read, or a picture not be written.
        WriteFailed: the labels cannot be written; an earlier backup is as it was.
    """
    copied = 0
    missing: set[str] = set()
    failures: list[Failed] = []
    with cancel_on_error(threads(THREADS)) as pool:
        copy = partial(_copy_pictures, folder=folder, store=store, pool=pool, verify=verify)
        for result in progress(
            copy(snapshot.pictures()), total=total, description="saving", unit="picture"
        ):
            copied += result.is_copied
            if result.is_missing:
                missing.add(result.img_id)
            elif result.reason:
                failures.append(Failed(result.img_id, result.reason))
        # D20: a missing picture was deleted meanwhile; one whose label is still there is lost
        if missing:
            snapshot.settle()
            still_there = (each for each in snapshot.pictures() if each.img_id in missing)
            for result in copy(still_there):
                copied += result.is_copied
                if result.reason:
                    failures.append(Failed(result.img_id, result.reason))
        sets = snapshot.lost_sets()
        set_failures: list[Failed] = []
        for stored in snapshot.sets:
            try:
                results = _save_set(stored, snapshot, folder, store, pool, verify=verify)
            except SetDamaged:
                reason = f"the frozen set is damaged in the database; {remedy(stored)}"
                set_failures.append(Failed(stored.full_name, reason))
                continue
            if results is None:  # thrown away meanwhile
                continue
            sets.add(stored.path)
            copied += sum(result.is_copied for result in results)
            set_failures += [Failed(each.img_id, each.reason) for each in results if each.reason]
    lost_sets = sorted(snapshot.lost_sets())
    contents = Contents(sets=len(sets), lost_sets=len(lost_sets))
    folder.write(
        snapshot.pictures(contents),
        database=database,
        made_at=format_time(datetime.now(UTC)),
        sets=sets,
    )
    names = [StoredSet(each, 0, 0.0).full_name for each in lost_sets]
    return BackupOutcome(copied, contents, failures, set_failures, names)


def _save_set(
    stored: StoredSet,
    snapshot: Snapshot,
    folder: BackupFolder,
    store: PictureStore,
    pool: Executor,
    *,
    verify: bool,
) -> list["_Copied"] | None:
    """Save a frozen set with its pictures, and return their outcomes; None if it is gone.

    Raises:
        SetDamaged: the database has it damaged, and the earlier backup does not have it whole.
        DatabaseError: it cannot be read.
    """
    results: list[_Copied] = []
    content = _read_saved(stored, folder) if snapshot.has_saved(stored) else None
    if content is not None and verify:
        with suppress(SetMissing):
            if not frozen_sets.is_whole(stored, store):
                snapshot.add_damaged_set(stored)
    try:
        if content is None:
            content = frozen_sets.read_whole(stored, store)
        keys = open_frozen_set(stored, iter([content])).head.pictures
        # D20: a backup has a set once it has its pictures
        for batch in batches(keys):
            references = {key: picture_of_set(key) for key in batch}
            intact = _find_intact(references, folder.pictures, verify=verify)
            absent = [reference for key, reference in references.items() if key not in intact]
            results += pool.map(partial(_copy, store=store, target=folder.pictures), absent)
        is_there = any(each.path == stored.path for each in store.list_sets())
    except SetMissing:
        return None
    if not is_there and any(result.is_missing for result in results):
        return None
    is_new = folder.pictures.put_new_set(stored.path, content)
    # D36: an earlier version saved damaged sets as well
    if not is_new and not frozen_sets.is_whole(stored, folder.pictures):
        folder.pictures.put_set(stored.path, content)
    return results


def _read_saved(stored: StoredSet, folder: BackupFolder) -> bytes | None:
    """Return the object of a set from the folder; None if it is damaged there."""
    try:
        return frozen_sets.read_whole(stored, folder.pictures)
    except SetDamaged:
        return None


@dataclass(frozen=True, slots=True)
class _Copied:
    """Outcome for one picture; `reason` is why it is not in the folder, "" if it is."""

    img_id: str
    is_copied: bool = False
    is_missing: bool = False
    reason: str = ""


def _copy_pictures(
    pictures: Iterable[SavedPicture],
    folder: BackupFolder,
    store: PictureStore,
    pool: Executor,
    *,
    verify: bool,
) -> Iterator[_Copied]:
    """Copy the pictures that the folder lacks, and yield the outcome of each."""
    for batch in batches(pictures):
        references = {
            label.reference.s3_key: label.reference for picture in batch for label in picture.labels
        }
        intact = _find_intact(references, folder.pictures, verify=verify)
        yield from (_Copied(references[key].img_id) for key in intact)
        absent = [reference for key, reference in references.items() if key not in intact]
        yield from pool.map(partial(_copy, store=store, target=folder.pictures), absent)


def _find_intact(
    references: Mapping[str, PictureReference], pictures: PictureStore, *, verify: bool
) -> set[str]:
    """Return the keys of the pictures that are there, undamaged as far as that was looked at."""
    keys = [key for key in references if is_store_path(key)]
    if verify:
        states = pictures.examine({key: lambda: None for key in keys})
        return {key for key, state in states.items() if state.is_intact}
    sizes = pictures.sizes(keys)
    return {
        key for key, size in sizes.items() if size and references[key].picture_size in (None, size)
    }


def _copy(reference: PictureReference, store: PictureStore, target: PictureStore) -> _Copied:
    """Copy one picture."""
    img_id, key = reference.img_id, reference.s3_key
    if not is_store_path(key):
        return _Copied(img_id, reason=f"its label has the picture key {key!r}, which is not one")
    try:
        picture = read_picture(store, key)
    except PictureMissing:
        reason = f"the picture is lost; if you have its recording, {_RECORDING}"
        return _Copied(img_id, is_missing=True, reason=reason)
    except PictureUnreadable as error:
        return _Copied(img_id, reason=str(error))
    sha256 = ids.sha256(picture)
    has_own_key = is_picture_key(key, img_id)
    if (has_own_key and not key_matches(key, picture)) or reference.picture_sha256 not in (
        None,
        sha256,
    ):
        reason = f"the picture is damaged in the database; if you have its recording, {_RECORDING}"
        return _Copied(img_id, reason=reason)
    target.put(key, picture)
    return _Copied(img_id, is_copied=True)


def _differing_pictures(before: LineWriter, now: LineWriter) -> set[str]:
    """Return the ids of the pictures of tombstones that only one of the files has."""
    earlier = ((tombstone, 0) for tombstone in _decode_tombstones(before))
    later = ((tombstone, 1) for tombstone in _decode_tombstones(now))
    merged = heapq.merge(earlier, later, key=lambda item: item[0].img_id)
    changed = set()
    for img_id, neighbours in groupby(merged, key=lambda item: item[0].img_id):
        names: tuple[set[str], set[str]] = (set(), set())
        for tombstone, side in neighbours:
            names[side].add(tombstone.fingerprint)
        if names[0] != names[1]:
            changed.add(img_id)
    return changed


def _decode_tombstones(file: LineWriter) -> Iterator[Tombstone]:
    return map(msgspec.json.Decoder(Tombstone).decode, file.lines())
