"""Pis for tests of the motors, where this machine can emulate one."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

import path
from tests.pi import namespace, pulses
from tests.pi.libraries import BY_REGISTERS, GpioLibrary
from tests.pi.namespace import Pi
from tests.servers.fetching import Missing


def create_pi(folder: Path, library: GpioLibrary = BY_REGISTERS) -> Pi:
    """Create a Pi in the folder; skip the test where that is not possible, or fail it in CI."""
    if reason := namespace.missing_support():
        skip_or_fail(reason)
    try:
        library.packages()
    except Missing as error:
        skip_or_fail(f"without {library.name}: {error}")
    return namespace.create_pi(folder, library)


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test, or fail it in CI."""
    (pytest.fail if namespace.is_required() else pytest.skip)(reason)


def require_realtime_priority() -> None:
    """Skip or fail the test unless this process may have real-time priority."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        skip_or_fail("real-time priority is not allowed; run as root")
    os.sched_setscheduler(0, *before)


def environment(pi: Pi) -> dict[str, str]:
    """Return variables for a process in the Pi: the path of its library, and visible pulses."""
    python_path = os.pathsep.join([str(pi.library.packages()), str(path.ROOT)])
    return os.environ | pulses.environment(pi) | {"PYTHONPATH": python_path}
