"""Drives that a busy machine does not stop, for tests of anything else.

A drive that is delayed stops the car and records nothing until Menu is pressed again, and a guard
that is not scheduled counts as dead. Both are right, and have tests of their own.
"""

from pathlib import Path

import pytest

from car import drive
from car.motors import guarded_motors
from car.pilot import piloting
from get_data.commands import run_manual
from tests.helpers.faults import before_anything
from tests.helpers.patience import CODE, LIMITS
from tests.helpers.waiting import HANGS_S


class UnhurriedDrive(drive.Drive):
    """A drive that does not end before its first picture."""

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
    """Remove the time limits of drives, in this process and in those started from now on."""
    monkeypatch.setattr(drive, "COMMAND_TIMEOUT_S", HANGS_S)
    monkeypatch.setattr(piloting, "TIMEOUT_S", HANGS_S)
    monkeypatch.setattr(piloting, "GIVE_UP_S", HANGS_S)
    for name in LIMITS:
        monkeypatch.setattr(guarded_motors, name, HANGS_S)
    monkeypatch.setattr(run_manual, "Drive", UnhurriedDrive)
    before_anything(monkeypatch, folder, CODE)


def hurry_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the time limits in processes that are started from now on."""
    monkeypatch.delenv("PYTHONPATH")
