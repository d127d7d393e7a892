"""Uploads and downloads, killed or two at once, end as one clean run does."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from get_data.labels import label_file
from tests.conftest import document, save
from tests.soak.scripts import (
    APPLY,
    DOWNLOAD,
    UPLOAD,
    Contents,
    Home,
    assert_each_is_as_in_one,
    assert_same,
    contents,
    end_of,
    files,
    run,
    start,
    uploaded,
)
from tests.soak.trials import Property, Seen

LABELS = 1200  # two batches

HomeAt = Callable[[Path], Home]


def recorded(folder: Path, count: int = LABELS, start: int = 0) -> Path:
    """A recording to upload, of the pictures from number `start` on."""
    numbers = range(start, start + count)
    return save(folder, [document(number, steering=number % 5 / 2 - 1) for number in numbers])


def marked(drive: Path, target: Path, share: float, random: Random) -> Path:
    """A label file that asks for some labels of a recording to be deleted."""
    labels = label_file.read(drive / label_file.NAME)
    chosen = {
        name: one | {"to_delete": True} for name, one in labels.items() if random.random() < share
    }
    label_file.write(target, chosen)
    return target


def uploaded_of(drive: Path, *, without: Path | None = None) -> Contents:
    """What a database holds of a recording, but for the labels that another file has."""
    left_out = label_file.read(without).keys() if without else ()
    labels = label_file.read(drive / label_file.NAME)
    return uploaded(one for name, one in labels.items() if name not in left_out)


def killed(process: "subprocess.Popen[str]", after_s: float) -> bool:
    """Kills a script so long after it began to work; False when it had ended by itself."""
    assert process.stderr is not None
    said = process.stderr.readline()
    assert said.startswith("database: "), said + process.stderr.read()
    time.sleep(after_s)
    was_running = process.poll() is None
    process.kill()
    end_of(process)
    return was_running


def cut(command: list[str], *arguments: object, home: Home, random: Random, work_s: float) -> int:
    """Runs a script that is killed once to three times; returns how many kills hit it."""
    times = random.randint(1, 3)
    return sum(
        killed(start(command, *arguments, home=home), random.uniform(0, work_s))
        for _ in range(times)
    )


def seconds_of(process: "subprocess.Popen[str]") -> float:
    """How long a script works, from its first word to its end."""
    assert process.stderr is not None
    said = process.stderr.readline()
    start_s = time.monotonic()
    assert end_of(process, said=said).code == 0
    return time.monotonic() - start_s


def here(folder: Path) -> Home:
    """A database of this machine."""
    return folder


def killed_upload(folder: Path, random: Random, home_at: HomeAt = here) -> Seen:
    """An upload killed at random moments and run again."""
    drive, home, clean = recorded(folder / "drive"), home_at(folder / "h"), home_at(folder / "c")
    work_s = seconds_of(start(UPLOAD, drive, home=clean))
    kills = cut(UPLOAD, drive, home=home, random=random, work_s=work_s)
    start_s = time.monotonic()
    run(UPLOAD, drive, home=home)
    took_s = time.monotonic() - start_s
    assert_same(contents(home), contents(clean))
    again = run(UPLOAD, drive, home=home).counts
    assert (again["there"], again["pictures_sent"]) == (LABELS, 0), again
    return Seen(f"{kills} kills", took_s)


def killed_download(folder: Path, random: Random, home_at: HomeAt = here) -> Seen:
    """A download killed at random moments and run again."""
    home = home_at(folder / "home")
    run(UPLOAD, recorded(folder / "drive"), home=home)
    work_s = seconds_of(start(DOWNLOAD, "-p", folder / "clean", home=home))
    kills = cut(DOWNLOAD, "-p", folder / "cut", home=home, random=random, work_s=work_s)
    if (folder / "cut" / label_file.NAME).exists():
        label_file.read(folder / "cut" / label_file.NAME)
    start_s = time.monotonic()
    run(DOWNLOAD, "-p", folder / "cut", home=home)
    took_s = time.monotonic() - start_s
    assert_same_files(folder / "cut", folder / "clean")
    return Seen(f"{kills} kills", took_s)


def assert_same_files(one: Path, other: Path) -> None:
    """Two folders hold the same files, byte for byte."""
    left, right = files(one), files(other)
    assert not left.keys() ^ right.keys(), sorted(left.keys() ^ right.keys())[:3]
    assert all(left[name] == right[name] for name in left), "a file differs"


def two_uploads(folder: Path, random: Random, home_at: HomeAt = here) -> Seen:
    """Two uploads at once, of one folder or of two that have half of their pictures in common."""
    home, clean = home_at(folder / "h"), home_at(folder / "c")
    drive = recorded(folder / "drive")
    shift = random.choice([0, LABELS // 2])
    other = recorded(folder / "other", start=shift) if shift else drive
    work_s = seconds_of(start(UPLOAD, drive, home=clean))
    run(UPLOAD, other, home=clean)
    start_s = time.monotonic()
    first = start(UPLOAD, drive, home=home)
    time.sleep(random.choice([0.0, random.uniform(0, work_s)]))
    second = start(UPLOAD, other, home=home)
    ended = [end_of(first), end_of(second)]
    assert [one.code for one in ended] == [0, 0], ended
    took_s = time.monotonic() - start_s
    created = [one.counts["created"] for one in ended]
    assert sum(created) == LABELS + shift, created
    assert_same(contents(home), contents(clean))
    return Seen("half in common" if shift else "one folder", took_s)


def upload_against_deletion(folder: Path, random: Random, home_at: HomeAt = here) -> Seen:
    """An upload and a deletion of the same labels at once, then each once more.

    Both times every picture ends as one of the two leaves it when it runs after the other.
    """
    home = home_at(folder / "home")
    drive = recorded(folder / "drive")
    deletion = marked(drive, folder / "marked.json", random.choice([0.1, 0.5, 0.9]), random)
    everything, kept = uploaded_of(drive), uploaded_of(drive, without=deletion)
    was_there = random.random() < 0.7
    if was_there:
        run(UPLOAD, drive, home=home)
    else:  # the deletion finds a database
        run(UPLOAD, recorded(folder / "other", 1), home=home)
    restores = random.random() < 0.5
    commands = [
        lambda: start(UPLOAD, drive, *["--restore"] * restores, home=home),
        lambda: start(APPLY, deletion, "-p", drive, "-y", home=home),
    ]
    random.shuffle(commands)
    first = commands[0]()
    time.sleep(random.choice([0.0, random.uniform(0, 0.6)]))
    second = commands[1]()
    ended = [end_of(first), end_of(second)]
    assert all(one.code in (0, 3) for one in ended), ended
    # only an upload that restores, after the deletion, brings back what that took out
    assert_each_is_as_in_one(contents(home), [kept, *[everything] * restores])
    start_s = time.monotonic()
    last = [(UPLOAD, drive), (APPLY, deletion, "-p", drive, "-y")]
    random.shuffle(last)
    for command, *arguments in last:
        run(command, *arguments, home=home)
    took_s = time.monotonic() - start_s
    assert_same(contents(home), kept)
    return Seen("labels there before" if was_there else "labels new", took_s)


PROPERTIES = (
    Property(
        "killed_uploads",
        "an upload that was killed and run again ends in the same database as a clean run",
        50,
        "s for the run that completes it",
        killed_upload,
    ),
    Property(
        "killed_downloads",
        "a download that was killed and run again ends in the same folder as a clean run",
        50,
        "s for the run that completes it",
        killed_download,
    ),
    Property(
        "two_uploads",
        "two uploads of one folder, or of two that overlap, end in the same database as clean runs",
        20,
        "s for both",
        two_uploads,
    ),
    Property(
        "upload_against_deletion",
        "an upload and a deletion at once leave each label and picture as one of the two wanted it",
        20,
        "s for once more each",
        upload_against_deletion,
    ),
)
