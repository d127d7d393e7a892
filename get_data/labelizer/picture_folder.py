"""Files of a picture folder, and names as people can read them."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.errors import InputError
from common.links import resolve_picture
from common.macos_files import is_macos_file


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A regular file of the folder."""

    size: int
    modified_ns: int


def list_files(folder: Path) -> dict[str, FolderFile]:
    """Return the regular files of the folder by name, without links that lead out of it.

    Raises:
        InputError: the folder cannot be read.
    """
    files: dict[str, FolderFile] = {}
    try:
        with os.scandir(folder) as items:
            for item in items:
                if item.is_symlink() and resolve_picture(folder, item.name) is None:
                    continue
                if item.is_file() and not is_macos_file(item.name):
                    status = item.stat()
                    files[item.name] = FolderFile(status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error
    return files


def hash_listing(files: Mapping[str, FolderFile]) -> str:
    """Return a short hash of names, sizes and modification times."""
    listing = sorted((name, file.size, file.modified_ns) for name, file in files.items())
    return hashlib.sha256(repr(listing).encode(errors="surrogatepass")).hexdigest()[:12]


def printable_name(name: Path | str) -> str:
    """Return the name as text; bytes that are not UTF-8 become replacement characters."""
    return os.fsencode(name).decode(errors="replace")
