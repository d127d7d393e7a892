"""Two sets compared by picture and label, in one pass over both."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter
from typing import Literal, TypeVar

import msgspec

from common.errors import InputError
from get_data.labels.label_lines import Line
from get_data.labels.schema import OBJECTS, Document, PictureReference

Kind = Literal["only_first", "only_second", "labels_differ", "pictures_differ"]

Sources = tuple[str, str]  # what messages call the two sets

T = TypeVar("T")

# where a label is stored and since when, not what it says
_IGNORED = frozenset(("upload_date", "amended_by", "s3_bucket", "s3_key"))
_ABSENT = object()
_PICTURE = frozenset(("picture_sha256", "picture_size"))

_decode_reference = msgspec.json.Decoder(PictureReference).decode
_decode = msgspec.json.Decoder(Document).decode


@dataclass(slots=True)
class SetDiff:
    """How two sets differ.

    Attributes:
        first, second: number of labels.
        same: number of labels that are equal, and so are their pictures.
        counts: number of pictures that only one set has, or that differ in label or content.
        fields: how many labels differ in each field, by dotted name.
        examples: img_ids of each kind, in order.
    """

    first: int = 0
    second: int = 0
    same: int = 0
    counts: Counter[Kind] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    examples: dict[Kind, list[str]] = field(default_factory=dict)

    @property
    def is_equal(self) -> bool:
        """Whether both sets have the same pictures and labels."""
        return not self.counts

    def add(self, kind: Kind, img_id: str, limit: int) -> None:
        """Count a difference, and keep it as an example if there are few."""
        self.counts[kind] += 1
        examples = self.examples.setdefault(kind, [])
        if len(examples) < limit:
            examples.append(img_id)


def compare(
    first: Iterable[Line], second: Iterable[Line], sources: Sources, *, examples: int = 10
) -> SetDiff:
    """Compare two sets whose labels come in the order of their ids, in one pass.

    Raises:
        Unsorted: they do not.
        InputError: an entry is not a label.
    """
    diff = SetDiff()
    mine, other = _in_order(first), _in_order(second)
    source, other_source = sources
    a, b = next(mine, None), next(other, None)
    while a or b:
        diff.first += bool(a and (not b or a.img_id <= b.img_id))
        diff.second += bool(b and (not a or b.img_id <= a.img_id))
        if a and (not b or a.img_id < b.img_id):
            _check_label(a, source)
            diff.add("only_first", a.img_id, examples)
            a = next(mine, None)
        elif b and (not a or b.img_id < a.img_id):
            _check_label(b, other_source)
            diff.add("only_second", b.img_id, examples)
            b = next(other, None)
        elif a and b:
            if a.document == b.document:
                _check_label(a, source)
                diff.same += 1
            else:
                labels = _read_label(a, source), _read_label(b, other_source)
                _compare_labels(a.img_id, *labels, diff, examples)
            a, b = next(mine, None), next(other, None)
    return diff


def _in_order(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield the labels, which come by img_id.

    Raises:
        Unsorted: they do not.
    """
    previous = ""
    for line in lines:
        if line.img_id <= previous:
            raise Unsorted
        previous = line.img_id
        yield line


class Unsorted(Exception):
    """The labels do not come in the order of their ids."""


def in_order(lines: Iterable[Line], source: str) -> list[Line]:
    """Return the labels by img_id.

    Raises:
        InputError: two labels have the same id.
    """
    found = sorted(lines, key=attrgetter("img_id"))
    for line, following in pairwise(found):
        if line.img_id == following.img_id:
            raise InputError(f"{source}: two entries are named {line.img_id!r}; keep one")
    return found


def _check_label(line: Line, source: str) -> None:
    """Check that an entry is a label, without reading the whole of it.

    Raises:
        InputError: it is not, or is under another id.
    """
    _check_id(line, _decode_as_label(line, source, _decode_reference).img_id, source)


def _read_label(line: Line, source: str) -> Document:
    """Return the label of an entry.

    Raises:
        InputError: it is not a label, or is under another id.
    """
    label = _decode_as_label(line, source, _decode)
    _check_id(line, label.get("img_id"), source)
    return label


def _decode_as_label(line: Line, source: str, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(line.document)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source}, entry {line.img_id!r}: not a label: {error}") from error


def _check_id(line: Line, img_id: object, source: str) -> None:
    if img_id != line.img_id:
        raise InputError(
            f"{source}, entry {line.img_id!r}: its img_id is {img_id!r}; make them equal"
        )


def _compare_labels(img_id: str, a: Document, b: Document, diff: SetDiff, limit: int) -> None:
    """Add how two labels of a picture differ."""
    names = _differing(a, b)
    pictures, fields = names & _PICTURE, names - _PICTURE
    if not names:
        diff.same += 1
    if pictures:
        diff.add("pictures_differ", img_id, limit)
    if fields:
        diff.add("labels_differ", img_id, limit)
        diff.fields.update(fields)


def _differing(a: Document, b: Document) -> set[str]:
    """Return the dotted names of the fields that differ."""
    for name in _IGNORED:
        a.pop(name, None)
        b.pop(name, None)
    found: set[str] = set()
    if a == b:  # most are
        return found
    for name in a.keys() | b.keys():
        mine, other = a.get(name, _ABSENT), b.get(name, _ABSENT)
        if _is_equal(mine, other):
            continue
        if name in OBJECTS and isinstance(mine, dict) and isinstance(other, dict):
            found |= {
                f"{name}.{inner}"
                for inner in mine.keys() | other.keys()
                if not _is_equal(mine.get(inner, _ABSENT), other.get(inner, _ABSENT))
            }
        else:
            found.add(name)
    return found


def _is_equal(a: object, b: object) -> bool:
    """Return whether two values of JSON are the same; `true` is not 1."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)
