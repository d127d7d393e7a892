"""Ids increase in the order of capture, whatever the wall clock does and however runs end."""

import os
import signal
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest

from common.errors import RecordingFailed
from get_data.labels.ids import format_img_id
from get_data.recording import merge
from get_data.recording.capture_clock import CaptureClock, load_last_time
from tests.conftest import START
from tests.helpers.waiting import wait_until
from tests.soak import drive
from tests.soak.scripts import assert_whole_recording
from tests.soak.trials import Outcome, Property

JUMPS_S = (-3600.0, 0.0, 3600.0)


@dataclass
class Clocks:
    """A monotonic clock, and a wall clock that also jumps."""

    monotonic_s: float = 1000.0
    wall_s: float = START.timestamp()

    def wait(self, seconds: float) -> None:
        """Advance both clocks."""
        self.monotonic_s += seconds
        self.wall_s += seconds


def trial(folder: Path, random: Random) -> Outcome:
    """Record several runs of one car into two folders; kill some, erase some pictures."""
    id_file = folder / "home" / "last_img_id"
    id_file.parent.mkdir()
    clocks, ids, ahead_s, kills = Clocks(), [], 0.0, 0
    kept = {name: [] for name in ("one", "two")}
    for _ in range(4):
        name = random.choice(list(kept))
        clocks.wall_s += random.choice(JUMPS_S)
        is_killed = random.random() < 0.3
        recorder = drive.open_recorder(folder / name, id_file, rate_hz=100.0)
        after = max(filter(None, (load_last_time(id_file), recorder.newest)), default=None)
        captured = CaptureClock(
            after=after, monotonic=lambda: clocks.monotonic_s, wall=lambda: clocks.wall_s
        )
        new = _record(recorder, captured, clocks, random)
        kept[name] += new
        ids += new
        ahead_s = max(ahead_s, captured.time_at(clocks.monotonic_s).timestamp() - clocks.wall_s)
        if is_killed:
            kills += 1
            wait_until(lambda recorder=recorder, new=new: recorder.progress.written == len(new))
            os.kill(recorder._writer.pid, signal.SIGKILL)
            with pytest.raises(RecordingFailed):
                recorder.close()
        else:
            recorder.close()
    assert all(earlier < later for earlier, later in pairwise(ids)), ids
    for name, expected in kept.items():
        if (folder / name).exists():
            merge.repair(folder / name)
            labels, erased = assert_whole_recording(folder / name)
            assert sorted({**labels, **erased}) == expected
            assert list(labels) == sorted(labels)
    return Outcome(f"{kills} of 4 runs killed", ahead_s)


def _record(recorder, captured: CaptureClock, clocks: Clocks, random: Random) -> list[str]:
    """Record pictures while the wall clock jumps; return their ids."""
    ids, pixels = [], np.random.default_rng(random.randrange(2**32))
    for _ in range(random.randrange(1, 60)):
        clocks.wait(random.choice([0.0, 0.05, 0.05, 0.3]))
        if random.random() < 0.05:
            clocks.wall_s += random.choice(JUMPS_S)
        moment = captured.time_at(clocks.monotonic_s)
        assert recorder.record(drive.noise(pixels), captured=moment, steering=0.0, throttle=0.3)
        ids.append(format_img_id(moment))
        if random.random() < 0.05:
            recorder.erase(random.uniform(0.1, 5.0))
    return ids


PROPERTIES = (
    Property(
        "jumping_clock",
        "ids increase in the order of capture, within runs and between them",
        60,
        "s that ids ran ahead of the wall clock",
        trial,
    ),
)
