"""Draw the pictures of a folder on one sheet, each with its label.

    python get_data/contact_sheet.py training/left

A needle shows the steering, a bar the throttle, the numbers their classes.
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

MAX_PICTURES = arguments.integer_between(1, 2000, "pictures on a sheet")  # half a gigabyte


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
        metavar="PNG",
        help="PNG file to write (default: DIR/contact_sheet.png)",
    )
    parser.add_argument(
        "--most",
        type=MAX_PICTURES,
        default=42,
        metavar="N",
        help="maximum number of pictures, evenly chosen (default: 42, at most 2000)",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)
    with signals.exit_while_importing():
        from get_data.commands import contact_sheet
    return contact_sheet.run(args)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
