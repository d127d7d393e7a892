"""Compare two sets by picture and label.

    python get_data/diff_sets.py training/monday training/tuesday
    python get_data/diff_sets.py baseline training/tuesday

A set is a folder, a label file, or the name of a frozen set. Upload dates and storage keys are
ignored.
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


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = arguments.create_parser(__doc__)
    for name, number in (("first", "A"), ("second", "B")):
        parser.add_argument(
            name,
            type=arguments.name_argument,
            metavar=number,
            help="folder, label file, or name of a frozen set",
        )
    parser.add_argument(
        "--examples",
        type=arguments.integer_between(0, 10**9, "examples"),
        default=10,
        metavar="N",
        help="name at most N pictures of each difference (default: 10)",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)
    with signals.exit_while_importing():
        from get_data.commands import diff_sets
    return diff_sets.run(args)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
