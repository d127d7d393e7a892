"""Classes that the values of a field make of labels."""

from collections.abc import Callable

from common.errors import InputError
from get_data.database.search.fields import field_of
from get_data.database.search.search_query import Clause
from get_data.labels.custom_fields import term_text
from get_data.labels.schema import CUSTOM, Document, is_elasticsearch_field, resolve_field

_WITH_CLASSES = ("keyword", "keyword+text", "integer", "long", "boolean", "flattened", CUSTOM)
_NUMBERS = {"label.label_direction": "nb_dir", "label.label_speed": "nb_speed"}
"""Fields whose values mean something only together with the number of classes."""

Grouping = Callable[[Document], str | None]


def group_by(path: str) -> Grouping:
    """Return a function that names the class of a label; None for one without a value.

    Several values are one class. A direction or a speed is one together with the number of classes,
    "0 of 5".

    Raises:
        InputError: almost every label would be a class of its own, or the field is no label's.
    """
    name, kind = resolve_field(path)
    if kind not in _WITH_CLASSES or is_elasticsearch_field(name) or "*" in name:
        raise InputError(
            f"--per-class, {path}: has no classes; name a field with a few values, such as "
            "label.label_direction"
        )
    field = field_of(Clause(path, "exists"))
    number = _NUMBERS.get(name)

    def group(document: Document) -> str | None:
        values = field.values(document)
        if not values:
            return None
        text = ", ".join(sorted(map(term_text, values)))
        return f"{text} of {document['label'].get(number)}" if number else text

    return group
