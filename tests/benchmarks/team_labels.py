"""A search of a million labels with a team's index, beside elasticdump.

python -m tests.benchmarks.team_labels

Whole processes on the same server, in turn. Ours sorts the labels and settles which one of a
picture to keep; elasticdump writes them as they come.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import path
from common.batching import batches
from get_data.cli import arguments
from get_data.database.es_utils import settings as es_settings
from get_data.database.es_utils.label_index import ElasticsearchIndex
from tests.benchmarks import peers
from tests.benchmarks.local_index import documents
from tests.benchmarks.processes import Run, run_script
from tests.benchmarks.recorder import say
from tests.conftest import document
from tests.servers.addresses import new_name
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.versity import Versity


def fill(environment: dict[str, str], count: int) -> float:
    """So many labels are in the index; returns how many went in a second."""
    index = ElasticsearchIndex(es_settings.from_environment(environment))
    index.check(writing=True)
    seconds = 0.0
    for batch in batches(documents(count), 5000):
        start = time.perf_counter()
        index.create(batch)
        seconds += time.perf_counter() - start
    index.find_references([document()["s3_key"]])  # which sees all that was written
    index.close()
    return count / seconds


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    peers.install()
    with (
        tempfile.TemporaryDirectory(dir=path.ROOT, prefix="bench-") as name,
        Elasticsearch(heap_mb=1024, quick_start=False) as server,
        Versity() as versity,
    ):
        folder, index = Path(name), new_name("labels")
        environment = {
            **server.cluster.environment(index),
            **versity.gateway.environment(versity.gateway.make_bucket()),
        }
        say(f"{args.labels:,} labels created, {fill(environment, args.labels):,.0f} a second\n")
        ours: list[Run] = []
        theirs: list[Run] = []
        admin = server.cluster.admin
        for number in range(args.rounds):
            target = folder / f"dump-{number}"
            options = ["--no-download", "-p", str(folder / f"found-{number}")]
            ours.append(run_script("search_and_download.py", options, environment))
            assert json.loads(ours[-1].output)["found"] == args.labels
            login = admin.name, admin.secret
            theirs.append(peers.elasticdump(server.cluster.url, index, login, target))
            with target.open("rb") as file:
                assert sum(1 for _ in file) == args.labels
            target.unlink()
        say("| a search of all labels | s | labels/s | peak MB | client CPU s |")
        say("|---|---|---|---|---|")
        for tool, runs in (("ours", ours), ("elasticdump", theirs)):
            seconds = statistics.median(one.seconds for one in runs)
            say(
                f"| {tool} | {seconds:.1f} | {args.labels / seconds:,.0f} "
                f"| {statistics.median(one.peak_mb for one in runs):.0f} "
                f"| {statistics.median(one.cpu_s for one in runs):.1f} |"
            )
        faster = statistics.median(
            his.seconds / mine.seconds for mine, his in zip(ours, theirs, strict=True)
        )
        smaller = statistics.median(
            his.peak_mb / mine.peak_mb for mine, his in zip(ours, theirs, strict=True)
        )
        say(
            f"\n{faster:.2f} times elasticdump's labels a second (asked: 1.6), "
            f"with 1/{smaller:.1f} of its memory (asked: 1/3)."
        )


if __name__ == "__main__":
    sys.exit(main())
