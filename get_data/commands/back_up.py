"""Backing up the database, and restoring it."""

import argparse
from pathlib import Path

from common.errors import InputError
from get_data.cli import exit_codes, files, output
from get_data.cli.output import pluralize
from get_data.database.backup.folder import NAME, BackupFolder, Manifest
from get_data.database.backup.restore import RestoreCounts, plan, restore
from get_data.database.backup.save import BackupOutcome, Contents, read_database, save
from get_data.database.connection import Database, nothing_uploaded, open_database
from get_data.database.search.search_query import SearchQuery


def run(args: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit code."""
    folder = BackupFolder(args.folder)
    if args.restore:
        return restore_backup(folder, args)
    return make_backup(folder, verify=args.verify)


def make_backup(folder: BackupFolder, *, verify: bool) -> int:
    """Back up the database and return the exit code."""
    check_place(folder.path)
    with open_database() as db:
        output.print_database(db.name, db.notice)
        missing = db.index.missing_part(tombstones=False)
        if missing and not files.exists(folder.path / NAME):
            raise nothing_uploaded(f"there is no {missing}")
        create_folder(folder.path)  # only now, for a database that exists
        with folder.locked():
            earlier = folder.read_manifest()
            with read_database(
                db.index, db.store, folder, earlier, progress=output.progress_bar
            ) as snapshot:
                contents = snapshot.count()
                if earlier:
                    check_same_database(contents, earlier, folder, db)
                outcome = save(
                    snapshot,
                    folder,
                    db.store,
                    database=db.name,
                    total=contents.pictures,
                    verify=verify,
                    progress=output.progress_bar,
                )
    return report_backup(outcome, folder)


def check_place(folder: Path) -> None:
    """Check that there may be a backup at this place.

    Raises:
        InputError: it is no folder and cannot become one, has a reserved name, or is inside the
            database.
    """
    files.check_outside_database(folder)
    files.check_folder_name(folder)
    if not folder.parent.is_dir():  # not created: a disk that is not mounted has no folders
        raise InputError(f"{folder.parent} is not a folder; is the disk mounted?")
    if files.exists(folder) and not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name another place")


def create_folder(folder: Path) -> None:
    """Create the folder unless it exists.

    Raises:
        InputError: it cannot be created.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be created: {error.strerror}") from error


def check_same_database(
    contents: Contents, earlier: Manifest, folder: BackupFolder, db: Database
) -> None:
    """Ask before a database is added to a backup that it has little in common with.

    Raises:
        Declined: the answer was no, or there is no terminal.
    """
    if 2 * contents.lost_labels <= contents.earlier_labels:
        return
    reason = (
        f"the database {db.name} lacks {contents.lost_labels:,} of the "
        f"{pluralize(contents.earlier_labels, 'label')} that {folder.path} has, a backup of "
        f"{earlier.database}"
    )
    output.confirm(
        f"{reason[0].upper()}{reason[1:]}. Keep these and add what it has?",
        without_terminal=f"confirmation needed: {reason}; if it has lost them, --restore brings "
        "them back; if it is another database, name another folder",
    )


def report_backup(outcome: BackupOutcome, folder: BackupFolder) -> int:
    """Print what the backup has and return the exit code."""
    contents = outcome.contents
    failures = outcome.failures + outcome.set_failures
    output.print_message(
        f"Backed up {pluralize(contents.labels, 'label')}, "
        f"{pluralize(contents.tombstones, 'tombstone')} and "
        f"{pluralize(contents.sets, 'frozen set')}; copied {outcome.copied:,} of "
        f"{pluralize(contents.pictures, 'picture')}"
    )
    is_lossy = bool(contents.lost_labels or contents.lost_tombstones or contents.lost_sets)
    if is_lossy:
        names = f" ({', '.join(outcome.lost_sets)})" if outcome.lost_sets else ""
        output.print_message(
            "warning: the database has lost or damaged "
            f"{pluralize(contents.lost_labels, 'label')}, "
            f"{pluralize(contents.lost_tombstones, 'tombstone')} and "
            f"{pluralize(contents.lost_sets, 'frozen set')}{names} that the backup has; bring them "
            f"back with back_up.py {folder.path} --restore"
        )
    output.write_json(
        {
            "labels": contents.labels,
            "tombstones": contents.tombstones,
            "sets": contents.sets,
            "pictures": contents.pictures - len({failed.img_id for failed in outcome.failures}),
            "pictures_copied": outcome.copied,
            "lost": contents.lost_labels + contents.lost_tombstones + contents.lost_sets,
            "failed": len(failures),
        }
    )
    code = output.report_failures(failures)
    return exit_codes.SOME_ITEMS_FAILED if is_lossy else code


def restore_backup(folder: BackupFolder, args: argparse.Namespace) -> int:
    """Restore the backup and return the exit code."""
    if not folder.path.is_dir():
        raise InputError(f"{folder.path} is not a folder")
    with folder.locked():
        manifest = folder.read_manifest()
        if manifest is None:
            raise InputError(f"{folder.path} has no backup: there is no {NAME}")
        with open_database(
            writing=not args.dry_run,
            create_bucket=args.create_bucket and not args.dry_run,
            new_index=True,
        ) as db:
            output.print_database(db.name, db.notice)
            counts = plan(folder, manifest, db.index, db.store, progress=output.progress_bar)
            if not args.dry_run:
                ask(counts, manifest, db, is_agreed=args.yes)
                counts = restore(folder, manifest, db.index, db.store, progress=output.progress_bar)
    return report_restore(counts, dry_run=args.dry_run)


def ask(counts: RestoreCounts, manifest: Manifest, db: Database, *, is_agreed: bool) -> None:
    """Ask before labels are restored; into a database of other labels, even if `is_agreed`.

    Raises:
        Declined: the answer was no, or there is no terminal.
    """
    if not (counts.created or counts.amended or counts.tombstones or counts.sets):
        return
    changes = describe(counts)
    source = f"from the backup of {manifest.database}, made {manifest.made_at}"
    others = 0 if counts.known else db.index.count(SearchQuery())
    if others:
        reason = (
            f"the database {db.name} has {pluralize(others, 'label')}, none of them in the backup"
        )
        output.confirm(
            f"{reason[0].upper()}{reason[1:]}. Restore {changes} {source}. Continue?",
            without_terminal=f"confirmation needed: {reason}; choose another database with "
            "PATATE_HOME or the variables of a team's database",
        )
    elif not is_agreed:
        output.confirm(
            f"In the database {db.name}: restore {changes} {source}. Continue?",
            without_terminal=f"confirmation needed to change the database {db.name}: run with -y "
            f"(would restore {changes})",
        )


def report_restore(counts: RestoreCounts, *, dry_run: bool) -> int:
    """Print what was restored, or would be, and return the exit code."""
    output.print_message(
        f"{'Would restore' if dry_run else 'Restored'} {describe(counts)}; "
        f"{counts.there:,} already in the database"
    )
    if counts.pictures_sent:
        output.print_message(f"Stored {pluralize(counts.pictures_sent, 'picture')}")
    if counts.differing:
        output.print_message(
            f"{pluralize(counts.differing, 'label')} changed in the database since; they stay"
        )
    if counts.undeleted:
        output.print_message(
            f"warning: {pluralize(counts.undeleted, 'label')} deleted or replaced before the "
            "backup are there again, uploaded since; if nobody wanted that, delete them with "
            "edit_labels.py --delete or the labelizer"
        )
    if counts.gone:
        output.print_message(
            f"Left out {pluralize(counts.gone, 'label')} corrected or deleted in the database "
            "since; what was deleted by mistake comes back with upload_data.py --restore on a "
            "folder that has it"
        )
    if counts.sets_gone:
        output.print_message(
            f"Left out {pluralize(len(counts.sets_gone), 'frozen set')} thrown away in the "
            f"database since: {', '.join(counts.sets_gone)}. To get one back, freeze a folder that "
            "has it with freeze_set.py NAME DIR; if none has, restore into an empty database "
            "(another PATATE_HOME), and fetch it there with search_and_download.py --set NAME -p "
            "DIR"
        )
    output.write_json(
        {
            "created": counts.created,
            "there": counts.there,
            "amended": counts.amended,
            "differing": counts.differing,
            "gone": counts.gone,
            "tombstones": counts.tombstones,
            "sets": counts.sets,
            "sets_gone": len(counts.sets_gone),
            "undeleted": counts.undeleted,
            "pictures_sent": counts.pictures_sent,
            "failed": len(counts.failures),
        }
    )
    return output.report_failures(counts.failures)


def describe(counts: RestoreCounts) -> str:
    """Return what is restored as a phrase: "1,204 labels, 2 amendments and 31 tombstones"."""
    phrases = [pluralize(counts.created, "label")]
    if counts.amended:
        phrases.append(pluralize(counts.amended, "amendment"))
    if counts.sets:
        phrases.append(pluralize(counts.sets, "frozen set"))
    return f"{', '.join(phrases)} and {pluralize(counts.tombstones, 'tombstone')}"
