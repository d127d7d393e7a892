"""Backups and restores, killed, onto full disks, and while others change the database."""

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import path
from get_data.database.local.documents import FILE_NAME
from get_data.labels import edits, label_file
from tests.conftest import START
from tests.soak.full_disk import (
    assert_reported_in_one_line,
    fill,
    free_space,
    random_size,
    small_disk,
)
from tests.soak.scripts import (
    APPLY,
    DOWNLOAD,
    UPLOAD,
    assert_no_temporary_file,
    contents,
    files,
    run,
    start,
    wait_for_end,
)
from tests.soak.trials import Outcome, Property
from tests.soak.uploads_and_downloads import (
    duration_of,
    kill_after,
    make_recording,
    mark_for_deletion,
)

BACK_UP = [str(path.ROOT / "get_data" / "back_up.py")]
EDIT = [str(path.ROOT / "get_data" / "edit_labels.py")]
RESTORE = ("--restore", "-y")


def corrections(drive: Path, target: Path, share: float, random: Random) -> Path:
    """Write a label file that corrects a random share of a recording."""
    labels = label_file.read(drive / label_file.NAME)
    corrected = {
        img_id: edits.corrected(label, created_by="Ada", direction=4, speed=1, created_on=START)
        for img_id, label in labels.items()
        if random.random() < share
    }
    label_file.write(target, corrected)
    return target


def make_database(folder: Path, home: Path, random: Random, count: int | None = None) -> Path:
    """Upload a recording; correct, delete and amend a third each. Return the recording."""
    drive = make_recording(folder / "drive", count)
    run(UPLOAD, drive, home=home)
    run(APPLY, corrections(drive, folder / "c.json", 0.3, random), "-p", drive, "-y", home=home)
    run(APPLY, mark_for_deletion(drive, folder / "d.json", 0.3, random), "-y", home=home)
    run(EDIT, "-q", '{"label.created_by": {"type": "term", "value": "auto"}}', "--set",
        "track=park", "-y", home=home)  # fmt: skip
    return drive


def everything(home: Path) -> tuple[list[tuple[object, ...]], dict[str, bytes]]:
    """Return all rows of labels and tombstones, read without our own code, and all files."""
    folder = home / "database"
    with sqlite3.connect(folder / FILE_NAME) as connection:
        labels = "SELECT fingerprint, document FROM labels ORDER BY fingerprint"
        rows = connection.execute(labels).fetchall()
        rows += connection.execute("SELECT * FROM gone ORDER BY fingerprint").fetchall()
    connection.close()
    names = files(folder)
    return rows, {name: data for name, data in names.items() if not name.startswith(FILE_NAME)}


def killed_backup(folder: Path, random: Random) -> Outcome:
    """Kill backups and restores at random moments, and run them again."""
    home, restored = folder / "home", folder / "restored"
    drive = make_database(folder, home, random)
    expected = everything(home)
    saving_s = duration_of(start(BACK_UP, folder / "clean", home=home))
    restoring_s = duration_of(start(BACK_UP, folder / "clean", *RESTORE, home=folder / "r"))
    backup = folder / "backup"
    kills = 0
    for options, place, work_s in (((), home, saving_s), (RESTORE, restored, restoring_s)):
        for _ in range(random.randint(1, 3)):
            process = start(BACK_UP, backup, *options, home=place)
            kills += kill_after(process, random.uniform(0, work_s))
        start_s = time.monotonic()
        run(BACK_UP, backup, *options, home=place)
        took_s = time.monotonic() - start_s
    assert_no_temporary_file(backup)
    assert everything(restored) == expected
    again = run(UPLOAD, drive, home=restored).counts
    assert (again["created"], again["pictures_sent"]) == (0, 0), again
    return Outcome(f"{kills} kills", took_s)


def full_disk(folder: Path, random: Random) -> Outcome:
    """Fill the disk of the backup, or of the database that is restored, meanwhile."""
    home, clean = folder / "home", folder / "clean"
    make_database(folder, home, random)
    run(BACK_UP, clean, home=home)
    restores = random.random() < 0.5
    with small_disk(folder) as disk:
        source, place = (clean, disk) if restores else (disk / "backup", home)
        fill(disk, leave=random_size(random, 4_000_000))
        ended = run(BACK_UP, source, *RESTORE * restores, home=place, codes=(0, 1, 2, 3))
        assert_reported_in_one_line(ended)
        free_space(disk)
        run(BACK_UP, source, *RESTORE * restores, home=place)
        if restores:
            assert everything(disk) == everything(home)
        else:
            run(BACK_UP, disk / "backup", *RESTORE, home=folder / "restored")
            assert everything(folder / "restored") == everything(home)
    return Outcome(f"{'restore' if restores else 'backup'}, exit code {ended.code}")


def changed_meanwhile(folder: Path, random: Random) -> Outcome:
    """Correct, delete, amend twice and back up at once; then restore that backup."""
    home = folder / "home"
    drive = make_recording(folder / "drive")
    run(UPLOAD, drive, home=home)
    run(DOWNLOAD, "-p", folder / "fetched", "--no-download", home=home)
    fetched = folder / "fetched"
    commands: list[tuple[list[str], Sequence[object]]] = [
        (APPLY, (corrections(fetched, folder / "c.json", 0.4, random), "-p", drive, "-y")),
        (APPLY, (mark_for_deletion(fetched, folder / "d.json", 0.4, random), "-y")),
        (EDIT, ("-q", "{}", "--set", "track=park", "-y")),
        (EDIT, ("-q", "{}", "--set", "track=hill", "-y")),
        (BACK_UP, (folder / "backup",)),
        (UPLOAD, (drive,)),
    ]
    random.shuffle(commands)
    processes = []
    for command, arguments in commands:
        processes.append((command, start(command, *arguments, home=home)))
        time.sleep(random.choice([0.0, random.uniform(0, 0.5)]))
    for _, process in processes:
        ended = wait_for_end(process)
        assert ended.code in (0, 1, 3), ended
    run(BACK_UP, folder / "backup", home=home)
    check_consistent(home)
    run(BACK_UP, folder / "backup", *RESTORE, home=folder / "restored")
    assert everything(folder / "restored") == everything(home)
    return Outcome("as left")


def check_consistent(home: Path) -> None:
    """Check that each label has its picture, each picture a label, and none a tombstone."""
    found = contents(home)
    for key, (labels, picture) in found.by_picture().items():
        assert labels, f"{key} has no label"
        assert picture is not None, f"{key} is missing"
    with sqlite3.connect(home / "database" / FILE_NAME) as connection:
        both = "SELECT count(*) FROM labels JOIN gone USING (fingerprint)"
        assert connection.execute(both).fetchone() == (0,)
    connection.close()


PROPERTIES = (
    Property(
        "killed_backups",
        "a backup and a restore, killed and run again, bring back all of a lost database",
        25,
        "s for the restore that completes it",
        killed_backup,
    ),
    Property(
        "full_disk_backups",
        "a backup or a restore onto a full disk reports it in one line and is completed later",
        30,
        "pictures lost",
        full_disk,
    ),
    Property(
        "changed_meanwhile",
        "whoever corrects, deletes, amends, uploads and backs up at once, labels and backup agree",
        20,
        "pictures lost",
        changed_meanwhile,
    ),
)
