"""Events, and answers of the device, for the tests of the pad."""

import errno
import fcntl
import struct
from pathlib import Path

import pytest

from car.pad import inputs_device
from car.pad.inputs_device import EVIOCGABS, EVIOCGKEY
from tests.pi.pad import ABS, CODES, KEY

INPUTS = pytest.mark.parametrize("library", ["inputs"], indirect=True)

UNKNOWN_EVENTS = [(ABS, 0x21, 1), (KEY, 0x224, 1), (KEY, 0x13F, 1), (0x1F, 1, 1)]


class Device:
    """Device of a fake pad, which answers questions about its axes and buttons.

    `inputs` asks through Python's ioctl(), which is replaced; `evdev` asks by itself, and is
    answered by `input_device.c`. `axes` are (value, lowest, highest) by code.
    """

    def __init__(self, monkeypatch, fake_pad):
        self._fake_pad, self._real = fake_pad, fcntl.ioctl
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(inputs_device.fcntl, "ioctl", self._ioctl)

    @property
    def axes(self):
        return self._fake_pad.ranges

    @axes.setter
    def axes(self, axes):
        self._fake_pad.ranges = dict(axes)
        self._fake_pad.answer()

    @property
    def down(self):
        return self._fake_pad.down

    @down.setter
    def down(self, down):
        self._fake_pad.down = set(down)
        self._fake_pad.answer()

    def set_axis(self, code, value, lowest, highest):
        """Change the answer about one axis."""
        self.axes = self.axes | {code: (value, lowest, highest)}

    def fail(self):
        """Fail with ENODEV from now on, with events left in the queue too, as the kernel does."""
        self._monkeypatch.setattr(inputs_device.os, "read", raise_enodev)
        self._fake_pad.is_gone = True
        self._fake_pad.answer()

    def _ioctl(self, descriptor, request, room):
        if request == EVIOCGKEY and len(room) == 96:
            return sum(1 << CODES[code] for code in self.down).to_bytes(96, "little")
        for code, (value, lowest, highest) in self.axes.items():
            if request == EVIOCGABS + CODES[code] and len(room) == 24:
                return struct.pack("6i", value, lowest, highest, 16, 128, 0)
        return self._real(descriptor, request, room)


def count_descriptors():
    """Return how many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def raise_enodev(*_arguments):
    raise OSError(errno.ENODEV, "No such device")
