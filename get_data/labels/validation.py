"""Checks of labels that come from a file or an index."""

import re
from collections.abc import Collection, Iterator
from typing import Any

import msgspec
from msgspec import UNSET

from common import structs
from common.errors import InputError
from common.times import parse_time
from get_data.labels import ids, values
from get_data.labels.custom_fields import term_text
from get_data.labels.schema import (
    ELASTICSEARCH_FIELDS,
    FILE_NAME,
    IMG_ID,
    INDEX_TYPES,
    MAX_DEPTH,
    MAX_KEYWORD,
    MAX_TERM_BYTES,
    OBJECTS,
    RESERVED,
    Document,
    Label,
    is_flattened,
)

_MAX_FILE_NAME_BYTES = 255
_is_name = re.compile(FILE_NAME).fullmatch
_CONTAINERS = (dict, list)
_NO_TIME = "is not an ISO 8601 time"
# a scalar under one of these keys is checked by its type alone
_TYPED_KEYS = frozenset(key for key in RESERVED if not is_flattened(key))


def parse(document: object) -> Label:
    """Return the checked view of a document.

    Raises:
        InputError: with the path of the first bad value, what it is and what it should be.
    """
    label = structs.convert(document, Label)
    for path, complaint in label_faults(label, values.speed_span(document)):
        raise InputError(f"{path}: {complaint}")
    if isinstance(document, dict):
        for path, complaint in _key_faults(document):
            raise InputError(f"{path}: {complaint}")
    return label


def is_file_name(name: str) -> bool:
    """Return whether a picture may have this name: a plain one, without a folder or `..`."""
    return (
        _is_name(name) is not None
        and ".." not in name
        and len(name.encode(errors="surrogatepass")) <= _MAX_FILE_NAME_BYTES
    )


def is_img_id(text: str) -> bool:
    """Return whether a picture may have this id."""
    return re.fullmatch(IMG_ID, text) is not None and not text.endswith("\n")


def label_faults(label: Label, span: float | None) -> list[tuple[str, str]]:
    """Return path and reason of each fault that types and ranges do not show.

    Keys that `Label` does not have are not looked at. `span`: `values.speed_span` of the label.
    """
    faults = []
    img_id, annotation = label.img_id, label.label
    if img_id.endswith("\n"):
        faults.append(("img_id", "ends with a line break"))
    # an id that is no path and no `..` makes a plain name, as nearly all have it
    is_named_by_id = label.file_name == f"{img_id}.jpg" and ".." not in img_id
    if not is_named_by_id and not is_file_name(label.file_name):
        faults.append(("file_name", f"{label.file_name!r} is not a plain file name"))
    if parse_time(label.timestamp) is None:
        faults.append(("timestamp", f"{label.timestamp!r} {_NO_TIME}"))
    created = annotation.created_on_date
    if created and created != label.timestamp and parse_time(created) is None:
        faults.append(("label.created_on_date", f"{created!r} {_NO_TIME}"))
    if label.upload_date and parse_time(label.upload_date) is None:
        faults.append(("upload_date", f"{label.upload_date!r} {_NO_TIME}"))
    direction, nb_dir = annotation.label_direction, annotation.nb_dir
    if direction >= nb_dir:
        faults.append(("label.label_direction", f"{direction} is not below nb_dir {nb_dir}"))
    speed, nb_speed = annotation.label_speed, annotation.nb_speed
    if speed >= nb_speed:
        faults.append(("label.label_speed", f"{speed} is not below nb_speed {nb_speed}"))
    right = ids.annotation_fingerprint(
        img_id, annotation.created_by, direction, speed, nb_dir, nb_speed
    )
    if label.label_fingerprint != right:
        reason = (
            f"{label.label_fingerprint} is stale, this label's is {right}; "
            "give a corrected label that fingerprint, and name the old one in `replaces`"
        )
        faults.append(("label_fingerprint", reason))
    faults += values.contradictions(annotation, span)
    if label.to_delete is True and label.replaces is not UNSET:
        reason = "a label to be deleted replaces nothing; give the one or the other"
        faults.append(("replaces", reason))
    if label.replaces == label.label_fingerprint:
        faults.append(("replaces", "names the label itself"))
    return faults


def _key_faults(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the keys that no team's index takes, or whose values it does not, with the reason."""
    yield from _inner_contradictions(document)
    for key, value in document.items():
        if key in _TYPED_KEYS and not isinstance(value, _CONTAINERS):
            continue
        if key not in RESERVED and (fault := custom_key_fault(key, document)):
            yield repr(key), fault
        elif key not in RESERVED and not is_custom_value(value):
            yield key, "a key of your own holds a text, a number, true, false or a list of them"
        elif fault := value_fault(key, value):
            yield key, fault


def value_fault(key: str, value: Any) -> str:
    """Return why a team's index refuses a value under this key; "" if it accepts it."""
    if isinstance(value, _CONTAINERS) and _is_deeper(value, MAX_DEPTH):
        return f"nested too deep; {MAX_DEPTH} objects or lists in each other are enough"
    if is_flattened(key) and not _is_plain({key: value}):
        return _flattened_fault(value, key)
    return ""


def _is_deeper(container: dict[str, Any] | list[Any], depth: int) -> bool:
    """Return whether lists and objects are nested deeper than `depth`."""
    if depth == 0:
        return True
    inside = container.values() if isinstance(container, dict) else container
    containers = [item for item in inside if isinstance(item, _CONTAINERS)]
    return bool(containers) and any(_is_deeper(item, depth - 1) for item in containers)


def _is_plain(setting: Document) -> bool:
    """Return whether a setting is short and has no zero byte, so that every index accepts it."""
    try:
        encoded = msgspec.json.encode(setting)
    except (ValueError, OverflowError):  # such as a lone surrogate or a number of 40 digits
        return False
    return len(encoded) <= MAX_TERM_BYTES and b"\\u0000" not in encoded


def _flattened_fault(value: Any, path: str) -> str:
    """Return why a team's index refuses a value in a flattened field; "" if it accepts it.

    The index makes a term of the path, a zero byte and the value.
    """
    if "\0" in path:
        return f"the key {path!r} has a zero byte in it; rename it"
    if isinstance(value, dict):
        faults = (_flattened_fault(inside, f"{path}.{name}") for name, inside in value.items())
        return next(filter(None, faults), "")
    if isinstance(value, list):
        return next(filter(None, (_flattened_fault(item, path) for item in value)), "")
    text = "" if value is None else term_text(value)
    is_indexed = value is not None and _utf16_length(text) <= MAX_KEYWORD
    size = len(f"{path.partition('.')[2]}\0{text}".encode(errors="surrogatepass"))
    if is_indexed and size > MAX_TERM_BYTES:
        return (
            f"{_shortened(path)} and its value have {size:,} bytes, "
            f"more than {MAX_TERM_BYTES:,}; make one of them shorter"
        )
    return ""


def _shortened(path: str) -> str:
    return path if len(path) <= 80 else f"{path[:60]}...{path[-10:]}"


def _utf16_length(text: str) -> int:
    """Return the number of characters as Java counts them."""
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2


def custom_key_fault(key: str, keys: Collection[str]) -> str:
    """Return why a team's index refuses a label with this custom key; "" if it accepts it.

    `keys` are all keys beside it. A dot separates the names of a path, as in a search.
    """
    steps = _steps(key)
    if not steps:
        return "nothing is before or between the dots of the key; rename it"
    if steps[0] in ELASTICSEARCH_FIELDS:
        return f"Elasticsearch has a {steps[0]} of its own; rename the key"
    if len(steps) > MAX_DEPTH:
        return f"the key has more than {MAX_DEPTH - 1} dots; rename it"
    for count in range(1, len(steps) + 1):
        outer = ".".join(steps[:count])
        is_field = INDEX_TYPES.get(outer, "flattened") != "flattened"
        is_again = outer in RESERVED and count == len(steps)  # the key with a dot at its end
        if is_field or is_again or (outer in keys and outer not in RESERVED and outer != key):
            return f"there is a key {outer} already, and nothing can be inside it; rename this one"
    return ""


def _steps(key: str) -> list[str]:
    """Return the names that a key's dots separate; none when one of them is blank."""
    steps = key.rstrip(".").split(".")
    return steps if all(step.strip() for step in steps) else []


def _inner_contradictions(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the keys inside the label's objects that no team's index takes, with the reason."""
    for part in OBJECTS:
        value = document.get(part)
        for key in value if isinstance(value, dict) else ():
            if f"{part}.{key}" in INDEX_TYPES:
                continue
            steps = _steps(key)
            if not steps:
                yield f"{part}.{key!r}", "nothing is before or between the dots; rename the key"
            for count in range(1, len(steps) + 1):
                if (outer := ".".join((part, *steps[:count]))) in INDEX_TYPES:
                    yield f"{part}.{key!r}", f"there is a key {outer} already; rename this one"


def is_custom_value(value: object) -> bool:
    """Return whether a custom field may hold this: a scalar or a list of scalars."""
    scalars = str | int | float | bool | None
    if isinstance(value, list):
        return all(isinstance(item, scalars) for item in value)
    return isinstance(value, scalars)
