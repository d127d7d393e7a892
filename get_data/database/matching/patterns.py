"""Wildcards and regular expressions of Elasticsearch.

A pattern becomes a small program: it takes a character, goes on at two places, or jumps. All ways
through it are gone at once, so that none is tried again: it takes its length times that of the text
at most. Source: https://swtch.com/~rsc/regexp/regexp1.html
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain

_LONGEST = 3000  # steps of a program: what repeats is written out
_MANY = 10_000  # places that are remembered

Sign = Callable[[str], object]  # whether a character is one of these
Step = Sign | tuple[int, ...]  # or how far to go on from here, in one way or two
Program = list[Step]
Places = frozenset[int]


class NotKnown(Exception):
    """A text cannot be read as what it should be; the message says what that is."""


def wildcard(text: str, flags: int) -> Callable[[str], bool]:
    r"""Whether a text is like a wildcard with `*`, `?` and `\`; `flags` are those of `re`."""
    if not text:
        return lambda text: False  # Elasticsearch finds nothing then, not even ""
    anything: Program = [_sign(".", flags)]
    instead = {"*": _repeated(anything, 0, None), "?": anything}
    program: Program = []
    for part in re.findall(r"\\.|.", text, re.DOTALL):
        literal = re.escape(part[-1] if len(part) == 2 else part)
        program += instead.get(part) or [_sign(literal, flags)]
    return _matcher(program)


def _sign(pattern: str, flags: int) -> Sign:
    return re.compile(pattern, flags).fullmatch


def _either(one: Program, other: Program) -> Program:
    return [(1, len(one) + 2), *one, (len(other) + 1,), *other]


def _repeated(program: Program, least: int, most: int | None) -> Program:
    """Written out. Raises: NotKnown when that is too long."""
    if len(program) * max(least, most or 0) > _LONGEST:
        raise NotKnown("it repeats too much")
    if most is None:
        return [*program * least, (1, len(program) + 2), *program, (-len(program) - 1,)]
    return program * least + _either(program, []) * (most - least)


def _matcher(program: Program) -> Callable[[str], bool]:
    """Whether a text, as a whole, leads through the program."""
    if len(program) > _LONGEST:
        raise NotKnown("it is too long, with what repeats written out")
    start = _reached(program, [0])
    known: dict[Places, dict[str, Places]] = {}

    def matches(text: str) -> bool:
        places = start
        for char in text:
            after = known.setdefault(places, {})
            if char not in after:
                if len(known) > _MANY:
                    known.clear()
                after[char] = _taken(program, places, char)
            places = after[char]
            if not places:
                return False
        return len(program) in places

    return matches


def _taken(program: Program, places: Places, char: str) -> Places:
    """Where one is after a character."""
    signs = ((place, program[place]) for place in places if place < len(program))
    return _reached(program, [place + 1 for place, sign in signs if callable(sign) and sign(char)])


def _reached(program: Program, places: Iterable[int]) -> Places:
    """The places that can be reached from there without a character."""
    seen: set[int] = set()
    waiting = list(places)
    while waiting:
        place = waiting.pop()
        if place not in seen:
            seen.add(place)
            step = program[place] if place < len(program) else ()
            if isinstance(step, tuple):
                waiting += [place + far for far in step]
    return frozenset(place for place in seen if place == len(program) or callable(program[place]))


_SIGN = re.compile(
    r"""
      "(?P<literal>[^"]*)"
    | \\(?P<escaped>.)
    | \[(?P<inverse>\^?)(?P<inside>(?:\\.|[^\]\\])+)\]
    | (?P<count>[?*+]|\{[0-9]+(?:,[0-9]*)?\})
    | (?P<structure>[(|)])
    | (?P<any>\.)
    | (?P<plain>[^"\\\[{~<>&@\#])
    """,
    re.VERBOSE | re.DOTALL,
)
_CLASSES = {"d": "0-9", "w": "a-zA-Z0-9_", "s": r" \t\n\r"}


def regexp(text: str, flags: int) -> Callable[[str], bool]:
    r"""Whether a text is like a regular expression; `flags` are those of `re`.

    Known are `. ? + * {2} {2,} {2,5} | ( ) [abc] [^a-z] "literal text"`, a backslash before a sign,
    and `\d \w \s` with their opposites, in ASCII. Raises: NotKnown, re.error.
    """
    open_groups: list[_Group] = [_Group()]
    at, before = 0, "("
    while at < len(text):
        sign = _SIGN.match(text, at)
        if not sign:
            raise NotKnown(f"{text[at]!r} at position {at}; a backslash makes it literal")
        after_nothing = before in ("(", "|")
        kind = sign.lastgroup
        if (kind == "count" and (after_nothing or before == "count")) or (
            sign[0] in ("|", ")") and after_nothing
        ):
            raise NotKnown(f"{sign[0]!r} at position {at}, after nothing or a second time")
        if flags & re.IGNORECASE and "-" in (sign["inside"] or ""):
            # there Elasticsearch takes a range as it stands, and single letters in both sizes
            raise NotKnown(f"{sign[0]} with case_insensitive; write both, as in [a-zA-Z]")
        match sign[0] if kind == "structure" else kind:
            case "(":
                open_groups.append(_Group())
            case "|":
                open_groups[-1].parts.append([])
            case ")":
                if len(open_groups) == 1:
                    raise NotKnown(f"')' at position {at} closes nothing")
                group = open_groups.pop().program()
                open_groups[-1].parts[-1].append(group)
            case "count":
                parts = open_groups[-1].parts[-1]
                parts[-1] = _repeated(parts[-1], *_limits(sign[0]))
            case "literal":
                literal: Program = [_sign(re.escape(char), flags) for char in sign["literal"]]
                open_groups[-1].parts[-1].append(literal)
            case _:
                open_groups[-1].parts[-1].append([_sign(_sign_in_python(sign), flags)])
        at, before = sign.end(), sign[0] if kind == "structure" else str(kind)
    if before in ("(", "|"):
        raise NotKnown("nothing at its end")
    if len(open_groups) > 1:
        raise NotKnown("'(' is not closed")
    return _matcher(open_groups[0].program())


@dataclass(slots=True)
class _Group:
    """What is between two parentheses: alternatives, each of parts one after the other."""

    parts: list[list[Program]] = field(default_factory=lambda: [[]])

    def program(self) -> Program:
        """All of it. Raises: NotKnown when it is too long."""
        *others, last = [list(chain.from_iterable(parts)) for parts in self.parts]
        if sum(map(len, others), len(last)) > _LONGEST:
            raise NotKnown("it is too long, with what repeats written out")
        for other in reversed(others):
            last = _either(other, last)
        return last


def _limits(count: str) -> tuple[int, int | None]:
    """How often at least and at most."""
    if count in ("?", "*", "+"):
        return int(count == "+"), 1 if count == "?" else None
    least, comma, most = count[1:-1].partition(",")
    if not comma:
        most = least
    if max(len(least), len(most)) > len(str(_LONGEST)):
        raise NotKnown("it repeats too much")
    if most and int(most) < int(least):
        raise NotKnown(f"{count}, which ends before it begins")
    return int(least), int(most) if most else None


def _sign_in_python(sign: re.Match[str]) -> str:
    match sign.lastgroup:
        case "escaped":
            return _escaped(sign["escaped"])
        case "inside":
            items = re.findall(r"\\.|.", sign["inside"], re.DOTALL)
            if "--" in sign["inside"]:
                raise NotKnown("-- in brackets")
            return f"[{sign['inverse']}{''.join(map(_in_brackets, items))}]"
        case "any":
            return "."
    return re.escape(sign[0])


def _escaped(char: str) -> str:
    name = char.lower()
    if name in _CLASSES:
        return f"[{'' if char == name else '^'}{_CLASSES[name]}]"
    if char.isascii() and char.isalnum():
        raise NotKnown(f"a backslash before {char!r}")
    return re.escape(char)


def _in_brackets(item: str) -> str:
    if item.startswith("\\"):
        return _CLASSES.get(item[1]) or _escaped(item[1])
    return item if item == "-" else re.escape(item)
