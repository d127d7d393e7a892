"""Access to files in untrusted folders without following links.

A recording may come from a colleague, an archive or a USB stick, and a link in it may point
anywhere. Nothing is written, moved, repaired or removed through a link inside such a folder: the
link is reported by name. A path that the user gives is followed as usual; only the names inside it
are not. A file with a second name elsewhere (a hard link, as made by `cp -al`) may be replaced,
which leaves the second name as it was, but is never written to in place.

Pictures may be links, as in a data set made of links, but only to a picture in the same folder:
what is uploaded, drawn or shown is then in the folder itself (`resolve_picture`).
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from common.errors import InputError

_SIDE_FILES = ("-wal", "-shm", "-journal")  # files that SQLite opens beside a database


def check_not_link(file: Path) -> None:
    """Check that the path is not a symbolic link.

    Raises:
        InputError: it is one, dangling or not.
    """
    if file.is_symlink():
        raise InputError(
            f"{file} is a link, which may lead out of its folder; remove it, or replace it by a "
            "copy of its target"
        )


def check_side_files(database: Path) -> None:
    """Check that the side files of a SQLite database are regular files or do not exist.

    SQLite would follow a link, wait forever for a pipe, and report a folder as a disk error.

    Raises:
        InputError: one of them is a link, a pipe, a folder or the like.
        OSError: one of them cannot be looked up.
    """
    for suffix in _SIDE_FILES:
        file = database.with_name(database.name + suffix)
        check_not_link(file)
        with suppress(FileNotFoundError):  # also when the last process to use it has just exited
            if not stat.S_ISREG(file.lstat().st_mode):
                raise _not_regular(file)


def lexists(file: Path) -> bool:
    """Return whether the path exists, also as a dangling link.

    Raises:
        OSError: the path cannot be looked up; `os.path.lexists` would return False.
    """
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def open_file(file: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file and return its descriptor; a new file gets the umask's permissions.

    Raises:
        InputError: it is a link, a pipe or a device, or it is opened for writing and has several
            names (hard links), which may be in other folders.
        OSError: it cannot be opened.
    """
    safe = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(file, flags | safe, 0o666)
    except OSError:
        check_not_link(file)
        if lexists(file) and not stat.S_ISREG(file.lstat().st_mode):
            raise _not_regular(file) from None
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise _not_regular(file)
    if flags & os.O_ACCMODE != os.O_RDONLY and status.st_nlink > 1:
        os.close(descriptor)
        raise InputError(
            f"{file} has {status.st_nlink} names (hard links): writing to it could change another "
            "folder; replace it by a copy"
        )
    return descriptor


def _not_regular(file: Path) -> InputError:
    return InputError(f"{file} is not a regular file; move it away")


@contextmanager
def open_folder(folder: Path, inner: str = "") -> Iterator[int]:
    """Open a folder, or the folder `inner` in it, as a descriptor for the `dir_fd` of `os`.

    All access through it stays in that folder, even if its name becomes a link meanwhile.

    Raises:
        InputError: the inner folder is a link.
        OSError: the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if inner:
            outer = descriptor
            try:
                descriptor = os.open(
                    inner,
                    os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC,
                    dir_fd=outer,
                )
            except OSError:
                check_not_link(folder / inner)
                raise
            os.close(outer)
        yield descriptor
    finally:
        os.close(descriptor)


def resolve_picture(folder: Path, name: str) -> Path | None:
    """Return the path of a picture with all links resolved.

    None if it is not a regular file, or not in the folder.
    """
    try:
        file = (folder / name).resolve()
        return file if file.is_file() and file.parent == folder.resolve() else None
    except (OSError, RuntimeError):  # such as a link to itself
        return None
