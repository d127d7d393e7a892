"""What the formats of other tools have in common: a source yields records, each with a picture.

A source is read twice (`survey.py`, then `importer.py`) and yields the same items in the same order
each time; no more than one record is in memory.
"""

import math
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from common import strict_json
from common.errors import InputError
from common.links import check_not_link, open_file, resolve_picture
from common.macos_files import is_macos_file
from get_data.labels.constants import AUTO
from get_data.labels.picture_file import MAX_BYTES, SUFFIXES, NotAPicture
from get_data.labels.schema import RESERVED, Document
from get_data.labels.validation import custom_key_fault, is_custom_value

SOURCE_FILE = "source_file"
"""Custom field of an imported label: the name that its picture had in the source."""

PICTURE_SUFFIXES = (*SUFFIXES, ".png")  # a PNG is listed as not imported, not overlooked
MAX_JSON_BYTES = 1_000_000  # of one record, or of a file with one object


@dataclass(frozen=True, slots=True)
class Unusable:
    """A record, picture or file that is not imported; `img_id` is its name in the source."""

    img_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """A record of a source.

    `time_us`: microseconds since 1970, None if the source does not tell. `steering` and `throttle`
    are what the driver did, -1 to 1, None if unknown. `direction` and `speed` are classes that the
    source itself tells, of `nb_dir` and `nb_speed`; None where they follow from the values. A
    record without any of them has a picture only.

    `session`: the source's name of the drive. `fields`: further keys of the label. `fault`: why the
    record cannot be used, "" if it can; its time counts nevertheless, so that the other records
    keep their ids when it is repaired.
    """

    name: str
    picture: str
    time_us: int | None
    steering: float | None = None
    throttle: float | None = None
    direction: int | None = None
    speed: int | None = None
    nb_dir: int | None = None
    nb_speed: int | None = None
    created_by: str = AUTO
    created_on: str = ""
    session: str = ""
    fields: Document = field(default_factory=dict)
    is_deleted: bool = False
    fault: str = ""


class BadValue(Exception):
    """A value of a record that cannot be used; the message is the reason."""


class PictureFolder:
    """The pictures of a source by name, without links that lead out of their folder.

    `sizes` are bytes by name; `others` are names that cannot be read, with the reason.
    """

    def __init__(self, folder: Path) -> None:
        """List the folder.

        Raises:
            InputError: it cannot be read, or it is a link.
        """
        check_not_link(folder)
        self.folder = folder
        self.sizes: dict[str, int] = {}
        self.others: dict[str, str] = {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    is_picture = entry.name.lower().endswith(PICTURE_SUFFIXES)
                    if is_picture and not is_macos_file(entry.name):
                        self._add(entry)
        except OSError as error:
            raise InputError(f"{folder} cannot be read: {error.strerror}") from error

    def _add(self, entry: "os.DirEntry[str]") -> None:
        if entry.is_symlink() and resolve_picture(self.folder, entry.name) is None:
            self.others[entry.name] = "is a link that leads to no picture in its folder"
        elif not entry.is_file():
            self.others[entry.name] = "is not a regular file"
        else:
            self.sizes[entry.name] = entry.stat().st_size

    def read(self, name: str) -> bytes:
        """Return the bytes of a picture, unchecked.

        Raises:
            NotAPicture: it is not there, cannot be read or is too large.
        """
        if name not in self.sizes:
            raise NotAPicture(self.others.get(name, "is missing"))
        try:
            return self._read(self.folder / name)
        except OSError as error:
            raise NotAPicture(f"cannot be read: {error.strerror}") from error

    def _read(self, file: Path) -> bytes:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(file, flags)
        except OSError:
            target = resolve_picture(self.folder, file.name)  # a link within the folder
            if target is None:
                raise
            descriptor = os.open(target, flags)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise NotAPicture("is not a regular file")
            if status.st_size > MAX_BYTES:
                raise NotAPicture(f"has more than {MAX_BYTES // 1_000_000} MB")
            content = os.read(descriptor, status.st_size)
            if len(content) < status.st_size:
                raise NotAPicture("was changed while it was read")
            return content
        finally:
            os.close(descriptor)


class Source(Protocol):
    """A drive, or several, as another tool has recorded them.

    `started_us`: when it began, for records without a time. `car_setting`: what is known of the
    car. `warnings`: what a user should know before the import. `has_classes`: whether the records
    tell their own classes.
    """

    description: str
    pictures: PictureFolder
    started_us: int
    car_setting: Document
    warnings: list[str]
    has_classes: bool

    def items(self) -> Iterator[SourceRecord | Unusable]:
        """Yield the records, and what is not a record, in the order of the source."""


def check_name(value: object) -> str:
    """Return the name of a record's picture.

    Raises:
        BadValue: there is none, or it is no plain name.
    """
    if value is None:
        raise BadValue("names no picture")
    if not isinstance(value, str):
        raise BadValue(f"names no picture but {value!r:.100}")
    if "/" in value or "\\" in value or value in ("", ".", "..") or "\0" in value:
        raise BadValue(f"names the picture {value!r:.100}, which is not a plain file name")
    return value


def read_share(columns: Mapping[str, Any], key: str) -> float:
    """Return a value from -1 to 1.

    Raises:
        BadValue: it is missing, or something else.
    """
    value = columns.get(key)
    if value is None:
        raise BadValue(f"has no {key}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValue(f"{key} is {value!r:.100}, not a number")
    if not -1 <= value <= 1:
        raise BadValue(f"{key} is {value:g}, not within -1 .. 1")
    return float(value)


def read_time_us(value: object, *, unit_us: int) -> int | None:
    """Return a number of time units since 1970 in microseconds; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    time_us = value * unit_us
    return round(time_us) if math.isfinite(time_us) else None


def own_fields(columns: Mapping[str, Any], *, without: frozenset[str]) -> Document:
    """Return the columns that a label can keep as custom fields, under their own names."""
    kept = {
        key: value
        for key, value in columns.items()
        if key not in without and key not in RESERVED and is_custom_value(value)
    }
    return {key: value for key, value in kept.items() if not custom_key_fault(key, kept)}


def read_json(file: Path, description: str) -> Any:
    """Return the content of a small JSON file.

    Raises:
        InputError: it cannot be read, is a link or larger than MAX_JSON_BYTES, or is not JSON.
    """
    try:
        with os.fdopen(open_file(file), "rb") as opened:
            raw = opened.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
    if len(raw) > MAX_JSON_BYTES:
        raise InputError(f"{file} has more than {MAX_JSON_BYTES:,} bytes; it is not {description}")
    return strict_json.parse(raw, str(file))


def modified_us(file: Path) -> int:
    """Return when a file was modified, in microseconds since 1970.

    Raises:
        InputError: it cannot be looked up.
    """
    try:
        return file.stat().st_mtime_ns // 1000
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
