"""Import a drive that another tool has recorded, as a recording of this toolkit.

    python get_data/import_drive.py ~/mycar/data/tub_3 -o drives/tub_3

Reads donkeycar tubs (v2 and v1), labels of the original project (42ai_autonomous_cars), and folders
of pictures without labels. The source is not changed. Run it again to complete an import.
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
from get_data.cli import arguments, process, session_options
from get_data.labels.constants import MAX_CLASSES
from get_data.sets.importing.format_names import FORMATS

DIRECTIONS, SPEEDS = 5, 2

_SHARE = arguments.number_between(0.01, 1, "of full throttle")
_DIRECTIONS = arguments.integer_between(2, MAX_CLASSES, "classes")
_SPEEDS = arguments.integer_between(1, MAX_CLASSES, "classes")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = arguments.create_parser(__doc__)
    add = parser.add_argument
    add(
        "source",
        type=arguments.path_argument,
        metavar="SOURCE",
        help="folder of the drive; for the original project also one label file",
    )
    add(
        "-o",
        "--output",
        type=arguments.path_argument,
        metavar="DIR",
        required=True,
        help="output folder, for this source alone",
    )
    add("--format", choices=FORMATS, help="format of the source (default: recognised)")
    for option, number, default, attribute in (
        ("--nb-dir", _DIRECTIONS, DIRECTIONS, "direction"),
        ("--nb-speed", _SPEEDS, SPEEDS, "speed"),
    ):
        text = f"number of {attribute} classes, unless the source has some (default: {default})"
        add(option, type=number, default=default, metavar="N", help=text)
    add(
        "--max-throttle",
        type=_SHARE,
        metavar="X",
        help="throttle up to which the speed classes reach, 0.01 to 1 (default: the most throttle "
        "in the source)",
    )
    session_options.add(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)
    with signals.exit_while_importing():
        from get_data.commands import import_drive
    return import_drive.run(args)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
