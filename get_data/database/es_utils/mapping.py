"""How Elasticsearch keeps labels: made from the label's one declaration (`label.INDEX_TYPES`).

- keyword, and `.text` beside it where people write sentences. What is longer than 8191 characters
  is kept but cannot be asked for.
- date: to the nanosecond, also in the form of an `img_id`; "" is no date.
- flattened: all values inside are keywords.
- Keys that the declaration does not know cost no field each, for an index takes 1,000 in all and
  labels that need one more are refused: all of them go into one, as terms such as `weather=sunny`
  (`custom_terms`). An index from before that has a field for each of them. Those stay, are asked
  as well, and the one field is added by the next writer.

The index is sorted as a search answers, so that no answer has to be sorted.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from get_data.labels.schema import CUSTOM, CUSTOM_TERMS, INDEX_TYPES, MAX_KEYWORD, resolve_field

LABEL_VERSION = 1
ORDER = {"img_id": "asc", "label.created_on_date": "desc", "label_fingerprint": "asc"}

_DATES = "strict_date_optional_time||yyyyMMdd'T'HH-mm-ss-SSSSSS||basic_date"
_KEYWORD = {"type": "keyword", "ignore_above": MAX_KEYWORD}
_KINDS: Mapping[str, Mapping[str, Any]] = {
    "keyword": _KEYWORD,
    "keyword+text": {**_KEYWORD, "fields": {"text": {"type": "text"}}},
    "flattened": {"type": "flattened", "ignore_above": MAX_KEYWORD},
    "date": {"type": "date_nanos", "format": _DATES, "ignore_malformed": True},
}

_NO_OTHERS = {"dynamic": "false"}

Definition = Mapping[str, Any]


def labels() -> Definition:
    """The index of the labels."""
    sort = {"field": list(ORDER), "order": list(ORDER.values())}
    return {
        "settings": {"index": {"number_of_shards": 1, "sort": sort}},
        "mappings": {
            "_meta": {"label_version": LABEL_VERSION},
            "date_detection": False,
            **_NO_OTHERS,
            "properties": {**_properties(), CUSTOM_TERMS: {"type": "keyword"}},
        },
    }


def gone() -> Definition:
    """The index of the labels that are gone for good."""
    keywords = dict.fromkeys(("img_id", "s3_key", "why", "by"), _KEYWORD)
    return {
        "settings": {"index": {"number_of_shards": 1}},
        "mappings": {**_NO_OTHERS, "properties": {**keywords, "when": {"type": "date"}}},
    }


def addition(wanted: Definition, actual: Definition) -> Definition:
    """Return what `PUT _mapping` has to add to an index that fits, if anything."""
    there, needed = actual.get("mappings", {}), wanted["mappings"]
    fields = {
        name: field
        for name, field in needed["properties"].items()
        if name not in there.get("properties", {})
    }
    if not fields and there.get("dynamic") == needed["dynamic"]:
        return {}
    return {**_NO_OTHERS, "properties": fields}


def misfit(wanted: Definition, actual: Definition) -> str:
    """Return the first thing in which an index is not as wanted; "" when it fits.

    What it only lacks, as one from an earlier version does, can be added.
    """
    lacking = addition(wanted, actual).get("properties", {})
    wanted = {
        **wanted,
        "mappings": {
            **{key: value for key, value in wanted["mappings"].items() if key not in _NO_OTHERS},
            "properties": {
                name: field
                for name, field in wanted["mappings"]["properties"].items()
                if name not in lacking
            },
        },
    }
    for where in ("mappings", "settings"):
        for difference in _differences(_relevant(wanted, where), _relevant(actual, where), ""):
            return difference
    return ""


def custom_fields(actual: Definition) -> Iterator[str]:
    """The dotted names of the fields that an index has beyond those of the declaration."""
    yield from _own_fields(actual.get("mappings", {}).get("properties", {}), "")


def _own_fields(properties: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, field in properties.items():
        if "properties" in field:
            yield from _own_fields(field["properties"], f"{prefix}{name}.")
        elif resolve_field(prefix + name)[1] == CUSTOM and name != CUSTOM_TERMS:
            yield prefix + name


def _relevant(definition: Definition, where: str) -> Any:
    if where == "mappings":
        return definition.get("mappings", {})
    sort = definition.get("settings", {}).get("index", {}).get("sort", {})
    return {"sort": sort} if sort else {}


def _differences(wanted: Any, actual: Any, path: str) -> Iterator[str]:
    """What of `wanted` is not so in `actual`; there may be more in that."""
    if isinstance(wanted, Mapping) and isinstance(actual, Mapping):
        for key, value in wanted.items():
            yield from _differences(value, actual.get(key), f"{path}.{key}" if path else key)
    elif wanted != actual:
        name = path.replace(".properties.", ".").removeprefix("properties.")
        yield f"{name} is {'missing' if actual is None else repr(actual)} instead of {wanted!r}"


def _properties() -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for path, kind in INDEX_TYPES.items():
        *outer, name = path.split(".")
        inside = properties
        for step in outer:
            inside = inside.setdefault(step, {"properties": {}})["properties"]
        inside[name] = _KINDS.get(kind, {"type": kind})
    return properties
