"""Custom fields of a label, as terms that an index keeps in one field."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from get_data.labels.schema import (
    INDEX_TYPES,
    MAX_KEYWORD,
    MAX_TERM_BYTES,
    OBJECTS,
    RESERVED,
    resolve_field,
)


def custom_values(
    document: Mapping[str, Any], undeclared: Collection[str] = ()
) -> dict[str, list[Any]]:
    """Return the values of the fields that the schema does not have, by dotted path.

    They are scalars; a field without any (`null`, `[]`) is left out. `undeclared`: paths of the
    schema that count as custom fields too.
    """
    values: dict[str, list[Any]] = {}
    for key, value in document.items():
        if key in OBJECTS and isinstance(value, dict):
            for name, inside in value.items():
                path = f"{key}.{name}"
                if path not in INDEX_TYPES or path in undeclared:
                    _add_values(path, inside, values)
        elif key in undeclared or (key not in RESERVED and resolve_field(key)[1] != "flattened"):
            _add_values(key, value, values)
    return values


def _add_values(path: str, value: Any, values: dict[str, list[Any]]) -> None:
    if isinstance(value, dict):
        for name, inside in value.items():
            _add_values(f"{path}.{name}", inside, values)
    elif isinstance(value, list):
        for item in value:
            _add_values(path, item, values)
    elif value is not None:
        values.setdefault(path, []).append(value)


def term_text(value: Any) -> str:
    """Return a scalar as a search compares it: a text as it is, all else as JSON spells it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def field_term(path: str) -> str:
    """Return the term that marks a label as having a custom field."""
    return path.replace("\\", r"\\").replace("=", r"\=")


def path_of_term(name: str) -> str:
    """Return the path of a field from its `field_term`."""
    return re.sub(r"\\(.)", r"\1", name)


def value_term(path: str, value: Any) -> str:
    """Return the term of one value of a custom field: `weather=sunny`."""
    return f"{field_term(path)}={term_text(value)}"


def is_searchable(path: str, value: Any) -> bool:
    """Return whether a search can find the value of a custom field: it may be too long."""
    return (
        len(term_text(value)) <= MAX_KEYWORD
        and len(value_term(path, value).encode(errors="surrogatepass")) <= MAX_TERM_BYTES
    )


def custom_terms(document: Mapping[str, Any], undeclared: Collection[str] = ()) -> list[str]:
    """Return the terms of all custom fields of a label, and of the `undeclared` paths."""
    terms: dict[str, None] = {}
    for path, values in custom_values(document, undeclared).items():
        for value in values:
            if is_searchable(path, value):
                terms[field_term(path)] = None
                terms[value_term(path, value)] = None
    return list(terms)
