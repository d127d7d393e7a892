"""A pad made of FIFOs in the folders of a Pi, read in this process by either library.

Tests run with both, those of what only a FIFO or only `inputs` does with `INPUTS` alone.
"""

import importlib
import sys
import warnings
from functools import cache

import pytest

from car import hardware_conf
from car.clock import VirtualClock
from car.pad.devices import Folders
from car.pad.xbox_pad import XboxPad
from tests.pad.helpers import Device
from tests.pi import bench, libraries, namespace
from tests.pi.pad import FifoPad
from tests.servers.fetching import Missing

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of devices on this machine that it cannot name
    import inputs


@pytest.fixture
def pi(tmp_path):
    return namespace.create_pi(tmp_path / "pi")


@pytest.fixture
def clock():
    return VirtualClock()


@cache
def import_evdev():
    """Import `evdev` as the tests build it; return why it cannot be had, or ""."""
    try:
        sys.path.insert(0, str(libraries.evdev()))
    except Missing as error:
        return str(error)
    try:
        importlib.import_module("evdev")
    finally:
        del sys.path[0]
    return ""


@pytest.fixture(params=["inputs", "evdev"])
def library(request, monkeypatch):
    """Return the name of the library that reads the pad; `inputs` finds no names in /sys."""
    monkeypatch.setattr(inputs.GamePad, "_set_name", lambda self: None)
    if request.param == "evdev" and (reason := import_evdev()):
        bench.skip_or_fail(reason)
    return request.param


@pytest.fixture
def open_pad(pi, clock, library):
    """Yield a function that opens the pad of the Pi."""
    opened = []

    def open_pad(**conf):
        pad = XboxPad(
            hardware_conf.XboxPadConf(**({"dead_zone": 0.0, "library": library} | conf)),
            clock,
            conf_file=pi.folder / "hardware_conf.json",
            folders=Folders(pi.sys_input, pi.input),
        )
        opened.append(pad)
        return pad

    yield open_pad
    for pad in opened:
        pad.close()


@pytest.fixture
def fake_pad(pi):
    with FifoPad(pi) as pad:
        yield pad


@pytest.fixture
def device(monkeypatch, fake_pad):
    """Return the device of the fake pad, which answers questions about its axes and buttons."""
    return Device(monkeypatch, fake_pad)
