"""`labels.json`: labels by `img_id`, one entry a line, so that it can be read, cut and compared."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

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
    """The labels of a file, every one of them checked.

    Raises: InputError that names the file, the entry and the value.
    """
    labels = strict_json.read(path)
    if not isinstance(labels, dict):
        raise InputError(f"{path}: not a label file: expected an object of labels by img_id")
    for img_id, document in labels.items():
        try:
            named = validation.parse(document).img_id
        except InputError as error:
            raise InputError(f"{path}, entry {img_id!r}: {error}") from error
        if named != img_id:
            raise InputError(f"{path}, entry {img_id!r}: its img_id is {named!r}; make them equal")
    return labels


def entries(path: Path) -> Iterator[tuple[str, Raw]]:
    """What a label file holds by img_id, as it stands there but each in one line of JSON.

    For large files whose entries stay as they are; none of them needs to be a label.

    Raises: InputError.
    """
    raw = strict_json.read_bytes(path, "a label file")
    for entry in strict_json.iter_entries(raw, str(path)):
        yield entry.key, Raw(msgspec.json.format(raw[entry.start : entry.end], indent=-1))


def starts_like_label_file(raw: bytes) -> bool:
    """Whether a file that begins so holds labels: the first is one, or it holds nothing at all."""
    text = raw.decode(errors="ignore")  # may end inside a character
    try:
        first = next(strict_json.iter_entries(text.encode(), NAME), None)
        return first is None or validation.parse(first.value).img_id == first.key
    except InputError:
        return False


def is_empty(path: Path) -> bool:
    """Return whether no label is in the file, or no file is there. Raises: InputError."""
    try:
        with path.open("rb") as file:
            return _EMPTY.fullmatch(file.read(_BEGINNING_BYTES)) is not None
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; move it away") from error


def write(path: Path, labels: Mapping[str, Document | Raw]) -> None:
    """The file holds these labels, sorted by id; until it does, it holds what it held.

    Raises: WriteFailed.
    """
    with open_writer(path) as file:
        for img_id in sorted(labels):
            file.add(img_id, msgspec.json.encode(labels[img_id]))


class LabelFileWriter:
    """Takes labels one at a time, so that a file may be larger than the memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.count = 0

    def add(self, img_id: str, document: bytes) -> None:
        """One more entry; `document` is JSON in one line."""
        self._file.write(b",\n" if self.count else b"{\n")
        self._file.write(msgspec.json.encode(img_id) + b":" + document)
        self.count += 1

    def close(self) -> None:
        """The file is whole JSON."""
        self._file.write(b"\n}\n" if self.count else b"{}\n")


@contextmanager
def open_writer(path: Path) -> Iterator[LabelFileWriter]:
    """A writer whose labels stand at `path` once the block has ended without an error."""
    with atomic_write(path) as file:
        writer = LabelFileWriter(file)
        yield writer
        writer.close()
