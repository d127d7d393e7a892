"""A disk that fills up at any stage loses nothing that was said to be saved."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import numpy as np

from get_data.labels import label_file
from get_data.recording import journal
from tests.helpers.waiting import wait_until
from tests.soak import drive
from tests.soak.scripts import (
    DOWNLOAD,
    UPLOAD,
    Ended,
    assert_same,
    assert_whole_recording,
    contents,
    run,
)
from tests.soak.trials import NotPossible, Property, Seen
from tests.soak.uploads_and_downloads import assert_same_files, recorded

DISK_BYTES = 24_000_000
BALLAST = "ballast"
BLOCK_BYTES = 4096

# The drive as users run it, but for the floor of free space at which it stops by itself.
RUN_MANUAL_TO_THE_END = [
    "-c",
    "import functools; from get_data import run_manual as it; from get_data.cli import process; "
    "it.Recorder = functools.partial(it.Recorder, min_free_bytes=0); "
    "raise SystemExit(process.run(it.main))",
]


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of a few megabytes; what was on it when a trial failed is kept in `disk_then/`.

    Raises: NotPossible when this machine does not let us mount one.
    """
    disk = folder / "disk"
    if disk.is_mount():  # by a soak that was killed
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
    disk.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotPossible("a small disk (tmpfs) can only be mounted by root") from error
    try:
        yield disk
    except BaseException:
        shutil.copytree(
            disk, folder / "disk_then", ignore=shutil.ignore_patterns(BALLAST), dirs_exist_ok=True
        )
        raise
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path, *, leave: int) -> None:
    """Only so many bytes are free."""
    free = shutil.disk_usage(disk).free
    with (disk / BALLAST).open("ab") as file:
        end = file.tell()
        if free > leave:
            os.posix_fallocate(file.fileno(), end, free - leave)


def make_room(disk: Path) -> None:
    """The disk is as empty as it was."""
    (disk / BALLAST).unlink()


def some_bytes(random: Random, most: int) -> int:
    """An amount of free space: none, or a few blocks, or any up to `most`."""
    blocks = most // BLOCK_BYTES
    few = int(10 ** random.uniform(0, np.log10(blocks)))
    return BLOCK_BYTES * random.choice([0, *[few] * 4, *[random.randrange(blocks)] * 5])


def assert_said_in_one_line(ended: Ended) -> None:
    """A failed run says so in one line, which names the cause; failed items in a line each."""
    if ended.code == 0:
        assert not ended.errors, ended.err
        return
    for line in ended.errors:
        assert "space" in line or "full" in line, f"does not tell the cause: {line}"
    assert len(ended.errors) == 1 if ended.code == 1 else ended.errors, ended.err


def assert_labels_parse(folder: Path) -> None:
    """What stands in the label file can be read."""
    if (folder / label_file.NAME).exists():
        label_file.read(folder / label_file.NAME)


def recording(folder: Path, random: Random) -> Seen:
    """A drive onto a disk that fills up; its memory of the last id may lie there too."""
    with small_disk(folder) as disk:
        home = random.choice([folder, disk]) / "home"
        (home / "database").mkdir(parents=True)
        target = disk / "drive"
        fill(disk, leave=some_bytes(random, 1_500_000))
        options = ("-o", target, "--simulate", "--rate", 200, "--duration", 1.2)
        ended = run(RUN_MANUAL_TO_THE_END, *options, home=home, codes=(0, 1))
        assert_said_in_one_line(ended)
        assert_labels_parse(target)
        said = ended.counts["pictures"] if ended.out else 0
        make_room(disk)
        uploaded = run(UPLOAD, target, home=home, codes=(0, 2))
        if uploaded.code == 2:
            assert not said, uploaded.err
            assert not list(target.glob("*.jpg"))
            return Seen("could not begin")
        labels, _ = assert_whole_recording(target)
        assert len(labels) >= said, f"{said} were said to be saved, {len(labels)} are there"
        again = run(RUN_MANUAL_TO_THE_END, *options[:-1], 0.3, home=home)
        assert len(assert_whole_recording(target)[0]) == len(labels) + again.counts["pictures"]
    return Seen("stopped early" if ended.code else "had room enough", len(labels) - said)


def merging(folder: Path, random: Random) -> Seen:
    """A disk that fills up between the last picture and the merge."""
    with small_disk(folder) as disk:
        home = folder / "home"
        memory = random.choice([home, disk]) / "database" / "last_img_id"
        memory.parent.mkdir(parents=True)
        target, count = disk / "drive", random.randrange(20, 400)
        to = drive.recorder(target, memory, rate_hz=300.0)
        captured, pixels = drive.clock_for(to, memory), np.random.default_rng(0)
        for number in range(count):
            moment = captured.time_at(time.monotonic() + number / 100)
            to.record(drive.noise(pixels), captured=moment, steering=0.0, throttle=0.3)
        if random.random() < 0.5:
            to.erase(1.0)
        wait_until(lambda: to.progress.written == count)
        fill(disk, leave=some_bytes(random, 500_000))
        to.close()
        assert to.report.pictures + to.report.erased == count, to.report
        assert_labels_parse(target)
        merged = not (target / journal.NAME).exists()
        assert merged or "space" in to.report.unmerged, to.report
        full = run(UPLOAD, target, home=home, codes=(0, 1))
        assert_said_in_one_line(full)
        assert_labels_parse(target)
        make_room(disk)
        run(UPLOAD, target, home=home)
        labels, erased = assert_whole_recording(target)
        assert (len(labels), len(erased)) == (to.report.pictures, to.report.erased)
        assert contents(home).labels.keys() == {one["label_fingerprint"] for one in labels.values()}
    kind = "merged" if merged else "repaired while full" if not full.code else "repaired later"
    return Seen(kind, count - len(labels) - len(erased))


def uploading(folder: Path, random: Random) -> Seen:
    """A disk of the database that fills up during an upload."""
    source = recorded(folder / "drive")
    run(UPLOAD, source, home=folder / "clean")
    with small_disk(folder) as disk:
        if random.random() < 0.3:  # the database is there already
            run(UPLOAD, recorded(folder / "one", 1), home=disk)
        fill(disk, leave=some_bytes(random, 8_000_000))
        ended = run(UPLOAD, source, home=disk, codes=(0, 1, 3))
        assert_said_in_one_line(ended)
        make_room(disk)
        run(UPLOAD, source, home=disk)
        assert_same(contents(disk), contents(folder / "clean"))
    return Seen(f"exit code {ended.code}")


def downloading(folder: Path, random: Random) -> Seen:
    """A disk that fills up during a download; the database may lie on it too."""
    source = recorded(folder / "drive")
    run(UPLOAD, source, home=folder / "home")
    run(DOWNLOAD, "-p", folder / "clean", home=folder / "home")
    with small_disk(folder) as disk:
        home = folder / "home"
        if random.random() < 0.3:
            home = disk / "home"
            shutil.copytree(folder / "home", home)
        target = disk / "training"
        fill(disk, leave=some_bytes(random, 7_000_000))
        ended = run(DOWNLOAD, "-p", target, home=home, codes=(0, 1, 3))
        assert_said_in_one_line(ended)
        assert_labels_parse(target)
        make_room(disk)
        run(DOWNLOAD, "-p", target, home=home)
        assert_same_files(target, folder / "clean")
    return Seen(f"exit code {ended.code}")


PROPERTIES = (
    Property(
        "full_disk_recording",
        "a drive onto a full disk says so in a line, and all that it said to be saved is",
        30,
        "pictures more than it said",
        recording,
    ),
    Property(
        "full_disk_merging",
        "a recording that cannot be merged is, once there is room",
        30,
        "pictures lost",
        merging,
    ),
    Property(
        "full_disk_uploading",
        "an upload onto a full disk says so in a line and is completed once there is room",
        30,
        "pictures lost",
        uploading,
    ),
    Property(
        "full_disk_downloading",
        "a download onto a full disk says so in a line and is completed once there is room",
        30,
        "pictures lost",
        downloading,
    ),
)
