"""Fetches the pictures whose labels match a search, with a label file ready for training.

    python get_data/search_and_download.py -q get_data/queries/hard_left.json -p training/left

Only pictures that are missing or damaged are fetched, so that a folder is brought up to date by the
same command. Without -q everything matches; a query may also be given in place of its file.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs uninstalled, from any folder

from common import signals

if __name__ == "__main__":
    signals.exit_on_signal()  # the other imports take time

import argparse
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing

import path
from common.errors import InputError
from get_data.cli import arguments, exit_codes, files, output, process
from get_data.cli.output import pluralize
from get_data.database import known_fields
from get_data.database.connection import open_database
from get_data.database.download import DownloadOutcome, download
from get_data.database.interfaces import Failed
from get_data.database.search.search_query import read_search_query
from get_data.labels import label_file, session
from get_data.recording import journal


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, checked for what argparse can check."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument(
        "-q", "--query", metavar="QUERY_FILE_OR_JSON", help="what to search; default: everything"
    )
    parser.add_argument(
        "-p",
        "--pictures",
        type=arguments.path_argument,
        required=True,
        metavar="DIR",
        help="where pictures go",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=arguments.path_argument,
        metavar="LABELS_JSON",
        help="default: DIR/labels.json",
    )
    parser.add_argument("--no-download", action="store_true", help="only write the label file")
    parser.add_argument(
        "--verify", action="store_true", help="compare the hash of pictures that are here"
    )
    parser.add_argument(
        "--limit",
        type=arguments.positive_integer,
        metavar="N",
        help="at most N pictures, the oldest first",
    )
    parser.add_argument(
        "--allow-empty",
        action="store_true",
        help="an answer of nothing replaces the labels of an earlier one",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    args = parse_args(argv)
    query = read_search_query(args.query)
    labels: Path = args.output or args.pictures / label_file.NAME
    check_folder(args.pictures)
    check_folder(labels.parent)
    files.check_output(labels)
    files.check_overwrites(labels, "a file of labels", label_file.starts_like_label_file)
    check_labels(labels)
    keep_labels = not args.allow_empty and not label_file.is_empty(labels)
    with open_database(for_search=True) as db:
        output.print_database(db.name, db.notice)
        if missing := db.index.missing_part(tombstones=False):
            output.print_message(f"warning: nothing was uploaded yet, there is no {missing}")
        with closing(db.index.search(query)) as documents:
            known_fields.check(query, db.index)
            files.create_folders(args.pictures, labels.parent)
            results = download(
                documents,
                db.store,
                pictures=args.pictures,
                labels=labels,
                fetch=not args.no_download,
                verify=args.verify,
                limit=args.limit,
                keep_labels=keep_labels,
            )
            # how many pictures they are, only the end of the one search tells
            bar = output.progress_bar(results, total=None, description="fetching", unit="picture")
            what, failures = counted(bar)
    return report(what, failures, labels, keep_labels=keep_labels)


def counted(results: Iterable[DownloadOutcome]) -> tuple[Counter[str], list[Failed]]:
    """How many pictures came to what, under `others` their other labels; and those that failed."""
    what: Counter[str] = Counter()
    failures: list[Failed] = []
    for one in results:
        what[one.status] += 1
        what["others"] += one.other_labels
        if one.status == "failed":
            failures.append(Failed(one.img_id, one.reason))
    return what, failures


def check_folder(folder: Path) -> None:
    """The folder may be written to by a search. Raises: InputError when it is a recording's."""
    files.check_outside_database(folder)
    place = Path(os.path.realpath(path.absolute(folder)))
    if place.name in (journal.ERASED, journal.DAMAGED_PICTURES):  # a recording's own folders
        place = place.parent
    if any(files.exists(place / mark) for mark in (session.NAME, journal.NAME)):
        raise InputError(f"{place} is a recording; give a search a folder of its own")


def check_labels(labels: Path) -> None:
    """Nobody's work is overwritten. Raises: InputError for corrections that are not applied yet."""
    if not labels.is_file():
        return
    try:
        with labels.open("rb") as file:
            has_corrections = any(
                b'"replaces":' in line or b'"to_delete":' in line for line in file
            )
    except OSError as error:
        raise InputError(f"{labels} cannot be read: {error.strerror}; move it away") from error
    if has_corrections:
        raise InputError(
            f"{labels} has corrections; apply them with upload_to_db.py and move it away, "
            "or name another file with -o"
        )


def report(
    what: Mapping[str, int], failures: Sequence[Failed], labels: Path, *, keep_labels: bool
) -> int:
    """Say what was done and return the exit code.

    `keep_labels`: the label file holds earlier labels and was not replaced by an empty one.
    """
    found = sum(what[name] for name in ("fetched", "existing", "listed", "failed"))
    if what["listed"]:
        output.print_message(f"{pluralize(found, 'picture')} found and listed")
    else:
        output.print_message(
            f"{pluralize(found, 'picture')} found: {what['fetched']:,} fetched, "
            f"{what['existing']:,} here already"
        )
    kept = keep_labels and found == len(failures)
    if kept:
        output.print_message(
            f"warning: {labels} keeps its earlier labels, as there are none to take their place; "
            "--allow-empty empties it"
        )
    else:
        output.print_message(f"labels: {labels}")
    if what["others"]:
        output.print_message(
            f"warning: found for the same pictures: {pluralize(what['others'], 'other label')}; "
            "the newest of each picture was kept"
        )
    output.write_json(
        {
            "found": found,
            "fetched": what["fetched"],
            "there": what["existing"],
            "failed": what["failed"],
            "other_labels": what["others"],
        }
    )
    code = output.print_failures(failures)
    return exit_codes.FAILED if kept and not failures else code


if __name__ == "__main__":
    raise SystemExit(process.run(main))
