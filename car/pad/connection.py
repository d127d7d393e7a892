"""The connection to the first pad, by whichever library of this machine can read it.

`inputs`, which pip installs everywhere, comes first. `evdev`, a package of the system, stands in
where `inputs` is missing or fails.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from car.hardware_conf import PadLibrary
from car.pad import evdev_device, inputs_device
from car.pad.devices import Device, Folders, OpenDevice, find_pads
from car.pad.evdev_device import EvdevDevice
from car.pad.inputs_device import InputsDevice
from common.errors import PadLost


@dataclass(frozen=True, slots=True)
class _Installation:
    """How to load a library and open a pad with it, and the remedies if loading fails."""

    load: Callable[[], Any]
    open_device: Callable[[Any, Path], OpenDevice]
    if_missing: str
    if_failing: str


_INSTALLATIONS: dict[PadLibrary, _Installation] = {
    "inputs": _Installation(
        inputs_device.load,
        InputsDevice,
        if_missing="pip install -r requirements-pi.txt",
        if_failing="leave one pad plugged in, run `sudo modprobe joydev`, plug the pad in again "
        "and start again, or: sudo apt install python3-evdev",
    ),
    "evdev": _Installation(
        evdev_device.load,
        EvdevDevice,
        if_missing="sudo apt install python3-evdev, or take pad.library out of hardware_conf.json",
        if_failing="install its package again: sudo apt install --reinstall python3-evdev",
    ),
}


@dataclass(frozen=True, slots=True)
class Library:
    """Loaded library; `open` raises OSError when a node cannot be opened."""

    name: PadLibrary
    open: Callable[[Path], OpenDevice]


@dataclass(frozen=True, slots=True)
class Connection:
    """Open pad; `name` has its node, and the number of pads if there were several."""

    device: Device
    opened: OpenDevice
    name: str


def load_library(wanted: PadLibrary | None) -> Library:
    """Load the wanted library; None: the first that can be loaded.

    Raises:
        PadLost: it cannot be loaded; the message is that of the first.
    """
    names = [wanted] if wanted else list(_INSTALLATIONS)
    failures = []
    for name in names:
        try:
            return _load(name)
        except PadLost as error:
            failures.append(error)
    raise failures[0]


def _load(name: PadLibrary) -> Library:
    """Load a library. Raises PadLost."""
    library = _INSTALLATIONS[name]
    try:
        module = library.load()
    except ModuleNotFoundError as error:
        raise PadLost(f"the library {error.name} is missing: {library.if_missing}") from error
    except Exception as error:  # unexpected devices make `inputs` fail in many ways
        raise PadLost(
            f"the library {name} fails on the devices of this machine: "
            f"{type(error).__name__}: {error}: {library.if_failing}"
        ) from error
    return Library(name, partial(library.open_device, module))


def open_first(library: Library, folders: Folders) -> Connection:
    """Open the first pad that is connected.

    Raises:
        PadLost: no pad is connected, or it cannot be read.
    """
    devices = find_pads(folders)
    if not devices:
        raise PadLost(
            "no pad is connected: plug one in by cable or dongle, or pair it with bluetoothctl "
            "(pair, trust, connect); the user has to be in the group input"
        )
    device = devices[0]
    node = folders.dev_input / f"event{device.number}"
    name = f"{device.name} at {node}"
    try:
        opened = library.open(node)
    except PermissionError as error:
        raise PadLost(
            f"no permission to read {name}: sudo usermod -aG input $USER, then log in again"
        ) from error
    except OSError as error:
        raise PadLost(
            f"{name} cannot be opened: {error.strerror}: unplug it and plug it in again"
        ) from error
    if len(devices) > 1:
        name += f", the first of {len(devices)} pads"
    return Connection(device, opened, name)
