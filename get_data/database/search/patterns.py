"""Wildcards and regular expressions of Elasticsearch, run by RE2, which no pattern holds up."""

import re
from collections.abc import Callable

import re2

Fits = Callable[[str], object]  # whether a text, as a whole, is like the pattern


class NotKnown(Exception):
    """A text cannot be read as what it should be; the message says what that is."""


def wildcard(text: str, *, any_case: bool) -> Fits:
    r"""Whether a text is like a wildcard with `*`, `?` and `\`. Raises: NotKnown."""
    if not text:
        return lambda text: False  # Elasticsearch finds nothing then, not even ""
    instead = {"*": ".*", "?": "."}
    parts = re.findall(r"\\.|.", text, re.DOTALL)
    return _compiled(
        "".join(
            instead.get(part) or _literal(part[-1] if len(part) == 2 else part, any_case=any_case)
            for part in parts
        )
    )


def _compiled(pattern: str) -> Fits:
    options = re2.Options()
    options.dot_nl = True
    options.never_capture = True
    options.log_errors = False
    try:
        fits: Fits = re2.compile(pattern, options).fullmatch
    except re2.error as error:
        [reason] = error.args
        raise NotKnown(reason.decode() if isinstance(reason, bytes) else str(reason)) from error
    return fits


def _literal(text: str, *, any_case: bool) -> str:
    """The text itself; in any case means in that of ASCII, as Elasticsearch has it."""
    return "".join(
        f"[{char.lower()}{char.upper()}]"
        if any_case and char.isascii() and char.isalpha()
        else re.escape(char)
        for char in text
    )


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


def regexp(text: str, *, any_case: bool) -> Fits:
    r"""Whether a text is like a regular expression.

    Known are `. ? + * {2} {2,} {2,5} | ( ) [abc] [^a-z] "literal text"`, a backslash before a sign,
    and `\d \w \s` with their opposites, in ASCII. Raises: NotKnown.
    """
    translated, at, before = [], 0, "("
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
        if any_case and "-" in (sign["inside"] or ""):
            # there Elasticsearch takes a range as it stands, and single letters in both sizes
            raise NotKnown(f"{sign[0]} with case_insensitive; write both, as in [a-zA-Z]")
        translated.append(_translated(sign, any_case=any_case))
        at, before = sign.end(), sign[0] if kind == "structure" else str(kind)
    if before in ("(", "|"):
        raise NotKnown("nothing at its end")
    return _compiled("".join(translated))


def _translated(sign: re.Match[str], *, any_case: bool) -> str:
    """One sign in RE2's words."""
    match sign.lastgroup:
        case "escaped":
            return _escaped(sign["escaped"])
        case "inside":
            items = re.findall(r"\\.|.", sign["inside"], re.DOTALL)
            if "--" in sign["inside"]:
                raise NotKnown("-- in brackets")
            inside = "".join(_in_brackets(item, any_case=any_case) for item in items)
            return f"[{sign['inverse']}{inside}]"
        case "count" if re.search("[0-9]{5}", sign[0]):  # RE2 would take it for text
            raise NotKnown(f"invalid repetition size: {sign[0]}")
        case "count" | "any" | "structure":
            return sign[0]
        case "literal":
            return f"(?:{_literal(sign['literal'], any_case=any_case)})"
    return _literal(sign[0], any_case=any_case)


def _escaped(char: str) -> str:
    name = char.lower()
    if name in _CLASSES:
        return f"[{'' if char == name else '^'}{_CLASSES[name]}]"
    if char.isascii() and char.isalnum():
        raise NotKnown(f"a backslash before {char!r}")
    return re.escape(char)


def _in_brackets(item: str, *, any_case: bool) -> str:
    if item.startswith("\\"):
        return _CLASSES.get(item[1]) or _escaped(item[1])
    if any_case and item.isascii() and item.isalpha():
        return item.lower() + item.upper()
    return item if item == "-" else re.escape(item)
