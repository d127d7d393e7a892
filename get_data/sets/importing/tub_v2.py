"""Donkeycar tubs of version 2: `manifest.json`, catalogs of one record a line, `images/`.

Source: donkeycar 5.3.0, `parts/tub_v2.py` and `parts/datastore_v2.py`.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from common import strict_json
from common.errors import InputError
from common.links import open_file
from get_data.labels.schema import Document
from get_data.sets.importing import tub_columns
from get_data.sets.importing.records import (
    MAX_JSON_BYTES,
    PictureFolder,
    SourceRecord,
    Unusable,
    modified_us,
    own_fields,
    read_json,
    read_time_us,
)

MANIFEST = "manifest.json"
IMAGES = "images"

T = TypeVar("T")

_CATALOG = re.compile(r"catalog_(\d{1,9})\.catalog")
_MANIFEST_LINES = 5  # inputs, types, metadata, manifest metadata, catalog metadata
_MAX_MANIFEST_BYTES = 64_000_000  # with an index for each deleted record


class TubV2:
    """A tub that is read without changing it, as donkeycar itself would do."""

    description = "donkeycar tub v2"
    has_classes = False

    def __init__(self, folder: Path, *, manifest_required: bool = True) -> None:
        """Read the manifest and list the pictures.

        Without `manifest_required`, all catalogs of the folder are read where the manifest cannot
        be, and deleted records are imported as any.

        Raises:
            InputError: the manifest or the folder of the pictures cannot be read.
        """
        self.folder = folder
        self.warnings = list[str]()
        self.car_setting: Document = {}
        self.started_us = 0
        self._deleted: frozenset[int] = frozenset()
        self._catalogs: list[str] = []
        on_disk = list_catalogs(folder)
        try:
            self._read_manifest(folder / MANIFEST)
        except InputError as error:
            if manifest_required or not on_disk:
                raise InputError(
                    f"{error}: only the manifest tells which records were deleted; give --format "
                    "tub to import all records of the catalogs"
                ) from error
            self.warnings.append(f"{error}: records that were deleted are imported as any")
        unlisted = [name for name in on_disk if name not in self._catalogs]
        if unlisted and self._catalogs:
            names = ", ".join(unlisted[:3]) + (", ..." if len(unlisted) > 3 else "")
            self.warnings.append(f"{folder / MANIFEST} does not list {names}; imported as well")
        self._catalogs += unlisted
        if not self.started_us and on_disk:
            self.started_us = modified_us(folder / on_disk[0])
        self.pictures = PictureFolder(folder / IMAGES)

    def _read_manifest(self, file: Path) -> None:
        try:
            with os.fdopen(open_file(file), "rb") as opened:
                lines = opened.read(_MAX_MANIFEST_BYTES).splitlines()
        except FileNotFoundError as error:
            raise InputError(f"{file} is missing") from error
        except OSError as error:
            raise InputError(f"{file} cannot be read: {error.strerror}") from error
        if len(lines) < _MANIFEST_LINES:
            raise InputError(f"{file} has {len(lines)} lines instead of {_MANIFEST_LINES}")
        metadata, created, catalogs = (strict_json.parse(line, str(file)) for line in lines[2:5])
        listed = catalogs if isinstance(catalogs, dict) else {}
        paths = _list_of(str, listed.get("paths"))
        deleted = _list_of(int, listed.get("deleted_indexes", []))
        if paths is None or deleted is None:
            raise InputError(f"{file}, line 5: has no list of catalogs and of deleted indexes")
        self._catalogs = list(dict.fromkeys(paths))
        self._deleted = frozenset(deleted)
        if isinstance(created, dict):
            self.started_us = read_time_us(created.get("created_at"), unit_us=1_000_000) or 0
        if isinstance(metadata, dict):
            self.car_setting = own_fields(metadata, without=frozenset())

    def items(self) -> Iterator[SourceRecord | Unusable]:
        """Yield the records of all catalogs, and lines that are not records."""
        position = 0
        for name in self._catalogs:
            if not _CATALOG.fullmatch(name):
                yield Unusable(
                    f"{name:.100}", "is not a catalog of this tub; the manifest names it"
                )
                continue
            try:
                descriptor = open_file(self.folder / name)
            except FileNotFoundError:
                yield Unusable(name, "is missing; the manifest lists it")
                continue
            except OSError as error:
                yield Unusable(name, f"cannot be read: {error.strerror}")
                continue
            except InputError as error:
                yield Unusable(name, str(error))
                continue
            with os.fdopen(descriptor, "rb") as catalog:
                start = position
                for line in _lines(catalog):
                    yield from self._record(name, position - start + 1, position, line)
                    position += 1
            yield from self._find_loss(name, position - start)

    def _record(
        self, catalog: str, number: int, position: int, line: bytes
    ) -> Iterator[SourceRecord | Unusable]:
        place = f"{catalog}, line {number}"
        if len(line) > MAX_JSON_BYTES:
            yield Unusable(place, f"has more than {MAX_JSON_BYTES:,} bytes")
            return
        try:
            columns: Any = strict_json.parse(line, "the line")
        except InputError as error:
            yield Unusable(place, str(error))
            return
        if not isinstance(columns, dict):
            yield Unusable(place, "is not a record but another kind of JSON")
            return
        if tub_columns.is_filler(columns):
            return
        index = columns.get("_index")
        if isinstance(index, bool) or not isinstance(index, int):
            index = position
        yield tub_columns.read_columns(
            place,
            columns,
            time_us=read_time_us(columns.get("_timestamp_ms"), unit_us=1000),
            session=f"{columns.get('_session_id', '')}",
            is_deleted=index in self._deleted,
        )

    def _find_loss(self, catalog: str, count: int) -> Iterator[Unusable]:
        """Yield what a catalog has lost, according to the list of its lines beside it."""
        with suppress(InputError):  # without that list nothing is known, and all lines were read
            listed = read_json(self.folder / f"{catalog}_manifest", "a list of lines")
            lengths = listed.get("line_lengths") if isinstance(listed, dict) else None
            if isinstance(lengths, list) and len(lengths) > count:
                lost = len(lengths) - count
                yield Unusable(
                    catalog,
                    f"is cut off: it has {count} of the {len(lengths)} records that its "
                    f"catalog_manifest lists; the other {lost} are lost",
                )


def list_catalogs(folder: Path) -> list[str]:
    """Return the names of the catalogs in a folder, in their order.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208  names only
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error
    found = [(int(match[1]), match[0]) for match in map(_CATALOG.fullmatch, names) if match]
    return [name for _, name in sorted(found)]


def _list_of(kind: type[T], value: object) -> list[T] | None:
    """Return a list of that type and no other; None for anything else."""
    if isinstance(value, list) and all(type(item) is kind for item in value):
        return value
    return None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines; of one that is too long only the beginning."""
    while line := file.readline(MAX_JSON_BYTES + 1):
        rest = line
        while len(rest) > MAX_JSON_BYTES and not rest.endswith(b"\n"):
            rest = file.readline(MAX_JSON_BYTES + 1)
        if line.strip():
            yield line
