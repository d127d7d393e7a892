"""The journal of a recording: one line a picture, written before anything else knows of it.

While a recording runs, its labels stand in `labels.journal`, a line each; an erasure is a line too.
`merge` brings them into `labels.json` and removes the journal, at the end of the recording or,
after a kill or a power cut, when the next script comes by. It can itself be killed at any point and
run again. Whoever writes the journal or merges it holds a lock on the folder.

Hours of driving are a hundred thousand labels, and a Raspberry Pi has little memory: a merge keeps
each label as the line that it stands in.
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

LOCK_TIMEOUT_S = 10.0  # a killed drive leaves a writer that still empties its queue


@dataclass(slots=True)
class MergeReport:
    """What a merge found in a journal."""

    labels: int = 0
    erased: int = 0
    damaged: dict[str, str] = field(default_factory=dict)


class Journal:
    """The journal of the recording that runs now; appends to what is there."""

    def __init__(self, folder: Path) -> None:
        self._file = links.open_file(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        sync_folder(folder)  # pictures without a journal would be found by nobody

    def add(self, document: Document) -> None:
        """The label is written, or, on OSError, nothing is."""
        self._append(msgspec.json.encode(document))

    def erase(self, img_ids: Sequence[str]) -> None:
        """The pictures count as erased, also after a power cut, or, on OSError, nothing changes."""
        self._append(msgspec.json.encode({ERASED: img_ids}), durably=True)

    def _append(self, line: bytes, *, durably: bool = False) -> None:
        before = os.fstat(self._file).st_size
        try:
            write_all(self._file, line + b"\n")
            if durably:
                sync(self._file)
        except OSError:
            os.ftruncate(self._file, before)
            raise

    def close(self) -> None:
        """The file is closed."""
        os.close(self._file)


def write_all(descriptor: int, data: bytes) -> None:
    """All of `data` is written; a disk that takes only a part raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def acquire_lock(folder: Path) -> int:
    """A descriptor that holds the folder against other recordings and merges until it is closed.

    A file system without locks takes new recordings all the same; a journal there may be that of a
    recording that runs, and is left alone.

    Raises: StillRecording when another process holds it, after waiting a while; RecordingFailed.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _wait_for_lock(descriptor, folder)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _wait_for_lock(descriptor: int, folder: Path) -> None:
    give_up = time.monotonic() + LOCK_TIMEOUT_S
    try:
        while not locks.acquire(descriptor):
            if time.monotonic() >= give_up:
                raise StillRecording(
                    f"{folder} is being recorded into by another process; wait until that has ended"
                )
            time.sleep(0.05)
    except locks.LocksUnsupported as error:
        if links.lexists(folder / NAME):
            raise RecordingFailed(
                f"{folder} holds an interrupted recording, and its file system has no locks "
                f"({error}), so that one that still runs would not be noticed; copy the folder to "
                "another disk and give the copy"
            ) from error


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """The folder is held against other recordings and merges while the block runs."""
    descriptor = acquire_lock(folder)
    try:
        yield
    finally:
        os.close(descriptor)


def repair(folder: Path) -> MergeReport | None:
    """What a killed recording left is merged, every picture checked; None when nothing was left.

    Raises: StillRecording while a recording into the folder runs; InputError when its `labels.json`
    cannot be read or a name of a recording is a link; RecordingFailed when the folder cannot be
    written to. The journal stays then.
    """
    if not links.lexists(folder / NAME):
        return None
    try:
        with folder_lock(folder):
            return repair_locked(folder)
    except OSError as error:
        raise _cannot_be_repaired(folder, error) from error


def repair_locked(folder: Path) -> MergeReport | None:
    """`repair` for whoever holds the folder's lock. Raises: InputError, RecordingFailed."""
    if not links.lexists(folder / NAME):
        return None
    try:
        return merge(folder, check_pictures=True)
    except OSError as error:
        raise _cannot_be_repaired(folder, error) from error


def _cannot_be_repaired(folder: Path, error: OSError) -> RecordingFailed:
    return RecordingFailed(
        f"{error.filename or folder}: an interrupted recording cannot be repaired: {error.strerror}"
    )


def merge(folder: Path, *, check_pictures: bool) -> MergeReport:
    """The journal's labels stand in `labels.json`, erased ones in `erased/`, and it is gone.

    With `check_pictures`, a label whose picture is missing, empty, short or of another hash goes to
    `labels.damaged.json` instead, and the picture to `damaged/`. The caller holds the lock.

    Pictures are synced before a label file names them: it may outlive a power cut before they do.

    Raises: OSError, WriteFailed, RecordingFailed; InputError when a label file of the folder cannot
    be read, or a link is in the place of what is written or moved. The journal stays then.
    """
    check_links(folder)
    merged = MergeReport()
    taken, erased, unreadable = _read(folder / NAME)
    known = dict(_entries(folder))
    known_erased = dict(_entries(folder / ERASED)) if erased else {}
    known_damaged = _damaged_of(folder) if unreadable or check_pictures else {}
    damaged: Document = {
        name: {"reason": "this line of the journal is torn", "line": line}
        for name, line in unreadable.items()
    }
    if check_pictures:
        _complete_renaming(folder, taken)
        _complete_renaming(folder, erased)
    move_erased(folder, list(erased))
    if check_pictures:
        damaged |= _take_out_damaged(taken, folder) | _take_out_damaged(erased, folder / ERASED)
        for img_id in _unlabelled(folder, {*known, *taken, *erased, *damaged}):
            damaged[img_id] = {"reason": "the picture has no label"}
    if damaged:
        _put_damaged_aside(folder, damaged, known_damaged)
    _drop_half_written(folder)
    if (folder / ERASED).is_dir():
        _drop_half_written(folder, ERASED)
    sync_file_system(folder)
    _put_erased_aside(folder, erased, known_erased)
    label_file.write(folder / label_file.NAME, {**known, **taken})
    (folder / NAME).unlink()
    merged.labels, merged.erased = len(taken), len(erased)
    merged.damaged = {name: entry["reason"] for name, entry in damaged.items()}
    return merged


def preview_merge(folder: Path) -> dict[str, Document]:
    """Return the labels that a merge would leave in `labels.json`, and change nothing.

    Their pictures are not looked at, and lines of the journal that are torn are left out. Raises:
    InputError, OSError.
    """
    path = folder / label_file.NAME
    known = label_file.read(path) if path.exists() else {}
    taken, _, _ = _read(folder / NAME)
    return known | {img_id: strict_json.parse(bytes(line), NAME) for img_id, line in taken.items()}


def check_links(folder: Path) -> None:
    """Raise InputError when a link is in the place of what a recording or a repair writes to."""
    for name in (NAME, DAMAGED_LABELS, DAMAGED_PICTURES, ERASED, label_file.NAME):
        links.check_not_link(folder / name)
    links.check_not_link(folder / ERASED / label_file.NAME)


def temporary_name(file_name: str) -> str:
    """What a picture is called while it is being written."""
    return f".{file_name}{TEMPORARY_SUFFIX}"


def _read(path: Path) -> tuple[dict[str, Raw], dict[str, Raw], dict[str, str]]:
    """The labels of a journal, those erased, and by their number the lines that cannot be read.

    Raises: OSError; RecordingFailed for what is no file; InputError for a link.
    """
    taken: dict[str, Raw] = {}
    erased: dict[str, Raw] = {}
    unreadable: dict[str, str] = {}
    if path.exists() and not path.is_file() and not path.is_symlink():
        raise RecordingFailed(f"{path} is not a regular file; move it away")
    with os.fdopen(links.open_file(path), "rb") as file:
        written = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
        for number, line in enumerate(file, start=1):
            try:
                entry = strict_json.parse(line, NAME)  # as strictly as it will be read again
                if entry.keys() == {ERASED}:  # a label may have a key of that name too
                    names = [name for name in entry[ERASED] if name in taken]  # all, or it is torn
                    erased |= {name: taken.pop(name) for name in dict.fromkeys(names)}
                else:
                    taken[validation.parse(entry).img_id] = Raw(line.removeprefix(BOM_UTF8).strip())
            except Exception:  # noqa: BLE001  a torn line may hold anything
                unreadable[f"{ids.format_img_id(written)} line {number}"] = line.decode(
                    errors="replace"
                )
    return taken, erased, unreadable


def read_ids(folder: Path) -> set[str]:
    """The ids of the labels that a folder has, if it has any. Raises: InputError."""
    return {img_id for img_id, _ in _entries(folder)}


def iter_labels(folder: Path) -> Iterator[tuple[str, Raw]]:
    """Yield all labels of a folder by their id: kept, erased, and still in a journal.

    Nothing is changed. Raises: InputError; RecordingFailed when the journal cannot be read.
    """
    yield from _entries(folder)
    yield from _entries(folder / ERASED)
    if (folder / NAME).exists():
        try:
            taken, erased, _ = _read(folder / NAME)
        except OSError as error:
            raise _cannot_be_repaired(folder, error) from error
        yield from taken.items()
        yield from erased.items()


def _entries(folder: Path) -> Iterable[tuple[str, Raw]]:
    """What stands in the `labels.json` of a folder, if it has one. Raises: InputError."""
    path = folder / label_file.NAME
    return label_file.entries(path) if path.exists() else ()


def _reference(line: Raw) -> PictureReference:
    """What a label of the journal says of its picture."""
    return msgspec.json.decode(line, type=PictureReference)


def _complete_renaming(folder: Path, labels: Mapping[str, Raw]) -> None:
    """Pictures that a power cut gave their temporary name back have their own again."""
    for line in labels.values():
        picture = folder / _reference(line).file_name
        unfinished = folder / temporary_name(picture.name)
        if not picture.exists() and unfinished.exists():
            unfinished.rename(picture)


def _take_out_damaged(labels: dict[str, Raw], folder: Path) -> Document:
    """Takes the labels out whose picture is not as it was recorded; returns them with reasons."""
    faults = {img_id: _fault(folder, _reference(line)) for img_id, line in labels.items()}
    return {
        img_id: {"reason": reason, "label": labels.pop(img_id)}
        for img_id, reason in faults.items()
        if reason
    }


def _fault(folder: Path, reference: PictureReference) -> str | None:
    """What is wrong with the picture of a label, if anything."""
    picture = folder / reference.file_name
    try:
        if not stat.S_ISREG(picture.stat().st_mode):  # reading a pipe would wait for ever
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


def _unlabelled(folder: Path, labelled: set[str]) -> Iterator[str]:
    """The ids of pictures of ours that no label speaks of."""
    for picture in folder.glob("*.jpg"):
        if picture.stem not in labelled and ids.parse_img_id(picture.stem):
            yield picture.stem


def _damaged_of(folder: Path) -> Document:
    """What earlier repairs could not use. Raises: InputError."""
    path = folder / DAMAGED_LABELS
    damaged: object = strict_json.read(path) if path.exists() else {}
    if not isinstance(damaged, dict):
        raise InputError(f"{path}: expected an object of damaged labels; move it away")
    return damaged


def _put_damaged_aside(folder: Path, damaged: Document, known: Document) -> None:
    """The pictures lie in `damaged/`, what is wrong with them stands in the list."""
    with atomic_write(folder / DAMAGED_LABELS) as file:
        content = msgspec.json.encode({**damaged, **known})
        file.write(msgspec.json.format(content, indent=1) + b"\n")
    for source in ("", ERASED):
        names = [f"{img_id}.jpg" for img_id in damaged]
        _move(names, folder, DAMAGED_PICTURES, source=source)


def _drop_half_written(folder: Path, inner: str = "") -> None:
    """What a killed writing left in the folder, or in one within it, is gone."""
    with links.open_folder(folder, inner) as descriptor:
        names = os.listdir(descriptor)  # noqa: PTH208  a path would be looked up again
        for name in fnmatch.filter(names, PARTIAL_FILES):
            kind = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
            if not stat.S_ISDIR(kind):
                os.unlink(name, dir_fd=descriptor)


def _put_erased_aside(folder: Path, erased: Mapping[str, Raw], known: Mapping[str, Raw]) -> None:
    """The labels of erased pictures stand beside these."""
    if erased:
        label_file.write(folder / ERASED / label_file.NAME, {**known, **erased})


def _move(file_names: Sequence[str], folder: Path, target: str, *, source: str = "") -> None:
    """Those of the files that are there lie in the folder `target` within the recording's."""
    (folder / target).mkdir(exist_ok=True)
    if not (folder / source).is_dir():
        return
    with (
        links.open_folder(folder, source) as moved_from,
        links.open_folder(folder, target) as moved_to,
    ):
        for name in file_names:
            if links.lexists(folder / source / name):
                os.rename(name, name, src_dir_fd=moved_from, dst_dir_fd=moved_to)


def move_erased(folder: Path, img_ids: Sequence[str]) -> None:
    """The pictures lie in `erased/`; their labels follow at the merge."""
    if img_ids:
        _move([f"{img_id}.jpg" for img_id in img_ids], folder, ERASED)
