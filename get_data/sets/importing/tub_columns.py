"""Columns of a donkeycar tub, of version 1 and 2: picture, angle, throttle, mode and others.

Source: donkeycar 5.3.0, `parts/tub_v2.py`, `parts/datastore.py` and `templates/complete.py`.
"""

from collections.abc import Mapping
from typing import Any

from get_data.labels.constants import AUTO, PILOT
from get_data.labels.schema import Document
from get_data.sets.importing.records import (
    SOURCE_FILE,
    BadValue,
    SourceRecord,
    check_name,
    own_fields,
    read_share,
)

PICTURE, ANGLE, THROTTLE, MODE = "cam/image_array", "user/angle", "user/throttle", "user/mode"
USER = "user"
EMPTY = "__empty__"  # of records that fill gaps, made by donkeycar's converter of tubs
_INTERNAL = frozenset(
    (PICTURE, ANGLE, THROTTLE, "_index", "_session_id", "_timestamp_ms", "milliseconds", EMPTY)
)

_OF_USER = _INTERNAL | {MODE}


def is_filler(columns: Mapping[str, Any]) -> bool:
    """Return whether a record stands for a gap: nothing was recorded."""
    return columns.get(EMPTY) is True and PICTURE not in columns


def read_columns(
    name: str, columns: Mapping[str, Any], *, time_us: int | None, session: str, is_deleted: bool
) -> SourceRecord:
    """Return a record from its columns; one that cannot be used says why."""
    try:
        picture = check_name(columns.get(PICTURE))
        steering, throttle = read_share(columns, ANGLE), read_share(columns, THROTTLE)
    except BadValue as error:
        named = columns.get(PICTURE)
        return SourceRecord(
            name=name,
            picture=named if isinstance(named, str) else "",
            time_us=time_us,
            session=session,
            fault=str(error),
        )
    mode = columns.get(MODE, USER)
    without = _OF_USER if mode == USER else _INTERNAL
    fields: Document = {**own_fields(columns, without=without), SOURCE_FILE: picture}
    return SourceRecord(
        name=name,
        picture=picture,
        time_us=time_us,
        steering=steering,
        throttle=throttle,
        created_by=AUTO if mode == USER else PILOT,
        session=session,
        fields=fields,
        is_deleted=is_deleted,
    )
