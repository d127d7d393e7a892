"""Wildcards and regular expressions of Elasticsearch, compiled with RE2.

Matching is linear in the input, whatever the pattern.
"""

import re
from collections.abc import Callable

import re2

FullMatch = Callable[[str], object]
"""Returns a true value if the whole text matches."""


class InvalidValue(Exception):
    """A value of the wrong form; the message says which form is expected."""


def compile_wildcard(text: str, *, any_case: bool) -> FullMatch:
    r"""Compile a wildcard with `*`, `?` and `\`.

    Raises:
        InvalidValue: RE2 rejects it.
    """
    if not text:
        return lambda text: False  # Elasticsearch finds nothing, not even ""
    operators = {"*": ".*", "?": "."}
    parts = re.findall(r"\\.|.", text, re.DOTALL)
    return _compile(
        "".join(
            operators.get(part) or _literal(part[-1] if len(part) == 2 else part, any_case=any_case)
            for part in parts
        )
    )


def _compile(pattern: str) -> FullMatch:
    options = re2.Options()
    options.dot_nl = True
    options.never_capture = True
    options.log_errors = False
    try:
        full_match: FullMatch = re2.compile(pattern, options).fullmatch
    except re2.error as error:
        [reason] = error.args
        raise InvalidValue(reason.decode() if isinstance(reason, bytes) else str(reason)) from error
    return full_match


def _literal(text: str, *, any_case: bool) -> str:
    """Return the pattern of a literal text; `any_case` covers only ASCII, as in Elasticsearch."""
    return "".join(
        f"[{char.lower()}{char.upper()}]"
        if any_case and char.isascii() and char.isalpha()
        else re.escape(char)
        for char in text
    )


_ELEMENT = re.compile(
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


def compile_regexp(text: str, *, any_case: bool) -> FullMatch:
    r"""Compile a regular expression.

    Supports `. ? + * {2} {2,} {2,5} | ( ) [abc] [^a-z] "literal text"`, a backslash before a
    special character, and `\d \w \s` with their opposites, in ASCII.

    Raises:
        InvalidValue: it is invalid or not supported.
    """
    translated, position, before = [], 0, "("
    while position < len(text):
        element = _ELEMENT.match(text, position)
        if not element:
            raise InvalidValue(
                f"{text[position]!r} at position {position}; a backslash makes it literal"
            )
        starts_group = before in ("(", "|")
        kind = element.lastgroup
        if (kind == "count" and (starts_group or before == "count")) or (
            element[0] in ("|", ")") and starts_group
        ):
            raise InvalidValue(
                f"{element[0]!r} at position {position} needs a character or a group before it"
            )
        if any_case and "-" in (element["inside"] or ""):
            # in brackets, Elasticsearch ignores the case of single letters, but not of ranges
            raise InvalidValue(f"{element[0]!r} with case_insensitive; write both, as in [a-zA-Z]")
        translated.append(_translate(element, any_case=any_case))
        position, before = element.end(), element[0] if kind == "structure" else str(kind)
    if before in ("(", "|"):
        raise InvalidValue("nothing at its end")
    return _compile("".join(translated))


def _translate(element: re.Match[str], *, any_case: bool) -> str:
    """Return an element in the syntax of RE2."""
    match element.lastgroup:
        case "escaped":
            return _translate_escaped(element["escaped"])
        case "inside":
            items = re.findall(r"\\.|.", element["inside"], re.DOTALL)
            if "--" in element["inside"]:
                raise InvalidValue("-- in brackets")
            inside = "".join(_translate_inside(item, any_case=any_case) for item in items)
            return f"[{element['inverse']}{inside}]"
        case "count" if re.search("[0-9]{5}", element[0]):  # RE2 would take it literally
            raise InvalidValue(f"invalid repetition size: {element[0]}")
        case "count" | "any" | "structure":
            return element[0]
        case "literal":
            return f"(?:{_literal(element['literal'], any_case=any_case)})"
    return _literal(element[0], any_case=any_case)


def _translate_escaped(char: str) -> str:
    name = char.lower()
    if name in _CLASSES:
        return f"[{'' if char == name else '^'}{_CLASSES[name]}]"
    if char.isascii() and char.isalnum():
        raise InvalidValue(f"a backslash before {char!r}")
    return re.escape(char)


def _translate_inside(item: str, *, any_case: bool) -> str:
    if item.startswith("\\"):
        return _CLASSES.get(item[1]) or _translate_escaped(item[1])
    if any_case and item.isascii() and item.isalpha():
        return item.lower() + item.upper()
    return item if item == "-" else re.escape(item)
