"""Correct labels in a browser, one key per label, and export a new label file.

    python get_data/run_labelizer.py training/left

Open the address that it prints. Pictures and label file are never changed; each edit is saved in a
work file beside the label file, and the next start continues there. Press Ctrl-C to stop. Apply
the exported file with upload_to_db.py.
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
from get_data.cli import arguments, people, process


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument(
        "pictures",
        type=arguments.path_argument,
        metavar="PICTURES",
        help="folder of pictures, with or without a label file",
    )
    parser.add_argument(
        "--labels",
        type=arguments.path_argument,
        metavar="FILE",
        help="label file (default: PICTURES/labels.json)",
    )
    parser.add_argument(
        "--compare",
        type=arguments.path_argument,
        metavar="FILE",
        help="label file of another person for the same pictures, to compare with",
    )
    parser.add_argument(
        "--user",
        type=people.person_name,
        metavar="NAME",
        help="your name, for created_by of corrected labels (default: your login name)",
    )
    parser.add_argument(
        "--port",
        type=arguments.PORT,
        default=8000,
        metavar="N",
        help="port on 127.0.0.1 (default: 8000)",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)
    with signals.exit_while_importing():
        from get_data.commands import run_labelizer
    return run_labelizer.run(args)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
