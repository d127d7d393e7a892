"""All labels that match a search, to be edited or deleted together.

Unlike a download, a selection has every label of a picture, not only the newest.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import msgspec

from common.batching import batches
from common.errors import InputError
from get_data.database import amend
from get_data.database.amend import Amendment, AmendOutcome
from get_data.database.delete import DeletionOutcome, delete
from get_data.database.interfaces import (
    Failed,
    LabelIndex,
    LabelReference,
    PictureStore,
    StoredLabel,
)
from get_data.database.search.search_query import SearchQuery
from get_data.labels import validation
from get_data.labels.constants import SESSION_KEYS
from get_data.labels.differences import find_difference
from get_data.labels.label_reader import CheckedLabel, LabelReader
from get_data.labels.schema import Document
from get_data.labels.unicode_forms import to_nfc


@dataclass(frozen=True, slots=True)
class Selected:
    """A label as the search has found it; `digest` is that of its content."""

    label: LabelReference
    digest: bytes


@dataclass(slots=True)
class Selection:
    """Labels that match a search, and how many of each class and each drive.

    `unchanged`: those that have the values to set already; they are not among `labels`, and neither
    are the `failures`, which are no valid labels.
    """

    labels: list[Selected] = field(default_factory=list)
    unchanged: int = 0
    failures: list[Failed] = field(default_factory=list)
    directions: Counter[int] = field(default_factory=Counter)
    speeds: Counter[int] = field(default_factory=Counter)
    drives: Counter[str] = field(default_factory=Counter)

    @property
    def found(self) -> int:
        """Number of labels that match."""
        return len(self.labels) + self.unchanged + len(self.failures)


def select(query: SearchQuery, index: LabelIndex, values: Mapping[str, Any]) -> Selection:
    """Return the labels that match, for `values` to be set in them.

    Raises:
        InputError: a label would not be valid with these values.
    """
    selection = Selection()
    reader = LabelReader()
    with closing(index.search(query)) as found:
        for line in found:
            proven = reader.prove(line)
            document: Document = (
                CheckedLabel(proven).document if proven else msgspec.json.decode(line)
            )
            try:
                if not proven:
                    reader.check(document)
            except InputError as error:
                reason = f"the stored label is not valid ({error}) and is left as it is"
                selection.failures.append(Failed(str(document.get("img_id")), reason))
                continue
            if values and find_difference({**document, **values}, document) is None:
                selection.unchanged += 1
                continue
            if values and not selection.labels:
                validation.parse({**document, **values})
            reference = LabelReference(
                document["label_fingerprint"], document["img_id"], document.get("s3_key", "")
            )
            selection.labels.append(Selected(reference, _digest(document)))
            annotation = document["label"]
            selection.directions[annotation["label_direction"]] += 1
            selection.speeds[annotation["label_speed"]] += 1
            selection.drives[_describe_drive(document)] += 1
    return selection


def _digest(document: Document) -> bytes:
    """Return a hash of a label's content, whatever Unicode form its texts are stored in."""
    return hashlib.sha256(msgspec.json.encode(to_nfc(document), order="sorted")).digest()


def set_values(
    labels: Iterable[Selected],
    index: LabelIndex,
    values: Mapping[str, Any],
    *,
    amended_by: str,
) -> Iterator[AmendOutcome]:
    """Set fields of labels that are as the search has found them; yield the outcome of each.

    Raises:
        DatabaseError: the index cannot be reached; a second run completes the amendments.
    """
    for batch in batches(labels):
        unchanged = _read_unchanged(batch, index)
        changes = []
        for stored in unchanged.values():
            document = {**stored.document, **values}
            if difference := find_difference(document, stored.document):
                changes.append(Amendment(document, stored, difference))
        yield from amend.amend(changes, index, amended_by=amended_by)
        for label in _others(batch, unchanged):
            yield AmendOutcome(label.img_id, label.fingerprint, "changed", _CHANGED)


def delete_unchanged(
    labels: Iterable[Selected], index: LabelIndex, store: PictureStore, *, removed_by: str
) -> Iterator[DeletionOutcome | Failed]:
    """Delete labels that are as the search has found them; yield the outcome of each.

    Raises:
        DatabaseError: index or store cannot be reached; a second run completes the deletion.
    """
    for batch in batches(labels):
        unchanged = _read_unchanged(batch, index)
        going = [each.label for each in batch if each.label.fingerprint in unchanged]
        yield from delete(going, index, store, reason="deleted", removed_by=removed_by)
        for label in _others(batch, unchanged):
            yield Failed(label.img_id, _CHANGED)


_CHANGED = "the label was corrected, changed or deleted by somebody meanwhile; run again"


def _read_unchanged(labels: Sequence[Selected], index: LabelIndex) -> dict[str, StoredLabel]:
    """Return the labels that are still as they were found, by fingerprint."""
    digests = {each.label.fingerprint: each.digest for each in labels}
    stored = index.read(digests)
    # D17: somebody has decided against these labels
    tombstones = index.find_tombstones(stored)
    return {
        name: label
        for name, label in stored.items()
        if name not in tombstones and _digest(label.document) == digests[name]
    }


def _others(labels: Sequence[Selected], kept: Collection[str]) -> Iterator[LabelReference]:
    return (each.label for each in labels if each.label.fingerprint not in kept)


def _describe_drive(document: Document) -> str:
    """Return the drive of a label for people: its id, or else the day and the session."""
    session = [str(document.get(key, "")) for key in SESSION_KEYS]
    name = document.get("session_id") or str(document.get("timestamp", ""))[:10]
    return " ".join(filter(None, (name, *session)))
