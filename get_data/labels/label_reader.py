"""Labels read from JSON text: one strict reader, quick where the text proves itself.

`strict_json.parse` and `validation.parse` say which text is a label, and why another is not. Both
look at each key in Python. Nearly all labels were written by this toolkit, with the same keys in
the same order as those before them, and for those there is a proof at a fraction of the cost: the
text is decoded into a struct with exactly these keys in this order, and encoded again. Equal bytes
prove that it is strict JSON without blanks: no key stands twice, none is unknown, no number and no
character was changed. The struct has the types and ranges of `Label`; what they do not show is
checked by the functions of `validation.py`, as in the careful way.

Whatever is not proven is read the careful way, so that there is one place that refuses a label.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, MsgspecError, Raw, Struct, UnsetType

from common import strict_json
from common.errors import InputError
from get_data.labels import validation, values
from get_data.labels.derived_structs import derive
from get_data.labels.schema import RESERVED, Annotation, Document, Label, Resolution, is_flattened

_MAX_SHAPES = 8  # tried for each label
_MAX_SETTINGS = 256  # kept; a drive has one

_Integer = Annotated[int, Meta(ge=-strict_json.LARGEST_INTEGER, le=strict_json.LARGEST_INTEGER)]
_Scalar = str | bool | float | _Integer | None
_CustomValue = _Scalar | list[_Scalar]


class CheckedLabel(Struct, gc=False):
    """A valid label: as a struct, and as the document that was read.

    Documents may share their `car_setting`, so it must not be changed in place.
    """

    label: Label
    _document: Document | None = None

    @property
    def img_id(self) -> str:
        """Id of the picture."""
        return self.label.img_id

    @property
    def document(self) -> Document:
        """The label as a document."""
        if self._document is None:
            self._document = _to_document(self.label)
        return self._document


class LabelReader:
    """Reads labels, and remembers what those before them had in common."""

    def __init__(self) -> None:
        self._shapes: tuple[_Shape, ...] = ()
        self._settings: dict[bytes, tuple[Document, float | None] | None] = {}

    def read(self, raw: bytes, source: str) -> CheckedLabel:
        """Return the label in a JSON text; messages name its `source`.

        Raises:
            InputError: `strict_json.parse` or `validation.parse` does not accept it.
        """
        if label := self.prove(raw):
            return CheckedLabel(label)
        return self.check(strict_json.parse(raw, source))

    def check(self, document: object) -> CheckedLabel:
        """Return the label in parsed JSON.

        Raises:
            InputError: `validation.parse` does not accept it.
        """
        label = validation.parse(document)
        assert isinstance(document, dict)
        self._learn(document)
        return CheckedLabel(label, document)

    def prove(self, raw: bytes, *, is_encoded: bool = False) -> Label | None:
        """Return the label in a JSON text; None if it is at fault, or has to be read carefully.

        `is_encoded`: an encoder has made the text of a document, so it is strict JSON.
        """
        for shape in self._shapes:
            try:
                label = shape.decode(raw)
            except (MsgspecError, RecursionError):
                continue
            if is_encoded or _encode(label) == raw:
                return label if self._is_sound(label, shape) else None
        return None

    def _is_sound(self, label: Any, shape: "_Shape") -> bool:
        """Return whether what the types of a label do not show is right; complete its setting."""
        span = None
        if shape.has_setting:
            setting = self._read_setting(bytes(label.car_setting))
            if setting is None:
                return False
            label.car_setting, span = setting
        for name, search in shape.patterns:
            if search(getattr(label, name)) is None:
                return False
        return not validation.label_faults(label, span)

    def _read_setting(self, raw: bytes) -> tuple[Document, float | None] | None:
        """Return a `car_setting` and the span that it tells; None if it is at fault."""
        try:
            return self._settings[raw]
        except KeyError:
            if len(self._settings) >= _MAX_SETTINGS:
                self._settings.clear()
            setting = self._settings[raw] = _parse_setting(raw)
            return setting

    def _learn(self, document: Document) -> None:
        """Prepare for labels with the keys of a valid one."""
        shape = _shape(tuple(document), tuple(document["label"]))
        if shape and shape not in self._shapes:
            self._shapes = (shape, *self._shapes)[:_MAX_SHAPES]


class _Shape:
    """Decoder of labels with certain keys in a certain order.

    `patterns`: fields that have to match one. They are not left to the decoder, which takes four
    times as long for a regular expression.
    """

    def __init__(self, struct: type[Struct], keys: tuple[str, ...]) -> None:
        decoder = msgspec.json.Decoder(cast(type[Label], struct))  # has the fields of one
        self.decode: Callable[[bytes], Label] = decoder.decode
        self.has_setting = "car_setting" in keys
        self.patterns = [(name, _PATTERNS[name]) for name in keys if name in _PATTERNS]


def _to_document(label: Label) -> Document:
    """Return the document of a proven label, with the setting itself and no copy of it."""
    if not label.car_setting:
        return cast(Document, msgspec.to_builtins(label))
    document: Document = msgspec.to_builtins(msgspec.structs.replace(label, car_setting=None))
    document["car_setting"] = label.car_setting
    return document


def _parse_setting(raw: bytes) -> tuple[Document, float | None] | None:
    """Return a setting without blanks, so that the label has none either."""
    try:
        setting = strict_json.parse(raw, "")
    except InputError:
        return None
    if msgspec.json.format(raw, indent=-1) != raw:
        return None
    if not isinstance(setting, dict) or validation.value_fault("car_setting", setting):
        return None
    return setting, values.speed_span({"car_setting": setting})


@lru_cache(maxsize=256)
def _shape(keys: tuple[str, ...], annotation_keys: tuple[str, ...]) -> _Shape | None:
    """Return the shape of labels that are valid but for their values; None if it has none."""
    own = [key for key in keys if key not in RESERVED]
    if any(map(is_flattened, own)) or not _ANNOTATION_TYPES.keys() >= set(annotation_keys):
        return None
    try:
        annotation = derive(Annotation, annotation_keys, _ANNOTATION_TYPES, are_required=True)
        types = _TYPES | dict.fromkeys(own, _CustomValue) | {"label": annotation}
        return _Shape(derive(Label, keys, types, are_required=True), keys)
    except ValueError:  # a key that JSON escapes
        return None


def _present(hint: Any) -> Any:
    """Return the type of a field that is in the text, without its pattern."""
    kinds = [kind for kind in _members(hint) if kind is not UnsetType]
    return Union[tuple(_without_pattern(kind) for kind in kinds)]  # noqa: UP007  made of a list


def _present_types(base: type[Struct]) -> dict[str, Any]:
    hints = get_type_hints(base, include_extras=True)
    return {name: _present(hint) for name, hint in hints.items()}


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _without_pattern(kind: Any) -> Any:
    return str if any(meta.pattern for meta in _metas(kind)) else kind


def _metas(hint: Any) -> Iterable[Meta]:
    """Return what `Annotated` says of a type, in any member of a union."""
    return [
        note
        for kind in _members(hint)
        for note in getattr(kind, "__metadata__", ())
        if isinstance(note, Meta)
    ]


_CHECKED_ELSEWHERE = ("file_name", "label_fingerprint")  # more strictly, by `label_faults`
_PATTERNS = {
    name: re.compile(meta.pattern).search
    for name, hint in get_type_hints(Label, include_extras=True).items()
    for meta in _metas(hint)
    if meta.pattern and name not in _CHECKED_ELSEWHERE
}
_SIZE_TYPES = _present_types(Resolution)
_TYPES = _present_types(Label) | {
    "car_setting": Raw,
    # with its own keys alone: what else is in it only the careful way looks at
    "resolution": derive(Resolution, tuple(_SIZE_TYPES), _SIZE_TYPES, are_required=True),
}
_ANNOTATION_TYPES = _present_types(Annotation)
_encode = msgspec.json.Encoder().encode
