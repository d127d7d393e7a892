"""Label files (`labels.json`): labels by `img_id`, one per line, for grep, cut and diff."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Raw

from common import strict_json
from common.atomic_files import atomic_write
from common.errors import InputError
from get_data.labels import validation
from get_data.labels.schema import Document

NAME = "labels.json"

_BEGINNING_BYTES = 4096
_EMPTY = re.compile(rb"(\xef\xbb\xbf)?\s*(\{\s*\}\s*)?")


def read(path: Path) -> dict[str, Document]:
    """Return the labels of a file, all of them checked.

    Raises:
        InputError: with the file, the entry and the value.
    """
    labels = strict_json.read(path)
    if not isinstance(labels, dict):
        raise InputError(f"{path}: not a label file: expected an object of labels by img_id")
    for img_id, document in labels.items():
        _check(path, img_id, document)
    return labels


def read_each(path: Path) -> Iterator[Document]:
    """Yield the labels of a file, each of them checked, with one of them in memory at a time.

    Raises:
        InputError: with the file, the entry and the value.
    """
    raw = strict_json.read_bytes(path, "a JSON file")
    if raw[:_BEGINNING_BYTES].decode(errors="ignore").lstrip("\ufeff \t\r\n")[:1] != "{":
        yield from read(path).values()  # which tells what is wrong
        return
    for entry in strict_json.iter_entries(raw, str(path)):
        _check(path, entry.key, entry.value)
        yield entry.value


def _check(path: Path, img_id: str, document: object) -> None:
    """Check the label of an entry.

    Raises:
        InputError: it is invalid, or of another picture than its entry says.
    """
    try:
        label_id = validation.parse(document).img_id
    except InputError as error:
        raise InputError(f"{path}, entry {img_id!r}: {error}") from error
    if label_id != img_id:
        raise InputError(f"{path}, entry {img_id!r}: its img_id is {label_id!r}; make them equal")


def entries(path: Path) -> Iterator[tuple[str, Raw]]:
    """Yield the entries of a label file by img_id, each as one line of JSON, unchecked.

    Entries are parsed one at a time, for large files.

    Raises:
        InputError: the file cannot be read, or is no object.
    """
    raw = strict_json.read_bytes(path, "a label file")
    for entry in strict_json.iter_entries(raw, str(path)):
        yield entry.key, Raw(msgspec.json.format(raw[entry.start : entry.end], indent=-1))


def starts_like_label_file(raw: bytes) -> bool:
    """Return whether the start of a file is that of a label file: a valid label, or no entry."""
    text = raw.decode(errors="ignore")  # may end inside a character
    try:
        first = next(strict_json.iter_entries(text.encode(), NAME), None)
        return first is None or validation.parse(first.value).img_id == first.key
    except InputError:
        return False


def is_empty(path: Path) -> bool:
    """Return whether the file has no label, or does not exist.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _EMPTY.fullmatch(file.read(_BEGINNING_BYTES)) is not None
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; move it away") from error


def write(path: Path, labels: Mapping[str, Document | Raw]) -> None:
    """Replace the file's labels by these, sorted by id.

    Raises:
        WriteFailed: it cannot be written; any previous version is untouched.
    """
    with open_writer(path) as file:
        for img_id in sorted(labels):
            file.add(img_id, msgspec.json.encode(labels[img_id]))


class Writable(Protocol):
    """Whatever takes bytes."""

    def write(self, data: bytes, /) -> int:
        """Write the data."""


class LabelFileWriter:
    """A label file being written one label at a time, so it may be larger than memory."""

    def __init__(self, file: Writable) -> None:
        self._file = file
        self._count = 0

    @property
    def count(self) -> int:
        """Number of labels so far."""
        return self._count

    def add(self, img_id: str, document: bytes) -> None:
        """Write an entry; `document` is one line of JSON."""
        self._file.write(b",\n" if self._count else b"{\n")
        self._file.write(msgspec.json.encode(img_id) + b":" + document)
        self._count += 1

    def close(self) -> None:
        """Complete the JSON object."""
        self._file.write(b"\n}\n" if self._count else b"{}\n")


@contextmanager
def open_writer(path: Path) -> Iterator[LabelFileWriter]:
    """Open a writer; the file appears at `path` when the block ends without an error."""
    with atomic_write(path) as file:
        writer = LabelFileWriter(file)
        yield writer
        writer.close()
