"""Mappings of the two indices, derived from the declaration of the labels' fields (`INDEX_TYPES`).

- keyword: with a `.text` sub-field where people write sentences. Values of more than 8191
  characters are stored but not indexed.
- date: to the nanosecond, also in the format of an `img_id`; "" is accepted as no date.
- flattened: every value inside is a keyword.
- Custom fields, which are not declared, share one field, `CUSTOM_TERMS`, of terms such as
  `weather=sunny`: an index is limited to 1,000 fields, and rejects labels that need more. An index
  from an earlier version has a field for each of them; these are kept and queried as well, and the
  next writer adds the shared field.

A declared field that an index lacks is added by the next writer who may (`added_fields`).
`LABEL_VERSION` changes only with what cannot be added; `_meta.oldest_writer` then names the oldest
version that may write, if that is not the version itself.

The index is sorted in the order of search results, so results need no sorting. An upload searches
it for each batch, which would keep Elasticsearch refreshing it every second; it is refreshed every
`REFRESH_S` seconds instead. Whoever has written refreshes it, and whoever must see all labels.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from get_data.labels.schema import CUSTOM, CUSTOM_TERMS, INDEX_TYPES, MAX_KEYWORD, resolve_field

LABEL_VERSION = 1
REFRESH_S = 10  # until searches show what a killed program wrote, or one that still writes
ORDER = {"img_id": "asc", "label.created_on_date": "desc", "label_fingerprint": "asc"}

DATE_FORMATS = "strict_date_optional_time||yyyyMMdd'T'HH-mm-ss-SSSSSS||basic_date"
_KEYWORD = {"type": "keyword", "ignore_above": MAX_KEYWORD}
_FIELD_TYPES: Mapping[str, Mapping[str, Any]] = {
    "keyword": _KEYWORD,
    "keyword+text": {**_KEYWORD, "fields": {"text": {"type": "text"}}},
    "flattened": {"type": "flattened", "ignore_above": MAX_KEYWORD},
    "date": {"type": "date_nanos", "format": DATE_FORMATS, "ignore_malformed": True},
}

_NO_DYNAMIC_FIELDS = {"dynamic": "false"}

Definition = Mapping[str, Any]  # mappings and settings, as in `PUT /<index>`


def label_index(shards: int = 1) -> Definition:
    """Return the definition of the index of the labels, with this many primary shards."""
    sort = {"field": list(ORDER), "order": list(ORDER.values())}
    index = {"number_of_shards": shards, "sort": sort, "refresh_interval": f"{REFRESH_S}s"}
    return {
        "settings": {"index": index},
        "mappings": {
            "_meta": {"label_version": LABEL_VERSION},
            "date_detection": False,
            **_NO_DYNAMIC_FIELDS,
            "properties": {**_properties(), CUSTOM_TERMS: {"type": "keyword"}},
        },
    }


def tombstone_index() -> Definition:
    """Return the definition of the index of the tombstones."""
    keywords = dict.fromkeys(("img_id", "s3_key", "why", "by"), _KEYWORD)
    return {
        "settings": {"index": {"number_of_shards": 1}},
        "mappings": {
            **_NO_DYNAMIC_FIELDS,
            "properties": {**keywords, "when": {"type": "date"}},
        },
    }


def missing_fields(expected: Definition, actual: Definition) -> Definition:
    """Return the body of `PUT _mapping` that completes an index; empty if it is complete."""
    mappings, needed = actual.get("mappings", {}), expected["mappings"]
    fields = _missing_properties(needed["properties"], mappings.get("properties", {}))
    if not fields and mappings.get("dynamic") == needed["dynamic"]:
        return {}
    return {**_NO_DYNAMIC_FIELDS, "properties": fields}


def missing_paths(actual: Definition) -> frozenset[str]:
    """Return the dotted paths of the declared fields that an index of labels lacks."""
    expected = label_index()["mappings"]["properties"]
    missing = _missing_properties(expected, actual.get("mappings", {}).get("properties", {}))
    return frozenset(_leaf_paths(missing, "")) - {CUSTOM_TERMS}


def shards(actual: Definition) -> int:
    """Return the number of primary shards of an index."""
    return int(actual["settings"]["index"]["number_of_shards"])


def is_newer(actual: Definition) -> bool:
    """Return whether a later version changed the index so that this one may not write to it."""
    meta = actual.get("mappings", {}).get("_meta", {})
    oldest_writer = meta.get("oldest_writer", meta.get("label_version", LABEL_VERSION))
    return bool(oldest_writer > LABEL_VERSION)


def find_incompatibility(expected: Definition, actual: Definition) -> str:
    """Return the first difference that cannot be fixed, "" if there is none.

    Missing fields, as in an index from an earlier version, can be added. An index from a later
    version has more fields; `is_newer` tells whether this one may write to it.
    """
    mappings, found = expected["mappings"], actual.get("mappings", {})
    required = {
        key: value
        for key, value in mappings.items()
        if key not in (*_NO_DYNAMIC_FIELDS, "_meta", "properties")
    }
    if "_meta" in mappings and not isinstance(_label_version(found), int):
        return "_meta.label_version is missing"
    parts = (
        _differences(required, found, ""),
        _type_differences(mappings["properties"], found.get("properties", {}), ""),
        _differences(_sort_order(expected), _sort_order(actual), ""),
    )
    return next(chain.from_iterable(parts), "")


def custom_fields(actual: Definition) -> Iterator[str]:
    """Yield the dotted names of the fields of an index that are not declared."""
    yield from _custom_fields(actual.get("mappings", {}).get("properties", {}), "")


def _custom_fields(properties: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, field in properties.items():
        if "properties" in field:
            yield from _custom_fields(field["properties"], f"{prefix}{name}.")
        elif resolve_field(prefix + name)[1] == CUSTOM and name != CUSTOM_TERMS:
            yield prefix + name


def _properties() -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for path, kind in INDEX_TYPES.items():
        *objects, name = path.split(".")
        inside = properties
        for outer in objects:
            inside = inside.setdefault(outer, {"properties": {}})["properties"]
        inside[name] = _FIELD_TYPES.get(kind, {"type": kind})
    return properties


def _missing_properties(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that `actual` lacks, at any depth."""
    missing: dict[str, Any] = {}
    for name, field in expected.items():
        if name not in actual:
            missing[name] = field
        elif "properties" in field and "properties" in actual[name]:
            inside = _missing_properties(field["properties"], actual[name]["properties"])
            if inside:
                missing[name] = {"properties": inside}
    return missing


def _leaf_paths(properties: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, field in properties.items():
        if "properties" in field:
            yield from _leaf_paths(field["properties"], f"{prefix}{name}.")
        else:
            yield prefix + name


def _label_version(mappings: Mapping[str, Any]) -> Any:
    return mappings.get("_meta", {}).get("label_version")


def _sort_order(definition: Definition) -> Mapping[str, Any]:
    sort = definition.get("settings", {}).get("index", {}).get("sort", {})
    return {"sort": sort} if sort else {}


def _type_differences(
    expected: Mapping[str, Any], actual: Mapping[str, Any], prefix: str
) -> Iterator[str]:
    """Yield the fields that both have, with another type."""
    for name in expected.keys() & actual.keys():
        field, path = expected[name], prefix + name
        if "properties" in field and "properties" in actual[name]:
            yield from _type_differences(
                field["properties"], actual[name]["properties"], f"{path}."
            )
        else:
            yield from _differences(field, actual[name], path)


def _differences(expected: Any, actual: Any, path: str) -> Iterator[str]:
    """Yield the values that `actual` lacks or that differ; additions are no difference."""
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for key, value in expected.items():
            yield from _differences(value, actual.get(key), f"{path}.{key}" if path else key)
    elif expected != actual:
        found = "missing" if actual is None else repr(actual)
        yield f"{path} is {found} instead of {expected!r}"
