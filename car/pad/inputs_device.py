"""Pads read with the library `inputs`.

Of the library, only the decoding of events is used. It would open the node itself, and block; and
it searches for devices only once, when it is imported, and not for Bluetooth pads.

Source: linux/input.h.
"""

import errno
import fcntl
import os
import struct
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from car.pad.devices import SYN_DROPPED, AxisInfo, Event, identify
from car.pad.pad_map import AXES, BUTTONS, HATS

EVIOCGABS = 0x80184540  # plus the axis: reads its value and range
EVIOCGKEY = 0x80604518  # reads which buttons are down

_ABS_INFO = struct.Struct("6i")  # value, minimum, maximum; fuzz, flat and resolution are unused
_KEY_BYTES = 96
_KNOWN = {"Absolute": AXES | HATS, "Key": BUTTONS, "Sync": {SYN_DROPPED: 3}}
# A name of the form that `inputs` parses; the file need not exist.
_LINK = "/dev/input/by-id/pad-Xbox-event-joystick"


def load() -> Any:
    """Import the library, which searches for devices when it is imported.

    Raises:
        Exception: of any kind, because unexpected devices make it fail in many ways.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about devices that it does not know
        import inputs
    return inputs


class InputsDevice:
    """Open pad, whose events `inputs` decodes."""

    def __init__(self, inputs: Any, file: Path) -> None:
        """Open the pad.

        Raises:
            OSError: it cannot be opened.
        """
        self._node = Node(file, inputs.EVENT_SIZE)
        try:
            self._gamepad = inputs.GamePad(inputs.devices, _LINK, str(file))
        except BaseException:
            self._node.close()
            raise
        self._gamepad._character_file = self._node  # otherwise it opens the node itself, and blocks
        self._unknown = inputs.UnknownEventCode, inputs.UnknownEventType

    def read(self, max_events: int) -> Sequence[Event]:
        """Return up to `max_events` pending events without waiting.

        Raises:
            OSError: the pad was unplugged.
        """
        self._node.fill(max_events)
        return [self._decode() for _ in range(self._node.pending)]

    def _decode(self) -> Event:
        try:
            [event] = self._gamepad.read()
        except self._unknown:
            return Event("", 0)
        is_known = event.code in _KNOWN.get(event.ev_type, ())
        return Event(event.code if is_known else "", event.state)

    def check(self) -> None:
        """Check that the node still belongs to the pad.

        Raises:
            OSError: the node has vanished, or belongs to another device by now.
        """
        self._node.check()

    def read_axis(self, axis: int) -> AxisInfo | None:
        """Return value and range of an axis; None when the device does not report them."""
        return self._node.read_axis(axis)

    def read_keys_down(self) -> frozenset[int]:
        """Return the buttons that are down; none when the device does not report them."""
        return self._node.read_keys_down()

    def close(self) -> None:
        """Close the device. May be called twice."""
        self._node.close()


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
        self._identity = identify(os.fstat(self._descriptor))

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
        if identify(self._file.stat()) != self._identity:
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
