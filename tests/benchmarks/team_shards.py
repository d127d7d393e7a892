"""A search of all labels on a cluster: an index of many shards beside one of a single shard.

python -m tests.benchmarks team_shards

Both indices are on the same three nodes and have the same labels; whole processes, in turn. The
answer is sorted, so that of many shards is merged. All nodes are on this machine: what a shard on
another machine's disk and cores would gain is not in the figures. Asked: no slower.
"""

import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import path
from get_data.cli import arguments
from tests.benchmarks.processes import Run, run_script
from tests.benchmarks.recorder import say
from tests.benchmarks.team_labels import fill
from tests.servers.addresses import new_name
from tests.servers.cluster import ElasticsearchCluster
from tests.servers.versity import Versity


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--labels", type=int, default=5_000_000)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--shards", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    if args.shards < 2:
        parser.error("--shards: at least 2, to compare with one")
    with (
        tempfile.TemporaryDirectory(dir=path.ROOT, prefix="bench-") as name,
        ElasticsearchCluster(nodes=args.nodes, heap_mb=1024, quick_start=False) as cluster,
        Versity() as versity,
    ):
        runs: dict[int, list[Run]] = {1: [], args.shards: []}
        environments = {}
        for shards in runs:
            node = replace(cluster.nodes[0].cluster, shards=shards)
            environments[shards] = {
                **node.environment(new_name("labels")),
                **versity.gateway.environment(versity.gateway.make_bucket()),
            }
            speed = fill(environments[shards], args.labels)
            say(f"{args.labels:,} labels in {shards} shards, {speed:,.0f} a second")
        for number in range(args.rounds):
            for shards, environment in environments.items():
                folder = Path(name, f"found-{shards}-{number}")
                options = ["--no-download", "-p", str(folder)]
                runs[shards].append(run_script("search_and_download.py", options, environment))
                assert json.loads(runs[shards][-1].output)["found"] == args.labels
    say("\n| a search of all labels | s | labels/s | peak MB | client CPU s | load |")
    say("|---|---|---|---|---|---|")
    for shards, found in runs.items():
        seconds = statistics.median(one.seconds for one in found)
        say(
            f"| {args.nodes} nodes, {shards} shards | {seconds:.1f} | {args.labels / seconds:,.0f} "
            f"| {statistics.median(one.peak_mb for one in found):.0f} "
            f"| {statistics.median(one.cpu_s for one in found):.1f} "
            f"| {statistics.median(one.load for one in found):.1f} |"
        )
    ratio = statistics.median(
        one.seconds / many.seconds for one, many in zip(*runs.values(), strict=True)
    )
    say(f"\nSpeed of {args.shards} shards / of one: {ratio:.2f} (asked: 1.0, aim 2.0).")


if __name__ == "__main__":
    sys.exit(main())
