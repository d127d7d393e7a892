"""Wildcards and regular expressions of Elasticsearch, in Python's words."""

import re


class NotKnown(Exception):
    """A text cannot be read as what it should be; the message says what that is."""


def wildcard(text: str) -> str:
    r"""The regular expression that a wildcard with `*`, `?` and `\` stands for."""
    parts = re.findall(r"\\.|.", text, re.DOTALL)
    instead = {"*": ".*", "?": "."}
    translated = "".join(
        instead.get(part) or re.escape(part[-1] if len(part) == 2 else part) for part in parts
    )
    return translated or r"(?!)"  # Elasticsearch finds nothing then, not even ""


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


def regexp(text: str, *, any_case: bool) -> str:
    r"""The same in Python's words, of a regular expression in Elasticsearch's.

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
        translated.append(_sign_in_python(sign))
        at, before = sign.end(), sign[0] if kind == "structure" else str(kind)
    if before in ("(", "|"):
        raise NotKnown("nothing at its end")
    return "".join(translated)


def _sign_in_python(sign: re.Match[str]) -> str:
    match sign.lastgroup:
        case "escaped":
            return _escaped(sign["escaped"])
        case "inside":
            items = re.findall(r"\\.|.", sign["inside"], re.DOTALL)
            if "--" in sign["inside"]:
                raise NotKnown("-- in brackets")
            return f"[{sign['inverse']}{''.join(map(_in_brackets, items))}]"
        case "structure":
            return "(?:" if sign[0] == "(" else sign[0]
        case "count" | "any":
            return sign[0]
    return re.escape(sign["literal"] if sign.lastgroup == "literal" else sign[0])


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
