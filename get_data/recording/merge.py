"""Merge of a journal into label files, and repair of what a killed recording left.

At the end of a recording, or after a kill or a power cut when the next script reads the folder,
`merge` moves the journal's labels into `labels.json` and removes it. It can itself be killed at any
point and run again.

Hours of driving are a hundred thousand labels, and a Raspberry Pi has little memory: a merge keeps
each label as a line of JSON.

The rules R10 to R15 are listed in docs/architecture.md, "Ordering rules".
"""

import fnmatch
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Raw

from common import links, strict_json
from common.atomic_files import TEMPORARY_SUFFIX, atomic_write, sync_file_system
from common.errors import InputError
from get_data.labels import ids, label_file
from get_data.labels.schema import Document, PictureReference
from get_data.recording import journal

_PARTIAL_FILES = f".*{TEMPORARY_SUFFIX}"


@dataclass(slots=True)
class MergeReport:
    """Counts of a merge; `damaged` maps each damaged picture, or torn line, to the reason."""

    labels: int = 0
    erased: int = 0
    damaged: dict[str, str] = field(default_factory=dict)


def repair(folder: Path) -> MergeReport | None:
    """Merge what a killed recording left, checking every picture; None when nothing was left.

    Raises:
        StillRecording: a recording into the folder runs.
        InputError: a label file cannot be read, or a link is in the place of a file.
        RecordingFailed: the folder cannot be written to, or locked. The journal stays.
    """
    if not links.lexists(folder / journal.NAME):
        return None
    try:
        # R10: a running recording holds the lock, so its journal is never merged
        with journal.folder_lock(folder):
            return repair_locked(folder)
    except OSError as error:
        raise journal.repair_failed(folder, error) from error


def repair_locked(folder: Path) -> MergeReport | None:
    """Repair a folder whose lock the caller holds; raises as `repair`."""
    if not links.lexists(folder / journal.NAME):
        return None
    try:
        return merge(folder, check_pictures=True)
    except OSError as error:
        raise journal.repair_failed(folder, error) from error


def merge(folder: Path, *, check_pictures: bool) -> MergeReport:
    """Move labels to `labels.json`, erased ones to `erased/`, and remove the journal.

    With `check_pictures`, a label whose picture is missing, empty, short or of another hash goes to
    `labels.damaged.json` instead, and the picture to `damaged/`. The caller holds the lock.

    Raises:
        InputError: a label file cannot be read, or a link is in the place of a file.
        RecordingFailed: the journal is no regular file.
        WriteFailed: a label file cannot be written.
        OSError: another step failed. The journal stays, and the merge can be run again.
    """
    # R12: read everything first; a file that cannot be read leaves the folder as it is
    content, old_erased, old_damaged = _read(folder, check_pictures=check_pictures)
    old_labels = dict(journal.read_label_file(folder))
    labels, erased = content.labels, content.erased
    damaged: Document = {
        name: {"reason": "this line of the journal is torn", "line": line}
        for name, line in content.torn.items()
    }
    if check_pictures:
        # R11: complete interrupted renames before pictures are looked for
        _complete_renames(folder, labels)
        _complete_renames(folder, erased)
    # R8: complete the moves of erasures; a killed writer may have left their lines in memory
    if erased:
        sync_file_system(folder)
    move_erased(folder, list(erased))
    # labels, and pictures, that lack the other half are set aside rather than lost
    if check_pictures:
        damaged |= _pop_damaged(labels, folder) | _pop_damaged(erased, folder / journal.ERASED)
        for img_id in _find_unlabelled(folder, {*old_labels, *labels, *erased, *damaged}):
            damaged[img_id] = {"reason": "the picture has no label"}
    if damaged:
        _quarantine(folder, damaged, old_damaged)
    # a killed writer's partial files have no label; their pictures were never whole
    _remove_partial_files(folder)
    if (folder / journal.ERASED).is_dir():
        _remove_partial_files(folder, journal.ERASED)
    # R14: pictures are durable before a label file names them
    sync_file_system(folder)
    # R15: both label files are durable before the journal is removed; until then a merge can start
    # over
    _write_erased(folder, erased, old_erased)
    label_file.write(folder / label_file.NAME, {**old_labels, **labels})
    (folder / journal.NAME).unlink()
    return MergeReport(
        labels=len(labels),
        erased=len(erased),
        damaged={name: entry["reason"] for name, entry in damaged.items()},
    )


def preview(folder: Path) -> dict[str, Document]:
    """Return the labels that a repair would leave in `labels.json`, and change nothing.

    Pictures are not checked, and torn lines are left out. What a repair refuses is refused.

    Raises:
        InputError: a label file cannot be read or has an invalid label, or a link is in the place
            of a file.
        RecordingFailed: the journal cannot be read.
    """
    try:
        content = _read(folder, check_pictures=True).pending
    except OSError as error:
        raise journal.repair_failed(folder, error) from error
    path = folder / label_file.NAME
    labels = label_file.read(path) if path.exists() else {}
    return labels | {img_id: msgspec.json.decode(line) for img_id, line in content.labels.items()}


def move_erased(folder: Path, img_ids: Sequence[str]) -> None:
    """Move pictures to `erased/`; their labels follow at the merge."""
    if img_ids:
        _move([f"{img_id}.jpg" for img_id in img_ids], folder, journal.ERASED)


class _MergeInput(NamedTuple):
    """What a merge reads beside `labels.json`: the journal, and the other files that it writes."""

    pending: journal.Content
    erased: dict[str, Raw]
    damaged: Document


def _read(folder: Path, *, check_pictures: bool) -> _MergeInput:
    """Read what a merge needs beside `labels.json`; raises as `merge`."""
    # a link in a folder from elsewhere would lead a merge's writes out of it
    journal.check_layout(folder)
    content = journal.read(folder / journal.NAME)
    return _MergeInput(
        content,
        erased=_read_erased(folder) if content.erased else {},
        damaged=_read_damaged(folder) if content.torn or check_pictures else {},
    )


def _read_erased(folder: Path) -> dict[str, Raw]:
    """Return the labels that were erased before; raises as `_read_damaged`."""
    with _with_remedy():
        return dict(journal.read_label_file(folder / journal.ERASED))


def _read_damaged(folder: Path) -> Document:
    """Return the list that earlier repairs wrote.

    Raises:
        InputError: it cannot be read.
    """
    path = folder / journal.DAMAGED_LABELS
    with _with_remedy():
        damaged: object = strict_json.read(path) if path.exists() else {}
        if not isinstance(damaged, dict):
            raise InputError(f"{path}: expected an object of damaged labels")
    return damaged


@contextmanager
def _with_remedy() -> Iterator[None]:
    """Tell to move the file away, in errors about one that a repair only adds to."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{error}; move it away") from error


def _complete_renames(folder: Path, labels: Mapping[str, Raw]) -> None:
    """Rename pictures that a power cut left under their temporary name."""
    for line in labels.values():
        picture = folder / _picture_reference(line).file_name
        temporary = folder / journal.temporary_name(picture.name)
        # R6 gave the picture its name before its label, but a power cut may undo the rename alone
        if not picture.exists() and temporary.exists():
            temporary.rename(picture)


def _pop_damaged(labels: dict[str, Raw], folder: Path) -> Document:
    """Remove the labels whose picture is not as recorded; return them with the reasons."""
    faults = {
        img_id: _find_fault(folder, _picture_reference(line)) for img_id, line in labels.items()
    }
    return {
        img_id: {"reason": reason, "label": labels.pop(img_id)}
        for img_id, reason in faults.items()
        if reason
    }


def _picture_reference(line: Raw) -> PictureReference:
    return msgspec.json.decode(line, type=PictureReference)


def _find_fault(folder: Path, reference: PictureReference) -> str | None:
    """Return the fault of a label's picture, None if it has none."""
    picture = folder / reference.file_name
    try:
        if not stat.S_ISREG(picture.stat().st_mode):  # reading a pipe would block forever
            return "the picture is not a regular file"
        content = picture.read_bytes()
    except FileNotFoundError:
        return "the picture is missing"
    except OSError as error:
        return f"the picture cannot be read: {error.strerror}"
    if not content:
        return "the picture is empty"
    if len(content) != reference.picture_size:
        return f"the picture has {len(content)} bytes instead of {reference.picture_size}"
    if ids.sha256(content) != reference.picture_sha256:
        return "the picture has other content than was recorded"
    return None


def _find_unlabelled(folder: Path, labelled: set[str]) -> Iterator[str]:
    """Yield the ids of recorded pictures that have no label."""
    for picture in folder.glob("*.jpg"):
        if picture.stem not in labelled and ids.parse_img_id(picture.stem):
            yield picture.stem


def _quarantine(folder: Path, damaged: Document, old: Document) -> None:
    """List the damaged entries, and move their pictures to `damaged/`."""
    # R13: list before moving, and keep the first reason: after a kill the picture is "missing"
    with atomic_write(folder / journal.DAMAGED_LABELS) as file:
        content = msgspec.json.encode({**damaged, **old})
        file.write(msgspec.json.format(content, indent=1) + b"\n")
    for source in ("", journal.ERASED):
        names = [f"{img_id}.jpg" for img_id in damaged]
        _move(names, folder, journal.DAMAGED_PICTURES, source=source)


def _write_erased(folder: Path, erased: Mapping[str, Raw], old: Mapping[str, Raw]) -> None:
    """Write the labels of erased pictures beside them, if there are any."""
    if erased:
        label_file.write(folder / journal.ERASED / label_file.NAME, {**old, **erased})


def _remove_partial_files(folder: Path, inner: str = "") -> None:
    """Remove a killed writer's partial files from the folder, or from `inner` within it."""
    with links.open_folder(folder, inner) as descriptor:
        names = os.listdir(descriptor)  # noqa: PTH208  a path would be looked up again
        for name in fnmatch.filter(names, _PARTIAL_FILES):
            mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
            if not stat.S_ISDIR(mode):
                os.unlink(name, dir_fd=descriptor)


def _move(file_names: Sequence[str], folder: Path, target: str, *, source: str = "") -> None:
    """Move the files that exist from one folder to another, both within `folder`."""
    (folder / target).mkdir(exist_ok=True)
    if not (folder / source).is_dir():
        return
    with (
        links.open_folder(folder, source) as source_fd,
        links.open_folder(folder, target) as target_fd,
    ):
        for name in file_names:
            if links.lexists(folder / source / name):
                os.rename(name, name, src_dir_fd=source_fd, dst_dir_fd=target_fd)
