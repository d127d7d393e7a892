"""The object of a frozen set: a label file, its `set.json`, and the pictures that it names.

    {"format":"patate-frozen-set","version":1,"count":2,"sha256":"...","set":{...},"pictures":[
    "pictures/20201231/20201231T15-45-55-123456-0123456789ab.jpg",
    "pictures/20201231/20201231T15-45-55-173456-89abcdef0123.jpg"
    ],"labels":[
    {"count":2,"hashes":"...","fingerprints":"...","columns":[...]}
    ]}

It is one JSON document, compressed as two gzip members. The first ends after the pictures, a fifth
of the object: all that a deletion reads, to know which pictures a set names. The labels are packed
as `label_columns` has it; `count` and `sha256` are those of the label file, which comes back byte
for byte.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec
from msgspec import Raw, Struct

from get_data.database.frozen import label_columns
from get_data.database.interfaces import key_img_id
from get_data.labels import label_lines
from get_data.labels.label_lines import Line

FORMAT = "patate-frozen-set"
VERSION = 1

_GZIP = 31  # `wbits` of zlib: a gzip header, which has no time
_LEVEL = 6  # level 9 takes three times as long, for 2 %
_MIDDLE = b'],"labels":['
_END = b"]}"


class Damaged(Exception):
    """The object is incomplete, or not a frozen set; the argument says how."""


class NewerFormat(Exception):
    """The object was written by a later version of the toolkit."""


class Head(Struct, frozen=True, kw_only=True):
    """The first part of a frozen set.

    Attributes:
        format: tells a frozen set from any other file.
        version: of this format.
        count: number of labels.
        sha256: hash of the label file.
        set: content of the `set.json`.
        pictures: keys of the pictures, in the order of the labels.
    """

    format: str
    version: int
    count: int
    sha256: str
    set: dict[str, Any]
    pictures: list[str]


_decode_head = msgspec.json.Decoder(Head).decode


class FrozenSetWriter:
    """A frozen set being compressed in memory: 0.8 MB for 10,000 labels."""

    def __init__(self, *, count: int, sha256: str, description: bytes) -> None:
        """Begin with the head; `description` is the content of the `set.json`."""
        head = msgspec.json.encode(
            {
                "format": FORMAT,
                "version": VERSION,
                "count": count,
                "sha256": sha256,
                "set": Raw(msgspec.json.format(description, indent=-1)),
            }
        )
        self._parts: list[bytes] = []
        self._compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._add(head[:-1] + b',"pictures":[')
        self._keys: list[str] = []

    def add_picture(self, key: str) -> None:
        """Add the key of a label's picture, in the order of the labels."""
        self._add((b",\n" if self._keys else b"\n") + msgspec.json.encode(key))
        self._keys.append(key)

    def close(self, labels: Iterable[Line]) -> bytes:
        """Add the labels, and return the object."""
        self._finish_member()
        self._add(b"\n" + _MIDDLE)
        separator = b"\n"
        for block in label_columns.pack(zip(labels, self._keys, strict=True)):
            self._add(separator + msgspec.json.encode(block))
            separator = b",\n"
        self._add(b"\n" + _END + b"\n")
        self._finish_member()
        return b"".join(self._parts)

    def _add(self, data: bytes) -> None:
        if part := self._compressor.compress(data):
            self._parts.append(part)

    def _finish_member(self) -> None:
        self._parts.append(self._compressor.flush())
        self._compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)


class FrozenSetReader:
    """A frozen set that is read block by block."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        """Read the head.

        Raises:
            Damaged: it is no frozen set, or is incomplete.
            NewerFormat: update the toolkit to read it.
        """
        self._blocks = iter(blocks)
        self._rest = b""
        raw = b"".join(self._member())
        try:
            self.head = _decode_head(raw + b"]}")
        except (ValueError, RecursionError) as error:
            raise Damaged(str(error)) from error
        if self.head.format != FORMAT:
            raise Damaged(f"its format is {self.head.format!r}")
        if self.head.version != VERSION:
            raise NewerFormat

    def lines(self) -> Iterator[Line]:
        """Yield the labels; the whole is compared with its hash at the end.

        Raises:
            Damaged: it is incomplete, or not what was frozen.
        """
        digest = hashlib.sha256()
        count = 0
        pictures = ((key_img_id(key), key) for key in self.head.pictures)
        try:
            for raw in self._block_lines():
                block = label_columns.decode_block(raw)
                of_block = list(islice(pictures, block.count))
                lines = list(label_columns.unpack(block, of_block))
                digest.update(b",\n" if count else label_lines.START)
                digest.update(b",\n".join(map(label_lines.encode, lines)))
                count += len(lines)
                yield from lines
        except (ValueError, LookupError, RecursionError) as error:
            raise Damaged(f"its labels cannot be read: {error}") from error
        digest.update(b"\n" + label_lines.END if count else label_lines.EMPTY)
        if digest.hexdigest() != self.head.sha256 or count != self.head.count:
            raise Damaged("its labels have another hash")

    def _block_lines(self) -> Iterator[bytes]:
        """Yield the JSON of each block of labels."""
        lines = self._lines()
        if next(lines, b"") != b"" or next(lines, b"") != _MIDDLE:
            raise Damaged("its labels do not follow its pictures")
        for line in lines:
            if line == _END:
                break
            yield line.removesuffix(b",")
        else:
            raise Damaged("its end is missing")
        if next(lines, b"") or next(lines, None) is not None:
            raise Damaged("something follows its end")

    def _lines(self) -> Iterator[bytes]:
        held = b""
        for part in self._member():
            *lines, held = (held + part).split(b"\n")
            yield from lines
        yield held

    def _member(self) -> Iterator[bytes]:
        """Yield the content of the next gzip member.

        Raises:
            Damaged: it is incomplete, or not compressed.
        """
        decompressor = zlib.decompressobj(_GZIP)
        block = self._rest
        try:
            while not decompressor.eof:
                if not block and not (block := next(self._blocks, b"")):
                    raise Damaged("it is cut off")
                yield decompressor.decompress(block)
                block = b""
        except zlib.error as error:
            raise Damaged(str(error)) from error
        self._rest = decompressor.unused_data
