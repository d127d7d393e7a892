"""A Pi for tests of the motors: one that can be had here, or the reason why not."""

import os
from pathlib import Path

import pytest

import path
from tests.pi import libraries, namespace, pulses
from tests.pi.namespace import Pi


def pi(folder: Path) -> Pi:
    """A Pi in that folder; where there can be none the test is skipped, or fails in CI."""
    if why := namespace.lacking():
        (pytest.fail if namespace.required() else pytest.skip)(why)
    return namespace.make(folder)


def environment(pi: Pi) -> dict[str, str]:
    """For a process in there: it finds RPi.GPIO and what is ours, and its pulses can be seen."""
    found = os.pathsep.join([str(libraries.rpi_gpio()), str(path.ROOT)])
    return os.environ | pulses.environment(pi) | {"PYTHONPATH": found}
