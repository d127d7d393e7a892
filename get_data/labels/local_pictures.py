"""Pictures of a folder with all labels of them that its label files hold."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.errors import InputError
from common.macos_files import is_macos_file
from get_data.labels import label_file, picture_file
from get_data.labels.schema import Document

KeptReason = Literal[
    "not_uploaded",
    "not_applied",
    "deleted",
    "other_picture",
    "not_stored",
    "not_as_recorded",
    "linked",
]
"""Why a picture stays on this machine.

`not_uploaded`: the index lacks one of its labels. `not_applied`: it was corrected here. `deleted`:
the database was told to forget it, so this may be the only copy. `other_picture`: the index has
another picture under its id. `not_stored`: the store has lost or damaged it. `not_as_recorded`: the
file is not the one that its label describes. `linked`: it has another name, so that its removal
would free nothing, or leave a link without its target.
"""

_HEAD_BYTES = 1_000_000  # more than the largest label takes

FileId = tuple[int, int]  # device and inode


@dataclass(frozen=True, slots=True)
class LocalPicture:
    """A picture file on this machine.

    `documents` are all labels of it that are known here. `kept`: why it stays, whatever the
    database has.
    """

    img_id: str
    file: Path
    documents: Sequence[Document]
    kept: KeptReason | None = None


def read_label_files(folder: Path) -> dict[Path, dict[str, Document]]:
    """Return the labels of all label files in a folder, by file, whatever their names.

    Beside `labels.json` there may be corrections of it, and other sets of its pictures.

    Raises:
        InputError: the folder or a label file cannot be read.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
        found = [folder / name for name in names if _is_label_file(folder / name)]
    except OSError as error:
        raise InputError(f"{error.filename or folder} cannot be read: {error.strerror}") from error
    return {file: label_file.read(file) for file in found}


def _is_label_file(file: Path) -> bool:
    if file.name == label_file.NAME:
        return True
    if is_macos_file(file.name) or file.name.lower().endswith(picture_file.SUFFIXES):
        return False
    with file.open("rb") as content:
        head = content.read(_HEAD_BYTES)
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and (
        label_file.starts_like_label_file(head)
    )


def list_pictures(
    folder: Path, labels: Mapping[Path, Mapping[str, Document]], *, undecided: Collection[str] = ()
) -> list[LocalPicture]:
    """Return the pictures that `labels.json` names, by img_id, with their labels in all files.

    `undecided`: ids of pictures whose corrections are in no label file yet.

    Raises:
        InputError: the folder cannot be read.
    """
    by_file: dict[FileId, list[Document]] = {}
    for documents in labels.values():
        for document in documents.values():
            if identity := _identify(folder / document["file_name"]):
                by_file.setdefault(identity, []).append(document)
    try:
        targets = set(_link_targets(folder))
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error

    def picture(img_id: str, document: Document) -> LocalPicture:
        file = folder / document["file_name"]
        identity = _identify(file)
        known = by_file.get(identity, ()) if identity else ()
        kept: KeptReason | None = None
        if identity in targets:
            kept = "linked"
        elif any(each["img_id"] in undecided for each in known):
            kept = "not_applied"
        return LocalPicture(img_id, file, known or (document,), kept)

    main = labels[folder / label_file.NAME]
    return [picture(img_id, main[img_id]) for img_id in sorted(main)]


def _identify(file: Path) -> FileId | None:
    """Return what a file is, whatever its name; None if there is none."""
    try:
        status = file.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _link_targets(folder: Path) -> Iterator[FileId]:
    """Yield the files that symbolic links in the folder lead to."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                try:
                    status = entry.stat()
                except OSError:  # dangling, or a link to itself
                    continue
                yield status.st_dev, status.st_ino
