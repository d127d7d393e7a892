"""A bounded queue of pictures between two processes, in shared memory.

Putting never waits: a full queue refuses. What was put outlives the process that put it, so that
the reader can empty the queue after the other side was killed. One process puts, one takes.

Layout: a table of counters, then the slots. For each item put, the number of its slot goes through
a pipe; when the putting process ends in whatever way, the pipe's end tells so. The slot that was
emptied last is filled next, so that a reader who keeps up touches little memory. The reader comes
by every few milliseconds instead of being woken, which would cost the putting side more than the
copy of a small picture.
"""

import mmap
import os
import struct
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

POLL_PERIOD_S = 0.01

_COUNTERS = struct.Struct("QQQQ")
_LENGTHS = struct.Struct("II")
_SLOT = struct.Struct("H")
_PIPE_BYTES = 65536


@dataclass(slots=True)
class Counters:
    """What the reading side tells the other, whole numbers all."""

    taken: int = 0
    written: int = 0
    erased: int = 0
    stopped: int = 0


class Item(NamedTuple):
    """What was put; both parts are valid until the item is released."""

    head: memoryview
    body: memoryview


@dataclass(frozen=True, slots=True)
class QueueHandle:
    """What a child process needs to open the reading side; its descriptors are inherited."""

    memory_fd: int
    pipe_fd: int
    slots: int
    slot_bytes: int


class FrameQueue:
    """The putting side. `read` turns false when the reader is found to be gone."""

    def __init__(self, *, slots: int, item_bytes: int) -> None:
        slot_bytes = _LENGTHS.size + item_bytes
        if slots * _SLOT.size > _PIPE_BYTES:
            raise ValueError(f"at most {_PIPE_BYTES // _SLOT.size} slots, got {slots}")
        memory_fd = _anonymous_memory(_COUNTERS.size + slots * slot_bytes)
        try:
            self._memory = mmap.mmap(memory_fd, 0)
            pipe_fd, self._pipe_fd = os.pipe()
        except BaseException:
            os.close(memory_fd)
            raise
        self.handle = QueueHandle(memory_fd, pipe_fd, slots, slot_bytes)
        self._free = list(range(slots))[::-1]
        self._filled: deque[int] = deque()
        self._taken = 0
        self.read = True

    def release_handle(self) -> None:
        """Only the child has the reading side from here on."""
        os.close(self.handle.memory_fd)
        os.close(self.handle.pipe_fd)

    @property
    def counters(self) -> Counters:
        """What the reading side said last."""
        return Counters(*_COUNTERS.unpack_from(self._memory))

    def put(self, head: bytes, body: bytes | memoryview) -> bool:
        """The item is in the queue; False when that is full or nobody reads it any more.

        Raises: ValueError when the item is larger than the queue was made for.
        """
        size = len(body) if isinstance(body, bytes) else body.nbytes
        if _LENGTHS.size + len(head) + size > self.handle.slot_bytes:
            raise ValueError(f"an item of {len(head) + size} bytes is too large for this queue")
        self._collect_free()
        if not self._free:
            return False
        slot = self._free[-1]
        at = _start_of(slot, self.handle)
        _LENGTHS.pack_into(self._memory, at, len(head), size)
        at += _LENGTHS.size
        self._memory[at : at + len(head)] = head
        at += len(head)
        self._memory[at : at + size] = body
        try:
            os.write(self._pipe_fd, _SLOT.pack(slot))
        except BrokenPipeError:
            self.read = False
            return False
        self._filled.append(self._free.pop())
        return True

    def _collect_free(self) -> None:
        """The slots that the reader has released since may be filled again."""
        taken = self.counters.taken
        for _ in range(taken - self._taken):
            self._free.append(self._filled.popleft())
        self._taken = taken

    def close(self) -> None:
        """The reader finds the end after the last item."""
        os.close(self._pipe_fd)


class FrameQueueReader:
    """The taking side; ends when the other side has closed or died and the queue is empty."""

    def __init__(self, handle: QueueHandle) -> None:
        self._memory = mmap.mmap(handle.memory_fd, 0)
        self._view = memoryview(self._memory)
        self._handle = handle
        self.counters = Counters()

    def batches(self) -> Iterator[list[Item]]:
        """All that waits in the queue, as often as something does; empty it by `release`."""
        os.set_blocking(self._handle.pipe_fd, False)
        while True:
            try:
                slots = os.read(self._handle.pipe_fd, _PIPE_BYTES)
            except BlockingIOError:
                time.sleep(POLL_PERIOD_S)
                continue
            if not slots:
                return
            yield [self._item(slot) for (slot,) in _SLOT.iter_unpack(slots)]

    def _item(self, slot: int) -> Item:
        at = _start_of(slot, self._handle)
        head_size, body_size = _LENGTHS.unpack_from(self._view, at)
        at += _LENGTHS.size
        body_at = at + head_size
        return Item(self._view[at:body_at], self._view[body_at : body_at + body_size])

    def release(self) -> None:
        """The oldest item is not needed any more; its slot may be filled again."""
        self.counters.taken += 1
        self.tell()

    def tell(self) -> None:
        """The putting side sees the counters as they are now."""
        now = self.counters
        packed = _COUNTERS.pack(now.taken, now.written, now.erased, now.stopped)
        self._memory[: len(packed)] = packed  # at once; `pack_into` would show zeros in between


def _start_of(slot: int, handle: QueueHandle) -> int:
    return _COUNTERS.size + slot * handle.slot_bytes


def _anonymous_memory(size: int) -> int:
    """A descriptor of shared memory that vanishes with the last process that holds it."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("frames")
    else:  # macOS
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
