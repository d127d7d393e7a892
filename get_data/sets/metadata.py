"""`metadata.jsonl`: the labels of a set as Hugging Face's `imagefolder` reads them.

It lies beside the pictures, one JSON object a line, all lines with the same keys. Source:
https://huggingface.co/docs/datasets/image_dataset#imagefolder
"""

from collections.abc import Callable
from typing import Any

import msgspec

from get_data.labels.constants import NOBODY
from get_data.labels.schema import Document
from get_data.labels.values import read_value, steering_of, throttle_of

NAME = "metadata.jsonl"


class _Line(msgspec.Struct):
    """What a line must have to be of such a file."""

    file_name: str
    img_id: str


def starts_like_metadata(raw: bytes) -> bool:
    """Return whether the start of a file is that of a `metadata.jsonl` of ours."""
    try:
        msgspec.json.decode(raw.partition(b"\n")[0], type=_Line)
    except (ValueError, RecursionError):
        return False
    return True


def encode_line(label: Document, *, with_split: bool) -> bytes:
    """Return the line of a label, with its line break.

    Steering and throttle are those that regression trains on, corrections included. What the label
    does not have is null, and so are values and classes of a picture that nobody has labelled.
    """
    annotation = label.get("label")
    annotation = annotation if isinstance(annotation, dict) else {}
    is_labelled = annotation.get("created_by") != NOBODY
    line = {
        "file_name": label.get("file_name"),
        "img_id": label.get("img_id"),
        "session_id": label.get("session_id"),
        "timestamp": label.get("timestamp"),
        "steering": _value(steering_of, label) if is_labelled else None,
        "throttle": _value(throttle_of, label) if is_labelled else None,
        "direction": annotation.get("label_direction") if is_labelled else None,
        "nb_dir": annotation.get("nb_dir"),
        "speed": annotation.get("label_speed") if is_labelled else None,
        "nb_speed": annotation.get("nb_speed"),
        "raw_steering": read_value(annotation, "raw_direction"),
        "raw_throttle": read_value(annotation, "raw_speed"),
        "created_by": annotation.get("created_by"),
        "event": label.get("event", ""),
        "track": label.get("track", ""),
        "driver": label.get("driver", ""),
    }
    if with_split:
        line["split"] = label.get("split")
    return msgspec.json.encode(line) + b"\n"


def _value(read: Callable[[Document], float], label: Document) -> Any:
    """Return the label's steering or throttle; None for a label that is not valid."""
    try:
        return read(label)
    except (KeyError, TypeError, ValueError):
        return None
