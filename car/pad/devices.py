"""Pads as Linux input devices: their description in /sys, and what an open one can be asked.

A pad is any device with a left stick and either BTN_SOUTH (A on an Xbox pad) or BTN_TRIGGER (the
first button of what the kernel takes for a joystick). Links in /dev/input/by-id do not help, as
Bluetooth pads have none.

Source: linux/input.h and linux/input-event-codes.h.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from car.pad.pad_map import AXES, BUTTONS

BLUETOOTH = 0x05  # in id/bustype

SYN_DROPPED = "SYN_DROPPED"
"""Code of the event that the kernel sends in place of those that were not read in time."""

_WORD_BITS = 8 * struct.calcsize("l")  # of a bitmap in /sys
_GAMEPAD, _JOYSTICK = BUTTONS["BTN_SOUTH"], BUTTONS["BTN_TRIGGER"]
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


class Event(NamedTuple):
    """Event of an axis or a button; `code` is "" if no map can name its source."""

    code: str
    value: int


class OpenDevice(Protocol):
    """Pad that is open for reading, by one of the libraries."""

    def read(self, max_events: int) -> Sequence[Event]:
        """Return up to `max_events` pending events without waiting.

        Raises:
            OSError: the pad was unplugged.
        """

    def check(self) -> None:
        """Check that the node still belongs to the pad.

        Raises:
            OSError: the node has vanished, or belongs to another device by now.
        """

    def read_axis(self, axis: int) -> AxisInfo | None:
        """Return value and range of an axis; None when the device does not report them."""

    def read_keys_down(self) -> frozenset[int]:
        """Return the buttons that are down; none when the device does not report them."""

    def close(self) -> None:
        """Close the device. May be called twice."""


def find_pads(folders: Folders) -> list[Device]:
    """Return the connected pads by their event numbers, joysticks after all others."""
    return sorted(_iter_pads(folders), key=lambda device: _GAMEPAD not in device.keys)


def _iter_pads(folders: Folders) -> Iterator[Device]:
    names = (path.name.removeprefix("event") for path in folders.sys_input.glob("event*"))
    for number in sorted(int(name) for name in names if name.isdecimal()):
        with suppress(OSError, ValueError):  # unplugged meanwhile
            if device := _read_device(folders.sys_input / f"event{number}" / "device", number):
                yield device


def _read_device(folder: Path, number: int) -> Device | None:
    """Return the device if it is a pad. Raises OSError or ValueError when it was unplugged."""
    keys = _read_bitmap(folder / "capabilities/key")
    if not keys & {_GAMEPAD, _JOYSTICK}:
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


def identify(status: os.stat_result) -> tuple[int, int, int]:
    """Return what tells a node from one that has taken its name since."""
    return status.st_dev, status.st_ino, status.st_rdev
