"""The label index of one machine: what goes in a second, and what a search takes, as it grows.

python -m tests.benchmarks.local_index

Each figure is given for every number of labels, with the exponent of its growth from the smallest
to the largest number: with 1 it grows as the number of labels does. Times are processor time, which
other programs on the machine lengthen less than the time on the clock.

Asked for 1,000,000 labels: a selective search in 50 ms, a word in 0.5 s, 15,000 labels in a second,
all of them written to a label file in 15 s and 150 MB; exponents of 1.05.
"""

import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from common import times
from get_data.cli import arguments
from get_data.database.local.label_index import SqliteIndex
from get_data.database.search.search_query import parse_search_query
from get_data.labels import edits
from get_data.labels.classes import Classes
from get_data.labels.ids import fingerprint, format_img_id, sha256
from get_data.labels.schema import Document
from tests.benchmarks.processes import run_script
from tests.benchmarks.recorder import say
from tests.conftest import START

BATCH = 1000
EVENTS = 100
EXPONENT = 1.05
STREAMED_MB = 150
CREATED_US = 1e6 / 15_000


def documents(count: int) -> Iterator[Document]:
    """Labels of drives at 20 Hz, one event after the other, a day each."""
    each = max(count // EVENTS, 1)
    classes = Classes()
    made = edits.new_label(
        captured=START,
        picture=b"",
        width=160,
        height=120,
        steering=0.0,
        throttle=0.3,
        classes=classes,
        session={"event": "", "track": "school", "driver": "Zoé"},
        car_setting={"car": "patate", "camera": {"rate_hz": 20, "width": 160}},
    )
    for number in range(count):
        event, place = divmod(number, each)
        captured = START + timedelta(days=event, milliseconds=50 * place)
        img_id, time_text = format_img_id(captured), times.format_time(captured)
        picture = str(number).encode()
        steering = (number * 7919 % 2001) / 1000 - 1
        annotation = made["label"] | {
            "created_on_date": time_text,
            "label_direction": classes.direction(steering),
            "raw_direction": steering,
            "steering": steering,
        }
        yield made | {
            "img_id": img_id,
            "file_name": f"{img_id}.jpg",
            "timestamp": time_text,
            "event": f"event {event}",
            "picture_size": len(picture),
            "picture_sha256": sha256(picture),
            "label": annotation,
            "label_fingerprint": fingerprint(img_id, annotation),
            "s3_bucket": "local",
            "s3_key": f"pictures/{number}.jpg",
        }


@dataclass
class Figure:
    """A figure by number of labels, in milliseconds, and how many labels it was for.

    `asked`: milliseconds for the largest number, None for no bound.
    """

    name: str
    asked: float | None
    ms: list[float] = field(default_factory=list)
    found: int = 0

    def exponent(self, sizes: Sequence[int]) -> float:
        """Return the growth of the figure with the number of labels."""
        return math.log(self.ms[-1] / self.ms[0]) / math.log(sizes[-1] / sizes[0])

    def verdict(self, sizes: Sequence[int]) -> str:
        """Return what was asked, and whether it was missed."""
        is_missed = self.asked is not None and self.ms[-1] > self.asked
        asked = "" if self.asked is None else f"{self.asked:,.0f} ms"
        missed = [asked] * is_missed + ["exponent"] * (self.exponent(sizes) > EXPONENT)
        return asked + (f", missed: {', '.join(missed)}" if missed else "")


QUERIES: dict[str, tuple[float | None, Callable[[list[str]], dict[str, Any]]]] = {
    "ten ids": (50, lambda ids: {"img_id": {"type": "terms", "value": ids[:10]}}),
    "a prefix of `img_id`": (
        50,
        lambda ids: {"img_id": {"type": "prefix", "value": ids[0][:15]}},
    ),
    "10 s of `timestamp`": (
        50,
        lambda _: {
            "timestamp": {
                "type": "range",
                "gte": times.format_time(START),
                "lt": times.format_time(START + timedelta(seconds=10)),
            }
        },
    ),
    "one event": (50, lambda _: {"event": {"type": "term", "value": "event 7"}}),
    "one event, hardest left": (
        50,
        lambda _: {
            "event": {"type": "term", "value": "event 7"},
            "label.label_direction": {"type": "term", "value": 0},
        },
    ),
    "a word of a sentence": (
        500,
        lambda _: {"event": {"type": "match", "field": "text", "query": "7"}},
    ),
    "hardest left, a fifth of all": (
        None,
        lambda _: {"label.label_direction": {"type": "term", "value": 0}},
    ),
}


def fill(index: SqliteIndex, count: int) -> tuple[float, list[str]]:
    """Create so many labels; return the processor seconds that it took, and some ids."""
    seconds, ids, batch = 0.0, [], []
    for one in documents(count):
        batch.append(one)
        if len(batch) == BATCH:
            start = time.process_time()
            index.create(batch)
            seconds += time.process_time() - start
            ids.append(batch[0]["img_id"])
            batch = []
    start = time.process_time()
    index.close()
    return seconds + time.process_time() - start, ids


def measure(index: SqliteIndex, ids: list[str], figures: dict[str, Figure], rounds: int) -> None:
    """Add what each query takes."""
    for name, (asked, of_ids) in QUERIES.items():
        query = parse_search_query(of_ids(ids))
        took = []
        figure = figures.setdefault(name, Figure(name, asked))
        for _ in range(rounds):
            start = time.process_time()
            figure.found = sum(1 for _ in index.search(query))
            took.append((time.process_time() - start) * 1000)
        figure.ms.append(statistics.median(took))


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--labels", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    figures: dict[str, Figure] = {"created": Figure("created", args.labels[-1] * CREATED_US / 1000)}
    streamed = Figure("all into `labels.json`, whole process", 15_000 * args.labels[-1] / 1e6)
    peaks = []
    for size in args.labels:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            index = SqliteIndex(Path(folder) / "database", reuse_connections=True)
            seconds, ids = fill(index, size)
            figures["created"].ms.append(seconds * 1000)
            figures["created"].found = size
            say(f"{size:,} labels are in; load {os.getloadavg()[0]:.0f}")
            measure(index, ids, figures, args.rounds)
            index.close()
            run = run_script(
                "search_and_download.py",
                ["--no-download", "-p", f"{folder}/found"],
                {"PATATE_HOME": folder},
            )
            streamed.found = json.loads(run.output)["found"]
            streamed.ms.append(run.cpu_s * 1000)
            peaks.append(run.peak_mb)
    sizes = " | ".join(f"{size:,}" for size in args.labels)
    say(f"\n| processor ms, labels: | {sizes} | found | exponent | asked |")
    say("|---|" + "---|" * (len(args.labels) + 3))
    for figure in [*figures.values(), streamed]:
        cells = " | ".join(f"{ms:,.1f}" for ms in figure.ms)
        say(
            f"| {figure.name} | {cells} | {figure.found:,} | {figure.exponent(args.labels):.2f} "
            f"| {figure.verdict(args.labels)} |"
        )
    memory = ", ".join(f"{peak:.0f}" for peak in peaks)
    say(
        f"\nPeak MB of the last row: {memory}; asked: {STREAMED_MB}. Load: {os.getloadavg()[0]:.0f}"
    )


if __name__ == "__main__":
    sys.exit(main())
