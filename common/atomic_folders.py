"""Folders that appear under their name whole or not at all, whatever kills the process."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from uuid import uuid4

from common import links, locks
from common.atomic_files import (
    TEMPORARY_SUFFIX,
    rename_exclusive,
    sync_file_system,
    sync_folder,
)
from common.errors import WriteFailed

_RANDOM = "[0-9a-f]" * 32
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a new folder that gets the name `target` when the block ends without an error.

    Otherwise nothing of it is left. Folders that killed processes left beside it are removed first.

    Raises:
        WriteFailed: the folder could not be written, or the name exists by now.
    """
    prefix = f"{target.name[:40]}."  # the whole name may be as long as a name can be
    try:
        remove_stale_folders(target.parent, prefix)
        with _temporary_folder(target.parent, prefix) as temporary:
            yield temporary
            # durable before it has the name: after a power cut the folder is whole or absent
            sync_file_system(temporary)
            rename_exclusive(temporary, target)
    except OSError as error:
        raise WriteFailed(f"{target} cannot be written: {error.strerror or error}") from error
    try:
        sync_folder(target.parent)
    except OSError as error:
        raise WriteFailed(
            f"{target} is written, but may not survive a power cut: {error.strerror}"
        ) from error


@contextmanager
def _temporary_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Create a folder, locked during the block, and remove it afterwards unless it was renamed.

    Raises:
        OSError: it cannot be created.
    """
    temporary, descriptor = _create_locked(parent, prefix)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(descriptor)


def _create_locked(parent: Path, prefix: str) -> tuple[Path, int]:
    """Return a new folder and the descriptor that holds its lock.

    Raises:
        OSError: it cannot be created.
    """
    while True:
        temporary = parent / f".{prefix}{uuid4().hex}{TEMPORARY_SUFFIX}"
        temporary.mkdir()
        try:
            descriptor = os.open(temporary, _FOLDER)
        except FileNotFoundError:  # removed as stale before it was locked
            continue
        with suppress(locks.LocksUnsupported):
            locks.acquire(descriptor, wait=True)
        if links.lexists(temporary):
            return temporary, descriptor
        os.close(descriptor)


def remove_stale_folders(parent: Path, prefix: str) -> None:
    """Remove the temporary folders of killed processes.

    Where the file system has no locks they stay: another process may be writing them.
    """
    for stale in parent.glob(f".{escape(prefix)}{_RANDOM}{TEMPORARY_SUFFIX}"):
        with suppress(OSError, locks.LocksUnsupported):
            descriptor = os.open(stale, _FOLDER)
            try:
                if locks.acquire(descriptor):
                    shutil.rmtree(stale)
            finally:
                os.close(descriptor)
