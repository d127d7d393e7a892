"""Exports of a large set: processor time and memory of each format.

python -m tests.benchmarks exports

Asked: 100,000 pictures in 60 s of processor time each. They are 160x120, of a simulated drive.
"""

import json
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import cv2
import msgspec

from car.clock import VirtualClock
from car.interfaces import Command
from car.simulator.camera import SimulatedCamera
from car.simulator.motors import SimulatedMotors
from car.simulator.pad import SimulatedPad
from car.simulator.world import World
from get_data.cli import arguments
from get_data.labels import edits, label_file
from get_data.labels.classes import Classes
from get_data.sets.exporting.format_names import FORMATS
from tests.benchmarks.processes import run_script
from tests.benchmarks.recorder import say
from tests.conftest import START

ASKED_S = 60
DIFFERENT, DRIVE = 500, 5000  # pictures that are not the same; pictures of a drive
RATE_HZ = 20


def drive() -> list[tuple[bytes, Command]]:
    """Return pictures of a simulated drive with what its driver did."""
    world = World("school", seed=1, clock=VirtualClock())
    camera = SimulatedCamera(world, width_px=160, height_px=120, rate_hz=RATE_HZ)
    pad, motors = SimulatedPad(world), SimulatedMotors(world)
    found = []
    for _ in range(DIFFERENT):
        pixels = camera.capture().pixels
        command = pad.read().command
        motors.apply(Command(command.steering, command.throttle * world.max_throttle))
        picture = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
        found.append((picture, command))
    return found


def fill(folder: Path, count: int) -> None:
    """Create a set of so many labels and pictures."""
    pictures = drive()
    with label_file.open_writer(folder / label_file.NAME) as labels:
        for number in range(count):
            picture, command = pictures[number % DIFFERENT]
            label = edits.new_label(
                captured=START + timedelta(seconds=number / RATE_HZ + 60 * (number // DRIVE)),
                picture=picture,
                width=160,
                height=120,
                steering=command.steering,
                throttle=command.throttle,
                classes=Classes(),
                session={"event": "test day", "driver": "Zoé"},
                car_setting={"car": "patate", "run": {"max_throttle": 1.0}},
                session_id=f"20240501T12-00-00-000000-{number // DRIVE:04x}",
            )
            labels.add(label["img_id"], msgspec.json.encode(label))
            (folder / label["file_name"]).write_bytes(picture)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--format", choices=FORMATS, help="one of them alone")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place) / "set"
        folder.mkdir()
        fill(folder, args.pictures)
        say("\n| export_set.py | pictures | CPU s | wall s | peak MB | asked CPU s |")
        say("|---|---|---|---|---|---|")
        for name in [args.format] if args.format else FORMATS:
            out = Path(place) / name
            options = [str(folder), "-o", str(out), "--format", name]
            run = run_script("export_set.py", options, {})
            count = json.loads(run.output)["exported"]
            missed = "" if run.cpu_s < ASKED_S else ", missed"
            say(
                f"| {name} | {count:,} | {run.cpu_s:.1f} | {run.seconds:.1f} "
                f"| {run.peak_mb:.0f} | {ASKED_S}{missed} |"
            )


if __name__ == "__main__":
    main()
