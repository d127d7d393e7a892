"""Freeze the set of a fetched folder, so that it can be had again; or throw a frozen set away.

    python get_data/freeze_set.py baseline training/left
    python get_data/freeze_set.py baseline --delete

search_and_download.py fetches it by its name, byte for byte, whatever others have corrected or
deleted since. Its pictures stay in the database until it is thrown away.
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
    parser.add_argument("name", type=arguments.utf8_text, metavar="NAME", help="name of the set")
    parser.add_argument(
        "folder",
        nargs="?",
        type=arguments.path_argument,
        metavar="DIR",
        help="folder that search_and_download.py has fetched",
    )
    parser.add_argument("--delete", action="store_true", help="throw the frozen set away")
    arguments.add_dry_run_option(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask before deleting")
    args = parser.parse_args(argv)
    if args.delete and args.folder:
        parser.error("--delete needs only the NAME: omit DIR")
    if not args.delete and not args.folder:
        parser.error("the following arguments are required: DIR, or --delete")
    if args.yes and not args.delete:
        parser.error("-y is for --delete: freezing does not ask")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)
    with signals.exit_while_importing():
        from get_data.commands import freeze_set
    return freeze_set.run(args)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
