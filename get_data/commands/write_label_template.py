"""Writing an example of a label, or the JSON Schema of labels."""

import argparse

import msgspec

from common.atomic_files import atomic_write
from get_data.cli import exit_codes, files, output
from get_data.labels import edits, schema


def run(args: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit code."""
    content = schema.json_schema() if args.json_schema else edits.example_label()
    text = msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n"
    if args.output is None:
        output.write_stdout(text)
        return exit_codes.DONE

    files.check_output(args.output)
    files.check_file_name(args.output)
    if args.output.exists():
        output.confirm(
            f"{args.output} exists. Overwrite it?",
            without_terminal=f"{args.output} exists; remove it, or use another file with -o",
        )

    with atomic_write(args.output) as file:
        file.write(text.encode())

    output.print_message(f"Written to {args.output}")
    return exit_codes.DONE
