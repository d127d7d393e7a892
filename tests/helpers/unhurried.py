"""Drives that a busy machine does not stop: for tests of anything but what happens when it does.

A drive that was held up stops the car and records nothing until Menu is pressed again, and a guard
that gets no turn counts as dead. Both are right, and tried where they are what a test is about.
"""

from pathlib import Path

import pytest

from car import drive
from car.motors import guarded_motors
from get_data import run_manual
from tests.helpers.faults import before_anything
from tests.helpers.waiting import HANGS_S

_LIMITS = ("_START_TIMEOUT_S", "_STATUS_TIMEOUT_S", "_EXIT_TIMEOUT_S")

# Run first by each Python process; the other processes of a drive have no such limits.
_CODE = f"""
import sys
run = " ".join(sys.orig_argv)
if "run_manual" in run or "car.motors.guard" in run:
    from car import interfaces
    interfaces.COMMAND_TIMEOUT_S = {HANGS_S}
if "run_manual" in run:
    from car.motors import guarded_motors
    for name in {_LIMITS}:
        setattr(guarded_motors, name, {HANGS_S})
"""


class UnhurriedDrive(drive.Drive):
    """A drive whose time is up only when it has had a picture to record."""

    def __init__(self, *, on_picture, **parts) -> None:
        self._had_picture = False

        def had_picture(frame, command):
            on_picture(frame, command)
            self._had_picture = True

        super().__init__(on_picture=had_picture, **parts)

    def _control(self, duration_s):
        super()._control(duration_s)
        while not (self._had_picture or self.state.ended or self._stop.is_set()):
            super()._control(self.timing.period_s)


def drives(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Drives of this process, and of those that are started from now on, are not hurried."""
    monkeypatch.setattr(drive, "COMMAND_TIMEOUT_S", HANGS_S)
    for name in _LIMITS:
        monkeypatch.setattr(guarded_motors, name, HANGS_S)
    monkeypatch.setattr(run_manual, "Drive", UnhurriedDrive)
    before_anything(monkeypatch, folder, _CODE)


def hurry_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are started from now on keep their limits."""
    monkeypatch.delenv("PYTHONPATH")
