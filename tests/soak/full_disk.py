"""A disk that fills up at any stage loses nothing that was reported as saved."""

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
    Completed,
    assert_same,
    assert_whole_recording,
    contents,
    run,
)
from tests.soak.trials import Outcome, Property, Unsupported
from tests.soak.uploads_and_downloads import assert_same_files, make_recording

DISK_BYTES = 24_000_000
BALLAST = "ballast"
BLOCK_BYTES = 4096

# `run_manual.py` without the limit of free space at which it stops.
RUN_MANUAL_WITHOUT_LIMIT = [
    "-c",
    "import functools; from get_data import run_manual; from get_data.cli import process; "
    "from get_data.commands import run_manual as command; "
    "command.Recorder = functools.partial(command.Recorder, min_free_bytes=0); "
    "raise SystemExit(process.run(run_manual.main))",
]


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk of a few megabytes; if the trial fails, copy it to `disk_then/`.

    Raises:
        Unsupported: this user may not mount one.
    """
    disk = folder / "disk"
    if disk.is_mount():  # by a soak that was killed
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
    disk.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unsupported("a small disk (tmpfs) can only be mounted by root") from error
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
    """Fill the disk up to `leave` bytes."""
    free = shutil.disk_usage(disk).free
    with (disk / BALLAST).open("ab") as file:
        end = file.tell()
        if free > leave:
            os.posix_fallocate(file.fileno(), end, free - leave)


def free_space(disk: Path) -> None:
    """Remove what `fill` wrote."""
    (disk / BALLAST).unlink()


def random_size(random: Random, most: int) -> int:
    """Return a number of bytes: none, a few blocks, or any number up to `most`."""
    blocks = most // BLOCK_BYTES
    few = int(10 ** random.uniform(0, np.log10(blocks)))
    return BLOCK_BYTES * random.choice([0, *[few] * 4, *[random.randrange(blocks)] * 5])


def assert_reported_in_one_line(ended: Completed) -> None:
    """Check that a failed run has one line with the cause, and each failed item has one."""
    if ended.code == 0:
        assert not ended.errors, ended.err
        return
    for line in ended.errors:
        assert "space" in line or "full" in line, f"without the cause: {line}"
    assert len(ended.errors) == 1 if ended.code == 1 else ended.errors, ended.err


def assert_labels_parse(folder: Path) -> None:
    """Check that the label file, if there is one, is valid."""
    if (folder / label_file.NAME).exists():
        label_file.read(folder / label_file.NAME)


def recording(folder: Path, random: Random) -> Outcome:
    """Drive onto a disk that fills up; the file of the last id may be on it too."""
    with small_disk(folder) as disk:
        home = random.choice([folder, disk]) / "home"
        (home / "database").mkdir(parents=True)
        target = disk / "drive"
        fill(disk, leave=random_size(random, 1_500_000))
        options = ("-o", target, "--simulate", "--rate", 200, "--duration", 1.2)
        ended = run(RUN_MANUAL_WITHOUT_LIMIT, *options, home=home, codes=(0, 1))
        assert_reported_in_one_line(ended)
        assert_labels_parse(target)
        reported = ended.counts["pictures"] if ended.out else 0
        free_space(disk)
        uploaded = run(UPLOAD, target, home=home, codes=(0, 2))
        if uploaded.code == 2:
            assert not reported, uploaded.err
            assert not list(target.glob("*.jpg"))
            return Outcome("could not start")
        labels, _ = assert_whole_recording(target)
        assert len(labels) >= reported, f"{reported} were reported, {len(labels)} are saved"
        again = run(RUN_MANUAL_WITHOUT_LIMIT, *options[:-1], 0.3, home=home)
        assert len(assert_whole_recording(target)[0]) == len(labels) + again.counts["pictures"]
    return Outcome("stopped early" if ended.code else "enough space", len(labels) - reported)


def merging(folder: Path, random: Random) -> Outcome:
    """Fill the disk between the last picture and the merge."""
    with small_disk(folder) as disk:
        home = folder / "home"
        id_file = random.choice([home, disk]) / "database" / "last_img_id"
        id_file.parent.mkdir(parents=True)
        target, count = disk / "drive", random.randrange(20, 400)
        recorder = drive.open_recorder(target, id_file, rate_hz=300.0)
        captured, pixels = drive.clock_after(recorder, id_file), np.random.default_rng(0)
        for number in range(count):
            moment = captured.time_at(time.monotonic() + number / 100)
            recorder.record(drive.noise(pixels), captured=moment, steering=0.0, throttle=0.3)
        if random.random() < 0.5:
            recorder.erase(1.0)
        wait_until(lambda: recorder.progress.written == count)
        fill(disk, leave=random_size(random, 500_000))
        recorder.close()
        assert recorder.report.pictures + recorder.report.erased == count, recorder.report
        assert_labels_parse(target)
        merged = not (target / journal.NAME).exists()
        assert merged or "space" in recorder.report.unmerged, recorder.report
        full = run(UPLOAD, target, home=home, codes=(0, 1))
        assert_reported_in_one_line(full)
        assert_labels_parse(target)
        free_space(disk)
        run(UPLOAD, target, home=home)
        labels, erased = assert_whole_recording(target)
        assert (len(labels), len(erased)) == (recorder.report.pictures, recorder.report.erased)
        assert contents(home).labels.keys() == {
            label["label_fingerprint"] for label in labels.values()
        }
    kind = "merged" if merged else "repaired while full" if not full.code else "repaired later"
    return Outcome(kind, count - len(labels) - len(erased))


def uploading(folder: Path, random: Random) -> Outcome:
    """Fill the disk of the database during an upload."""
    source = make_recording(folder / "drive")
    run(UPLOAD, source, home=folder / "clean")
    with small_disk(folder) as disk:
        if random.random() < 0.3:  # the database exists already
            run(UPLOAD, make_recording(folder / "one", 1), home=disk)
        fill(disk, leave=random_size(random, 8_000_000))
        ended = run(UPLOAD, source, home=disk, codes=(0, 1, 3))
        assert_reported_in_one_line(ended)
        free_space(disk)
        run(UPLOAD, source, home=disk)
        assert_same(contents(disk), contents(folder / "clean"))
    return Outcome(f"exit code {ended.code}")


def downloading(folder: Path, random: Random) -> Outcome:
    """Fill the disk during a download; the database may be on it too."""
    source = make_recording(folder / "drive")
    run(UPLOAD, source, home=folder / "home")
    run(DOWNLOAD, "-p", folder / "clean", home=folder / "home")
    with small_disk(folder) as disk:
        home = folder / "home"
        if random.random() < 0.3:
            home = disk / "home"
            shutil.copytree(folder / "home", home)
        target = disk / "training"
        fill(disk, leave=random_size(random, 7_000_000))
        ended = run(DOWNLOAD, "-p", target, home=home, codes=(0, 1, 3))
        assert_reported_in_one_line(ended)
        assert_labels_parse(target)
        free_space(disk)
        run(DOWNLOAD, "-p", target, home=home)
        assert_same_files(target, folder / "clean")
    return Outcome(f"exit code {ended.code}")


PROPERTIES = (
    Property(
        "full_disk_recording",
        "a drive onto a full disk reports it in one line, and what it reported as saved is saved",
        30,
        "pictures more than reported",
        recording,
    ),
    Property(
        "full_disk_merging",
        "a recording that cannot be merged is merged once there is space",
        30,
        "pictures lost",
        merging,
    ),
    Property(
        "full_disk_uploading",
        "an upload onto a full disk reports it in one line and is completed once there is space",
        30,
        "pictures lost",
        uploading,
    ),
    Property(
        "full_disk_downloading",
        "a download onto a full disk reports it in one line and is completed once there is space",
        30,
        "pictures lost",
        downloading,
    ),
)
