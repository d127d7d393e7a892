"""Apply a corrected label file: add labels, amend and replace labels, delete marked ones.

    python get_data/upload_to_db.py corrected/labels.json

A label that the database has with other content, such as another track, is amended: the file's
content takes its place. A label with "replaces" replaces the label with that fingerprint. A label
with "to_delete": true is deleted, and so is its picture unless another label or a frozen set needs
it. Counts are shown before anything changes. If the database does not know most of these labels,
you are asked even with -y.
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
        type=arguments.path_argument,
        metavar="LABELS",
        help="label file or its folder",
    )
    arguments.add_pictures_option(parser)
    arguments.add_dry_run_option(parser)
    parser.add_argument(
        "-y", "--yes", action="store_true", help="do not ask before labels are changed or deleted"
    )
    parser.add_argument(
        "--keep-replaced", action="store_true", help="keep the labels that corrections replace"
    )
    parser.add_argument(
        "--skip-overtaken",
        action="store_true",
        help="skip corrections of pictures that were corrected, amended or deleted by others "
        "meanwhile",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)
    with signals.exit_while_importing():
        from get_data.commands import upload_to_db
    return upload_to_db.run(args)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
