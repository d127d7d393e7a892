"""Set fields of all labels that match a search, or delete these labels.

    python get_data/edit_labels.py -q monday.json --set track=park

Session fields (event, track, track_type, driver, comment) and keys of your own can be set. Counts
are shown before anything changes. A label that somebody changes while the script runs is left.
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
        required=True,
        metavar="QUERY_FILE_OR_JSON",
        help="search query, as a file or as JSON; {} matches all labels",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--set",
        dest="values",
        type=key_and_value,
        action="append",
        metavar="KEY=VALUE",
        help="set a session field, or a key of your own, in JSON or as a text; may be repeated",
    )
    what.add_argument(
        "--delete",
        action="store_true",
        help="delete the labels, and their pictures unless another label or a frozen set needs "
        "them",
    )
    parser.add_argument("--new-key", action="store_true", help="set keys that no label has yet")
    arguments.add_dry_run_option(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    return parser.parse_args(argv)


def key_and_value(text: str) -> tuple[str, str]:
    """Split `KEY=VALUE`."""
    key, separator, value = arguments.nfc_text(text).partition("=")
    if not separator or not key:
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, such as track=park, got {text!r}")
    return key, value


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)
    with signals.exit_while_importing():
        from get_data.commands import edit_labels
    return edit_labels.run(args)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
