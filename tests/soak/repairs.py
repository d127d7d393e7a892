"""Repairs of a damaged database, killed at random moments."""

import os
import sqlite3
import time
from pathlib import Path
from random import Random

import path
from get_data.database.delete import OLD_BACKUP_S
from get_data.database.local.documents import FILE_NAME
from tests.soak.backups import check_consistent
from tests.soak.scripts import UPLOAD, run, start
from tests.soak.trials import Outcome, Property
from tests.soak.uploads_and_downloads import duration_of, kill_after, make_recording

CHECK = [str(path.ROOT / "get_data" / "check_database.py")]
REPAIR = ("--read-data", "all", "--repair", "-y")


def killed_repair(folder: Path, random: Random) -> Outcome:
    """Damage a database, kill its repair at random moments, and run it again."""
    home = folder / "home"
    drive = make_recording(folder / "drive")
    run(UPLOAD, drive, home=home)
    # how long it takes is measured once on a database with other damage
    damage(home, random)
    work_s = duration_of(start(CHECK, drive, *REPAIR, home=home))
    run(UPLOAD, drive, home=home)
    deleted = damage(home, random)
    kills = 0
    for _ in range(random.randint(1, 4)):
        kills += kill_after(start(CHECK, drive, *REPAIR, home=home), random.uniform(0, work_s))
    age(home)
    start_s = time.monotonic()
    run(CHECK, drive, *REPAIR, home=home)
    took_s = time.monotonic() - start_s
    age(home)
    ended = run(CHECK, drive, "--read-data", "all", home=home)
    assert ended.counts["temporary"] == 0, ended
    check_consistent(home)
    assert not deleted & fingerprints(home), "a deletion was undone"
    return Outcome(f"{kills} kills", took_s)


def damage(home: Path, random: Random) -> set[str]:
    """Lose and damage pictures, labels and a part of deletions; return the labels deleted."""
    age(home)
    pictures = sorted((home / "database" / "pictures").rglob("*.jpg"))
    for file in random.sample(pictures, len(pictures) // 3):
        content = bytearray(file.read_bytes())
        match random.randrange(3):
            case 0:
                file.unlink()
            case 1:
                file.write_bytes(content[:-9])
            case 2:
                content[random.randrange(len(content))] ^= 1 << random.randrange(8)
                file.write_bytes(content)
    names = sorted(fingerprints(home))
    lost = random.sample(names, len(names) // 10)
    deleted = random.sample(sorted(set(names) - set(lost)), len(names) // 10)
    with sqlite3.connect(home / "database" / FILE_NAME) as connection:
        for name in deleted:
            connection.execute(
                "INSERT INTO gone SELECT fingerprint, img_id, s3_key, 'deleted', 'Ada', ''"
                " FROM labels WHERE fingerprint = ?",
                (name,),
            )
        connection.executemany("DELETE FROM labels WHERE fingerprint = ?", [(n,) for n in lost])
    connection.close()
    return set(deleted)


def age(home: Path) -> None:
    """Let more time pass than any program at work takes."""
    moment = time.time() - 2 * OLD_BACKUP_S
    for file in (home / "database").rglob("*"):
        if file.is_file() and not file.name.startswith(FILE_NAME):
            os.utime(file, (moment, moment))


def fingerprints(home: Path) -> set[str]:
    """Return the labels of the index, read without our own code."""
    with sqlite3.connect(home / "database" / FILE_NAME) as connection:
        found = {name for (name,) in connection.execute("SELECT fingerprint FROM labels")}
    connection.close()
    return found


PROPERTIES = (
    Property(
        "killed_repairs",
        "a repair of a damaged database, killed and run again, leaves nothing wrong",
        25,
        "s for the repair that completes it",
        killed_repair,
    ),
)
