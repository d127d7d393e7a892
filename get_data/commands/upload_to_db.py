"""Applying a corrected label file."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace

from get_data.cli import files, output, people
from get_data.cli.output import pluralize
from get_data.database.amend import Amendment
from get_data.database.changes import Changes, Counts, Outcome, sort_entries
from get_data.database.connection import Database, open_database
from get_data.database.corrections import CorrectionCheck, Overtaken, check_corrections
from get_data.database.entries import read_entries
from get_data.labels.differences import field_counts

VERBS = ("add", "amend", "correct", "delete", "change nothing")
DONE_VERBS = ("added", "amended", "corrected", "deleted", "changed nothing")
WRONG_DATABASE_REMEDY = (
    "choose another database with PATATE_HOME or the variables of a team's database; if it is the "
    "right one, upload the recording first with upload_data.py"
)


def run(args: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit code."""
    changes = read_changes(args)
    with open_database(writing=not args.dry_run) as db:
        output.print_database(db.name, db.notice)
        changes.check_same_picture(db.index)
        changes = changes.restoring_replaced(db.index)
        changes = changes.compared(db.index)
        findings = check_corrections(changes.add, changes.delete, db.index)
        overtaken = [*findings.overtaken, *changes.overtaken_by_amendments()]
        findings = replace(findings, overtaken=overtaken)
        if args.skip_overtaken:
            changes = changes.without(overtaken)
        planned = changes.plan(db.index, db.store)
        print_overtaken(overtaken, skipped=args.skip_overtaken)
        print_fields(changes.amendable(planned.added))
        if args.dry_run:
            if findings.is_foreign:
                output.print_message(f"warning: {mismatch(findings, db)}; {WRONG_DATABASE_REMEDY}")
            return report(planned, findings, dry_run=True)
        ask(planned.counts, findings, db, is_agreed=args.yes, skipped=args.skip_overtaken)

        with files.pictures_in_use(entry.picture.parent for entry in changes.add):
            outcome = changes.apply(
                db.index, db.store, by=people.login_name(), progress=output.progress_bar
            )

    return report(outcome, findings, dry_run=False)


def read_changes(args: argparse.Namespace) -> Changes:
    """Read the changes from the label file.

    Raises:
        InputError: there is no label file, or it has an invalid label.
    """
    labels, documents = files.read_labels(args.labels, repair=not args.dry_run)
    entries = read_entries(labels, args.pictures, documents)
    return sort_entries(entries, keep_replaced=args.keep_replaced)


def print_overtaken(overtaken: Sequence[Overtaken], *, skipped: bool) -> None:
    """Print who has corrected or deleted the same pictures meanwhile, and what follows from it."""
    yours = "your corrections are skipped" if skipped else "{}; --skip-overtaken skips yours"
    for status, subject, consequence in (
        ("corrected", "Corrected", yours.format("both labels stay, the newer counts")),
        ("deleted", "Deleted", yours.format("your corrections restore them")),
        ("amended", "Amended", yours.format("your corrections take the place of their labels")),
        ("outdated", "Amended", "they stay as they are: fetch again to edit what is there now"),
        ("kept", "To delete, but corrected", "they stay, with the new labels"),
    ):
        labels = [label for label in overtaken if label.status == status]
        if labels:
            names = sorted({label.changed_by for label in labels} - {""})
            by = ", ".join(names) or "somebody"
            pictures = pluralize(len(labels), "picture")
            output.print_message(f"{subject} meanwhile by {by}: {pictures}; {consequence}")


def print_fields(amendments: Sequence[Amendment]) -> None:
    """Print in which fields labels differ from those in the database."""
    if amendments:
        by_field = field_counts(change.difference for change in amendments)
        counts = ", ".join(f"{name}: {count:,}" for name, count in by_field.items())
        labels = pluralize(len(amendments), "label")
        output.print_message(f"To amend, {labels} by field: {counts}")


def ask(
    counts: Counts, findings: CorrectionCheck, db: Database, *, is_agreed: bool, skipped: bool
) -> None:
    """Ask before labels are changed or deleted; for a foreign file, ask even if `is_agreed`.

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
    removes = counts.deleted or counts.replaced or counts.amended or counts.pictures_deleted
    is_overtaken = not skipped and any(
        label.status not in ("kept", "outdated") for label in findings.overtaken
    )
    if (removes or is_overtaken) and not is_agreed:
        output.confirm(
            f"In the database {db.name}: {changes}. Continue?",
            without_terminal=f"confirmation needed to change the database {db.name}: run with -y "
            f"(would {changes})",
        )


def mismatch(findings: CorrectionCheck, db: Database) -> str:
    """Return why the file seems to belong to another database."""
    return (
        f"the database {db.name} never had {findings.unknown:,} of the "
        f"{pluralize(findings.referenced, 'label')} that the file replaces or deletes"
    )


def report(outcome: Outcome, findings: CorrectionCheck, *, dry_run: bool) -> int:
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
    return output.report_failures(outcome.failures)


def describe(counts: Counts, *, done: bool) -> str:
    """Return the changes as a phrase: "correct 220 labels, delete 21 labels and 21 pictures"."""
    add, amend, correct, remove_, nothing = DONE_VERBS if done else VERBS
    new = counts.created - counts.replaced
    phrases = [
        f"{verb} {' and '.join(pluralize(count, noun) for count, noun in items if count > 0)}"
        for verb, items in (
            (add, [(new, "label")]),
            (amend, [(counts.amended, "label")]),
            (correct, [(counts.replaced, "label")]),
            (remove_, [(counts.deleted, "label"), (counts.pictures_deleted, "picture")]),
        )
        if any(count > 0 for count, _ in items)
    ]
    return ", ".join(phrases) or nothing
