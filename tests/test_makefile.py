"""What the targets of the Makefile would do, told by make without doing it."""

import shutil
import subprocess

import pytest

import path


def told(folder, *arguments):
    """The commands that make would run in a clone that has no environment yet."""
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(path.ROOT / name, folder)
    command = ["make", "--dry-run", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("arguments", "tests_too"),
    [
        (["demo"], False),
        (["demo", "DATABASE=team"], True),  # it starts the servers of the tests
        (["servers"], True),
        (["check"], True),
        (["test"], True),
    ],
    ids=["demo", "demo of a team", "servers", "check", "test"],
)
def test_only_what_runs_the_tests_installs_what_they_need(arguments, tests_too, tmp_path):
    commands = told(tmp_path, *arguments)
    assert "-r requirements.txt" in commands
    assert ("-r requirements-dev.txt" in commands) is tests_too


def test_pip_is_quiet_where_nobody_looks(tmp_path):
    installing = [line for line in told(tmp_path, "test").splitlines() if "pip install" in line]
    assert len(installing) == 2
    assert all("[ -t 1 ] || echo --quiet" in line for line in installing)
