"""Pads that the kernel's own drivers present: on a USB port, by Bluetooth, or made by uinput.

    with plug_in("xpad") as pad:
        pad.press("Menu")

Source: Linux 6.12, drivers/input/joystick/xpad.c: xpad360_process_packet, xpadone_process_packet;
include/uapi/linux/{uinput,uhid}.h, usb/functionfs.h; the report descriptor of an Xbox One S pad by
Bluetooth as xpadneo documents it in docs/descriptors/xb1s_linux.md.
"""

import errno
import fcntl
import os
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import RLock

from tests.helpers.waiting import wait_until
from tests.pi.pad import ABS, CODES, EVENT, KEY, KINDS, MSC, SYN, SYN_REPORT, Pad

_FIRST_BUTTON = 0x100  # of the codes; those below are axes
_State = Mapping[int, int]
"""Value of each axis and button by its code; those that were not moved are missing."""


def plug_in(kind: str) -> Pad:
    """Plug a pad of that kind in."""
    if kind in _USB:
        return UsbPad(kind)
    return {"xpadneo": UinputPad, "stock_bluetooth": BluetoothPad}[kind](kind)


class _KernelPad(Pad):
    """A pad that a driver of the kernel presents; the base for each way to plug one in."""

    def __init__(self, kind: str) -> None:
        self.kind = KINDS[kind]
        self._lock = RLock()
        self._node = Path("/dev/input/none")
        self.replug()

    @property
    def node(self) -> Path:
        """Path of its device node, which exists while it is plugged in."""
        return self._node

    def replug(self, event: int | None = None) -> None:
        """Plug the pad in; the kernel chooses the number."""
        with self._lock:
            assert not self._node.exists(), "it is plugged in"
            self._connect()
            wait_until(self._find_node, poll_s=0.05)

    def unplug(self) -> None:
        """Unplug the pad, which may drop its last events. May be called twice."""
        with self._lock:
            if self._node.exists():
                self._disconnect()
                wait_until(lambda: not self._node.exists(), poll_s=0.05)

    def _find_node(self) -> bool:
        for name in Path("/sys/class/input").glob("event*/device/name"):
            if name.read_text().strip() == self.kind.name:
                self._node = Path("/dev/input", name.parts[4])
        return self._node.exists()

    def _connect(self) -> None:
        raise NotImplementedError

    def _disconnect(self) -> None:
        raise NotImplementedError


class UinputPad(_KernelPad):
    """A pad without hardware: the events that are sent are those of the kernel."""

    _SET_EVENT, _SET_KEY, _SET_AXIS, _SET_MISC = 0x40045564, 0x40045565, 0x40045567, 0x40045568
    _SETUP, _SET_RANGE, _CREATE = 0x405C5503, 0x401C5504, 0x5501

    def send(self, *events: tuple[int, int, int]) -> None:
        """Send events, each a type, code and value, and the SYN_REPORT that ends them."""
        with self._lock:
            assert self._node.exists(), "it is unplugged"
            group = (*events, (SYN, SYN_REPORT, 0))
            os.write(self._device, b"".join(EVENT.pack(0, 0, *event) for event in group))

    def _connect(self) -> None:
        self._device = device = os.open("/dev/uinput", os.O_WRONLY)
        for kind in (KEY, ABS, MSC):
            fcntl.ioctl(device, self._SET_EVENT, kind)
        fcntl.ioctl(device, self._SET_MISC, 4)
        for key in self.kind.keys.split():
            fcntl.ioctl(device, self._SET_KEY, CODES[key])
        for axis, range_ in self.kind.ranges().items():
            fcntl.ioctl(device, self._SET_AXIS, CODES[axis])
            setup = struct.pack("H2x6i", CODES[axis], *range_, 0, 0, 0)
            fcntl.ioctl(device, self._SET_RANGE, setup)
        ids = (self.kind.bus, 0x045E, 0x02FD, 1)
        fcntl.ioctl(device, self._SETUP, struct.pack("4H80sI", *ids, self.kind.name.encode(), 0))
        fcntl.ioctl(device, self._CREATE)

    def _disconnect(self) -> None:
        os.close(self._device)


class _ReportingPad(_KernelPad):
    """A pad that reports its whole state, as hardware does; a driver makes events of it."""

    def send(self, *events: tuple[int, int, int]) -> None:
        """Change the state as these events do, and report it."""
        with self._lock:
            assert self._node.exists(), "it is unplugged"
            self._state |= {code: value for kind, code, value in events if kind in (KEY, ABS)}
            self._report(self._state)

    def replug(self, event: int | None = None) -> None:
        """Plug the pad in, with nothing touched."""
        self._state: dict[int, int] = {}
        super().replug(event)

    def _report(self, state: _State) -> None:
        raise NotImplementedError


class BluetoothPad(_ReportingPad):
    """An Xbox One S pad by Bluetooth, which the driver hid-microsoft presents."""

    _CREATE, _DESTROY, _INPUT = 11, 1, 12
    _STOPPED, _GET_REPORT, _GET_REPORT_REPLY = 3, 9, 10
    _EVENT_BYTES = 4380  # of `struct uhid_event`
    _DESCRIPTOR = bytes.fromhex(
        """
        05 01 09 05 a1 01 85 01 09 01 a1 00 09 30 09 31 15 00 27 ff ff 00 00 95 02 75 10 81 02 c0
        09 01 a1 00 09 32 09 35 15 00 27 ff ff 00 00 95 02 75 10 81 02 c0 05 02 09 c5 15 00 26 ff
        03 95 01 75 0a 81 02 15 00 25 00 75 06 95 01 81 03 05 02 09 c4 15 00 26 ff 03 95 01 75 0a
        81 02 15 00 25 00 75 06 95 01 81 03 05 01 09 39 15 01 25 08 35 00 46 3b 01 66 14 00 75 04
        95 01 81 42 75 04 95 01 15 00 25 00 35 00 45 00 65 00 81 03 05 09 19 01 29 0f 15 00 25 01
        75 01 95 0f 81 02 15 00 25 00 75 01 95 01 81 03 05 0c 0a 24 02 15 00 25 01 95 01 75 01 81
        02 15 00 25 00 75 07 95 01 81 03 05 0c 09 01 85 02 a1 01 05 0c 0a 23 02 15 00 25 01 95 01
        75 01 81 02 15 00 25 00 75 07 95 01 81 03 c0 05 0f 09 21 85 03 a1 02 09 97 15 00 25 01 75
        04 95 01 91 02 15 00 25 00 75 04 95 01 91 03 09 70 15 00 25 64 75 08 95 04 91 02 09 50 66
        01 10 55 0e 15 00 26 ff 00 75 08 95 01 91 02 09 a7 15 00 26 ff 00 75 08 95 01 91 02 65 00
        55 00 09 7c 15 00 26 ff 00 75 08 95 01 91 02 c0 05 06 09 20 85 04 15 00 26 ff 00 75 08 95
        01 81 02 c0 00
        """
    )

    def _connect(self) -> None:
        # Otherwise hid-generic presents the pad until udev has loaded its own driver.
        subprocess.run(["modprobe", "hid-microsoft"], check=True)
        self._device = os.open("/dev/uhid", os.O_RDWR)
        names = struct.pack("128s64s64s", self.kind.name.encode(), b"", b"")
        ids = struct.pack("HHIIII", len(self._DESCRIPTOR), self.kind.bus, 0x045E, 0x02FD, 0x903, 0)
        os.write(self._device, struct.pack("I", self._CREATE) + names + ids + self._DESCRIPTOR)

        threading.Thread(target=self._answer, args=(self._device,), daemon=True).start()

    def _disconnect(self) -> None:
        os.write(self._device, struct.pack("I", self._DESTROY))

    def _answer(self, device: int) -> None:
        """Refuse what the kernel asks, such as the battery's state: it would wait for seconds."""
        stopped = struct.pack("I", self._STOPPED)
        while (event := os.read(device, self._EVENT_BYTES))[:4] != stopped:
            kind, number = struct.unpack_from("2I", event)
            if kind == self._GET_REPORT:
                refusal = struct.pack("2I2H", self._GET_REPORT_REPLY, number, errno.EIO, 0)
                os.write(device, refusal)
        os.close(device)

    def _report(self, state: _State) -> None:
        sticks = (_value(state, axis, 0x8000) for axis in ["ABS_X", "ABS_Y", "ABS_Z", "ABS_RZ"])
        triggers = (_value(state, "ABS_BRAKE"), _value(state, "ABS_GAS"))
        buttons = _buttons(state, {code: bit for bit, code in enumerate(_GAMEPAD_BUTTONS)})
        report = struct.pack("<B6HBHB", 1, *sticks, *triggers, 0, buttons, 0)
        os.write(self._device, struct.pack("IH", self._INPUT, len(report)) + report)


_GAMEPAD_BUTTONS = (
    *("BTN_SOUTH", "BTN_EAST", "BTN_C", "BTN_NORTH", "BTN_WEST", "BTN_Z", "BTN_TL", "BTN_TR"),
    *("BTN_TL2", "BTN_TR2", "BTN_SELECT", "BTN_START", "BTN_MODE", "BTN_THUMBL", "BTN_THUMBR"),
)


class UsbPad(_ReportingPad):
    """A wired pad: a USB device by FunctionFS on a port of dummy_hcd, for the driver xpad."""

    _GADGET = Path("/sys/kernel/config/usb_gadget/pad")
    _FUNCTIONS = Path("/run/pad")

    def __init__(self, kind: str) -> None:
        self._product, self._interface, self._to_report = _USB[kind]
        # Buttons that are down, and the report. As in hardware, one that was not fetched in time
        # is replaced by the next, but no press is lost.
        self._waiting: deque[tuple[set[int], bytes]] = deque()
        self._is_waiting = threading.Condition()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._make_gadget()
        super().__init__(kind)

    def __exit__(self, *_: object) -> None:
        self.unplug()
        self._remove_gadget()

    def _connect(self) -> None:
        self._waiting.clear()
        (controller,) = Path("/sys/class/udc").iterdir()
        (self._GADGET / "UDC").write_text(controller.name)

    def _disconnect(self) -> None:
        (self._GADGET / "UDC").write_text("\n")

    def _report(self, state: _State) -> None:
        down = {code for code, value in state.items() if code >= _FIRST_BUTTON and value}
        with self._is_waiting:
            if self._waiting and self._waiting[-1][0] == down:
                self._waiting.pop()
            self._waiting.append((down, self._to_report(state)))
            self._is_waiting.notify()

    def _make_gadget(self) -> None:
        gadget = self._GADGET
        for folder in ("strings/0x409", "configs/c.1", "functions/ffs.pad"):
            (gadget / folder).mkdir(parents=True)
        (gadget / "idVendor").write_text("0x045e")
        (gadget / "idProduct").write_text(f"{self._product:#x}")
        (gadget / "configs/c.1/ffs.pad").symlink_to(gadget / "functions/ffs.pad")
        self._FUNCTIONS.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "functionfs", "pad", self._FUNCTIONS], check=True)
        self._control = os.open(self._FUNCTIONS / "ep0", os.O_RDWR | os.O_NONBLOCK)
        # USB 2.0, tables 9-12 and 9-13: an interface, and an interrupt endpoint each way.
        described = (
            struct.pack("<9B", 9, 4, 0, 0, 2, *self._interface, 0)
            + struct.pack("<4BHB", 7, 5, 0x81, 3, 32, 4)
            + struct.pack("<4BHB", 7, 5, 0x02, 3, 32, 8)
        )
        body = struct.pack("<2I", 3, 3) + 2 * described  # at full and at high speed
        os.write(self._control, struct.pack("<3I", 3, 12 + len(body), 3) + body)
        os.write(self._control, struct.pack("<4I", 2, 16, 0, 0))  # no strings
        self._in, self._out = (
            os.open(self._FUNCTIONS / endpoint, os.O_RDWR | os.O_NONBLOCK)
            for endpoint in ("ep1", "ep2")
        )
        for work in (self._answer, self._send_reports, self._read_output):
            thread = threading.Thread(target=self._repeat, args=(work,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _remove_gadget(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        for endpoint in (self._in, self._out, self._control):
            os.close(endpoint)
        subprocess.run(["umount", self._FUNCTIONS], check=True)
        gadget = self._GADGET
        (gadget / "configs/c.1/ffs.pad").unlink()
        for folder in ("configs/c.1", "functions/ffs.pad", "strings/0x409", ""):
            (gadget / folder).rmdir()

    def _repeat(self, work: Callable[[], object]) -> None:
        """Do the work until the gadget is removed; while it is unplugged, endpoints refuse."""
        while not self._over.is_set():
            with suppress(OSError):
                work()
                continue
            time.sleep(0.02)

    def _answer(self) -> None:
        os.read(self._control, 12)  # an event of the bus, which needs no answer

    def _send_reports(self) -> None:
        with self._is_waiting:
            if not self._waiting:
                self._is_waiting.wait(timeout=0.1)
                return
            _, report = self._waiting.popleft()
        os.write(self._in, report)

    def _read_output(self) -> None:
        os.read(self._out, 32)  # LEDs and rumbling


def _value(state: _State, axis: str, at_rest: int = 0) -> int:
    return state.get(CODES[axis], at_rest)


def _buttons(state: _State, bits: Mapping[str, int]) -> int:
    """Return the bits of the buttons that are down."""
    return sum(1 << bit for code, bit in bits.items() if state.get(CODES[code]))


def _sticks(state: _State) -> tuple[int, int, int, int]:
    """Return both sticks as the hardware reports them, where up is positive."""
    x, y, right_x, right_y = (
        _value(state, axis) for axis in ("ABS_X", "ABS_Y", "ABS_RX", "ABS_RY")
    )
    return x, ~y, right_x, ~right_y


def _report_of_360(state: _State) -> bytes:
    bits = {"BTN_START": 4, "BTN_SELECT": 5, "BTN_THUMBL": 6, "BTN_THUMBR": 7, "BTN_TL": 8}
    bits |= {"BTN_TR": 9, "BTN_MODE": 10, "BTN_SOUTH": 12, "BTN_EAST": 13, "BTN_NORTH": 14}
    buttons = _buttons(state, bits | {"BTN_WEST": 15})
    triggers = (_value(state, "ABS_Z"), _value(state, "ABS_RZ"))
    return struct.pack("<BBHBB4h6x", 0, 20, buttons, *triggers, *_sticks(state))


def _report_of_one(state: _State) -> bytes:
    bits = {"BTN_START": 2, "BTN_SELECT": 3, "BTN_SOUTH": 4, "BTN_EAST": 5, "BTN_NORTH": 6}
    bits |= {"BTN_WEST": 7, "BTN_TL": 12, "BTN_TR": 13, "BTN_THUMBL": 14, "BTN_THUMBR": 15}
    triggers = (_value(state, "ABS_Z"), _value(state, "ABS_RZ"))
    return struct.pack("<4B3H4h", 0x20, 0, 0, 14, _buttons(state, bits), *triggers, *_sticks(state))


_Usb = tuple[int, tuple[int, int, int], Callable[[_State], bytes]]
_USB: dict[str, _Usb] = {  # product, class of the interface, and what makes a report
    "xpad_360": (0x028E, (0xFF, 0x5D, 0x01), _report_of_360),
    "xpad": (0x02EA, (0xFF, 0x47, 0xD0), _report_of_one),
}
