"""Removing pictures from this machine that the database has."""

import argparse
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from common import links
from common.atomic_files import sync_folder
from common.errors import (
    InputError,
    RecordingFailed,
    StillRecording,
    ToolkitError,
    WriteFailed,
)
from get_data.cli import files, output
from get_data.cli.output import pluralize
from get_data.database.connection import Database, open_database
from get_data.database.free import free
from get_data.database.interfaces import Failed
from get_data.labelizer.unexported import find_unexported
from get_data.labelizer.work_database import WorkFileInUse
from get_data.labels import label_file
from get_data.labels.local_pictures import (
    KeptReason,
    LocalPicture,
    list_pictures,
    read_label_files,
)
from get_data.recording import journal, merge

KEPT: dict[KeptReason, str] = {
    "not_uploaded": "not in the database; upload them with upload_data.py",
    "not_applied": "corrected here and not in the database; export, and apply with upload_to_db.py",
    "deleted": "deleted from the database; delete the files by hand if nobody needs them",
    "other_picture": "the database has another picture of this id; upload_data.py lists them",
    "not_stored": "lost or damaged in the picture store; repair it with upload_data.py --verify",
    "not_as_recorded": "not the picture that the label describes; upload_data.py lists them",
    "linked": "links, or linked from elsewhere: removing them would free nothing",
}


@dataclass(slots=True)
class Totals:
    """What was removed, or would be. `needed_bytes` are still to be freed, by disk."""

    needed_bytes: dict[int, int]
    freed: int = 0
    freed_bytes: int = 0
    absent: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    skipped: list[str] = field(default_factory=list)
    failures: list[Failed] = field(default_factory=list)

    @property
    def is_enough(self) -> bool:
        """Whether the share is free on every disk."""
        return all(needed <= 0 for needed in self.needed_bytes.values())


def run(args: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit code."""
    folders = sort_folders(args.folders)
    needed_bytes = measure(folders, args.until)
    with open_database() as db:
        output.print_database(db.name, db.notice, db.index.missing_part(tombstones=True))
        if args.dry_run or not args.yes:
            totals = free_folders(folders, db, dict(needed_bytes), args, dry_run=True)
        if not args.dry_run:
            if not args.yes and totals.freed:
                ask(totals, db)
            if args.yes or totals.freed:
                totals = free_folders(folders, db, dict(needed_bytes), args, dry_run=False)
                totals.needed_bytes = measure(folders, args.until)

    return report(totals, args.until, dry_run=args.dry_run)


def sort_folders(given: Sequence[Path]) -> list[Path]:
    """Return the folders, each once, the one with the oldest picture first.

    Raises:
        InputError: one is no folder of labels, or nothing may be removed there.
    """
    oldest: dict[Path, str] = {}
    for argument in given:
        try:
            folder = argument.resolve()
            check_folder(folder, argument)
            oldest[folder] = find_oldest(folder)
        except OSError as error:
            raise InputError(f"{argument} cannot be read: {error.strerror}") from error
    return sorted(oldest, key=lambda folder: oldest[folder])


def check_folder(folder: Path, argument: Path) -> None:
    """Check that pictures may be removed from a folder.

    Raises:
        InputError: it is no folder of labels, or nothing may be removed there.
        OSError: it cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{argument} is not a folder; give a folder of pictures")
    files.check_outside_database(folder)
    names = (journal.NAME, label_file.NAME)
    if not any(links.lexists(folder / name) for name in names):
        raise InputError(f"{argument} has no labels.json; give a folder of labels")
    # where there are no locks, nothing may be removed at all
    with suppress(StillRecording), journal.removal_lock(folder):
        pass


def find_oldest(folder: Path) -> str:
    """Return the id of the oldest picture; "~", after all ids, if the labels cannot be read."""
    try:
        return min((img_id for img_id, _ in journal.iter_labels(folder)), default="~")
    except (InputError, RecordingFailed):  # reported when it is this folder's turn
        return "~"


def measure(folders: Sequence[Path], share: float) -> dict[int, int]:
    """Return how many bytes are to be freed on each disk."""
    needed: dict[int, int] = {}
    for folder in folders:
        usage = shutil.disk_usage(folder)
        needed[folder.stat().st_dev] = round(share * usage.total) - usage.free
    return needed


def free_folders(
    folders: Sequence[Path],
    db: Database,
    needed_bytes: dict[int, int],
    args: argparse.Namespace,
    *,
    dry_run: bool,
) -> Totals:
    """Remove pictures, folder by folder, until enough is free; with `dry_run` count them."""
    totals = Totals(needed_bytes)
    for folder in folders:
        disk = folder.stat().st_dev
        if needed_bytes[disk] <= 0:
            continue
        try:
            # D25: no recording, repair, upload or correction uses the pictures meanwhile
            with journal.removal_lock(folder):
                pictures = read_folder(folder, repair=not args.dry_run)
                if not dry_run:
                    # R15: a journal that a power cut brought back would miss the pictures
                    sync_folder(folder)
                free_pictures(pictures, db, totals, disk, dry_run=dry_run)
        except (StillRecording, WorkFileInUse, Unrepaired) as error:
            totals.skipped.append(str(error))
        except (InputError, RecordingFailed, WriteFailed) as error:
            totals.failures.append(Failed(str(folder), str(error)))
        except OSError as error:
            totals.failures.append(Failed(str(folder), f"cannot be read: {error.strerror}"))
    return totals


class Unrepaired(ToolkitError):
    """An interrupted recording that a dry run leaves as it is."""


def read_folder(folder: Path, *, repair: bool) -> list[LocalPicture]:
    """Return the pictures of a folder whose lock is held, the oldest first.

    Raises:
        InputError: a label file or a work file of the labelizer cannot be read.
        WorkFileInUse: a labelizer is at work in the folder.
        WriteFailed, RecordingFailed: an interrupted recording cannot be repaired.
        Unrepaired: it is not to be.
    """
    if links.lexists(folder / journal.NAME) and not repair:
        raise Unrepaired(f"{folder} has an interrupted recording, which a dry run does not repair")
    files.print_repair(folder, merge.repair_locked(folder))
    labels = read_label_files(folder)
    undecided = find_unexported(folder, labels.values())
    return list_pictures(folder, labels, undecided=undecided)


def free_pictures(
    pictures: Sequence[LocalPicture], db: Database, totals: Totals, disk: int, *, dry_run: bool
) -> None:
    """Remove pictures of one folder until enough is free on its disk; add to the totals."""
    needed = totals.needed_bytes[disk]
    results = free(pictures, db.index, db.store, needed_bytes=needed, dry_run=dry_run)
    description = "checking" if dry_run else "removing"
    for outcome in output.progress_bar(
        results, total=len(pictures), description=description, unit="picture"
    ):
        match outcome.status:
            case "freed":
                totals.freed += 1
                totals.freed_bytes += outcome.size
                totals.needed_bytes[disk] -= outcome.size
            case "kept":
                totals.kept[str(outcome.kept)] += 1
            case "absent":
                totals.absent += 1
            case "failed":
                totals.failures.append(Failed(outcome.img_id, outcome.reason))


def ask(totals: Totals, db: Database) -> None:
    """Ask before anything is removed.

    Raises:
        Declined: the answer was no, or there is no terminal.
    """
    what = f"{describe(totals)} from this machine, all in the database {db.name}"
    output.confirm(
        f"Remove {what}. Continue?",
        without_terminal=f"confirmation needed: run with -y (would remove {what})",
    )


def describe(totals: Totals) -> str:
    """Return what is removed as a phrase: "602 pictures (4.9 MB)"."""
    return f"{pluralize(totals.freed, 'picture')} ({output.format_size(totals.freed_bytes)})"


def print_kept(totals: Totals) -> None:
    """Print how many pictures stay, by reason, and which folders were left out."""
    for reason, text in KEPT.items():
        if count := totals.kept[reason]:
            output.print_message(f"kept: {pluralize(count, 'picture')}: {text}")
    for message in totals.skipped:
        output.print_message(f"skipped: {message}")


def report(totals: Totals, share: float, *, dry_run: bool) -> int:
    """Print what was done, or would be, and return the exit code."""
    print_kept(totals)
    output.print_message(f"{'Would remove' if dry_run else 'Removed'} {describe(totals)}")
    amount = f"{100 * share:g}% of the disk"
    if totals.is_enough:
        output.print_message(
            f"{'Would be enough' if dry_run else 'Enough'}: at least {amount} "
            f"{'would be' if dry_run else 'is'} free"
        )
    elif share < 1:  # 100% asks for all that may go, and is never reached
        output.print_message(f"warning: less than {amount} {'would be' if dry_run else 'is'} free")
    output.write_json(
        {
            "freed": totals.freed,
            "freed_bytes": totals.freed_bytes,
            "absent": totals.absent,
            "kept": {reason: totals.kept[reason] for reason in KEPT},
            "skipped": len(totals.skipped),
            "enough": totals.is_enough,
            "failed": len(totals.failures),
        }
    )
    return output.report_failures(totals.failures)
