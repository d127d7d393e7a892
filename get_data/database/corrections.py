"""What a file of corrections meets in a database: whether it belongs there, and who came before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from get_data.database.delete import target
from get_data.database.interfaces import LabelIndex, LabelReference, Tombstone
from get_data.database.upload import Entry
from get_data.labels import edits


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A correction or deletion of a label that somebody has replaced or deleted meanwhile.

    `corrected`: our label comes beside another; `deleted`: no label of that picture is left;
    `kept`: we wanted to delete it, and it has another label.
    """

    fingerprint: str
    what: Literal["corrected", "deleted", "kept"]
    by: str


@dataclass(frozen=True, slots=True)
class Findings:
    """The labels that a file replaces or deletes: how many, and how many were never here."""

    named: int
    unknown: int
    overtaken: Sequence[Overtaken]

    @property
    def is_foreign(self) -> bool:
        """Whether the file is most likely meant for another database."""
        return 2 * self.unknown > self.named


def survey(add: Sequence[Entry], going: Sequence[LabelReference], index: LabelIndex) -> Findings:
    """Return what the index knows of the labels that corrections replace, or that are to go.

    What was applied before is not unknown: its labels are among those that are gone for good.
    """
    replaced = {
        one.fingerprint: old
        for one in add
        if (old := edits.replaced_fingerprint(one.document)) is not None
    }
    there = index.find({*replaced, *replaced.values(), *(one.fingerprint for one in going)})
    gone = index.find_tombstones({*replaced.values(), *(one.fingerprint for one in going)})
    known = there.keys() | gone.keys()
    applied = {old for new, old in replaced.items() if new in there}
    named = {*replaced.values(), *(one.fingerprint for one in going)}
    late = [
        one for one in add if replaced.get(one.fingerprint) in gone and one.fingerprint not in there
    ]
    return Findings(
        named=len(named),
        unknown=len(named - known - applied),
        overtaken=[
            *_corrections(late, replaced, gone, index),
            *_deletions([one for one in going if one.fingerprint not in there], gone, index),
        ],
    )


def _corrections(
    late: Sequence[Entry],
    replaced: Mapping[str, str],
    gone: Mapping[str, Tombstone],
    index: LabelIndex,
) -> list[Overtaken]:
    """Return the corrections that are new and come too late; what is gone itself stays out."""
    stays_out = index.find_tombstones([one.fingerprint for one in late])
    late = [one for one in late if one.fingerprint not in stays_out]
    keys = {one.fingerprint: _key(one, gone[replaced[one.fingerprint]]) for one in late}
    named = index.find_references({key for key in keys.values() if key})
    return [
        Overtaken(
            one.fingerprint,
            "corrected" if named.get(keys[one.fingerprint]) else "deleted",
            gone[replaced[one.fingerprint]].removed_by,
        )
        for one in late
    ]


def _deletions(
    going: Sequence[LabelReference], gone: Mapping[str, Tombstone], index: LabelIndex
) -> list[Overtaken]:
    """Return the deletions of labels that are replaced, whose pictures stay for other labels."""
    late = [gone[one.fingerprint] for one in going if one.fingerprint in gone]
    named = index.find_references(
        {one.s3_key for one in late if one.s3_key and one.reason == "replaced"}
    )
    return [
        Overtaken(one.fingerprint, "kept", one.removed_by) for one in late if one.s3_key in named
    ]


def _key(entry: Entry, before: Tombstone) -> str:
    """Return the key of the entry's picture."""
    return before.s3_key or target(entry.document).s3_key
