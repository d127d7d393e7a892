"""What lists and counts of pictures look at in a label, read without the rest.

A search finds millions of labels, of which a list needs a few fields. They are decoded into a
struct that has these, and whatever else a label may have as it comes, so that each byte is decoded
and a damaged label is found. Custom fields are learned from the labels that have them. Labels that
are no such struct are decoded into a document, and looked at field by field.
"""

from collections.abc import Callable, Iterable
from typing import Any, cast

import msgspec
from msgspec import UNSET, MsgspecError, Raw, Struct, UnsetType

from get_data.labels.derived_structs import derive
from get_data.labels.schema import RESERVED, Annotation, Document, Label, PictureReference

_MAX_CUSTOM = 64  # custom fields that are learned
_MAX_SETTINGS = 256  # kept; a drive has one


class OtherValue(Struct, frozen=True):
    """A value that is no text where one is expected."""

    text: str

    def __str__(self) -> str:
        return self.text


class AnnotationOutline(Struct, kw_only=True, gc=False):
    """Author and classes; a class is -1 where the label does not tell an integer."""

    created_by: str = ""
    nb_dir: int = -1
    label_direction: int = -1
    nb_speed: int = -1
    label_speed: int = -1


class Outline(Struct, kw_only=True, gc=False):
    """A few fields of a label; "" for a text that it does not have.

    `car`: the name in its `car_setting`.
    """

    img_id: str
    file_name: str
    label_fingerprint: str
    s3_key: str = ""
    picture_size: int | None = None
    picture_sha256: str | None = None
    session_id: str | UnsetType | OtherValue = UNSET
    timestamp: str = ""
    event: str = ""
    track: str = ""
    track_type: str = ""
    driver: str = ""
    comment: str = ""
    split: str = ""
    car: str = msgspec.field(default="", name="car_setting")
    label: AnnotationOutline = msgspec.field(default_factory=AnnotationOutline)


class OutlineReader:
    """Reads outlines, and remembers what the labels before had in common."""

    def __init__(self) -> None:
        self._custom: set[str] = set()
        self._custom_of_annotation: set[str] = set()
        self._cars: dict[bytes, str] = {}
        self._last_setting, self._last_car = b"", ""
        self._prepare()

    def _prepare(self) -> None:
        self._decode = _decoder(self._custom, self._custom_of_annotation)

    def read(self, document: bytes) -> Outline:
        """Return the outline of a label.

        Raises:
            ValueError, TypeError, RecursionError: it is not valid JSON, or lacks a
                `PictureReference`.
        """
        try:
            outline = self._decode(document)
            setting: object = outline.car
            if isinstance(setting, Raw):
                raw = bytes(setting)
                if raw != self._last_setting:  # sooner than by its hash
                    self._last_setting, self._last_car = raw, self._car(raw)
                outline.car = self._last_car
        except (MsgspecError, RecursionError):
            return self._read_carefully(document)
        return outline

    def _car(self, setting: bytes) -> str:
        try:
            return self._cars[setting]
        except KeyError:
            car = _car_of(_decode_any(setting))
            if len(self._cars) >= _MAX_SETTINGS:
                self._cars.clear()
            self._cars[setting] = car
            return car

    def _read_carefully(self, content: bytes) -> Outline:
        reference, document = _decode_reference(content), _decode_document(content)
        annotation = document.get("label")
        annotation = annotation if isinstance(annotation, dict) else {}
        self._learn(document, annotation)
        session_id, timestamp = document.get("session_id", UNSET), document.get("timestamp")
        is_text = session_id is UNSET or isinstance(session_id, str)
        return Outline(
            img_id=reference.img_id,
            file_name=reference.file_name,
            label_fingerprint=reference.label_fingerprint,
            s3_key=reference.s3_key,
            picture_size=reference.picture_size,
            picture_sha256=reference.picture_sha256,
            session_id=session_id if is_text else OtherValue(str(session_id)),
            timestamp=timestamp if isinstance(timestamp, str) else "",
            event=str(document.get("event", "")),
            track=str(document.get("track", "")),
            track_type=str(document.get("track_type", "")),
            driver=str(document.get("driver", "")),
            comment=str(document.get("comment", "")),
            split=str(document.get("split", "")),
            car=_car_of(document.get("car_setting")),
            label=AnnotationOutline(
                created_by=str(annotation.get("created_by", "")),
                nb_dir=_integer(annotation.get("nb_dir")),
                label_direction=_integer(annotation.get("label_direction")),
                nb_speed=_integer(annotation.get("nb_speed")),
                label_speed=_integer(annotation.get("label_speed")),
            ),
        )

    def _learn(self, document: Document, annotation: Document) -> None:
        """Prepare for labels with the custom fields of this one."""
        custom = self._custom | set(filter(_is_plain, document.keys() - RESERVED))
        inside = self._custom_of_annotation | set(
            filter(_is_plain, annotation.keys() - set(Annotation.__struct_fields__))
        )
        is_new = (custom, inside) != (self._custom, self._custom_of_annotation)
        if is_new and len(custom) + len(inside) <= _MAX_CUSTOM:
            self._custom, self._custom_of_annotation = custom, inside
            self._prepare()


def _car_of(setting: object) -> str:
    return str(setting.get("car", "")) if isinstance(setting, dict) else ""


def _is_plain(key: str) -> bool:
    """Return whether JSON spells a key as it is, so that a struct can have it."""
    return _encode(key) == f'"{key}"'.encode()


def _integer(value: object) -> int:
    return value if isinstance(value, int) else -1


def _decoder(custom: Iterable[str], inside: Iterable[str]) -> Callable[[bytes], Outline]:
    """Return a decoder that refuses a label with any other field."""
    keys = [*Annotation.__struct_fields__, *inside]
    annotation = derive(AnnotationOutline, keys, _types(AnnotationOutline), are_required=False)
    special = {"label": annotation, "car_setting": Raw, "session_id": str | UnsetType}
    keys = [*Label.__struct_fields__, *custom]
    struct = derive(Outline, keys, _types(Outline) | special, are_required=False)
    return msgspec.json.Decoder(cast(type[Outline], struct)).decode  # has the fields of one


def _types(struct: type[Struct]) -> dict[str, Any]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(struct)}


_encode = msgspec.json.Encoder().encode
_decode_any = msgspec.json.Decoder().decode
_decode_document = msgspec.json.Decoder(Document).decode
_decode_reference = msgspec.json.Decoder(PictureReference).decode
