"""Fetching the pictures of a search or of a frozen set."""

import argparse
import platform
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec

from common import structs
from common.errors import DatabaseError, InputError, ToolkitError
from common.times import format_time
from get_data.cli import (
    arguments,
    exit_codes,
    fetch_checks,
    files,
    output,
    pruning,
)
from get_data.cli.output import pluralize
from get_data.database import known_fields
from get_data.database.connection import Database, open_database
from get_data.database.download import DownloadOutcome, download, newest_labels, oldest_hits
from get_data.database.frozen import frozen_sets
from get_data.database.interfaces import Failed
from get_data.database.search.search_query import SearchQuery, read_search_query, to_json
from get_data.labels import label_file
from get_data.sets import authors, left_over, set_file, set_writer, table
from get_data.sets import request as request_module
from get_data.sets.counts import Counts, Tally
from get_data.sets.request import Answer, PerClass, Request
from get_data.sets.set_file import LabelsReference, SetFile
from get_data.sets.set_writer import FileNames


def run(args: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit code."""
    query = read_search_query(args.query)
    request = request_of(args)
    if args.count:
        return count_matches(query, request)
    labels: Path = args.output or args.pictures / label_file.NAME
    fetch_checks.check_target(args.pictures, labels, prunes=args.prune)

    fetched = fetch(args, query, request, labels)
    result = as_json(fetched)
    print_result(fetched, labels)
    stopped: ToolkitError | None = None
    if args.prune and not fetched.is_kept:
        try:
            pruned = pruning.prune(labels, is_confirmed=args.yes)
            result |= {"pruned": pruned.pictures, "pruned_bytes": pruned.bytes}
            fetched.failures.extend(Failed(*each) for each in pruned.failed.items())
        except InputError as error:  # the set was fetched, which its exit code would deny
            stopped = ToolkitError(f"no picture was removed: {error}")
        except ToolkitError as error:
            stopped = error

    output.write_json(result)
    code = output.report_failures(fetched.failures)
    if stopped:
        raise stopped
    return exit_codes.FAILED if fetched.is_kept and not fetched.failures else code


def request_of(args: argparse.Namespace) -> Request:
    """Return what the options ask for of the pictures that match."""
    per_class = PerClass(*args.per_class) if args.per_class else None
    return Request(args.limit, args.sample, per_class, args.split, args.seed or 0)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch has done.

    `counts`: pictures by outcome, and their other labels as `others`. `is_kept`: the label file is
    the earlier one, or none; `is_frozen`: a frozen set was fetched. `notice`: a warning about
    labels that no person made, or "".
    """

    counts: Counter[str]
    failures: list[Failed]
    choice: Mapping[str, Any]
    is_kept: bool
    is_frozen: bool
    notice: str

    @property
    def found(self) -> int:
        """Number of pictures of the set."""
        return sum(self.counts[name] for name in ("fetched", "existing", "listed", "failed"))


def fetch(args: argparse.Namespace, query: SearchQuery, request: Request, labels: Path) -> Fetched:
    """Fetch the pictures, and write the label file with what describes it.

    Raises:
        InputError: there is no such set or field, or the choice or the split cannot be made.
        WriteFailed: a file cannot be written.
        DatabaseError: the database cannot be read.
    """
    keep_labels = not args.allow_empty and not label_file.is_empty(labels)
    with open_database(for_search=True) as db, ExitStack() as opened:
        describe_set: set_writer.Describe
        if args.set is not None:
            answer, frozen = find_frozen_set(db, args.set)
            describe_set = partial(describe_frozen, args, frozen, labels)
            with_split = bool(frozen.options.get("split"))
        else:
            answer = opened.enter_context(search(db, query, request))
            describe_set = partial(describe, args, query, request, answer.choice, db.name, labels)
            with_split = bool(args.split)
        tallied: list[Counts] = []

        def describe_tallied(
            counts: Counts, reference: LabelsReference, names: FileNames
        ) -> SetFile:
            tallied.append(counts)
            return describe_set(counts, reference, names)

        files.create_folders(args.pictures, labels.parent)
        # a label file must not name pictures that free_space.py removes meanwhile
        opened.enter_context(files.pictures_in_use([args.pictures]))
        results = download(
            answer.hits,
            db.store,
            pictures=args.pictures,
            labels=labels,
            fetch=not args.no_download,
            verify=args.verify or args.set is not None,
            keep_labels=keep_labels,
            is_whole=args.set is not None,
            open_output=partial(
                set_writer.open_writer,
                describe=describe_tallied,
                with_metadata=has_metadata(args, labels),
                with_split=with_split,
            ),
        )
        # no total: the number of pictures is only known at the end of the search
        bar = output.progress_bar(results, total=None, description="fetching", unit="picture")
        counts, failures = count(bar)
        counts["others"] += answer.other_labels
    is_frozen = args.set is not None
    is_listed = counts["fetched"] + counts["existing"] + counts["listed"] > 0
    is_kept = (is_frozen and bool(failures)) or (keep_labels and not is_listed)
    asked = None if is_frozen else query
    notice = "".join(authors.describe(each, asked) for each in tallied)
    return Fetched(counts, failures, answer.choice, is_kept, is_frozen, notice)


@contextmanager
def search(db: Database, query: SearchQuery, request: Request) -> Iterator[Answer]:
    """Search, and choose from what matches.

    Raises:
        InputError: a field does not exist, or the choice or the split cannot be made.
    """
    output.print_database(db.name, db.notice, db.index.missing_part(tombstones=False))
    with ExitStack() as opened:
        documents = opened.enter_context(closing(db.index.search(query)))
        first = list(islice(documents, 1))
        known_fields.check(query, db.index, has_matches=bool(first))
        found: Iterable[bytes] = chain(first, documents)
        if request.per_class:
            known_fields.check_field(request.per_class.field, db.index, "--per-class")
        if request.is_choice:
            found = output.progress_bar(found, total=None, description="searching", unit="label")
        hits = oldest_hits(found, request.limit, when_cut=partial(warn_of_limit, request))
        answer = opened.enter_context(request_module.answer(hits, request))
        for line in request_module.describe_shortage(answer.choice):
            output.print_message(f"warning: {line}")
        yield answer


def warn_of_limit(request: Request) -> None:
    """Warn that more pictures match than `--limit` takes, and that it takes the oldest."""
    output.print_message(
        f"warning: more pictures match: --limit {request.limit} takes the oldest; --sample "
        f"{request.limit} takes pictures of all drives"
    )


def find_frozen_set(db: Database, name: str) -> tuple[Answer, SetFile]:
    """Return the pictures of a frozen set, and its description.

    Raises:
        InputError: there is none of this name.
        DatabaseError: it is damaged, or of a later version.
    """
    output.print_database(db.name, db.notice, db.index.missing_part(tombstones=False))
    stored = frozen_sets.find(db.store, name)
    head, lines = frozen_sets.read(stored, db.store)
    try:
        description = structs.convert(head.set, SetFile)
    except InputError as error:
        raise DatabaseError(
            f"the frozen set {stored.full_name} was written by a later version ({error}); update "
            "this checkout"
        ) from error
    return Answer(newest_labels(line.document for line in lines), 0, {}), description


def count_matches(query: SearchQuery, request: Request) -> int:
    """Print what a fetch would bring, and return the exit code."""
    with open_database(for_search=True) as db, search(db, query, request) as answer:
        tally = Tally()
        for hit in answer.hits:
            tally.add(hit.outline)
        counts = tally.counts()
    for line in table.format_counts(counts):
        output.print_message(line)
    drives = pluralize(len(counts.drives), "drive")
    output.print_message(f"{pluralize(counts.pictures, 'picture')} of {drives}")
    print_split(answer.choice)
    if notice := authors.describe(counts, query):
        output.print_message(f"warning: {notice}")
    if not sys.stdout.isatty():
        output.write_json(msgspec.to_builtins(counts) | {"choice": dict(answer.choice)})
    return exit_codes.DONE


def count(results: Iterable[DownloadOutcome]) -> tuple[Counter[str], list[Failed]]:
    """Count the pictures by outcome, and their other labels as `others`; return the failed ones."""
    counts: Counter[str] = Counter()
    failures: list[Failed] = []
    for result in results:
        counts[result.status] += 1
        if result.other_labels:
            counts["others"] += result.other_labels
        if result.status == "failed":
            failures.append(Failed(result.img_id, result.reason))
    return counts, failures


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
    rest = {} if args.output else left_over.find(labels, names)
    return msgspec.structs.replace(frozen, labels=reference, left_over=rest)


def as_json(fetched: Fetched) -> dict[str, Any]:
    """Return the counts for programs."""
    counts = fetched.counts
    result: dict[str, Any] = {
        "found": fetched.found,
        "fetched": counts["fetched"],
        "there": counts["existing"],
        "failed": counts["failed"],
        "other_labels": counts["others"],
    }
    return result | {"choice": dict(fetched.choice)} if fetched.choice else result


def print_result(fetched: Fetched, labels: Path) -> None:
    """Print what was done."""
    counts, choice = fetched.counts, fetched.choice
    pictures = pluralize(fetched.found, "picture")
    if choice:
        pictures += f" of {choice['matched']:,} that match"
    if counts["listed"]:
        output.print_message(f"Found {pictures}, none fetched")
    else:
        output.print_message(
            f"Found {pictures}: {counts['fetched']:,} fetched, "
            f"{counts['existing']:,} already in the folder"
        )
    print_split(choice)
    if counts["others"]:
        output.print_message(
            f"warning: left out {pluralize(counts['others'], 'older label')} of the same pictures"
        )
    if fetched.notice and not fetched.is_kept:
        output.print_message(f"warning: {fetched.notice}")
    if not fetched.is_kept:
        output.print_message(f"labels: {labels}")
    elif fetched.is_frozen:
        output.print_message(
            f"warning: {labels} was not written, because pictures of the frozen set are missing"
        )
    else:
        output.print_message(
            f"warning: {labels} keeps its earlier labels, because there are no new ones; "
            "use --allow-empty to replace them"
        )


def print_split(choice: Mapping[str, Any]) -> None:
    """Print the sizes of the parts, if there are any."""
    if "parts" in choice:
        by, left_out = choice["split_by"], ""
        if by == "block":
            by += " (too few drives)"
            left_out = f"; {pluralize(choice['left_out'], 'picture')} between parts left out"
        parts = ", ".join(f"{name} {size:,}" for name, size in choice["parts"].items())
        output.print_message(f"split by {by}: {parts}{left_out}")
