"""Showing what a database holds."""

import argparse
from collections import Counter
from collections.abc import Sequence
from typing import Any

from get_data.cli import exit_codes, output
from get_data.cli.output import pluralize
from get_data.database import known_fields
from get_data.database.connection import open_database
from get_data.database.frozen import frozen_sets
from get_data.database.frozen.frozen_sets import SetDescription
from get_data.database.search.search_query import read_search_query
from get_data.database.search.summaries import DriveKey, DriveNumbers, Summary

BARS = "▁▂▃▄▅▆▇█"
NO_BAR = "·"  # of a class without labels


def run(args: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit code."""
    query = read_search_query(args.query)
    with open_database(for_search=True) as db:
        output.print_database(db.name, db.notice, db.index.missing_part(tombstones=False))
        known_fields.check(query, db.index)
        summary = db.index.summarize(query)
        sets = frozen_sets.describe(db.store)

    print_table(summary)
    print_people(summary)
    print_sets(sets)
    size_bytes = sum(numbers.picture_bytes for numbers in summary.values())
    total = DriveNumbers()
    for numbers in summary.values():
        total.add(numbers)
    output.print_message(
        f"{pluralize(len(summary), 'drive')}, {pluralize(total.labels, 'label')} of "
        f"{pluralize(total.pictures, 'picture')}, {corrected_share(total)} corrected, "
        f"{output.format_size(size_bytes)}"
    )
    output.write_json(
        {
            "labels": total.labels,
            "pictures": total.pictures,
            "corrected": total.corrected,
            "bytes": size_bytes,
            "drives": [as_json(key, numbers) for key, numbers in summary.items()],
            "sets": [
                {
                    "name": each.name,
                    "labels": each.labels,
                    "bytes": each.size,
                    "created": each.created,
                }
                for each in sets
            ],
        }
    )
    return exit_codes.DONE


def print_table(summary: Summary) -> None:
    """Print a line for each drive."""
    rows = [
        ("day", "min", "pictures", "direction", "speed", "corrected", "MB", "drive"),
        *(
            (
                key.day or "unknown",
                f"{numbers.minutes:.1f}",
                f"{numbers.pictures:,}",
                bars(numbers.directions),
                bars(numbers.speeds),
                corrected_share(numbers),
                f"{numbers.picture_bytes / 1e6:,.1f}",
                " ".join(filter(None, (key.event, key.track, key.driver))),
            )
            for key, numbers in summary.items()
        ),
    ]
    if len(rows) == 1:
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            text.rjust(width) if index in (1, 2, 5, 6) else text.ljust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        output.print_message("  ".join(cells).rstrip())


def print_people(summary: Summary) -> None:
    """Print how many pictures each person has driven."""
    people: Counter[str] = Counter()
    for key, numbers in summary.items():
        people[key.driver or "nobody named"] += numbers.pictures
    if people:
        drivers = ", ".join(f"{name}: {count:,}" for name, count in people.most_common())
        output.print_message(f"drivers  {drivers}")


def print_sets(sets: Sequence[SetDescription]) -> None:
    """Print a line for each frozen set."""
    for each in sets:
        labels = pluralize(each.labels, "label") if each.labels is not None else "damaged"
        time = f"{each.created[:16].replace('T', ' ')} UTC" if each.created else "unknown"
        size = output.format_size(each.size)
        output.print_message(f"frozen   {each.name}: {labels}, {size}, fetched {time}")


def bars(counts: Counter[int]) -> str:
    """Return the counts of classes, from 0 on, as bars."""
    most = max(counts.values(), default=0)
    return "".join(
        BARS[(len(BARS) * counts[number] - 1) // most] if counts[number] else NO_BAR
        for number in range(max(counts, default=-1) + 1)
    )


def corrected_share(numbers: DriveNumbers) -> str:
    """Return the share of labels that a person made, for people."""
    share = numbers.corrected / numbers.labels if numbers.labels else 0.0
    return "under 1%" if 0 < share < 0.005 else f"{share:.0%}"


def as_json(key: DriveKey, numbers: DriveNumbers) -> dict[str, Any]:
    """Return the numbers of a drive, for programs."""
    return {
        "session_id": key.session_id,
        "day": key.day,
        "event": key.event,
        "track": key.track,
        "driver": key.driver,
        "minutes": round(numbers.minutes, 3),
        "labels": numbers.labels,
        "pictures": numbers.pictures,
        "corrected": numbers.corrected,
        "bytes": numbers.picture_bytes,
        "directions": {str(number): count for number, count in sorted(numbers.directions.items())},
        "speeds": {str(number): count for number, count in sorted(numbers.speeds.items())},
    }
