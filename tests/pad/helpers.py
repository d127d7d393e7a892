"""Events, and answers of the device, for the tests of the pad."""

import errno
import fcntl
import struct
from pathlib import Path

from car.pad import devices
from car.pad.devices import EVIOCGABS, EVIOCGKEY
from tests.pi.pad import ABS, CODES, KEY

UNKNOWN_EVENTS = [(ABS, 0x21, 1), (KEY, 0x224, 1), (KEY, 0x13F, 1), (0x1F, 1, 1)]


class Device:
    """Answers of a device: `axes` (value, lowest, highest) and pressed buttons, by code."""

    def __init__(self, monkeypatch):
        self.axes, self.down, self._real = {}, set(), fcntl.ioctl
        monkeypatch.setattr(devices.fcntl, "ioctl", self._ioctl)

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
