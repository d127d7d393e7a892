"""Labels reduced to what this package reads of them: of a large set a third of the memory."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from get_data.labels.constants import SESSION_KEYS
from get_data.labels.schema import Document

_OWN = ("img_id", "file_name", "picture_sha256", "timestamp", "to_delete")
_SHARED = ("session_id", "car_setting", "resolution", "upload_date", "split", *SESSION_KEYS)
_VALUES = (
    "label_direction",
    "label_speed",
    "nb_dir",
    "nb_speed",
    "raw_direction",
    "raw_speed",
    "steering",
    "throttle",
)


def reduce_labels(labels: Iterable[Document]) -> dict[str, Document]:
    """Return the reduced forms of valid labels by img_id.

    They share their equal parts, and are only to be read.
    """
    parts: dict[str | bytes, Any] = {}

    def shared(values: Document) -> Document:
        return {
            key: parts.setdefault(
                value if isinstance(value, str) else msgspec.json.encode(value), value
            )
            for key, value in values.items()
        }

    return {
        label["img_id"]: {
            **_chosen(label, _OWN),
            **shared(_chosen(label, _SHARED)),
            "label": {
                **_chosen(label["label"], _VALUES),
                **shared(_chosen(label["label"], ("created_by",))),
            },
        }
        for label in labels
    }


def _chosen(values: Mapping[str, Any], keys: tuple[str, ...]) -> Document:
    return {key: values[key] for key in keys if key in values}
