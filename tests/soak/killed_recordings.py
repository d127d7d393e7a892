"""A recording that is killed at any moment is repaired by the next script, by itself."""

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np

from get_data.labels import label_file
from get_data.labels.ids import format_img_id
from get_data.recording import journal
from get_data.recording.wire import QUEUE_S
from tests.helpers.waiting import wait_until
from tests.soak import drive
from tests.soak.scripts import (
    RUN_MANUAL,
    UPLOAD,
    assert_no_temporary_file,
    assert_whole_recording,
    end_of,
    run,
    start,
)
from tests.soak.trials import Property, Seen

DRIVE = ["-m", "tests.soak.drive"]
RATE_HZ = 300.0
WHO = ("drive", "writer", "both")
WRITER = b"get_data.recording.writer"


@dataclass(frozen=True)
class Drive:
    """A drive that runs in a process of its own."""

    process: "subprocess.Popen[str]"
    folder: Path
    said: Path
    wrote: list[int] = field(default_factory=list)

    def said_lines(self) -> list[str]:
        """What it has said so far, whole lines."""
        return self.said.read_text().split("\n")[:-1]

    def handed(self) -> list[tuple[str, int]]:
        """The ids of the pictures handed over, each with how many were written by then."""
        pairs = [line.split() for line in self.said_lines() if " " in line]
        return [(pair[0], int(pair[1])) for pair in pairs if pair[1].isdecimal()]

    def has(self, word: str) -> bool:
        """Whether it said that, or has ended."""
        return word in self.said_lines() or self.process.poll() is not None

    def writers(self) -> list[int]:
        """The process that writes, once there is one."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with suppress(OSError):
            pids = map(int, children.read_text().split())
            return [pid for pid in pids if WRITER in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return []

    def journalled(self) -> set[str]:
        """The ids whose line in the journal is whole."""
        with suppress(FileNotFoundError):
            lines = (self.folder / journal.NAME).read_bytes().split(b"\n")[:-1]
            return {entry["img_id"] for line in lines if "img_id" in (entry := json.loads(line))}
        return set()


def trial(folder: Path, random: Random) -> Seen:
    """A drive killed at a random moment: itself, the process that writes, or both."""
    home = folder / "home"
    (home / "database").mkdir(parents=True)
    when, who = random.choice(["start", "middle", "end"]), random.choice(WHO)
    simulated = when == "middle" and random.random() < 0.3
    with (folder / "said").open("w") as said:
        driving = Drive(
            _start(folder, home, said, random, when, simulated), folder / "drive", folder / "said"
        )
        written = _kill(driving, random, when, who, simulated=simulated)
    ended = end_of(driving.process)
    if who == "writer":
        assert ended.code in (0, 1, -signal.SIGTERM), ended
        if ended.code >= 0:  # else it was told to end after it had, and was leaving
            assert len(ended.errors) == ended.code, ended.err
    else:
        assert ended.code in (-signal.SIGKILL, 0), ended
    if who != "drive":  # nobody is left who writes
        written |= driving.journalled()
    _assert_labels_parse(driving.folder)
    lost = _repaired(driving, home, written, writer_lived=who == "drive")
    if random.random() < 0.25:
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in driving.wrote))
        _recorded_again(driving.folder, home)
        assert_no_temporary_file(folder)
    return Seen(f"{when}: {who}" if ended.code else f"{when}: too late", lost)


def _start(folder, home, said, random, when, simulated):
    if simulated:
        options = ("-o", folder / "drive", "--simulate", "--rate", 200, "--resolution", "64x48")
        return start(RUN_MANUAL, *options, "--duration", 1.0, home=home, stdout=said)
    pictures = random.randrange(20, 300) if when == "end" else 10_000
    options = ("--seed", random.randrange(2**32), "--rate", RATE_HZ, "--pictures", pictures)
    memory = home / "database" / "last_img_id"
    return start(DRIVE, folder / "drive", memory, *options, home=home, stdout=said)


def _kill(driving: Drive, random: Random, when: str, who: str, *, simulated: bool) -> set[str]:
    """Some of its processes are killed; returns what was in the journal just before."""
    if simulated:
        wait_until(lambda: (driving.folder / journal.NAME).exists())
        time.sleep(random.uniform(0, 1.3))
    elif when == "start":
        time.sleep(random.uniform(0, 0.8))
    elif when == "middle":
        wait_until(lambda: driving.has("recording"))
        time.sleep(random.uniform(0, 1.5))
    else:
        wait_until(lambda: driving.has("closing"))
        time.sleep(random.uniform(0, 0.05))
    if who == "writer":
        wait_until(lambda: driving.writers() or driving.process.poll() is not None)
    written = driving.journalled()
    driving.wrote.extend(driving.writers())
    if who != "drive":
        for pid in driving.wrote:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    if who != "writer":
        driving.process.kill()
    if who == "writer":  # the drive goes on without it until somebody ends that
        wait_until(lambda: simulated or driving.has("recording"))
        time.sleep(0.1)
        driving.process.terminate()
    return written


def _assert_labels_parse(folder: Path) -> None:
    labels = folder / label_file.NAME
    if labels.exists():
        label_file.read(labels)


def _repaired(driving: Drive, home: Path, written: set[str], *, writer_lived: bool) -> int:
    """The next script repairs all; returns how many pictures of the queue are lost."""
    handed = driving.handed()
    uploaded = run(UPLOAD, driving.folder, home=home, codes=(0, 2))
    if uploaded.code == 2:  # killed before there was anything, or so early that nothing was said
        assert not written, uploaded.err
        assert writer_lived or not handed, uploaded.err
        _wait_for_writer(driving.folder)
        if not (driving.folder / label_file.NAME).exists():
            assert not list(driving.folder.glob("*.jpg"))
            return 0
        uploaded = run(UPLOAD, driving.folder, home=home)
    labels, erased = assert_whole_recording(driving.folder)
    kept = labels.keys() | erased.keys()
    assert uploaded.counts["created"] == len(labels)
    assert written <= kept, f"lost though in the journal: {sorted(written - kept)}"
    lost = [img_id for img_id, _ in handed if img_id not in kept]
    if handed:
        was_written = {img_id for img_id, _ in handed[: handed[-1][1]]}
        assert not was_written & set(lost), "lost though said to be written"
        assert not (writer_lived and lost), f"lost though the writer lived: {lost}"
        assert len(lost) <= QUEUE_S * RATE_HZ
        assert lost == [img_id for img_id, _ in handed[len(handed) - len(lost) :]]
    return len(lost)


def _wait_for_writer(folder: Path) -> None:
    if folder.exists():
        with journal.folder_lock(folder):
            pass


def _recorded_again(folder: Path, home: Path) -> None:
    """The next drive continues the folder, with later ids, and leaves nothing half-written."""
    before = [file.stem for file in folder.rglob("*.jpg")]
    memory = home / "database" / "last_img_id"
    with drive.recorder(folder, memory, rate_hz=RATE_HZ) as to:
        captured, pixels = drive.clock_for(to, memory), np.random.default_rng(0)
        moments = [captured.time_at(time.monotonic()) for _ in range(5)]
        for moment in moments:
            assert to.record(drive.noise(pixels), captured=moment, steering=0.0, throttle=0.3)
    labels, _ = assert_whole_recording(folder)
    new = [format_img_id(moment) for moment in moments]
    assert set(new) <= labels.keys()
    assert min(new) > max(before, default="")


PROPERTIES = (
    Property(
        "killed_recordings",
        "what a killed recording leaves is repaired by the next script; only the queue is lost",
        300,
        "pictures of the queue lost",
        trial,
    ),
)
