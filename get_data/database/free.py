"""Remove pictures from this machine that the database is proven to have.

A picture that is removed here can be fetched again, byte for byte, until somebody deletes its
labels, and throws away the frozen sets that name it, on purpose. So each is proven by its hash, in
the index and then in the store, whatever an earlier upload has reported. The rules that the
comments cite are in `docs/architecture.md`.
"""

import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from common import links
from common.batching import batches
from get_data.database.interfaces import (
    LabelIndex,
    PictureState,
    PictureStore,
    StoredLabel,
    Tombstone,
    picture_key,
)
from get_data.labels import edits, ids, picture_file, schema
from get_data.labels.differences import find_difference
from get_data.labels.local_pictures import KeptReason, LocalPicture
from get_data.labels.picture_file import NotAPicture
from get_data.labels.schema import Document

FreeStatus = Literal["freed", "kept", "absent", "failed"]


@dataclass(frozen=True, slots=True)
class FreeOutcome:
    """Outcome for one picture: `size` is in bytes on the disk, `reason` that of a failure.

    `absent`: there is no such file, because it was freed before.
    """

    img_id: str
    status: FreeStatus
    size: int = 0
    kept: KeptReason | None = None
    reason: str = ""


@dataclass(slots=True)
class _Candidate:
    """A picture during its proof; `file` is its state when it was read."""

    picture: LocalPicture
    file: os.stat_result | None = None
    sha256: str = ""
    kept: KeptReason | None = None
    outcome: FreeOutcome | None = None
    replaced: set[str] = field(default_factory=set)  # fingerprints of labels that were corrected

    @property
    def key(self) -> str:
        """The key under which the store must have the picture."""
        return picture_key(self.picture.img_id, self.sha256)

    def finish(self, status: FreeStatus, reason: str = "") -> None:
        """Set the outcome; nothing more is done for this picture."""
        size = disk_size(self.file) if self.file else 0
        self.outcome = FreeOutcome(self.picture.img_id, status, size, self.kept, reason)

    def keep(self, reason: KeptReason) -> None:
        """Leave the picture where it is."""
        self.kept = reason
        self.finish("kept")


def disk_size(status: os.stat_result) -> int:
    """Return how many bytes the removal of a file frees."""
    return max(status.st_size, status.st_blocks * 512)


def free(
    pictures: Iterable[LocalPicture],
    index: LabelIndex,
    store: PictureStore,
    *,
    needed_bytes: int,
    dry_run: bool = False,
) -> Iterator[FreeOutcome]:
    """Remove pictures that the database has, in the given order, until enough bytes are free.

    Yields the outcome of each picture that was looked at. The caller holds the lock of their
    folders (D25). A dry run removes nothing and counts what would be removed.

    Raises:
        DatabaseError: index or store cannot be reached; outcomes yielded so far stand.
    """
    freed_bytes = 0
    for batch in batches(pictures):
        if freed_bytes >= needed_bytes:
            return
        candidates = [_Candidate(picture) for picture in batch]
        # D24: first the file itself, then the index, and after that the store
        for candidate in candidates:
            _read_file(candidate)
        _ask_index(_pending(candidates), index, store)
        _ask_store(_pending(candidates), store)
        for candidate in candidates:
            if candidate.outcome is None and freed_bytes < needed_bytes:
                _remove(candidate, dry_run=dry_run)
            if candidate.outcome:
                if candidate.outcome.status == "freed":
                    freed_bytes += candidate.outcome.size
                yield candidate.outcome


def _pending(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    return [candidate for candidate in candidates if candidate.outcome is None]


def _read_file(candidate: _Candidate) -> None:
    """Find out whether the file is the picture that its labels describe."""
    picture = candidate.picture
    try:
        candidate.file = picture.file.lstat()
        if picture.kept:
            candidate.keep(picture.kept)
            return
        mode, names = candidate.file.st_mode, candidate.file.st_nlink
        if stat.S_ISLNK(mode) or (stat.S_ISREG(mode) and names > 1):
            candidate.keep("linked")
            return
        content = picture_file.read(picture.file)
    except FileNotFoundError:
        candidate.finish("absent")
        return
    except NotAPicture as error:
        candidate.finish("failed", f"{picture.file} {error}")
        return
    except OSError as error:
        candidate.finish("failed", f"{picture.file} cannot be read: {error.strerror}")
        return
    candidate.sha256 = ids.sha256(content)
    for document in picture.documents:
        reference = schema.picture_reference(document)
        if (
            not content
            or reference.picture_sha256 not in (None, candidate.sha256)
            or reference.picture_size not in (None, len(content))
        ):
            candidate.keep("not_as_recorded")
            return


def _ask_index(candidates: Sequence[_Candidate], index: LabelIndex, store: PictureStore) -> None:
    """Find out whether the index has all labels of each picture, and names the picture."""
    names = {
        document["label_fingerprint"]
        for candidate in candidates
        for document in candidate.picture.documents
    }
    if not names:
        return
    stored = index.read(names)
    tombstones = index.find_tombstones(names)
    # D33: what a frozen set names is as safe as what a label names
    frozen = store.find_set_references({candidate.key for candidate in candidates})
    for candidate in candidates:
        _compare_labels(candidate, stored, tombstones, is_frozen=candidate.key in frozen)
    # D24: a label that was replaced proves nothing by itself, only its correction does
    replaced = [candidate for candidate in _pending(candidates) if candidate.replaced]
    if not replaced:
        return
    references = index.find_references({candidate.key for candidate in replaced})
    for candidate in replaced:
        if candidate.key in frozen:
            continue
        if not references.get(candidate.key, set()) - candidate.replaced:
            candidate.keep("not_uploaded")


def _compare_labels(
    candidate: _Candidate,
    stored: Mapping[str, StoredLabel],
    tombstones: Mapping[str, Tombstone],
    *,
    is_frozen: bool,
) -> None:
    """Keep the picture if the index lacks one of its labels, or has it with another content."""
    for document in candidate.picture.documents:
        name = document["label_fingerprint"]
        label, tombstone = stored.get(name), tombstones.get(name)
        if tombstone and tombstone.reason == "deleted" and not is_frozen:
            candidate.keep("deleted")
        elif label is None and tombstone is None:
            candidate.keep("not_applied" if _asks_for_change(document) else "not_uploaded")
        elif label is None or tombstone:
            candidate.replaced.add(name)
        elif not _names_picture(label.document, candidate):
            candidate.keep("other_picture")
        elif edits.is_marked_for_deletion(document) or _is_amended_here(document, label.document):
            candidate.keep("not_applied")
        if candidate.outcome:
            return


def _asks_for_change(document: Document) -> bool:
    return bool(edits.replaced_fingerprint(document) or edits.is_marked_for_deletion(document))


def _names_picture(stored: Document, candidate: _Candidate) -> bool:
    """Return whether a label of the index is one of this very picture."""
    is_same = stored.get("picture_sha256", candidate.sha256) == candidate.sha256
    return is_same and stored.get("s3_key") == candidate.key


def _is_amended_here(document: Document, stored: Document) -> bool:
    """Return whether the label says something that the index has not been told yet."""
    difference = find_difference(document, stored)
    return difference is not None and not difference.is_overtaken


def _ask_store(candidates: Sequence[_Candidate], store: PictureStore) -> None:
    """Find out whether the store has each picture, by its hash."""
    if not candidates:
        return
    copies = {candidate.key: partial(_read_copy, candidate) for candidate in candidates}
    states = store.examine(copies)
    # D24: a size proves nothing, so a picture without a listed hash is read
    if unverified := [key for key, state in states.items() if not state.is_verified]:
        states |= store.examine({key: copies[key] for key in unverified}, read=True)
    # a power cut must not take what was stored a moment ago, and is about to be removed here
    store.make_durable()
    for candidate in candidates:
        state = states.get(candidate.key)
        if not _is_stored(candidate, state):
            candidate.keep("not_stored")
        elif state and candidate.file and state.file == _inode(candidate.file):
            candidate.keep("linked")  # the store has no file of its own


def _is_stored(candidate: _Candidate, state: PictureState | None) -> bool:
    assert candidate.file
    return (
        state is not None
        and state.is_intact
        and state.is_verified
        and state.size == candidate.file.st_size
    )


def _read_copy(candidate: _Candidate) -> bytes | None:
    """Return the picture; None if the file has changed since it was read."""
    try:
        content = picture_file.read(candidate.picture.file)
    except (OSError, NotAPicture):
        return None
    return content if ids.sha256(content) == candidate.sha256 else None


def _remove(candidate: _Candidate, *, dry_run: bool) -> None:
    """Remove the file, unless it has changed since it was read."""
    file, before = candidate.picture.file, candidate.file
    try:
        # the folder may be reached by a link, but no name in it is followed
        with links.open_folder(file.parent) as folder:
            now = os.stat(file.name, dir_fd=folder, follow_symlinks=False)
            if before is None or _identity(now) != _identity(before):
                candidate.keep("not_as_recorded")
                return
            if not dry_run:
                os.unlink(file.name, dir_fd=folder)
    except OSError as error:
        candidate.finish("failed", f"{file} cannot be removed: {error.strerror}")
        return
    candidate.finish("freed")


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _identity(status: os.stat_result) -> Collection[int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_nlink
