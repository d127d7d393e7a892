"""What a power cut leaves: the writes of a recording, logged, and replayed in part.

`logged` records what a process does to the files of one folder. `after_power_cut` returns what the
disk may hold after a power cut at some operation: everything that a completed sync covers; of the
rest, each change of a name or not, and contents that are complete, truncated, or zeros.
"""

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from unittest.mock import patch

from get_data.recording import merge, writer

SECTOR_BYTES = 512


@dataclass(frozen=True)
class Name:
    """A file that got the name `target`, or lost the name `source`; "" for none."""

    inode: int
    target: str
    source: str = ""

    @property
    def folder(self) -> str:
        """Folder whose sync makes this durable."""
        return str(Path(self.target or self.source).parent)


@dataclass(frozen=True)
class Write:
    """Bytes appended to a file."""

    inode: int
    data: bytes


@dataclass(frozen=True)
class Truncate:
    """A file cut to a size."""

    inode: int
    size: int


@dataclass(frozen=True)
class SyncedFile:
    """A sync of the content of a file."""

    inode: int


@dataclass(frozen=True)
class SyncedFolder:
    """A sync of the names in a folder."""

    path: str


@dataclass(frozen=True)
class SyncedAll:
    """A sync of everything before operation number `since`."""

    since: int


Operation = Name | Write | Truncate | SyncedFile | SyncedFolder | SyncedAll


@dataclass
class Log:
    """The operations on the files below `root`, in order."""

    root: Path
    operations: list[Operation] = field(default_factory=list)
    inodes: dict[str, int] = field(default_factory=dict)
    _opened: dict[int, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def add_existing(self) -> None:
        """Add the existing files, as durable."""
        for file in sorted(self.root.rglob("*")):
            if file.is_file():
                self._created(self._name(file), file.read_bytes())
        self.operations.append(SyncedAll(len(self.operations)))

    def first(self, count: int, root: Path) -> "Log":
        """Return a log of the first operations, to be continued in another folder."""
        log = Log(root, self.operations[:count], _numbers=self._numbers)
        log.inodes = _names(log.operations)
        return log

    def contents(self) -> dict[str, bytes]:
        """Return the contents of the files after all operations, without a power cut."""
        return {name: self._content(inode, self.operations) for name, inode in self.inodes.items()}

    # The operations of the process.

    def open(
        self,
        real: Callable[..., int],
        file: object,
        flags: int,
        *more: object,
        dir_fd: int | None = None,
    ) -> int:
        """Log `os.open`."""
        with self._lock:
            descriptor = real(file, flags, *more, dir_fd=dir_fd)
            if (name := self._name(file, dir_fd)) and not flags & os.O_DIRECTORY:
                self._opened[descriptor] = name
                if flags & os.O_CREAT and name not in self.inodes:
                    self._created(name, b"")
                elif flags & os.O_TRUNC:
                    self.operations.append(Truncate(self.inodes[name], 0))
            return descriptor

    def close(self, real: Callable[..., None], descriptor: int) -> None:
        """Log `os.close`."""
        with self._lock:
            self._opened.pop(descriptor, None)
            real(descriptor)

    def write(self, real: Callable[..., int], descriptor: int, data: memoryview) -> int:
        """Log `os.write`."""
        with self._lock:
            written = real(descriptor, data)
            if name := self._opened.get(descriptor):
                self.operations.append(Write(self.inodes[name], bytes(data[:written])))
            return written

    def ftruncate(self, real: Callable[..., None], descriptor: int, size: int) -> None:
        """Log `os.ftruncate`."""
        with self._lock:
            real(descriptor, size)
            if name := self._opened.get(descriptor):
                self.operations.append(Truncate(self.inodes[name], size))

    def fsync(self, real: Callable[..., None], descriptor: int) -> None:
        """Log `os.fsync`, without syncing the disk of the test."""
        with self._lock:
            file = Path(f"/proc/self/fd/{descriptor}").readlink()
            if (name := self._name(file)) is None:
                return
            if file.is_dir():
                self.operations.append(SyncedFolder(name))
                return
            self._add_changes(name)
            self.operations.append(SyncedFile(self.inodes[name]))

    def rename(
        self,
        real: Callable[..., None],
        source: object,
        target: object,
        *,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
    ) -> None:
        """Log `os.rename` and `os.replace`."""
        with self._lock:
            old, new = self._name(source, src_dir_fd), self._name(target, dst_dir_fd)
            if old is not None and new is not None:
                self._add_changes(old)
                self.inodes[new] = self.inodes.pop(old)
                self.operations.append(Name(self.inodes[new], new, old))
            real(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def unlink(self, real: Callable[..., None], file: object, *, dir_fd: int | None = None) -> None:
        """Log `os.unlink`."""
        with self._lock:
            real(file, dir_fd=dir_fd)
            name = self._name(file, dir_fd)
            if name is not None and name in self.inodes:
                self.operations.append(Name(self.inodes.pop(name), "", name))

    def sync_file_system(self, _folder: Path) -> None:
        """Log `sync_file_system`, which takes a while; other threads write meanwhile."""
        since = len(self.operations)
        threading.Event().wait(0.005)
        with self._lock:
            self.operations.append(SyncedAll(since))

    def _name(self, file: object, folder: int | None = None) -> str | None:
        """Return the name below the root; a path may be relative to an open folder."""
        file = Path(os.fspath(file))  # type: ignore[call-overload]
        if folder is not None:
            file = Path(f"/proc/self/fd/{folder}").readlink() / file
        return str(file.relative_to(self.root)) if file.is_relative_to(self.root) else None

    def _add_changes(self, name: str) -> None:
        """Log the changes of a file that was written by other means than `os.write`."""
        content = (self.root / name).read_bytes()
        if name not in self.inodes:
            self._created(name, content)
        elif self._content(self.inodes[name], self.operations) != content:
            self.operations += [Truncate(self.inodes[name], 0), Write(self.inodes[name], content)]

    def _created(self, name: str, content: bytes) -> None:
        self.inodes[name] = next(self._numbers)
        self.operations.append(Name(self.inodes[name], name))
        if content:
            self.operations.append(Write(self.inodes[name], content))

    # What a power cut leaves.

    def durable(self, cut: int) -> set[int]:
        """Return the numbers of the operations that survive a power cut at operation `cut`."""
        durable: set[int] = set()
        for number, barrier in enumerate(self.operations[:cut]):
            match barrier:
                case SyncedAll(since):
                    durable |= set(range(since))
                case SyncedFile(inode):
                    durable |= {
                        before
                        for before, operation in enumerate(self.operations[:number])
                        if isinstance(operation, Write | Truncate) and operation.inode == inode
                    }
                case SyncedFolder(path):
                    durable |= {
                        before
                        for before, operation in enumerate(self.operations[:number])
                        if isinstance(operation, Name) and operation.folder == path
                    }
        return durable

    def after_power_cut(self, cut: int, random: Random) -> dict[str, bytes]:
        """Return what the files may hold after a power cut at operation `cut`."""
        durable = self.durable(cut)
        kept = self._kept_names(cut, durable, random)
        safe = [self.operations[number] for number in range(cut) if number in durable]
        return {
            name: _torn(
                self._content(inode, safe), self._content(inode, self.operations[:cut]), random
            )
            for name, inode in _names(kept).items()
        }

    def _kept_names(self, cut: int, durable: set[int], random: Random) -> list[Operation]:
        """Return the changes of names that reached the disk: the first ones, as on ext4, or any.

        Two changes of one file, or of one name, are never reordered.
        """
        changes = [
            (number, operation)
            for number, operation in enumerate(self.operations[:cut])
            if isinstance(operation, Name)
        ]
        if random.random() < 0.5:
            first = max((number for number, _ in changes if number in durable), default=0)
            last = random.randint(first, cut)
            return [change for number, change in changes if number <= last]
        share = random.choice([0.0, 0.2, 0.5, 0.8, 1.0])
        missing: set[int | str] = set()
        kept: list[Operation] = []
        for number, change in changes:
            touched = {change.inode, change.source, change.target} - {""}
            if number in durable or (not touched & missing and random.random() < share):
                kept.append(change)
            else:
                missing |= touched
        return kept

    def _content(self, inode: int, operations: list[Operation]) -> bytes:
        content = bytearray()
        for operation in operations:
            match operation:
                case Write(number, data) if number == inode:
                    content += data
                case Truncate(number, size) if number == inode:
                    del content[size:]
        return bytes(content)


def _names(operations: list[Operation]) -> dict[str, int]:
    """Return the inode of each name."""
    names: dict[str, int] = {}
    for operation in operations:
        if isinstance(operation, Name):
            if operation.source:
                names.pop(operation.source, None)
            if operation.target:
                names[operation.target] = operation.inode
    return names


def _torn(safe: bytes, whole: bytes, random: Random) -> bytes:
    """Return what a file may hold of which only `safe` was synced."""
    if not whole.startswith(safe):
        safe = b""
    tail = len(whole) - len(safe)
    match random.choice(["whole", "none", "cut", "zeros", "zero tail", "sectors"]):
        case "none":
            return safe
        case "cut":
            return whole[: len(safe) + random.randint(0, tail)]
        case "zeros":
            return safe + bytes(tail)
        case "zero tail":
            length = len(safe) + random.randint(0, tail)
            return whole[:length] + bytes(len(whole) - length)
        case "sectors":
            torn = bytearray(whole)
            for start in range(len(safe), len(whole), SECTOR_BYTES):
                if random.random() < 0.5:
                    length = len(torn[start : start + SECTOR_BYTES])
                    torn[start : start + SECTOR_BYTES] = bytes(length)
            return bytes(torn)
    return whole


@contextmanager
def logged(log: Log) -> Iterator[None]:
    """Log what this process does to the files below `log.root`; syncs take no time."""

    def patched(method: Callable[..., object], name: str) -> object:
        real = getattr(os, name)
        return patch.object(os, name, partial(method, real))

    patches = [
        patched(log.open, "open"),
        patched(log.close, "close"),
        patched(log.write, "write"),
        patched(log.ftruncate, "ftruncate"),
        patched(log.fsync, "fsync"),
        patched(log.rename, "rename"),
        patched(log.rename, "replace"),
        patched(log.unlink, "unlink"),
        patch.object(writer, "sync_file_system", log.sync_file_system),
        patch.object(merge, "sync_file_system", log.sync_file_system),
    ]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in reversed(patches):
            each.stop()
