"""Uploading recordings."""

import argparse
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from pathlib import Path

from common.batching import batches
from common.errors import InputError
from get_data.cli import exit_codes, files, output
from get_data.cli.output import pluralize
from get_data.database.connection import Database, IndexUpdate, open_database, update_index
from get_data.database.entries import Entry, EntryFile, check_folder
from get_data.database.interfaces import Failed
from get_data.database.upload import UploadOutcome, upload
from get_data.labels import edits


def run(args: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit code."""
    if args.update_index:
        return report_update(update_index(dry_run=args.dry_run), dry_run=args.dry_run)

    if args.pictures:
        check_folder(args.pictures)
    for argument in args.labels:  # all of them before the first is repaired
        files.check_label_file(argument)
    recordings = Recordings([read(argument, args) for argument in args.labels])
    marked = [entry for recording in recordings.files for entry in recording.left_out]
    check_pictures(recordings.files, new_index=args.new_index)
    check_marked(marked, new_index=args.new_index)

    used = [] if args.dry_run else [recording.folder for recording in recordings.files if recording]
    tally = Tally(recordings.repeated)
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
            recordings,
            db.index,
            db.store,
            repeated=recordings.repeated,
            dry_run=args.dry_run,
            verify=args.verify,
            compare=True,
        )
        for result in output.progress_bar(
            results, total=len(recordings), description="uploading", unit="label"
        ):
            tally.add(result)

    return report(tally, marked=len(marked), dry_run=args.dry_run)


class Recordings:
    """The entries of several label files; `repeated` are the picture ids in more than one."""

    def __init__(self, recordings: Sequence[EntryFile]) -> None:
        self.files = recordings
        self.repeated: set[str] = set()
        for first, second in combinations(recordings, 2):
            self.repeated |= first.ids.common(second.ids)

    def __iter__(self) -> Iterator[Entry]:
        return chain.from_iterable(self.files)

    def __len__(self) -> int:
        """Return the number of labels, of which some may be equal."""
        return sum(map(len, self.files))


@dataclass(slots=True)
class Tally:
    """The outcomes of an upload, counted; `repeated` are picture ids that several labels have."""

    repeated: Collection[str]
    statuses: Counter[str] = field(default_factory=Counter)
    pictures: int = 0  # sent
    replaced: int = 0  # sent although their label was there
    differing: int = 0
    amendable: int = 0  # of them
    fields: Counter[str] = field(default_factory=Counter)  # in which they differ
    failures: list[Failed] = field(default_factory=list)
    _keys: set[str] = field(default_factory=set)

    def add(self, outcome: UploadOutcome) -> None:
        """Count an outcome."""
        self.statuses[outcome.status] += 1
        if outcome.status == "failed":
            self.failures.append(Failed(outcome.img_id, outcome.reason))
        if outcome.picture_sent and outcome.key not in self._keys:
            self.pictures += 1
            self.replaced += outcome.status == "existing"
            if outcome.img_id in self.repeated:
                self._keys.add(outcome.key)
        if outcome.difference:
            self.differing += 1
            if not outcome.difference.is_overtaken:
                self.amendable += 1
                self.fields.update(outcome.difference.fields)


def read(argument: Path, args: argparse.Namespace) -> EntryFile:
    """Return the labels to upload, with the paths of their pictures.

    Left out are records that were deleted in another tool, before their drive was imported.

    Raises:
        InputError: the file cannot be read, or has corrections or deletions.
    """

    def is_uploaded(entry: Entry) -> bool:
        is_marked = edits.is_marked_for_deletion(entry.document)
        if edits.replaced_fingerprint(entry.document) or (
            is_marked and not edits.is_imported(entry.document)
        ):
            raise InputError(
                f"{labels}, entry {entry.img_id!r}: is a correction or a deletion; "
                "apply this file with upload_to_db.py"
            )
        return not is_marked

    labels, documents = files.find_labels(argument, repair=not args.dry_run)
    return EntryFile(labels, args.pictures, documents, restore=args.restore, select=is_uploaded)


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


def check_pictures(recordings: Iterable[EntryFile], *, new_index: bool) -> None:
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
                    f"{entries.folder} has none of the pictures to upload, and the "
                    f"database lacks {pluralize(unknown, 'label')} of them; give the folder of the "
                    "pictures with -p"
                )


def count_unknown(entries: Iterable[Entry], db: Database) -> int:
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


def report(tally: Tally, *, marked: int, dry_run: bool) -> int:
    """Print what was done and return the exit code."""
    counts = tally.statuses
    output.print_message(summary(counts, tally.pictures, dry_run=dry_run))
    if tally.replaced:
        verb = "Would replace" if dry_run else "Replaced"
        damaged = pluralize(tally.replaced, "picture")
        output.print_message(f"{verb} {damaged} lost or damaged in the database")
    if counts["tombstoned"]:
        skipped = pluralize(counts["tombstoned"], "label")
        output.print_message(
            f"Left out {skipped} corrected or deleted in the database; --restore brings them back"
        )
    if marked:
        skipped = pluralize(marked, "label")
        output.print_message(f"Left out {skipped} marked for deletion")
    if tally.amendable:
        fields = ", ".join(name for name, _ in tally.fields.most_common())
        output.print_message(
            f"{tally.amendable:,} differ from the database in: {fields}; "
            "apply them with upload_to_db.py"
        )
    if amended := tally.differing - tally.amendable:
        output.print_message(
            f"{pluralize(amended, 'label')} amended in the database since this file was made; "
            "they stay as amended"
        )
    output.write_json(
        {
            "created": counts["created"],
            "there": counts["existing"],
            "gone": counts["tombstoned"],
            "differing": tally.differing,
            "failed": counts["failed"],
            "pictures_sent": tally.pictures,
        }
    )
    return output.report_failures(tally.failures)


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
