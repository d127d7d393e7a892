"""Comparing two sets."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial

import path
from common.errors import InputError
from get_data.cli import exit_codes, files, output
from get_data.cli.output import pluralize
from get_data.database.connection import Database, open_database
from get_data.database.frozen import frozen_sets
from get_data.labels.label_lines import Line
from get_data.sets import fetched_set, set_diff
from get_data.sets.set_diff import Kind, SetDiff, Unsorted


@dataclass(frozen=True, slots=True)
class NamedSet:
    """A set: how to read its labels, and where they are, for messages."""

    source: str
    read: Callable[[], Iterator[Line]]


TITLES: dict[Kind, str] = {
    "only_first": "only in {first}",
    "only_second": "only in {second}",
    "labels_differ": "other label",
    "pictures_differ": "other picture",
}


def run(args: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit code."""
    with ExitStack() as opened:

        @cache
        def database() -> Database:
            db = opened.enter_context(open_database(for_search=True))
            output.print_database(db.name, db.notice, db.index.missing_part(tombstones=False))
            return db

        first, second = (find_set(name, database) for name in (args.first, args.second))
        diff = compare(first, second, args)
    report(diff, args)
    return exit_codes.DONE if diff.is_equal else exit_codes.SOME_ITEMS_FAILED


def find_set(name: str, database: Callable[[], Database]) -> NamedSet:
    """Return a set, which is read later.

    Raises:
        InputError: there is neither such a folder or file, nor a frozen set of this name.
    """
    place = path.expand_user(name)
    if files.exists(place):
        file, preview = files.find_labels(place, repair=False)
        if preview is not None:
            return NamedSet(str(file), partial(fetched_set.to_lines, preview))
        return NamedSet(str(file), partial(fetched_set.read_lines, file))
    if "/" in name or name.endswith(".json"):
        raise InputError(f"{name} does not exist")
    store = database().store
    stored = frozen_sets.find(store, name)
    return NamedSet(stored.full_name, lambda: frozen_sets.read(stored, store)[1])


def compare(first: NamedSet, second: NamedSet, args: argparse.Namespace) -> SetDiff:
    """Compare the sets, in little memory where their labels are sorted.

    Raises:
        InputError: one of them has an entry that is not a label.
    """
    sources = first.source, second.source
    try:
        return set_diff.compare(first.read(), second.read(), sources, examples=args.examples)
    except Unsorted:
        return set_diff.compare(
            set_diff.in_order(first.read(), first.source),
            set_diff.in_order(second.read(), second.source),
            sources,
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
