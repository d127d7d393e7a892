"""Remove pictures from this machine that the database has, the oldest first.

    python get_data/free_space.py drives/monday drives/tuesday --until 20%

A picture goes only if its file, its labels and the stored picture are proven to be the same, by
hash. Label files and everything else stay. Fetch pictures again with search_and_download.py.
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
        nargs="+",
        type=arguments.path_argument,
        metavar="DIR",
        help="folder of pictures with their labels.json",
    )
    parser.add_argument(
        "--until",
        type=arguments.percentage,
        default=0.2,
        metavar="SHARE",
        help="share of the disk that is to be free (default: 20%%; 100%% removes all it may)",
    )
    arguments.add_dry_run_option(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)
    with signals.exit_while_importing():
        from get_data.commands import free_space
    return free_space.run(args)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
