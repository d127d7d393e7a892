"""Pads read with the library `evdev`, as the system's package python3-evdev has it.

Source: python-evdev.readthedocs.io, versions 1.6 (bookworm) to 2.0.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from car.pad.devices import SYN_DROPPED, AxisInfo, Event, identify
from car.pad.pad_map import AXES, BUTTONS, HATS

_SYN, _KEY, _ABS = 0, 1, 3
_NAMES = (
    {(_ABS, number): code for code, number in (AXES | HATS).items()}
    | {(_KEY, number): code for code, number in BUTTONS.items()}
    | {(_SYN, 3): SYN_DROPPED}
)


def load() -> Any:
    """Import the library.

    Raises:
        Exception: it is missing, or built for another Python.
    """
    import evdev

    return evdev


class EvdevDevice:
    """Open pad, read with `evdev`."""

    def __init__(self, evdev: Any, file: Path) -> None:
        """Open the pad.

        Raises:
            OSError: it cannot be opened, or is no input device.
        """
        self._file = file
        # In two steps: one that fails half-way keeps its descriptor until it is collected.
        self._device = evdev.InputDevice.__new__(evdev.InputDevice)
        try:
            self._device.__init__(str(file))
            self._identity = identify(os.fstat(self._device.fd))
        except SystemError as error:  # what version 1.6 makes of some failures
            self.close()
            raise _unplugged() from error
        except BaseException:
            self.close()
            raise

    def read(self, max_events: int) -> Sequence[Event]:
        """Return up to `max_events` pending events without waiting.

        Raises:
            OSError: the pad was unplugged.
        """
        events: list[Event] = []
        while len(events) < max_events:
            try:
                batch = list(self._read_batch())
            except OSError:
                if events:
                    break  # the next call fails again
                raise
            if not batch:
                break
            events += batch
        return events

    def _read_batch(self) -> Iterator[Event]:
        """Yield what one call of the library returns: at most 64 events.

        Raises:
            OSError: the pad was unplugged.
        """
        try:
            events = list(self._device.read())
        except BlockingIOError:
            return
        if not events:  # the end of a FIFO; a device has none
            raise _unplugged()
        for event in events:
            yield Event(_NAMES.get((event.type, event.code), ""), event.value)

    def check(self) -> None:
        """Check that the node still belongs to the pad.

        Raises:
            OSError: the node has vanished, or belongs to another device by now.
        """
        if identify(self._file.stat()) != self._identity:
            raise _unplugged()

    def read_axis(self, axis: int) -> AxisInfo | None:
        """Return value and range of an axis; None when the device does not report them."""
        try:
            info = self._device.absinfo(axis)
        except OSError:
            return None
        return AxisInfo(info.value, info.min, info.max) if info.min < info.max else None

    def read_keys_down(self) -> frozenset[int]:
        """Return the buttons that are down; none when the device does not report them."""
        try:
            return frozenset(self._device.active_keys())
        except (OSError, SystemError):  # the second with version 1.6
            return frozenset()

    def close(self) -> None:
        """Close the device. May be called twice."""
        # Not by its own method, which creates an event loop of asyncio, with descriptors.
        descriptor = getattr(self._device, "fd", -1)
        if descriptor >= 0:
            self._device.fd = -1
            os.close(descriptor)


def _unplugged() -> OSError:
    return OSError(errno.ENODEV, os.strerror(errno.ENODEV))
