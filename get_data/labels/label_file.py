"""Label files (`labels.json`): labels by `img_id`, one per line, for grep, cut and diff."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec
from msgspec import Raw, Struct

from common import strict_json
from common.atomic_files import atomic_write
from common.collector import collector_paused
from common.errors import InputError
from get_data.labels import label_lines, validation
from get_data.labels.label_lines import NotLines
from get_data.labels.label_reader import CheckedLabel, LabelReader
from get_data.labels.schema import Document

NAME = "labels.json"

_BEGINNING_BYTES = 4096
_BEFORE_VALUE = len('{\n"":')  # or after a comma; with the id, all that is before a label
_EMPTY = re.compile(rb"(\xef\xbb\xbf)?\s*(\{\s*\}\s*)?")


class Entry(Struct, frozen=True, gc=False):
    """An entry of a label file.

    Attributes:
        key: the key of the entry, which should be the id of its picture.
        raw: the value as text, the bytes from `start` to `end` of the file.
        start: position of the first byte of `raw`.
        end: position after the last one.
        label: the label, if it was found to be valid while it was read.
        value: the parsed value, valid or not; None for a proven label under its own id.
    """

    key: str
    raw: bytes
    start: int
    end: int
    label: CheckedLabel | None
    value: Any

    @property
    def is_proven(self) -> bool:
        """Whether it is a valid label under its own id, as JSON without blanks, beyond doubt."""
        return self.value is None and self.label is not None

    @property
    def content(self) -> Any:
        """The value as parsed JSON, valid or not."""
        return self.label.document if self.label else self.value

    def check(self) -> CheckedLabel:
        """Return the label.

        Raises:
            InputError: it is invalid, or of another picture than its entry says.
        """
        label = self.label or CheckedLabel(validation.parse(self.value), self.value)
        if label.img_id != self.key:
            raise InputError(f"its img_id is {label.img_id!r}; make them equal")
        return label


def read(path: Path) -> dict[str, Document]:
    """Return the labels of a file, all of them checked.

    Raises:
        InputError: with the file, the entry and the value.
    """
    with strict_json.open_file(path, "a JSON file") as file, collector_paused():
        with suppress(NotLines, InputError):
            return {
                entry.key: entry.content if entry.is_proven else entry.check().document
                for entry in _read_lines(file)
            }
        file.seek(0)
        return _read_carefully(path, file.read())


def _read_carefully(path: Path, raw: bytes) -> dict[str, Document]:
    labels = strict_json.parse(raw, str(path))
    if not isinstance(labels, dict):
        raise InputError(f"{path}: not a label file: expected an object of labels by img_id")
    for img_id, document in labels.items():
        _check(path, Entry(img_id, b"", 0, 0, None, document))
    return labels


def iter_checked(path: Path) -> Iterator[Entry]:
    """Yield the entries of a file, each of them checked, with one of them in memory at a time.

    Raises:
        InputError: with the file, the entry and the value.
    """
    with strict_json.open_file(path, "a JSON file") as file:
        beginning = file.read(_BEGINNING_BYTES)
        file.seek(0)
        if beginning.decode(errors="ignore").lstrip("\ufeff \t\r\n")[:1] != "{":
            _read_carefully(path, file.read())  # which tells what is wrong
        for entry in iter_entries(file, str(path)):
            if entry.is_proven:
                yield entry
            else:
                yield msgspec.structs.replace(entry, label=_check(path, entry))


def read_each(path: Path) -> Iterator[Document]:
    """Yield the labels of a file, as `iter_checked`."""
    return (entry.content for entry in iter_checked(path))


def _check(path: Path, entry: Entry) -> CheckedLabel:
    try:
        return entry.check()
    except InputError as error:
        raise InputError(f"{path}, entry {entry.key!r}: {error}") from error


def entries(path: Path) -> Iterator[tuple[str, Raw]]:
    """Yield the entries of a label file by img_id, each as one line of JSON, unchecked.

    Entries are parsed one at a time, for large files.

    Raises:
        InputError: the file cannot be read, or is no object.
    """
    with strict_json.open_file(path, "a label file") as file:
        for entry in iter_entries(file, str(path)):
            line = entry.raw if entry.is_proven else msgspec.json.format(entry.raw, indent=-1)
            yield entry.key, Raw(line)


def iter_entries(file: BinaryIO, source: str) -> Iterator[Entry]:
    """Yield the entries of an open label file, valid or not, with one in memory at a time.

    A file that people or other tools have formatted is in memory as a whole.

    Raises:
        InputError: `strict_json.parse` does not accept it, or it is not an object.
    """
    count = 0
    try:
        for entry in _read_lines(file):
            yield entry
            count += 1
    except NotLines:
        file.seek(0)
        raw = file.read()
    else:
        return
    for found in islice(strict_json.iter_entries(raw, source), count, None):
        content = raw[found.start : found.end]
        yield Entry(found.key, content, found.start, found.end, None, found.value)


def _read_lines(file: BinaryIO) -> Iterator[Entry]:
    """Yield the entries of a file with one entry a line, as the toolkit writes it.

    Raises:
        NotLines: it is formatted otherwise, or `strict_json.parse` does not accept it.
    """
    reader = LabelReader()
    previous = ""
    seen: set[str] | None = None  # ids, once they are not in ascending order
    end = 0
    for count, line in enumerate(label_lines.read(file)):
        key, raw = line.img_id, line.document
        start = end + _BEFORE_VALUE + len(key)
        end = start + len(raw)
        proven = reader.prove(raw)
        if proven is not None and proven.img_id == key:
            entry = Entry(key, raw, start, end, CheckedLabel(proven), None)
        else:
            entry = _read_line(reader, key, raw, start, end)
        if seen is None and key <= previous:
            seen = _read_keys(file, count)
        if seen is not None:
            if key in seen:
                raise NotLines
            seen.add(key)
        previous = key
        yield entry


def _read_line(reader: LabelReader, key: str, raw: bytes, start: int, end: int) -> Entry:
    """Return an entry that did not prove itself a label under its own id."""
    try:
        value = strict_json.parse(raw, "")
    except InputError as error:  # the whole file has to tell the line
        raise NotLines from error
    if not validation.is_img_id(key):  # it may be no JSON at all
        raise NotLines
    try:
        label = reader.check(value)
    except InputError:
        return Entry(key, raw, start, end, None, value)
    return Entry(key, raw, start, end, label, value)


def _read_keys(file: BinaryIO, count: int) -> set[str]:
    """Return the ids of the first entries; the file stays where it is."""
    position = file.tell()
    file.seek(0)
    keys = {line.img_id for line in islice(label_lines.read(file), count)}
    file.seek(position)
    return keys


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


_encode = msgspec.json.Encoder().encode


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
        start = b",\n" if self._count else b"{\n"
        self._file.write(b"".join((start, _encode(img_id), b":", document)))
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
