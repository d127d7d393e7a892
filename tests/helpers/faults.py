"""Calls to the disk and the database, recorded in order, and a disk that fails.

`patch` installs the doubles: `monkeypatch.setattr` in a test; in another process plain `setattr`,
called by a `before_anything` script.
"""

import ctypes
import fcntl
import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EIO
from pathlib import Path

import path
from common import atomic_files


@dataclass(frozen=True, slots=True)
class Call:
    """One call; of a method of a database only the name.

    `path` is the file or folder that is synced, or the new name of one that is renamed; `content`
    is the content of that file afterwards.
    """

    name: str
    path: Path | None = None
    content: bytes | None = None


def calls_recorded(patch: Callable) -> list[Call]:
    """Return a list that gets each sync and rename of this process from now on."""
    calls: list[Call] = []

    def record(owner: object, name: str, to_call: Callable) -> None:
        real = getattr(owner, name)

        def called(*arguments, **options):
            call = to_call(*arguments, **options)
            result = real(*arguments, **options)
            calls.append(call)
            return result

        patch(owner, name, called)

    def sync_call(name: str) -> Callable:
        def to_call(descriptor: int) -> Call:
            file = Path(f"/proc/self/fd/{descriptor}").readlink()
            return Call(name, file, _content(file))

        return to_call

    def rename_call(name: str) -> Callable:
        def to_call(
            source: Path,
            target: Path,
            *,
            src_dir_fd: int | None = None,
            dst_dir_fd: int | None = None,
        ) -> Call:
            return Call(name, _resolve(target, dst_dir_fd), _content(_resolve(source, src_dir_fd)))

        return to_call

    record(os, "fsync", sync_call("fsync"))
    record(atomic_files, "_syncfs", sync_call("syncfs"))
    for name in ("rename", "replace"):
        record(os, name, rename_call(name))
    return calls


def _resolve(name: Path, folder: int | None) -> Path:
    return Path(name) if folder is None else Path(f"/proc/self/fd/{folder}").readlink() / name


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


class Recording:
    """An index or store whose calls are added to a list of calls."""

    def __init__(self, real: object, calls: list[Call]) -> None:
        self._real = real
        self._calls = calls
        self.name = real.name

    def __getattr__(self, name):
        method = getattr(self._real, name)
        if not callable(method):
            return method

        def called(*arguments, **options):
            self._calls.append(Call(name))
            return method(*arguments, **options)

        return called


def names_of(calls: list[Call], *wanted: str) -> list[str]:
    """Return the names of the wanted calls, in order; consecutive equal names count once."""
    names: list[str] = []
    for call in calls:
        if call.name in wanted and names[-1:] != [call.name]:
            names.append(call.name)
    return names


def failing_sync_of_file_systems(patch: Callable) -> None:
    """Make each `syncfs` fail with EIO from now on."""
    patch(atomic_files, "_syncfs", refusing(EIO))


def failing(patch: Callable, name: str, code: int, *, of: object = os) -> None:
    """Make the function `name` of a module raise OSError with that code from now on."""

    def refuse(*_arguments):
        raise OSError(code, os.strerror(code))

    patch(of, name, refuse)


def refusing(code: int) -> Callable[..., int]:
    """Return a C function that fails with that code."""

    def refuse(*_arguments: object) -> int:
        ctypes.set_errno(code)
        return -1

    return refuse


def lacking(patch: Callable, code: int) -> None:
    """Make the file system lack syncs of folders, `syncfs`, locks and links from now on."""
    sync = os.fsync

    def sync_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        sync(descriptor)

    failing(patch, "link", code)
    failing(patch, "flock", code, of=fcntl)
    patch(os, "fsync", sync_files)
    patch(atomic_files, "_syncfs", refusing(code))
    patch(atomic_files, "_renameat2", refusing(code))


@contextmanager
def files_up_to(size: int, *, pid: int = 0) -> Iterator[None]:
    """Limit the size of files while the block runs; a longer write is cut off.

    It applies to process `pid`, by default this one.
    """
    hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


def before_anything(monkeypatch, folder: Path, code: str) -> None:
    """Make Python processes run `code` first, if they are started from now on."""
    (folder / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(path.ROOT)]))
