"""A disk that stalls for less than the length of the queue loses no picture."""

import os
import signal
import time
from pathlib import Path
from random import Random

import numpy as np

from tests.soak import drive
from tests.soak.scripts import assert_whole_recording
from tests.soak.trials import Outcome, Property

SECONDS = 6.0


def trial(folder: Path, random: Random) -> Outcome:
    """Record for a few seconds while the writer is suspended now and then."""
    id_file = folder / "last_img_id"
    rate_hz = random.choice([20.0, 30.0, 60.0])
    pixels = np.random.default_rng(random.randrange(2**32))
    with drive.open_recorder(folder / "drive", id_file, rate_hz=rate_hz) as recorder:
        captured, writer = drive.clock_after(recorder, id_file), recorder._writer.pid
        start_s = time.monotonic()
        suspend_s, resume_s = start_s + random.uniform(0, 1), 0.0
        accepted = longest_queue = 0
        stalls = 0
        while time.monotonic() < start_s + SECONDS:
            now_s = time.monotonic()
            if resume_s and now_s >= resume_s:
                os.kill(writer, signal.SIGCONT)
                resume_s, suspend_s = 0.0, now_s + random.uniform(0.2, 1.0)
            elif not resume_s and now_s >= suspend_s and recorder.progress.written >= accepted - 1:
                os.kill(writer, signal.SIGSTOP)
                resume_s = now_s + random.uniform(0.3, 2.5)
                stalls += 1
            assert recorder.record(
                drive.noise(pixels), captured=captured.time_at(now_s), steering=0.0, throttle=0.3
            ), f"dropped with {accepted - recorder.progress.written} in the queue"
            accepted += 1
            longest_queue = max(longest_queue, accepted - recorder.progress.written)
            time.sleep(max(0.0, start_s + accepted / rate_hz - time.monotonic()))
        os.kill(writer, signal.SIGCONT)
    labels, _ = assert_whole_recording(folder / "drive")
    assert len(labels) == recorder.report.pictures == accepted
    assert recorder.dropped == 0
    return Outcome(f"{stalls} stalls", longest_queue / rate_hz)


PROPERTIES = (
    Property(
        "stalling_disk",
        "a disk that stalls for up to 2.5 seconds loses no picture",
        20,
        "s of pictures in the queue, of 3",
        trial,
    ),
)
