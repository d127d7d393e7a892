"""Frozen sets of 100,000 labels: their size, and the processor time that they take.

python -m tests.benchmarks frozen_sets

Asked: 1 MB for 10,000 labels, and two sets compared in 2 s.
"""

import hashlib
import json
import random
import resource
import tempfile
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec

from common.times import format_time
from get_data.cli import arguments
from get_data.database.frozen.frozen_file import FrozenSetReader, FrozenSetWriter
from get_data.database.interfaces import picture_key
from get_data.database.local.picture_store import LocalPictureStore
from get_data.labels import edits, ids, label_file, label_lines
from get_data.labels.classes import Classes
from get_data.sets import fetched_set, set_diff
from tests.benchmarks.recorder import say
from tests.conftest import START, picture

SETS = 100
NAMES = ("first", "second")


def fill(file: Path, count: int, corrected: float) -> None:
    """Write so many labels, of which a share differs from those of another call."""
    generator, changes = random.Random(1), random.Random(2)
    label = edits.new_label(
        captured=START,
        picture=picture(0),
        width=160,
        height=120,
        steering=0.0,
        throttle=0.0,
        classes=Classes(),
        session={"event": "test day", "driver": "Zoé"},
        car_setting={"car": "patate", "run": {"max_throttle": 1.0}},
        session_id="20240501T12-00-00-000000-0001",
    )
    with label_file.open_writer(file) as labels:
        for number in range(count):
            taken = START + timedelta(microseconds=50_000 * number + number % 1999)
            img_id, time = ids.format_img_id(taken), format_time(taken)
            sha256 = f"{generator.getrandbits(256):064x}"
            steering, throttle = generator.uniform(-1, 1), generator.uniform(0, 1)
            label |= {
                "img_id": img_id,
                "file_name": f"{img_id}.jpg",
                "timestamp": time,
                "s3_bucket": "our-pictures",
                "s3_key": picture_key(img_id, sha256),
                "picture_sha256": sha256,
                "upload_date": format_time(START + timedelta(microseconds=700 * number)),
                "label_fingerprint": f"{generator.getrandbits(128):032x}",
                "comment": "corrected" if changes.random() < corrected else "",
            }
            label["label"] |= {"created_on_date": time, "label_direction": number // 20 % 5}
            label["label"] |= {"raw_direction": steering, "steering": steering}
            label["label"] |= {"raw_speed": throttle, "throttle": throttle}
            labels.add(img_id, msgspec.json.encode(label))


def encode(file: Path) -> bytes:
    """Return the object of a set."""
    raw = file.read_bytes()
    lines = list(label_lines.read(raw.splitlines(keepends=True)))
    writer = FrozenSetWriter(
        count=len(lines), sha256=hashlib.sha256(raw).hexdigest(), description=b"{}"
    )
    for line in lines:
        writer.add_picture(json.loads(line.document)["s3_key"])
    return writer.close(lines)


def measure(what: str, action: Callable[[], object]) -> None:
    """Run an action and print the processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    action()
    after = resource.getrusage(resource.RUSAGE_SELF)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    say(f"{what:48} {spent:6.2f} s")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print a line for each figure."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--labels", type=arguments.positive_integer, default=100_000)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "first.json", Path(folder) / "second.json"
        fill(first, args.labels, 0)
        fill(second, args.labels, 0.05)
        made: list[bytes] = []
        measure("freezing (compressing)", lambda: made.append(encode(first)))
        content = made[0]
        say(f"{'size for 10,000 labels':48} {len(content) / args.labels / 100:6.2f} MB")
        measure("reading all labels", lambda: list(FrozenSetReader(iter([content])).lines()))
        read = fetched_set.read_lines
        measure(
            "two folders compared, 5% differ",
            lambda: set_diff.compare(read(first), read(second), NAMES),
        )
        measure(
            "a folder and a frozen set compared",
            lambda: set_diff.compare(read(second), FrozenSetReader(iter([content])).lines(), NAMES),
        )
        store = LocalPictureStore(Path(folder) / "store")
        for number in range(SETS):
            store.put_new_set(f"sets/base{number}-0123456789ab.json.gz", content)
        keys = [f"pictures/other/x{number}-0123456789ab.jpg" for number in range(1000)]
        for what in ("1,000 keys asked of 100 sets, first", "the next 1,000 keys"):
            measure(what, lambda: store.find_set_references(keys))
    return 0
