"""Some of many pictures, chosen evenly: every drive is in it, from its beginning to its end.

The rows of a drive, by time, are cut into as many stretches of equal length as it is to give
pictures, and each stretch gives the one with the lowest rank.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from get_data.sets.candidates import Candidates

Rows = Sequence[int]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Rows of a choice, ascending, and how many were asked for and there, by class.

    Without classes, "" is the only one. `unclassed`: rows without a class.
    """

    rows: list[int]
    asked: int
    found: dict[str, int]
    matched: dict[str, int]
    unclassed: int = 0


def choose(candidates: Candidates, count: int, *, per_class: bool) -> Chosen:
    """Return a choice of `count` pictures, or as many of each class."""
    drives = candidates.register.drives()
    if not per_class:
        rows = choose_evenly(drives, count, candidates.ranks)
        return Chosen(rows, count, {"": len(rows)}, {"": len(candidates)})
    names = candidates.class_names
    by_class: list[list[Rows]] = [[] for _ in names]
    for drive in drives:
        rows_of: dict[int, list[int]] = {}
        for row in drive:
            rows_of.setdefault(candidates.classes[row], []).append(row)
        for number, rows in rows_of.items():
            if number >= 0:
                by_class[number].append(rows)
    found, matched, everything = {}, {}, []
    for number in sorted(range(len(names)), key=lambda number: names[number]):
        rows = choose_evenly(by_class[number], count, candidates.ranks)
        found[names[number]] = len(rows)
        matched[names[number]] = sum(map(len, by_class[number]))
        everything += rows
    unclassed = len(candidates) - sum(matched.values())
    return Chosen(sorted(everything), count, found, matched, unclassed)


def choose_evenly(drives: Sequence[Rows], count: int, ranks: Sequence[int]) -> list[int]:
    """Return `count` rows, or all if there are fewer, ascending.

    A drive gives pictures in proportion to those it has, and at least one; where there are fewer
    pictures than drives, every so many drives give one.
    """
    if count < len(drives):
        numbers = range(len(drives))
        drive_ranks = [min(ranks[row] for row in drive) for drive in drives]
        drives = [drives[number] for number in _one_of_each(numbers, count, drive_ranks)]
    quotas = apportion([len(drive) for drive in drives], count)
    chosen: list[int] = []
    for drive, quota in zip(drives, quotas, strict=True):
        chosen += _one_of_each(drive, quota, ranks)
    return sorted(chosen)


def apportion(sizes: Sequence[int], count: int) -> list[int]:
    """Return how many of each to take: in proportion, exactly `count` in all, at least one of each.

    `count` is at least the number of sizes, which are positive. More than there are is all of them.
    """
    total = sum(sizes)
    if count >= total:
        return list(sizes)
    # those too small for a whole one get one; all others share what is left, by largest remainders
    quotas = [1] * len(sizes)
    sharing = sorted(range(len(sizes)), key=lambda index: -sizes[index])
    while sharing and sizes[sharing[-1]] * count < total:
        total -= sizes[sharing.pop()]
        count -= 1
    for index in sharing:
        quotas[index] = sizes[index] * count // total
    spare = count - sum(quotas[index] for index in sharing)
    sharing.sort(key=lambda index: (-(sizes[index] * count % total), index))
    for index in sharing[:spare]:
        quotas[index] += 1
    return quotas


def _one_of_each(items: Rows, count: int, ranks: Sequence[int]) -> list[int]:
    """Return the item with the lowest rank of each of `count` stretches of equal length."""
    edges = [number * len(items) // count for number in range(count + 1)] if count else []
    return [min(items[start:end], key=lambda item: ranks[item]) for start, end in pairwise(edges)]
