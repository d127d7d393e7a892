"""Paths as people give them, on systems that are not all alike."""

import json
import subprocess
import sys

import pytest

import path
from get_data import (
    contact_sheet,
    run_manual,
    search_and_download,
    upload_data,
    upload_to_db,
    write_label_template,
)
from get_data.labelizer import catalogue
from get_data.labels import label_file
from tests.conftest import document, save

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
