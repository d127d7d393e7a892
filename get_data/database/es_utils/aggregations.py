"""Labels in numbers, counted by Elasticsearch."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from get_data.database.es_utils.client import Client
from get_data.database.es_utils.errors import RequestRejected
from get_data.database.es_utils.search import search_json
from get_data.database.search.summaries import DriveKey, DriveNumbers, Summary, merge
from get_data.labels.constants import MAX_CLASSES, NOT_PEOPLE

_PAGE_SIZE = 100  # rows; each costs the server some 300 kB for the exact number of its pictures
_EXACT_UP_TO = 40_000  # pictures of a row; beyond, Elasticsearch estimates their number

_KEYWORDS = ("session_id", "event", "track", "driver")
_DAY = {"field": "timestamp", "calendar_interval": "day", "format": "yyyy-MM-dd"}
_SOURCES = [
    {"day": {"date_histogram": {**_DAY, "missing_bucket": True}}},
    *({name: {"terms": {"field": name, "missing_bucket": True}}} for name in _KEYWORDS),
]
_IS_CORRECTED = {
    "bool": {
        "filter": [{"exists": {"field": "label.created_by"}}],
        "must_not": [{"terms": {"label.created_by": sorted(NOT_PEOPLE)}}],
    }
}
_NUMBERS = {
    "pictures": {"cardinality": {"field": "img_id", "precision_threshold": _EXACT_UP_TO}},
    "corrected": {"filter": _IS_CORRECTED},
    "size": {"stats": {"field": "picture_size"}},
    "time": {"stats": {"field": "timestamp"}},
    "directions": {"terms": {"field": "label.label_direction", "size": MAX_CLASSES}},
    "speeds": {"terms": {"field": "label.label_speed", "size": MAX_CLASSES}},
}


def summarize(client: Client, index: str, selection: Mapping[str, Any]) -> Summary:
    """Return the numbers of the labels that match, by drive.

    `selection` is what `search_body` returns.
    """
    return merge(_rows(client, index, selection))


def _rows(
    client: Client, index: str, selection: Mapping[str, Any]
) -> Iterator[tuple[DriveKey, DriveNumbers]]:
    composite: dict[str, Any] = {"size": _PAGE_SIZE, "sources": _SOURCES}
    aggregation = {"drives": {"composite": composite, "aggs": _NUMBERS}}
    body = {**selection, "size": 0, "track_total_hits": False, "aggs": aggregation}
    while True:
        try:
            answer = search_json(client, index, body)
        except RequestRejected as error:
            if error.is_missing_index:
                return
            raise
        page = answer["aggregations"]["drives"]
        for bucket in page["buckets"]:
            # a missing field counts as an empty one
            yield (
                DriveKey(**{name: value or "" for name, value in bucket["key"].items()}),
                _read(bucket),
            )
        if "after_key" not in page:
            return
        composite["after"] = page["after_key"]


def _read(bucket: Mapping[str, Any]) -> DriveNumbers:
    return DriveNumbers(
        labels=bucket["doc_count"],
        pictures=bucket["pictures"]["value"],
        corrected=bucket["corrected"]["doc_count"],
        sized=bucket["size"]["count"],
        size_bytes=int(bucket["size"]["sum"] or 0),
        first=_time(bucket["time"]["min"]),
        last=_time(bucket["time"]["max"]),
        directions=_counts(bucket["directions"]),
        speeds=_counts(bucket["speeds"]),
    )


def _time(milliseconds: float | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


def _counts(terms: Mapping[str, Any]) -> Counter[int]:
    return Counter({int(each["key"]): each["doc_count"] for each in terms["buckets"]})
