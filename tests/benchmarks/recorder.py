"""How many pictures a second the recorder takes, beside donkeycar's `Tub.write_record`.

python -m tests.benchmarks.recorder

Both write the same frames, at JPEG quality 75 (which donkeycar uses), in turn, on the same disk.
The recorder also hashes each picture, renames it into place and syncs once a second; its time runs
until the last picture and its label are written. donkeycar is installed into an environment of its
own.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np

import path
from car.clock import VirtualClock
from car.interfaces import Command
from car.simulator.camera import SimulatedCamera
from car.simulator.motors import SimulatedMotors
from car.simulator.pad import SimulatedPad
from car.simulator.world import World
from get_data.cli import arguments
from get_data.labels.classes import Classes
from get_data.recording.recorder import Recorder
from tests.conftest import START

PEER = path.ROOT / ".venv-donkeycar"
PEER_NEEDS = ("donkeycar==5.3.0", "opencv-python-headless<4.12")
RESOLUTIONS = ((160, 120), (320, 240), (640, 480))
ASKED = {(160, 120): 2.0, (320, 240): 1.4, (640, 480): 1.2}
QUALITY = 75
PACED_HZ = 60.0


def peer_python() -> str:
    """The Python of an environment with donkeycar, made when it is not there yet."""
    python = PEER / "bin" / "python"
    if not (PEER / "ready").exists():
        venv.create(PEER, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEER_NEEDS], check=True)
        (PEER / "ready").touch()
    return str(python)


def frames(width_px: int, height_px: int, count: int = 100) -> np.ndarray:
    """Different pictures of a simulated drive."""
    world = World(seed=1, clock=VirtualClock())
    camera = SimulatedCamera(world, width_px=width_px, height_px=height_px, rate_hz=5)
    pad, motors = SimulatedPad(world), SimulatedMotors(world)
    taken = []
    for _ in range(count):
        taken.append(camera.capture().pixels)
        wish = pad.read().command
        motors.apply(Command(wish.steering, wish.throttle * world.max_throttle))
    return np.stack(taken)


def ours(pictures: np.ndarray, folder: Path, count: int, rate_hz: float) -> dict:
    """What the recorder takes, in the form that donkeycar_tub.py has."""
    height, width = pictures[0].shape[:2]
    calls = []
    with Recorder(
        folder,
        session={"driver": "nobody"},
        car_setting={"car": "benchmark"},
        classes=Classes(),
        rate_hz=60.0,
        resolution=(width, height),
        jpeg_quality=QUALITY,
    ) as recorder:
        start = time.perf_counter()
        for number in range(count):
            picture = pictures[number % len(pictures)]
            captured = START + timedelta(milliseconds=10 * number)
            before = time.perf_counter()
            while not recorder.record(picture, captured=captured, steering=0.1, throttle=0.3):
                time.sleep(0.0005)
                before = time.perf_counter()
            calls.append(time.perf_counter() - before)
            if rate_hz:
                time.sleep(max(0.0, start + (number + 1) / rate_hz - time.perf_counter()))
        while recorder.progress.written < count:
            time.sleep(0.0005)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "calls": calls}


def theirs(pictures: np.ndarray, folder: Path, count: int, rate_hz: float) -> dict:
    """What donkeycar takes."""
    file = folder.with_suffix(".npy")
    np.save(file, pictures)
    script = Path(__file__).with_name("donkeycar_tub.py")
    done = subprocess.run(
        [peer_python(), script, file, folder, str(count), str(rate_hz)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def micros(calls: Sequence[float], percent: int) -> float:
    """A percentile of the calls, in microseconds."""
    return float(np.percentile(calls, percent)) * 1e6


def flat_out(folder: Path, rounds: int, count: int) -> None:
    """Pictures a second, in turn, round by round."""
    say("| flat out | ours, pictures/s | donkeycar, pictures/s | ratio, median of rounds | asked |")
    say("|---|---|---|---|---|")
    for width, height in RESOLUTIONS:
        pictures = frames(width, height)
        rates: list[tuple[float, float]] = []
        for number in range(rounds):
            here = folder / f"{width}-{number}"
            mine = ours(pictures, here / "ours", count, 0)["seconds"]
            (here / "theirs").mkdir()
            his = theirs(pictures, here / "theirs" / "tub", count, 0)["seconds"]
            rates.append((count / mine, count / his))
        ratio = statistics.median(mine / his for mine, his in rates)
        mine, his = (statistics.median(column) for column in zip(*rates, strict=True))
        asked = ASKED[width, height]
        verdict = "" if ratio >= asked else ", missed"
        say(f"| {width}x{height} | {mine:,.0f} | {his:,.0f} | {ratio:.2f} | {asked}{verdict} |")


def one_call(folder: Path, count: int) -> None:
    """What recording one picture takes from the drive, at a steady rate."""
    say("")
    say(
        f"| one call at {PACED_HZ:g} Hz | ours p50, p99 us | donkeycar p50, p99 us "
        "| ratio of p99 (asked: 5) |"
    )
    say("|---|---|---|---|")
    for width, height in RESOLUTIONS:
        pictures = frames(width, height)
        here = folder / f"paced-{width}"
        mine = ours(pictures, here / "ours", count, PACED_HZ)["calls"]
        (here / "theirs").mkdir()
        his = theirs(pictures, here / "theirs" / "tub", count, PACED_HZ)["calls"]
        ratio = micros(his, 99) / micros(mine, 99)
        say(
            f"| {width}x{height} | {micros(mine, 50):.0f}, {micros(mine, 99):.0f} "
            f"| {micros(his, 50):,.0f}, {micros(his, 99):,.0f} "
            f"| {ratio:.1f}{'' if ratio >= 5 else ', missed'} |"
        )


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  the table is the result


def main(argv: Sequence[str] | None = None) -> None:
    """Prints both tables."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=3000)
    parser.add_argument("--paced-pictures", type=int, default=900)
    args = parser.parse_args(argv)
    peer_python()
    with tempfile.TemporaryDirectory(dir=path.ROOT, prefix="bench-") as folder:
        flat_out(Path(folder), args.rounds, args.pictures)
        one_call(Path(folder), args.paced_pictures)


if __name__ == "__main__":
    sys.exit(main())
