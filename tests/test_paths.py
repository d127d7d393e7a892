"""Paths as people give them, on systems that are not all alike."""

import json
import subprocess
import sys

import pytest

import path
from get_data import (
    back_up,
    check_database,
    check_set,
    contact_sheet,
    diff_sets,
    edit_labels,
    export_set,
    free_space,
    freeze_set,
    import_drive,
    run_labelizer,
    run_manual,
    search_and_download,
    show_database,
    upload_data,
    upload_to_db,
    write_label_template,
)
from get_data.database.connection import TEAM_NEEDS
from get_data.labelizer import catalogue
from get_data.labels import label_file
from tests.bad_input.rows import run
from tests.conftest import document, save
from tests.helpers.folders import snapshot

pytestmark = pytest.mark.new_interpreter  # what a start imports is their subject

SCRIPTS = sorted(
    file.name
    for file in (path.ROOT / "get_data").glob("*.py")
    if "def parse_args" in file.read_text(encoding="utf-8")
)


@pytest.fixture
def me(tmp_path, monkeypatch):
    """The home folder, with a drive in it; the current folder is another one."""
    home, here = tmp_path / "me", tmp_path / "here"
    here.mkdir()
    save(home / "drive", [document(number) for number in range(3)])
    label_file.write(home / "none.json", {})
    (home / "q.json").write_text(json.dumps({"event": {"type": "exists"}}))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    return home


TILDES = [
    (write_label_template, ["--output=~/x.json"], "x.json"),
    (contact_sheet, ["~/drive", "--output=~/x.png"], "x.png"),
    (search_and_download, ["--pictures=~/out", "--query=~/q.json"], "out/labels.json"),
    (search_and_download, ["-p", "~/out", "-o", "~/out/x.json", "--no-download"], "out/x.json"),
    (run_manual, ["--output=~/new", "--simulate", "--duration=0.5", "--event=x"], "new"),
    (upload_data, ["~/drive", "--pictures=~/drive"], "drive/labels.json"),
    (upload_to_db, ["~/none.json", "-p", "~/drive", "-y"], "none.json"),
]


@pytest.mark.parametrize(
    ("script", "arguments", "there"), TILDES, ids=lambda one: getattr(one, "__name__", None)
)
def test_a_tilde_is_the_home_folder_whoever_passes_it_on(script, arguments, there, me, capsys):
    """bash leaves it as it is in --output=~/x, and so do dash, make and systemd."""
    assert script.main(arguments) == 0, capsys.readouterr().err
    assert (me / there).exists()
    assert list((me.parent / "here").iterdir()) == []


def test_a_folder_that_is_called_so_is_reached(me, capsys):
    save(me.parent / "here" / "~", [document(7)])
    assert upload_data.main(["./~"]) == 0
    assert json.loads(capsys.readouterr().out)["created"] == 1


NO_USER = "~nobodyx"
NO_USERS = [
    (upload_data, ["{}/drive"]),
    (upload_data, ["drive", "-p", "{}/drive"]),
    (upload_to_db, ["drive", "--pictures={}/drive"]),
    (search_and_download, ["-p", "{}/out"]),
    (search_and_download, ["-p", "out", "-o", "{}/labels.json"]),
    (search_and_download, ["--count", "-q", "{}/q.json"]),
    (edit_labels, ["-q", "{}/q.json", "--delete", "-y"]),
    (show_database, ["-q", "{}/q.json"]),
    (run_manual, ["-o", "{}/drive", "--simulate", "--duration=0.5"]),
    (run_manual, ["-o", "new", "--simulate", "--duration=0.5", "--pilot", "{}/model.json"]),
    (import_drive, ["{}/tub", "-o", "new"]),
    (import_drive, ["drive", "-o", "{}/new"]),
    (export_set, ["{}/drive", "-o", "new", "--format=csv"]),
    (export_set, ["drive", "-o", "{}/new", "--format=csv"]),
    (check_set, ["{}/drive"]),
    (check_set, ["drive", "--html={}/x.html"]),
    (contact_sheet, ["{}/drive"]),
    (contact_sheet, ["drive", "-o", "{}/x.png"]),
    (check_database, ["{}/drive"]),
    (back_up, ["{}/backup"]),
    (free_space, ["{}/drive", "-y"]),
    (freeze_set, ["base", "{}/drive"]),
    (diff_sets, ["{}", "drive"]),
    (diff_sets, ["drive", "{}/labels.json"]),
    (run_labelizer, ["{}/drive"]),
    (run_labelizer, ["drive", "--labels={}/labels.json"]),
    (run_labelizer, ["drive", "--compare={}/labels.json"]),
    (write_label_template, ["-o", "{}/x.json"]),
]


@pytest.mark.parametrize(
    ("script", "arguments"),
    NO_USERS,
    ids=[f"{script.__name__.rpartition('.')[2]} {' '.join(each)}" for script, each in NO_USERS],
)
def test_the_home_of_no_user_is_refused_and_no_folder_is_named_so(script, arguments, me, capsys):
    here = me.parent / "here"
    save(here / "drive", [document(number) for number in range(3)])
    before = snapshot(here)
    code = run(script, [each.format(NO_USER) for each in arguments])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert NO_USER in err.splitlines()[-1]
    assert f"./{NO_USER}" in err.splitlines()[-1]
    assert snapshot(here) == before


def test_every_script_that_has_a_path_is_tried_with_the_home_of_no_user():
    tried = {f"{script.__name__.rpartition('.')[2]}.py" for script, _ in NO_USERS}
    assert tried == set(SCRIPTS)


@pytest.mark.parametrize("name", ["PATATE_HOME", "PATATE_ES_CA_CERTS"])
@pytest.mark.parametrize(
    ("script", "arguments"), [(show_database, []), (run_labelizer, ["../me/drive"])]
)
def test_a_variable_with_the_home_of_no_user_is_named(
    name, script, arguments, me, monkeypatch, capsys
):
    team = dict.fromkeys(TEAM_NEEDS, "https://es.invalid:9200")
    for variable, value in (team if name == "PATATE_ES_CA_CERTS" else {}).items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv(name, f"{NO_USER}/x")
    before = snapshot(me.parent)
    assert run(script, arguments) == 2
    assert name in capsys.readouterr().err
    assert snapshot(me.parent) == before


def test_a_folder_whose_name_begins_with_a_tilde_is_reached_by_its_path(me, capsys):
    save(me.parent / "here" / NO_USER, [document(7)])
    assert run(upload_data, [f"./{NO_USER}"]) == 0
    assert json.loads(capsys.readouterr().out)["created"] == 1


def test_the_labelizer_counts_no_files_of_macos_as_pictures(me):
    """On exFAT and network drives macOS keeps `._x.jpg` beside each `x.jpg`."""
    for file in [*(me / "drive").iterdir()]:
        (me / "drive" / f"._{file.name}").write_bytes(b"\0\5\x16\7" + bytes(4092))
    found = catalogue.read_catalogue(me / "drive" / label_file.NAME, me / "drive")
    assert found.problems["unlabelled"] == []


WINDOWS_LACKS = "import signal, sys; sys.modules['fcntl'] = None; del signal.SIGHUP"


@pytest.mark.parametrize("script", SCRIPTS)
def test_on_windows_a_script_says_so_in_one_line(script):
    """Of Windows no more can be had here than what it lacks."""
    code = f"{WINDOWS_LACKS}; import runpy; runpy.run_path({script!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        cwd=path.ROOT / "get_data",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "WSL" in line


MACOS_LACKS = """
import ctypes, os, sys
libc = ctypes.CDLL
class Mac(libc):
    def __getattr__(self, name):
        if name in ("syncfs", "renameat2"):
            raise AttributeError(name)
        return super().__getattr__(name)
ctypes.CDLL = Mac
for name in ("memfd_create", "sched_setaffinity", "pidfd_open", "SCHED_RR", "SCHED_FIFO"):
    if hasattr(os, name):
        delattr(os, name)
"""


@pytest.mark.parametrize("script", [name for name in SCRIPTS if name != "run_manual.py"])
def test_at_the_desk_nothing_is_needed_that_only_linux_has(script):
    code = f"{MACOS_LACKS}\nimport runpy; runpy.run_path({script!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        cwd=path.ROOT / "get_data",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
