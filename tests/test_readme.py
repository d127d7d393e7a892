"""The README and the code say the same."""

import importlib
import re

import pytest

import errors
import path
from get_data import command_line
from get_data.database import connection
from tests.stopping import STOPS
from tests.test_scripts import SCRIPTS

README = (path.ROOT / "README.md").read_text()


@pytest.fixture
def options(script, capsys):
    """The long options of a script, as its help lists them."""
    module = importlib.import_module(f"get_data.{script.stem}")
    with pytest.raises(SystemExit):
        module.parse_args(["--help"])
    shown = capsys.readouterr().out
    return set(re.findall(r"--[a-z][a-z-]+", shown)) - {"--help"}


def paragraph(script):
    """What the README says of a script."""
    (found,) = re.findall(rf"^\*\*`{script.name}.*?(?=\n\n)", README, re.DOTALL | re.MULTILINE)
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_every_option_of_a_script_is_told(script, options):
    told = set(re.findall(r"--[a-z][a-z-]+", paragraph(script)))
    # `-p` and `-o` are told by their short names.
    assert options - {"--pictures", "--output", "--query", "--yes"} <= told
    assert told <= options


def test_every_exit_code_is_told():
    table = dict(re.findall(r"^\| (\d+) \| (.*) \|$", README, re.MULTILINE))
    codes = {
        command_line.DONE,
        command_line.FAILED,
        command_line.WRONG_USAGE,
        command_line.SOME_ITEMS_FAILED,
        command_line.INTERRUPTED,
        errors.ToolkitError.exit_code,
        errors.InputError.exit_code,
    }
    assert {int(code) for code in table} == codes


def test_every_error_is_in_the_tree_of_its_module():
    told = re.findall(r"(\w+) +(\d)  ", errors.__doc__)
    real = {
        name: error.exit_code
        for name, error in vars(errors).items()
        if isinstance(error, type) and issubclass(error, errors.ToolkitError)
    }
    assert {name: int(code) for name, code in told} == real


def test_every_variable_is_told():
    told = set(re.findall(r"`(PATATE_[A-Z0-9_]+)`", README))
    assert {connection.CHOICE, *connection.TEAM_NEEDS, "PATATE_HOME"} <= told


def test_every_dependency_is_told_with_a_reason():
    table = README.split("## Dependencies")[1].split("\n## ")[0]
    told = set(re.findall(r"[\w-]+", " ".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE))))
    needed = {
        re.split(r"[<>=;]", line)[0].strip()
        for name in ("requirements.txt", "requirements-pi.txt", "requirements-dev.txt")
        for line in (path.ROOT / name).read_text().splitlines()
        if line and not line.startswith("#")
    }
    assert needed <= told


def test_every_module_stands_in_the_tree():
    tree = README.split("## The house")[1]
    modules = [
        file
        for folder in ("car", "get_data")
        for file in (path.ROOT / folder).rglob("*.py")
        if file.name != "__init__.py"
    ]
    missing = [file.name for file in modules if file.name not in tree]
    assert missing == []


def test_every_file_of_the_tree_is_there():
    tree = README.split("## The house")[1].split("\n\n")[1]
    there = {file.name for file in path.ROOT.rglob("*.*")}
    assert [
        name for name in re.findall(r"\b\w+\.(?:py|json|sh)\b", tree) if name not in there
    ] == []


def test_the_two_commands_are_targets():
    targets = re.findall(r"^(\w+):", (path.ROOT / "Makefile").read_text(), re.MULTILINE)
    told = re.findall(r"\bmake ([a-z]+)\b", README)
    assert set(told) <= set(targets)


SAFETY = (path.ROOT / "docs" / "safety.md").read_text()


def guarantees():
    """The cells of the safety page that say which tests hold a guarantee."""
    rows = [line for line in SAFETY.splitlines() if line.startswith("| ")]
    return [row.split("|")[-2] for row in rows if "held by" not in row]


@pytest.mark.parametrize("held_by", guarantees(), ids=lambda cell: cell.strip()[:40])
def test_every_guarantee_is_held_by_tests_that_are_there(held_by):
    ways = {stop.name for stop in STOPS}
    files = re.findall(r"`(test_\w+\.py)`", held_by)
    assert files
    tests = "".join((path.ROOT / "tests" / file).read_text() for file in files)
    names = re.findall(r"`(test_\w+)`", held_by)
    assert all(f"def {name}(" in tests for name in names)
    told = re.findall(r"\[(.*?)\]", held_by)
    assert all(any(way.startswith(one) for way in ways) for one in told)
    assert names or told


def test_every_way_to_stop_is_on_the_safety_page():
    told = re.findall(r"`test_stopping.py` \[(.*?)\]", SAFETY)
    untold = {stop.name for stop in STOPS if not any(stop.name.startswith(one) for one in told)}
    assert untold == {"the drive is told to end (SIGTERM)"}  # as Ctrl-C and a closed terminal


@pytest.mark.parametrize("page", ["README.md", "docs/safety.md", "docs/raspberry_pi.md"])
def test_every_link_to_a_file_leads_somewhere(page):
    file = path.ROOT / page
    links = re.findall(r"\]\(([^)#:]+)\)", file.read_text())
    assert [link for link in links if not (file.parent / link).exists()] == []
