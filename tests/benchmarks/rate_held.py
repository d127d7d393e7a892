"""Whether the rate is held with a busy core and a disk that stalls for 300 ms every 5 s.

python -m tests.benchmarks.rate_held

Scored against the schedule, by the times stored with the pictures, not by the drive's counters.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import path
from car.clock import RealClock
from car.drive import Drive, DriveLimits
from car.simulator.camera import SimulatedCamera
from car.simulator.motors import GuardedSimulatedMotors
from car.simulator.pad import SimulatedPad
from car.simulator.world import World
from get_data.cli import arguments
from get_data.labels import ids, label_file
from get_data.labels.classes import Classes
from get_data.recording.capture_clock import CaptureClock
from get_data.recording.recorder import Recorder

STALL_S, STALL_EVERY_S = 0.3, 5.0


def burn(until: float) -> None:
    """Keeps a core busy."""
    while time.time() < until:
        sum(range(1000))


def stall(writer: int, over: threading.Event) -> None:
    """Stands the writing process still, again and again."""
    while not over.wait(STALL_EVERY_S - STALL_S):
        os.kill(writer, signal.SIGSTOP)
        time.sleep(STALL_S)
        os.kill(writer, signal.SIGCONT)


def held(folder: Path, rate_hz: float, seconds: float) -> str:
    """Drives and records; returns the row of the table."""
    clock = RealClock()
    world = World(seed=1, clock=clock)
    over = threading.Event()
    context = multiprocessing.get_context("spawn")
    burning = context.Process(target=burn, args=(time.time() + seconds + 5,), daemon=True)
    burning.start()
    with Recorder(
        folder, session={}, car_setting={}, classes=Classes(), rate_hz=rate_hz, jpeg_quality=90
    ) as recorder:
        captured = CaptureClock()
        drive = Drive(
            camera=SimulatedCamera(world, width_px=160, height_px=120, rate_hz=rate_hz),
            pad=SimulatedPad(world),
            motors=GuardedSimulatedMotors(world),
            clock=clock,
            limits=DriveLimits(world.max_throttle),
            on_frame=lambda _frame: None,
            on_picture=lambda frame, command: recorder.record(
                frame.pixels,
                captured=captured.time_at(frame.captured_s),
                steering=command.steering,
                throttle=command.throttle,
            ),
            on_erase=lambda: None,
            on_pause=lambda: None,
        )
        stalling = threading.Thread(target=stall, args=(recorder._writer.pid, over))
        stalling.start()
        drive.run(seconds)
        over.set()
        stalling.join()
    burning.terminate()
    burning.join()
    moments = [ids.parse_img_id(one) for one in sorted(label_file.read(folder / label_file.NAME))]
    taken_s = np.array([one.timestamp() for one in moments if one])
    gaps = np.diff(taken_s) * rate_hz
    never_made = round((taken_s[-1] - taken_s[0]) * rate_hz) + 1 - len(taken_s)
    timing = drive.timing
    return (
        f"| {rate_hz:g} Hz | {len(taken_s)} | {recorder.dropped} | {never_made} "
        f"| {np.mean(np.abs(gaps - 1) <= 0.1):.3f} | {gaps.max() / rate_hz * 1000:.0f} "
        f"| {timing.skipped} of {timing.ticks} "
        f"| {timing.percentile_s(50) * 1000:.2f}, {timing.percentile_s(99) * 1000:.2f}, "
        f"{timing.percentile_s(100) * 1000:.2f} |"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    args = parser.parse_args(argv)
    print(  # noqa: T201
        "| rate | pictures | dropped | never made | within 10 % of the period | longest gap ms "
        "| control ticks skipped | control late ms: p50, p99, max |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for rate_hz in (20.0, 60.0):
        with tempfile.TemporaryDirectory(dir=path.ROOT, prefix="bench-") as folder:
            print(held(Path(folder) / "drive", rate_hz, args.seconds), flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
