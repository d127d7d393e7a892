"""Setting fields of labels that match a search, or deleting these labels."""

import argparse
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from common import strict_json
from common.errors import InputError
from get_data.cli import exit_codes, output, people
from get_data.cli.output import pluralize
from get_data.database import delete, known_fields, selection
from get_data.database.connection import Database, open_database
from get_data.database.interfaces import Failed, LabelIndex
from get_data.database.search.search_query import SearchQuery, read_search_query
from get_data.database.selection import Selection
from get_data.labels import session
from get_data.labels.constants import SESSION_KEYS
from get_data.labels.schema import RESERVED
from get_data.labels.unicode_forms import to_nfc

MAX_DRIVES = 10  # named before the question


def parse_value(text: str) -> Any:
    """Return the value of a custom key: what the JSON says, or the text itself."""
    try:
        return to_nfc(strict_json.parse(text.encode(), "the value"))
    except InputError:
        return text


def run(args: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit code."""
    query = read_search_query(args.query)
    if query.is_blank:
        raise InputError(
            "the query skips all of its clauses, since their types are empty, and would match "
            "every label; fill one in, or give -q '{}' for all labels"
        )
    values = checked_values(args.values or [])
    with open_database(writing=not args.dry_run) as db:
        output.print_database(db.name, db.notice, db.index.missing_part(tombstones=False))
        selected = select(query, db.index, values, with_new_keys=args.new_key)
        describe(selected)
        if not selected.found:
            output.print_message("Nothing was changed")
            report(selected, [])
            return exit_codes.FAILED
        if args.delete:
            return delete_labels(selected, db, dry_run=args.dry_run, is_agreed=args.yes)
        return set_values(selected, values, db, dry_run=args.dry_run, is_agreed=args.yes)


def checked_values(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return the values to set, by key.

    Raises:
        InputError: a key may not be set, or is given twice; or a value is of the wrong type.
    """
    values: dict[str, Any] = {}
    for key, text in pairs:
        if key in values:
            raise InputError(f"--set {key}: is given twice")
        if key.partition(".")[0] in RESERVED and key not in SESSION_KEYS:
            raise InputError(
                f"--set {key}: only {', '.join(SESSION_KEYS)} and keys of your own can be set; "
                "correct classes and values with run_labelizer.py"
            )
        values[key] = text if key in SESSION_KEYS else parse_value(text)
    session.check(values, "--set")
    return values


def select(
    query: SearchQuery, index: LabelIndex, values: Mapping[str, Any], *, with_new_keys: bool
) -> Selection:
    """Return the labels that match.

    Raises:
        InputError: the query has an unknown field, or no label has a key to set.
    """
    known_fields.check(query, index)
    for key in values:
        is_known = key in SESSION_KEYS or with_new_keys or known_fields.has_field(index, key)
        if not is_known:
            hint = known_fields.similar_fields(index, key)
            raise InputError(f"--set {key}: no label has such a key; --new-key adds it{hint}")
    return selection.select(query, index, values)


def describe(selected: Selection) -> None:
    """Print how many labels match, by class and drive."""
    also = f", {selected.unchanged:,} have these values already" if selected.unchanged else ""
    output.print_message(f"Found {pluralize(selected.found, 'label')}{also}")
    for name, counts in (("direction", selected.directions), ("speed", selected.speeds)):
        if counts:
            by_class = ", ".join(f"{number}: {counts[number]:,}" for number in sorted(counts))
            output.print_message(f"{name}  {by_class}")
    for drive, count in selected.drives.most_common(MAX_DRIVES):
        output.print_message(f"drive  {drive}: {pluralize(count, 'label')}")
    if (more := len(selected.drives) - MAX_DRIVES) > 0:
        output.print_message(f"and {pluralize(more, 'more drive')}")


def set_values(
    selected: Selection, values: Mapping[str, Any], db: Database, *, dry_run: bool, is_agreed: bool
) -> int:
    """Set the values after asking, and return the exit code."""
    change = ", ".join(
        f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in values.items()
    )
    labels = pluralize(len(selected.labels), "label")
    if not dry_run and selected.labels and not is_agreed:
        ask(f"set {change} in {labels}", db)
    statuses: Counter[str] = Counter()
    failures = list(selected.failures)
    if not dry_run:
        results = selection.set_values(
            selected.labels, db.index, values, amended_by=people.login_name()
        )
        for outcome in output.progress_bar(
            results, total=len(selected.labels), description="amending", unit="label"
        ):
            statuses[outcome.status] += 1
            if outcome.status != "amended":
                failures.append(Failed(outcome.img_id, outcome.reason))
    amended = len(selected.labels) if dry_run else statuses["amended"]
    verb = "Would set" if dry_run else "Set"
    output.print_message(f"{verb} {change} in {pluralize(amended, 'label')}")
    return report(selected, failures, amended=amended)


def delete_labels(selected: Selection, db: Database, *, dry_run: bool, is_agreed: bool) -> int:
    """Delete the labels after asking, and return the exit code."""
    labels = selected.labels
    outcomes = list(delete.plan([each.label for each in labels], db.index, db.store))
    failures = list(selected.failures)
    if not dry_run:
        if not is_agreed:
            ask(f"delete {deletions(outcomes)}", db)
        deleting = selection.delete_unchanged(
            labels, db.index, db.store, removed_by=people.login_name()
        )
        outcomes = []
        for outcome in output.progress_bar(
            deleting, total=len(labels), description="deleting", unit="label"
        ):
            if isinstance(outcome, Failed):
                failures.append(outcome)
            else:
                outcomes.append(outcome)
    output.print_message(f"{'Would delete' if dry_run else 'Deleted'} {deletions(outcomes)}")
    lost = [outcome for outcome in outcomes if outcome.picture == "lost"]
    failures += [Failed(each.img_id, "a label needs its picture, which is lost") for each in lost]
    return report(
        selected,
        failures,
        deleted=sum(outcome.status == "deleted" for outcome in outcomes),
        pictures_deleted=count_pictures(outcomes),
    )


def deletions(outcomes: Collection[delete.DeletionOutcome]) -> str:
    """Return what is deleted as a phrase: "21 labels and 20 pictures", and what is not."""
    labels = sum(outcome.status == "deleted" for outcome in outcomes)
    kept = len({outcome.img_id for outcome in outcomes if outcome.picture == "kept"})
    deleted = f"{pluralize(labels, 'label')} and {pluralize(count_pictures(outcomes), 'picture')}"
    if not kept:
        return deleted
    stays = pluralize(kept, "picture")
    return f"{deleted}, but not {stays} that another label or a frozen set needs"


def count_pictures(outcomes: Collection[delete.DeletionOutcome]) -> int:
    """Return the number of pictures that are deleted."""
    return len({outcome.img_id for outcome in outcomes if outcome.picture == "deleted"})


def ask(change: str, db: Database) -> None:
    """Ask before anything is changed.

    Raises:
        Declined: the answer was no, or there is no terminal.
    """
    output.confirm(
        f"In the database {db.name}: {change}. Continue?",
        without_terminal=f"confirmation needed to change the database {db.name}: run with -y "
        f"(would {change})",
    )


def report(
    selected: Selection,
    failures: Sequence[Failed],
    *,
    amended: int = 0,
    deleted: int = 0,
    pictures_deleted: int = 0,
) -> int:
    """Print the counts and return the exit code."""
    output.write_json(
        {
            "found": selected.found,
            "unchanged": selected.unchanged,
            "amended": amended,
            "deleted": deleted,
            "pictures_deleted": pictures_deleted,
            "failed": len(failures),
        }
    )
    return output.report_failures(failures)
