"""A pad made of FIFOs in the folders of a Pi, read in this process."""

import warnings

import pytest

from car import hardware_conf
from car.clock import VirtualClock
from car.pad.devices import Folders
from car.pad.xbox_pad import XboxPad
from tests.pad.helpers import Device
from tests.pi import namespace
from tests.pi.pad import FifoPad

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of devices on this machine that it cannot name
    import inputs


@pytest.fixture
def pi(tmp_path):
    return namespace.create_pi(tmp_path / "pi")


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def open_pad(pi, clock, monkeypatch):
    """Yield a function that opens the pad of the Pi; the library finds no names in /sys."""
    monkeypatch.setattr(inputs.GamePad, "_set_name", lambda self: None)
    opened = []

    def open_pad(**conf):
        pad = XboxPad(
            hardware_conf.XboxPadConf(**({"dead_zone": 0.0} | conf)),
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
def device(monkeypatch):
    """Return a device that answers questions about its axes and buttons."""
    return Device(monkeypatch)
