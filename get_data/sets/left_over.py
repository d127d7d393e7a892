"""Pictures in the folder of a fetched set that earlier fetches have put there, and it has no more.

A picture counts only if a label file of a fetch named it, and is removed only if it still has the
hash from there: nothing else that people keep in the folder is ever touched.
"""

import os
import stat
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from common.errors import InputError
from get_data.labels import label_lines, validation
from get_data.labels.ids import sha256
from get_data.labels.label_lines import NotLines
from get_data.labels.local_pictures import read_label_files
from get_data.labels.unicode_forms import file_name_key
from get_data.sets import set_file


class _Picture(msgspec.Struct):
    file_name: str
    s3_key: str
    picture_sha256: str = ""


@dataclass(frozen=True, slots=True)
class LeftOver:
    """A picture file that is no longer in the set."""

    file: Path
    size: int


def find(labels: Path, names: Container[str]) -> dict[str, str]:
    """Return the pictures of earlier fetches that are not in a new set, with their hashes, by name.

    `labels`: the label file that is about to be replaced. `names`: file names of the new set.
    """
    earlier = {**_recorded(set_file.beside(labels)), **dict(_listed(labels, names))}
    folder = labels.parent
    return {
        name: earlier[name]
        for name in sorted(earlier)
        if name not in names and validation.is_file_name(name) and _is_file(folder / name)
    }


def _recorded(description: Path) -> Mapping[str, str]:
    try:
        return set_file.read(description).left_over
    except InputError:
        return {}


def _listed(labels: Path, names: Container[str]) -> Iterator[tuple[str, str]]:
    """Yield name and hash of the pictures of a fetched label file, without those in `names`.

    A file that is formatted otherwise than the toolkit does it is read as far as it is alike.
    """
    decode = msgspec.json.Decoder(_Picture).decode
    # without a file there is nothing to read
    with suppress(OSError, NotLines), labels.open("rb") as file:
        for line in label_lines.read(file):
            try:
                picture = decode(line.document)
            except (ValueError, RecursionError):
                continue
            # only a label from a database has a key
            if picture.s3_key and picture.picture_sha256 and picture.file_name not in names:
                yield picture.file_name, picture.picture_sha256


def removable(labels: Path, left_over: Mapping[str, str]) -> list[LeftOver]:
    """Return the files among these that are still the pictures that were fetched.

    Pictures that another label file in the folder names stay.

    Raises:
        InputError: a label file cannot be read.
    """
    if not left_over:
        return []
    folder = labels.parent
    others = (read for file, read in read_label_files(folder).items() if file != labels)
    needed = {file_name_key(label["file_name"]) for read in others for label in read.values()}
    found = []
    for name, digest in left_over.items():
        file = folder / name
        if validation.is_file_name(name) and file_name_key(name) not in needed and _is_file(file):
            try:
                content = file.read_bytes()
            except OSError:
                continue
            if sha256(content) == digest:
                found.append(LeftOver(file, len(content)))
    return found


def remove(pictures: Iterable[LeftOver]) -> Iterator[tuple[LeftOver, str]]:
    """Remove the files; yield each with "", or with the reason why it stays."""
    for picture in pictures:
        try:
            picture.file.unlink(missing_ok=True)
        except OSError as error:
            yield picture, f"cannot be removed: {os.strerror(error.errno or 0)}"
        else:
            yield picture, ""


def _is_file(file: Path) -> bool:
    """Return whether this is a regular file, and no link."""
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except OSError:
        return False
