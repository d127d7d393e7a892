"""Freezing a set, and throwing one away."""

import argparse
from pathlib import Path

from common.errors import InputError
from get_data.cli import exit_codes, files, output, people
from get_data.cli.output import pluralize
from get_data.database.connection import Database, nothing_uploaded, open_database
from get_data.database.frozen import frozen_sets
from get_data.database.frozen.frozen_sets import FreezeOutcome, SetToFreeze
from get_data.database.interfaces import StoredSet
from get_data.database.search.search_query import SearchQuery
from get_data.labels import picture_file
from get_data.labels.picture_file import NotAPicture
from get_data.labels.schema import PictureReference
from get_data.sets import fetched_set, set_diff
from get_data.sets.fetched_set import FetchedSet


def run(args: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit code."""
    if args.delete:
        return throw_away(args)

    # a recording is no fetched set, and an interrupted one is not repaired only to be refused
    content = fetched_set.open_fetched_set(files.find_label_file(args.folder, repair=False))
    with (
        files.pictures_in_use([content.labels.parent]),
        open_database(writing=not args.dry_run) as db,
    ):
        output.print_database(db.name, db.notice)
        existing = frozen_sets.find_same_name(db.store, args.name, content.sha256)
        if existing and existing.short_hash != content.sha256[:12]:
            raise InputError(describe_difference(existing, content, db))
        if not existing:
            check_not_empty(db)
        if args.dry_run:
            is_damaged = existing and not frozen_sets.is_whole(existing, db.store)
            planned = FreezeOutcome(None if is_damaged else existing, is_replaced=bool(is_damaged))
            return report(planned, content, args)
        outcome = frozen_sets.freeze(
            args.name,
            SetToFreeze(
                content.count,
                content.sha256,
                content.description,
                content.lines,
                str(content.labels),
            ),
            db.index,
            db.store,
            copy_of=lambda reference: read_copy(content.labels.parent, reference),
        )
    return report(outcome, content, args)


def check_not_empty(db: Database) -> None:
    """Check that the database is not empty: otherwise each picture would seem to have been deleted.

    Raises:
        DatabaseError: it has neither pictures nor labels, nor had any.
    """
    if db.store.has_pictures():
        return
    if missing := db.index.missing_part(tombstones=False):
        reason = f"there is no {missing}"
    # a team's index was created just now, if there was none
    elif not db.index.count(SearchQuery()) and not any(db.index.all_tombstones()):
        reason = f"{db.index.name} is empty"
    else:
        return
    raise nothing_uploaded(reason)


def read_copy(folder: Path, reference: PictureReference) -> bytes | None:
    """Return the picture in the folder; None if there is none."""
    try:
        return picture_file.read(folder / reference.file_name)
    except (OSError, NotAPicture):
        return None


def describe_difference(existing: StoredSet, content: FetchedSet, db: Database) -> str:
    """Return how a set differs from the frozen one of this name."""
    if not frozen_sets.is_whole(existing, db.store):
        return (
            f"another set is named {existing.name}, and {existing.full_name} is damaged; choose "
            "another name, bring that one back with back_up.py DIR --restore, or throw it away "
            f"with freeze_set.py {existing.full_name} --delete"
        )
    _, lines = frozen_sets.read(existing, db.store)
    sources = (existing.name, str(content.labels))
    diff = set_diff.compare(lines, content.lines(), sources)
    return (
        f"another set is named {existing.name}: it has {pluralize(diff.first, 'label')}, "
        f"{content.labels} {diff.second:,}; {diff.same:,} are the same, "
        f"{diff.counts['labels_differ']:,} have another label, {diff.counts['only_first']:,} are "
        f"only there, {diff.counts['only_second']:,} only here; choose another name, or throw "
        f"that one away with freeze_set.py {existing.name} --delete"
    )


def report(outcome: FreezeOutcome, content: FetchedSet, args: argparse.Namespace) -> int:
    """Print what was frozen and return the exit code."""
    labels = pluralize(content.count, "label")
    is_frozen = outcome.stored is not None
    is_changed = outcome.is_new or outcome.is_replaced
    if outcome.is_replaced:
        verb = "Would replace" if args.dry_run else "Replaced"
        output.print_message(f"{verb} {args.name}, which was damaged; it has {labels}")
    elif outcome.is_new and outcome.stored:
        output.print_message(
            f"Froze {labels} as {args.name}, {output.format_size(outcome.stored.size)}; "
            f"fetch it with search_and_download.py --set {args.name}"
        )
    elif is_frozen and not outcome.failures:
        output.print_message(f"Up to date: {args.name} is frozen with these {labels}")
    elif args.dry_run:
        output.print_message(f"Would freeze {labels} as {args.name}")
    elif not is_frozen:
        output.print_message(f"{args.name} was not frozen: the database lacks some of its pictures")
    if outcome.restored:
        output.print_message(f"Stored {pluralize(outcome.restored, 'picture')} again")
    output.write_json(
        {
            "set": outcome.stored.full_name if outcome.stored else "",
            "labels": content.count,
            "frozen": int(is_frozen and is_changed),
            "there": int(is_frozen and not is_changed),
            "pictures_restored": outcome.restored,
            "failed": len(outcome.failures),
        }
    )
    return output.report_failures(outcome.failures)


def throw_away(args: argparse.Namespace) -> int:
    """Throw a frozen set away, after asking, and return the exit code."""
    with open_database(writing=not args.dry_run) as db:
        output.print_database(db.name, db.notice, db.index.missing_part(tombstones=False))
        stored = frozen_sets.find(db.store, args.name)
        keys = frozen_sets.read_keys(stored, db.store)
        if keys is None:
            output.print_message(
                f"warning: {stored.full_name} is damaged: which pictures it names is unknown; "
                "check_database.py finds those that nothing names any more"
            )
        counts = frozen_sets.plan_throwing_away(stored, keys or [], db.index, db.store)
        change = (
            f"throw away the frozen set {stored.full_name} with "
            f"{pluralize(counts.labels, 'label')}, and delete "
            f"{pluralize(counts.pictures_deleted, 'picture')} that nothing else names"
        )
        if not args.dry_run:
            if not args.yes:
                output.confirm(
                    f"In the database {db.name}: {change}. Continue?",
                    without_terminal=f"confirmation needed to change the database {db.name}: run "
                    f"with -y (would {change})",
                )
            counts = frozen_sets.throw_away(
                stored, keys or [], db.index, db.store, removed_by=people.login_name()
            )
    verb = "Would throw" if args.dry_run else "Threw"
    output.print_message(
        f"{verb} away {stored.full_name}: {pluralize(counts.pictures_deleted, 'picture')} deleted, "
        f"{counts.pictures_kept:,} still needed"
    )
    output.write_json(
        {
            "set": stored.full_name,
            "labels": counts.labels,
            "pictures_deleted": counts.pictures_deleted,
            "pictures_kept": counts.pictures_kept,
        }
    )
    return exit_codes.DONE
