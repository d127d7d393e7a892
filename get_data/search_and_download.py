"""Fetches the pictures whose labels match a search, with a label file ready for training.

    python get_data/search_and_download.py -q get_data/queries/hard_left.json -p training/left

Only pictures that are missing or damaged are fetched, so that a folder is brought up to date by the
same command. Without -q everything matches; a query may also be given in place of its file.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs uninstalled, from any folder

from errors import InputError
from get_data import command_line
from get_data.database.connection import database
from get_data.database.download import Downloaded, download
from get_data.database.interfaces import Failed
from get_data.database.search_query import read_search_query
from get_data.labels import label_file, session
from get_data.recording import journal


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, checked for what argparse can check."""
    parser = command_line.parser(__doc__)
    parser.add_argument(
        "-q", "--query", metavar="QUERY_FILE_OR_JSON", help="what to search; default: everything"
    )
    parser.add_argument(
        "-p", "--pictures", type=Path, required=True, metavar="DIR", help="where pictures go"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="LABELS_JSON", help="default: DIR/labels.json"
    )
    parser.add_argument("--no-download", action="store_true", help="only write the label file")
    parser.add_argument(
        "--verify", action="store_true", help="compare the hash of pictures that are here"
    )
    parser.add_argument(
        "--limit", type=command_line.whole_number, metavar="N", help="at most N pictures"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    args = parse_args(argv)
    query = read_search_query(args.query)
    labels: Path = args.output or args.pictures / label_file.NAME
    check_folder(args.pictures)
    check_folder(labels.parent)
    with database() as db:
        command_line.say(f"database: {db.name}")
        total = db.index.count(query) if command_line.shows_bars() else 0
        for folder in (args.pictures, labels.parent):
            command_line.make_folder(folder)
        results = download(
            db.index.search(query),
            db.store,
            pictures=args.pictures,
            labels=labels,
            fetch=not args.no_download,
            verify=args.verify,
            limit=args.limit,
        )
        done = list(command_line.bar(results, total=total, what="fetching", unit="picture"))
    return report(done, labels)


def check_folder(folder: Path) -> None:
    """The folder may be written to by a search. Raises: InputError when it is a recording."""
    marks = (session.NAME, journal.NAME)
    if any((folder / mark).exists() for mark in marks):
        raise InputError(f"{folder} is a recording; give a search a folder of its own")


def report(results: Sequence[Downloaded], labels: Path) -> int:
    """Says what was done; returns the exit code."""
    what = Counter(result.what for result in results)
    found = len(results)
    others = sum(result.others for result in results)
    command_line.say(
        f"{found} pictures found: {what['fetched']} fetched, {what['there']} here already"
    )
    command_line.say(f"labels: {labels}")
    if others:
        command_line.say(
            f"warning: {others} more labels match, of the same pictures; "
            "the newest of each picture was kept"
        )
    failures = [Failed(one.img_id, one.reason) for one in results if one.what == "failed"]
    command_line.report(
        {
            "found": found,
            "fetched": what["fetched"],
            "there": what["there"],
            "failed": what["failed"],
            "other_labels": others,
        }
    )
    return command_line.list_failures(failures)


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
