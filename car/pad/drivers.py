"""Pads by the driver that `hardware_conf.json` names."""

from pathlib import Path
from typing import Protocol

import path
from car.hardware_conf import XboxPadConf
from car.interfaces import Clock, Pad
from car.pad import pad_map
from car.pad.pad_map import PadMap
from car.pad.xbox_pad import XboxPad


class MappedPad(Pad, Protocol):
    """Pad whose controls have names, so that they can be shown."""

    @property
    def name(self) -> str:
        """The pad's own name."""

    @property
    def controls(self) -> PadMap:
        """The map in use."""


def check_map(conf: XboxPadConf, *, conf_file: Path = path.HARDWARE_CONF) -> None:
    """Check the user's map, a file beside `conf_file`, without opening a pad.

    Raises:
        InputError: the map cannot be used.
    """
    if conf.map:
        pad_map.read(conf_file.parent / conf.map)


def open_pad(conf: XboxPadConf, clock: Clock, *, conf_file: Path = path.HARDWARE_CONF) -> MappedPad:
    """Open the first pad that is connected.

    Raises:
        InputError: the map cannot be used.
        PadLost: no pad is connected, or it cannot be read.
    """
    match conf:
        case XboxPadConf():
            return XboxPad(conf, clock, conf_file=conf_file)
