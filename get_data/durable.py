"""Writing that outlives a kill and a power cut."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import BinaryIO

from errors import WriteFailed

TEMPORARY_SUFFIX = ".tmp"

_syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)  # Linux; Python's os lacks it


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the name `target` when the block ends without an error.

    Until then, and for ever when it does not, whatever stood at `target` stays as it was. What a
    killed process left half-written beside it is removed.

    Raises: WriteFailed, with nothing left behind.
    """
    start = target.name[:40]  # a name may be so long that nothing can be added to it
    temporary = target.with_name(f".{start}.{os.getpid()}{TEMPORARY_SUFFIX}")
    for left in target.parent.glob(f".{escape(start)}.*{TEMPORARY_SUFFIX}"):
        if not runs(left.suffixes[-2].removeprefix(".")):
            _discard(left)
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


def runs(pid: str) -> bool:
    """Whether there is a process of that number; also when the text is no number."""
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (OSError, ValueError, OverflowError):  # somebody else's process, or none of ours
        return True
    return True


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
