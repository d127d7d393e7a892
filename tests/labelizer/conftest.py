"""A recorded folder, and a workspace on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from get_data.labelizer.workspace import Workspace
from tests.browser.drives import drive
from tests.conftest import START
from tests.labelizer.helpers import read_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures with directions 0 1 2 3 4 0 ..."""
    return drive(tmp_path / "drive")


@pytest.fixture
def workspace(folder: Path) -> Iterator[Workspace]:
    """A workspace on the folder, at a fixed time."""
    workspace = Workspace(read_folder(folder), "Zoé", now=lambda: START)
    yield workspace
    workspace.close()
