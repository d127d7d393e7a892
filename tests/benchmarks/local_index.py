"""The label index of one machine: what goes in a second, and what a search takes.

python -m tests.benchmarks.local_index

Asked: a selective search among 200,000 labels under 50 ms, and all of them written to a label file
within 150 MB.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from common import times
from get_data.cli import arguments
from get_data.database.local.label_index import SqliteIndex
from get_data.database.search.search_query import parse_search_query
from get_data.labels import edits
from get_data.labels.classes import Classes
from get_data.labels.schema import Document
from tests.benchmarks.processes import run_script
from tests.benchmarks.recorder import say
from tests.conftest import START

BATCH = 1000
EVENTS = 100
SELECTIVE_MS, STREAMED_MB = 50, 150


def documents(count: int) -> Iterator[Document]:
    """Labels of drives at 20 Hz, one event after the other, a day each."""
    each = max(count // EVENTS, 1)
    for number in range(count):
        event, place = divmod(number, each)
        yield edits.new_label(
            captured=START + timedelta(days=event, milliseconds=50 * place),
            picture=str(number).encode(),
            width=160,
            height=120,
            steering=(number * 7919 % 2001) / 1000 - 1,
            throttle=0.3,
            classes=Classes(),
            session={"event": f"event {event}", "track": "school", "driver": "Zoé"},
            car_setting={"car": "patate", "camera": {"rate_hz": 20, "width": 160}},
        ) | {"s3_bucket": "local", "s3_key": f"pictures/{number}.jpg"}


QUERIES = {
    "ten ids": lambda ids: {"img_id": {"type": "terms", "value": ids[:10]}},
    "a prefix of `img_id`": lambda ids: {"img_id": {"type": "prefix", "value": ids[0][:15]}},
    "10 s of `timestamp`": lambda _: {
        "timestamp": {
            "type": "range",
            "gte": times.format_time(START),
            "lt": times.format_time(START + timedelta(seconds=10)),
        }
    },
    "one event": lambda _: {"event": {"type": "term", "value": "event 7"}},
    "one event, hardest left": lambda _: {
        "event": {"type": "term", "value": "event 7"},
        "label.label_direction": {"type": "term", "value": 0},
    },
    "hardest left": lambda _: {"label.label_direction": {"type": "term", "value": 0}},
    "a word of a sentence": lambda _: {"event": {"type": "match", "field": "text", "query": "7"}},
}
NOT_SELECTIVE = ("hardest left", "a word of a sentence")


def fill(index: SqliteIndex, count: int) -> tuple[float, list[str]]:
    """Creates so many labels; returns how many went in a second, and some ids."""
    seconds, ids, batch = 0.0, [], []
    for one in documents(count):
        batch.append(one)
        if len(batch) == BATCH:
            start = time.perf_counter()
            index.create(batch)
            seconds += time.perf_counter() - start
            ids.append(batch[0]["img_id"])
            batch = []
    return count / seconds, ids


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--labels", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        index = SqliteIndex(Path(folder) / "database")
        created, ids = fill(index, args.labels)
        say(f"\n| {args.labels:,} labels in SQLite | found | figure | asked |")
        say("|---|---|---|---|")
        say(f"| created | | {created:,.0f} a second | |")
        for name, of_ids in QUERIES.items():
            query = parse_search_query(of_ids(ids))
            took_ms = []
            for _ in range(args.rounds):
                start = time.perf_counter()
                found = sum(1 for _ in index.search(query))
                took_ms.append((time.perf_counter() - start) * 1000)
            ms = statistics.median(took_ms)
            verdict = "" if ms < SELECTIVE_MS else ", missed"
            asked = "" if name in NOT_SELECTIVE else f"{SELECTIVE_MS} ms{verdict}"
            say(f"| {name} | {found:,} | {ms:,.1f} ms | {asked} |")
        index.close()
        run = run_script(
            "search_and_download.py",
            ["--no-download", "-p", f"{folder}/found"],
            {"PATATE_HOME": folder},
        )
        found = json.loads(run.output)["found"]
        verdict = "" if run.peak_mb < STREAMED_MB else ", missed"
        say(
            f"| all into `labels.json`, whole process | {found:,} "
            f"| {run.seconds:.1f} s, {run.peak_mb:.0f} MB | {STREAMED_MB} MB{verdict} |"
        )


if __name__ == "__main__":
    sys.exit(main())
