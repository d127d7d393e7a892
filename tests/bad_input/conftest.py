"""A workspace for rows of bad input, and the check that a script refuses one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import path
from tests.bad_input.rows import STEERING, assert_one_line, run
from tests.conftest import document, save
from tests.helpers.folders import snapshot
from tests.helpers.permissions import permissions_enforced


@pytest.fixture(scope="module")
def prepared_workspace(tmp_path_factory) -> Path:
    """Return a folder with a drive, a `hardware_conf.json`, and a home with the drive uploaded."""
    folder = tmp_path_factory.mktemp("prepared")
    save(folder / "drive", [document(number, steering=STEERING[number]) for number in range(5)])
    shutil.copy(path.HARDWARE_CONF, folder / "hardware_conf.json")
    subprocess.run(
        [sys.executable, str(path.ROOT / "get_data" / "upload_data.py"), str(folder / "drive")],
        env={**os.environ, "PATATE_HOME": str(folder / "home")},
        capture_output=True,
        check=True,
    )
    return folder


@pytest.fixture
def workspace(prepared_workspace, tmp_path, monkeypatch) -> Path:
    """Return the current directory of a test: `drive`, `hardware_conf.json` and `home`."""
    folder = tmp_path / "workspace"
    shutil.copytree(prepared_workspace, folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATATE_HOME", str(folder / "home"))
    monkeypatch.setattr(path, "HARDWARE_CONF", folder / "hardware_conf.json")
    return folder


@pytest.fixture
def assert_refused(workspace, monkeypatch, capfd, no_collection):
    """Return a function that runs a row and checks its exit code, its message, and the files."""

    def check(row):
        row.prepare(workspace)
        for name, value in row.variables.items():
            monkeypatch.setenv(name, value)
        before = snapshot(workspace, without=row.output)
        with permissions_enforced():
            code = run(row.script, row.arguments)
        output = capfd.readouterr()
        assert_one_line(output.out, output.err, row.code, row.facts)
        assert code == row.code
        assert snapshot(workspace, without=row.output) == before

    return check
