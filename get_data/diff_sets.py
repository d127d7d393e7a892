"""Compare two sets by picture and label.

    python get_data/diff_sets.py training/monday training/tuesday
    python get_data/diff_sets.py baseline training/tuesday

A set is a folder, a label file, or the name of a frozen set. Upload dates and storage keys are
ignored.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs uninstalled, from any folder

from common import signals

if __name__ == "__main__":
    signals.exit_on_signal()  # the other imports take time

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import cache, partial

import path
from common.errors import InputError
from get_data.cli import arguments, exit_codes, files, output, process
from get_data.cli.output import pluralize
from get_data.database.connection import Database, open_database
from get_data.database.frozen import frozen_sets
from get_data.labels.label_lines import Line
from get_data.sets import fetched_set, set_diff
from get_data.sets.set_diff import Kind, SetDiff, Unsorted

OpenSet = Callable[[], Iterator[Line]]

TITLES: dict[Kind, str] = {
    "only_first": "only in {first}",
    "only_second": "only in {second}",
    "labels_differ": "other label",
    "pictures_differ": "other picture",
}


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = arguments.create_parser(__doc__)
    for name, number in (("first", "A"), ("second", "B")):
        parser.add_argument(
            name,
            type=arguments.name_argument,
            metavar=number,
            help="folder, label file, or name of a frozen set",
        )
    parser.add_argument(
        "--examples",
        type=arguments.integer_between(0, 10**9, "examples"),
        default=10,
        metavar="N",
        help="name at most N pictures of each difference (default: 10)",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)
    with ExitStack() as opened:

        @cache
        def database() -> Database:
            db = opened.enter_context(open_database(for_search=True))
            output.print_database(db.name, db.notice)
            return db

        first, second = (find_set(name, database) for name in (args.first, args.second))
        diff = compare(first, second, args)
    report(diff, args)
    return exit_codes.DONE if diff.is_equal else exit_codes.SOME_ITEMS_FAILED


def find_set(name: str, database: Callable[[], Database]) -> OpenSet:
    """Return what reads a set.

    Raises:
        InputError: there is neither such a folder or file, nor a frozen set of this name.
    """
    place = path.expand_user(name)
    if files.exists(place):
        return partial(fetched_set.read_lines, files.find_label_file(place))
    if "/" in name or name.endswith(".json"):
        raise InputError(f"{name} does not exist")
    store = database().store
    stored = frozen_sets.find(store, name)
    return lambda: frozen_sets.read(stored, store)[1]


def compare(first: OpenSet, second: OpenSet, args: argparse.Namespace) -> SetDiff:
    """Compare the sets, in little memory where their labels are sorted.

    Raises:
        InputError: one of them has an entry that is not a label.
    """
    try:
        return set_diff.compare(first(), second(), examples=args.examples)
    except Unsorted:
        return set_diff.compare(
            set_diff.in_order(first(), args.first),
            set_diff.in_order(second(), args.second),
            examples=args.examples,
        )


def report(diff: SetDiff, args: argparse.Namespace) -> None:
    """Print how the sets differ, with examples."""
    for kind, title in TITLES.items():
        for img_id in diff.examples.get(kind, ()):
            output.print_message(f"{title.format(first=args.first, second=args.second)}: {img_id}")
        if (more := diff.counts[kind] - len(diff.examples.get(kind, ()))) > 0:
            output.print_message(f"and {more:,} more")
    if diff.fields:
        fields = ", ".join(f"{name} {count:,}" for name, count in diff.fields.most_common())
        output.print_message(f"fields that differ  {fields}")
    if diff.is_equal:
        output.print_message(f"The sets are the same: {pluralize(diff.same, 'label')}")
    else:
        output.print_message(
            f"{args.first} has {pluralize(diff.first, 'label')}, {args.second} {diff.second:,}: "
            f"{diff.same:,} are the same, {diff.counts['labels_differ']:,} have another label, "
            f"{diff.counts['pictures_differ']:,} another picture, {diff.counts['only_first']:,} "
            f"are only in {args.first}, {diff.counts['only_second']:,} only in {args.second}"
        )
    counts = {str(kind): diff.counts[kind] for kind in TITLES}
    examples = {str(kind): diff.examples.get(kind, []) for kind in TITLES}
    output.write_json(
        {
            "labels": [diff.first, diff.second],
            "same": diff.same,
            **counts,
            "fields": dict(diff.fields.most_common()),
            "examples": examples,
        }
    )


if __name__ == "__main__":
    raise SystemExit(process.run(main))
