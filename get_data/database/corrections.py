"""Checks of a correction file against a database: that it belongs there and is up to date."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from get_data.database.entries import Entry
from get_data.database.interfaces import LabelIndex, LabelReference, Tombstone
from get_data.labels import edits


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A correction or deletion of a label that somebody else has replaced or deleted meanwhile.

    `corrected`: our label joins another one; `deleted`: the picture has no label left; `kept`: we
    delete the label, but its picture has another one; `amended`: the label that it replaces was
    amended after our file was made; `outdated`: the label itself was, and stays as it is.
    """

    fingerprint: str
    status: Literal["corrected", "deleted", "kept", "amended", "outdated"]
    changed_by: str


@dataclass(frozen=True, slots=True)
class CorrectionCheck:
    """Counts of the labels that a file replaces or deletes, and those overtaken by others."""

    referenced: int
    unknown: int
    overtaken: Sequence[Overtaken]

    @property
    def is_foreign(self) -> bool:
        """Whether the file is most likely meant for another database."""
        return 2 * self.unknown > self.referenced


def check_corrections(
    added: Sequence[Entry], deleted: Sequence[LabelReference], index: LabelIndex
) -> CorrectionCheck:
    """Look up the labels that corrections replace and those that are to be deleted.

    Labels of a file that was applied before are not unknown: they have tombstones.
    """
    replaced = {
        entry.fingerprint: old
        for entry in added
        if (old := edits.replaced_fingerprint(entry.document)) is not None
    }
    referenced = {*replaced.values(), *(label.fingerprint for label in deleted)}
    found = index.find({*replaced, *referenced})
    tombstones = index.find_tombstones(referenced)
    # a correction in the index proves its predecessor, even one without a tombstone
    applied = {old for new, old in replaced.items() if new in found}
    # a predecessor with a tombstone was overtaken, unless by this very correction
    late = [
        entry
        for entry in added
        if replaced.get(entry.fingerprint) in tombstones and entry.fingerprint not in found
    ]
    return CorrectionCheck(
        referenced=len(referenced),
        unknown=len(referenced - found.keys() - tombstones.keys() - applied),
        overtaken=[
            *_overtaken_corrections(late, replaced, tombstones, index),
            *_overtaken_deletions(
                [label for label in deleted if label.fingerprint not in found], tombstones, index
            ),
        ],
    )


def _overtaken_corrections(
    late: Sequence[Entry],
    replaced: Mapping[str, str],
    tombstones: Mapping[str, Tombstone],
    index: LabelIndex,
) -> list[Overtaken]:
    """Return the new corrections of labels that have a tombstone, unless they have one too."""
    tombstoned = index.find_tombstones([entry.fingerprint for entry in late])
    late = [entry for entry in late if entry.fingerprint not in tombstoned]
    before = {entry.fingerprint: tombstones[replaced[entry.fingerprint]] for entry in late}
    keys = {
        entry.fingerprint: before[entry.fingerprint].s3_key or entry.label.s3_key for entry in late
    }
    references = index.find_references({key for key in keys.values() if key})
    return [
        Overtaken(
            fingerprint,
            "corrected" if references.get(key) else "deleted",
            before[fingerprint].removed_by,
        )
        for fingerprint, key in keys.items()
    ]


def _overtaken_deletions(
    labels: Sequence[LabelReference], tombstones: Mapping[str, Tombstone], index: LabelIndex
) -> list[Overtaken]:
    """Return the deletions of replaced labels whose pictures other labels keep."""
    late = [tombstones[label.fingerprint] for label in labels if label.fingerprint in tombstones]
    references = index.find_references(
        {old.s3_key for old in late if old.s3_key and old.reason == "replaced"}
    )
    return [
        Overtaken(old.fingerprint, "kept", old.removed_by)
        for old in late
        if old.s3_key in references
    ]
