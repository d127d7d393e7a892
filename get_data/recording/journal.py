"""The journal of a recording: one line per picture, written before any label file names it.

While a recording runs, its labels are lines of `labels.journal`, and so are erasures; `merge.py`
brings them into `labels.json` afterwards. Whoever writes or merges a journal, or removes pictures,
holds a lock on the folder; whoever uploads its pictures shares one.

The rules R7, R10 and D25 are listed in docs/architecture.md, "Ordering rules".
"""

import os
import time
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Raw

from common import links, locks, strict_json
from common.atomic_files import TEMPORARY_SUFFIX, sync, sync_folder
from common.errors import InputError, RecordingFailed, StillRecording
from get_data.labels import ids, label_file
from get_data.labels.label_reader import LabelReader
from get_data.labels.schema import Document

NAME = "labels.journal"
DAMAGED_LABELS = "labels.damaged.json"
DAMAGED_PICTURES = "damaged"
ERASED = "erased"

LOCK_TIMEOUT_S = 10.0  # a killed drive leaves a writer that still drains its queue

_LOCK_POLL_PERIOD_S = 0.05


@dataclass(slots=True)
class Content:
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
    try:
        return _lock(folder, LOCK_TIMEOUT_S)
    except locks.LocksUnsupported as error:
        # R10: without locks nobody can tell whether the journal's writer is alive
        if links.lexists(folder / NAME):
            raise RecordingFailed(
                f"{folder} holds an interrupted recording, and its file system has no locks "
                f"({error}), so a recording that still runs would not be noticed; copy the folder "
                "to another disk and use the copy"
            ) from error
        return os.open(folder, os.O_RDONLY)


def _lock(folder: Path, timeout_s: float, *, shared: bool = False) -> int:
    """Lock the folder and return the descriptor that holds the lock.

    Raises:
        StillRecording: another process still holds the lock after `timeout_s`.
        LocksUnsupported: the file system has no locks.
        OSError: the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # R10: the lock is on the folder's descriptor, which the writer inherits
        is_locked = _wait_for_lock(descriptor, timeout_s, shared=shared)
    except BaseException:
        os.close(descriptor)
        raise
    if not is_locked:
        os.close(descriptor)
        raise StillRecording(
            f"{folder} is being recorded into by another process, or its pictures are in use by an "
            "upload or by free_space.py; wait until that has ended"
        )
    return descriptor


def _wait_for_lock(descriptor: int, timeout_s: float, *, shared: bool) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while not locks.acquire(descriptor, shared=shared):
        if time.monotonic() >= deadline_s:
            return False
        time.sleep(_LOCK_POLL_PERIOD_S)
    return True


def is_locked(folder: Path) -> bool:
    """Return whether a recording, a repair or free_space.py is at work; False without locks.

    Raises:
        OSError: the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        return not locks.acquire(descriptor, shared=True)
    except locks.LocksUnsupported:
        return False
    finally:
        os.close(descriptor)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Lock the folder while the block runs; raises as `acquire_lock`."""
    descriptor = acquire_lock(folder)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def shared_lock(folder: Path) -> Iterator[None]:
    """Keep the folder's pictures where they are while the block runs, together with others.

    Without locks nothing is kept, and `removal_lock` refuses: no picture is removed there.

    Raises:
        StillRecording: a recording or a removal still runs after LOCK_TIMEOUT_S.
        OSError: the folder cannot be opened.
    """
    # D25: an upload may need a picture again that it has found here
    try:
        descriptor = _lock(folder, LOCK_TIMEOUT_S, shared=True)
    except locks.LocksUnsupported:
        yield
        return
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def removal_lock(folder: Path) -> Iterator[None]:
    """Lock the folder against recordings, merges and uploads, so that pictures may be removed.

    Raises:
        StillRecording: one of them runs.
        InputError: the file system has no locks.
        OSError: the folder cannot be opened.
    """
    # D25: nobody else uses the pictures, or nothing is removed
    try:
        descriptor = _lock(folder, 0)
    except locks.LocksUnsupported as error:
        raise InputError(
            f"{folder}: its file system has no locks ({error}), so an upload or a recording would "
            "not be noticed, and nothing is removed; copy the folder to another disk"
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


def read_ids(folder: Path) -> set[str]:
    """Return the ids in the folder's `labels.json`, if it has one.

    Raises:
        InputError: it cannot be read.
    """
    return {img_id for img_id, _ in read_label_file(folder)}


def iter_labels(folder: Path) -> Iterator[tuple[str, Raw]]:
    """Yield all labels of a folder with their ids: kept, erased, and still in a journal.

    Nothing is changed.

    Raises:
        InputError: a label file cannot be read.
        RecordingFailed: the journal cannot be read.
    """
    yield from read_label_file(folder)
    yield from read_label_file(folder / ERASED)
    if (folder / NAME).exists():
        try:
            content = read(folder / NAME)
        except OSError as error:
            raise repair_failed(folder, error) from error
        yield from content.labels.items()
        yield from content.erased.items()


def repair_failed(folder: Path, error: OSError) -> RecordingFailed:
    """Return the error that says that a folder can neither be read nor repaired."""
    return RecordingFailed(
        f"{error.filename or folder}: an interrupted recording cannot be read or repaired: "
        f"{error.strerror}"
    )


def check_layout(folder: Path) -> None:
    """Check that a recording and a repair can write to their files and folders.

    Raises:
        InputError: one of them is a link, or a file is in the place of a folder.
    """
    for name in (NAME, DAMAGED_LABELS, DAMAGED_PICTURES, ERASED, label_file.NAME):
        links.check_not_link(folder / name)
    for inner in (folder / DAMAGED_PICTURES, folder / ERASED):
        if inner.exists() and not inner.is_dir():
            raise InputError(f"{inner} is not a folder; move it away")
    links.check_not_link(folder / ERASED / label_file.NAME)


def temporary_name(file_name: str) -> str:
    """Return the name of a picture while it is being written."""
    return f".{file_name}{TEMPORARY_SUFFIX}"


def read(path: Path) -> Content:
    """Return the content of a journal.

    Raises:
        RecordingFailed: it is no regular file.
        InputError: it is a link.
        OSError: it cannot be read.
    """
    content = Content()
    labels = content.labels
    reader = LabelReader()
    if path.exists() and not path.is_file() and not path.is_symlink():
        raise RecordingFailed(f"{path} is not a regular file; move it away")
    with os.fdopen(links.open_file(path), "rb") as file:
        modified = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
        for number, line in enumerate(file, start=1):
            proven = line.removesuffix(b"\n")
            if label := reader.prove(proven):
                labels[label.img_id] = Raw(proven)
                continue
            try:
                entry = strict_json.parse(line, NAME)  # as strict as the reader of label files
                if entry.keys() == {ERASED}:  # a label may also have this key, among others
                    # collect all ids before removing a label: the line may be torn
                    img_ids = [img_id for img_id in entry[ERASED] if img_id in labels]
                    content.erased |= {
                        img_id: labels.pop(img_id) for img_id in dict.fromkeys(img_ids)
                    }
                else:
                    img_id = reader.check(entry).img_id
                    labels[img_id] = Raw(line.removeprefix(BOM_UTF8).strip())
            except Exception:  # noqa: BLE001  a torn line may hold anything
                # R7: a torn line is kept under a name that no other repair gives
                name = f"{ids.format_img_id(modified)} line {number}"
                content.torn[name] = line.decode(errors="replace")
    return content


def read_label_file(folder: Path) -> Iterable[tuple[str, Raw]]:
    """Return the entries of a folder's `labels.json`, if it has one.

    Raises:
        InputError: it cannot be read.
    """
    path = folder / label_file.NAME
    return label_file.entries(path) if path.exists() else ()
