"""Changes that a correction file asks for: checked, planned and applied.

A file may add labels, amend labels, replace labels by corrected ones, and delete labels. The rules
that the comments cite are in `docs/architecture.md`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from common.errors import InputError
from common.progress import Progress
from get_data.database import amend
from get_data.database.amend import Amendment, AmendOutcome
from get_data.database.corrections import Overtaken
from get_data.database.delete import DeletionOutcome, delete
from get_data.database.delete import plan as plan_deletion
from get_data.database.entries import Entry
from get_data.database.interfaces import (
    Failed,
    LabelIndex,
    LabelReference,
    PictureStore,
)
from get_data.database.relabel import Predecessor, find_predecessors, remove_replaced
from get_data.database.upload import UploadOutcome, upload
from get_data.labels import edits
from get_data.labels.differences import amended_by


@dataclass(slots=True)
class Counts:
    """Numbers of labels and pictures, as printed for programs."""

    created: int = 0
    there: int = 0
    gone: int = 0
    amended: int = 0
    replaced: int = 0
    deleted: int = 0
    absent: int = 0
    pictures_sent: int = 0
    pictures_deleted: int = 0
    failed: int = 0


@dataclass(slots=True)
class Outcome:
    """Results of the four steps, done or planned; `refused` are labels that were not replaced."""

    added: list[UploadOutcome] = field(default_factory=list)
    amended: list[AmendOutcome] = field(default_factory=list)
    replaced: list[DeletionOutcome] = field(default_factory=list)
    deleted: list[DeletionOutcome] = field(default_factory=list)
    refused: list[Failed] = field(default_factory=list)

    @property
    def failures(self) -> list[Failed]:
        """Labels that could not be added, amended or replaced, and those whose picture is lost."""
        unamended = [label for label in self.amended if label.status != "amended"]
        failed = [label for label in self.added if label.status == "failed"]
        lost = [label for label in (*self.replaced, *self.deleted) if label.picture == "lost"]
        return [
            *(Failed(label.img_id, label.reason) for label in failed),
            *(Failed(label.img_id, label.reason) for label in unamended),
            *self.refused,
            *(Failed(label.img_id, "a label needs its picture, which is lost") for label in lost),
        ]

    @property
    def counts(self) -> Counts:
        """The outcome in numbers."""
        removed = (*self.replaced, *self.deleted)
        added = Counter(label.status for label in self.added)
        return Counts(
            created=added["created"],
            there=added["existing"],
            gone=added["tombstoned"],
            amended=sum(label.status == "amended" for label in self.amended),
            replaced=sum(label.status == "deleted" for label in self.replaced),
            deleted=sum(label.status == "deleted" for label in self.deleted),
            absent=sum(label.status == "absent" for label in removed),
            pictures_sent=len({label.key for label in self.added if label.picture_sent}),
            pictures_deleted=len({label.img_id for label in removed if label.picture == "deleted"}),
            failed=len(self.failures),
        )


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes that a label file asks for.

    `amend` and `predecessors` are known after `compared`: labels of the file that differ from the
    database's, and the labels that corrections replace.
    """

    add: list[Entry]
    delete: list[LabelReference]
    keep_replaced: bool
    amend: list[Amendment] = field(default_factory=list)
    predecessors: list[Predecessor] = field(default_factory=list)

    def compared(self, index: LabelIndex) -> "Changes":
        """Return the changes with what the index has of their labels, as of now."""
        return replace(
            self,
            amend=list(amend.compare(self.add, index)),
            predecessors=list(find_predecessors(self.add, index)),
        )

    def overtaken_by_amendments(self) -> list[Overtaken]:
        """Return the labels whose own or whose predecessor's amendment the file does not know."""
        amended = [
            Overtaken(each.fingerprint, "outdated", amended_by(each.stored.document))
            for each in self.amend
            if each.difference.is_overtaken
        ]
        replaced = [
            Overtaken(each.entry.fingerprint, "amended", each.overtaken_by)
            for each in self.predecessors
            if each.overtaken_by
        ]
        return list({label.fingerprint: label for label in (*amended, *replaced)}.values())

    def without(self, overtaken: Sequence[Overtaken]) -> "Changes":
        """Return the changes without the overtaken corrections and amendments."""
        skipped = {label.fingerprint for label in overtaken}
        return replace(
            self,
            add=[entry for entry in self.add if entry.fingerprint not in skipped],
            amend=[change for change in self.amend if change.fingerprint not in skipped],
            predecessors=[
                each for each in self.predecessors if each.entry.fingerprint not in skipped
            ],
        )

    def amendable(self, added: Sequence[UploadOutcome]) -> list[Amendment]:
        """Return the amendments of labels that the upload has found in the database.

        D16: those of labels that somebody has amended since are left out.
        """
        present = {label.fingerprint for label in added if label.status == "existing"}
        return [
            change
            for change in self.amend
            if change.fingerprint in present and not change.difference.is_overtaken
        ]

    def replaced(self, added: Sequence[UploadOutcome]) -> list[Predecessor]:
        """Return the labels to remove, those whose corrections are in the database."""
        if self.keep_replaced:
            return []
        present = {label.fingerprint for label in added if label.status in ("created", "existing")}
        return [each for each in self.predecessors if each.entry.fingerprint in present]

    def _corrections(self) -> list[tuple[Entry, str]]:
        """Return the labels that replace another one, each with that one's fingerprint."""
        replaced = ((entry, edits.replaced_fingerprint(entry.document)) for entry in self.add)
        return [(entry, old) for entry, old in replaced if old]

    def check_same_picture(self, index: LabelIndex) -> None:
        """Check that each correction replaces a label of its own picture.

        Raises:
            InputError: one replaces a label of another picture.
        """
        pairs = self._corrections()
        stored = index.find({old for _, old in pairs})
        # a file may also replace a label that it adds itself
        ids = {entry.fingerprint: entry.img_id for entry in self.add}
        ids |= {fingerprint: label.img_id for fingerprint, label in stored.items()}
        for entry, old in pairs:
            if ids.get(old, entry.img_id) != entry.img_id:
                raise InputError(
                    f"entry {entry.img_id!r}: replaces {old}, a label of {ids[old]!r}; "
                    "a label can only replace one of its own picture"
                )

    def restoring_replaced(self, index: LabelIndex) -> "Changes":
        """Return the changes, with corrections back to an earlier label marked for restoring.

        The earlier label has a tombstone since it was replaced. It may return only while the label
        that it replaces now is in the index: a file applied a second time brings nothing back.
        """
        tombstones = index.find_tombstones([entry.fingerprint for entry in self.add])
        replaced = [edits.replaced_fingerprint(entry.document) or "" for entry in self.add]
        present = index.find(replaced)
        # only a tombstone of a replacement is lifted: a deleted label stays deleted
        add = [
            replace(entry, restore=tombstones[entry.fingerprint].reason == "replaced")
            if entry.fingerprint in tombstones and old in present
            else entry
            for entry, old in zip(self.add, replaced, strict=True)
        ]
        return replace(self, add=add)

    def plan(self, index: LabelIndex, store: PictureStore) -> Outcome:
        """Return what `apply` would do, without changing anything."""
        added = list(upload(self.add, index, store, dry_run=True))
        replaced = [each.label for each in self.replaced(added)]
        needed = {label.key for label in added if label.status in ("created", "existing")}
        removed = plan_deletion([*replaced, *self.delete], index, store, kept=needed)
        # a label may be both replaced and deleted: one deletion, reported under both
        planned = {label.fingerprint: label for label in removed}
        return Outcome(
            added,
            [
                AmendOutcome(change.img_id, change.fingerprint, "amended")
                for change in self.amendable(added)
            ],
            [planned[label.fingerprint] for label in replaced],
            [planned[label.fingerprint] for label in self.delete],
        )

    def apply(
        self, index: LabelIndex, store: PictureStore, *, by: str, progress: Progress
    ) -> Outcome:
        """Add labels, amend labels, then remove the replaced ones, then delete the marked ones.

        `by` is the login name of who does it.

        Raises:
            DatabaseError: index or store cannot be reached; a second run completes the changes.
        """
        outcome = Outcome()
        adding = upload(self.add, index, store)
        outcome.added += progress(adding, total=len(self.add), description="adding", unit="label")
        changes = self.amendable(outcome.added)
        amending = amend.amend(changes, index, amended_by=by)
        outcome.amended += progress(
            amending, total=len(changes), description="amending", unit="label"
        )
        # D8: a label is removed only once its correction is in the index
        replaced = self.replaced(outcome.added)
        replacing = remove_replaced(replaced, index, store, removed_by=by)
        for label in progress(
            replacing, total=len(replaced), description="replacing", unit="label"
        ):
            if isinstance(label, Failed):
                outcome.refused.append(label)
            else:
                outcome.replaced.append(label)
        deleting = delete(self.delete, index, store, reason="deleted", removed_by=by)
        total = len({label.fingerprint for label in self.delete})
        outcome.deleted += progress(deleting, total=total, description="deleting", unit="label")
        return outcome


def sort_entries(entries: Sequence[Entry], *, keep_replaced: bool) -> Changes:
    """Return the changes that the labels of a correction file ask for."""
    changes = Changes([], [], keep_replaced)
    for entry in entries:
        if edits.is_marked_for_deletion(entry.document):
            changes.delete.append(entry.label)
        else:
            changes.add.append(entry)
    return changes
