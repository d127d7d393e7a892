"""Amend labels: replace what they say beside their fingerprint.

An amendment touches no picture and creates no label. The rules that the comments cite are in
`docs/architecture.md`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from common.batching import batches
from get_data.database.entries import Entry
from get_data.database.interfaces import LabelIndex, Replacement, StoredLabel, picture_key
from get_data.labels import edits
from get_data.labels.differences import Difference, find_difference
from get_data.labels.schema import Document


@dataclass(frozen=True, slots=True)
class Amendment:
    """New content for a stored label, and how the two differ."""

    document: Document
    stored: StoredLabel
    difference: Difference

    @property
    def img_id(self) -> str:
        """Id of the picture."""
        return str(self.document["img_id"])

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the label."""
        return str(self.document["label_fingerprint"])


AmendStatus = Literal["amended", "changed", "rejected"]


@dataclass(frozen=True, slots=True)
class AmendOutcome:
    """Outcome for one label; `changed`: by somebody else meanwhile, and therefore left."""

    img_id: str
    fingerprint: str
    status: AmendStatus
    reason: str = ""


def compare(entries: Iterable[Entry], index: LabelIndex) -> Iterator[Amendment]:
    """Yield the labels that differ from the index's; those with a tombstone are left out."""
    for batch in batches(entries):
        fingerprints = [entry.fingerprint for entry in batch]
        stored = index.read(fingerprints)
        # D17: somebody has decided against these labels
        tombstones = index.find_tombstones(stored)
        for entry in batch:
            label = stored.get(entry.fingerprint)
            if label is None or entry.fingerprint in tombstones or _conflicts(entry, label):
                continue
            if difference := find_difference(entry.document, label.document):
                yield Amendment(entry.document, label, difference)


def _conflicts(entry: Entry, stored: StoredLabel) -> bool:
    """Return whether the file's label is of another picture; the upload reports it."""
    sha256 = entry.reference.picture_sha256
    key = stored.document.get("s3_key", "")
    return bool(sha256) and key != picture_key(entry.img_id, str(sha256))


def amend(
    amendments: Iterable[Amendment], index: LabelIndex, *, amended_by: str
) -> Iterator[AmendOutcome]:
    """Replace labels that are still as they were compared, and yield the outcome of each.

    Raises:
        DatabaseError: the index cannot be reached; a second run completes the amendments.
    """
    for batch in batches(amendments):
        now = datetime.now(UTC)
        # D15: with the version that was compared, not one read since
        result = index.replace(
            [
                Replacement(
                    edits.amended(
                        change.document,
                        stored=change.stored.document,
                        amended_by=amended_by,
                        upload_time=now,
                    ),
                    change.stored.version,
                )
                for change in batch
            ]
        )
        for change in batch:
            img_id, name = change.img_id, change.fingerprint
            if name in result.replaced:
                yield AmendOutcome(img_id, name, "amended")
            elif reason := result.rejected.get(name):
                yield AmendOutcome(
                    img_id, name, "rejected", f"the index rejects the label: {reason}"
                )
            else:
                reason = "the label was changed by somebody meanwhile; run again to compare anew"
                yield AmendOutcome(img_id, name, "changed", reason)
