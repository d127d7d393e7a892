"""Ids of pictures, fingerprints of labels, and hashes of picture files."""

import hashlib
import json
import re
import secrets
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from common.times import to_microseconds

_to_json = json.encoder.encode_basestring_ascii
_IMG_ID = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)-(\d\d)-(\d\d)-(\d{6})", re.ASCII)


def format_img_id(captured: datetime) -> str:
    """Return the id of a picture from its time of capture (aware)."""
    text = captured.astimezone(UTC).isoformat(timespec="microseconds")
    date, time = text[:10].replace("-", ""), text[11:26].replace(":", "-").replace(".", "-")
    return f"{date}T{time}"  # strftime takes three times as long


def parse_img_id(img_id: str) -> datetime | None:
    """Return the UTC time of capture in an id; None for an id of another form."""
    match = _IMG_ID.fullmatch(img_id)
    if not match:
        return None
    try:
        return datetime(*map(int, match.groups()), tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError:
        return None


def img_id_microseconds(img_id: str) -> int | None:
    """Return the time of capture in an id, in microseconds since 1970; None for another form."""
    fraction = img_id[18:]
    if len(fraction) != 6 or not (fraction.isascii() and fraction.isdigit()):
        return None
    second_us = _second_us(img_id[:18])
    return None if second_us is None else second_us + int(fraction)


@lru_cache(maxsize=1024)  # pictures that follow each other share it
def _second_us(beginning: str) -> int | None:
    time = parse_img_id(f"{beginning}000000")
    return None if time is None else to_microseconds(time)


def new_session_id(started: datetime) -> str:
    """Return a new id for the drive that starts at this time (aware)."""
    return f"{format_img_id(started)}-{secrets.token_hex(2)}"


def fingerprint(img_id: str, annotation: Mapping[str, Any]) -> str:
    """Return the MD5 that identifies a label: picture, author, classes and their numbers."""
    return annotation_fingerprint(
        img_id,
        annotation["created_by"],
        annotation["label_direction"],
        annotation["label_speed"],
        annotation["nb_dir"],
        annotation["nb_speed"],
    )


def annotation_fingerprint(
    img_id: str, created_by: str, label_direction: int, label_speed: int, nb_dir: int, nb_speed: int
) -> str:
    """Return the MD5 of the compact JSON of these six, with the author in NFC."""
    picture, author = _to_json(img_id), _author_json(created_by)
    text = f"[{picture},{author},{label_direction},{label_speed},{nb_dir},{nb_speed}]"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@lru_cache(maxsize=1024)
def _author_json(created_by: str) -> str:
    return _to_json(unicodedata.normalize("NFC", created_by))


def sha256(picture: bytes) -> str:
    """Return the hash of a picture file, 64 hex digits."""
    return hashlib.sha256(picture).hexdigest()
