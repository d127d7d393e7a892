"""Show what a database holds: drives with their days, people, classes and sizes.

    python get_data/show_database.py
    python get_data/show_database.py -q get_data/queries/hard_left.json

A line is a drive, or, for labels without a session_id, a day's labels of one event, track and
driver. Frozen sets follow, whatever was searched. Nothing is fetched.
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
        "-q",
        "--query",
        type=arguments.utf8_text,
        metavar="QUERY_FILE_OR_JSON",
        help="search query, as a file or as JSON (default: all labels)",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)
    with signals.exit_while_importing():
        from get_data.commands import show_database
    return show_database.run(args)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
