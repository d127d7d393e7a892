"""All scripts: common mistakes, the environment, `--help` and `DEBUG`."""

import re
import subprocess
import sys

import pytest

from get_data import contact_sheet, upload_data, upload_to_db
from get_data.cli import output
from tests.helpers.label_files import mark_for_deletion
from tests.helpers.scripts import SCRIPTS

ENVIRONMENTS = [
    ({"PATATE_ES_URL": "http://x"}, 2, "not PATATE_S3_BUCKET"),
    ({"PATATE_S3_BUCKET": "b"}, 2, "not PATATE_ES_URL"),
    (
        {"PATATE_S3_KEY": "secret"},
        2,
        "not PATATE_ES_URL and PATATE_S3_BUCKET",
    ),
    (
        {"PATATE_ES_URL": "u", "PATATE_S3_BUCKET": "bucket"},
        2,
        "PATATE_ES_URL",
    ),
    ({"PATATE_DATABASE": "remote"}, 2, "PATATE_DATABASE is 'remote'"),
    ({"PATATE_ES_URL": "http://x", "PATATE_DATABASE": "local"}, 0, "database: local"),
    ({"PATATE_ES_URL": ""}, 0, "database: local"),
]


@pytest.mark.parametrize(
    ("variables", "code", "message"), ENVIRONMENTS, ids=[message for _, _, message in ENVIRONMENTS]
)
def test_the_environment_names_one_database_or_is_refused(
    call, drive, monkeypatch, variables, code, message
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = call(upload_data, drive)
    assert result[0] == code
    assert message in result[2]
    assert "secret" not in result[2]


def missing_file(tmp_path):
    return tmp_path / "none.json"


def folder_without_labels(tmp_path):
    return tmp_path


def file_with(content, name="labels.json"):
    def write(tmp_path):
        file = tmp_path / name
        file.write_bytes(content)
        return file

    return write


MISTAKES = [
    (missing_file, "none.json does not exist"),
    (folder_without_labels, "has no labels.json"),
    (file_with(b"{"), "labels.json, line 1, column 2: not JSON"),
    (file_with(b"[]"), "labels.json: not a label file"),
    (file_with(b'{"a": 3}'), "labels.json, entry 'a': Expected object, got int"),
    (file_with(b"\xff\xfe{\0}\0"), "labels.json is not UTF-8 text"),
    (file_with(b"\xff\xd8", "1.JPG"), "1.JPG is a picture; give its folder"),
]


@pytest.mark.parametrize("script", [upload_data, upload_to_db, contact_sheet])
@pytest.mark.parametrize(
    ("argument", "complaint"), MISTAKES, ids=[message for _, message in MISTAKES]
)
def test_common_mistakes_get_one_line(call, tmp_path, home, script, argument, complaint):
    code, out, err = call(script, argument(tmp_path))
    assert (code, out) == (2, None)
    assert err.startswith("error: ")
    assert complaint in err
    assert len(err.splitlines()) == 1
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("debug", ["", "1"])
@pytest.mark.parametrize(
    ("script", "code"), [(upload_data, 2), (upload_to_db, 1)], ids=["bad input", "declined"]
)
def test_debug_shows_the_traceback_and_changes_nothing_else(
    call, fetched, monkeypatch, script, code, debug
):
    """The exit code stays the same, and control characters are still escaped."""
    monkeypatch.setenv("DEBUG", debug)
    mark_for_deletion(fetched, 5)
    labels = fetched if code == 1 else fetched / "\x1b[2Jno\r\u202ene.json"
    ended, counts, err = call(script, labels)
    assert (ended, counts) == (code, None)
    assert ("Traceback" in err) == bool(debug)
    assert sum(line.startswith("error: ") for line in err.splitlines()) == 1
    assert all(character.isprintable() for line in err.split("\n") for character in line)


IMPORT = re.compile(r"^import time: .*\| +(\S+)$", re.MULTILINE)  # as `-X importtime` prints it
OURS = {"car", "common", "get_data", "path"}
SLOW = {
    "asyncio",
    "dataclasses",
    "email",
    "http",
    "inspect",
    "logging",
    "sqlite3",
    "ssl",
    "unittest",
}


@pytest.fixture
def start(tmp_path):
    """Starts a script as a user does, elsewhere: how it ended, and which modules it imported."""

    def run(script, option):
        done = subprocess.run(
            [sys.executable, "-I", "-X", "importtime", str(script), option],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        imported = IMPORT.findall(done.stderr)
        assert "argparse" in imported
        done.stderr = IMPORT.sub("", done.stderr).strip()
        at_start = imported.index("site") + 1  # which imports what packages have put there
        return done, imported[at_start:]

    return run


def check_light(imported):
    """Check that no library was imported, and nothing that takes time."""
    names = {name.partition(".")[0] for name in imported}
    assert names - OURS <= sys.stdlib_module_names
    assert names & SLOW == set()
    assert [name for name in imported if name.startswith("get_data.commands")] == []


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_every_script_runs_from_any_folder_and_has_a_help_text(script, start, tmp_path):
    done, imported = start(script, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: {script.name}")
    assert f"python get_data/{script.name}" in done.stdout
    assert list(tmp_path.iterdir()) == []
    check_light(imported)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_a_wrong_call_is_told_before_anything_is_loaded(script, start):
    done, imported = start(script, "--no-such-option")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"see {script.name} --help" in done.stderr.splitlines()[-1]
    check_light(imported)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 labels"), (1, "1 label"), (2, "2 labels"), (2031, "2,031 labels")]
)
def test_a_number_and_its_noun_agree(count, text):
    assert output.pluralize(count, "label") == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 kB"),
        (1, "1 kB"),
        (13_029, "14 kB"),
        (4_900_000, "4.9 MB"),
        (6 * 10**9, "6,000.0 MB"),
    ],
)
def test_a_small_size_is_not_shown_as_nothing(size_bytes, text):
    assert output.format_size(size_bytes) == text
