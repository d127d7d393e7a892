"""Pads as Linux input devices: their description in /sys and their event node in /dev/input.

A pad is any device with BTN_SOUTH (A on an Xbox pad) and a left stick. Links in /dev/input/by-id
do not help, as Bluetooth pads have none.

Source: linux/input.h and linux/input-event-codes.h.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from car.pad.pad_map import AXES, BUTTONS

BLUETOOTH = 0x05  # in id/bustype

EVIOCGABS = 0x80184540  # plus the axis: reads its value and range
EVIOCGKEY = 0x80604518  # reads which buttons are down

_ABS_INFO = struct.Struct("6i")  # value, minimum, maximum; fuzz, flat and resolution are unused
_KEY_BYTES = 96
_WORD_BITS = 8 * struct.calcsize("l")  # of a bitmap in /sys
_REQUIRED_KEYS = {BUTTONS["BTN_SOUTH"]}
_REQUIRED_AXES = {AXES["ABS_X"], AXES["ABS_Y"]}


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders of the input devices."""

    sys_input: Path = Path("/sys/class/input")
    dev_input: Path = Path("/dev/input")


@dataclass(frozen=True, slots=True)
class Device:
    """Connected pad; `axes` and `keys` are event codes."""

    number: int
    name: str
    bus: int
    driver: str
    axes: frozenset[int]
    keys: frozenset[int]


@dataclass(frozen=True, slots=True)
class AxisInfo:
    """Value and range of an axis."""

    value: int
    minimum: int
    maximum: int


def find_pads(folders: Folders) -> Iterator[Device]:
    """Yield the connected pads in the order of their event numbers."""
    names = (path.name.removeprefix("event") for path in folders.sys_input.glob("event*"))
    for number in sorted(int(name) for name in names if name.isdecimal()):
        with suppress(OSError, ValueError):  # unplugged meanwhile
            if device := _read_device(folders.sys_input / f"event{number}" / "device", number):
                yield device


def _read_device(folder: Path, number: int) -> Device | None:
    """Return the device if it is a pad. Raises OSError or ValueError when it was unplugged."""
    keys = _read_bitmap(folder / "capabilities/key")
    if not keys >= _REQUIRED_KEYS:
        return None
    axes = _read_bitmap(folder / "capabilities/abs")
    if not axes >= _REQUIRED_AXES:
        return None
    name = (folder / "name").read_text(errors="replace").strip()
    return Device(
        number=number,
        name="".join(sign if sign.isprintable() else "?" for sign in name) or "a pad",
        bus=int((folder / "id/bustype").read_text(), 16),
        driver=(folder / "device/driver").resolve().name,
        axes=axes,
        keys=keys,
    )


def _read_bitmap(file: Path) -> frozenset[int]:
    """Return the numbers of the set bits; the file has the highest word first."""
    words = [int(word, 16) for word in reversed(file.read_text().split())]
    return frozenset(
        position * _WORD_BITS + bit
        for position, word in enumerate(words)
        for bit in range(word.bit_length())
        if word >> bit & 1
    )


class Node:
    """Open event node of a pad: a non-blocking stand-in for the file that `inputs` reads.

    An unplugged pad is OSError ENODEV, also where the node is a FIFO without a writer.
    """

    def __init__(self, file: Path, event_bytes: int) -> None:
        """Open the node.

        Raises:
            OSError: it cannot be opened.
        """
        self._file = file
        self._event_bytes = event_bytes
        self._unread = b""
        self._descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._identity = _identity(os.fstat(self._descriptor))

    @property
    def pending(self) -> int:
        """Number of events that can be read."""
        return len(self._unread) // self._event_bytes

    def fill(self, max_events: int) -> None:
        """Fetch new events from the kernel, so that up to `max_events` are pending.

        Raises:
            OSError: the pad was unplugged.
        """
        room = max_events * self._event_bytes - len(self._unread)
        if room <= 0:
            return
        with suppress(BlockingIOError):
            events = os.read(self._descriptor, room)
            if not events:
                raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
            self._unread += events

    def read(self, size: int) -> bytes:
        """Return the next bytes.

        Raises:
            BlockingIOError: fewer are pending.
        """
        if len(self._unread) < size:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        events, self._unread = self._unread[:size], self._unread[size:]
        return events

    def check(self) -> None:
        """Check that the node still belongs to the pad.

        Raises:
            OSError: the node has vanished, or belongs to another device by now.
        """
        if _identity(self._file.stat()) != self._identity:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    def read_axis(self, axis: int) -> AxisInfo | None:
        """Return value and range of an axis; None when the device does not report them."""
        try:
            answer = fcntl.ioctl(self._descriptor, EVIOCGABS + axis, bytes(_ABS_INFO.size))
        except OSError:
            return None
        value, minimum, maximum, *_ = _ABS_INFO.unpack(answer)
        return AxisInfo(value, minimum, maximum) if minimum < maximum else None

    def read_keys_down(self) -> frozenset[int]:
        """Return the buttons that are down; none when the device does not report them."""
        try:
            answer = fcntl.ioctl(self._descriptor, EVIOCGKEY, bytes(_KEY_BYTES))
        except OSError:
            return frozenset()
        down = int.from_bytes(answer, "little")
        return frozenset(key for key in range(8 * _KEY_BYTES) if down >> key & 1)

    def close(self) -> None:
        """Close the node. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_dev, status.st_ino, status.st_rdev
