"""How a label of a file relates to the same label in a database."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import NODEFAULT, UNSET, Struct

from common.errors import InputError
from get_data.labels import edits, validation
from get_data.labels.schema import OBJECTS, Annotation, Document, Label

# set by the upload, by an amendment, or not stored at all
_IGNORED = frozenset(
    (
        *("upload_date", "amended_by", "s3_bucket", "s3_key"),
        *("picture_size", "picture_sha256", "file_name", "to_delete", "replaces"),
        "split",
    )
)
_ABSENT = object()


def _defaults(struct: type[Struct]) -> dict[str, Any]:
    """Return the values of fields that a label may leave out."""
    values = {
        field.name: field.default if field.default is not NODEFAULT else field.default_factory()
        for field in msgspec.structs.fields(struct)
        if (field.default, field.default_factory) != (NODEFAULT, NODEFAULT)
    }
    return {name: value for name, value in values.items() if value is not UNSET}


_DEFAULTS = _defaults(Label)
_ANNOTATION_DEFAULTS = _defaults(Annotation)


@dataclass(frozen=True, slots=True)
class Difference:
    """Dotted names of the fields in which a label of a file differs from the stored one.

    `is_overtaken`: somebody has amended the stored label since the file was made.
    """

    fields: Sequence[str]
    is_overtaken: bool


def amended_by(stored: Document) -> str:
    """Return who amended a label last, "" if nobody did."""
    return str(stored.get("amended_by", ""))


def is_base(document: Document, stored: Document) -> bool:
    """Return whether a label of a file was made from the stored one as it is."""
    # D16: dates are compared for equality only, since clocks differ
    return not amended_by(stored) or document.get("upload_date", "") == stored.get("upload_date")


def field_counts(differences: Iterable[Difference]) -> dict[str, int]:
    """Return how many labels differ in each field, most frequent first."""
    counts = Counter(name for difference in differences for name in difference.fields)
    return dict(counts.most_common())


def find_difference(document: Document, stored: Document) -> Difference | None:
    """Return how a label differs from the stored one, None if it does not.

    A stored label that is not valid is not compared: nothing is known of what it should say.
    What an upload or an amendment sets does not count, nor do declared fields that the file lacks
    (`edits.completed`), nor spellings that mean the same: Unicode forms, times, and a default left
    out of the stored label.
    """
    if not isinstance(stored.get("label"), dict):
        return None
    completed = edits.completed(document, stored)
    if _encode(completed) == _encode(stored):  # most are
        return None
    with suppress(InputError):
        validation.parse(stored)
        return _compare(completed, stored)
    return None


def _compare(completed: Document, stored: Document) -> Difference | None:
    """Return how two valid labels differ."""
    ours, theirs = _content(completed), _content(stored)
    fields = [
        name
        for name in sorted({*ours, *theirs})
        if not _is_equal(ours.get(name, _ABSENT), theirs.get(name, _ABSENT))
    ]
    return Difference(fields, not is_base(completed, stored)) if fields else None


def _encode(document: Document) -> bytes:
    counting = {name: value for name, value in document.items() if name not in _IGNORED}
    return msgspec.json.encode(counting, order="sorted")


def _content(document: Document) -> dict[str, Any]:
    """Return the values that count, by dotted name."""
    values = {f"label.{name}": value for name, value in _ANNOTATION_DEFAULTS.items()}
    for name, value in {**_DEFAULTS, **edits.normalized(document)}.items():
        if name in OBJECTS and isinstance(value, dict):
            values |= {f"{name}.{inner}": inside for inner, inside in value.items()}
        elif name not in _IGNORED:
            values[name] = value
    return values


def _is_equal(ours: object, theirs: object) -> bool:
    """Return whether two values of JSON are the same; `true` is not 1."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return ours.keys() == theirs.keys() and all(_is_equal(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_is_equal, ours, theirs))
    return isinstance(ours, bool) == isinstance(theirs, bool) and ours == theirs
