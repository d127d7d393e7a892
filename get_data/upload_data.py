"""Upload recordings: pictures to the picture store, labels to the label index.

    python get_data/upload_data.py drives/monday drives/tuesday

Takes folders recorded by run_manual.py, or label files. Safe to run again: only missing pictures
and labels are sent. Labels that were corrected or deleted in the database are left out.
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
        "labels",
        nargs="*",
        type=arguments.path_argument,
        metavar="LABELS_OR_DIR",
        help="label file or its folder",
    )
    arguments.add_pictures_option(parser)
    arguments.add_dry_run_option(parser)
    parser.add_argument(
        "--restore", action="store_true", help="also restore labels that were deleted or corrected"
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read pictures that are in the database already and replace damaged ones",
    )
    parser.add_argument(
        "--create-bucket", action="store_true", help="create the team's bucket if it does not exist"
    )
    parser.add_argument(
        "--new-index",
        action="store_true",
        help="create an empty index after the old one was lost, along with its corrections and "
        "deletions",
    )
    parser.add_argument(
        "--update-index",
        action="store_true",
        help="only add to the label index the fields that an earlier version lacks; with --dry-run "
        "print the requests, for an administrator",
    )
    args = parser.parse_args(argv)
    if not (args.labels or args.update_index):
        parser.error("the following arguments are required: LABELS_OR_DIR, or --update-index")
    if args.labels and args.update_index:
        parser.error("--update-index uploads nothing: omit LABELS_OR_DIR")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)
    with signals.exit_while_importing():
        from get_data.commands import upload_data
    return upload_data.run(args)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
