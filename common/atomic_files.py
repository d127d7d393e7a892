"""Writing that outlives a kill and a power cut."""

import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from common import links, locks
from common.errors import InputError, WriteFailed

TEMPORARY_SUFFIX = ".tmp"

_RANDOM = "[0-9a-f]" * 32

_libc = ctypes.CDLL(None, use_errno=True)
_syncfs = getattr(_libc, "syncfs", None)  # Linux; Python's os lacks them
_renameat2 = getattr(_libc, "renameat2", None)
_RENAME_NOREPLACE = 1
_AT_FDCWD = -100

# What a file system answers that lacks a call, such as old CIFS and some FUSE for syncs and names;
# EPERM is how a container's filter says that there is no such call.
_LACKS_CALL = frozenset(
    (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.ENOSYS, errno.EPERM)
)


@contextmanager
def atomic_write(target: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the name `target` when the block ends without an error.

    Until then, and for ever when it does not, whatever stood at `target` stays as it was. What a
    killed process left half-written beside it is removed. A new file has the rights that the umask
    says, a replaced one keeps its own: people may share it.

    Raises: InputError when `target` is a link; WriteFailed, with nothing left behind.
    """
    links.check_not_link(target)
    start = f"{target.name[:40]}."  # a name may be so long that nothing can be added to it
    remove_stale_files(target.parent, start)
    try:
        with temporary_file(target.parent, start) as file:
            _keep_rights(file, target)
            yield file
            file.flush()
            sync(file.fileno())
            Path(file.name).replace(target)
    except OSError as error:
        raise WriteFailed(f"{target} cannot be written: {error.strerror}") from error
    try:
        sync_folder(target.parent)
    except OSError as error:
        raise WriteFailed(
            f"{target} is replaced, but may not survive a power cut: {error.strerror}"
        ) from error


def _keep_rights(file: BinaryIO, target: Path) -> None:
    """Give the file the group and the rights of what it will replace, as far as the system lets us.

    Without the group its rights would be another group's: then the umask's own are the most.
    """
    try:
        there = target.lstat()
    except OSError:
        return
    new = os.fstat(file.fileno())
    rights = stat.S_IMODE(there.st_mode) & 0o777
    if there.st_gid != new.st_gid:
        try:
            os.fchown(file.fileno(), -1, there.st_gid)
        except OSError:
            rights &= stat.S_IMODE(new.st_mode)
    with suppress(OSError):  # a file system without rights, such as exFAT
        os.fchmod(file.fileno(), rights)


@contextmanager
def temporary_file(folder: Path, start: str = "") -> Iterator[BinaryIO]:
    """A new file in the folder, gone when the block ends unless it has another name by then.

    Its name is nobody else's, and it is locked while the block runs: unlike a process's number that
    holds also where several machines or containers write into one folder. Where there are no locks
    `remove_stale_files` removes nothing.

    Raises: OSError.
    """
    while True:
        temporary = folder / f".{start}{uuid4().hex}{TEMPORARY_SUFFIX}"
        with temporary.open("xb") as file:
            with suppress(locks.LocksUnsupported):
                locks.acquire(file, wait=True)
            if not links.lexists(temporary):  # taken for left behind before the lock
                continue
            try:
                yield file
            finally:
                with suppress(OSError):
                    temporary.unlink()
            return


def remove_stale_files(folder: Path, start: str = "") -> None:
    """What killed processes have left of `temporary_file` is gone.

    Where the file system has no locks it stays: another process may be writing it.
    """
    for left in folder.glob(f".{escape(start)}{_RANDOM}{TEMPORARY_SUFFIX}"):
        with suppress(OSError, InputError, locks.LocksUnsupported):
            descriptor = links.open_file(left)
            try:
                if locks.acquire(descriptor):
                    left.unlink()
            finally:
                os.close(descriptor)


def rename_exclusive(source: Path, target: Path) -> None:
    """Give a file a name that nothing has yet: of several who try at once, one succeeds.

    By a hard link where the file system has them, else (exFAT, many network drives) by the one call
    of Linux for it. Where there is neither, two who rename at the same instant may both succeed.

    Raises: FileExistsError, and nothing is renamed; OSError.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # no hard links; if it is something else, what follows says so again
        pass
    else:
        source.unlink()
        return
    if _renameat2 is not None:
        names = os.fsencode(source), os.fsencode(target)
        if _renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE) == 0:
            return
        if (code := ctypes.get_errno()) not in _LACKS_CALL:
            raise OSError(code, os.strerror(code), str(target))  # FileExistsError for EEXIST
    if links.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    source.rename(target)


def sync(descriptor: int) -> None:
    """The content of a file, or the names in a folder, outlive a power cut.

    A file system that cannot sync one of them is synced with all others, which tells no failure.

    Raises: OSError when the disk could not take it.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _LACKS_CALL:
            raise
        os.sync()


def sync_folder(folder: Path) -> None:
    """The names in `folder` outlive a power cut. Raises: OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(folder: Path) -> None:
    """All that was written to the file system of `folder` outlives a power cut.

    One call is cheaper than an fsync for each of many small files, and unlike `os.sync` it waits
    for no other disk and reports a failed write; that one is for systems that lack it.

    Raises: OSError when the disk could not take it.
    """
    if _syncfs is None:
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if _syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            if code not in _LACKS_CALL:
                raise OSError(code, os.strerror(code), str(folder))
            os.sync()
    finally:
        os.close(descriptor)
