"""How long it takes to read and check the labels of a file: quickly, and the careful way.

python -m tests.benchmarks label_reading

Both in turn, in processor time, each in a process of its own, as a script is, since memory that was
used before is slower. The file is as the toolkit writes it, with the settings of a real car and two
fields of the team's own.
"""

import json
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path
from statistics import median

import msgspec

import path
from common import strict_json
from get_data.cli import arguments
from get_data.labels import edits, label_file, validation
from get_data.labels.classes import Classes
from tests.conftest import START

ASKED_S = 1.5  # for 100,000 labels


def write_labels(file: Path, count: int) -> None:
    """Write a label file whose hashes and values are random."""
    values = random.Random(1)
    setting = json.loads(path.HARDWARE_CONF.read_bytes()) | {"run": {"max_throttle": 0.5}}
    with label_file.open_writer(file) as writer:
        for number in range(count):
            label = edits.new_label(
                captured=START + timedelta(milliseconds=50 * number),
                picture=values.randbytes(32),
                width=160,
                height=120,
                steering=values.uniform(-1, 1),
                throttle=values.uniform(0, 0.5),
                classes=Classes(max_throttle=0.5),
                session={"event": "test day", "driver": "Zoé", "weather": "sunny", "lap": 3},
                car_setting=setting,
                session_id="20240501T12-00-00-000000-7f3a",
            )
            writer.add(label["img_id"], msgspec.json.encode(label))


def check(file: Path) -> int:
    return sum(1 for _ in label_file.iter_checked(file))


def read(file: Path) -> int:
    return len(label_file.read(file))


def read_carefully(file: Path) -> int:
    labels = strict_json.read(file)
    for label in labels.values():
        validation.parse(label)
    return len(labels)


WAYS: dict[str, Callable[[Path], int]] = {
    "checked, one in memory at a time": check,
    "checked, all in memory": read,
    "the careful way, all in memory": read_carefully,
}


def cpu_s(name: str, file: Path, count: int) -> float:
    """Processor time of one of the ways."""
    start = time.process_time()
    assert WAYS[name](file) == count
    return time.process_time() - start


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--labels", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    in_a_fresh_process = ProcessPoolExecutor(
        1, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1
    )
    with (
        tempfile.TemporaryDirectory(dir=path.ROOT, prefix="bench-") as folder,
        in_a_fresh_process as process,
    ):
        file = Path(folder, label_file.NAME)
        write_labels(file, args.labels)
        for _ in range(args.rounds):
            for name in WAYS:
                taken[name].append(process.submit(cpu_s, name, file, args.labels).result())
    print("| labels are | us a label, median | CPU s for 100,000 | asked |")  # noqa: T201
    print("|---|---|---|---|")  # noqa: T201
    for name, seconds in taken.items():
        label_s = median(seconds) / args.labels
        print(f"| {name} | {label_s * 1e6:.1f} | {label_s * 1e5:.2f} | {ASKED_S} s |")  # noqa: T201
