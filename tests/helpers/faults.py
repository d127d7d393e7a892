"""What a program asks of the disk and of the database, in order, and a disk that refuses.

The doubles are put in place by `patch`, which is a test's `monkeypatch.setattr`. In a process that
the test does not run itself, a `before_anything` script puts them there with plain `setattr`.
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
    """One call; of a method of a database only the name is told.

    `path` is the file or folder that a sync reaches, or that gets a new name, and `content` what a
    file of that name holds from then on.
    """

    name: str
    path: Path | None = None
    content: bytes | None = None


def calls_recorded(patch: Callable) -> list[Call]:
    """All syncs and renamings of this process from now on, as they come."""
    calls: list[Call] = []

    def through(owner: object, name: str, recorded: Callable) -> None:
        real = getattr(owner, name)

        def called(*arguments, **options):
            told = recorded(*arguments, **options)
            result = real(*arguments, **options)
            calls.append(told)
            return result

        patch(owner, name, called)

    def synced(name: str) -> Callable:
        def recorded(descriptor: int) -> Call:
            file = Path(f"/proc/self/fd/{descriptor}").readlink()
            return Call(name, file, _content(file))

        return recorded

    def renamed(name: str) -> Callable:
        def recorded(
            source: Path,
            target: Path,
            *,
            src_dir_fd: int | None = None,
            dst_dir_fd: int | None = None,
        ) -> Call:
            return Call(name, _place(target, dst_dir_fd), _content(_place(source, src_dir_fd)))

        return recorded

    through(os, "fsync", synced("fsync"))
    through(atomic_files, "_syncfs", synced("syncfs"))
    for name in ("rename", "replace"):
        through(os, name, renamed(name))
    return calls


def _place(name: Path, folder: int | None) -> Path:
    return Path(name) if folder is None else Path(f"/proc/self/fd/{folder}").readlink() / name


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


class Recording:
    """An index or a store whose calls are recorded, in one list with all others."""

    def __init__(self, real: object, calls: list[Call]) -> None:
        self._real = real
        self._calls = calls
        self.name = real.name

    def __getattr__(self, name):
        method = getattr(self._real, name)

        def called(*arguments, **options):
            self._calls.append(Call(name))
            return method(*arguments, **options)

        return called


def names_of(calls: list[Call], *wanted: str) -> list[str]:
    """The names of those calls, in order; several in a row of one name count once."""
    names: list[str] = []
    for call in calls:
        if call.name in wanted and names[-1:] != [call.name]:
            names.append(call.name)
    return names


def failing_sync_of_file_systems(patch: Callable) -> None:
    """The disk takes nothing of what a `syncfs` asks for, and says so."""
    patch(atomic_files, "_syncfs", refusing(EIO))


def failing(patch: Callable, name: str, code: int, *, of: object = os) -> None:
    """From now on the function of that name raises OSError of that code; `of` its module."""

    def refuse(*_arguments):
        raise OSError(code, os.strerror(code))

    patch(of, name, refuse)


def refusing(code: int) -> Callable[..., int]:
    """A function of C that fails with that code."""

    def refuse(*_arguments: object) -> int:
        ctypes.set_errno(code)
        return -1

    return refuse


def lacking(patch: Callable, code: int) -> None:
    """From now on the file system syncs no folder and has neither `syncfs`, locks nor links."""
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
    """The disk takes no byte of a file beyond `size`: of a longer writing it takes the beginning.

    In this process, or in the one that is told, until the block ends.
    """
    hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


def before_anything(monkeypatch, folder: Path, code: str) -> None:
    """Python processes that are started from now on run `code` first."""
    (folder / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(path.ROOT)]))
