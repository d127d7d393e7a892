"""Fetch the pictures whose labels match a search, with a label file for training.

    python get_data/search_and_download.py -q get_data/queries/hard_left.json -p training/left

Only missing and damaged pictures are fetched, so the same command updates a folder. Without -q all
labels match; -q takes the name of a query file or the query itself.
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
from contextlib import ExitStack, closing

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
    """Parse the command line."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument(
        "-q",
        "--query",
        metavar="QUERY_FILE_OR_JSON",
        help="search query, as a file or as JSON (default: all labels)",
    )
    parser.add_argument(
        "-p",
        "--pictures",
        type=arguments.path_argument,
        required=True,
        metavar="DIR",
        help="folder for the pictures",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=arguments.path_argument,
        metavar="LABELS_JSON",
        help="label file to write (default: DIR/labels.json)",
    )
    parser.add_argument("--no-download", action="store_true", help="write only the label file")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="also check the hash of pictures already in the folder",
    )
    parser.add_argument(
        "--limit",
        type=arguments.positive_integer,
        metavar="N",
        help="fetch at most N pictures, the oldest first",
    )
    parser.add_argument(
        "--allow-empty",
        action="store_true",
        help="replace an earlier label file even if nothing matches",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)

    query = read_search_query(args.query)
    labels: Path = args.output or args.pictures / label_file.NAME
    check_folder(args.pictures)
    check_folder(labels.parent)
    files.check_output(labels)
    files.check_overwrites(labels, "a label file", label_file.starts_like_label_file)
    check_no_corrections(labels)
    keep_labels = not args.allow_empty and not label_file.is_empty(labels)

    with ExitStack() as opened, open_database(for_search=True) as db:
        output.print_database(db.name, db.notice, db.index.missing_part(tombstones=False))
        with closing(db.index.search(query)) as documents:
            known_fields.check(query, db.index)
            files.create_folders(args.pictures, labels.parent)
            # a label file must not name pictures that free_space.py removes meanwhile
            opened.enter_context(files.pictures_in_use([args.pictures]))
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
            # no total: the number of pictures is only known at the end of the search
            bar = output.progress_bar(results, total=None, description="fetching", unit="picture")
            counts, failures = count(bar)

    return report(counts, failures, labels, keep_labels=keep_labels)


def count(results: Iterable[DownloadOutcome]) -> tuple[Counter[str], list[Failed]]:
    """Count the pictures by outcome, and their other labels as `others`; return the failed ones."""
    counts: Counter[str] = Counter()
    failures: list[Failed] = []
    for result in results:
        counts[result.status] += 1
        counts["others"] += result.other_labels
        if result.status == "failed":
            failures.append(Failed(result.img_id, result.reason))
    return counts, failures


def check_folder(folder: Path) -> None:
    """Check that the results of a search may be written to the folder.

    Raises:
        InputError: it belongs to a recording or to the local database.
    """
    files.check_outside_database(folder)
    place = Path(os.path.realpath(path.absolute(folder)))
    if place.name in (journal.ERASED, journal.DAMAGED_PICTURES):  # a recording's own folders
        place = place.parent
    if any(files.exists(place / mark) for mark in (session.NAME, journal.NAME)):
        raise InputError(f"{place} is a recording; choose another folder")


def check_no_corrections(labels: Path) -> None:
    """Check that the label file to be replaced has no corrections.

    Raises:
        InputError: it has some, or it cannot be read.
    """
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
            "or use another file with -o"
        )


def report(
    counts: Mapping[str, int], failures: Sequence[Failed], labels: Path, *, keep_labels: bool
) -> int:
    """Print what was done and return the exit code.

    `keep_labels`: an earlier label file is not replaced by an empty one.
    """
    found = sum(counts[name] for name in ("fetched", "existing", "listed", "failed"))
    pictures = pluralize(found, "picture")
    if counts["listed"]:
        output.print_message(f"Found {pictures}, none fetched")
    else:
        output.print_message(
            f"Found {pictures}: {counts['fetched']:,} fetched, "
            f"{counts['existing']:,} already in the folder"
        )
    is_kept = keep_labels and found == len(failures)
    if is_kept:
        output.print_message(
            f"warning: {labels} keeps its earlier labels, because there are no new ones; "
            "use --allow-empty to replace them"
        )
    else:
        output.print_message(f"labels: {labels}")
    if counts["others"]:
        output.print_message(
            f"warning: left out {pluralize(counts['others'], 'older label')} of the same pictures"
        )
    output.write_json(
        {
            "found": found,
            "fetched": counts["fetched"],
            "there": counts["existing"],
            "failed": counts["failed"],
            "other_labels": counts["others"],
        }
    )
    code = output.report_failures(failures)
    return exit_codes.FAILED if is_kept and not failures else code


if __name__ == "__main__":
    raise SystemExit(process.run(main))
