"""File writes that survive a kill and a power cut."""

import ctypes
import errno
import itertools
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from common import links, locks
from common.errors import InputError, WriteFailed

TEMPORARY_SUFFIX = ".tmp"

_RANDOM = "[0-9a-f]" * 32
_RUN, _numbers = secrets.token_hex(8), itertools.count()  # together as long as a UUID, and unique
_ATTEMPTS = 10  # to write a file that other processes remove

_libc = ctypes.CDLL(None, use_errno=True)
_syncfs = getattr(_libc, "syncfs", None)  # Linux only, and not in Python's os
_renameat2 = getattr(_libc, "renameat2", None)
_RENAME_NOREPLACE = 1
_AT_FDCWD = -100

# Error codes of a file system that does not support a call, such as old CIFS and some FUSE. EPERM
# comes from the system call filter of a container.
_UNSUPPORTED = frozenset(
    (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.ENOSYS, errno.EPERM)
)


@contextmanager
def atomic_write(target: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `target` when the block ends without an error.

    Otherwise `target` is untouched. Files that killed processes left beside it are removed first.
    A new file gets the permissions of the umask, a replaced one keeps its own: it may be shared.

    Raises:
        InputError: `target` is a link.
        WriteFailed: the file could not be written; no temporary file is left.
    """
    links.check_not_link(target)
    prefix = f"{target.name[:40]}."  # the whole name may be as long as a name can be
    remove_stale_files(target.parent, prefix)
    try:
        with temporary_file(target.parent, prefix) as file:
            _copy_permissions(file, target)
            yield file
            file.flush()
            # durable before it has the name: after a power cut the file is the old or the new one
            sync(file.fileno())
            Path(file.name).replace(target)
    except OSError as error:
        raise WriteFailed(f"{target} cannot be written: {error.strerror}") from error
    # only with the folder's entry durable does the replacement survive a power cut
    try:
        sync_folder(target.parent)
    except OSError as error:
        raise WriteFailed(
            f"{target} is replaced, but may not survive a power cut: {error.strerror}"
        ) from error


@contextmanager
def write_together(
    first: Path, others: Sequence[Path], *, outdated: Sequence[Path] = ()
) -> Iterator[list[BinaryIO]]:
    """Open temporary files that replace `first` and the `others` when the block ends.

    The others describe the first. They are removed before it is replaced, and appear after it: one
    that exists belongs to the first as it is, whenever the program is killed. `outdated` files are
    removed with them. If the block ends with an error, or a file cannot be written, all are as
    before.

    Raises:
        InputError: one of them is a link.
        WriteFailed: one could not be written; no temporary file is left.
    """
    targets = [first, *others]
    target = first
    try:
        with ExitStack() as stack:
            files = []
            for target in targets:
                links.check_not_link(target)
                prefix = f"{target.name[:40]}."
                remove_stale_files(target.parent, prefix)
                files.append(stack.enter_context(temporary_file(target.parent, prefix)))
                _copy_permissions(files[-1], target)
            target = first
            yield files
            for file in files:
                file.flush()
                sync(file.fileno())
            # nothing that may fail for lack of space is left to do
            for target in (*others, *outdated):
                target.unlink(missing_ok=True)
            for folder in {target.parent for target in others}:
                sync_folder(folder)
            for target, file in zip(targets, files, strict=True):
                Path(file.name).replace(target)
            if not _is_open_file(first, files[0]):  # another program was in between
                for target, file in zip(others, files[1:], strict=True):
                    if _is_open_file(target, file):
                        target.unlink()
            for folder in {target.parent for target in targets}:
                sync_folder(folder)
    except OSError as error:
        raise WriteFailed(f"{target} cannot be written: {error.strerror}") from error


def _is_open_file(path: Path, file: BinaryIO) -> bool:
    """Return whether a path leads to this open file."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _copy_permissions(file: BinaryIO, target: Path) -> None:
    """Copy the group and the permissions of `target` to the file, as far as the system allows.

    If the group cannot be copied, the permissions are at most those of the umask: they would
    otherwise be granted to a different group.
    """
    try:
        old = target.lstat()
    except OSError:
        return
    new = os.fstat(file.fileno())
    permissions = stat.S_IMODE(old.st_mode) & 0o777
    if old.st_gid != new.st_gid:
        try:
            os.fchown(file.fileno(), -1, old.st_gid)
        except OSError:
            permissions &= stat.S_IMODE(new.st_mode)
    with suppress(OSError):  # a file system without permissions, such as exFAT
        os.fchmod(file.fileno(), permissions)


@contextmanager
def temporary_file(folder: Path, prefix: str = "") -> Iterator[BinaryIO]:
    """Create a file in the folder, and delete it after the block unless it was renamed.

    The name is unique and the file is locked during the block. Unlike a process id this also works
    for several machines or containers that write to one folder. Where the file system has no
    locks, `remove_stale_files` removes nothing.

    Raises:
        OSError: the file cannot be created.
    """
    while True:
        temporary = folder / f".{prefix}{uuid4().hex}{TEMPORARY_SUFFIX}"
        with temporary.open("xb") as file:
            with suppress(locks.LocksUnsupported):
                locks.acquire(file, wait=True)
            if not links.lexists(temporary):  # removed as stale before it was locked
                continue
            try:
                yield file
            finally:
                with suppress(OSError):
                    temporary.unlink()
            return


def write_whole(target: Path, content: bytes) -> None:
    """Write a small file that has its name only once it is whole, or replaces the earlier one then.

    Unlike with `temporary_file` there is no lock, which would be half of the work: another process
    may take the file for a stale one and remove it, and then it is written again. It is durable
    after `sync_file_system`.

    Raises:
        OSError: it cannot be written; any earlier file is untouched.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        # a text and `os`, since paths would take as long as the rest
        temporary = f"{target.parent}/.{_RUN}{next(_numbers):016x}{TEMPORARY_SUFFIX}"
        try:
            _write_new(temporary, content)
            os.replace(temporary, target)  # noqa: PTH105
        except FileNotFoundError:  # removed, or the folder is gone
            if attempt == _ATTEMPTS:
                raise
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
            raise
        else:
            return


def _write_new(file: str, content: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)


def remove_stale_files(folder: Path, prefix: str = "") -> None:
    """Remove the temporary files of killed processes.

    Where the file system has no locks they stay: another process may be writing them.
    """
    for stale in _temporary_files(folder, prefix):
        with suppress(OSError, InputError, locks.LocksUnsupported), _lock(stale) as is_stale:
            if is_stale:
                stale.unlink()


def find_stale_files(folder: Path, prefix: str = "") -> list[Path]:
    """Return the temporary files that `remove_stale_files` would remove."""
    found: list[Path] = []
    for stale in _temporary_files(folder, prefix):
        with suppress(OSError, InputError, locks.LocksUnsupported), _lock(stale) as is_stale:
            if is_stale:
                found.append(stale)
    return found


def _temporary_files(folder: Path, prefix: str) -> Iterator[Path]:
    return folder.glob(f".{escape(prefix)}{_RANDOM}{TEMPORARY_SUFFIX}")


@contextmanager
def _lock(file: Path) -> Iterator[bool]:
    """Lock a temporary file during the block; yield False if a live process holds the lock."""
    descriptor = links.open_file(file)
    try:
        yield locks.acquire(descriptor)
    finally:
        os.close(descriptor)


def rename_exclusive(source: Path, target: Path) -> None:
    """Rename a file unless the new name exists; of several concurrent callers one succeeds.

    Uses a hard link where the file system has them, otherwise (exFAT, many network drives) the
    `renameat2` of Linux. With neither of them, two callers at the same instant may both succeed.

    Raises:
        FileExistsError: the name exists; nothing was renamed.
        OSError: the file cannot be renamed.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # no hard links; any other reason fails again below
        pass
    else:
        source.unlink()
        return
    if _renameat2 is not None:
        names = os.fsencode(source), os.fsencode(target)
        if _renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE) == 0:
            return
        if (code := ctypes.get_errno()) not in _UNSUPPORTED:
            raise OSError(code, os.strerror(code), str(target))  # FileExistsError for EEXIST
    if links.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    source.rename(target)


def sync(descriptor: int) -> None:
    """Flush the content of a file, or the names in a folder, to the disk.

    Where the file system does not support this, all file systems are synced instead, without a
    report of failures.

    Raises:
        OSError: the disk failed.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        os.sync()


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk.

    Raises:
        OSError: the disk failed.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(folder: Path) -> None:
    """Flush the file system of `folder` to the disk.

    This is cheaper than an fsync for each of many small files. Unlike `os.sync`, the fallback, it
    waits for no other disk and reports a failed write.

    Raises:
        OSError: the disk failed.
    """
    if _syncfs is None:
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if _syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            if code not in _UNSUPPORTED:
                raise OSError(code, os.strerror(code), str(folder))
            os.sync()
    finally:
        os.close(descriptor)
