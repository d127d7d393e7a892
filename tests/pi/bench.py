"""A Pi for tests of the motors: one that can be had here, or the reason why not."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

import path
from tests.pi import libraries, namespace, pulses
from tests.pi.namespace import Pi


def pi(folder: Path) -> Pi:
    """A Pi in that folder; where there can be none the test is skipped, or fails in CI."""
    if why := namespace.lacking():
        cannot_run(why)
    return namespace.make(folder)


def cannot_run(why: str) -> NoReturn:
    """The test is skipped, or fails in CI."""
    (pytest.fail if namespace.required() else pytest.skip)(why)


def needs_priority() -> None:
    """This process may have real-time priority; where it may not, the test cannot run."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        cannot_run("real-time priority is not allowed; run as root")
    os.sched_setscheduler(0, *before)


def environment(pi: Pi) -> dict[str, str]:
    """For a process in there: it finds RPi.GPIO and what is ours, and its pulses can be seen."""
    found = os.pathsep.join([str(libraries.rpi_gpio()), str(path.ROOT)])
    return os.environ | pulses.environment(pi) | {"PYTHONPATH": found}
