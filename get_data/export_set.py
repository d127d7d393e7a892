"""Write a set for other tools: LeRobot, donkeycar, WebDataset, or a table with pictures.

    python get_data/export_set.py training/left -o training/left-tub --format tub

Pictures keep their bytes; steering and throttle are the corrected ones. The new folder appears when
it is whole, or not at all.
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
from get_data.sets.exporting.format_names import FORMATS


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
        "-o",
        "--output",
        type=arguments.path_argument,
        required=True,
        metavar="OUT",
        help="folder to write; it must not exist",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        required=True,
        help="LeRobotDataset 3.0, donkeycar tub 2, WebDataset, or metadata.csv with pictures",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)
    with signals.exit_while_importing():
        from get_data.commands import export_set
    return export_set.run(args)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
