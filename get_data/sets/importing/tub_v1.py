"""Donkeycar tubs of version 1: `record_N.json` beside the pictures, `meta.json`, `exclude.json`.

Source: donkeycar 5.3.0, `parts/datastore.py`.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from common.errors import InputError
from common.links import lexists
from get_data.labels.schema import Document
from get_data.sets.importing import tub_columns
from get_data.sets.importing.records import (
    PictureFolder,
    SourceRecord,
    Unusable,
    modified_us,
    own_fields,
    read_json,
    read_time_us,
)

META, EXCLUDED = "meta.json", "exclude.json"

_RECORD = re.compile(r"record_(\d{1,9})\.json")
_NOT_METADATA = frozenset(("inputs", "types", "start"))


class TubV1:
    """A tub of one drive: its sessions are not told apart."""

    description = "donkeycar tub v1"
    has_classes = False

    def __init__(self, folder: Path) -> None:
        """List records and pictures, and read what the tub says of itself.

        Raises:
            InputError: a file cannot be read.
        """
        self.folder = folder
        self.warnings = list[str]()
        self.car_setting: Document = {}
        self._records = list_records(folder)
        self._start_us = self._read_meta(folder / META)
        self.started_us = self._start_us or 0
        if self._start_us is None and self._records:
            self.started_us = modified_us(folder / self._records[0])
        self._excluded = self._read_excluded(folder / EXCLUDED)
        self.pictures = PictureFolder(folder)

    def _read_meta(self, file: Path) -> int | None:
        """Return when the tub was started; None if it does not tell."""
        if not lexists(file):
            self.warnings.append(f"{file} is missing: the time of the drive is not known")
            return None
        meta = read_json(file, "the metadata of a tub")
        if not isinstance(meta, dict):
            raise InputError(f"{file}: expected an object")
        self.car_setting = own_fields(meta, without=_NOT_METADATA)
        return read_time_us(meta.get("start"), unit_us=1_000_000)

    def _read_excluded(self, file: Path) -> frozenset[int]:
        if not lexists(file):
            return frozenset()
        excluded = read_json(file, "a list of excluded records")
        if not isinstance(excluded, list) or not all(type(index) is int for index in excluded):
            raise InputError(f"{file}: expected a list of record numbers")
        return frozenset(excluded)

    def items(self) -> Iterator[SourceRecord | Unusable]:
        """Yield the records by number, and files that are none."""
        for name in self._records:
            try:
                columns = read_json(self.folder / name, "a record")
            except InputError as error:
                yield Unusable(name, str(error))
                continue
            if not isinstance(columns, dict):
                yield Unusable(name, "is not a record but another kind of JSON")
                continue
            if tub_columns.is_filler(columns):
                continue
            since_us = read_time_us(columns.get("milliseconds"), unit_us=1000)
            is_timed = since_us is not None and self._start_us is not None
            yield tub_columns.read_columns(
                name,
                columns,
                time_us=self.started_us + (since_us or 0) if is_timed else None,
                session="",
                is_deleted=_number(name) in self._excluded,
            )


def list_records(folder: Path) -> list[str]:
    """Return the names of the records in a folder, by number.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        names = [name for name in os.listdir(folder) if _RECORD.fullmatch(name)]  # noqa: PTH208  names only
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error
    return sorted(names, key=lambda name: (_number(name), name))


def _number(name: str) -> int:
    return int(name.removeprefix("record_").removesuffix(".json"))
