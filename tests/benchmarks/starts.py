"""How much processor time each script takes to print its help.

python -m tests.benchmarks starts --before ../earlier-checkout

With `--before`, the scripts of another checkout are started in turn with these. The yardstick is a
Python that imports argparse and pathlib, and does nothing.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import path
from get_data.cli import arguments
from tests.benchmarks.processes import run
from tests.helpers.scripts import SCRIPTS

ASKED_S, AIM_S = 0.15, 0.1
YARDSTICK = ["-c", "import argparse, pathlib"]


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  the table is the result


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--before", type=arguments.path_argument, metavar="DIR")
    parser.add_argument("--repeats", type=arguments.positive_integer, default=7)
    args = parser.parse_args(argv)
    checkouts = [path.ROOT, *([Path(args.before)] if args.before else [])]
    say(f"load {os.getloadavg()[0]:.1f}; asked {ASKED_S:g} s, aim {AIM_S:g} s\n")
    say(f"| --help of | processor s |{' before |' if args.before else ''} yardstick |")
    say(f"|---|---|---|{'---|' if args.before else ''}")
    for script in SCRIPTS:
        commands = [[str(root / "get_data" / script.name), "--help"] for root in checkouts]
        took_s: list[list[float]] = [[] for _ in (*commands, YARDSTICK)]
        for _ in range(args.repeats):
            for command, found in zip((*commands, YARDSTICK), took_s, strict=True):
                found.append(run([sys.executable, *command], {}).cpu_s)
        medians = " | ".join(f"{median(found):.3f}" for found in took_s)
        say(f"| `{script.name}` | {medians} |")
