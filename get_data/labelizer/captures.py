"""When, by whom and on which drive the pictures were taken, as columns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.times import to_microseconds
from get_data.labelizer.entries import LONG_AGO, LabelEntry

UNKNOWN_DAY = ""


@dataclass(frozen=True, slots=True)
class Names:
    """A text for each entry: an index into the few different ones."""

    names: list[str]
    index: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Captures:
    """Columns with one value for each entry.

    `drive`: its first moment in UTC and its driver, not unique. `time_us`: microseconds since 1970.
    `sha256` is "" where a label has no hash of its picture. `driver` is "" if unknown, `day` a date
    in UTC.
    """

    drive: Names
    time_us: NDArray[np.int64]
    sha256: list[str]
    driver: Names
    day: Names


def read_captures(runs: Sequence[Sequence[LabelEntry]]) -> Captures:
    """Return the columns of entries that are split into runs."""
    entries = [entry for run in runs for entry in run]
    numbers = _number_drives(runs)
    firsts = [
        run[0]
        for run, number, before in zip(runs, numbers, [-1, *numbers], strict=False)
        if number != before
    ]
    drive = np.repeat(np.array(numbers, np.int32), [len(run) for run in runs])
    return Captures(
        drive=Names([_name_drive(entry) for entry in firsts], drive),
        time_us=np.array([to_microseconds(entry.taken) for entry in entries], np.int64),
        sha256=[entry.label.picture_sha256 for entry in entries],
        driver=_index_names(entry.label.driver for entry in entries),
        day=_index_names(_day_of(entry) for entry in entries),
    )


def _number_drives(runs: Sequence[Sequence[LabelEntry]]) -> list[int]:
    """Return the number of the drive of each run; those of one drive are neighbours."""
    numbers: list[int] = []
    for index, run in enumerate(runs):
        key = run[0].drive
        # a pause ends a drive that has no session_id
        goes_on = index > 0 and len(key) == 1 and key == runs[index - 1][0].drive
        numbers.append((numbers[-1] + (not goes_on)) if numbers else 0)
    return numbers


def _name_drive(first: LabelEntry) -> str:
    """Return a name for people of the drive that begins with an entry."""
    moment = "" if first.taken == LONG_AGO else f"{first.taken:%Y-%m-%d %H:%M:%S}"
    return ", ".join(part for part in (moment, first.label.driver) if part)


def _day_of(entry: LabelEntry) -> str:
    return UNKNOWN_DAY if entry.taken == LONG_AGO else entry.taken.date().isoformat()


def _index_names(texts: Iterable[str]) -> Names:
    numbers: dict[str, int] = {}
    index = [numbers.setdefault(text, len(numbers)) for text in texts]
    return Names(list(numbers), np.array(index, np.int32))
