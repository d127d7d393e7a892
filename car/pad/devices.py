"""Pads as Linux has them: what /sys tells of each, and what its node in /dev/input says.

A pad is a device with the button A and a left stick, whatever it is plugged into: one that came by
Bluetooth has no link in /dev/input/by-id. Source: linux/input.h and linux/input-event-codes.h.
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

BLUETOOTH = 0x05  # what id/bustype holds

EVIOCGABS = 0x80184540  # plus the axis: asks for its value and range
EVIOCGKEY = 0x80604518  # asks which buttons are down

_RANGE = struct.Struct("6i")  # value, lowest, highest, and three that we have no use for
_KEY_BYTES = 96
_WORD_BITS = 8 * struct.calcsize("l")  # of a bitmap in /sys
_FEWEST_KEYS = {BUTTONS["BTN_SOUTH"]}
_FEWEST_AXES = {AXES["ABS_X"], AXES["ABS_Y"]}


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the devices are."""

    sys_input: Path = Path("/sys/class/input")
    dev_input: Path = Path("/dev/input")


@dataclass(frozen=True, slots=True)
class Device:
    """A pad that is plugged in; `axes` and `keys` are the numbers of what it has."""

    number: int
    name: str
    bus: int
    driver: str
    axes: frozenset[int]
    keys: frozenset[int]


@dataclass(frozen=True, slots=True)
class Range:
    """Where an axis is, and how far it goes."""

    value: int
    lowest: int
    highest: int


def pads(folders: Folders) -> Iterator[Device]:
    """The pads that are plugged in, in the order of their event numbers."""
    names = (path.name.removeprefix("event") for path in folders.sys_input.glob("event*"))
    for number in sorted(int(name) for name in names if name.isdecimal()):
        with suppress(OSError, ValueError):  # unplugged while we look
            if device := _pad(folders.sys_input / f"event{number}" / "device", number):
                yield device


def _pad(folder: Path, number: int) -> Device | None:
    """The device if it is a pad. Raises: OSError, ValueError when it is gone."""
    keys = _bits(folder / "capabilities/key")
    if not keys >= _FEWEST_KEYS:
        return None
    axes = _bits(folder / "capabilities/abs")
    if not axes >= _FEWEST_AXES:
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


def _bits(file: Path) -> frozenset[int]:
    """The numbers of the bits that are set in a bitmap, whose words have no leading zeros."""
    words = [int(word, 16) for word in reversed(file.read_text().split())]
    return frozenset(
        place * _WORD_BITS + bit
        for place, word in enumerate(words)
        for bit in range(word.bit_length())
        if word >> bit & 1
    )


class Node:
    """The open node of a pad; stands where `inputs` has a file, and waits for nothing.

    A pad that is gone is OSError ENODEV, also where the node is a FIFO that nobody writes to.
    """

    def __init__(self, file: Path, event_bytes: int) -> None:
        """Raises: OSError."""
        self._file = file
        self._event_bytes = event_bytes
        self._unread = b""
        self._descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._identity = _identity(os.fstat(self._descriptor))

    @property
    def waiting(self) -> int:
        """How many events can be read."""
        return len(self._unread) // self._event_bytes

    def fill(self, at_most: int) -> None:
        """What the pad has said since can be read, up to that many events.

        Raises: OSError when the pad is gone.
        """
        room = at_most * self._event_bytes - len(self._unread)
        if room <= 0:
            return
        with suppress(BlockingIOError):
            told = os.read(self._descriptor, room)
            if not told:
                raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
            self._unread += told

    def read(self, size: int) -> bytes:
        """The next bytes. Raises: BlockingIOError when there are fewer."""
        if len(self._unread) < size:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        told, self._unread = self._unread[:size], self._unread[size:]
        return told

    def check(self) -> None:
        """Raises: OSError when the node is no more, or is another device's by now."""
        if _identity(self._file.stat()) != self._identity:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    def range_of(self, axis: int) -> Range | None:
        """Where the axis is and how far it goes, where the device says so."""
        try:
            answer = fcntl.ioctl(self._descriptor, EVIOCGABS + axis, bytes(_RANGE.size))
        except OSError:
            return None
        value, lowest, highest, *_ = _RANGE.unpack(answer)
        return Range(value, lowest, highest) if lowest < highest else None

    def keys_down(self) -> frozenset[int]:
        """The buttons that are down, none where the device does not say."""
        try:
            answer = fcntl.ioctl(self._descriptor, EVIOCGKEY, bytes(_KEY_BYTES))
        except OSError:
            return frozenset()
        down = int.from_bytes(answer, "little")
        return frozenset(key for key in range(8 * _KEY_BYTES) if down >> key & 1)

    def close(self) -> None:
        """The descriptor is free again. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_dev, status.st_ino, status.st_rdev
