"""Labels of a set in little space: columns of what differs from label to label.

Of 970 bytes of a label, 75 are news: hash, fingerprint, steering, throttle. gzip alone makes 138 of
it, xz 100, because each field that changes costs a reference or two. So a block of labels is split
at its commas into columns; what is the same in all of them is kept once, and what follows from the
img_id and the picture's key not at all. This is text work: it knows no fields, and what it makes of
a block is compared with it, byte for byte, before it is used.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import Struct

from get_data.labels.label_lines import Line
from get_data.labels.schema import Document

BLOCK = 1000  # labels; a larger block is hardly smaller

# Marks, in a text, for what is not kept there. JSON has no such characters.
_ID, _TIME, _HASH, _REST, _FINGERPRINT, _SAME = "\1", "\2", "\3", "\4", "\5", "\6"
_MARK = re.compile("([\1\2\3\4\5])")
_ID_LENGTH = len("20201231T15-45-55-123456")
_SHORT = 12  # digits of the hash that a picture's key has

_decode = msgspec.json.Decoder(Document).decode


class Column(Struct, frozen=True, array_like=True):
    """Texts between two commas: `start` and `end` are common to all, `values` joined by commas.

    A mark stands for the same value as in the varying column number `same_as`.
    """

    start: str
    end: str
    values: str
    same_as: int


class Block(Struct, frozen=True, kw_only=True):
    """Labels with as many commas each.

    Attributes:
        count: number of labels.
        hashes: of the pictures, as far as their keys do not have them.
        fingerprints: of the labels.
        columns: of the labels; a text is the same in all of them, and may have commas.
    """

    count: int
    hashes: str
    fingerprints: str
    columns: list[str | Column]


def key_hash(key: str) -> str:
    """Return the part of the hash that a picture's key has."""
    return key[-4 - _SHORT : -4]


def pack(labels: Iterable[tuple[Line, str]]) -> Iterator[Block]:
    """Yield blocks of labels, each given with its picture's key."""
    rows: list[_Row] = []
    for line, key in labels:
        row = _Row(line, key)
        if rows and (len(rows) == BLOCK or len(row.parts) != len(rows[0].parts)):
            yield _pack(rows)
            rows = []
        rows.append(row)
    if rows:
        yield _pack(rows)


class _Row:
    """A label, split at its commas, and with marks for what is kept elsewhere."""

    def __init__(self, line: Line, key: str) -> None:
        label = _decode(line.document)
        sha256, fingerprint = label.get("picture_sha256"), label.get("label_fingerprint")
        short = key_hash(key)
        self.line, self.key = line, key
        self.rest = self.fingerprint = ""
        if isinstance(sha256, str) and sha256.startswith(short) and "," not in sha256:
            self.rest = sha256[_SHORT:]
        if isinstance(fingerprint, str) and "," not in fingerprint:
            self.fingerprint = fingerprint
        text = line.document.decode()
        for value, mark in (
            (self.rest, _REST),
            (self.fingerprint, _FINGERPRINT),
            (line.img_id, _ID),
            (_time_of(line.img_id), _TIME),
            (short, _HASH),
        ):
            if value:
                text = text.replace(value, mark)
        self.parts = text.split(",")


def _pack(rows: Sequence[_Row]) -> Block:
    """Return the block of these labels.

    Raises:
        ValueError: it would give back something else, which is a fault of this module.
    """
    columns: list[str | Column] = []
    varying: list[list[str]] = []
    for texts in zip(*(row.parts for row in rows), strict=True):
        if texts.count(texts[0]) == len(texts):
            # neighbours that are the same in all labels are one text
            if columns and isinstance(columns[-1], str):
                columns[-1] += "," + texts[0]
            else:
                columns.append(texts[0])
            continue
        start = _common_start(texts)
        tails = [text[len(start) :] for text in texts]
        end = _common_start([tail[::-1] for tail in tails])[::-1]
        values = [tail[: len(tail) - len(end)] for tail in tails]
        same_as, equal = _most_equal(values, varying)
        kept = [_SAME if is_same else value for value, is_same in zip(values, equal, strict=True)]
        columns.append(Column(start, end, ",".join(kept), same_as))
        varying.append(values)
    block = Block(
        count=len(rows),
        hashes=",".join(row.rest for row in rows),
        fingerprints=",".join(row.fingerprint for row in rows),
        columns=columns,
    )
    given_back = unpack(block, [(row.line.img_id, row.key) for row in rows])
    if any(row.line != line for row, line in zip(rows, given_back, strict=True)):
        raise ValueError("labels do not come back from their columns")
    return block


def _common_start(texts: Sequence[str]) -> str:
    """Return what all texts begin with: what the first and the last of them do."""
    first, last = min(texts), max(texts)
    length = next(
        (place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b),
        min(len(first), len(last)),
    )
    return first[:length]


def _most_equal(values: Sequence[str], others: Sequence[Sequence[str]]) -> tuple[int, list[bool]]:
    """Return the column that has most values in common, and which; -1 if hardly any has."""
    best, most = -1, len(values) // 2
    for number, other in enumerate(others):
        count = sum(map(str.__eq__, values, other))
        if count > most:
            best, most = number, count
    if best < 0:
        return best, [False] * len(values)
    return best, [value == same for value, same in zip(values, others[best], strict=True)]


def unpack(block: Block, pictures: Sequence[tuple[str, str]]) -> Iterator[Line]:
    """Yield the labels of a block, given the img_id and the key of each picture.

    Raises:
        ValueError: the block is damaged.
    """
    ids = [img_id for img_id, _ in pictures]
    marked: dict[str, Sequence[str]] = {
        _ID: ids,
        _TIME: [_time_of(img_id) for img_id in ids],
        _HASH: [key_hash(key) for _, key in pictures],
        _REST: block.hashes.split(","),
        _FINGERPRINT: block.fingerprints.split(","),
    }
    pieces = list(_pieces(block, marked))
    # JSON has no line breaks: all labels are encoded at once
    documents = "\n".join(map("".join, zip(*pieces, strict=True))).encode().split(b"\n")
    for img_id, document in zip(ids, documents, strict=True):
        yield Line(img_id, document)


def _pieces(block: Block, marked: dict[str, Sequence[str]]) -> Iterator[Sequence[str]]:
    """Yield texts that make the labels when they are joined, each as one for every label."""
    varying: list[Sequence[str]] = []
    for number, column in enumerate(block.columns):
        comma = "," if number else ""
        if isinstance(column, str):
            yield from _fill(comma + column, marked, block.count)
            continue
        values: Sequence[str] = column.values.split(",")
        if column.same_as >= 0:
            same = varying[column.same_as]
            values = [
                other if value == _SAME else value
                for value, other in zip(values, same, strict=True)
            ]
        varying.append(values)
        yield from _fill(comma + column.start, marked, block.count)
        if _MARK.search(column.values):
            yield [
                "".join(
                    marked[part][row] if part in marked else part for part in _MARK.split(value)
                )
                for row, value in enumerate(values)
            ]
        else:
            yield values
        yield from _fill(column.end, marked, block.count)


def _fill(text: str, marked: dict[str, Sequence[str]], count: int) -> Iterator[Sequence[str]]:
    """Yield a text of all labels with its marks filled in."""
    for part in _MARK.split(text):
        if part:
            yield marked[part] if part in marked else [part] * count


def _time_of(img_id: str) -> str:
    """Return the time in an img_id as labels have it, "" if it can have none."""
    if len(img_id) != _ID_LENGTH:
        return ""
    day, clock = f"{img_id[:4]}-{img_id[4:6]}-{img_id[6:8]}", img_id[9:]
    return f"{day}T{clock[:2]}:{clock[3:5]}:{clock[6:8]}.{clock[9:]}Z"


def decode_block(raw: bytes) -> Block:
    """Return a block from its JSON.

    Raises:
        ValueError: it is none.
    """
    return _decode_block(raw)


_decode_block = msgspec.json.Decoder(Block).decode
