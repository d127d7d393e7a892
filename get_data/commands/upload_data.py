"""Uploading recordings."""

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from common.batching import batches
from common.errors import InputError
from get_data.cli import exit_codes, files, output
from get_data.cli.output import pluralize
from get_data.database.connection import Database, IndexUpdate, open_database, update_index
from get_data.database.interfaces import Failed
from get_data.database.upload import Entry, UploadOutcome, read_entries, upload
from get_data.labels import edits
from get_data.labels.differences import field_counts


def run(args: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit code."""
    if args.update_index:
        return report_update(update_index(dry_run=args.dry_run), dry_run=args.dry_run)

    recordings, marked = [], list[Entry]()
    for argument in args.labels:
        recording, left_out = read(argument, args)
        recordings.append(recording)
        marked += left_out
    entries = [entry for recording in recordings for entry in recording]
    check_pictures(recordings, new_index=args.new_index)
    check_marked(marked, new_index=args.new_index)

    used = [] if args.dry_run else [entry.picture.parent for entry in entries]
    with (
        files.pictures_in_use(used),
        open_database(
            writing=not args.dry_run,
            create_bucket=args.create_bucket and not args.dry_run,
            new_index=args.new_index,
        ) as db,
    ):
        output.print_database(db.name, db.notice)
        results = upload(
            entries, db.index, db.store, dry_run=args.dry_run, verify=args.verify, compare=True
        )
        total = len({entry.fingerprint for entry in entries})
        done = list(
            output.progress_bar(results, total=total, description="uploading", unit="label")
        )

    return report(done, marked=len(marked), dry_run=args.dry_run)


def read(argument: Path, args: argparse.Namespace) -> tuple[list[Entry], list[Entry]]:
    """Return the labels to upload, with the paths of their pictures, and those to leave out.

    Those are records that were deleted in another tool, before their drive was imported.

    Raises:
        InputError: the file cannot be read, or has corrections or deletions.
    """
    labels, documents = files.read_labels(argument, repair=not args.dry_run)
    entries = read_entries(labels, args.pictures, documents, restore=args.restore)
    uploaded, marked = list[Entry](), list[Entry]()
    for entry in entries:
        is_marked = edits.is_marked_for_deletion(entry.document)
        if edits.replaced_fingerprint(entry.document) or (
            is_marked and not edits.is_imported(entry.document)
        ):
            raise InputError(
                f"{labels}, entry {entry.img_id!r}: is a correction or a deletion; "
                "apply this file with upload_to_db.py"
            )
        (marked if is_marked else uploaded).append(entry)
    return uploaded, marked


def check_marked(marked: Sequence[Entry], *, new_index: bool) -> None:
    """Check that the database has none of the labels that are marked for deletion.

    Raises:
        InputError: it has one, so the file asks for a deletion.
    """
    if not marked:
        return
    with open_database(new_index=new_index) as db:  # for reading: nothing is created
        for batch in batches(marked):
            known = db.index.find({entry.fingerprint for entry in batch})
            for entry in batch:
                if entry.fingerprint in known:
                    raise InputError(
                        f"{entry.picture.parent}, entry {entry.img_id!r}: is a deletion of a label "
                        "that the database has; apply this file with upload_to_db.py"
                    )


def check_pictures(recordings: Iterable[Sequence[Entry]], *, new_index: bool) -> None:
    """Check that the database knows recordings without pictures, as free_space.py leaves them.

    Raises:
        InputError: it does not: most likely the pictures are in another folder.
    """
    without = [
        entries
        for entries in recordings
        if entries and not any(files.exists(entry.picture) for entry in entries)
    ]
    if not without:
        return
    with open_database(new_index=new_index) as db:  # for reading: nothing is created
        for entries in without:
            if unknown := count_unknown(entries, db):
                raise InputError(
                    f"{entries[0].picture.parent} has none of the pictures to upload, and the "
                    f"database lacks {pluralize(unknown, 'label')} of them; give the folder of the "
                    "pictures with -p"
                )


def count_unknown(entries: Sequence[Entry], db: Database) -> int:
    """Return how many labels have no label, no tombstone and no picture in the database."""
    unknown = 0
    for batch in batches(entries):
        keys = {entry.fingerprint: entry.label.s3_key for entry in batch}
        names = keys.keys() - db.index.find(keys).keys()
        names -= db.index.find_tombstones(names).keys()
        # where an index was lost, the store still has the pictures
        stored = db.store.sizes({keys[name] for name in names} - {""})
        unknown += sum(keys[name] not in stored for name in names)
    return unknown


def report_update(update: IndexUpdate, *, dry_run: bool) -> int:
    """Print the changes of the index and return the exit code."""
    output.print_database(update.name, "")
    for change in update.changes:
        output.print_verbatim(change)
    if not update.changes:
        output.print_message("Up to date: the index has all fields.")
    elif not dry_run:
        output.print_message("Updated; labels and pictures are unchanged.")
    output.write_json({"changes": update.changes})
    return exit_codes.DONE


def report(results: Sequence[UploadOutcome], *, marked: int, dry_run: bool) -> int:
    """Print what was done and return the exit code."""
    counts: Counter[str] = Counter(result.status for result in results)
    pictures = len({result.key for result in results if result.picture_sent})
    replaced = len(
        {result.key for result in results if result.status == "existing" and result.picture_sent}
    )
    output.print_message(summary(counts, pictures, dry_run=dry_run))
    if replaced:
        verb = "Would replace" if dry_run else "Replaced"
        damaged = pluralize(replaced, "picture")
        output.print_message(f"{verb} {damaged} lost or damaged in the database")
    if counts["tombstoned"]:
        skipped = pluralize(counts["tombstoned"], "label")
        output.print_message(
            f"Left out {skipped} corrected or deleted in the database; --restore brings them back"
        )
    if marked:
        skipped = pluralize(marked, "label")
        output.print_message(f"Left out {skipped} marked for deletion")
    differing = [result.difference for result in results if result.difference]
    amendable = [difference for difference in differing if not difference.is_overtaken]
    if amendable:
        fields = ", ".join(field_counts(amendable))
        output.print_message(
            f"{len(amendable):,} differ from the database in: {fields}; "
            "apply them with upload_to_db.py"
        )
    if amended := len(differing) - len(amendable):
        output.print_message(
            f"{pluralize(amended, 'label')} amended in the database since this file was made; "
            "they stay as amended"
        )
    failures = [
        Failed(result.img_id, result.reason) for result in results if result.status == "failed"
    ]
    output.write_json(
        {
            "created": counts["created"],
            "there": counts["existing"],
            "gone": counts["tombstoned"],
            "differing": len(differing),
            "failed": counts["failed"],
            "pictures_sent": pictures,
        }
    )
    return output.report_failures(failures)


def summary(counts: Mapping[str, int], pictures: int, *, dry_run: bool) -> str:
    """Return the outcome of the upload in one line."""
    created, there = counts["created"], counts["existing"]
    if there and not (created or pictures or counts["tombstoned"] or counts["failed"]):
        labels = f"all {there:,} labels are" if there > 1 else "the label is"
        return f"Up to date: {labels} in the database."
    verb = "Would upload" if dry_run else "Uploaded"
    return (
        f"{verb} {pluralize(created, 'label')} and {pluralize(pictures, 'picture')}; "
        f"{there:,} already in the database"
    )
