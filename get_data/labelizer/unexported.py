"""Decisions in work files that no label file has yet."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from common import migrations
from common.errors import InputError
from common.macos_files import is_macos_file
from get_data.labelizer import work_database
from get_data.labels import edits
from get_data.labels.schema import Document

_VALUES = ("steering", "throttle")


def find_unexported(folder: Path, labels: Collection[Mapping[str, Document]]) -> set[str]:
    """Return the ids of pictures that were corrected in a labelizer, and in none of the labels.

    Raises:
        WorkFileInUse: a labelizer has a work file of this folder open.
        InputError: a work file cannot be read.
        WriteFailed: a work file cannot be locked.
    """
    unexported: set[str] = set()
    found = folder.glob(f"*{work_database.SUFFIX}")
    for path in sorted(path for path in found if not is_macos_file(path.name)):
        for decision in _read_decisions(path):
            img_id = decision["img_id"]
            exported = (documents[img_id] for documents in labels if img_id in documents)
            if not any(_has_decision(document, decision) for document in exported):
                unexported.add(img_id)
    return unexported


def _read_decisions(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the entries that were edited, as a work file of any version has them."""
    with work_database.read_closed(path) as database:
        if not migrations.version_of(database):  # begun and killed: nothing is decided yet
            return
        found = database.execute("SELECT * FROM entry")
        names = [column[0] for column in found.description]
        entries = [dict(zip(names, row, strict=True)) for row in found]
    try:
        yield from (entry for entry in entries if _is_unmarked(entry) or _is_corrected(entry))
    except KeyError as error:
        raise InputError(f"{path} has no column {error}; move it away") from error


def _is_unmarked(entry: Mapping[str, Any]) -> bool:
    """Return whether the mark for deletion was set or removed."""
    return bool(entry["deleted"] != entry["old_deleted"])


def _is_corrected(entry: Mapping[str, Any]) -> bool:
    """Return whether the annotation was corrected or confirmed."""
    return bool(
        (entry["reviewed"] and not entry.get("settled"))
        or (entry["direction"], entry["speed"]) != (entry["old_direction"], entry["old_speed"])
        or any(entry.get(name) is not None for name in _VALUES)
    )


def _has_decision(document: Document, entry: Mapping[str, Any]) -> bool:
    """Return whether a label says what was decided."""
    if entry["deleted"] or edits.is_marked_for_deletion(document):
        return bool(entry["deleted"]) and edits.is_marked_for_deletion(document)
    if not _is_corrected(entry):
        return True
    annotation = document["label"]
    return (
        annotation.get("created_by") == entry["changed_by"]
        and annotation["label_direction"] == entry["direction"]
        and annotation["label_speed"] == entry["speed"]
        and all(entry.get(name) in (None, annotation.get(name)) for name in _VALUES)
    )
