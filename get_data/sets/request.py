"""Which of the pictures that match a search make a set, and which part of it each is in."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from get_data.database.download import Hit, newest_labels
from get_data.database.search.grouping import group_by
from get_data.labels.schema import Document
from get_data.sets import choice, split
from get_data.sets.candidates import Candidates, collect
from get_data.sets.split import LEFT_OUT, Shares, Split

_SHORTAGES_SHOWN = 10  # values of a field that have too few pictures; all are in the JSON


@dataclass(frozen=True, slots=True)
class PerClass:
    """As many pictures of each value of a field."""

    field: str
    count: int


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted of the pictures that match: at most one of the first three, and a split."""

    limit: int | None = None
    sample: int | None = None
    per_class: PerClass | None = None
    split: Shares | None = None
    seed: int = 0

    @property
    def is_choice(self) -> bool:
        """Whether all that matches has to be known before the first picture is."""
        return bool(self.sample or self.per_class or self.split)

    def options(self) -> dict[str, Any]:
        """Return what is wanted by the names of the options."""
        options: dict[str, Any] = {
            "limit": self.limit,
            "sample": self.sample,
            "per_class": self.per_class and f"{self.per_class.field}={self.per_class.count}",
            "split": self.split and dict(self.split),
            "seed": self.seed if self.is_choice else None,
        }
        return {name: value for name, value in options.items() if value}


@dataclass(frozen=True, slots=True)
class Answer:
    """Pictures of a set in the order of the search.

    `other_labels`: those of the pictures of a choice that are left out, being older. `choice`: how
    many were asked for and found; empty without a choice.
    """

    hits: Iterable[Hit]
    other_labels: int
    choice: dict[str, Any]


@contextmanager
def answer(hits: Iterable[Hit], request: Request) -> Iterator[Answer]:
    """Return the pictures of a set from those that match, in the order of `LabelIndex.search`.

    Without a choice they pass through, each when it is asked for.

    Raises:
        InputError: a field has no classes, or there are too few pictures for a split.
        WriteFailed: the temporary file of a choice cannot be written.
        DatabaseError: a document is not a label.
    """
    if not request.is_choice:
        yield Answer(hits, 0, {})
        return
    group = group_by(request.per_class.field) if request.per_class else None
    with collect(hits, seed=request.seed, group=group) as candidates:
        rows, facts = _choose(candidates, request)
        parts = None
        if request.split:
            parts = split.split(candidates.register, rows, candidates.ranks, request.split)
            facts |= {"split_by": parts.by, "shares": dict(request.split), "parts": parts.sizes}
            facts["left_out"] = parts.left_out
            rows = [row for row in rows if parts.parts[row] != LEFT_OUT]
        others = sum(candidates.others[row] for row in rows)
        yield Answer(newest_labels(_documents(candidates, rows, parts)), others, facts)


def _choose(candidates: Candidates, request: Request) -> tuple[list[int], dict[str, Any]]:
    """Return the rows, ascending, and what was asked for and found."""
    facts: dict[str, Any] = {"matched": len(candidates)}
    if request.per_class:
        chosen = choice.choose(candidates, request.per_class.count, per_class=True)
        facts |= {
            "field": request.per_class.field,
            "asked_per_class": chosen.asked,
            "found": chosen.found,
            "matched_by_class": chosen.matched,
            "without_field": chosen.unclassed,
        }
        return chosen.rows, facts
    if request.sample:
        chosen = choice.choose(candidates, request.sample, per_class=False)
        return chosen.rows, facts | {"asked": chosen.asked, "found": len(chosen.rows)}
    return list(range(len(candidates))), facts


def _documents(candidates: Candidates, rows: Iterable[int], parts: Split | None) -> Iterator[bytes]:
    remaining = iter(rows)
    row = next(remaining, None)
    for number, document in enumerate(candidates.documents()):
        if row is None:
            return
        if number == row:
            yield with_split(document, parts.names[parts.parts[row]]) if parts else document
            row = next(remaining, None)


_decode = msgspec.json.Decoder(Document).decode


def with_split(document: bytes, part: str) -> bytes:
    """Return a label, one line of JSON, with this part."""
    if b'"split"' in document:  # some key or value is called so
        label: Mapping[str, Any] = _decode(document) | {"split": part}
        return msgspec.json.encode(label)
    return document.rstrip()[:-1] + b',"split":' + msgspec.json.encode(part) + b"}"


def describe_shortage(facts: Mapping[str, Any]) -> list[str]:
    """Return a line for each thing that a choice was asked for and could not give."""
    lines = []
    if "asked" in facts and facts["found"] < facts["asked"]:
        lines.append(f"asked for {facts['asked']:,} pictures, found {facts['found']:,}")
    asked = facts.get("asked_per_class", 0)
    found_of = facts["found"] if asked else {}
    short = {name: found for name, found in found_of.items() if found < asked}
    for name, found in islice(short.items(), _SHORTAGES_SHOWN):
        lines.append(f"{facts['field']} {name}: asked for {asked:,} pictures, found {found:,}")
    if len(short) > _SHORTAGES_SHOWN:
        more = len(short) - _SHORTAGES_SHOWN
        lines.append(f"... and {more:,} more value{'' if more == 1 else 's'} of {facts['field']}")
    if facts.get("without_field"):
        lines.append(f"{facts['without_field']:,} of the pictures have no {facts['field']}")
    parts = facts.get("parts", {})
    total = sum(parts.values())
    for name, share in facts.get("shares", {}).items() if total else ():
        found = 100 * parts[name] / total
        if not share / 2 <= found <= 2 * share:
            lines.append(
                f"--split: {name} has {found:.0f}% of the pictures, not {share}%, for want of "
                "drives; search for more of them"
            )
    return lines
