"""What the targets of the Makefile would do, told by make without doing it."""

import shutil
import subprocess

import pytest

import path
from tests.helpers import terminal

MAKE_READS = (
    "Makefile",
    "pyproject.toml",
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-export.txt",
    "requirements-lint.txt",
    "package.json",
    "package-lock.json",
    ".npmrc",
)


def told(folder, *arguments):
    """The commands that make would run in a clone that has no environment yet."""
    copy_what_make_reads(folder)
    command = ["make", "--dry-run", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def copy_what_make_reads(folder):
    for name in MAKE_READS:
        shutil.copy(path.ROOT / name, folder)


@pytest.mark.parametrize(
    ("arguments", "tests_too"),
    [
        (["demo"], False),
        (["demo", "DATABASE=team"], True),  # it starts the servers of the tests
        (["servers"], True),
        (["versions"], True),
        (["virtualpi"], True),
        (["check"], True),
        (["test"], True),
    ],
    ids=["demo", "demo of a team", "servers", "versions", "virtualpi", "check", "test"],
)
def test_only_what_runs_the_tests_installs_what_they_need(arguments, tests_too, tmp_path):
    commands = told(tmp_path, *arguments)
    assert "-r requirements.txt" in commands
    assert ("-r requirements-dev.txt" in commands) is tests_too


@pytest.mark.parametrize(
    ("target", "lints"),
    [
        ("demo", False),
        ("versions", False),
        ("virtualpi", False),
        ("lint", True),
        ("check", True),
        ("test", True),
    ],
)
def test_only_what_lints_installs_node(target, lints, tmp_path):
    commands = told(tmp_path, target)
    assert ("-r requirements-lint.txt" in commands) is lints
    assert ("npm ci" in commands) is lints


def test_on_a_pi_nothing_is_installed_and_a_missing_environment_is_named(tmp_path):
    commands = told(tmp_path, "onpi", "OPTIONS=--loopback 23")
    assert "pip" not in commands
    assert "-m tests.on_pi --loopback 23" in commands
    command = ["make", "--no-print-directory", "onpi"]  # `make test` would name the folder
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stdout == "There is no .venv. See docs/raspberry_pi.md, section 1\n"


PYTHON_WITHOUT_NODE = """#!/bin/sh
case "$*" in
*"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
*requirements-lint.txt*) echo "ERROR: No matching distribution found" >&2; exit 1 ;;
esac
"""


def test_lint_says_in_one_line_that_node_cannot_be_installed(tmp_path):
    copy_what_make_reads(tmp_path)
    python = tmp_path / "python"
    python.write_text(PYTHON_WITHOUT_NODE)
    python.chmod(0o755)
    ran = subprocess.run(
        ["make", "--no-print-directory", "lint", f"PYTHON={python}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    said = [line for line in ran.stdout.splitlines() if not line.startswith("Installing ")]
    assert len(said) == 1
    assert "Node.js" in said[0]
    assert "pip install --only-binary :all: -r requirements-lint.txt" in said[0]
    assert len(ran.stderr.splitlines()) == 1  # make's own


PYTHON_THAT_ONLY_TELLS = """#!/bin/sh
case "$2" in
venv) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
pip) echo "asked: $*" ;;
esac
"""


@pytest.mark.parametrize("on_terminal", [True, False], ids=["terminal", "file"])
def test_pip_shows_its_progress_on_a_terminal_and_nowhere_else(on_terminal, tmp_path):
    copy_what_make_reads(tmp_path)
    python = tmp_path / "python"
    python.write_text(PYTHON_THAT_ONLY_TELLS)
    python.chmod(0o755)
    command = ["make", f"PYTHON={python}", ".venv/ready-to-test"]
    if on_terminal:
        _, said = terminal.run(command, cwd=tmp_path)
    else:
        said = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
    asked = [line for line in said.splitlines() if "asked: -m pip" in line]
    assert len(asked) == 2
    assert all(("--quiet" in line) != on_terminal for line in asked)
