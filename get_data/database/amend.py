"""Amend labels: replace what they say beside their fingerprint.

An amendment touches no picture and creates no label. The rules that the comments cite are in
`docs/architecture.md`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from common.batching import batches
from get_data.database.interfaces import LabelIndex, Replacement, StoredLabel, picture_key
from get_data.database.upload import Entry
from get_data.labels import edits
from get_data.labels.differences import differing_fields
from get_data.labels.schema import Document


@dataclass(frozen=True, slots=True)
class Amendment:
    """A label of a file that differs from the stored one in these fields."""

    entry: Entry
    stored: StoredLabel
    fields: Sequence[str]

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the label."""
        return self.entry.fingerprint

    @property
    def is_overtaken(self) -> bool:
        """Whether the file was made before somebody amended the label."""
        return not is_base(self.entry.document, self.stored.document)


AmendStatus = Literal["amended", "changed", "rejected"]


@dataclass(frozen=True, slots=True)
class AmendOutcome:
    """Outcome for one label; `changed`: by somebody else meanwhile, and therefore left."""

    img_id: str
    fingerprint: str
    status: AmendStatus
    reason: str = ""


def amended_by(stored: Document) -> str:
    """Return who amended a label last, "" if nobody did."""
    return str(stored.get("amended_by", ""))


def is_base(document: Document, stored: Document) -> bool:
    """Return whether a label of a file was made from the stored one as it is."""
    # D16: dates are compared for equality only, since clocks differ
    return not amended_by(stored) or document.get("upload_date", "") == stored.get("upload_date")


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
            if fields := differing_fields(entry.document, label.document):
                yield Amendment(entry, label, fields)


def _conflicts(entry: Entry, stored: StoredLabel) -> bool:
    """Return whether the file's label is of another picture; the upload reports it."""
    sha256 = entry.reference.picture_sha256
    key = stored.document.get("s3_key", "")
    return bool(sha256) and key != picture_key(entry.img_id, str(sha256))


def field_counts(amendments: Iterable[Amendment]) -> dict[str, int]:
    """Return how many labels differ in each field, most frequent first."""
    return dict(Counter(name for change in amendments for name in change.fields).most_common())


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
                        change.entry.document,
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
            img_id, name = change.entry.img_id, change.fingerprint
            if name in result.replaced:
                yield AmendOutcome(img_id, name, "amended")
            elif reason := result.rejected.get(name):
                yield AmendOutcome(
                    img_id, name, "rejected", f"the index rejects the label: {reason}"
                )
            else:
                reason = "the label was changed by somebody meanwhile; run again to compare anew"
                yield AmendOutcome(img_id, name, "changed", reason)
