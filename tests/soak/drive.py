"""A drive for the soak: pictures of noise as fast as told, with pauses and erasures among them.

Says on stdout, for each picture that it handed over, its id and how many were written by then;
`recording` before the first of them and `closing` after the last.
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


def recorder(folder: Path, memory: Path, *, rate_hz: float) -> Recorder:
    """A recorder as `run_manual.py` makes it, for small pictures on any disk."""
    return Recorder(
        folder,
        session={"driver": "Zoé"},
        car_setting={"car": "soak"},
        classes=Classes(max_throttle=0.5),
        rate_hz=rate_hz,
        resolution=SIZE,
        jpeg_quality=90,
        min_free_bytes=0,
        last_img_id_file=memory,
    )


def clock_for(to: Recorder, memory: Path) -> CaptureClock:
    """A clock that goes on after all that this car has recorded, as `run_manual.py` makes it."""
    return CaptureClock(after=max(filter(None, (load_last_time(memory), to.newest)), default=None))


def noise(random: np.random.Generator) -> np.ndarray:
    """A picture that is like no other."""
    return random.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)


def main() -> int:
    """Drives; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("memory", type=Path, help="the file that holds the last id")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=300.0)
    parser.add_argument("--pictures", type=int, default=100)
    args = parser.parse_args()
    parent = os.getppid()
    random, pixels = Random(args.seed), np.random.default_rng(args.seed)
    with recorder(args.folder, args.memory, rate_hz=args.rate) as to:
        captured = clock_for(to, args.memory)
        print("recording", flush=True)  # noqa: T201
        for _ in range(args.pictures):
            if os.getppid() != parent:  # the soak was killed
                break
            moment = captured.time_at(time.monotonic())
            if to.record(noise(pixels), captured=moment, steering=0.0, throttle=0.3):
                print(format_img_id(moment), to.progress.written, flush=True)  # noqa: T201
            if random.random() < 0.02:
                to.erase(random.uniform(0.01, 0.2))
            if random.random() < 0.02:
                to.pause()
            time.sleep(1 / args.rate)
        print("closing", flush=True)  # noqa: T201
        to.close()
    if to.report.stopped or to.report.unmerged:
        raise RecordingFailed(f"{args.folder}: {to.report.stopped}{to.report.unmerged}")
    return exit_codes.DONE


if __name__ == "__main__":
    raise SystemExit(process.run(main))
