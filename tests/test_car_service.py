"""The systemd service of a car that sends its drives: what it names exists, and what it does."""

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

import path
from get_data import free_space, upload_data
from tests.conftest import document, save
from tests.helpers.waiting import HANGS_S

FOLDER = path.ROOT / "docs" / "systemd"
SEND = FOLDER / "send.sh"
UNITS = ["patate-send@.service", "patate-send@.timer"]
PAGE = (path.ROOT / "docs" / "raspberry_pi.md").read_text().split("## 6. ")[1].split("\n## ")[0]
HOME = "/home/%i/patate/"
PARSERS = {"upload_data.py": upload_data.parse_args, "free_space.py": free_space.parse_args}


def read_unit(name):
    unit = configparser.ConfigParser(interpolation=None, delimiters="=")
    unit.optionxform = str
    unit.read_string((FOLDER / name).read_text())
    return unit


def test_the_service_names_a_program_that_is_there_and_is_never_root():
    service = read_unit("patate-send@.service")["Service"]
    program, drives, share = shlex.split(service["ExecStart"])
    file = path.ROOT / program.removeprefix(HOME)
    assert os.access(file, os.X_OK)
    assert service["WorkingDirectory"] + "/" == HOME
    assert service["ReadWritePaths"] + "/" == HOME
    assert (drives, share) == ("drives", "20%%")
    assert service["User"] == "%i"
    assert service["Type"] == "oneshot"


def test_the_timer_starts_the_service_again_and_after_a_boot():
    timer = read_unit("patate-send@.timer")
    assert {"OnBootSec", "OnUnitInactiveSec"} <= timer["Timer"].keys()
    assert timer["Install"]["WantedBy"] == "timers.target"


def test_every_command_of_the_service_is_one_that_the_script_takes():
    """As `send.sh` writes them, with the shell's variables in the place of folders."""
    commands = re.findall(
        r"^ +parked get_data/(\w+\.py) (.*?) \|\|", SEND.read_text(), re.MULTILINE
    )
    assert [script for script, _ in commands] == list(PARSERS)
    for script, rest in commands:
        PARSERS[script](shlex.split(rest.replace("$share", "20%")))


def test_the_page_installs_what_is_there():
    text = " ".join((FOLDER / name).read_text() for name in [*UNITS, "send.sh"])
    for name in re.findall(r'docs/\w+\.md, "(.+?)"', text):
        assert f"## {name}" in (path.ROOT / "docs" / "raspberry_pi.md").read_text()
    assert "docs/systemd/patate-send@.*" in PAGE
    assert sorted(file.name for file in FOLDER.glob("patate-send@.*")) == UNITS
    environment = read_unit(UNITS[0])["Service"]["EnvironmentFile"]
    assert f"sudo install -m 600 /dev/null {environment}" in PAGE
    assert "sudo install -d -m 700 /etc/patate" in PAGE


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_units(tmp_path):
    for name in UNITS:
        text = (FOLDER / name).read_text().replace("/home/%i/patate", str(path.ROOT))
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / name for name in UNITS)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "patate" in line]
    assert (done.returncode, ours) == (0, [])


# --- what send.sh does


@pytest.fixture
def car(tmp_path, monkeypatch):
    """A car with two drives, and stand-ins for what tells of the network and of drives."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, code in {
        "id": "echo 1000",
        "busctl": 'cat "$CAR/$5"',
        "pgrep": 'test -e "$CAR/driving"',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{code}\n")
        (programs / name).chmod(0o755)
    (tmp_path / "State").write_text("u 70\n")
    (tmp_path / "Metered").write_text("u 4\n")
    monkeypatch.setenv("CAR", str(tmp_path))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHON", sys.executable)
    for name, first in (("monday", 0), ("the tuesday", 20)):
        save(tmp_path / "drives" / name, [document(first + number) for number in range(3)])
    (tmp_path / "drives" / "empty").mkdir()
    return tmp_path


def send(car, share="100%"):
    """Run send.sh; return exit code, the results of its scripts, and all that it says."""
    done = subprocess.run(
        [SEND, car / "drives", share],
        cwd=path.ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS_S,
    )
    counts = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return done.returncode, counts, done.stdout + done.stderr


def pictures(car):
    return list((car / "drives").glob("*/*.jpg"))


@pytest.mark.slow
def test_a_parked_car_uploads_its_drives_and_frees_space(car):
    code, counts, said = send(car)
    assert code == 0, said
    assert [count["created"] for count in counts[:2]] == [3, 3]
    assert (counts[2]["freed"], counts[2]["enough"]) == (6, False)
    assert pictures(car) == []
    code, counts, said = send(car)
    assert (code, [count["there"] for count in counts[:2]]) == (0, [3, 3]), said


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("State", "u 20\n", "no network"),
        ("State", "u 50\n", "no network"),
        ("State", "", "no network"),
        ("Metered", "u 1\n", "metered"),
        ("Metered", "u 3\n", "metered"),
        ("Metered", "", "metered"),
        ("driving", "", "a drive is running"),
    ],
)
def test_nothing_is_sent_during_a_drive_or_on_such_a_network(car, home, name, content, reason):
    (car / name).write_text(content)
    code, counts, said = send(car)
    assert (code, counts) == (0, [])
    assert reason in said
    assert list(home.iterdir()) == []


def test_without_networkmanager_nothing_is_sent(car, home):
    (car / "programs" / "busctl").write_text("#!/bin/sh\nexit 1\n")
    code, counts, said = send(car)
    assert (code, counts) == (0, [])
    assert "no network" in said


def test_root_sends_nothing(car, home):
    (car / "programs" / "id").write_text("#!/bin/sh\necho 0\n")
    code, counts, said = send(car)
    assert (code, counts) == (1, [])
    assert "not as root" in said
    assert list(home.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("hangs", [False, True], ids=["", "a script that hangs"])
def test_it_stops_when_a_drive_begins(car, tmp_path, monkeypatch, hangs):
    """The script in progress is interrupted as by Ctrl-C, and no other one is started."""
    slow = tmp_path / "slow_python"
    slow.write_text(
        f"""#!{sys.executable}
import os, signal, sys, time
def stop(*_):
    open(os.environ["CAR"] + "/stopped", "w").write(sys.argv[1])
    {"" if hangs else "sys.exit(130)"}
signal.signal(signal.SIGTERM, stop)
open(os.environ["CAR"] + "/driving", "w").close()
time.sleep({HANGS_S})
"""
    )
    slow.chmod(0o755)
    monkeypatch.setenv("PYTHON", str(slow))
    code, counts, said = send(car)
    assert (code, counts) == (0, [])
    assert "a drive begins" in said
    assert (car / "stopped").read_text() == "get_data/upload_data.py"
    assert len(pictures(car)) == 6


@pytest.mark.slow
def test_a_folder_that_fails_does_not_stop_the_others(car):
    (car / "drives" / "monday" / "labels.json").write_text("{")
    code, counts, said = send(car, "20%")
    assert code == 1
    assert [count["created"] for count in counts if "created" in count] == [3]
    assert "monday" in said
