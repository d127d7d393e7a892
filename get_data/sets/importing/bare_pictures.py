"""A folder of pictures without labels: each becomes a picture that nobody has labelled yet."""

import re
from collections.abc import Iterator
from pathlib import Path

from get_data.labels.constants import NOBODY
from get_data.labels.schema import Document
from get_data.sets.importing.original_labels import read_time_text
from get_data.sets.importing.records import (
    SOURCE_FILE,
    PictureFolder,
    SourceRecord,
    Unusable,
    modified_us,
)

_NUMBER = re.compile(r"(\d+)", re.ASCII)


class BarePictures:
    """The pictures of a folder, by name with numbers in their order; all are one drive.

    A name that is an id, or a number of (milli- or micro-)seconds since 1970, tells when the
    picture was taken; of others the file's time is taken.
    """

    description = "pictures without labels"
    has_classes = False

    def __init__(self, folder: Path) -> None:
        """List the pictures.

        Raises:
            InputError: the folder cannot be read.
        """
        self.warnings = list[str]()
        self.car_setting: Document = {}
        self.started_us = 0
        self.pictures = PictureFolder(folder)
        self._names = sorted(self.pictures.sizes, key=_natural_order)
        untold = [name for name in self._names if read_time_text(Path(name).stem) is None]
        if untold:
            self.warnings.append(
                f"{folder}: names such as {untold[0]} tell no time, so the files' times of "
                "modification are taken; keep them when you copy the folder (cp -p)"
            )

    def items(self) -> Iterator[SourceRecord | Unusable]:
        """Yield a record for each picture."""
        folder = self.pictures.folder
        for name in self._names:
            try:
                name.encode()
            except UnicodeEncodeError:
                yield Unusable(name, "has a name that is not UTF-8; rename it")
                continue
            yield SourceRecord(
                name=name,
                picture=name,
                time_us=read_time_text(Path(name).stem) or modified_us(folder / name),
                created_by=NOBODY,
                fields={SOURCE_FILE: name},
            )


def _natural_order(name: str) -> tuple[tuple[int, str], ...]:
    parts = _NUMBER.split(name)
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)
