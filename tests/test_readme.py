"""The README and the code say the same."""

import importlib
import json
import re
import shutil
import subprocess
import tomllib
from datetime import UTC, datetime, timedelta

import pytest
from packaging.requirements import Requirement

import path
from common import errors
from get_data import search_and_download, upload_data
from get_data.cli import exit_codes
from get_data.database import connection
from tests.conftest import START, document, save
from tests.helpers.scripts import SCRIPTS, readme_arguments, readme_commands
from tests.pi.stopping import STOPS
from tests.test_makefile import MAKE_READS

README = (path.ROOT / "README.md").read_text()
SCRIPTS_PAGE = (path.ROOT / "docs" / "scripts.md").read_text()
TEAM_PAGE = (path.ROOT / "docs" / "team_database.md").read_text()
DEPENDENCIES_PAGE = (path.ROOT / "docs" / "dependencies.md").read_text()
SEARCHING_PAGE = (path.ROOT / "docs" / "searching.md").read_text()
CONTRIBUTING = (path.ROOT / "CONTRIBUTING.md").read_text()
ARCHITECTURE = (path.ROOT / "docs" / "architecture.md").read_text()
TREE = ARCHITECTURE.split("## Packages")[1].split("\n\n")[1]


@pytest.fixture
def options(script, capsys):
    """The long options of a script, as its help lists them."""
    module = importlib.import_module(f"get_data.{script.stem}")
    with pytest.raises(SystemExit):
        module.parse_args(["--help"])
    shown = capsys.readouterr().out
    return set(re.findall(r"--[a-z][a-z-]+", shown)) - {"--help", "--version"}


def paragraph(script):
    """The paragraphs of a script on the page of all scripts."""
    (found,) = re.findall(
        rf"^\*\*`{script.name}.*?(?=\n\n\*\*`|\n\n#|\Z)", SCRIPTS_PAGE, re.DOTALL | re.MULTILINE
    )
    return found


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 85 + 5 * len(SCRIPTS)  # a paragraph for each script


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_the_readme_has_a_paragraph_and_a_command_for_every_script(script):
    found = re.findall(rf"^\*\*`{script.name}`\*\*", README, re.MULTILINE)
    assert (len(found), len(readme_commands(script.name))) == (1, 1)
    module = importlib.import_module(f"get_data.{script.stem}")
    module.parse_args(readme_arguments(script.name))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_every_option_of_a_script_is_told(script, options):
    told = set(re.findall(r"--[a-z][a-z-]+", paragraph(script)))
    # `-p` and `-o` are told by their short names.
    assert options - {"--pictures", "--output", "--query", "--yes"} <= told
    assert told <= options


def test_every_exit_code_is_told():
    table = dict(re.findall(r"^\| (\d+) \| (.*) \|$", README, re.MULTILINE))
    codes = {
        exit_codes.DONE,
        exit_codes.FAILED,
        exit_codes.WRONG_USAGE,
        exit_codes.SOME_ITEMS_FAILED,
        exit_codes.INTERRUPTED,
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
    """Each that the code reads has its row in the table, and the table has no others."""
    table = TEAM_PAGE.split("## Environment variables")[1].split("\n## ")[0]
    told = re.findall(
        r"`([A-Z0-9_]+)`", "".join(re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE))
    )
    code = "".join(
        file.read_text()
        for folder in ("common", "car", "get_data")
        for file in (path.ROOT / "path.py", *(path.ROOT / folder).rglob("*.py"))
    )
    read = set(re.findall(r"\bPATATE_[A-Z0-9_]*[A-Z0-9]\b", code))
    assert read >= {"PATATE_HOME", connection.CHOICE, *connection.TEAM_NEEDS}
    assert set(told) == read | {"DEBUG", "SSL_CERT_FILE"}
    assert len(told) == len(set(told))


def test_every_dependency_is_told_with_a_reason():
    table = DEPENDENCIES_PAGE
    told = set(re.findall(r"[\w-]+", " ".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE))))
    needed = {
        re.split(r"[<>=;]", line)[0].strip()
        for file in path.ROOT.glob("requirements*.txt")
        for line in file.read_text().splitlines()
        if line and not line.startswith("#")
    }
    assert needed <= told
    tools = json.loads((path.ROOT / "package.json").read_bytes())["devDependencies"]
    assert {name.split("/")[-1] for name in tools} <= told


def test_every_module_stands_in_the_tree():
    modules = [
        file
        for folder in ("common", "car", "get_data")
        for file in (path.ROOT / folder).rglob("*.py")
        if file.name != "__init__.py"
    ]
    missing = [file.name for file in modules if file.name not in TREE]
    assert missing == []


def test_every_file_of_the_tree_is_there():
    there = {file.name for file in path.ROOT.rglob("*.*")}
    assert [
        name for name in re.findall(r"\b\w+\.(?:py|json|sh)\b", TREE) if name not in there
    ] == []


def test_the_two_commands_are_targets():
    targets = re.findall(r"^(\w+):", (path.ROOT / "Makefile").read_text(), re.MULTILINE)
    told = re.findall(r"`make ([a-z]+)\b", README + CONTRIBUTING)
    assert set(told) <= set(targets)


@pytest.mark.parametrize(
    ("python", "fits", "does_not"), [("3.11", "1.24.2", "2.0.0"), ("3.13", "2.2.4", "3.0.0")]
)
def test_a_pi_keeps_the_numpy_that_its_camera_was_built_for(python, fits, does_not):
    lines = (path.ROOT / "requirements-pi.txt").read_text().splitlines()
    needed = [Requirement(line) for line in lines if not line.startswith("#")]
    (numpy,) = [
        one.specifier
        for one in needed
        if one.name == "numpy"
        and (not one.marker or one.marker.evaluate({"python_version": python}))
    ]
    assert fits in numpy
    assert does_not not in numpy


def test_make_leaves_an_environment_that_was_made_by_hand(tmp_path):
    """As on a Pi, where it has to see the system's packages."""
    for name in MAKE_READS:
        shutil.copy(path.ROOT / name, tmp_path)
    settings = tmp_path / ".venv/pyvenv.cfg"
    settings.parent.mkdir()
    settings.write_text("include-system-site-packages = true\n")
    made = subprocess.run(
        ["make", "--no-print-directory", "check", "PYTHON=true"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 2
    assert made.stdout == (
        "The .venv that is here sees the system's packages, as on a Pi, and make would empty it. "
        "Use it as it is, or say: rm -r .venv\n"
    )
    assert settings.exists()


SAFETY = (path.ROOT / "docs" / "safety.md").read_text()


def guarantees():
    """The cells of the safety page that say which tests hold a guarantee."""
    rows = [line for line in SAFETY.splitlines() if line.startswith("| ")]
    return [row.split("|")[-2] for row in rows if "tested by" not in row]


@pytest.mark.parametrize("held_by", guarantees(), ids=lambda cell: cell.strip()[:40])
def test_every_guarantee_is_held_by_tests_that_are_there(held_by):
    ways = {stop.name for stop in STOPS}
    files = re.findall(r"`((?:\w+/)*test_\w+\.py)`", held_by)
    assert files
    tests = "".join((path.ROOT / "tests" / file).read_text() for file in files)
    names = re.findall(r"`(test_\w+)`", held_by)
    assert all(f"def {name}(" in tests for name in names)
    told = re.findall(r"\[(.*?)\]", held_by)
    assert all(any(way.startswith(one) for way in ways) for one in told)
    assert names or told


@pytest.mark.parametrize("page", ["architecture.md", "dependencies.md"])
def test_every_test_file_that_a_page_names_exists(page):
    text = (path.ROOT / "docs" / page).read_text()
    names = re.findall(r"`(?:tests/)?((?:\w+/)*test_\w+\.py)`", text)
    tests = path.ROOT / "tests"
    assert [name for name in names if not any(tests.rglob(name))] == []


def test_every_row_that_the_code_cites_is_there():
    code = "".join(file.read_text() for file in (path.ROOT / "car").rglob("*.py"))
    cited = re.findall(r"\b[SP]\d{1,2}\b", "".join(re.findall(r"#.*|\(safety .*\)", code)))
    assert len(cited) > 20
    assert set(cited) <= set(re.findall(r"^\| ([SP]\d+) \|", SAFETY, re.MULTILINE))


def test_every_way_to_stop_is_on_the_safety_page():
    told = re.findall(r"`test_stopping.py` \[(.*?)\]", SAFETY)
    untold = {stop.name for stop in STOPS if not any(stop.name.startswith(one) for one in told)}
    assert untold == {"the drive is told to end (SIGTERM)"}  # as Ctrl-C and a closed terminal


SUNDAY = datetime(2026, 11, 22, 15, tzinfo=UTC)
EXPECTED = [{0}, {1}, {1, 2}, {2}, {3}, {5, 6}, {7}, {1, 2}, set(range(10)), {8}]


def drive_to_ask_about():
    """Labels of which each differs from the usual one in what some question is about."""
    usual = {"event": "practice", "driver": "Bob", "throttle": 0.1}
    differences = [
        {},
        {"steering": -0.9},
        {"steering": 0.9, "throttle": 0.4},
        {"event": "Sunday race"},
        {"event": "race trial"},
        {"driver": "Zoé"},
        {"driver": "ADA L."},
        {"created_by": "Zoé"},
        {"weather": "rain"},
        {"weather": "sunny"},
        {"raw": False},
    ]
    after = (SUNDAY - START) // timedelta(milliseconds=100)
    return [
        document(number or after, **usual | difference)
        for number, difference in enumerate(differences)
    ]


def test_every_question_to_copy_finds_what_it_asks_for(tmp_path, call):
    documents = drive_to_ask_about()
    assert call(upload_data, save(tmp_path / "drive", documents))[0] == 0
    numbers = {one["img_id"]: number for number, one in enumerate(documents)}
    questions = re.findall(r"```json\n(.*?)```", SEARCHING_PAGE, re.DOTALL)
    assert len(questions) == len(EXPECTED)
    for number, (question, expected) in enumerate(zip(questions, EXPECTED, strict=True)):
        out = tmp_path / str(number)
        assert call(search_and_download, "-q", question, "-p", out)[0] == 0, question
        labels = json.loads((out / "labels.json").read_text())
        assert {numbers[img_id] for img_id in labels} == expected, question


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_every_script_tells_its_version(script, capsys):
    project = tomllib.loads((path.ROOT / "pyproject.toml").read_text())["project"]
    module = importlib.import_module(f"get_data.{script.stem}")
    with pytest.raises(SystemExit) as ended:
        module.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"patate {project['version']}\n"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_every_help_text_fits_a_terminal_and_keeps_its_commands(script, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    module = importlib.import_module(f"get_data.{script.stem}")
    with pytest.raises(SystemExit):
        module.parse_args(["--help"])
    lines = capsys.readouterr().out.splitlines()
    commands = [line for line in module.__doc__.splitlines() if line.startswith("    ")]
    assert commands != []
    assert set(commands) <= set(lines)
    assert [line for line in lines if len(line) > 80 and line not in commands] == []
