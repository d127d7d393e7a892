"""Apply a corrected label file: add labels, replace corrected ones, delete marked ones.

    python get_data/upload_to_db.py corrected/labels.json

A label with "replaces" replaces the label with that fingerprint. A label with "to_delete": true is
deleted, and so is its picture unless another label needs it. Counts are shown before anything
changes. If the database does not know most of these labels, you are asked even with -y.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs uninstalled, from any folder

from common import signals

if __name__ == "__main__":
    signals.exit_on_signal()  # the other imports take time

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal, TypeVar

from common.errors import InputError
from get_data.cli import arguments, files, output, process
from get_data.cli.output import pluralize
from get_data.database.connection import Database, open_database
from get_data.database.corrections import Overtaken, Survey, survey
from get_data.database.delete import DeletionOutcome, delete, plan
from get_data.database.interfaces import Failed, LabelReference
from get_data.database.upload import Entry, UploadOutcome, read_entries, upload
from get_data.labels import edits

Item = TypeVar("Item")

VERBS = ("add", "correct", "delete", "change nothing")
DONE_VERBS = ("added", "corrected", "deleted", "changed nothing")
WRONG_DATABASE_REMEDY = (
    "choose another database with PATATE_HOME or the variables of a team's database; if it is the "
    "right one, upload the recording first with upload_data.py"
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument(
        "labels",
        type=arguments.path_argument,
        metavar="LABELS",
        help="label file or its folder",
    )
    arguments.add_pictures_option(parser)
    arguments.add_dry_run_option(parser)
    parser.add_argument(
        "-y", "--yes", action="store_true", help="do not ask before labels are replaced or deleted"
    )
    parser.add_argument(
        "--keep-replaced", action="store_true", help="keep the labels that corrections replace"
    )
    parser.add_argument(
        "--skip-overtaken",
        action="store_true",
        help="skip corrections of pictures that were corrected or deleted by others meanwhile",
    )
    return parser.parse_args(argv)


@dataclass(slots=True)
class Counts:
    """Numbers of labels and pictures, as printed for programs."""

    created: int = 0
    there: int = 0
    gone: int = 0
    replaced: int = 0
    deleted: int = 0
    absent: int = 0
    pictures_sent: int = 0
    pictures_deleted: int = 0
    failed: int = 0


@dataclass(slots=True)
class Outcome:
    """Results of the three steps, done or planned."""

    added: list[UploadOutcome] = field(default_factory=list)
    replaced: list[DeletionOutcome] = field(default_factory=list)
    deleted: list[DeletionOutcome] = field(default_factory=list)

    @property
    def failures(self) -> list[Failed]:
        """Labels that could not be added, and labels whose picture is lost."""
        failed = [label for label in self.added if label.status == "failed"]
        lost = [label for label in (*self.replaced, *self.deleted) if label.picture == "lost"]
        return [
            *(Failed(label.img_id, label.reason) for label in failed),
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
            replaced=sum(label.status == "deleted" for label in self.replaced),
            deleted=sum(label.status == "deleted" for label in self.deleted),
            absent=sum(label.status == "absent" for label in removed),
            pictures_sent=len({label.key for label in self.added if label.picture_sent}),
            pictures_deleted=len({label.img_id for label in removed if label.picture == "deleted"}),
            failed=len(self.failures),
        )


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes that a label file asks for."""

    add: list[Entry]
    delete: list[LabelReference]
    keep_replaced: bool

    def without(self, overtaken: Sequence[Overtaken]) -> "Changes":
        """Return the changes without the overtaken corrections."""
        skipped = {label.fingerprint for label in overtaken}
        return replace(self, add=[entry for entry in self.add if entry.fingerprint not in skipped])

    def replaced(self, added: Sequence[UploadOutcome]) -> list[LabelReference]:
        """Return the labels to remove, those whose corrections are in the database."""
        if self.keep_replaced:
            return []
        present = {label.fingerprint for label in added if label.status in ("created", "existing")}
        return [
            LabelReference(old, entry.img_id, entry.label.s3_key)
            for entry in self.add
            if entry.fingerprint in present and (old := edits.replaced_fingerprint(entry.document))
        ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)

    changes = read_changes(args)
    with open_database(writing=not args.dry_run) as db:
        output.print_database(db.name, db.notice)
        check_same_picture(changes, db)
        changes = restore_replaced(changes, db)
        findings = survey(changes.add, changes.delete, db.index)
        if args.skip_overtaken:
            changes = changes.without(findings.overtaken)
        planned = plan_changes(changes, db)
        print_overtaken(findings.overtaken, skipped=args.skip_overtaken)
        if args.dry_run:
            if findings.is_foreign:
                output.print_message(f"warning: {mismatch(findings, db)}; {WRONG_DATABASE_REMEDY}")
            return report(planned, findings, dry_run=True)
        ask(planned.counts, findings, db, is_agreed=args.yes, skipped=args.skip_overtaken)

        outcome = apply(changes, db)

    return report(outcome, findings, dry_run=False)


def read_changes(args: argparse.Namespace) -> Changes:
    """Read the changes from the label file.

    Raises:
        InputError: there is no label file, or it has an invalid label.
    """
    labels, documents = files.read_labels(args.labels, repair=not args.dry_run)
    entries = read_entries(labels, args.pictures, documents)
    to_delete = [entry for entry in entries if edits.is_marked_for_deletion(entry.document)]
    return Changes(
        add=[entry for entry in entries if not edits.is_marked_for_deletion(entry.document)],
        delete=[entry.label for entry in to_delete],
        keep_replaced=args.keep_replaced,
    )


def print_overtaken(overtaken: Sequence[Overtaken], *, skipped: bool) -> None:
    """Print who has corrected or deleted the same pictures meanwhile, and what follows from it."""
    yours = "your corrections are skipped" if skipped else "{}; --skip-overtaken skips yours"
    for status, subject, consequence in (
        ("corrected", "Corrected", yours.format("both labels stay, the newer counts")),
        ("deleted", "Deleted", yours.format("your corrections restore them")),
        ("kept", "To delete, but corrected", "they stay, with the new labels"),
    ):
        labels = [label for label in overtaken if label.status == status]
        if labels:
            names = sorted({label.changed_by for label in labels} - {""})
            by = ", ".join(names) or "somebody"
            pictures = pluralize(len(labels), "picture")
            output.print_message(f"{subject} meanwhile by {by}: {pictures}; {consequence}")


def ask(counts: Counts, findings: Survey, db: Database, *, is_agreed: bool, skipped: bool) -> None:
    """Ask before labels are replaced or deleted; for a foreign file, ask even if `is_agreed`.

    Raises:
        Declined: the answer was no, or there is no terminal.
    """
    changes = describe(counts, done=False)
    if findings.is_foreign:
        reason = mismatch(findings, db)
        output.confirm(
            f"{reason[0].upper()}{reason[1:]}. {changes.capitalize()}. Continue?",
            without_terminal=f"confirmation needed: {reason}; {WRONG_DATABASE_REMEDY}",
        )
        return
    removes = counts.deleted or counts.replaced or counts.pictures_deleted
    is_overtaken = not skipped and any(label.status != "kept" for label in findings.overtaken)
    if (removes or is_overtaken) and not is_agreed:
        output.confirm(
            f"In the database {db.name}: {changes}. Continue?",
            without_terminal=f"confirmation needed to change the database {db.name}: run with -y "
            f"(would {changes})",
        )


def mismatch(findings: Survey, db: Database) -> str:
    """Return why the file seems to belong to another database."""
    return (
        f"the database {db.name} never had {findings.unknown:,} of the "
        f"{pluralize(findings.referenced, 'label')} that the file replaces or deletes"
    )


def check_same_picture(changes: Changes, db: Database) -> None:
    """Check that each correction replaces a label of its own picture.

    Raises:
        InputError: one replaces a label of another picture.
    """
    pairs = [
        (entry, old) for entry in changes.add if (old := edits.replaced_fingerprint(entry.document))
    ]
    stored = db.index.find({old for _, old in pairs})
    ids = {entry.fingerprint: entry.img_id for entry in changes.add}
    ids |= {fingerprint: label.img_id for fingerprint, label in stored.items()}
    for entry, old in pairs:
        if ids.get(old, entry.img_id) != entry.img_id:
            raise InputError(
                f"entry {entry.img_id!r}: replaces {old}, a label of {ids[old]!r}; "
                "a label can only replace one of its own picture"
            )


def restore_replaced(changes: Changes, db: Database) -> Changes:
    """Return the changes, with corrections back to an earlier label marked for restoring.

    The earlier label has a tombstone since it was replaced. It may return only while the label
    that it replaces now is in the index: a file applied a second time brings nothing back.
    """
    tombstones = db.index.find_tombstones([entry.fingerprint for entry in changes.add])
    replaced = [edits.replaced_fingerprint(entry.document) or "" for entry in changes.add]
    present = db.index.find(replaced)
    add = [
        replace(entry, restore=tombstones[entry.fingerprint].reason == "replaced")
        if entry.fingerprint in tombstones and old in present
        else entry
        for entry, old in zip(changes.add, replaced, strict=True)
    ]
    return replace(changes, add=add)


def plan_changes(changes: Changes, db: Database) -> Outcome:
    """Return what `apply` would do, without changing anything."""
    added = list(upload(changes.add, db.index, db.store, dry_run=True))
    replaced = changes.replaced(added)
    needed = {label.key for label in added if label.status in ("created", "existing")}
    removed = plan([*replaced, *changes.delete], db.index, db.store, kept=needed)
    planned = {label.fingerprint: label for label in removed}
    return Outcome(
        added,
        [planned[label.fingerprint] for label in replaced],
        [planned[label.fingerprint] for label in changes.delete],
    )


def apply(changes: Changes, db: Database) -> Outcome:
    """Add labels, then remove the replaced ones, then delete the marked ones."""
    added = upload(changes.add, db.index, db.store)
    outcome = Outcome(added=with_bar(added, len(changes.add), "adding"))
    # D8: a label is replaced only after its correction is in the index
    replaced = changes.replaced(outcome.added)
    outcome.replaced = remove(replaced, db, "replaced")
    outcome.deleted = remove(changes.delete, db, "deleted")
    return outcome


def remove(
    labels: Sequence[LabelReference], db: Database, reason: Literal["replaced", "deleted"]
) -> list[DeletionOutcome]:
    """Remove labels, and the pictures that no label needs any more."""
    removed = delete(labels, db.index, db.store, reason=reason, removed_by=process.login_name())
    total = len({label.fingerprint for label in labels})
    return with_bar(removed, total, {"replaced": "replacing", "deleted": "deleting"}[reason])


def with_bar(items: Iterable[Item], total: int, description: str) -> list[Item]:
    """Return all items as a list, with a progress bar meanwhile."""
    return list(output.progress_bar(items, total=total, description=description, unit="label"))


def report(outcome: Outcome, findings: Survey, *, dry_run: bool) -> int:
    """Print what was done, or would be, and return the exit code."""
    counts = outcome.counts
    changes = describe(counts, done=not dry_run)
    output.print_message(f"Would {changes}" if dry_run else changes.capitalize())
    if counts.absent:
        never = min(findings.unknown, counts.absent)
        output.print_message(
            f"Not in the database: {pluralize(counts.absent, 'label')} to replace or delete "
            f"(never there: {never:,}; replaced or deleted before: {counts.absent - never:,})"
        )
    if counts.gone:
        output.print_message(
            f"Left out {pluralize(counts.gone, 'label')} corrected or deleted before"
        )
    output.write_json(asdict(counts))
    return output.print_failures(outcome.failures)


def describe(counts: Counts, *, done: bool) -> str:
    """Return the changes as a phrase: "correct 220 labels, delete 21 labels and 21 pictures"."""
    add, correct, remove_, nothing = DONE_VERBS if done else VERBS
    new = counts.created - counts.replaced
    phrases = [
        f"{verb} {' and '.join(pluralize(count, noun) for count, noun in items if count > 0)}"
        for verb, items in (
            (add, [(new, "label")]),
            (correct, [(counts.replaced, "label")]),
            (remove_, [(counts.deleted, "label"), (counts.pictures_deleted, "picture")]),
        )
        if any(count > 0 for count, _ in items)
    ]
    return ", ".join(phrases) or nothing


if __name__ == "__main__":
    raise SystemExit(process.run(main))
