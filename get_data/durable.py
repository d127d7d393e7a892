"""Writing that outlives a kill and a power cut."""

import ctypes
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from errors import WriteFailed

TEMPORARY_SUFFIX = ".tmp"

_RANDOM = "[0-9a-f]" * 32

_syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)  # Linux; Python's os lacks it


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the name `target` when the block ends without an error.

    Until then, and for ever when it does not, whatever stood at `target` stays as it was. What a
    killed process left half-written beside it is removed.

    Raises: WriteFailed, with nothing left behind.
    """
    start = f"{target.name[:40]}."  # a name may be so long that nothing can be added to it
    drop_left_behind(target.parent, start)
    try:
        with temporary_file(target.parent, start) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise WriteFailed(f"{target} cannot be written: {error.strerror}") from error


@contextmanager
def temporary_file(folder: Path, start: str = "") -> Iterator[BinaryIO]:
    """A new file in the folder, gone when the block ends unless it has another name by then.

    Its name is nobody else's, and it is locked while the block runs: unlike a process's number that
    holds also where several machines or containers write into one folder.

    Raises: OSError.
    """
    while True:
        temporary = folder / f".{start}{uuid4().hex}{TEMPORARY_SUFFIX}"
        with temporary.open("xb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink == 0:  # taken for left behind before the lock
                continue
            try:
                yield file
            finally:
                with suppress(OSError):
                    temporary.unlink()
            return


def drop_left_behind(folder: Path, start: str = "") -> None:
    """What killed processes have left of `temporary_file` is gone."""
    for left in folder.glob(f".{escape(start)}{_RANDOM}{TEMPORARY_SUFFIX}"):
        with suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def sync_folder(folder: Path) -> None:
    """The names in `folder` outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(folder: Path) -> None:
    """All that was written to the file system of `folder` outlives a power cut.

    One call is cheaper than an fsync for each of many small files, and unlike `os.sync` it waits
    for no other disk and reports a failed write.

    Raises: OSError when the disk could not take it.
    """
    if _syncfs is None:
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if _syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(folder))
    finally:
        os.close(descriptor)
