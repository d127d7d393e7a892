"""Drives that a busy machine does not stop, and motors that must stay closed."""

import pytest

from car import assembly
from tests.helpers import unhurried


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch, tmp_path_factory):
    unhurried.drives(monkeypatch, tmp_path_factory.mktemp("unhurried"))


@pytest.fixture
def no_motors(monkeypatch):
    """Fail the test if the motors are opened."""

    def fail(_car):
        raise AssertionError("the motors were opened")

    monkeypatch.setattr(assembly.SimulatedCar, "open_motors", fail)
