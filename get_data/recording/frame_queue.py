"""A bounded queue of pictures between two processes, in shared memory.

One process puts, one takes. Putting never blocks: a full queue refuses. Items outlive the process
that put them, so the reader can drain the queue after the other side was killed.

Layout: a table of counters, then the slots. For each item, the number of its slot goes through a
pipe, whose end of file means that the other process has exited. The slot emptied last is
filled next, so a reader that keeps up touches little memory. The reader polls every few
milliseconds: waking it would cost the putting side more than copying a small picture.

The rules R1 to R4 are listed in docs/architecture.md, "Ordering rules".
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
    """Progress of the reading side, published to the writing side; `stopped` is a code."""

    taken: int = 0
    written: int = 0
    erased: int = 0
    stopped: int = 0


class Item(NamedTuple):
    """One item of the queue; both views are valid until the item is released."""

    head: memoryview
    body: memoryview


@dataclass(frozen=True, slots=True)
class QueueHandle:
    """Handle with which a child process opens the reading side; it inherits the descriptors."""

    memory_fd: int
    pipe_fd: int
    slots: int
    slot_bytes: int


class FrameQueue:
    """Writing side. `has_reader` becomes false once a put finds that the reader has exited."""

    def __init__(self, *, slots: int, item_bytes: int) -> None:
        slot_bytes = _LENGTHS.size + item_bytes
        if slots * _SLOT.size > _PIPE_BYTES:
            raise ValueError(f"at most {_PIPE_BYTES // _SLOT.size} slots, got {slots}")
        memory_fd = _create_shared_memory(_COUNTERS.size + slots * slot_bytes)
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
        self.has_reader = True

    def release_handle(self) -> None:
        """Close this process's copies of the handle, once the child has inherited it."""
        # with the reading end open here too, the reader's death would not break the pipe
        os.close(self.handle.memory_fd)
        os.close(self.handle.pipe_fd)

    @property
    def counters(self) -> Counters:
        """The counters as the reading side last published them."""
        return Counters(*_COUNTERS.unpack_from(self._memory))

    def put(self, head: bytes, body: bytes | memoryview) -> bool:
        """Put an item; return False when the queue is full or the reader has exited.

        Raises:
            ValueError: the item is larger than a slot.
        """
        size = len(body) if isinstance(body, bytes) else body.nbytes
        if _LENGTHS.size + len(head) + size > self.handle.slot_bytes:
            raise ValueError(f"an item of {len(head) + size} bytes is too large for this queue")
        self._reclaim_slots()
        if not self._free:
            return False
        slot = self._free[-1]
        # R1: fill the slot before its number goes through the pipe, so that a process killed
        # in between has put nothing rather than half an item
        start = _slot_start(slot, self.handle)
        _LENGTHS.pack_into(self._memory, start, len(head), size)
        start += _LENGTHS.size
        self._memory[start : start + len(head)] = head
        start += len(head)
        self._memory[start : start + size] = body
        try:
            os.write(self._pipe_fd, _SLOT.pack(slot))
        except BrokenPipeError:
            self.has_reader = False
            return False
        self._filled.append(self._free.pop())
        return True

    def _reclaim_slots(self) -> None:
        # R2: only slots that the reader has released are filled again; it releases in order
        taken = self.counters.taken
        for _ in range(taken - self._taken):
            self._free.append(self._filled.popleft())
        self._taken = taken

    def close(self) -> None:
        """End the queue after its last item."""
        os.close(self._pipe_fd)


class FrameQueueReader:
    """Reading side, in the child process."""

    def __init__(self, handle: QueueHandle) -> None:
        self._memory = mmap.mmap(handle.memory_fd, 0)
        self._view = memoryview(self._memory)
        self._handle = handle
        self.counters = Counters()

    def batches(self) -> Iterator[list[Item]]:
        """Yield everything that is waiting, whenever something is.

        The caller releases each item. Ends when the other side has closed the queue or died, and
        the queue is empty.
        """
        os.set_blocking(self._handle.pipe_fd, False)
        while True:
            try:
                slots = os.read(self._handle.pipe_fd, _PIPE_BYTES)
            except BlockingIOError:
                time.sleep(POLL_PERIOD_S)
                continue
            # R3: the end of file comes after the last slot number, so the queue of a killed
            # drive is drained before this side ends
            if not slots:
                return
            yield [self._item(slot) for (slot,) in _SLOT.iter_unpack(slots)]

    def _item(self, slot: int) -> Item:
        start = _slot_start(slot, self._handle)
        head_size, body_size = _LENGTHS.unpack_from(self._view, start)
        start += _LENGTHS.size
        body_start = start + head_size
        return Item(self._view[start:body_start], self._view[body_start : body_start + body_size])

    def release(self) -> None:
        """Give the slot of the oldest item back."""
        self.counters.taken += 1
        self.publish_counters()

    def publish_counters(self) -> None:
        """Publish the counters to the writing side."""
        counters = self.counters  # `astuple` would copy each number, for each picture
        packed = _COUNTERS.pack(counters.taken, counters.written, counters.erased, counters.stopped)
        # R4: one copy; `pack_into` writes zeros first, which the other side could read
        self._memory[: len(packed)] = packed


def _slot_start(slot: int, handle: QueueHandle) -> int:
    return _COUNTERS.size + slot * handle.slot_bytes


def _create_shared_memory(size: int) -> int:
    """Return a descriptor of memory that is freed with the last process that holds it."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("frames")
    else:  # macOS
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
