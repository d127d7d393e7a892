"""A drive for the soak: pictures of noise at a given rate, with pauses and erasures.

Prints, for each picture that the recorder accepted, its id and how many were written by then;
`recording` before the first and `closing` after the last.
"""

import argparse
import os
import time
from pathlib import Path
from random import Random

import numpy as np

from common.errors import RecordingFailed
from get_data.cli import exit_codes, process
from get_data.labels.classes import Classes
from get_data.labels.ids import format_img_id
from get_data.recording.capture_clock import CaptureClock, load_last_time
from get_data.recording.recorder import Recorder

SIZE = (32, 24)


def open_recorder(folder: Path, id_file: Path, *, rate_hz: float) -> Recorder:
    """Open a recorder like `run_manual.py`, for small pictures on any disk."""
    return Recorder(
        folder,
        session={"driver": "Zoé"},
        car_setting={"car": "soak"},
        classes=Classes(max_throttle=0.5),
        rate_hz=rate_hz,
        resolution=SIZE,
        jpeg_quality=90,
        min_free_bytes=0,
        last_img_id_file=id_file,
    )


def clock_after(recorder: Recorder, id_file: Path) -> CaptureClock:
    """Return a clock whose times follow all recorded ids, like `run_manual.py`."""
    return CaptureClock(
        after=max(filter(None, (load_last_time(id_file), recorder.newest)), default=None)
    )


def noise(random: np.random.Generator) -> np.ndarray:
    """Return a random picture."""
    return random.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)


def main() -> int:
    """Drive; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("id_file", type=Path, help="file of the last id")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=300.0)
    parser.add_argument("--pictures", type=int, default=100)
    args = parser.parse_args()
    parent = os.getppid()
    random, pixels = Random(args.seed), np.random.default_rng(args.seed)
    with open_recorder(args.folder, args.id_file, rate_hz=args.rate) as recorder:
        captured = clock_after(recorder, args.id_file)
        print("recording", flush=True)  # noqa: T201
        for _ in range(args.pictures):
            if os.getppid() != parent:  # the soak was killed
                break
            moment = captured.time_at(time.monotonic())
            if recorder.record(noise(pixels), captured=moment, steering=0.0, throttle=0.3):
                print(format_img_id(moment), recorder.progress.written, flush=True)  # noqa: T201
            if random.random() < 0.02:
                recorder.erase(random.uniform(0.01, 0.2))
            if random.random() < 0.02:
                recorder.pause()
            time.sleep(1 / args.rate)
        print("closing", flush=True)  # noqa: T201
        recorder.close()
    if recorder.report.stopped or recorder.report.unmerged:
        raise RecordingFailed(f"{args.folder}: {recorder.report.stopped}{recorder.report.unmerged}")
    return exit_codes.DONE


if __name__ == "__main__":
    raise SystemExit(process.run(main))
