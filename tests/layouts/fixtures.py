"""Fixtures of the earlier layouts: a test that requests one runs once for each."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.layouts import LAYOUTS


@pytest.fixture(params=LAYOUTS, ids=lambda layout: layout.name)
def layout(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of an earlier version's files."""
    return shutil.copytree(request.param, tmp_path / "layout")


@pytest.fixture
def expected(layout: Path) -> Any:
    """The content of those files, as the version that wrote them knew it."""
    return json.loads((layout / "expected.json").read_text())
