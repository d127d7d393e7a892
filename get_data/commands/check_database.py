"""Comparing the database with itself, recordings and backups, and repairing it."""

import argparse
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeVar

from common.errors import InputError
from get_data.cli import exit_codes, files, output
from get_data.cli.output import pluralize
from get_data.database import check, repair
from get_data.database.backup import folder as backup_folder
from get_data.database.backup.folder import BackupFolder, Manifest
from get_data.database.connection import Database, open_database
from get_data.database.entries import Entry, read_entries
from get_data.database.local.picture_store import LocalPictureStore
from get_data.database.repair import Sources
from get_data.database.search.search_query import SearchQuery
from get_data.database.survey import KINDS, Difference, Kind, Survey, open_survey
from get_data.labels import edits, label_file

Item = TypeVar("Item")

_RESTORE = (
    "run with --repair and the folder of its recording or of a backup; if there is none, delete "
    "the label with edit_labels.py"
)
TITLES: Mapping[Kind, tuple[str, str]] = {
    "label_without_picture": (
        "label without picture",
        _RESTORE,
    ),
    "set_without_picture": (
        "frozen set without picture",
        "run with --repair and the folder of its recording or of a backup; if there is none, throw "
        "the set away with freeze_set.py",
    ),
    "damaged_set": (
        "damaged frozen set",
        "bring it back with back_up.py DIR --restore, freeze it again with freeze_set.py, or throw "
        "it away with freeze_set.py --delete",
    ),
    "picture_without_label": (
        "picture without label",
        "give the folder of its recording; without one, --repair deletes it after asking",
    ),
    "wrong_size": (
        "picture of a wrong size",
        _RESTORE,
    ),
    "wrong_content": (
        "damaged picture",
        _RESTORE,
    ),
    "not_uploaded": (
        "label that is not in the database",
        "run with --repair, or run upload_data.py on that folder",
    ),
    "unfinished_deletion": (
        "label that was deleted and is still there",
        "--repair completes its deletion after asking",
    ),
    "leftover": (
        "leftover of a killed program",
        "--repair removes it after asking, once its picture is safe",
    ),
    "wrong_key": (
        "picture key of another id or content",
        "--repair stores the picture under its own key",
    ),
}
"""Title and remedy of each kind of difference."""


def run(args: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit code."""
    backups = read_backups(args.folders)
    recordings = [folder for folder in args.folders if folder not in backups]
    is_changing = args.repair and not args.dry_run
    for folder in recordings:  # all of them before the first is repaired
        files.check_label_file(folder)

    with open_database(writing=is_changing) as db, open_survey() as survey:
        output.print_database(db.name, db.notice, db.index.missing_part(tombstones=False))
        read_recording = partial(read, repair_recording=is_changing)
        if is_changing:  # a searcher may not refresh: what it lists may be a second old
            db.index.refresh()
        for folder, manifest in backups.items():
            labels = BackupFolder(folder).labels(manifest)
            compared = check.compare_backup(labels, folder, survey, db.index)
            finish(compared, manifest.labels.count, f"comparing {folder.name}", "label")
        count_read = compare(survey, db, recordings, read_recording, args.read_data)
        found = survey.found()
        repaired = dict.fromkeys(found, 0)
        if args.repair and any(found.values()):
            sources = Sources(survey, db.store, list(map(LocalPictureStore, backups)))
            if args.dry_run:
                repaired = count_repairable(survey, sources)
            else:
                if not args.yes:
                    ask_before_deleting(survey, db)
                with files.pictures_in_use(map(files.folder_of, recordings)):
                    repair_all(survey, db, sources, read_recording, backups)
                repaired = survey.repaired()
        return report(survey, found, repaired, count_read=count_read, dry_run=args.dry_run)


def read_backups(folders: Iterable[Path]) -> dict[Path, Manifest]:
    """Return the folders that have a backup, with its manifest.

    Raises:
        InputError: the backup cannot be read, or its folder is one of labels as well.
    """
    backups: dict[Path, Manifest] = {}
    for folder in folders:
        if manifest := BackupFolder(folder).read_manifest():
            if files.exists(folder / label_file.NAME):
                raise InputError(
                    f"{folder} has both {backup_folder.NAME} and {label_file.NAME}; move the one "
                    "that does not belong there"
                )
            backups[folder] = manifest
    return backups


def read(folder: Path, *, repair_recording: bool) -> list[Entry]:
    """Return the labels of a recording.

    Raises:
        InputError: it cannot be read, or it is a file of corrections.
    """
    labels, documents = files.read_labels(folder, repair=repair_recording)
    entries = read_entries(labels, None, documents)
    for entry in entries:
        document = entry.document
        if edits.is_marked_for_deletion(document) or edits.replaced_fingerprint(document):
            raise InputError(
                f"{labels}, entry {entry.img_id!r}: is a correction or a deletion; "
                "apply this file with upload_to_db.py"
            )
    return entries


def compare(
    survey: Survey,
    db: Database,
    recordings: Sequence[Path],
    read_recording: Callable[[Path], Sequence[Entry]],
    read_share: float,
) -> int:
    """Add all differences to the survey, and return the number of pictures read."""
    for folder in recordings:
        entries = read_recording(folder)
        compared = check.compare_recording(entries, folder, survey, db.index)
        finish(compared, len(entries), f"comparing {folder.name}", "label")
    # labels come before pictures, so that an upload at work shows as pictures without labels,
    # which are told by their age
    labels = db.index.search(SearchQuery())
    with closing(labels):
        survey.add_labels(bar(labels, db.index.count(SearchQuery()), "listing labels", "label"))
    survey.add_tombstones(bar(db.index.all_tombstones(), None, "listing deletions", "label"))
    sets = bar(check.add_sets(survey, db.store), None, "listing frozen sets", "set")
    survey.sets = sum(1 for _ in sets)
    survey.add_pictures(bar(db.store.list_pictures(), None, "listing pictures", "picture"))
    survey.compare()
    check.add_leftovers(survey, db.store)
    look_again(survey, db)
    count_read = 0
    if read_share:
        count_read, keys = survey.sample_keys(read_share)
        reading = check.read_pictures(keys, survey, db.store)
        finish(reading, count_read, "reading pictures", "picture")
    if any(survey.found().values()):
        time.sleep(check.pause_s(survey, db.index))
        look_again(survey, db)
    return count_read


def look_again(
    survey: Survey, db: Database, *, kinds: Sequence[Kind] = KINDS, repaired: bool = False
) -> None:
    """Look at each difference again."""
    looks = check.look_again(survey, db.index, db.store, kinds=kinds, repaired=repaired)
    finish(looks, sum(survey.found().values()), "looking again", "difference")


def bar(items: Iterable[Item], total: int | None, description: str, unit: str) -> Iterable[Item]:
    """Return the items wrapped in a progress bar."""
    return output.progress_bar(items, total=total, description=description, unit=unit)


def finish(items: Iterable[object], total: int, description: str, unit: str) -> None:
    """Go through the items, with a progress bar."""
    for _ in bar(items, total, description, unit):
        pass


def count_repairable(survey: Survey, sources: Sources) -> dict[Kind, int]:
    """Return how many differences of each kind a repair would end."""
    total = sum(survey.found().values())
    repairable = bar(repair.find_repairable(survey, sources), total, "planning", "difference")
    counts = Counter(each.kind for each in repairable)
    return {kind: counts[kind] for kind in KINDS}


def ask_before_deleting(survey: Survey, db: Database) -> None:
    """Ask before anything is changed, if something is to be deleted.

    Raises:
        Declined: the answer was no, or there is no terminal.
    """
    found = survey.found()
    deletions = [
        (found["unfinished_deletion"], "label", "that somebody has deleted, with its picture"),
        (repair.count_removable(survey, db.store), "picture", "that no label names"),
        (found["leftover"], "file", "left by killed programs"),
    ]
    change = ", ".join(
        f"{pluralize(count, noun)} {rest}" for count, noun, rest in deletions if count
    )
    if change:
        output.confirm(
            f"In the database {db.name}: delete {change}. Continue?",
            without_terminal=f"confirmation needed to repair the database {db.name}: run with -y "
            f"(would delete {change})",
        )


def repair_all(
    survey: Survey,
    db: Database,
    sources: Sources,
    read_recording: Callable[[Path], Sequence[Entry]],
    backups: Collection[Path],
) -> None:
    """Repair what can be repaired, and mark it."""
    index, store = db.index, db.store
    found = survey.found()
    steps: list[tuple[str, Iterable[Difference]]] = [
        ("uploading", repair.upload_labels(survey, index, store, read_recording, backups)),
        ("completing deletions", repair.complete_deletions(survey, index, store)),
        ("restoring pictures", repair.restore_pictures(survey, index, store, sources)),
        ("moving pictures", repair.move_pictures(survey, index, store, sources)),
        ("deleting pictures", repair.remove_pictures(survey, index, store)),
        ("removing leftovers", repair.remove_leftovers(survey, index, store)),
    ]
    for description, step in steps:
        finish(step, sum(found.values()), description, "difference")
        # what a step repairs, the next ones leave alone: an upload gives pictures their labels
        look_again(survey, db, repaired=True)


def report(
    survey: Survey,
    found: Mapping[Kind, int],
    repaired: Mapping[Kind, int],
    *,
    count_read: int,
    dry_run: bool,
) -> int:
    """List the differences that remain, print the counts and return the exit code."""
    labels, pictures = survey.count("labels"), survey.count("pictures")
    tombstones = survey.count("tombstones")
    remaining = 0
    for batch in survey.differences():
        remaining += len(batch)
        for difference in batch:
            output.print_message(describe(difference))
    for kind, count in found.items():
        if count:
            title, _ = TITLES[kind]
            verb = "would be repaired" if dry_run else "repaired"
            output.print_message(f"{title}: {count:,} found, {repaired[kind]:,} {verb}")
    if survey.temporary:
        output.print_message(
            f"Other programs are at work, or were within the last hour: "
            f"{pluralize(survey.temporary, 'difference')} left to them; run again later"
        )
    output.print_message(
        f"Compared {pluralize(labels, 'label')}, {pluralize(tombstones, 'tombstone')}, "
        f"{pluralize(survey.sets, 'frozen set')} and {pluralize(pictures, 'picture')}, "
        f"{count_read:,} of them read: "
        + (f"{pluralize(remaining, 'difference')}" if remaining else "nothing is wrong")
    )
    output.write_json(
        {
            "labels": labels,
            "tombstones": tombstones,
            "sets": survey.sets,
            "pictures": pictures,
            "read": count_read,
            "found": found,
            "repaired": repaired,
            "temporary": survey.temporary,
        }
    )
    return exit_codes.SOME_ITEMS_FAILED if remaining else exit_codes.DONE


def describe(difference: Difference) -> str:
    """Return a difference and its remedy in one line."""
    title, remedy = TITLES[difference.kind]
    place = f" of {difference.place}" if difference.place else ""
    reason = f" ({difference.reason})" if difference.reason else ""
    return f"{title}: {difference.subject}{place}{reason}: {remedy}"
