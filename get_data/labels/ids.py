"""Names that tell what they name: the id of a picture, the fingerprint of a label, hashes."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

IMG_ID_FORMAT = "%Y%m%dT%H-%M-%S-%f"
_OWN_IMG_ID = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)-(\d\d)-(\d\d)-(\d{6})", re.ASCII)
_COMPACT = json.JSONEncoder(separators=(",", ":"))


def format_img_id(moment: datetime) -> str:
    """The id of the picture taken at `moment` (aware)."""
    return moment.astimezone(UTC).strftime(IMG_ID_FORMAT)


def parse_img_id(img_id: str) -> datetime | None:
    """The UTC time that an id of our own form tells; None for an id from elsewhere."""
    told = _OWN_IMG_ID.fullmatch(img_id)
    if not told:
        return None
    try:
        return datetime(*map(int, told.groups()), tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError:
        return None


def fingerprint(img_id: str, annotation: Mapping[str, Any]) -> str:
    """The MD5 that names a label: who says which class of how many about which picture."""
    sextuple = [
        img_id,
        unicodedata.normalize("NFC", annotation["created_by"]),
        annotation["label_direction"],
        annotation["label_speed"],
        annotation["nb_dir"],
        annotation["nb_speed"],
    ]
    text = _COMPACT.encode(sextuple)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def sha256(picture: bytes) -> str:
    """The hash of a JPEG file, 64 hex digits."""
    return hashlib.sha256(picture).hexdigest()
