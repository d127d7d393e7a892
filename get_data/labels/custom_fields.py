"""Fields of the user's own, as terms that an index can keep in one field."""

import re
from collections.abc import Mapping
from typing import Any

from get_data.labels.schema import (
    INDEX_TYPES,
    MAX_KEYWORD,
    MAX_TERM_BYTES,
    OBJECTS,
    RESERVED,
    resolve_field,
)


def custom_values(document: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the values of the fields that the declaration does not know, by dotted path.

    They are scalars; a field without any (`null`, `[]`) is left out.
    """
    found: dict[str, list[Any]] = {}
    for key, value in document.items():
        if key in OBJECTS and isinstance(value, dict):
            for name, inside in value.items():
                if (path := f"{key}.{name}") not in INDEX_TYPES:
                    _add_own(path, inside, found)
        elif key not in RESERVED and resolve_field(key)[1] != "flattened":
            _add_own(key, value, found)
    return found


def _add_own(path: str, value: Any, found: dict[str, list[Any]]) -> None:
    if isinstance(value, dict):
        for name, inside in value.items():
            _add_own(f"{path}.{name}", inside, found)
    elif isinstance(value, list):
        for one in value:
            _add_own(path, one, found)
    elif value is not None:
        found.setdefault(path, []).append(value)


def term_text(value: Any) -> str:
    """Return a scalar as a search compares it: a text as it is, all else as JSON spells it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def field_term(path: str) -> str:
    """Return the term by which an index knows that a label has a field of the user's own."""
    return path.replace("\\", r"\\").replace("=", r"\=")


def path_of_term(name: str) -> str:
    """Return the path of the field whose `field_term` that is."""
    return re.sub(r"\\(.)", r"\1", name)


def value_term(path: str, value: Any) -> str:
    """Return the term by which an index knows one value of such a field: `weather=sunny`."""
    return f"{field_term(path)}={term_text(value)}"


def is_searchable(path: str, value: Any) -> bool:
    """Return whether a search can find the value of such a field; it may be too long."""
    return (
        len(term_text(value)) <= MAX_KEYWORD
        and len(value_term(path, value).encode(errors="surrogatepass")) <= MAX_TERM_BYTES
    )


def custom_terms(document: Mapping[str, Any]) -> list[str]:
    """Return the terms of all fields of the user's own, for an index to keep in one field."""
    terms: dict[str, None] = {}
    for path, values in custom_values(document).items():
        for value in values:
            if is_searchable(path, value):
                terms[field_term(path)] = None
                terms[value_term(path, value)] = None
    return list(terms)
