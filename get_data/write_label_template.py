"""Print an example of a label, or the JSON Schema of labels.

    python get_data/write_label_template.py --json-schema -o label.schema.json

The example is a complete label, as a recording writes it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs uninstalled, from any folder

from common import signals

if __name__ == "__main__":
    signals.exit_on_signal()  # the other imports take time

import argparse
from collections.abc import Sequence

import msgspec

from common.atomic_files import atomic_write
from get_data.cli import arguments, exit_codes, files, output, process
from get_data.labels import edits, schema


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

    content = schema.json_schema() if args.json_schema else edits.example_label()
    text = msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n"
    if args.output is None:
        output.write_stdout(text)
        return exit_codes.DONE

    files.check_output(args.output)
    if args.output.exists():
        output.confirm(
            f"{args.output} exists. Overwrite it?",
            without_terminal=f"{args.output} exists; remove it, or use another file with -o",
        )

    with atomic_write(args.output) as file:
        file.write(text.encode())

    output.print_message(f"Written to {args.output}")
    return exit_codes.DONE


if __name__ == "__main__":
    raise SystemExit(process.run(main))
