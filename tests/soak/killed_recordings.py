"""A recording that is killed at any moment is repaired by the next script."""

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
    run,
    start,
    wait_for_end,
)
from tests.soak.trials import Outcome, Property

DRIVE = ["-m", "tests.soak.drive"]
RATE_HZ = 300.0
VICTIMS = ("drive", "writer", "both")
WRITER = b"get_data.recording.writer"


@dataclass(frozen=True)
class Drive:
    """A drive in a process of its own."""

    process: "subprocess.Popen[str]"
    folder: Path
    log: Path
    writer_pids: list[int] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the complete lines that it has printed so far."""
        return self.log.read_text().split("\n")[:-1]

    def accepted(self) -> list[tuple[str, int]]:
        """Return the ids that the recorder accepted, each with how many were written by then."""
        pairs = [line.split() for line in self.lines() if " " in line]
        return [(pair[0], int(pair[1])) for pair in pairs if pair[1].isdecimal()]

    def has(self, word: str) -> bool:
        """Return whether it has printed the word or has ended."""
        return word in self.lines() or self.process.poll() is not None

    def writers(self) -> list[int]:
        """Return the process id of the writer, once there is one."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with suppress(OSError):
            pids = map(int, children.read_text().split())
            return [pid for pid in pids if WRITER in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return []

    def journalled(self) -> set[str]:
        """Return the ids whose line in the journal is complete."""
        with suppress(FileNotFoundError):
            lines = (self.folder / journal.NAME).read_bytes().split(b"\n")[:-1]
            return {entry["img_id"] for line in lines if "img_id" in (entry := json.loads(line))}
        return set()


def trial(folder: Path, random: Random) -> Outcome:
    """Kill a drive at a random moment: itself, its writer, or both."""
    home = folder / "home"
    (home / "database").mkdir(parents=True)
    when, victim = random.choice(["start", "middle", "end"]), random.choice(VICTIMS)
    simulated = when == "middle" and random.random() < 0.3
    with (folder / "log").open("w") as log:
        driving = Drive(
            _start(folder, home, log, random, when, simulated), folder / "drive", folder / "log"
        )
        written = _kill(driving, random, when, victim, simulated=simulated)
    ended = wait_for_end(driving.process)
    if victim == "writer":
        assert ended.code in (0, 1, -signal.SIGTERM), ended
        if ended.code >= 0:  # otherwise the signal came while it was ending
            assert len(ended.errors) == ended.code, ended.err
    else:
        assert ended.code in (-signal.SIGKILL, 0), ended
    if victim != "drive":  # no writer is left
        written |= driving.journalled()
    _assert_labels_parse(driving.folder)
    lost = _repair(driving, home, written, writer_lived=victim == "drive")
    if random.random() < 0.25:
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in driving.writer_pids))
        _record_again(driving.folder, home)
        assert_no_temporary_file(folder)
    return Outcome(f"{when}: {victim}" if ended.code else f"{when}: too late", lost)


def _start(folder, home, log, random, when, simulated):
    if simulated:
        options = ("-o", folder / "drive", "--simulate", "--rate", 200, "--resolution", "64x48")
        return start(RUN_MANUAL, *options, "--duration", 1.0, home=home, stdout=log)
    pictures = random.randrange(20, 300) if when == "end" else 10_000
    options = ("--seed", random.randrange(2**32), "--rate", RATE_HZ, "--pictures", pictures)
    id_file = home / "database" / "last_img_id"
    return start(DRIVE, folder / "drive", id_file, *options, home=home, stdout=log)


def _kill(driving: Drive, random: Random, when: str, victim: str, *, simulated: bool) -> set[str]:
    """Kill the drive, its writer or both; return the ids in the journal just before."""
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
    if victim == "writer":
        wait_until(lambda: driving.writers() or driving.process.poll() is not None)
    written = driving.journalled()
    driving.writer_pids.extend(driving.writers())
    if victim != "drive":
        for pid in driving.writer_pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    if victim != "writer":
        driving.process.kill()
    if victim == "writer":  # the drive continues without it until it is ended
        wait_until(lambda: simulated or driving.has("recording"))
        time.sleep(0.1)
        driving.process.terminate()
    return written


def _assert_labels_parse(folder: Path) -> None:
    labels = folder / label_file.NAME
    if labels.exists():
        label_file.read(labels)


def _repair(driving: Drive, home: Path, written: set[str], *, writer_lived: bool) -> int:
    """Repair with the next script; return how many pictures of the queue are lost."""
    accepted = driving.accepted()
    uploaded = run(UPLOAD, driving.folder, home=home, codes=(0, 2))
    if uploaded.code == 2:  # killed before the first picture or line
        assert not written, uploaded.err
        assert writer_lived or not accepted, uploaded.err
        _wait_for_writer(driving.folder)
        if not (driving.folder / label_file.NAME).exists():
            assert not list(driving.folder.glob("*.jpg"))
            return 0
        uploaded = run(UPLOAD, driving.folder, home=home)
    labels, erased = assert_whole_recording(driving.folder)
    kept = labels.keys() | erased.keys()
    assert uploaded.counts["created"] == len(labels)
    assert written <= kept, f"lost though in the journal: {sorted(written - kept)}"
    lost = [img_id for img_id, _ in accepted if img_id not in kept]
    if accepted:
        was_written = {img_id for img_id, _ in accepted[: accepted[-1][1]]}
        assert not was_written & set(lost), "lost though reported as written"
        assert not (writer_lived and lost), f"lost though the writer lived: {lost}"
        assert len(lost) <= QUEUE_S * RATE_HZ
        assert lost == [img_id for img_id, _ in accepted[len(accepted) - len(lost) :]]
    return len(lost)


def _wait_for_writer(folder: Path) -> None:
    if folder.exists():
        with journal.folder_lock(folder):
            pass


def _record_again(folder: Path, home: Path) -> None:
    """Check that the next drive continues the folder with later ids."""
    before = [file.stem for file in folder.rglob("*.jpg")]
    id_file = home / "database" / "last_img_id"
    with drive.open_recorder(folder, id_file, rate_hz=RATE_HZ) as recorder:
        captured, pixels = drive.clock_after(recorder, id_file), np.random.default_rng(0)
        moments = [captured.time_at(time.monotonic()) for _ in range(5)]
        for moment in moments:
            assert recorder.record(drive.noise(pixels), captured=moment, steering=0.0, throttle=0.3)
    labels, _ = assert_whole_recording(folder)
    new = [format_img_id(moment) for moment in moments]
    assert set(new) <= labels.keys()
    assert min(new) > max(before, default="")


PROPERTIES = (
    Property(
        "killed_recordings",
        "a killed recording is repaired by the next script; only the queue is lost",
        300,
        "pictures of the queue lost",
        trial,
    ),
)
