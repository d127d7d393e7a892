"""Print an example of a label, or the JSON Schema of labels.

    python get_data/write_label_template.py --json-schema -o label.schema.json

The example is a complete label, as a recording writes it.
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
        "-o",
        "--output",
        type=arguments.path_argument,
        metavar="FILE",
        help="output file (default: stdout)",
    )
    parser.add_argument(
        "--json-schema", action="store_true", help="print the JSON Schema instead of an example"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)
    with signals.exit_while_importing():
        from get_data.commands import write_label_template
    return write_label_template.run(args)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
