"""New labels, and changed copies of labels: corrected, marked for deletion, uploaded."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from common.times import format_time, parse_time
from get_data.labels.classes import Classes, direction_bins, speed_bins
from get_data.labels.constants import AUTO, SESSION_KEYS
from get_data.labels.ids import fingerprint, format_img_id, sha256
from get_data.labels.schema import MD5, RESERVED, Document
from get_data.labels.unicode_forms import to_nfc
from get_data.labels.values import DEFAULT_SPAN, read_value, speed_span

_ONLY_IN_FILES = ("to_delete", "replaces", "split")  # of a label file; no index stores them
SHARED_KEYS = ("session_id", *SESSION_KEYS, "car_setting", "raw", "color", "transformation")
"""Fields that the labels of a drive have in common, beside custom ones."""
IMPORT_SOURCE = "source"
"""Key of `car_setting` in labels of imported drives: what they were imported from."""
_PICTURE_REFERENCE = ("file_name", "s3_bucket", "s3_key", "picture_size", "picture_sha256")


def new_label(
    *,
    captured: datetime,
    picture: bytes,
    width: int,
    height: int,
    steering: float,
    throttle: float,
    classes: Classes,
    session: Mapping[str, Any],
    car_setting: Mapping[str, Any],
    session_id: str = "",
    created_by: str = AUTO,
) -> Document:
    """Return the label of a picture just taken; without a `session_id` it has none.

    `picture` is a JPEG file; width and height are in pixels, steering and throttle -1 to 1.
    """
    img_id = format_img_id(captured)
    annotation = {
        "created_by": created_by,
        "created_on_date": format_time(captured),
        "label_direction": classes.direction(steering),
        "label_speed": classes.speed(throttle),
        "nb_dir": classes.nb_dir,
        "nb_speed": classes.nb_speed,
        "raw_direction": steering,
        "raw_speed": throttle,
        "steering": steering,
        "throttle": throttle,
    }
    document = without_annotation(
        img_id=img_id,
        file_name=f"{img_id}.jpg",
        captured=captured,
        picture=picture,
        width=width,
        height=height,
        shared={
            **({"session_id": session_id} if session_id else {}),
            **to_nfc(dict(session)),
            "car_setting": car_setting,
        },
    )
    return {
        **document,
        "label": annotation,
        "label_fingerprint": fingerprint(img_id, annotation),
    }


def imported(
    document: Document,
    *,
    session_id: str,
    fields: Mapping[str, Any],
    annotation: Mapping[str, Any],
    to_delete: bool,
) -> Document:
    """Return the copy of a new label that says what another tool has recorded of its picture.

    `fields` are further keys; those of the session fill only what the label leaves empty.
    `annotation` has keys of the annotation, and None for those that it must not have.
    """
    kept = {key: document[key] for key in SESSION_KEYS if document.get(key)}
    setting = fields.get("car_setting", {})
    copy = {
        **document,
        **fields,
        **kept,
        "session_id": session_id,
        "car_setting": {**setting, **document["car_setting"]},
    }
    if annotation:
        changed = {**document["label"], **annotation}
        copy["label"] = {name: value for name, value in changed.items() if value is not None}
        copy["label_fingerprint"] = fingerprint(document["img_id"], copy["label"])
    return marked_for_deletion(copy) if to_delete else copy


def is_imported(document: Document) -> bool:
    """Return whether the label is of a drive that another tool has recorded."""
    setting = document.get("car_setting")
    return isinstance(setting, dict) and IMPORT_SOURCE in setting


def without_annotation(
    *,
    img_id: str,
    file_name: str,
    captured: datetime,
    picture: bytes,
    width: int,
    height: int,
    shared: Mapping[str, Any],
) -> Document:
    """Return what is known of a picture before it has an annotation, which `corrected` adds.

    `shared` has the fields that it has in common with other labels, see SHARED_KEYS.
    """
    session_id = {"session_id": shared["session_id"]} if "session_id" in shared else {}
    return {
        "img_id": img_id,
        "file_name": file_name,
        **session_id,
        "s3_bucket": "",
        "s3_key": "",
        "raw": True,
        "color": "rgb",
        "timestamp": format_time(captured),
        "resolution": {"horizontal": width, "vertical": height},
        "picture_size": len(picture),
        "picture_sha256": sha256(picture),
        **shared,
        "label": {},
        "transformation": shared.get("transformation", []),
        "dataset": [],
        "upload_date": "",
    }


def normalized(document: Document) -> Document:
    """Return a copy with times in UTC, in the one form that every index reads, and texts in NFC."""
    content: Document = to_nfc(document)
    annotation = dict(content["label"])
    created = parse_time(annotation.get("created_on_date", ""))
    if created:
        annotation["created_on_date"] = format_time(created)
    taken = parse_time(document["timestamp"])
    return {
        **content,
        "file_name": document["file_name"],  # as the disk has it
        "raw": document.get("raw", True) in (True, "true"),
        "timestamp": format_time(taken) if taken else document["timestamp"],
        "label": annotation,
    }


def uploaded(
    document: Document,
    *,
    picture: bytes,
    bucket: str,
    key: str,
    upload_time: datetime,
    picture_sha256: str = "",
) -> Document:
    """Return a copy as an index stores it, with the picture reference and the time of upload.

    The picture is hashed unless its hash is given. The copy is normalized. What only a label file
    has (`to_delete`, `replaces`, `split`) is left out.
    """
    stored = {
        **normalized(document),
        "s3_bucket": bucket,
        "s3_key": key,
        "picture_size": len(picture),
        "picture_sha256": picture_sha256 or sha256(picture),
        "upload_date": format_time(upload_time),
    }
    return {name: value for name, value in stored.items() if name not in _ONLY_IN_FILES}


def completed(document: Document, stored: Document) -> Document:
    """Return a copy with the declared fields that it lacks, as the stored label has them.

    A file from an earlier version lacks the fields declared since, which is no request to remove
    them. A custom field that the file lacks stays removed.
    """
    declared = {name: stored[name] for name in RESERVED & stored.keys() - set(_ONLY_IN_FILES)}
    annotation = {**stored.get("label", {}), **document["label"]}
    return {**declared, **document, "label": annotation}


def amended(
    document: Document, *, stored: Document, amended_by: str, upload_time: datetime
) -> Document:
    """Return a copy that may replace the stored label: its picture reference is the stored one."""
    kept = (*_ONLY_IN_FILES, *_PICTURE_REFERENCE)
    content = normalized(completed(document, stored))
    return {
        **{name: value for name, value in content.items() if name not in kept},
        **{name: stored[name] for name in _PICTURE_REFERENCE if name in stored},
        "upload_date": format_time(upload_time),
        "amended_by": to_nfc(amended_by),
    }


def corrected(
    document: Document,
    *,
    created_by: str,
    direction: int,
    speed: int,
    created_on: datetime,
    nb_dir: int | None = None,
    nb_speed: int | None = None,
    steering: float | None = None,
    throttle: float | None = None,
    span: float = DEFAULT_SPAN,
) -> Document:
    """Return a copy with a person's annotation, which names the label that it replaces.

    `nb_dir` and `nb_speed` are for a document without them. A `steering` or `throttle` must be in
    the class; without one, a class that stays keeps its value, and another brings back what the
    driver did if that is in it, else its centre. `span` is that of the speed bins where the
    document does not tell it. The copy belongs to no `dataset`.
    """
    old_annotation = document.get("label")
    annotation: Document = {
        **(old_annotation if isinstance(old_annotation, dict) else {}),
        "created_by": created_by,
        "created_on_date": format_time(created_on),
        "label_direction": direction,
        "label_speed": speed,
    }
    for name, count in (("nb_dir", nb_dir), ("nb_speed", nb_speed)):
        if count is not None:
            annotation[name] = count
    annotation |= _corrected_values(
        document, annotation, steering=steering, throttle=throttle, span=span
    )
    new = fingerprint(document["img_id"], annotation)
    old = document.get("label_fingerprint")
    correction = {**document, "label": annotation, "dataset": [], "label_fingerprint": new}
    correction.pop("amended_by", None)  # nobody has amended the new label
    correction.pop("to_delete", None)
    correction.pop("replaces", None)
    replaces_old = isinstance(old, str) and re.fullmatch(MD5, old) and old != new
    return {**correction, "replaces": old} if replaces_old else correction


def _corrected_values(
    document: Document,
    annotation: Document,
    *,
    steering: float | None,
    throttle: float | None,
    span: float,
) -> Document:
    """Return the values that belong to the classes of a corrected annotation."""
    old = document.get("label")

    def kept(name: str, class_name: str) -> float | None:
        is_same = isinstance(old, dict) and old.get(class_name) == annotation[class_name]
        return read_value(old, name) if is_same else None

    direction, speed = annotation["label_direction"], annotation["label_speed"]
    if steering is None:
        bins = direction_bins(annotation["nb_dir"])
        steering = kept("steering", "label_direction")
        if steering is None or bins.class_of(steering) != direction:
            steering = bins.value_in(direction, read_value(annotation, "raw_direction"))
    told = speed_span(document)
    if throttle is None and told is None:
        # nothing tells the class of a throttle: one whose class stays is not judged
        throttle = kept("throttle", "label_speed")
        throttle = kept("raw_speed", "label_speed") if throttle is None else throttle
    if throttle is None:
        bins = speed_bins(annotation["nb_speed"], told or span)
        throttle = kept("throttle", "label_speed")
        if throttle is None or bins.class_of(throttle) != speed:
            throttle = bins.value_in(speed, read_value(annotation, "raw_speed"))
    return {"steering": steering, "throttle": throttle}


def marked_for_deletion(document: Document) -> Document:
    """Return a copy marked for deletion; it replaces nothing."""
    marked = {**document, "to_delete": True}
    marked.pop("replaces", None)
    return marked


def unmarked(document: Document) -> Document:
    """Return a copy without the mark for deletion."""
    return {key: value for key, value in document.items() if key != "to_delete"}


def is_marked_for_deletion(document: Document) -> bool:
    """Return whether a label file asks for this label to be deleted."""
    return document.get("to_delete", False) is True


def replaced_fingerprint(document: Document) -> str | None:
    """Return the fingerprint of the label that this one corrects, if it corrects one."""
    return document.get("replaces")


def example_label() -> Document:
    """Return a valid and complete label, as a recording writes it."""
    return new_label(
        captured=datetime(2020, 12, 31, 15, 45, 55, 123456, tzinfo=UTC),
        picture=b"the bytes of a JPEG file",
        width=160,
        height=120,
        steering=0.1,
        throttle=0.4,
        classes=Classes(max_throttle=0.5),
        session={
            "event": "Sunday race",
            "track": "school yard, clockwise",
            "track_type": "tape on asphalt",
            "driver": "Zoé",
            "comment": "low sun from the left",
        },
        car_setting={"car": "patate", "run": {"max_throttle": 0.5}},
        session_id="20201231T15-45-00-000000-7f3a",
    )
