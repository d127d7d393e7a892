"""`set.json`: where a fetched set comes from, so that it can be told from others and had again.

It lies beside the label file and is replaced together with it (D14).
"""

import hashlib
import os
import reprlib
from pathlib import Path
from typing import Any

import msgspec

from common import strict_json, structs
from common.atomic_files import atomic_write
from common.errors import InputError
from get_data.labels import label_file
from get_data.labels.ids import sha256
from get_data.sets.counts import Counts

NAME = "set.json"
FORMAT = "patate-set"

_MAX_STEM_BYTES = 220  # a file name has at most 255


class LabelsReference(msgspec.Struct, kw_only=True, frozen=True):
    """The label file that a `set.json` describes: name, SHA-256 and number of labels."""

    file: str
    sha256: str
    count: int


class SetFile(msgspec.Struct, kw_only=True, frozen=True):
    """Content of a `set.json`.

    Attributes:
        format: tells the file from any other.
        created: time of the fetch, ISO 8601, UTC.
        database: name of the database.
        query: the search, each clause in its long form; empty: everything.
        options: what else decides which pictures are in it, by the names of the options.
        versions: of the toolkit and of Python, by name.
        counts: what it has of each class, drive and person.
        labels: the label file.
        choice: what was asked for and found, of a set that was chosen from more pictures.
        left_over: pictures of earlier fetches that are not in the set: SHA-256 by file name.
    """

    format: str = FORMAT
    created: str
    database: str
    query: dict[str, Any]
    options: dict[str, Any]
    versions: dict[str, str]
    counts: Counts
    labels: LabelsReference
    choice: dict[str, Any] = {}
    left_over: dict[str, str] = {}


def beside(labels: Path) -> Path:
    """Return the path of the file that describes a label file."""
    if labels.name == label_file.NAME:
        return labels.with_name(NAME)
    stem = labels.stem
    if len(os.fsencode(stem)) > _MAX_STEM_BYTES:
        digest = sha256(os.fsencode(labels.name))[:12]
        stem = os.fsdecode(os.fsencode(stem)[:_MAX_STEM_BYTES]) + f"-{digest}"
    return labels.with_name(f"{stem}.{NAME}")


def read(file: Path) -> SetFile:
    """Return the content of a `set.json`.

    Raises:
        InputError: it cannot be read, or is another file.
    """
    content = strict_json.read(file)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        shown = reprlib.repr(content.get("format") if isinstance(content, dict) else content)
        raise InputError(f"{file}: format: expected {FORMAT!r}, got {shown}")
    try:
        return structs.convert(content, SetFile)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def describes(content: SetFile, labels: Path) -> bool:
    """Return whether the label file is still the one that was fetched.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with labels.open("rb") as file:
            return content.labels.sha256 == hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{labels} cannot be read: {error.strerror}") from error


def starts_like_set_file(raw: bytes) -> bool:
    """Return whether the start of a file is that of a `set.json`."""
    return raw.startswith(f'{{\n  "format": "{FORMAT}"'.encode())


def write(file: Path, content: SetFile) -> None:
    """Replace a `set.json` whose label file stays.

    Raises:
        WriteFailed: it cannot be written; the previous version is untouched.
    """
    with atomic_write(file) as opened:
        opened.write(encode(content))


def printable(text: str) -> str:
    """Return a name, such as that of a file, of which JSON takes each character."""
    return text.encode(errors="backslashreplace").decode()


def encode(content: SetFile) -> bytes:
    """Return the file for this content, for people to read."""
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
