"""Readers of other projects as fixtures: functions that run code in their environment."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.environments import readers
from tests.servers.fetching import Missing

FIXTURES = {"datasets_reader", "donkeycar_reader"}

Run = Callable[..., Any]


@pytest.fixture
def datasets_reader(tmp_path: Path) -> Run:
    """Return a function that runs code with `datasets`, `lerobot_doctor` and `webdataset`.

    It returns the JSON that the code prints last; further arguments are the code's `sys.argv[1:]`.
    """
    return _reader(readers.DATASETS, tmp_path)


@pytest.fixture
def donkeycar_reader(tmp_path: Path) -> Run:
    """Return a function that runs code with `donkeycar`, as `datasets_reader`."""
    return _reader(readers.DONKEYCAR, tmp_path)


def _reader(environment: readers.Readers, tmp_path: Path) -> Run:
    """Return the function; skip where the environment cannot be made, but not in CI."""
    try:
        python = readers.fetch(environment)
    except Missing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    home = tmp_path / "home_of_readers"
    home.mkdir()
    return lambda code, *arguments: readers.run(python, code, *arguments, home=home)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use other readers: importing those takes seconds."""
    for item in items:
        if FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
