"""Structs made at run time: the fields of another one, in the order in which labels have them."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo


class _Absent:
    """Type of a field that is not in the text: no JSON is decoded to it."""


def derive(
    base: type[Struct], keys: Sequence[str], types: Mapping[str, Any], *, are_required: bool
) -> type[Struct]:
    """Return a struct that accepts these keys and no others, and decodes this order soonest.

    It has all fields of `base`; those without a key here have their default. `types`: the type of
    each key, Any where it is missing. A key that is not required has the default of `base`, None
    where that has no such field. The garbage collector does not look at it.

    Raises:
        ValueError: JSON escapes one of the keys.
    """
    own = {field.encode_name: field for field in msgspec.structs.fields(base)}
    fields = []
    for number, key in enumerate(keys):
        field = own.pop(key, None)
        default = {} if are_required else _default(field) if field else {"default": None}
        name = field.name if field else f"other_{number}"
        fields.append((name, types.get(key, Any), msgspec.field(name=key, **default)))
    fields += [(field.name, _Absent, msgspec.field(**_default(field))) for field in own.values()]
    return msgspec.defstruct(
        base.__name__,
        fields,
        kw_only=True,
        omit_defaults=True,
        forbid_unknown_fields=True,
        gc=False,
    )


def _default(field: FieldInfo) -> dict[str, Any]:
    """Return the default of a field as an option of `msgspec.field`; none if it is required."""
    if field.default is not NODEFAULT:
        return {"default": field.default}
    if field.default_factory is not NODEFAULT:
        return {"default_factory": field.default_factory}
    return {}
