"""The files of a set, written together: label file, `metadata.jsonl`, `set.json`."""

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from common.atomic_files import write_together
from get_data.database.download import Hit
from get_data.labels.label_file import LabelFileWriter
from get_data.labels.unicode_forms import file_name_key
from get_data.sets import metadata, set_file
from get_data.sets.counts import Counts, Tally
from get_data.sets.set_file import LabelsReference, SetFile

_BLOCK_BYTES = 250_000  # written at once


class _HashingFile:
    """A file that is hashed while it is written, in blocks."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self._block: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> int:
        """Write the data, at the latest when it is finished."""
        self._block.append(data)
        self._size += len(data)
        if self._size >= _BLOCK_BYTES:
            self._write_block()
        return len(data)

    def _write_block(self) -> None:
        block = b"".join(self._block)
        self._block, self._size = [], 0
        self._sha256.update(block)
        self._file.write(block)

    def finish(self) -> str:
        """Write what is left, and return the SHA-256 of the content."""
        self._write_block()
        return self._sha256.hexdigest()


class FileNames:
    """File names of a set, 8 bytes each; names that some disks do not distinguish are one."""

    def __init__(self) -> None:
        self._hashes = array("q")  # the same for this process
        self._is_sorted = True

    def add(self, name: str) -> None:
        """Add a name."""
        self._hashes.append(hash(file_name_key(name)))
        self._is_sorted = False

    def __contains__(self, name: object) -> bool:
        if not self._is_sorted:
            self._hashes = array("q", sorted(self._hashes))
            self._is_sorted = True
        wanted = hash(file_name_key(str(name)))
        position = bisect_left(self._hashes, wanted)
        return position < len(self._hashes) and self._hashes[position] == wanted


class SetWriter:
    """A set being written one label at a time, so it may be larger than memory."""

    def __init__(self, labels: BinaryIO, lines: BinaryIO | None, *, with_split: bool) -> None:
        self._hashing = _HashingFile(labels)
        self._labels = LabelFileWriter(self._hashing)
        self._lines = lines
        self._with_split = with_split
        self._tally = Tally()
        self.names = FileNames()

    @property
    def count(self) -> int:
        """Number of labels so far."""
        return self._labels.count

    def add(self, hit: Hit) -> None:
        """Write the label of a picture."""
        outline = hit.outline
        self._labels.add(outline.img_id, hit.document)
        if self._lines:
            self._lines.write(metadata.encode_line(hit.label, with_split=self._with_split))
        self._tally.add(outline)
        self.names.add(outline.file_name)

    def close(self, name: str) -> tuple[Counts, LabelsReference]:
        """Complete the label file; return what the set has, and the reference to the file."""
        self._labels.close()
        digest = self._hashing.finish()
        return self._tally.counts(), LabelsReference(
            file=set_file.printable(name), sha256=digest, count=self.count
        )


Describe = Callable[[Counts, LabelsReference, FileNames], SetFile]


@contextmanager
def open_writer(
    labels: Path, describe: Describe, *, with_metadata: bool, with_split: bool
) -> Iterator[SetWriter]:
    """Open a writer; the files appear when the block ends without an error.

    `describe` returns the content of `set.json`, from what was written. Without metadata, a
    `metadata.jsonl` beside the label file is removed: it would describe the earlier one.

    Raises:
        WriteFailed: a file cannot be written; all are as before.
    """
    description, lines = set_file.beside(labels), labels.with_name(metadata.NAME)
    others = [description, lines] if with_metadata else [description]
    outdated = [] if with_metadata or description.name != set_file.NAME else [lines]
    # D14: a `set.json` or `metadata.jsonl` that exists describes the label file beside it
    with write_together(labels, others, outdated=outdated) as files:
        writer = SetWriter(files[0], files[2] if with_metadata else None, with_split=with_split)
        yield writer
        counts, reference = writer.close(labels.name)
        files[1].write(set_file.encode(describe(counts, reference, writer.names)))
