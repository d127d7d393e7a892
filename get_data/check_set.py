"""Look for what is wrong with a recorded or fetched set: labels, delay, balance, gaps.

    python get_data/check_set.py training/left
    python get_data/check_set.py training/left --html report.html

It suggests and never changes. With --html, a page with curves and pictures is written as well.
"""

import os
import sys

# runs uninstalled, from any folder
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from common import early_signals

if __name__ == "__main__":
    early_signals.exit_on_signal()  # the other imports take time

import argparse
from collections.abc import Sequence

from common import signals
from get_data.cli import arguments, process

SEED = arguments.integer_between(0, 10**9, "as a seed")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument(
        "pictures",
        type=arguments.path_argument,
        metavar="DIR",
        help="folder of pictures with a label file",
    )
    parser.add_argument(
        "--html",
        type=arguments.path_argument,
        metavar="FILE",
        help="write a page to look at: one file, with curves and pictures",
    )
    parser.add_argument(
        "--seed",
        type=SEED,
        default=0,
        metavar="N",
        help="choice of the balanced sample (default: 0)",
    )
    parser.add_argument("--json", action="store_true", help="print the JSON on a terminal as well")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)
    with signals.exit_while_importing():
        from get_data.commands import check_set
    return check_set.run(args)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
