"""The counts of a set as a table for people."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from common.times import parse_time
from get_data.labels.constants import NOBODY, PILOT
from get_data.sets.counts import Counts, DriveCounts, Histogram

_MEANINGS = {PILOT: "pilot, a model", NOBODY: "nobody yet"}
_BAR = 30  # characters of the longest one

_Row = tuple[str, str, str, str]


def format_counts(counts: Counts) -> list[str]:
    """Return the lines: pictures of each class, author, part, driver and drive."""
    if not counts.pictures:
        return []
    rows: list[_Row] = []
    labelled = counts.pictures - counts.created_by.get(NOBODY, 0)
    for title, by_number in (("direction", counts.directions), ("speed", counts.speeds)):
        for number, histogram in by_number.items():
            names = {name: histogram.get(name, 0) for name in map(str, range(int(number)))}
            rows += _histogram(f"{title} of {number}", names, labelled)
    if counts.created_by.keys() & _MEANINGS.keys():
        authors = {_MEANINGS.get(name, name): n for name, n in counts.created_by.items()}
        rows += _histogram("label by", authors, counts.pictures)
    if counts.splits:
        rows += _histogram("part", counts.splits, counts.pictures)
    drivers = {name or "nobody named": count for name, count in counts.drivers.items()}
    rows += _histogram("driver", drivers, counts.pictures)
    drives = [("drive, UTC", "minutes", "pictures", ""), *map(_drive_row, counts.drives)]
    return [*_align(rows), *(_align(drives) if counts.drives else ())]


def _histogram(title: str, histogram: Histogram, total: int) -> Iterator[_Row]:
    most = max(histogram.values(), default=0) or 1
    yield title, "pictures", "share", ""
    for name, count in histogram.items():
        share = f"{100 * count / total:.0f}%" if total else ""
        yield f"  {name}", f"{count:,}", share, "█" * round(_BAR * count / most)


def _drive_row(drive: DriveCounts) -> _Row:
    start, end = parse_time(drive.start), parse_time(drive.end)
    minutes = f"{(end - start).total_seconds() / 60:.1f}" if start and end else ""
    parts = ", ".join(f"{name} {count:,}" for name, count in drive.splits.items())
    session = " ".join(filter(None, (drive.event, drive.track, drive.driver)))
    about = "; ".join(filter(None, (session, parts)))
    return f"  {_format_start(start)}", minutes, f"{drive.pictures:,}", about


def _format_start(start: datetime | None) -> str:
    return f"{start:%Y-%m-%d %H:%M:%S}" if start and start.year > 1 else "unknown"


def _align(rows: Iterable[_Row]) -> Iterator[str]:
    """Yield the rows with columns as wide as their widest cell, numbers to the right."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = [
            text.rjust(width) if index in (1, 2) else text.ljust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
