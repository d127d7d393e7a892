"""A disk that stands still for less than the queue is long costs no picture."""

import os
import signal
import time
from pathlib import Path
from random import Random

import numpy as np

from tests.soak import drive
from tests.soak.scripts import assert_whole_recording
from tests.soak.trials import Property, Seen

SECONDS = 6.0


def trial(folder: Path, random: Random) -> Seen:
    """A drive of a few seconds whose writing process is stopped now and then."""
    memory = folder / "last_img_id"
    rate_hz = random.choice([20.0, 30.0, 60.0])
    pixels = np.random.default_rng(random.randrange(2**32))
    with drive.recorder(folder / "drive", memory, rate_hz=rate_hz) as to:
        captured, writer = drive.clock_for(to, memory), to._writer.pid
        start_s = time.monotonic()
        stop_s, go_s = start_s + random.uniform(0, 1), 0.0
        handed = longest = 0
        stalls = 0
        while time.monotonic() < start_s + SECONDS:
            now_s = time.monotonic()
            if go_s and now_s >= go_s:
                os.kill(writer, signal.SIGCONT)
                go_s, stop_s = 0.0, now_s + random.uniform(0.2, 1.0)
            elif not go_s and now_s >= stop_s and to.progress.written >= handed - 1:
                os.kill(writer, signal.SIGSTOP)
                go_s = now_s + random.uniform(0.3, 2.5)
                stalls += 1
            assert to.record(
                drive.noise(pixels), captured=captured.time_at(now_s), steering=0.0, throttle=0.3
            ), f"dropped with {handed - to.progress.written} waiting"
            handed += 1
            longest = max(longest, handed - to.progress.written)
            time.sleep(max(0.0, start_s + handed / rate_hz - time.monotonic()))
        os.kill(writer, signal.SIGCONT)
    labels, _ = assert_whole_recording(folder / "drive")
    assert len(labels) == to.report.pictures == handed
    assert to.dropped == 0
    return Seen(f"{stalls} stalls", longest / rate_hz)


PROPERTIES = (
    Property(
        "stalling_disk",
        "a disk that stands still for up to 2.5 seconds costs no picture",
        20,
        "s of pictures waiting, of 3",
        trial,
    ),
)
