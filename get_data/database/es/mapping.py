"""How Elasticsearch keeps labels: made from the label's one declaration (`label.INDEX_TYPES`).

- keyword, and `.text` beside it where people write sentences. What is longer than 8191 characters
  is kept but cannot be asked for.
- date: to the nanosecond, also in the form of an `img_id`; "" is no date.
- flattened: all values inside are keywords.
- Keys that the declaration does not know become keywords. An index takes `MAX_FIELDS` in all.

The index is sorted as a search answers, so that no answer has to be sorted.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from get_data.labels.label import INDEX_TYPES, MAX_KEYWORD

LABEL_VERSION = 1
MAX_FIELDS = 1000
ORDER = {"img_id": "asc", "label.created_on_date": "desc", "label_fingerprint": "asc"}

_DATES = "strict_date_optional_time||yyyyMMdd'T'HH-mm-ss-SSSSSS||basic_date"
_KEYWORD = {"type": "keyword", "ignore_above": MAX_KEYWORD}
_KINDS: Mapping[str, Mapping[str, Any]] = {
    "keyword": _KEYWORD,
    "keyword+text": {**_KEYWORD, "fields": {"text": {"type": "text"}}},
    "flattened": {"type": "flattened", "ignore_above": MAX_KEYWORD},
    "date": {"type": "date_nanos", "format": _DATES, "ignore_malformed": True},
}

Definition = Mapping[str, Any]


def labels() -> Definition:
    """The index of the labels."""
    sort = {"field": list(ORDER), "order": list(ORDER.values())}
    limit = {"total_fields": {"limit": MAX_FIELDS}}
    return {
        "settings": {"index": {"number_of_shards": 1, "sort": sort, "mapping": limit}},
        "mappings": {
            "_meta": {"label_version": LABEL_VERSION},
            "date_detection": False,
            "dynamic_templates": [
                {"objects": {"match_mapping_type": "object", "mapping": {"type": "object"}}},
                {"own_keys": {"match_mapping_type": "*", "mapping": _KEYWORD}},
            ],
            "properties": _properties(),
        },
    }


def gone() -> Definition:
    """The index of the labels that are gone for good."""
    keywords = dict.fromkeys(("img_id", "s3_key", "why", "by"), _KEYWORD)
    return {
        "settings": {"index": {"number_of_shards": 1}},
        "mappings": {"dynamic": "false", "properties": {**keywords, "when": {"type": "date"}}},
    }


def misfit(wanted: Definition, actual: Definition) -> str:
    """The first thing in which an index is not as wanted; "" when it fits."""
    for where in ("mappings", "settings"):
        for difference in _differences(_relevant(wanted, where), _relevant(actual, where), ""):
            return difference
    return ""


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
