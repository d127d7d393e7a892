"""Back up the database into a folder, or bring back from there what it has lost.

    python get_data/back_up.py /media/usb/patate
    python get_data/back_up.py /media/usb/patate --restore

A backup has all labels, tombstones, frozen sets and pictures. Run it again to bring it up to date:
pictures that are there are not copied again. Others may use the database meanwhile. It may be
restored into another database, such as a team's: that is how one moves. What somebody has
corrected, amended or deleted in a database since stays as it is.
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
        "folder", type=arguments.path_argument, metavar="DIR", help="folder of the backup"
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read the pictures that the backup has already and replace damaged ones; read the "
        "database's frozen sets",
    )
    parser.add_argument(
        "--restore", action="store_true", help="bring back what the database has lost"
    )
    arguments.add_dry_run_option(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask before restoring")
    parser.add_argument(
        "--create-bucket",
        action="store_true",
        help="create the team's bucket if it does not exist",
    )
    args = parser.parse_args(argv)
    if args.restore and args.verify:
        parser.error("--verify is for making a backup; a restore checks what it reads")
    for option, is_given in (
        ("--dry-run", args.dry_run),
        ("-y", args.yes),
        ("--create-bucket", args.create_bucket),
    ):
        if is_given and not args.restore:
            parser.error(f"{option} is for --restore")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)
    with signals.exit_while_importing():
        from get_data.commands import back_up
    return back_up.run(args)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
