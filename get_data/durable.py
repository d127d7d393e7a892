"""Writing that outlives a kill and a power cut."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from errors import WriteFailed

TEMPORARY_SUFFIX = ".tmp"

_syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)  # Linux; Python's os lacks it


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the name `target` when the block ends without an error.

    Until then, and for ever when it does not, whatever stood at `target` stays as it was.

    Raises: WriteFailed, with nothing left behind.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        _discard(temporary)
        raise WriteFailed(f"{target} cannot be written: {error.strerror}") from error
    except BaseException:
        _discard(temporary)
        raise


def _discard(temporary: Path) -> None:
    with suppress(OSError):
        temporary.unlink()


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
