"""What a power cut leaves: the writes of a recording, logged, and replayed in part.

`logging` notes what a process does to the files of one folder. `after_power_cut` then tells what
the disk may hold when the power goes at some operation: everything that a completed sync covers is
there; of the rest each change of a name is there or not, and contents are whole, cut, or zeros.
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
    """A name now leads to a file, and perhaps another one does so no more; "" for none."""

    inode: int
    target: str
    source: str = ""

    @property
    def folder(self) -> str:
        """The folder whose sync makes this durable."""
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
    """The content of a file is durable."""

    inode: int


@dataclass(frozen=True)
class SyncedFolder:
    """The names in a folder are durable."""

    path: str


@dataclass(frozen=True)
class SyncedAll:
    """All is durable that was done before the operation of number `since`."""

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

    def take_in(self) -> None:
        """The files that are there count as durable."""
        for file in sorted(self.root.rglob("*")):
            if file.is_file():
                self._created(self._name(file), file.read_bytes())
        self.operations.append(SyncedAll(len(self.operations)))

    def up_to(self, count: int, root: Path) -> "Log":
        """The log as it was after so many operations, to be continued in another folder."""
        log = Log(root, self.operations[:count], _numbers=self._numbers)
        log.inodes = _names(log.operations)
        return log

    def contents(self) -> dict[str, bytes]:
        """What the files hold after all operations, as everybody but a power cut sees them."""
        return {name: self._content(inode, self.operations) for name, inode in self.inodes.items()}

    # The operations, as the process asks for them.

    def open(
        self,
        real: Callable[..., int],
        file: object,
        flags: int,
        *more: object,
        dir_fd: int | None = None,
    ) -> int:
        """os.open"""
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
        """os.close"""
        with self._lock:
            self._opened.pop(descriptor, None)
            real(descriptor)

    def write(self, real: Callable[..., int], descriptor: int, data: memoryview) -> int:
        """os.write"""
        with self._lock:
            written = real(descriptor, data)
            if name := self._opened.get(descriptor):
                self.operations.append(Write(self.inodes[name], bytes(data[:written])))
            return written

    def ftruncate(self, real: Callable[..., None], descriptor: int, size: int) -> None:
        """os.ftruncate"""
        with self._lock:
            real(descriptor, size)
            if name := self._opened.get(descriptor):
                self.operations.append(Truncate(self.inodes[name], size))

    def fsync(self, real: Callable[..., None], descriptor: int) -> None:
        """os.fsync; the disk of the test need not do it"""
        with self._lock:
            file = Path(f"/proc/self/fd/{descriptor}").readlink()
            if (name := self._name(file)) is None:
                return
            if file.is_dir():
                self.operations.append(SyncedFolder(name))
                return
            self._know(name)
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
        """os.rename and os.replace"""
        with self._lock:
            old, new = self._name(source, src_dir_fd), self._name(target, dst_dir_fd)
            if old is not None and new is not None:
                self._know(old)
                self.inodes[new] = self.inodes.pop(old)
                self.operations.append(Name(self.inodes[new], new, old))
            real(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def unlink(self, real: Callable[..., None], file: object, *, dir_fd: int | None = None) -> None:
        """os.unlink"""
        with self._lock:
            real(file, dir_fd=dir_fd)
            name = self._name(file, dir_fd)
            if name is not None and name in self.inodes:
                self.operations.append(Name(self.inodes.pop(name), "", name))

    def sync_file_system(self, _folder: Path) -> None:
        """durable.sync_file_system, which takes a while; others write meanwhile"""
        since = len(self.operations)
        threading.Event().wait(0.005)
        with self._lock:
            self.operations.append(SyncedAll(since))

    def _name(self, file: object, folder: int | None = None) -> str | None:
        """The name below the root, of a path that counts from an open folder, if one is given."""
        file = Path(os.fspath(file))  # type: ignore[call-overload]
        if folder is not None:
            file = Path(f"/proc/self/fd/{folder}").readlink() / file
        return str(file.relative_to(self.root)) if file.is_relative_to(self.root) else None

    def _know(self, name: str) -> None:
        """A file that was written by other means than os.write is taken as it is now."""
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

    # What is left of them.

    def durable(self, cut: int) -> set[int]:
        """The numbers of the operations that outlive a power cut at operation `cut`."""
        durable: set[int] = set()
        for number, barrier in enumerate(self.operations[:cut]):
            match barrier:
                case SyncedAll(since):
                    durable |= set(range(since))
                case SyncedFile(inode):
                    durable |= {
                        before
                        for before, one in enumerate(self.operations[:number])
                        if isinstance(one, Write | Truncate) and one.inode == inode
                    }
                case SyncedFolder(path):
                    durable |= {
                        before
                        for before, one in enumerate(self.operations[:number])
                        if isinstance(one, Name) and one.folder == path
                    }
        return durable

    def after_power_cut(self, cut: int, random: Random) -> dict[str, bytes]:
        """What the files may hold when the power goes at operation `cut`."""
        durable = self.durable(cut)
        kept = self._kept_names(cut, durable, random)
        safe = [one for number, one in enumerate(self.operations[:cut]) if number in durable]
        return {
            name: _torn(
                self._content(inode, safe), self._content(inode, self.operations[:cut]), random
            )
            for name, inode in _names(kept).items()
        }

    def _kept_names(self, cut: int, durable: set[int], random: Random) -> list[Operation]:
        """The changes of names that the disk has: in order as ext4 does it, or any of them.

        Two changes of one file, or of one name, are never in the wrong order.
        """
        changes = [
            (number, one)
            for number, one in enumerate(self.operations[:cut])
            if isinstance(one, Name)
        ]
        if random.random() < 0.5:
            first = max((number for number, _ in changes if number in durable), default=0)
            last = random.randint(first, cut)
            return [one for number, one in changes if number <= last]
        share = random.choice([0.0, 0.2, 0.5, 0.8, 1.0])
        missing: set[int | str] = set()
        kept: list[Operation] = []
        for number, one in changes:
            touched = {one.inode, one.source, one.target} - {""}
            if number in durable or (not touched & missing and random.random() < share):
                kept.append(one)
            else:
                missing |= touched
        return kept

    def _content(self, inode: int, operations: list[Operation]) -> bytes:
        content = bytearray()
        for one in operations:
            match one:
                case Write(number, data) if number == inode:
                    content += data
                case Truncate(number, size) if number == inode:
                    del content[size:]
        return bytes(content)


def _names(operations: list[Operation]) -> dict[str, int]:
    """Which file each name leads to."""
    names: dict[str, int] = {}
    for one in operations:
        if isinstance(one, Name):
            if one.source:
                names.pop(one.source, None)
            if one.target:
                names[one.target] = one.inode
    return names


def _torn(safe: bytes, whole: bytes, random: Random) -> bytes:
    """What a file may hold of which only `safe` was synced."""
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
def logging(log: Log) -> Iterator[None]:
    """What this process does to the files below `log.root` is logged; syncs cost no time."""

    def through(method: Callable[..., object], name: str) -> object:
        real = getattr(os, name)
        return patch.object(os, name, partial(method, real))

    patches = [
        through(log.open, "open"),
        through(log.close, "close"),
        through(log.write, "write"),
        through(log.ftruncate, "ftruncate"),
        through(log.fsync, "fsync"),
        through(log.rename, "rename"),
        through(log.rename, "replace"),
        through(log.unlink, "unlink"),
        patch.object(writer, "sync_file_system", log.sync_file_system),
        patch.object(merge, "sync_file_system", log.sync_file_system),
    ]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in reversed(patches):
            one.stop()
