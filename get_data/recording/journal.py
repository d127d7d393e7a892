"""The journal of a recording: one line a picture, written before anything else knows of it.

While a recording runs, its labels stand in `labels.journal`, a line each; an erasure is a line too.
`merge` brings them into `labels.json` and removes the journal, at the end of the recording or,
after a kill or a power cut, when the next script comes by. It can itself be killed at any point and
run again. Whoever writes the journal or merges it holds a lock on the folder.
"""

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from errors import RecordingFailed, StillRecording
from get_data import strict_json
from get_data.durable import TEMPORARY_SUFFIX, replacing, sync_file_system
from get_data.labels import label, label_file
from get_data.labels.label import Document, PictureReference

NAME = "labels.journal"
DAMAGED_LABELS = "labels.damaged.json"
DAMAGED_PICTURES = "damaged"
ERASED = "erased"

WAIT_FOR_LOCK_S = 10.0  # a killed drive leaves a writer that still empties its queue


@dataclass(slots=True)
class Merged:
    """What a merge found in a journal."""

    labels: int = 0
    erased: int = 0
    damaged: dict[str, str] = field(default_factory=dict)


class Journal:
    """The journal of the recording that runs now; appends to what is there."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def add(self, document: Document) -> None:
        """The label is written, or, on OSError, nothing is."""
        self._append(msgspec.json.encode(document))

    def erase(self, img_ids: Sequence[str]) -> None:
        """The pictures count as erased, or, on OSError, nothing changes."""
        self._append(msgspec.json.encode({ERASED: img_ids}))

    def _append(self, line: bytes) -> None:
        before = os.fstat(self._file).st_size
        try:
            write_all(self._file, line + b"\n")
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


def lock(folder: Path) -> int:
    """A descriptor that holds the folder against other recordings and merges until it is closed.

    Raises: StillRecording when another process holds it, after waiting a while.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    give_up = time.monotonic() + WAIT_FOR_LOCK_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if time.monotonic() < give_up:
                time.sleep(0.05)
                continue
            os.close(descriptor)
            raise StillRecording(
                f"{folder} is being recorded into by another process; wait until that has ended"
            ) from error
        return descriptor


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder is held against other recordings and merges while the block runs."""
    descriptor = lock(folder)
    try:
        yield
    finally:
        os.close(descriptor)


def repair(folder: Path) -> Merged | None:
    """What a killed recording left is merged, every picture checked; None when nothing was left.

    Raises: StillRecording while a recording into the folder runs; InputError when its `labels.json`
    cannot be read; RecordingFailed when the folder cannot be written to. The journal stays then.
    """
    if not (folder / NAME).exists():
        return None
    try:
        with locked(folder):
            if not (folder / NAME).exists():  # it ended while we waited
                return None
            return merge(folder, check_pictures=True)
    except OSError as error:
        raise RecordingFailed(
            f"{folder}: an interrupted recording cannot be repaired: {error.strerror}"
        ) from error


def merge(folder: Path, *, check_pictures: bool) -> Merged:
    """The journal's labels stand in `labels.json`, erased ones in `erased/`, and it is gone.

    With `check_pictures`, a label whose picture is missing, empty, short or of another hash goes to
    `labels.damaged.json` instead, and the picture to `damaged/`. The caller holds the lock.
    """
    merged = Merged()
    taken, erased, unreadable = _read(folder / NAME)
    known = _labels_of(folder)
    damaged: Document = {
        name: {"reason": "this line of the journal is torn", "line": line}
        for name, line in unreadable.items()
    }
    if check_pictures:
        for img_id, document in list(taken.items()):
            if reason := _fault(folder, document):
                damaged[img_id] = {"reason": reason, "label": taken.pop(img_id)}
        for img_id in _unlabelled(folder, {*known, *taken, *erased, *damaged}):
            damaged[img_id] = {"reason": "the picture has no label"}
    _put_damaged_aside(folder, damaged)
    _put_erased_aside(folder, erased)
    label_file.write(folder / label_file.NAME, {**known, **taken})
    sync_file_system(folder)
    (folder / NAME).unlink()
    for half_written in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        half_written.unlink()
    merged.labels, merged.erased = len(taken), len(erased)
    merged.damaged = {name: entry["reason"] for name, entry in damaged.items()}
    return merged


def temporary_name(file_name: str) -> str:
    """What a picture is called while it is being written."""
    return f".{file_name}{TEMPORARY_SUFFIX}"


def _read(path: Path) -> tuple[dict[str, Document], dict[str, Document], dict[str, str]]:
    """The labels of a journal, those erased, and by their number the lines that cannot be read."""
    taken: dict[str, Document] = {}
    erased: dict[str, Document] = {}
    unreadable: dict[str, str] = {}
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                entry: Any = msgspec.json.decode(line)
                if ERASED in entry:
                    erased |= {name: taken.pop(name) for name in entry[ERASED] if name in taken}
                else:
                    taken[label.parse(entry).img_id] = entry
            except Exception:  # noqa: BLE001  a torn line may hold anything
                unreadable[f"{label.img_id_of(written)} line {number}"] = line.decode(
                    errors="replace"
                )
    return taken, erased, unreadable


def _labels_of(folder: Path) -> dict[str, Document]:
    path = folder / label_file.NAME
    return label_file.read(path) if path.exists() else {}


def _fault(folder: Path, document: Document) -> str | None:
    """What is wrong with the picture of a label, if anything."""
    reference = msgspec.convert(document, PictureReference)
    picture = folder / reference.file_name
    unfinished = folder / temporary_name(reference.file_name)
    if not picture.exists() and unfinished.exists():  # a power cut may undo a rename
        unfinished.rename(picture)
    try:
        content = picture.read_bytes()
    except FileNotFoundError:
        return "the picture is missing"
    if not content:
        return "the picture is empty"
    if len(content) != reference.picture_size:
        return f"the picture has {len(content)} bytes instead of {reference.picture_size}"
    if label.sha256(content) != reference.picture_sha256:
        return "the picture has other content than was recorded"
    return None


def _unlabelled(folder: Path, labelled: set[str]) -> Iterator[str]:
    """The ids of pictures of ours that no label speaks of."""
    for picture in folder.glob("*.jpg"):
        if picture.stem not in labelled and label.moment_of(picture.stem):
            yield picture.stem


def _put_damaged_aside(folder: Path, damaged: Document) -> None:
    if not damaged:
        return
    path = folder / DAMAGED_LABELS
    before = strict_json.read(path) if path.exists() else {}
    with replacing(path) as file:
        content = msgspec.json.encode({**damaged, **before})
        file.write(msgspec.json.format(content, indent=1) + b"\n")
    _move([f"{img_id}.jpg" for img_id in damaged], folder, folder / DAMAGED_PICTURES)


def _put_erased_aside(folder: Path, erased: dict[str, Document]) -> None:
    if not erased:
        return
    aside = folder / ERASED
    aside.mkdir(exist_ok=True)
    label_file.write(aside / label_file.NAME, {**_labels_of(aside), **erased})
    _move([f"{img_id}.jpg" for img_id in erased], folder, aside)


def _move(file_names: Sequence[str], source: Path, target: Path) -> None:
    """Those of the files that are there lie in the other folder."""
    target.mkdir(exist_ok=True)
    for name in file_names:
        if (source / name).exists():
            (source / name).rename(target / name)


def move_erased(folder: Path, img_ids: Sequence[str]) -> None:
    """The pictures lie in `erased/`; their labels follow at the merge."""
    _move([f"{img_id}.jpg" for img_id in img_ids], folder, folder / ERASED)
