"""Names inside a folder that somebody else may have made, used without following links.

A recording may come from a colleague, an archive or a stick, and a link in it may lead anywhere.
Nothing is written, moved, repaired or removed through a link in such a folder: it is refused by
name. A folder or a file that the user names is followed as ever; only what lies inside it is not.
A file that has a second name elsewhere (a hard link, as `cp -al` makes them) is replaced as any
other, which leaves the second name as it was, but never written to in place.

Pictures may be links, as in a data set made of links, but only to a picture in the same folder:
whatever is uploaded, drawn or shown is then what the folder itself holds (`resolve_picture`).
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from common.errors import InputError

_SIDE_FILES = ("-wal", "-shm", "-journal")  # what SQLite opens beside a database


def check_not_link(file: Path) -> None:
    """Raise InputError when the name is a symbolic link, whether or not it leads anywhere."""
    if file.is_symlink():
        raise InputError(
            f"{file} is a link, which may lead out of its folder; move the link away, or put what "
            "it leads to in its place"
        )


def check_side_files(database: Path) -> None:
    """Raise InputError for a link, a pipe or anything else in the place of SQLite's side files.

    SQLite would follow it, wait for it for ever, or blame the disk. Raises: OSError.
    """
    for suffix in _SIDE_FILES:
        file = database.with_name(database.name + suffix)
        check_not_link(file)
        with suppress(FileNotFoundError):  # also when the last program to use it has just ended
            if not stat.S_ISREG(file.lstat().st_mode):
                raise _not_regular(file)


def lexists(file: Path) -> bool:
    """Return whether something has that name, also a link that leads nowhere. Raises: OSError."""
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def open_file(file: Path, flags: int = os.O_RDONLY) -> int:
    """Return a descriptor of a regular file; one that `flags` create has the umask's rights.

    Raises: InputError for a link, for a pipe or a device, which is not waited for, and to write
    for a file of several names (hard links), which another folder may have too; OSError.
    """
    safe = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(file, flags | safe, 0o666)
    except OSError:
        check_not_link(file)
        if lexists(file) and not stat.S_ISREG(file.lstat().st_mode):
            raise _not_regular(file) from None
        raise
    told = os.fstat(descriptor)
    if not stat.S_ISREG(told.st_mode):
        os.close(descriptor)
        raise _not_regular(file)
    if flags & os.O_ACCMODE != os.O_RDONLY and told.st_nlink > 1:
        os.close(descriptor)
        raise InputError(
            f"{file} has {told.st_nlink} names (hard links): writing to it would change what "
            "another folder holds; put a copy of it in its place"
        )
    return descriptor


def _not_regular(file: Path) -> InputError:
    return InputError(f"{file} is not a regular file; move it away")


@contextmanager
def open_folder(folder: Path, inner: str = "") -> Iterator[int]:
    """A descriptor of the folder, or of the one called `inner` in it, for the `dir_fd` of `os`.

    What is done through it stays in that folder, also when its name becomes a link meanwhile.

    Raises: InputError when the inner one is a link; OSError.
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
    """Return the regular file of that name; None when there is none, or it leads out of the folder.

    The path has no links in it.
    """
    try:
        file = (folder / name).resolve()
        return file if file.is_file() and file.parent == folder.resolve() else None
    except (OSError, RuntimeError):  # such as a link to itself
        return None
