"""Upload labels and their pictures.

A label must never be in the index without its picture in the store, whoever else uploads or deletes
at the same time and whenever one of the programs is killed. So pictures are stored before their
labels are created; and because a deletion may take a picture in between, each upload looks again
once its labels are in. A second run sends nothing, costs two requests a batch, and repairs what it
finds damaged. The rules that the comments cite are in `docs/architecture.md`.
"""

import stat
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal
from uuid import uuid4

from common.batching import Workers, batches, cancel_on_error, open_workers
from common.errors import DatabaseError, PictureMissing
from get_data.database.delete import MAX_ROUNDS, delete, reconcile
from get_data.database.entries import Entry
from get_data.database.interfaces import (
    LabelIndex,
    LabelReference,
    PictureState,
    PictureStore,
    Tombstone,
    is_picture_key,
    is_store_path,
    key_matches,
    picture_key,
    read_picture,
)
from get_data.labels import edits, ids, picture_file
from get_data.labels.differences import Difference, find_difference
from get_data.labels.picture_file import NotAPicture
from get_data.labels.schema import Document, PictureReference

_BATCHES_AHEAD = 4  # looked up or sent while the labels of another batch are created
_BATCHES_LOOKED_UP = 2  # at once: most of the time, far away, where the labels exist
_BATCHES_SENT = 2  # at once: the next one begins while the last pictures of one are on their way


UploadStatus = Literal["created", "existing", "tombstoned", "failed"]


@dataclass(frozen=True, slots=True)
class UploadOutcome:
    """Outcome for one label.

    `tombstoned`: deleted or replaced earlier, and not restored. `failed`: for the given `reason`.
    `key` is "" if the picture's key is unknown. `difference`: of an existing label, if asked for.
    """

    img_id: str
    fingerprint: str
    status: UploadStatus
    key: str = ""
    picture_sent: bool = False
    reason: str = ""
    difference: Difference | None = None


@dataclass(slots=True)
class _Transfer:
    """One label during its upload; pending until it has an outcome."""

    entry: Entry
    key: str = ""
    document: Document = field(default_factory=dict)
    is_existing: bool = False
    tombstone: Tombstone | None = None  # which has to go before the label is restored
    is_damaged: bool = False  # the store's picture, which a create-only write would leave
    fetched: bytes = b""  # the picture, if the store has the only copy
    picture_sent: bool = False
    difference: Difference | None = None
    outcome: UploadOutcome | None = None

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the label."""
        return self.entry.reference.label_fingerprint

    @property
    def img_id(self) -> str:
        """Id of the picture."""
        return self.entry.reference.img_id

    @property
    def remedy(self) -> str:
        """What to do if the picture is missing or damaged; nobody edits the labels of a backup."""
        return _RECORDING if self.entry.is_stored else _COPY_AGAIN

    def finish(self, status: UploadStatus, reason: str = "") -> None:
        """Set the outcome; nothing more is done for this label."""
        self.outcome = UploadOutcome(
            self.img_id,
            self.fingerprint,
            status,
            self.key,
            self.picture_sent,
            reason,
            self.difference if status == "existing" else None,
        )


@dataclass(slots=True)
class _Batch:
    """Labels that are uploaded together.

    `known_hashes`: the hashes that the index has of the new labels' pictures, by picture id.
    """

    transfers: list[_Transfer]
    known_hashes: dict[str, set[str]] = field(default_factory=dict)

    def pending(self) -> list[_Transfer]:
        """Return the labels without an outcome."""
        return [transfer for transfer in self.transfers if transfer.outcome is None]

    def new(self) -> list[_Transfer]:
        """Return the pending labels that the index did not have."""
        return [transfer for transfer in self.pending() if not transfer.is_existing]


def upload(
    entries: Iterable[Entry],
    index: LabelIndex,
    store: PictureStore,
    *,
    repeated: Collection[str] | None = None,
    dry_run: bool = False,
    verify: bool = False,
    compare: bool = False,
    threads: Callable[[int], Executor] = ThreadPoolExecutor,
) -> Iterator[UploadOutcome]:
    """Upload labels with their pictures and yield the outcome of each label.

    Labels with a tombstone stay out unless their entry has `restore`. A dry run changes nothing.
    `repeated`: the picture ids that several entries have, for a caller who knows them; `entries`
    then may be iterated several times, and is not kept in memory.
    With `verify`, existing pictures are read in full instead of compared by size and listed hash.
    With `compare`, outcomes of existing labels tell how the given ones differ.
    While one batch of labels is created, the pictures of the next two are sent in `threads`, and
    the two after those are looked up.

    Raises:
        DatabaseError: index or store cannot be reached; outcomes yielded so far stand.
    """
    if repeated is None:
        entries = list(entries)
        counts = Counter(entry.img_id for entry in entries)
        repeated = {img_id for img_id, count in counts.items() if count > 1}
    neighbours = [entry for entry in entries if entry.img_id in repeated] if repeated else []
    if not dry_run:
        # D1: so that hashes of labels from before this run are known without further refreshes
        index.refresh()
    run = _Upload(index, store, dry_run, verify, compare, _hashes_by_id(neighbours), threads)
    with (
        cancel_on_error(threads(_BATCHES_LOOKED_UP)) as looking_up,
        cancel_on_error(threads(_BATCHES_SENT)) as sending,
        open_workers(threads, store.transfers_at_once) as run.senders,
    ):
        under_way: deque[Future[_Batch]] = deque()
        # five batches are under way: two are looked up, two are sent, one is created
        for batch in batches(_distinct(entries, neighbours)):
            looked_up = looking_up.submit(run.look_up, batch)
            under_way.append(sending.submit(run.send_pictures, looked_up))
            if len(under_way) > _BATCHES_AHEAD:
                # in the caller's thread: a caller that stops reading starts no further batch
                yield from run.create_labels(under_way.popleft().result())
        for sent in under_way:
            yield from run.create_labels(sent.result())


def _distinct(entries: Iterable[Entry], repeated: Iterable[Entry]) -> Iterator[Entry]:
    """Yield an entry for each label: among equal ones, the first whose picture file exists."""
    chosen: dict[str, Path] = {}
    for entry in repeated:
        first = chosen.setdefault(entry.fingerprint, entry.picture)
        if first != entry.picture and not first.exists():
            chosen[entry.fingerprint] = entry.picture
    for entry in entries:
        if chosen and entry.fingerprint in chosen:
            if chosen[entry.fingerprint] != entry.picture:
                continue
            chosen[entry.fingerprint] = _SENT
        yield entry


@dataclass(slots=True)
class _Upload:
    """One call of `upload`; `hashes` are those of pictures that several labels have, by id."""

    index: LabelIndex
    store: PictureStore
    dry_run: bool
    verify: bool
    compare: bool
    hashes: Mapping[str, set[str]]
    create_threads: Callable[[int], Executor]
    senders: Workers = field(init=False)

    def look_up(self, entries: Sequence[Entry]) -> _Batch:
        """Find out which labels are new and which of them may be sent."""
        batch = _Batch([_Transfer(entry) for entry in entries])
        fingerprints = [entry.fingerprint for entry in entries]
        stored = self._find(batch.transfers)
        tombstones = self.index.find_tombstones(fingerprints)
        # a label that gets its outcome here is neither sent nor created
        for transfer in batch.transfers:
            key = stored.get(transfer.fingerprint)
            tombstone = tombstones.get(transfer.fingerprint)
            transfer.is_existing = key is not None
            hashes = self._given_hashes(transfer, is_existing=key is not None)
            if tombstone and not transfer.entry.restore:
                transfer.key = tombstone.s3_key
                transfer.finish("tombstoned")
            elif len(hashes) > 1:
                transfer.finish("failed", "conflict: the given labels have different pictures")
            elif key is not None:
                transfer.key = key
                # D1: another hash under the same id is another picture, but for a key that another
                # tool made, which the index had when it was backed up
                is_known = transfer.entry.is_stored and transfer.entry.reference.s3_key == key
                if not is_known and any(
                    picture_key(transfer.img_id, sha256) != key for sha256 in hashes
                ):
                    transfer.finish("failed", _CONFLICT)
        if not self.dry_run:
            for transfer in batch.pending():
                if tombstone := tombstones.get(transfer.fingerprint):
                    transfer.tombstone = tombstone
                    transfer.is_existing = False  # D34: a deletion may remove it yet
        # D1: a new label must not bring another picture of an id that the index knows
        new = [transfer.img_id for transfer in batch.new()]
        batch.known_hashes = self.index.picture_hashes(new, refresh=self.dry_run)
        return batch

    def _given_hashes(self, transfer: _Transfer, *, is_existing: bool) -> Collection[str]:
        """Return the hashes of the label's picture, from all labels of it that are given."""
        if hashes := self.hashes.get(transfer.img_id):
            return hashes
        sha256 = transfer.entry.picture_sha256 if is_existing else None
        return {sha256} if sha256 else ()

    def _find(self, transfers: Sequence[_Transfer]) -> dict[str, str]:
        """Return the picture keys of the labels that exist, by fingerprint; compare if asked to."""
        fingerprints = [transfer.fingerprint for transfer in transfers]
        if not self.compare:
            found = self.index.find(fingerprints)
            return {name: label.s3_key for name, label in found.items()}
        stored = {name: label.document for name, label in self.index.read(fingerprints).items()}
        for transfer in transfers:
            if document := stored.get(transfer.fingerprint):
                transfer.difference = find_difference(transfer.entry.document, document)
        return {name: document.get("s3_key", "") for name, document in stored.items()}

    def send_pictures(self, looked_up: Future[_Batch]) -> _Batch:
        """Store the pictures of the new labels."""
        batch = looked_up.result()
        new = batch.new()
        if new and not self.dry_run:
            # D2: pictures without an index mean that it was lost
            self.index.ensure_exists()
        self.senders.for_each(lambda transfer: self._send(transfer, batch.known_hashes), new)
        return batch

    def _send(self, transfer: _Transfer, known_hashes: Mapping[str, set[str]]) -> None:
        """Store the label's picture; if that fails, the label has its outcome."""
        if error := self._send_picture(transfer, known_hashes):
            transfer.finish("failed", error)

    def _send_picture(self, transfer: _Transfer, known_hashes: Mapping[str, set[str]]) -> str:
        """Store the label's picture; return the reason if that fails, else ""."""
        try:
            picture, sha256 = self._read_picture(transfer)
        except _PictureError as error:
            return str(error)
        if known_hashes.get(transfer.img_id, {sha256}) != {sha256}:
            return _CONFLICT
        # pictures of this id in the database were checked when they were uploaded
        if transfer.img_id not in known_hashes and not transfer.entry.is_stored:
            try:
                picture_file.read_size(picture)
            except NotAPicture as error:
                return f"{transfer.entry.picture} {error}; {transfer.remedy}"
        # D1: the key states the content, so a create-only write can overwrite no other picture
        transfer.key = picture_key(transfer.img_id, sha256)
        transfer.document = self._uploaded_document(transfer, picture, sha256)
        if self.dry_run:
            stored = self._examine([transfer]).get(transfer.key)
            transfer.picture_sent = stored is None or not stored.is_intact
        else:
            transfer.picture_sent = self.store.put_new(transfer.key, picture)
        return ""

    def _examine(self, transfers: Sequence[_Transfer]) -> dict[str, PictureState]:
        """Return the state of those pictures that the store has."""
        return self.store.examine(
            {transfer.key: partial(_read_own_copy, transfer) for transfer in transfers},
            read=self.verify,
        )

    def _uploaded_document(self, transfer: _Transfer, picture: bytes, sha256: str) -> Document:
        if transfer.entry.is_stored:
            return {
                **transfer.entry.document,
                "s3_bucket": self.store.name,
                "s3_key": transfer.key,
            }
        return edits.uploaded(
            transfer.entry.document,
            picture=picture,
            picture_sha256=sha256,
            bucket=self.store.name,
            key=transfer.key,
            upload_time=datetime.now(UTC),
        )

    def _read_picture(self, transfer: _Transfer) -> tuple[bytes, str]:
        """Return the label's picture and its hash, from the file, else from the store.

        Raises:
            _PictureError: there is none, or not the one that the label describes.
        """
        reference, path = transfer.entry.reference, transfer.entry.picture
        if transfer.entry.namesake:
            raise _PictureError(
                f"{path} is the same file as {transfer.entry.namesake}: this disk does not "
                "distinguish the two names; copy the pictures from the disk they were written to, "
                "or rename one of them, file and label"
            )
        # without the file the stored picture serves: labels are corrected where no pictures are
        try:
            picture = _read_file(path, transfer.remedy)
            return picture, _check_picture(picture, path, reference, transfer.remedy)
        except FileNotFoundError:
            # D6: a deletion may take the picture before the label is created, and there is no file
            picture = transfer.fetched = transfer.fetched or self._read_stored(transfer)
        except _PictureError:
            if not transfer.entry.is_stored:
                raise
            # the store may have an intact picture where a backup's is damaged
            try:
                picture = transfer.fetched = transfer.fetched or self._read_stored(transfer)
            except _PictureError:
                picture = b""
            if not picture:
                raise
        return picture, _check_picture(picture, path, reference, transfer.remedy)

    def _read_stored(self, transfer: _Transfer) -> bytes:
        """Return the picture from the store or from a deletion's backup copy, intact.

        Raises:
            _PictureError: there is none.
        """
        key = transfer.key or transfer.entry.reference.s3_key or transfer.entry.label.s3_key
        if is_store_path(key):
            with suppress(PictureMissing):
                picture = read_picture(self.store, key)
                if key_matches(key, picture):
                    return picture
        raise _PictureError(
            f"{transfer.entry.picture} does not exist, nor does the store have it; "
            f"{transfer.remedy}"
        )

    def create_labels(self, batch: _Batch) -> Iterator[UploadOutcome]:
        """Create the labels of a batch, check that every picture stays, and yield the outcomes."""
        new = batch.new()
        if new and not self.dry_run:
            # D34: before the label is created, or D5 would delete it again, and after its picture
            # is stored, since a label without one stays deleted
            if restored := [each.fingerprint for each in new if each.tombstone]:
                self.index.remove_tombstones(restored)
            existing = self._create(new)
            for transfer in new:
                transfer.is_existing = transfer.fingerprint in existing
        # D6: a deletion may have taken a picture before its label was created
        missing = self._find_missing_or_damaged(batch)
        # D6: another deletion may undo a round, so look again until nothing is missing
        for _ in range(MAX_ROUNDS):
            if not missing:
                break
            self._restore(missing)
            if self.dry_run:
                break
            missing = self._find_missing(batch.pending())
        else:
            raise DatabaseError(
                f"picture store {self.store.name!r}: another program deletes pictures as fast as "
                "they are uploaded; stop it and run again"
            )
        # every remaining label has its picture, as seen after the label was created
        for transfer in batch.pending():
            transfer.finish("existing" if transfer.is_existing else "created")
        if not self.dry_run:
            self._reconcile_tombstoned(batch)
        yield from (transfer.outcome for transfer in batch.transfers if transfer.outcome)

    def _create(self, transfers: Sequence[_Transfer]) -> set[str]:
        """Create the labels; return the fingerprints of those that existed."""
        # D3: a power cut must not leave a label without its picture
        self.store.make_durable()
        result = self.index.create([transfer.document for transfer in transfers])
        # D5: a deletion may have written its tombstone, and passed by, before the label was created
        tombstones = self.index.find_tombstones([transfer.fingerprint for transfer in transfers])
        self._delete([transfer for transfer in transfers if transfer.fingerprint in tombstones])
        # D34: a label that cannot be restored stays deleted
        deleted = [each.tombstone for each in transfers if each.fingerprint in result.rejected]
        if put_back := [tombstone for tombstone in deleted if tombstone]:
            self.index.add_tombstones(put_back)
        # a rejected label does not exist, and one with a tombstone was just removed
        for transfer in transfers:
            if reason := result.rejected.get(transfer.fingerprint):
                transfer.finish("failed", f"the index rejects the label: {reason}")
            elif transfer.fingerprint in tombstones:
                transfer.finish("tombstoned")
        return result.existing

    def _delete(self, transfers: Sequence[_Transfer]) -> None:
        """Complete the deletion of labels that have a tombstone."""
        labels = [
            LabelReference(transfer.fingerprint, transfer.img_id, transfer.key)
            for transfer in transfers
        ]
        deletion = delete(
            labels,
            self.index,
            self.store,
            reason="deleted",
            removed_by="",
            threads=self.create_threads,
        )
        for _ in deletion:
            pass

    def _reconcile_tombstoned(self, batch: _Batch) -> None:
        """Leave the pictures of tombstoned labels as their deletion would."""
        tombstoned = [
            transfer
            for transfer in batch.transfers
            if transfer.outcome and transfer.outcome.status == "tombstoned"
        ]
        # D7: a killed run may have stored the picture, created the label, or begun this deletion
        self._delete([transfer for transfer in tombstoned if transfer.is_existing])
        if keys := {transfer.key for transfer in tombstoned if transfer.key}:
            reconcile(keys, self.index, self.store, run=uuid4().hex, threads=self.create_threads)

    def _find_missing_or_damaged(self, batch: _Batch) -> list[_Transfer]:
        """Return the pending labels whose picture is missing or damaged in the store.

        Pictures that this run has just stored, and those whose key another tool made, are checked
        by size only. In a dry run new ones are not there yet.
        """
        examined: list[_Transfer] = []
        others: list[_Transfer] = []
        for transfer in batch.pending():
            has_own_key = is_picture_key(transfer.key, transfer.img_id)
            (examined if transfer.is_existing and has_own_key else others).append(transfer)
        # only pictures of earlier runs can have been damaged since; these are examined
        states = self._examine(examined) if examined else {}
        faulty = [
            transfer
            for transfer in examined
            if not transfer.entry.is_intact(states.get(transfer.key))
        ]
        for transfer in faulty:
            transfer.is_damaged = transfer.key in states
        if self.dry_run:
            others = [transfer for transfer in others if transfer.is_existing]
        return [*faulty, *self._find_missing(others)]

    def _find_missing(self, transfers: Sequence[_Transfer]) -> list[_Transfer]:
        """Return the labels whose picture is not in the store or has another size."""
        if not transfers:
            return []
        sizes = self.store.sizes({transfer.key for transfer in transfers})
        return [
            transfer
            for transfer in transfers
            if not transfer.entry.has_size(sizes.get(transfer.key, 0))
        ]

    def _restore(self, missing: Sequence[_Transfer]) -> None:
        """Store missing or damaged pictures again, then create their labels again."""
        restored: list[_Transfer] = []
        for transfer in missing:
            try:
                picture, sha256 = self._read_picture(transfer)
            except _PictureError as error:
                transfer.finish(
                    "failed", f"the label is in the index, but its picture is lost: {error}"
                )
                continue
            # D1: a picture of other content must not take the lost one's place
            if picture_key(transfer.img_id, sha256) != transfer.key:
                transfer.finish(
                    "failed", "the label is in the index with another picture, which is lost"
                )
                continue
            transfer.picture_sent = True
            if not self.dry_run:
                transfer.document = self._uploaded_document(transfer, picture, sha256)
                # create-only, unless a damaged picture has to be replaced
                put = self.store.put if transfer.is_damaged else self.store.put_new
                put(transfer.key, picture)
                restored.append(transfer)
        if restored:
            # D6: whoever deleted the picture may have removed the label with it
            self._create(restored)


_SENT = Path()  # in the place of the picture of a label that was chosen and sent
_CONFLICT = "conflict: the database has another picture of this id"
_COPY_AGAIN = "copy it again from its source, or remove its label from the label file"
_RECORDING = (
    "if you have its recording, run upload_data.py --verify on its folder, and restore again"
)


class _PictureError(Exception):
    """A picture that cannot be sent; the message is the reason."""


def _check_picture(picture: bytes, path: Path, reference: PictureReference, remedy: str) -> str:
    """Check that what a label states of its picture holds, and return the picture's hash.

    Raises:
        _PictureError: it does not hold.
    """
    if not picture:
        raise _PictureError(f"{path} is empty; {remedy}")
    if reference.picture_size not in (None, len(picture)):
        raise _PictureError(
            f"{path} is damaged: {len(picture)} bytes instead of {reference.picture_size}; {remedy}"
        )
    sha256 = ids.sha256(picture)
    if reference.picture_sha256 not in (None, sha256):
        raise _PictureError(f"{path} is damaged: its SHA-256 differs from the label's; {remedy}")
    key = reference.s3_key
    if is_picture_key(key, reference.img_id) and key != picture_key(reference.img_id, sha256):
        raise _PictureError(
            f"{path} is damaged: its SHA-256 differs from that in the label's key; {remedy}"
        )
    return sha256


def _read_file(path: Path, remedy: str) -> bytes:
    """Return the content of a picture file.

    Raises:
        FileNotFoundError: there is no such file.
        _PictureError: it cannot be read, or is none.
    """
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode) and not path.resolve().is_relative_to(path.parent.resolve()):
            raise _PictureError(
                f"{path} is a link out of its folder; replace it by a copy of its target"
            )
        return picture_file.read(path)
    except NotAPicture as error:
        raise _PictureError(f"{path} {error}; {remedy}") from error
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError) as error:  # the latter for a link to itself
        reason = getattr(error, "strerror", error)
        raise _PictureError(f"{path} cannot be read: {reason}; check its rights") from error


def _read_own_copy(transfer: _Transfer) -> bytes | None:
    """Return this machine's copy of the picture; None if it has no intact one."""
    try:
        picture = _read_file(transfer.entry.picture, transfer.remedy)
    except (FileNotFoundError, _PictureError):
        return None
    return picture if key_matches(transfer.key, picture) else None


def _hashes_by_id(entries: Iterable[Entry]) -> dict[str, set[str]]:
    """Return the hashes of each picture by its id; more than one is a conflict."""
    hashes: dict[str, set[str]] = {}
    for entry in entries:
        if sha256 := entry.picture_sha256:
            hashes.setdefault(entry.img_id, set()).add(sha256)
    return hashes
