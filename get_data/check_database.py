"""Compare labels, pictures and recordings; with --repair, put right what differs.

    python get_data/check_database.py drives/monday
    python get_data/check_database.py drives/monday --read-data 5% --repair

Each difference is listed with its remedy. DIR is a recording or a folder of back_up.py: its labels
are expected in the database, and its pictures replace lost and damaged ones.
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
    parser.add_argument(
        "folders",
        nargs="*",
        type=arguments.path_argument,
        metavar="DIR",
        help="recording, or folder of back_up.py, to compare with",
    )
    parser.add_argument(
        "--read-data",
        type=share,
        default=0.0,
        metavar="SHARE",
        help='read a random share of the pictures, such as "5%%", or "all" (default: none)',
    )
    parser.add_argument("--repair", action="store_true", help="repair what can be repaired")
    arguments.add_dry_run_option(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask before deleting")
    args = parser.parse_args(argv)
    if not args.repair and (args.dry_run or args.yes):
        parser.error("without --repair nothing is changed: omit -y and --dry-run")
    return args


def share(text: str) -> float:
    """Parse a share of pictures: "all", or a number of percent above 0."""
    return 1.0 if text == "all" else arguments.percentage(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)
    with signals.exit_while_importing():
        from get_data.commands import check_database
    return check_database.run(args)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
