"""Parts of a set to train on, to validate and to test with, that share no drive.

A model that is tested on neighbours of what it learned looks better than it is: docs/quality.md,
"Split". Where there are too few drives, each is cut into blocks of 10 s, with 1 s left out between
blocks of different parts.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from common.errors import InputError
from get_data.labels.constants import PARTS
from get_data.labels.drives import DriveRegister

BLOCK_US, GAP_US = 10_000_000, 1_000_000

_LEAST, _MOST = 0.5, 2.0  # of its share, that a part may have when it consists of whole drives
_ORDERS = 64
_MAX_STEPS = 100_000

Shares = Mapping[str, int]
LEFT_OUT = -1


@dataclass(frozen=True, slots=True)
class Split:
    """Part of each row as a number in `names`, LEFT_OUT for one that is in none.

    `left_out`: rows of the set that are between blocks of two parts.
    """

    by: Literal["drive", "block"]
    names: tuple[str, ...]
    parts: "array[int]"
    sizes: dict[str, int]
    left_out: int


def split(
    register: DriveRegister, rows: Sequence[int], ranks: Sequence[int], shares: Shares
) -> Split:
    """Return the part of each of these rows.

    Args:
        register: times and drives of all rows, those that are not in the set included.
        rows: the set, ascending.
        ranks: number that decides between rows, by row.
        shares: percentages by part, positive.

    Raises:
        InputError: the set is too short for that many parts.
    """
    names = tuple(name for name in PARTS if name in shares)
    weights = [shares[name] / sum(shares.values()) for name in names]
    drives = whole_drives(register, rows)
    found = assign(drives, ranks, weights)
    if found is not None and _fits(drives, found, weights):
        parts = array("b", [LEFT_OUT]) * len(register)
        for drive, part in zip(drives, found, strict=True):
            _set(parts, drive, part)
        return _create("drive", names, parts, len(rows))
    parts = _split_into_blocks(drives, register.times_us, ranks, weights)
    result = _create("block", names, parts, len(rows))
    empty = [name for name in names if not result.sizes[name]]
    if empty and rows:
        remedy = "ask for fewer parts" if len(names) > 2 else "fetch them without --split"
        raise InputError(
            f"--split: {' and '.join(empty)} would be empty: too short for blocks of "
            f"{BLOCK_US // 1_000_000} s; search for more pictures, or {remedy}"
        )
    return result


def _create(
    by: Literal["drive", "block"], names: tuple[str, ...], parts: "array[int]", count: int
) -> Split:
    sizes = {name: parts.count(number) for number, name in enumerate(names)}
    return Split(by, names, parts, sizes, count - sum(sizes.values()))


def _set(parts: "array[int]", rows: Sequence[int], part: int) -> None:
    for row in rows:
        parts[row] = part


def whole_drives(register: DriveRegister, rows: Sequence[int]) -> list[list[int]]:
    """Return these rows by drive, each by time; what is one drive in the set stays together.

    Labels without a `session_id` are told apart by pauses, which may look otherwise once most
    pictures are left out. Drives that would then be taken for one are one here.
    """
    drive_of = array("l", [-1]) * len(register)
    drives = register.drives()
    for number, drive in enumerate(drives):
        for row in drive:
            drive_of[row] = number
    parent = list(range(len(drives)))

    def root(number: int) -> int:
        while parent[number] != number:
            number = parent[number]
        return number

    for drive in register.drives(rows):
        for row in drive:
            parent[root(drive_of[row])] = root(drive_of[drive[0]])
    joined: dict[int, list[int]] = {}
    for row in sorted(rows, key=lambda row: (register.times_us[row], row)):
        joined.setdefault(root(drive_of[row]), []).append(row)
    return list(joined.values())


def assign(
    units: Sequence[Sequence[int]], ranks: Sequence[int], weights: Sequence[float]
) -> list[int] | None:
    """Return the part of each unit, so that parts have about their share of the rows.

    Units come in an order that looks random, and each goes to the part that lacks most rows. Of
    several orders the best is taken. None if there are fewer units than parts.
    """
    if len(units) < len(weights):
        return None
    unit_ranks = [min(ranks[row] for row in unit) for unit in units]
    best: tuple[float, list[int]] | None = None
    for trial in range(max(1, min(_ORDERS, _MAX_STEPS // len(units)))):
        order = sorted(range(len(units)), key=lambda unit: _mixed(unit_ranks[unit], trial))
        parts = _fill(units, order, weights)
        cost = _cost(units, parts, weights)
        if best is None or cost < best[0]:
            best = (cost, parts)
    return best[1] if best else None


def _mixed(rank: int, trial: int) -> bytes:
    return blake2b(rank.to_bytes(8, "big"), key=trial.to_bytes(2, "big"), digest_size=8).digest()


def _fill(
    units: Sequence[Sequence[int]], order: Sequence[int], weights: Sequence[float]
) -> list[int]:
    total = sum(map(len, units))
    lacking = [weight * total for weight in weights]
    parts = [0] * len(units)
    for unit in order:
        part = max(range(len(weights)), key=lambda part: lacking[part])
        parts[unit] = part
        lacking[part] -= len(units[unit])
    return parts


def _part_shares(
    units: Sequence[Sequence[int]], parts: Sequence[int], weights: Sequence[float]
) -> Iterator[float]:
    """Yield the share of the rows that each part has, as a multiple of the one it should have."""
    total = sum(map(len, units))
    sizes = [0] * len(weights)
    for unit, part in zip(units, parts, strict=True):
        sizes[part] += len(unit)
    for size, weight in zip(sizes, weights, strict=True):
        yield size / (total * weight)


def _cost(units: Sequence[Sequence[int]], parts: Sequence[int], weights: Sequence[float]) -> float:
    shares = _part_shares(units, parts, weights)
    return sum(weight * (share - 1) ** 2 for share, weight in zip(shares, weights, strict=True))


def _fits(units: Sequence[Sequence[int]], parts: Sequence[int], weights: Sequence[float]) -> bool:
    return all(_LEAST <= share <= _MOST for share in _part_shares(units, parts, weights))


def _split_into_blocks(
    drives: Sequence[Sequence[int]],
    times_us: Sequence[int],
    ranks: Sequence[int],
    weights: Sequence[float],
) -> "array[int]":
    """Return the part of each row; LEFT_OUT for one within a gap between two parts."""
    blocks: dict[tuple[int, int], list[int]] = {}
    gaps: dict[tuple[int, int], list[int]] = {}
    for drive, rows in enumerate(drives):
        for row in rows:
            number, offset_us = divmod(times_us[row] - times_us[rows[0]], BLOCK_US + GAP_US)
            place = blocks if offset_us < BLOCK_US else gaps
            place.setdefault((drive, number), []).append(row)
    # a gap with nothing on either side is a block
    for drive, number in list(gaps):
        if (drive, number) not in blocks and (drive, number + 1) not in blocks:
            blocks[drive, number] = gaps.pop((drive, number))
    found = assign(list(blocks.values()), ranks, weights)
    if found is None:
        found = list(range(len(blocks)))  # one each, and none for the last parts
    part_of = dict(zip(blocks, found, strict=True))
    parts = array("b", [LEFT_OUT]) * len(times_us)
    for block, rows in blocks.items():
        _set(parts, rows, part_of[block])
    for (drive, number), rows in gaps.items():
        neighbours = ((drive, number), (drive, number + 1))
        beside = {part_of[block] for block in neighbours if block in part_of}
        _set(parts, rows, LEFT_OUT if len(beside) > 1 else beside.pop())
    return parts
