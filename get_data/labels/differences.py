"""Fields in which a label of a file differs from the same label in a database."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import NODEFAULT, UNSET, Struct

from get_data.labels import edits
from get_data.labels.schema import OBJECTS, Annotation, Document, Label

# set by the upload, by an amendment, or not stored at all
_IGNORED = frozenset(
    (
        *("upload_date", "amended_by", "s3_bucket", "s3_key"),
        *("picture_size", "picture_sha256", "file_name", "to_delete", "replaces"),
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


def differing_fields(document: Document, stored: Document) -> list[str]:
    """Return the dotted names of the fields in which a label differs from the stored one.

    What an upload or an amendment sets does not count, nor do declared fields that the file lacks
    (`edits.completed`), nor spellings that mean the same: Unicode forms, times, and a default left
    out of the stored label.
    """
    completed = edits.completed(document, stored)
    if _encode(completed) == _encode(stored):  # most are
        return []
    ours, theirs = _content(completed), _content(stored)
    return [
        name
        for name in sorted({*ours, *theirs})
        if not _is_equal(ours.get(name, _ABSENT), theirs.get(name, _ABSENT))
    ]


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
