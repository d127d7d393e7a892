"""Pictures to choose from: their labels in a temporary file, what a choice looks at in memory.

A choice needs to know all that matches before the first picture can be fetched. It reads a search
once, so that nothing that others change meanwhile falls between two searches.
"""

import hashlib
import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryFile
from typing import BinaryIO

from common.errors import InputError, WriteFailed
from get_data.database.download import Hit
from get_data.database.search.grouping import Grouping
from get_data.labels.drives import DriveRegister, outline_drive_key, outline_time_us

MAX_CLASSES = 1000

_BLOCK_BYTES = 1_000_000  # labels are so alike that a block shrinks to about a tenth
_LENGTH = struct.Struct("<I")


class _Spool:
    """Lines on the disk, compressed, to be read again in their order."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._block: list[bytes] = []
        self._size = 0

    def add(self, line: bytes) -> None:
        """Write a line."""
        self._block.append(line)
        self._size += len(line)
        if self._size >= _BLOCK_BYTES:
            self._write_block()

    def _write_block(self) -> None:
        compressed = zlib.compress(b"\n".join(self._block), level=1)
        with _translate_errors():
            self._file.write(_LENGTH.pack(len(compressed)) + compressed)
        self._block, self._size = [], 0

    def __iter__(self) -> Iterator[bytes]:
        if self._block:
            self._write_block()
        with _translate_errors():
            self._file.seek(0)
        while head := self._file.read(_LENGTH.size):
            yield from zlib.decompress(self._file.read(*_LENGTH.unpack(head))).split(b"\n")


class Candidates:
    """Pictures that match a search, one row each, in the order of the search.

    About 30 bytes a picture are in memory. `ranks`: numbers that depend on seed and `img_id` only,
    so a choice by rank is the same in any database, in whatever order it got the labels.
    `classes`: number of each row's class in `class_names`; -1 for none.
    """

    def __init__(self, file: BinaryIO, *, seed: int, group: Grouping | None) -> None:
        self._spool = _Spool(file)
        self._key = seed.to_bytes(8, "big")
        self._group = group
        self._numbers: dict[str, int] = {}
        self.register = DriveRegister()
        self.ranks = array("Q")
        self.others = array("L")
        self.classes = array("l")

    def __len__(self) -> int:
        return len(self.ranks)

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, by number."""
        return list(self._numbers)

    def add(self, hit: Hit) -> None:
        """Add a picture.

        Raises:
            InputError: there are too many classes.
        """
        self._spool.add(hit.document)
        self.register.add(outline_drive_key(hit.outline), outline_time_us(hit.outline))
        self.ranks.append(rank(hit.outline.img_id, self._key))
        self.others.append(hit.other_labels)
        if self._group:
            self.classes.append(self._class_number(self._group(hit.label)))

    def _class_number(self, name: str | None) -> int:
        if name is None:
            return -1
        number = self._numbers.setdefault(name, len(self._numbers))
        if number >= MAX_CLASSES:
            raise InputError(
                f"--per-class: the field has more than {MAX_CLASSES:,} values; name one with few, "
                "such as label.label_direction"
            )
        return number

    def documents(self) -> Iterator[bytes]:
        """Yield the label of each row, one line of JSON."""
        yield from self._spool


def rank(img_id: str, key: bytes) -> int:
    """Return a number that looks random, and is the same on every machine."""
    digest = hashlib.blake2b(img_id.encode(), key=key, digest_size=8).digest()
    return int.from_bytes(digest, "big")


@contextmanager
def collect(
    hits: Iterable[Hit], *, seed: int, group: Grouping | None = None
) -> Iterator[Candidates]:
    """Collect what a search finds; it stays on the disk until the block ends.

    Raises:
        WriteFailed: the temporary file cannot be written.
        InputError: there are too many classes.
    """
    with ExitStack() as stack:
        with _translate_errors():
            # without a name: even a kill leaves nothing
            file = stack.enter_context(TemporaryFile())
        candidates = Candidates(file, seed=seed, group=group)
        for hit in hits:
            candidates.add(hit)
        yield candidates


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WriteFailed(
            f"the temporary file of this search cannot be written: {error.strerror}; it takes "
            "0.2 GB per million labels: free some space in the temporary folder, or set TMPDIR"
        ) from error
