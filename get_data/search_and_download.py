"""Fetch the pictures whose labels match a search, with a label file for training.

    python get_data/search_and_download.py -q get_data/queries/hard_left.json -p training/left
    python get_data/search_and_download.py --set baseline -p training/baseline

Only missing and damaged pictures are fetched, so the same command updates a folder. Without -q all
labels match; -q takes the name of a query file or the query itself. --count shows first what there
is of each class, drive and person; --sample and --per-class choose from it, --split makes parts for
training, validation and test. --set fetches a set that freeze_set.py has frozen, byte for byte.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs uninstalled, from any folder

from common import signals

if __name__ == "__main__":
    signals.exit_on_signal()  # the other imports take time

import argparse
import os
import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

import msgspec

import path
from common import structs
from common.errors import DatabaseError, InputError, ToolkitError
from common.times import format_time
from get_data.cli import arguments, choice_options, exit_codes, files, output, process
from get_data.cli.output import pluralize
from get_data.database import frozen_sets, known_fields
from get_data.database.connection import Database, open_database
from get_data.database.download import DownloadOutcome, download, newest_labels
from get_data.database.interfaces import Failed
from get_data.database.search.search_query import SearchQuery, read_search_query, to_json
from get_data.labels import label_file, session
from get_data.recording import journal
from get_data.sets import left_over, metadata, set_file, set_writer, table
from get_data.sets import request as request_module
from get_data.sets.counts import Counts, Tally
from get_data.sets.request import Answer, Request
from get_data.sets.set_file import LabelsReference, SetFile
from get_data.sets.set_writer import FileNames


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = arguments.create_parser(__doc__)
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "-q",
        "--query",
        metavar="QUERY_FILE_OR_JSON",
        help="search query, as a file or as JSON (default: all labels)",
    )
    source.add_argument(
        "--set", type=arguments.name_argument, metavar="NAME", help="fetch a frozen set as it is"
    )
    parser.add_argument(
        "-p",
        "--pictures",
        type=arguments.path_argument,
        metavar="DIR",
        help="folder for the pictures; required except with --count",
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
        "--count",
        action="store_true",
        help="only count the pictures of each class, drive and person",
    )
    choice_options.add(parser)
    parser.add_argument(
        "--allow-empty",
        action="store_true",
        help="replace an earlier label file even if nothing matches",
    )
    parser.add_argument(
        "--prune",
        action="store_true",
        help="remove pictures of earlier fetches that are no longer in the set",
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask before --prune")
    args = parser.parse_args(argv)
    if not args.pictures and not args.count:
        parser.error("the following arguments are required: -p/--pictures")
    if args.set and (args.count or args.allow_empty or choice_options.request_of(args).options()):
        parser.error("argument --set: a frozen set is fetched whole, as it is")
    if args.prune and (args.output or args.no_download or args.count):
        parser.error("argument --prune: not allowed with -o/--output, --no-download or --count")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)

    query = read_search_query(args.query)
    request = choice_options.request_of(args)
    if args.count:
        return count_matches(query, request)
    labels: Path = args.output or args.pictures / label_file.NAME
    check_folder(args.pictures)
    check_folder(labels.parent)
    files.check_output(labels)
    files.check_overwrites(labels, "a label file", label_file.starts_like_label_file)
    check_no_corrections(labels)
    check_description(labels)
    if args.prune:
        check_fetched(args.pictures)
    keep_labels = not args.allow_empty and not label_file.is_empty(labels)

    with ExitStack() as opened, open_database(for_search=True) as db:
        describe_set: set_writer.Describe
        if args.set:
            answer, frozen = find_frozen_set(db, args.set)
            describe_set = partial(describe_frozen, args, frozen, labels)
            with_split = bool(frozen.options.get("split"))
        else:
            answer = opened.enter_context(search(db, query, request))
            describe_set = partial(describe, args, query, request, answer.choice, db.name, labels)
            with_split = bool(args.split)
        files.create_folders(args.pictures, labels.parent)
        # a label file must not name pictures that free_space.py removes meanwhile
        opened.enter_context(files.pictures_in_use([args.pictures]))
        results = download(
            answer.documents,
            db.store,
            pictures=args.pictures,
            labels=labels,
            fetch=not args.no_download,
            verify=args.verify or bool(args.set),
            limit=args.limit,
            keep_labels=keep_labels,
            is_whole=bool(args.set),
            open_output=partial(
                set_writer.open_writer,
                describe=describe_set,
                with_metadata=has_metadata(args, labels),
                with_split=with_split,
            ),
        )
        # no total: the number of pictures is only known at the end of the search
        bar = output.progress_bar(results, total=None, description="fetching", unit="picture")
        counts, failures = count(bar)
        counts["others"] += answer.other_labels

    result = as_json(counts, answer.choice)
    print_result(counts, answer.choice, labels)
    is_kept = bool(keep_labels and result["found"] == len(failures))
    if args.set and failures:
        is_kept = True
        output.print_message(
            f"warning: {labels} was not written, because pictures of the frozen set are missing"
        )
    elif is_kept:
        output.print_message(
            f"warning: {labels} keeps its earlier labels, because there are no new ones; "
            "use --allow-empty to replace them"
        )
    else:
        output.print_message(f"labels: {labels}")
    stopped: ToolkitError | None = None
    if args.prune and not is_kept:
        try:
            result |= prune(labels, args, failures)
        except InputError as error:  # the set was fetched, which its exit code would deny
            stopped = ToolkitError(f"no picture was removed: {error}")
        except ToolkitError as error:
            stopped = error
    output.write_json(result)
    code = output.report_failures(failures)
    if stopped:
        raise stopped
    return exit_codes.FAILED if is_kept and not failures else code


@contextmanager
def search(db: Database, query: SearchQuery, request: Request) -> Iterator[Answer]:
    """Search, and choose from what matches.

    Raises:
        InputError: a field does not exist, or the choice or the split cannot be made.
    """
    output.print_database(db.name, db.notice, db.index.missing_part(tombstones=False))
    with ExitStack() as opened:
        documents = opened.enter_context(closing(db.index.search(query)))
        known_fields.check(query, db.index)
        found: Iterable[bytes] = documents
        if request.per_class:
            known_fields.check_field(request.per_class.field, db.index, "--per-class")
        if request.is_choice:
            found = output.progress_bar(
                documents, total=None, description="searching", unit="label"
            )
        answer = opened.enter_context(request_module.answer(found, request))
        for line in request_module.describe_shortage(answer.choice):
            output.print_message(f"warning: {line}")
        yield answer


def find_frozen_set(db: Database, name: str) -> tuple[Answer, SetFile]:
    """Return the labels of a frozen set, and its description.

    Raises:
        InputError: there is none of this name.
        DatabaseError: it is damaged, or of a later version.
    """
    output.print_database(db.name, db.notice)
    stored = frozen_sets.find(db.store, name)
    head, lines = frozen_sets.read(stored, db.store)
    try:
        description = structs.convert(head.set, SetFile)
    except InputError as error:
        raise DatabaseError(
            f"the frozen set {stored.full_name} was written by a later version ({error}); update "
            "this checkout"
        ) from error
    return Answer((line.document for line in lines), 0, {}), description


def count_matches(query: SearchQuery, request: Request) -> int:
    """Print what a fetch would bring, and return the exit code."""
    with open_database(for_search=True) as db, search(db, query, request) as answer:
        tally = Tally()
        for hit in islice(newest_labels(answer.documents), request.limit):
            tally.add(msgspec.json.decode(hit.document))
        counts = tally.counts()
    for line in table.format_counts(counts):
        output.print_message(line)
    drives = pluralize(len(counts.drives), "drive")
    output.print_message(f"{pluralize(counts.pictures, 'picture')} of {drives}")
    if not sys.stdout.isatty():
        output.write_json(msgspec.to_builtins(counts) | {"choice": dict(answer.choice)})
    return exit_codes.DONE


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


def check_description(labels: Path) -> None:
    """Check that the files that describe the label file replace only such files.

    Raises:
        InputError: a file of another kind has the name of one.
    """
    description, lines = set_file.beside(labels), labels.with_name(metadata.NAME)
    files.check_output(description)
    files.check_overwrites(description, "the description of a set", set_file.starts_like_set_file)
    if description.name == set_file.NAME:
        files.check_output(lines)
        files.check_overwrites(lines, "one of this script", metadata.starts_like_metadata)


def has_metadata(args: argparse.Namespace, labels: Path) -> bool:
    """Return whether a `metadata.jsonl` is written: for pictures with their label file."""
    return not args.no_download and labels == args.pictures / label_file.NAME


def describe(
    args: argparse.Namespace,
    query: SearchQuery,
    request: Request,
    choice: Mapping[str, Any],
    database: str,
    labels: Path,
    counts: Counts,
    reference: LabelsReference,
    names: FileNames,
) -> SetFile:
    """Return the content of `set.json`."""
    return SetFile(
        created=format_time(datetime.now(UTC)),
        database=set_file.printable(database),
        query=to_json(query),
        options=request.options(),
        versions={"patate": arguments.version(), "python": platform.python_version()},
        counts=counts,
        labels=reference,
        choice=dict(choice),
        left_over={} if args.output else left_over.find(labels, names),
    )


def describe_frozen(
    args: argparse.Namespace,
    frozen: SetFile,
    labels: Path,
    _counts: Counts,
    reference: LabelsReference,
    names: FileNames,
) -> SetFile:
    """Return the content of `set.json` as it was when the set was frozen."""
    rest = left_over.find(labels, names) if labels.parent == args.pictures else {}
    return msgspec.structs.replace(frozen, labels=reference, left_over=rest)


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


def check_fetched(folder: Path) -> None:
    """Check that pictures that are no longer in the set may be removed from a folder.

    Raises:
        InputError: it was not fetched, or cannot be read.
    """
    description = folder / set_file.NAME
    try:
        has_files = folder.is_dir() and any(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error
    if has_files and not files.exists(description):
        raise InputError(
            f"{folder} has no {set_file.NAME}, so nothing tells which of its files were fetched; "
            "fetch once without --prune"
        )


def prune(labels: Path, args: argparse.Namespace, failures: list[Failed]) -> dict[str, int]:
    """Remove pictures that are no longer in the set; return their numbers, and add the failed ones.

    Raises:
        Declined: the answer was no, or there is no terminal.
        StillRecording, InputError: the folder is in use, or cannot be locked.
    """
    folder = labels.parent
    description = set_file.beside(labels)
    # D25: nobody else uses the pictures meanwhile, or fetches another set
    with journal.removal_lock(folder):
        content = set_file.read(description)
        pictures = left_over.removable(labels, content.left_over)
        size = sum(picture.size for picture in pictures)
        what = f"{pluralize(len(pictures), 'picture')} ({size / 1e6:,.1f} MB)"
        if pictures and not args.yes:
            output.confirm(
                f"Remove {what} of earlier fetches from {folder}, which are no longer in the set. "
                "Continue?",
                without_terminal=f"confirmation needed: run with -y (would remove {what} from "
                f"{folder})",
            )
        removed = []
        for picture, reason in left_over.remove(pictures):
            if reason:
                failures.append(Failed(picture.file.name, reason))
            else:
                removed.append(picture)
        gone = {picture.file.name for picture in removed}
        remaining = {name: digest for name, digest in content.left_over.items() if name not in gone}
        if gone:
            set_file.write(description, msgspec.structs.replace(content, left_over=remaining))
    output.print_message(f"Removed {pluralize(len(removed), 'picture')} of earlier fetches")
    if remaining:
        output.print_message(
            f"kept: {pluralize(len(remaining), 'picture')} of earlier fetches, which were changed "
            "since, or which another label file here names"
        )
    return {"pruned": len(removed), "pruned_bytes": sum(picture.size for picture in removed)}


def as_json(counts: Mapping[str, int], choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return the counts for programs."""
    result: dict[str, Any] = {
        "found": sum(counts[name] for name in ("fetched", "existing", "listed", "failed")),
        "fetched": counts["fetched"],
        "there": counts["existing"],
        "failed": counts["failed"],
        "other_labels": counts["others"],
    }
    return result | {"choice": dict(choice)} if choice else result


def print_result(counts: Mapping[str, int], choice: Mapping[str, Any], labels: Path) -> None:
    """Print what was done."""
    pictures = pluralize(as_json(counts, choice)["found"], "picture")
    if choice:
        pictures += f" of {choice['matched']:,} that match"
    if counts["listed"]:
        output.print_message(f"Found {pictures}, none fetched")
    else:
        output.print_message(
            f"Found {pictures}: {counts['fetched']:,} fetched, "
            f"{counts['existing']:,} already in the folder"
        )
    if "parts" in choice:
        parts = ", ".join(f"{name} {size:,}" for name, size in choice["parts"].items())
        between = (
            f"; left out {pluralize(choice['left_out'], 'picture')} between blocks of two parts, "
            "for want of drives"
            if choice["split_by"] == "block"
            else ""
        )
        output.print_message(f"split by {choice['split_by']}: {parts}{between}")
    if counts["others"]:
        output.print_message(
            f"warning: left out {pluralize(counts['others'], 'older label')} of the same pictures"
        )


if __name__ == "__main__":
    raise SystemExit(process.run(main))
