"""Applies a corrected label file: adds labels, replaces those corrected, deletes those marked.

    python get_data/upload_to_db.py corrected/labels.json

A label with "replaces" takes the place of the label of that fingerprint; one with "to_delete": true
goes out, with its picture unless another label needs it. Counts are shown before anything changes.
A file that mostly speaks of labels which the database never had is asked about even with -y.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs uninstalled, from any folder

from common import signals

if __name__ == "__main__":
    signals.exit_on_signal()  # the other imports take time

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from common.errors import InputError
from get_data.cli import arguments, files, output, process
from get_data.cli.output import pluralize
from get_data.database.connection import Database, open_database
from get_data.database.corrections import Overtaken, Survey, survey
from get_data.database.delete import DeletionOutcome, delete, plan
from get_data.database.interfaces import Failed, LabelReference
from get_data.database.upload import Entry, UploadOutcome, read_entries, upload
from get_data.labels import edits

RIGHT_DATABASE = (
    "choose the right one with PATATE_HOME or the variables of a team's database; if it is this "
    "one, upload the recording first with upload_data.py"
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, checked for what argparse can check."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument(
        "labels",
        type=arguments.path_argument,
        metavar="LABELS",
        help="label file, or its folder",
    )
    arguments.add_pictures_option(parser)
    arguments.add_dry_run_option(parser)
    parser.add_argument(
        "-y", "--yes", action="store_true", help="do not ask before replacing or deleting"
    )
    parser.add_argument(
        "--keep-replaced", action="store_true", help="keep the labels that corrections replace"
    )
    parser.add_argument(
        "--skip-overtaken",
        action="store_true",
        help="leave out corrections of pictures that somebody corrected or deleted meanwhile",
    )
    return parser.parse_args(argv)


@dataclass(slots=True)
class Counts:
    """What is done, or would be."""

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
    """What came of each step; the steps of a dry run are the same."""

    added: list[UploadOutcome] = field(default_factory=list)
    replaced: list[DeletionOutcome] = field(default_factory=list)
    deleted: list[DeletionOutcome] = field(default_factory=list)

    @property
    def failures(self) -> list[Failed]:
        """The labels that could not be added, and the pictures that nobody has any more."""
        lost = (one for one in (*self.replaced, *self.deleted) if one.picture == "lost")
        return [
            *(Failed(one.img_id, one.reason) for one in self.added if one.status == "failed"),
            *(Failed(one.img_id, "a label names its picture, and nobody has it") for one in lost),
        ]

    @property
    def counts(self) -> Counts:
        """The outcome in numbers."""
        out = (*self.replaced, *self.deleted)
        return Counts(
            created=sum(one.status == "created" for one in self.added),
            there=sum(one.status == "existing" for one in self.added),
            gone=sum(one.status == "tombstoned" for one in self.added),
            replaced=sum(one.status == "deleted" for one in self.replaced),
            deleted=sum(one.status == "deleted" for one in self.deleted),
            absent=sum(one.status == "absent" for one in out),
            pictures_sent=len({one.key for one in self.added if one.picture_sent}),
            pictures_deleted=len({one.img_id for one in out if one.picture == "deleted"}),
            failed=len(self.failures),
        )


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a label file asks for."""

    add: list[Entry]
    delete: list[LabelReference]
    keep_replaced: bool

    def without(self, overtaken: Sequence[Overtaken]) -> "Wishes":
        """Return the wishes without those that others came before."""
        left_out = {one.fingerprint for one in overtaken}
        return replace(self, add=[one for one in self.add if one.fingerprint not in left_out])

    def replaced(self, added: Sequence[UploadOutcome]) -> list[LabelReference]:
        """The labels whose corrections are in."""
        if self.keep_replaced:
            return []
        done = {one.fingerprint for one in added if one.status in ("created", "existing")}
        return [
            LabelReference(old, entry.img_id, entry.label.s3_key)
            for entry in self.add
            if entry.fingerprint in done and (old := edits.replaced_fingerprint(entry.document))
        ]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    args = parse_args(argv)
    labels, documents = files.read_labels(args.labels, repair=not args.dry_run)
    entries = read_entries(labels, args.pictures, documents)
    wishes = Wishes(
        add=[entry for entry in entries if not edits.is_marked_for_deletion(entry.document)],
        delete=[one.label for one in entries if edits.is_marked_for_deletion(one.document)],
        keep_replaced=args.keep_replaced,
    )
    with open_database(writing=not args.dry_run) as db:
        output.print_database(db.name, db.notice)
        check_replaced(wishes, db)
        wishes = chosen_again(wishes, db)
        findings = survey(wishes.add, wishes.delete, db.index)
        if args.skip_overtaken:
            wishes = wishes.without(findings.overtaken)
        planned = rehearse(wishes, db)
        say_overtaken(findings.overtaken, skipped=args.skip_overtaken)
        if args.dry_run:
            if findings.is_foreign:
                output.print_message(f"warning: {foreign(findings, db)}; {RIGHT_DATABASE}")
            return report(planned, findings, would="would be ")
        ask(planned.counts, findings, db, is_agreed=args.yes, skipped=args.skip_overtaken)
        return report(apply(wishes, db), findings, would="")


def say_overtaken(overtaken: Sequence[Overtaken], *, skipped: bool) -> None:
    """Say whose corrections and deletions came before, and what becomes of ours."""
    ours = "ours are left out" if skipped else "{}; --skip-overtaken leaves ours out"
    for what, subject, then in (
        ("corrected", "corrected", ours.format("both labels stay, the newer counts")),
        ("deleted", "deleted", ours.format("our corrections undo that")),
        ("kept", "to delete corrected", "kept, with the new labels"),
    ):
        those = [one for one in overtaken if one.status == what]
        if those:
            by = (
                ", ".join(sorted({one.changed_by for one in those if one.changed_by})) or "somebody"
            )
            pictures = pluralize(len(those), "picture")
            output.print_message(f"{pictures} {subject} meanwhile by {by}: {then}")


def ask(counts: Counts, findings: Survey, db: Database, *, is_agreed: bool, skipped: bool) -> None:
    """Return when the user agrees, who is asked about a wrong database whatever was agreed to.

    Raises: Declined.
    """
    changes = f"{in_words(counts, 'will be ')}. Go on?"
    if findings.is_foreign:
        output.confirm(f"{foreign(findings, db)}. {changes}", otherwise=RIGHT_DATABASE)
        return
    takes = counts.deleted or counts.replaced or counts.pictures_deleted
    meets = not skipped and any(one.status != "kept" for one in findings.overtaken)
    if (takes or meets) and not is_agreed:
        output.confirm(f"In the database {db.name}: {changes}", otherwise="give -y to say yes")


def foreign(findings: Survey, db: Database) -> str:
    """Return why the file does not seem to belong to the database."""
    return (
        f"the database {db.name} never had {findings.unknown:,} of the "
        f"{pluralize(findings.referenced, 'label')} that the file replaces or deletes"
    )


def check_replaced(wishes: Wishes, db: Database) -> None:
    """Each correction is of the same picture as the label that it replaces. Raises: InputError."""
    pairs = [(one, old) for one in wishes.add if (old := edits.replaced_fingerprint(one.document))]
    ids = {one.fingerprint: one.img_id for one in wishes.add}
    ids |= {old: one.img_id for old, one in db.index.find({old for _, old in pairs}).items()}
    for one, old in pairs:
        if ids.get(old, one.img_id) != one.img_id:
            raise InputError(
                f"entry {one.img_id!r}: replaces {old}, which is a label of {ids[old]!r}; "
                "it may only replace one of its own picture"
            )


def chosen_again(wishes: Wishes, db: Database) -> Wishes:
    """The wishes, with corrections back to a label that a correction had replaced before.

    Such a label is gone, and comes back when the one that it replaces now is in the index; an old
    file that is applied once more finds that one gone, and brings nothing back.
    """
    gone = db.index.find_tombstones([entry.fingerprint for entry in wishes.add])
    old = [edits.replaced_fingerprint(entry.document) or "" for entry in wishes.add]
    there = db.index.find(old)
    add = [
        replace(entry, restore=gone[entry.fingerprint].reason == "replaced")
        if entry.fingerprint in gone and replaced in there
        else entry
        for entry, replaced in zip(wishes.add, old, strict=True)
    ]
    return replace(wishes, add=add)


def rehearse(wishes: Wishes, db: Database) -> Outcome:
    """What `apply` would do; nothing changes."""
    added = list(upload(wishes.add, db.index, db.store, dry_run=True))
    kept = {one.key for one in added if one.status in ("created", "existing")}
    out = [*wishes.replaced(added), *wishes.delete]
    planned = {one.fingerprint: one for one in plan(out, db.index, db.store, kept=kept)}
    return Outcome(
        added,
        [planned[one.fingerprint] for one in wishes.replaced(added)],
        [planned[one.fingerprint] for one in wishes.delete],
    )


def apply(wishes: Wishes, db: Database) -> Outcome:
    """First adds, then replaces, then deletes."""
    done = Outcome()
    adding = upload(wishes.add, db.index, db.store)
    done.added = list(
        output.progress_bar(adding, total=len(wishes.add), description="adding", unit="label")
    )
    by = process.login_name()
    # D8: only what has its correction in the index is replaced
    replaced = wishes.replaced(done.added)
    replacing = delete(replaced, db.index, db.store, reason="replaced", removed_by=by)
    done.replaced = list(
        output.progress_bar(
            replacing,
            total=len({one.fingerprint for one in replaced}),
            description="replacing",
            unit="label",
        )
    )
    deleting = delete(wishes.delete, db.index, db.store, reason="deleted", removed_by=by)
    done.deleted = list(
        output.progress_bar(
            deleting, total=len(wishes.delete), description="deleting", unit="label"
        )
    )
    return done


def report(outcome: Outcome, findings: Survey, *, would: str) -> int:
    """Says what was done; returns the exit code."""
    counts = outcome.counts
    output.print_message(in_words(counts, would))
    if counts.absent:
        never = min(findings.unknown, counts.absent)
        output.print_message(
            f"absent: {pluralize(counts.absent, 'label')} to replace or delete (never in this "
            f"database: {never:,}; replaced or deleted before: {counts.absent - never:,})"
        )
    if counts.gone:
        output.print_message(
            f"corrected or deleted before, and left so: {pluralize(counts.gone, 'label')}"
        )
    output.write_json(asdict(counts))
    return output.print_failures(outcome.failures)


def in_words(counts: Counts, would: str) -> str:
    """The counts as a sentence."""
    return (
        f"{pluralize(counts.created, 'label')} {would}added, {counts.replaced:,} {would}replaced, "
        f"{counts.deleted:,} {would}deleted with {pluralize(counts.pictures_deleted, 'picture')}"
    )


if __name__ == "__main__":
    raise SystemExit(process.run(main))
