"""Fetch the pictures whose labels match a search, with a label file for training.

    python get_data/search_and_download.py -q get_data/queries/hard_left.json -p training/left
    python get_data/search_and_download.py --set baseline -p training/baseline

Only missing and damaged pictures are fetched, so the same command updates a folder. Without -q all
labels match; -q takes the name of a query file or the query itself. --count shows first what there
is of each class, drive and person; --sample and --per-class choose from it, --split makes parts for
training, validation and test. --set fetches a set that freeze_set.py has frozen, byte for byte.
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
from get_data.cli import (
    arguments,
    choice_options,
    process,
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = arguments.create_parser(__doc__)
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "-q",
        "--query",
        metavar="QUERY_FILE_OR_JSON",
        help="search query, as a file or as JSON (default: all labels)",
    )
    source.add_argument(
        "--set", type=arguments.name_argument, metavar="NAME", help="fetch a frozen set as it is"
    )
    parser.add_argument(
        "-p",
        "--pictures",
        type=arguments.path_argument,
        metavar="DIR",
        help="folder for the pictures; required except with --count",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=arguments.path_argument,
        metavar="LABELS_JSON",
        help="label file to write (default: DIR/labels.json)",
    )
    parser.add_argument("--no-download", action="store_true", help="write only the label file")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="also check the hash of pictures already in the folder",
    )
    parser.add_argument(
        "--count",
        action="store_true",
        help="only count the pictures of each class, driver and drive",
    )
    choice_options.add(parser)
    parser.add_argument(
        "--allow-empty",
        action="store_true",
        help="replace an earlier label file even if nothing matches",
    )
    parser.add_argument(
        "--prune",
        action="store_true",
        help="remove pictures of earlier fetches that are no longer in the set",
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask before --prune")
    args = parser.parse_args(argv)
    if not args.pictures and not args.count:
        parser.error("the following arguments are required: -p/--pictures")
    if args.set and (args.count or args.allow_empty or choice_options.are_given(args)):
        parser.error(
            "argument --set: a frozen set is fetched whole, as it is: not allowed with --count, "
            "--allow-empty, or an option that chooses or splits"
        )
    if args.prune and (args.output or args.no_download or args.count):
        parser.error("argument --prune: not allowed with -o/--output, --no-download or --count")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)
    with signals.exit_while_importing():
        from get_data.commands import search_and_download
    return search_and_download.run(args)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
