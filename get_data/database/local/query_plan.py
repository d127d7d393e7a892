"""How SQLite answers a query: the conditions that it decides, and what is left to `matching`.

A clause about the context of a label is decided on the contexts (`contexts`), a clause about an id,
a time or a class on its column. Both are exact, so that a search made of them decodes no label.
Whatever else is asked is decided on each label that meets the conditions.

SQLite has no statistics here, and would guess. So the condition that finds the fewest labels is
found by counting, no further than the result is worth, and SQLite may look up only that one.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from get_data.database.local import contexts
from get_data.database.local.contexts import Varying
from get_data.database.search import matching
from get_data.database.search.fields import Matcher, field_of
from get_data.database.search.matching import Span
from get_data.database.search.search_query import Clause, SearchQuery

ORDER = "img_id, created DESC, fingerprint"
COLUMNS: Mapping[str, str] = {
    "label_fingerprint": "fingerprint",
    "img_id": "img_id",
    "timestamp": "timestamp",
    "label.label_direction": "label_direction",
    "label.label_speed": "label_speed",
}
"""Columns by field; each holds the value that a search compares, NULL for none."""

SESSION_COLUMNS: Mapping[str, str] = {
    "event": "event",
    "track": "track",
    "driver": "driver",
    "label.created_by": "created_by",
}
"""Columns that narrow down a search of a file without contexts; not all of their texts are NFC."""

_TEXT_COLUMNS = frozenset({"fingerprint", "img_id", *SESSION_COLUMNS.values()})
_INDEXED = frozenset({"fingerprint", "img_id", "timestamp", "context", "event"})
_MAX_VALUES = 100  # of a list; a longer one is one value, since SQLite allows 32,766
_MAX_SPANS = 100  # each of them becomes a condition
_MAX_CONDITIONS = 100  # SQLite allows a nesting of 1,000
_FEW = 1000  # labels that are sooner decided one by one than by their contexts
_LARGE_PART = 4  # from a fourth of the labels on, all are gone through in their order


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition in SQL on `column`, which is `{0}` in the text.

    `can_be_looked_up`: an index finds the labels that meet it.
    """

    text: str
    values: tuple[Any, ...] = ()
    column: str = ""
    can_be_looked_up: bool = False

    def looked_up(self) -> str:
        """Return the condition in the form that SQLite looks up in an index."""
        return self.text.format(self.column)

    def compared(self) -> str:
        """Return the condition in the form that SQLite only compares.

        Source: https://www.sqlite.org/optoverview.html, "Disqualifying WHERE clause terms".
        """
        return self.text.format(f"+{self.column}")

    def negated(self) -> "Condition":
        """Return the condition that all other labels meet, also those without a value."""
        return Condition(f"({self.text}) IS NOT TRUE", self.values, self.column)


@dataclass(frozen=True, slots=True)
class Plan:
    """The conditions of a query, and what decides on the labels that meet them.

    `matches` is None where the conditions are exact. `access` is the condition that SQLite looks up
    in an index, while it compares the others; None for a scan of all labels.
    """

    conditions: Sequence[Condition] = ()
    matches: Matcher | None = None
    access: Condition | None = None

    def statement(self, columns: str, order: str = ORDER) -> tuple[str, list[Any]]:
        """Return the statement that selects these columns, and its values."""
        texts = [
            each.looked_up() if each is self.access else each.compared() for each in self.conditions
        ]
        where = f" WHERE {' AND '.join(texts)}" if texts else ""
        values = [value for each in self.conditions for value in each.values]
        return f"SELECT {columns} FROM labels{where}" + f" ORDER BY {order}" * bool(order), values


_NEVER = Condition("0")


def make_plan(connection: sqlite3.Connection, query: SearchQuery, varying: Varying | None) -> Plan:
    """Return the plan of a query that `matching.compile_query` has accepted.

    `varying`: the fields that contexts do not have; None for a file without contexts.
    """
    parts = _Parts(query, varying)
    conditions, remaining = parts.conditions, parts.remaining
    access = _find_access(connection, conditions, most=_FEW)
    if access:
        remaining = [*parts.in_contexts, *remaining]
    else:
        conditions = [*conditions, *_context_conditions(connection, parts.in_contexts)]
        access = _find_access(connection, conditions)
    if _NEVER in conditions:
        return Plan((_NEVER,))
    matches = matching.compile_query(SearchQuery(tuple(remaining))) if remaining else None
    return Plan(conditions, matches, access)


class _Parts:
    """The clauses of a query by what decides them.

    `conditions` are exact for the clauses that are in neither list. Of the optional clauses
    (`should`) one has to match, so they stay together.
    """

    def __init__(self, query: SearchQuery, varying: Varying | None) -> None:
        self.conditions: list[Condition] = []
        self.in_contexts: list[Clause] = []
        self.remaining: list[Clause] = []
        optional = []
        for clause in query.clauses:
            if clause.occur == "should":
                optional.append(clause)
            elif _is_in_context(clause, varying):
                self.in_contexts.append(clause)
            elif conditions := self._exact(clause):
                self.conditions += conditions
            else:
                self.remaining.append(clause)
                if varying is None and clause.occur != "must_not":
                    self.conditions += self._limited(_conditions(clause, SESSION_COLUMNS))
        if optional:
            self._add_optional(optional, varying)

    def _exact(self, clause: Clause) -> list[Condition]:
        found = self._limited(_conditions(clause, COLUMNS))
        return [each.negated() for each in found[:1]] if clause.occur == "must_not" else found

    def _limited(self, conditions: list[Condition]) -> list[Condition]:
        return conditions if len(self.conditions) < _MAX_CONDITIONS else []

    def _add_optional(self, clauses: Sequence[Clause], varying: Varying | None) -> None:
        if all(_is_in_context(clause, varying) for clause in clauses):
            self.in_contexts += clauses
            return
        found = [_conditions(clause, COLUMNS)[:1] for clause in clauses[:_MAX_CONDITIONS]]
        if len(clauses) > _MAX_CONDITIONS or not all(found):
            self.remaining += clauses
            return
        text = " OR ".join(each.compared() for [each] in found)
        values = tuple(value for [each] in found for value in each.values)
        self.conditions.append(Condition(f"({text})", values))


def _is_in_context(clause: Clause, varying: Varying | None) -> bool:
    """Return whether the context of a label decides the clause."""
    if varying is None:
        return False
    return clause.type == "match_all" or not varying.concerns(field_of(clause).path)


def _conditions(clause: Clause, columns: Mapping[str, str]) -> list[Condition]:
    """Return the condition that a clause is, on one of the columns; none for any other clause.

    A second one limits the column to one range, where the first is made of several.
    """
    if clause.type == "match_all":
        return []
    if clause.type == "exists":
        path = field_of(clause).path
        return [Condition("{0} IS NOT NULL", (), COLUMNS[path])] if path in COLUMNS else []
    allowed = matching.allowed_spans(clause)
    if allowed is None or allowed[0] not in columns:
        return []
    path, spans = allowed
    return _on_column(columns[path], spans)


def _on_column(column: str, spans: Sequence[Span]) -> list[Condition]:
    """Return the conditions that a value is in one of the spans; none if SQLite cannot be asked."""
    if column in _TEXT_COLUMNS:
        spans = [span for span in spans if not span.is_point or _is_encodable(span.low)]
    points = [span.low for span in spans if span.is_point]
    ranges = [span for span in spans if not span.is_point]
    if not _can_be_asked(points, ranges):
        return []
    if not points and not ranges:
        return [_NEVER]
    condition = _in_one_of(column, points, ranges)
    if column in SESSION_COLUMNS.values() and (ranges or not "".join(points).isascii()):
        return [_in_nfc(condition)]
    is_one_range = len(ranges) + bool(points) == 1
    return [condition] if is_one_range else [condition, *_hull(spans, column)]


def _can_be_asked(points: Sequence[Any], ranges: Sequence[Span]) -> bool:
    """Return whether SQLite can be asked for a value among these."""
    bounds = [bound for span in ranges for bound in (span.low, span.high)]
    if len(ranges) > _MAX_SPANS or not all(
        _is_encodable(bound) for bound in bounds if isinstance(bound, str)
    ):
        return False
    # more are asked for as JSON, whose texts end at a zero byte
    return len(points) <= _MAX_VALUES or not any("\0" in str(each) for each in points)


def _in_one_of(column: str, points: Sequence[Any], ranges: Sequence[Span]) -> Condition:
    """Return the condition that a value is one of the points, or in one of the ranges."""
    parts = [_any_of(points)] if points else []
    parts += map(_range, ranges)
    texts, values = zip(*parts, strict=True)
    return Condition(
        texts[0] if len(texts) == 1 else f"({' OR '.join(texts)})",
        tuple(value for some in values for value in some),
        column,
        can_be_looked_up=column in _INDEXED and len(texts) == 1,
    )


def _in_nfc(condition: Condition) -> Condition:
    """Return the condition on texts that earlier versions did not store in NFC."""
    text = condition.text.replace("{0}", "nfc({0})")
    return replace(condition, text=text, can_be_looked_up=False)


def _any_of(values: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    """Return the condition that a value is one of these."""
    if len(values) <= _MAX_VALUES:
        return f"{{0}} IN ({','.join('?' * len(values))})", tuple(values)
    return "{0} IN (SELECT value FROM json_each(?))", (json.dumps(values),)


def _is_encodable(text: str) -> bool:
    """Return whether SQLite can be asked for a text: half a character is in none of its texts."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _range(span: Span) -> tuple[str, tuple[Any, ...]]:
    sides = [
        (f"{{0}} >{'=' if span.with_low else ''} ?", span.low),
        (f"{{0}} <{'=' if span.with_high else ''} ?", span.high),
    ]
    bounded = [side for side in sides if side[1] is not None]
    text = " AND ".join(text for text, _ in bounded) or "{0} IS NOT NULL"
    return f"({text})", tuple(value for _, value in bounded)


def _hull(spans: Sequence[Span], column: str) -> list[Condition]:
    """Return the condition that a value is between all of the spans, if they are bounded."""
    lows, highs = [span.low for span in spans], [span.high for span in spans]
    if column not in _INDEXED or None in lows or None in highs:
        return []
    text, values = _range(Span(min(lows), max(highs)))
    return [Condition(text, values, column, can_be_looked_up=True)]


def _context_conditions(
    connection: sqlite3.Connection, clauses: Sequence[Clause]
) -> list[Condition]:
    """Return the condition that the context of a label meets all of the clauses, if one is needed.

    Raises:
        DatabaseError: a context is damaged.
    """
    if not clauses:
        return []
    matches = matching.compile_query(SearchQuery(tuple(clauses)))
    found, are_all = [], True
    for number, context in contexts.read_all(connection):
        if matches(context):
            found.append(number)
        else:
            are_all = False
    if not found:
        return [_NEVER]
    if are_all:
        return []
    return [Condition(*_any_of(found), "context", can_be_looked_up=True)]


def _find_access(
    connection: sqlite3.Connection, conditions: Sequence[Condition], *, most: int | None = None
) -> Condition | None:
    """Return the condition that the fewest labels meet; None if these are a large part of all.

    `most`: None too if there are more.
    """
    candidates = [each for each in conditions if each.can_be_looked_up]
    if not candidates:
        return None
    limit = _FEW
    if most is None:
        (last,) = connection.execute("SELECT max(id) FROM labels").fetchone()
        most = max(limit, (last or 0) // _LARGE_PART)
    while True:
        counts = [_count(connection, each, limit) for each in candidates]
        fewest = min(counts)
        if fewest < limit:
            return candidates[counts.index(fewest)]
        if limit >= most:
            return None
        limit = min(8 * limit, most)


def _count(connection: sqlite3.Connection, condition: Condition, limit: int) -> int:
    """Return how many labels meet a condition; counting stops at the limit."""
    some = f"SELECT 1 FROM labels WHERE {condition.looked_up()} LIMIT {limit:d}"
    found = connection.execute(f"SELECT count(*) FROM ({some})", condition.values)
    return int(found.fetchone()[0])
