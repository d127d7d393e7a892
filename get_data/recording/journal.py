"""The journal of a recording: one line per picture, written before any label file names it.

While a recording runs, its labels are lines of `labels.journal`, and so are erasures. `merge`
brings them into `labels.json` and removes the journal, at the end of the recording or, after a kill
or a power cut, when the next script reads the folder. It can itself be killed at any point and run
again. Whoever writes or merges a journal holds a lock on the folder.

Hours of driving are a hundred thousand labels, and a Raspberry Pi has little memory: a merge keeps
each label as a line of JSON.

The rules R7 to R15 are listed in docs/architecture.md, "Ordering rules".
"""

import fnmatch
import os
import stat
import time
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Raw

from common import links, locks, strict_json
from common.atomic_files import TEMPORARY_SUFFIX, atomic_write, sync, sync_file_system, sync_folder
from common.errors import InputError, RecordingFailed, StillRecording
from get_data.labels import ids, label_file, validation
from get_data.labels.schema import Document, PictureReference

NAME = "labels.journal"
DAMAGED_LABELS = "labels.damaged.json"
DAMAGED_PICTURES = "damaged"
ERASED = "erased"
PARTIAL_FILES = f".*{TEMPORARY_SUFFIX}"

LOCK_TIMEOUT_S = 10.0  # a killed drive leaves a writer that still drains its queue

_LOCK_POLL_PERIOD_S = 0.05


@dataclass(slots=True)
class MergeReport:
    """Counts of a merge; `damaged` maps each damaged picture, or torn line, to the reason."""

    labels: int = 0
    erased: int = 0
    damaged: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Content:
    """Content of a journal: labels, erased labels, and torn lines by a name of their own."""

    labels: dict[str, Raw] = field(default_factory=dict)
    erased: dict[str, Raw] = field(default_factory=dict)
    torn: dict[str, str] = field(default_factory=dict)


class Journal:
    """The journal of a running recording, open for appending."""

    def __init__(self, folder: Path) -> None:
        self._file = links.open_file(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        sync_folder(folder)  # without the journal's name, a repair would not find the recording

    def add(self, document: Document) -> None:
        """Append a label.

        Raises:
            OSError: nothing was appended.
        """
        self._append(msgspec.json.encode(document))

    def erase(self, img_ids: Sequence[str]) -> None:
        """Append the erasure of pictures and sync it.

        Raises:
            OSError: nothing was appended.
        """
        self._append(msgspec.json.encode({ERASED: img_ids}), durably=True)

    def _append(self, line: bytes, *, durably: bool = False) -> None:
        before = os.fstat(self._file).st_size
        try:
            write_all(self._file, line + b"\n")
            if durably:
                sync(self._file)
        except OSError:
            # R7: a line that was not written whole is cut off, so that the next one is not torn
            os.ftruncate(self._file, before)
            raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`.

    Raises:
        OSError: only a part was written.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def acquire_lock(folder: Path) -> int:
    """Lock the folder against other recordings and merges until the descriptor is closed.

    On a file system without locks a new recording is allowed. An existing journal is not touched,
    as it may belong to a running recording.

    Raises:
        StillRecording: another process still holds the lock after LOCK_TIMEOUT_S.
        RecordingFailed: there is a journal, and the file system has no locks.
        OSError: the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _wait_for_lock(descriptor, folder)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _wait_for_lock(descriptor: int, folder: Path) -> None:
    deadline_s = time.monotonic() + LOCK_TIMEOUT_S
    try:
        while not locks.acquire(descriptor):
            if time.monotonic() >= deadline_s:
                raise StillRecording(
                    f"{folder} is being recorded into by another process; wait until that has ended"
                )
            time.sleep(_LOCK_POLL_PERIOD_S)
    except locks.LocksUnsupported as error:
        if links.lexists(folder / NAME):
            raise RecordingFailed(
                f"{folder} holds an interrupted recording, and its file system has no locks "
                f"({error}), so a recording that still runs would not be noticed; copy the folder "
                "to another disk and use the copy"
            ) from error


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Lock the folder while the block runs; raises as `acquire_lock`."""
    descriptor = acquire_lock(folder)
    try:
        yield
    finally:
        os.close(descriptor)


def repair(folder: Path) -> MergeReport | None:
    """Merge what a killed recording left, checking every picture; None when nothing was left.

    Raises:
        StillRecording: a recording into the folder runs.
        InputError: a label file cannot be read, or a link is in the place of a file.
        RecordingFailed: the folder cannot be written to, or locked. The journal stays.
    """
    if not links.lexists(folder / NAME):
        return None
    try:
        # R10: a running recording holds the lock, so its journal is never merged
        with folder_lock(folder):
            return repair_locked(folder)
    except OSError as error:
        raise _repair_failed(folder, error) from error


def repair_locked(folder: Path) -> MergeReport | None:
    """Repair a folder whose lock the caller holds; raises as `repair`."""
    if not links.lexists(folder / NAME):
        return None
    try:
        return merge(folder, check_pictures=True)
    except OSError as error:
        raise _repair_failed(folder, error) from error


def _repair_failed(folder: Path, error: OSError) -> RecordingFailed:
    return RecordingFailed(
        f"{error.filename or folder}: an interrupted recording cannot be repaired: {error.strerror}"
    )


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
    check_links(folder)
    # R12: read everything first; a file that cannot be read leaves the folder as it is
    content = _read(folder / NAME)
    labels, erased = content.labels, content.erased
    old_labels = dict(_read_label_file(folder))
    old_erased = dict(_read_label_file(folder / ERASED)) if erased else {}
    old_damaged = _read_damaged(folder) if content.torn or check_pictures else {}
    damaged: Document = {
        name: {"reason": "this line of the journal is torn", "line": line}
        for name, line in content.torn.items()
    }
    if check_pictures:
        # R11: complete interrupted renames before pictures are looked for
        _complete_renames(folder, labels)
        _complete_renames(folder, erased)
    move_erased(folder, list(erased))
    if check_pictures:
        damaged |= _pop_damaged(labels, folder) | _pop_damaged(erased, folder / ERASED)
        for img_id in _find_unlabelled(folder, {*old_labels, *labels, *erased, *damaged}):
            damaged[img_id] = {"reason": "the picture has no label"}
    if damaged:
        _quarantine(folder, damaged, old_damaged)
    _remove_partial_files(folder)
    if (folder / ERASED).is_dir():
        _remove_partial_files(folder, ERASED)
    # R14: pictures are durable before a label file names them
    sync_file_system(folder)
    # R15: both label files are durable before the journal is removed; until then a merge can start
    # over
    _write_erased(folder, erased, old_erased)
    label_file.write(folder / label_file.NAME, {**old_labels, **labels})
    (folder / NAME).unlink()
    return MergeReport(
        labels=len(labels),
        erased=len(erased),
        damaged={name: entry["reason"] for name, entry in damaged.items()},
    )


def preview_merge(folder: Path) -> dict[str, Document]:
    """Return the labels that a merge would leave in `labels.json`, and change nothing.

    Pictures are not checked, and torn lines are left out.

    Raises:
        InputError: a label file cannot be read.
        OSError: the journal cannot be read.
    """
    path = folder / label_file.NAME
    labels = label_file.read(path) if path.exists() else {}
    lines = _read(folder / NAME).labels
    return labels | {img_id: strict_json.parse(bytes(line), NAME) for img_id, line in lines.items()}


def read_ids(folder: Path) -> set[str]:
    """Return the ids in the folder's `labels.json`, if it has one.

    Raises:
        InputError: it cannot be read.
    """
    return {img_id for img_id, _ in _read_label_file(folder)}


def iter_labels(folder: Path) -> Iterator[tuple[str, Raw]]:
    """Yield all labels of a folder with their ids: kept, erased, and still in a journal.

    Nothing is changed.

    Raises:
        InputError: a label file cannot be read.
        RecordingFailed: the journal cannot be read.
    """
    yield from _read_label_file(folder)
    yield from _read_label_file(folder / ERASED)
    if (folder / NAME).exists():
        try:
            content = _read(folder / NAME)
        except OSError as error:
            raise _repair_failed(folder, error) from error
        yield from content.labels.items()
        yield from content.erased.items()


def check_links(folder: Path) -> None:
    """Raise InputError if a file or folder that a recording or a repair writes to is a link."""
    for name in (NAME, DAMAGED_LABELS, DAMAGED_PICTURES, ERASED, label_file.NAME):
        links.check_not_link(folder / name)
    links.check_not_link(folder / ERASED / label_file.NAME)


def temporary_name(file_name: str) -> str:
    """Return the name of a picture while it is being written."""
    return f".{file_name}{TEMPORARY_SUFFIX}"


def move_erased(folder: Path, img_ids: Sequence[str]) -> None:
    """Move pictures to `erased/`; their labels follow at the merge."""
    if img_ids:
        _move([f"{img_id}.jpg" for img_id in img_ids], folder, ERASED)


def _read(path: Path) -> _Content:
    """Return the content of a journal.

    Raises:
        RecordingFailed: it is no regular file.
        InputError: it is a link.
        OSError: it cannot be read.
    """
    content = _Content()
    labels = content.labels
    if path.exists() and not path.is_file() and not path.is_symlink():
        raise RecordingFailed(f"{path} is not a regular file; move it away")
    with os.fdopen(links.open_file(path), "rb") as file:
        modified = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
        for number, line in enumerate(file, start=1):
            try:
                entry = strict_json.parse(line, NAME)  # as strict as the reader of label files
                if entry.keys() == {ERASED}:  # a label may also have this key, among others
                    # collect all ids before removing a label: the line may be torn
                    img_ids = [img_id for img_id in entry[ERASED] if img_id in labels]
                    content.erased |= {
                        img_id: labels.pop(img_id) for img_id in dict.fromkeys(img_ids)
                    }
                else:
                    img_id = validation.parse(entry).img_id
                    labels[img_id] = Raw(line.removeprefix(BOM_UTF8).strip())
            except Exception:  # noqa: BLE001  a torn line may hold anything
                # R7: a torn line is kept under a name that no other repair gives
                name = f"{ids.format_img_id(modified)} line {number}"
                content.torn[name] = line.decode(errors="replace")
    return content


def _read_label_file(folder: Path) -> Iterable[tuple[str, Raw]]:
    """Return the entries of a folder's `labels.json`, if it has one.

    Raises:
        InputError: it cannot be read.
    """
    path = folder / label_file.NAME
    return label_file.entries(path) if path.exists() else ()


def _read_damaged(folder: Path) -> Document:
    """Return the list that earlier repairs wrote.

    Raises:
        InputError: it cannot be read.
    """
    path = folder / DAMAGED_LABELS
    damaged: object = strict_json.read(path) if path.exists() else {}
    if not isinstance(damaged, dict):
        raise InputError(f"{path}: expected an object of damaged labels; move it away")
    return damaged


def _complete_renames(folder: Path, labels: Mapping[str, Raw]) -> None:
    """Rename pictures that a power cut left under their temporary name."""
    for line in labels.values():
        picture = folder / _picture_reference(line).file_name
        temporary = folder / temporary_name(picture.name)
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
    with atomic_write(folder / DAMAGED_LABELS) as file:
        content = msgspec.json.encode({**damaged, **old})
        file.write(msgspec.json.format(content, indent=1) + b"\n")
    for source in ("", ERASED):
        names = [f"{img_id}.jpg" for img_id in damaged]
        _move(names, folder, DAMAGED_PICTURES, source=source)


def _write_erased(folder: Path, erased: Mapping[str, Raw], old: Mapping[str, Raw]) -> None:
    """Write the labels of erased pictures beside them, if there are any."""
    if erased:
        label_file.write(folder / ERASED / label_file.NAME, {**old, **erased})


def _remove_partial_files(folder: Path, inner: str = "") -> None:
    """Remove a killed writer's partial files from the folder, or from `inner` within it."""
    with links.open_folder(folder, inner) as descriptor:
        names = os.listdir(descriptor)  # noqa: PTH208  a path would be looked up again
        for name in fnmatch.filter(names, PARTIAL_FILES):
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
