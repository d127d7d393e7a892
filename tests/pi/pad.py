"""A pad for the emulated Pi: its entries in /sys, and a FIFO in place of its device node.

    with FifoPad(pi, kind="xpad", event=7) as pad:
        pad.press("Menu")
        pad.release("Menu")
        pad.throttle(0.5)           # same as pad.axis("ABS_RZ", 512)
        pad.unplug()
        pad.replug(event=8)

All methods are thread-safe. As with the kernel, events that are not read in time are dropped and
reported by SYN_DROPPED. A FIFO cannot answer what a device is asked by ioctl: `input_device.c` does
for it, in programs with the variables of `environment()`, and in `evdev` as the tests build it.
The answers are in a file beside the FIFO; ranges of axes are among them only with `ranges`.
"""

import os
import shutil
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Self

from tests.pi import libraries
from tests.pi.namespace import Pi

EVENT = struct.Struct("llHHi")
SYN, KEY, ABS, MSC = 0, 1, 3, 4
SYN_REPORT, SYN_DROPPED = 0, 3
USB, BLUETOOTH = 0x03, 0x05

_PIPE_BYTES = 65536  # capacity of a pipe on Linux

# The answers about a device, as in input_device.c.
_KEYS, _AXES = 768, 64
_AXIS = struct.Struct("6i")
_FIRST_AXIS = 4 + 8 + 256 + 4 + _KEYS // 8 + _AXES // 8 + _KEYS // 8

CODES = {
    "ABS_X": 0,
    "ABS_Y": 1,
    "ABS_Z": 2,
    "ABS_RX": 3,
    "ABS_RY": 4,
    "ABS_RZ": 5,
    "ABS_GAS": 9,
    "ABS_BRAKE": 10,
    "ABS_HAT0X": 16,
    "ABS_HAT0Y": 17,
    "BTN_TRIGGER": 288,
    "BTN_THUMB": 289,
    "BTN_THUMB2": 290,
    "BTN_TOP": 291,
    "BTN_TOP2": 292,
    "BTN_PINKIE": 293,
    "BTN_BASE": 294,
    "BTN_BASE2": 295,
    "BTN_BASE3": 296,
    "BTN_BASE4": 297,
    "BTN_BASE5": 298,
    "BTN_BASE6": 299,
    "BTN_SOUTH": 304,
    "BTN_EAST": 305,
    "BTN_C": 306,
    "BTN_NORTH": 307,
    "BTN_WEST": 308,
    "BTN_Z": 309,
    "BTN_TL": 310,
    "BTN_TR": 311,
    "BTN_TL2": 312,
    "BTN_TR2": 313,
    "BTN_SELECT": 314,
    "BTN_START": 315,
    "BTN_MODE": 316,
    "BTN_THUMBL": 317,
    "BTN_THUMBR": 318,
    "KEY_BACK": 158,
    "KEY_RECORD": 167,
    "KEY_HOMEPAGE": 172,
}
PRINTED = {  # labels on an Xbox pad
    "A": "BTN_SOUTH",
    "B": "BTN_EAST",
    "X": "BTN_NORTH",
    "Y": "BTN_WEST",
    "LB": "BTN_TL",
    "RB": "BTN_TR",
    "View": "BTN_SELECT",
    "Menu": "BTN_START",
}
_XPAD_AXES = "ABS_X ABS_Y ABS_Z ABS_RX ABS_RY ABS_RZ ABS_HAT0X ABS_HAT0Y"
_XPAD_KEYS = (
    "BTN_SOUTH BTN_EAST BTN_NORTH BTN_WEST BTN_TL BTN_TR BTN_SELECT BTN_START BTN_MODE "
    "BTN_THUMBL BTN_THUMBR"
)
_ALL_BUTTONS = " ".join(code for code, number in CODES.items() if 0x130 <= number < 0x140)


@dataclass(frozen=True)
class Kind:
    """A pad as one of the kernel's drivers presents it."""

    name: str
    bus: int
    driver: str
    axes: str
    keys: str
    stick: tuple[int, int]
    gas: str
    brake: str
    full: int = 1023
    sticks: str = "ABS_X ABS_Y ABS_RX ABS_RY"

    def ranges(self) -> dict[str, tuple[int, int, int]]:
        """Return value at rest, minimum and maximum of each axis."""
        found = {}
        for code in self.axes.split():
            low, high = (-1, 1) if "HAT" in code else (0, self.full)
            if code in self.sticks.split():
                low, high = self.stick
            at_rest = 0 if low == 0 and code not in self.sticks.split() else (low + high + 1) // 2
            found[code] = (at_rest, low, high)
        return found


KINDS = {
    "xpad": Kind(
        "Microsoft X-Box One S pad", USB, "xpad", _XPAD_AXES, _XPAD_KEYS + " KEY_RECORD",
        (-32768, 32767), "ABS_RZ", "ABS_Z",
    ),
    "xpad_360": Kind(
        "Microsoft X-Box 360 pad", USB, "xpad", _XPAD_AXES, _XPAD_KEYS,
        (-32768, 32767), "ABS_RZ", "ABS_Z", 255,
    ),
    "xpadneo": Kind(
        "Xbox Wireless Controller", BLUETOOTH, "xpadneo", _XPAD_AXES, _XPAD_KEYS,
        (-32768, 32767), "ABS_RZ", "ABS_Z",
    ),
    "stock_bluetooth": Kind(
        "Xbox Wireless Controller", BLUETOOTH, "microsoft",
        "ABS_X ABS_Y ABS_Z ABS_RZ ABS_GAS ABS_BRAKE ABS_HAT0X ABS_HAT0Y",
        f"{_ALL_BUTTONS} KEY_BACK KEY_HOMEPAGE", (0, 65535), "ABS_GAS", "ABS_BRAKE",
        sticks="ABS_X ABS_Y ABS_Z ABS_RZ",
    ),
}  # fmt: skip


class Pad(ABC):
    """A pad and the thumbs on it."""

    kind: Kind

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    @property
    @abstractmethod
    def node(self) -> Path:
        """Path of its device node, which exists while it is plugged in."""

    @abstractmethod
    def replug(self, event: int | None = None) -> None:
        """Plug the pad in, as event number `event` if given and if that can be chosen."""

    @abstractmethod
    def unplug(self) -> None:
        """Unplug the pad, which may drop its last events. May be called twice."""

    @abstractmethod
    def send(self, *events: tuple[int, int, int]) -> None:
        """Send events, each a type, code and value, and the SYN_REPORT that ends them.

        Raises:
            AssertionError: the pad is unplugged.
        """

    def press(self, button: str) -> None:
        """Press a button, given by its code or its label."""
        self._key(button, 1)

    def release(self, button: str) -> None:
        """Release a button."""
        self._key(button, 0)

    def tap(self, button: str) -> None:
        """Press and release a button."""
        self.press(button)
        self.release(button)

    def axis(self, code: str, value: int) -> None:
        """Send a value of an axis."""
        self.send((ABS, CODES[code], value))

    def steer(self, value: float) -> None:
        """Move the left stick, from -1 to 1."""
        low, high = self.kind.stick
        self.axis("ABS_X", round(low + (high - low) * (value + 1) / 2))

    def throttle(self, value: float) -> None:
        """Pull the right trigger, from 0 to 1."""
        self.axis(self.kind.gas, round(value * self.kind.full))

    def brake(self, value: float) -> None:
        """Pull the left trigger, from 0 to 1."""
        self.axis(self.kind.brake, round(value * self.kind.full))

    def _key(self, button: str, value: int) -> None:
        code = CODES[PRINTED.get(button, button)]
        self.send((MSC, 4, 0x90000 + code), (KEY, code, value))


class FifoPad(Pad):
    """A pad, plugged in when it is created; it sends no event by itself."""

    def __init__(
        self,
        pi: Pi,
        kind: str | Kind = "xpad",
        event: int = 7,
        name: str | None = None,
        *,
        ranges: Mapping[str, tuple[int, int, int]] | None = None,
    ):
        self.kind = KINDS[kind] if isinstance(kind, str) else kind
        self.name = self.kind.name if name is None else name
        self.ranges = dict(ranges or {})
        self.down: set[str] = set()
        self.is_gone = False
        self._pi = pi
        self._event = event
        self._lock = RLock()
        self._descriptor = -1
        self.replug()

    @property
    def node(self) -> Path:
        """Path of the FIFO outside the namespace."""
        return self._pi.input / f"event{self._event}"

    @property
    def _answers(self):
        return self.node.with_name(f".{self.node.name}")

    def answer(self) -> None:
        """Answer questions about the device by name, buttons and `ranges` as they are now."""
        with self._lock:
            by_number = {CODES[code]: known for code, known in self.ranges.items()}
            axes = [by_number.get(number, (0, 0, 0)) for number in range(_AXES)]
            parts = [
                struct.pack("I4H", self.is_gone, self.kind.bus, 0x045E, 0x02EA, 0x0301),
                self.name.encode()[:255].ljust(256, b"\0"),
                _bits({SYN, KEY, ABS}, 32),
                _bits({CODES[code] for code in self.kind.keys.split()}, _KEYS),
                _bits({CODES[code] for code in self.kind.axes.split()}, _AXES),
                self._down_bits(),
                *(_AXIS.pack(*axis, 0, 0, 0) for axis in axes),
            ]
            self._answers.write_bytes(b"".join(parts))

    def _down_bits(self) -> bytes:
        return _bits({CODES[code] for code in self.down}, _KEYS)

    @property
    def _entry(self):
        return self._pi.sys_input / f"event{self._event}"

    @property
    def _link(self):
        return self._pi.input / f"by-id/usb-Microsoft_Controller_{self._event}-event-joystick"

    def replug(self, event: int | None = None) -> None:
        """Plug the pad in, as event number `event` if given."""
        with self._lock:
            assert not self._entry.exists(), "it is plugged in"
            self._event = self._event if event is None else event
            os.mkfifo(self.node)
            self.down.clear()
            self.is_gone = False
            self.answer()
            self._descriptor = os.open(self.node, os.O_RDWR | os.O_NONBLOCK)
            if self.kind.bus == USB:  # udev makes no links for Bluetooth
                self._link.parent.mkdir(exist_ok=True)
                self._link.symlink_to(f"../{self.node.name}")
            draft = self._pi.folder / "draft"  # the entry appears in /sys complete
            for file, text in self._sys_files().items():
                (draft / "device" / file).parent.mkdir(parents=True, exist_ok=True)
                (draft / "device" / file).write_text(f"{text}\n")
            (draft / "device/device").mkdir()
            (draft / "device/device/driver").symlink_to(f"/sys/drivers/{self.kind.driver}")
            draft.rename(self._entry)

    def unplug(self) -> None:
        """Unplug the pad, which may drop its last events. May be called twice."""
        with self._lock:
            if not self._entry.exists():
                return
            shutil.rmtree(self._entry)
            self._link.unlink(missing_ok=True)
            self.node.unlink()
            self._answers.unlink()
            self.hang_up()

    def hang_up(self) -> None:
        """Close the FIFO for writing, but leave it in place. May be called twice."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def send(self, *events: tuple[int, int, int]) -> None:
        """Send events, each a type, code and value, and the SYN_REPORT that ends them.

        Where nobody reads, they take the place of all that were sent before, as in the kernel.
        """
        with self._lock:
            assert self._descriptor >= 0, "it is unplugged"
            self._note(events)
            group = (*events, (SYN, SYN_REPORT, 0))
            try:
                self._write(group)
            except BlockingIOError:
                with suppress(BlockingIOError):
                    while os.read(self._descriptor, _PIPE_BYTES):
                        pass
                self._write(((SYN, SYN_DROPPED, 0), *group))

    def _write(self, events: tuple[tuple[int, int, int], ...]) -> None:
        moment = divmod(time.time_ns() // 1000, 1_000_000)
        os.write(self._descriptor, b"".join(EVENT.pack(*moment, *event) for event in events))

    def _note(self, events: tuple[tuple[int, int, int], ...]) -> None:
        """Keep the answers up to date with what is sent."""
        if not self.ranges:
            return
        with self._answers.open("r+b", buffering=0) as answers:
            for kind, number, value in events:
                code = _NAMES.get((kind, number), "")
                if kind == ABS and code in self.ranges:
                    self.ranges[code] = (value, *self.ranges[code][1:])
                    answers.seek(_FIRST_AXIS + number * _AXIS.size)
                    answers.write(_AXIS.pack(*self.ranges[code], 0, 0, 0))
                elif kind == KEY and code:
                    (self.down.add if value else self.down.discard)(code)
                    answers.seek(_FIRST_AXIS - _KEYS // 8)
                    answers.write(self._down_bits())

    def _sys_files(self) -> dict[str, str]:
        return {
            "name": self.name,
            "id/bustype": f"{self.kind.bus:04x}",
            "capabilities/abs": _bitmap(self.kind.axes),
            "capabilities/key": _bitmap(self.kind.keys),
        }


def environment() -> dict[str, str]:
    """Return the variables with which a program gets answers about a FIFO's device."""
    return {"LD_PRELOAD": str(libraries.input_device())}


_NAMES = {(ABS if code.startswith("ABS_") else KEY, number): code for code, number in CODES.items()}


def _bits(numbers: set[int], count: int) -> bytes:
    return sum(1 << number for number in numbers).to_bytes(count // 8, "little")


def _bitmap(codes: str) -> str:
    """Format a bitmap as the kernel does: words of a long, highest first, no leading zeros."""
    bits = sum(1 << CODES[code] for code in codes.split())
    word_bits = 8 * struct.calcsize("l")
    words = []
    while bits:
        words.append(f"{bits & ((1 << word_bits) - 1):x}")
        bits >>= word_bits
    return " ".join(reversed(words))
