"""Uploads recordings: pictures into the picture store, labels into the label index.

    python get_data/upload_data.py drives/monday drives/tuesday

Give folders that run_manual.py wrote, or label files. Run it again at any time: what is there is
not sent again, and what was cut off is completed. Labels corrected or deleted since stay so.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs uninstalled, from any folder

from common import signals

if __name__ == "__main__":
    signals.exit_on_signal()  # the other imports take time

import argparse
from collections import Counter
from collections.abc import Sequence

from common.errors import InputError
from get_data.cli import arguments, files, output, process
from get_data.cli.output import pluralize
from get_data.database.connection import open_database
from get_data.database.interfaces import Failed
from get_data.database.upload import Entry, UploadOutcome, read_entries, upload
from get_data.labels import edits


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, checked for what argparse can check."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument(
        "labels",
        nargs="+",
        type=arguments.path_argument,
        metavar="LABELS_OR_DIR",
        help="label file, or its folder",
    )
    arguments.add_pictures_option(parser)
    arguments.add_dry_run_option(parser)
    parser.add_argument(
        "--restore", action="store_true", help="also bring back labels deleted or replaced since"
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read every picture that the database has, and put right what is damaged",
    )
    parser.add_argument(
        "--create-bucket", action="store_true", help="create the team's bucket if it is not there"
    )
    parser.add_argument(
        "--new-index",
        action="store_true",
        help="start an empty index where the old one is lost; corrections and deletions stay lost",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    args = parse_args(argv)
    entries = [
        entry
        for labels in args.labels
        for entry in read(labels, args.pictures, restore=args.restore, repair=not args.dry_run)
    ]
    with open_database(
        writing=not args.dry_run,
        create_bucket=args.create_bucket and not args.dry_run,
        new_index=args.new_index,
    ) as db:
        output.print_database(db.name, db.notice)
        results = upload(entries, db.index, db.store, dry_run=args.dry_run, verify=args.verify)
        total = len({entry.fingerprint for entry in entries})
        done = list(
            output.progress_bar(results, total=total, description="uploading", unit="label")
        )
    return report(done, dry_run=args.dry_run)


def read(argument: Path, pictures: Path | None, *, restore: bool, repair: bool) -> list[Entry]:
    """The labels to upload. Raises: InputError for a file that asks for more than an upload."""
    labels, documents = files.read_labels(argument, repair=repair)
    entries = read_entries(labels, pictures, documents, restore=restore)
    for entry in entries:
        if edits.is_marked_for_deletion(entry.document) or edits.replaced_fingerprint(
            entry.document
        ):
            raise InputError(
                f"{labels}, entry {entry.img_id!r}: asks for a correction or a deletion; "
                "apply this file with upload_to_db.py"
            )
    if entries and not any(files.exists(entry.picture) for entry in entries):
        folder = entries[0].picture.parent
        raise InputError(
            f"{folder} has none of the pictures of {labels}; say with -p where they are"
        )
    return entries


def report(results: Sequence[UploadOutcome], *, dry_run: bool) -> int:
    """Says what was done; returns the exit code."""
    what = Counter(result.status for result in results)
    pictures = len({result.key for result in results if result.picture_sent})
    would = "would be " if dry_run else ""
    output.print_message(
        f"{pluralize(what['created'], 'label')} {would}uploaded with "
        f"{pluralize(pictures, 'picture')}, {what['existing']:,} already there"
    )
    put_right = len({one.key for one in results if one.status == "existing" and one.picture_sent})
    if put_right:
        output.print_message(
            f"lost or damaged in the database and {would}put right: "
            f"{pluralize(put_right, 'picture')}"
        )
    if what["tombstoned"]:
        output.print_message(
            f"corrected or deleted since, and left so: {pluralize(what['tombstoned'], 'label')}; "
            "--restore brings them back"
        )
    failures = [Failed(one.img_id, one.reason) for one in results if one.status == "failed"]
    output.write_json(
        {
            "created": what["created"],
            "there": what["existing"],
            "gone": what["tombstoned"],
            "failed": what["failed"],
            "pictures_sent": pictures,
        }
    )
    return output.print_failures(failures)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
