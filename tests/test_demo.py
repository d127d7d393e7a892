"""`demo.sh`, which `make demo` runs."""

import contextlib
import importlib
import os
import re
import signal
import subprocess
import sys

import pytest

import path
from get_data import run_manual, search_and_download
from tests.helpers.waiting import HANGS_S, wait_until

FAKE_PYTHON = """#!/bin/sh
case $2 in
tests.servers) echo $$ >server; echo PATATE_ES_URL=x; while :; do sleep 0.1; done ;;
*) echo $$ >script; exec sleep 9999 ;;
esac
"""  # `exec`: a shell that is about to start a program may miss Ctrl-C


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_servers_of_a_demo_end_with_it(tmp_path, number):
    (tmp_path / "python").write_text(FAKE_PYTHON)
    (tmp_path / "python").chmod(0o755)
    demo = subprocess.Popen(
        ["sh", str(path.ROOT / "demo.sh"), "./python", "team"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until((tmp_path / "script").is_file)
    os.killpg(demo.pid, number)  # like a terminal
    demo.wait(HANGS_S)
    server = int((tmp_path / "server").read_text())
    try:
        with pytest.raises(ProcessLookupError):
            os.kill(server, 0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)


PYTHON_THAT_ONLY_TELLS = """#!/bin/sh
case $1 in
-) exec PYTHON "$@" ;;
*) printf '%s\\n' "$*" >>told; echo '{"rms_offset_m": 0.0284, "on_road": 1.0}' ;;
esac
"""


@pytest.fixture
def told(tmp_path):
    """Return the commands of a demo, which are only written down, and what a person sees."""
    (tmp_path / "python").write_text(PYTHON_THAT_ONLY_TELLS.replace("PYTHON", sys.executable))
    (tmp_path / "python").chmod(0o755)
    done = subprocess.run(
        ["sh", str(path.ROOT / "demo.sh"), "./python"],
        cwd=tmp_path,
        env={**os.environ, "DEMO_SECONDS": "10"},
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.split() for line in (tmp_path / "told").read_text().splitlines()], done.stdout


def test_a_demo_goes_from_a_drive_to_a_car_that_drives_itself(told):
    commands, _ = told
    scripts = [command[0] for command in commands]
    for script in scripts:
        assert (path.ROOT / script).is_file()
    first, corrected, fetched, trained, last = (
        scripts.index("get_data/run_manual.py"),
        scripts.index("get_data/upload_to_db.py"),
        len(scripts) - 1 - scripts[::-1].index("get_data/search_and_download.py"),
        scripts.index("docs/examples/train.py"),
        len(scripts) - 1,
    )
    assert first == 0 < corrected < fetched < trained < last
    for command in commands:
        if command[0].startswith("get_data/"):
            script = importlib.import_module(command[0][:-3].replace("/", "."))
            script.parse_args(command[1:])
    options = run_manual.parse_args(commands[last][1:])
    assert str(options.pilot) == commands[trained][2]
    assert str(search_and_download.parse_args(commands[fetched][1:]).pictures) in commands[trained]
    assert options.output != run_manual.parse_args(commands[0][1:]).output


def test_a_demo_says_how_well_person_and_model_drove_within_80_columns(told):
    _, shown = told
    assert len(re.findall(r"^  (?:person|model) +0\.028 m rms .* 100\.0%", shown, re.M)) == 2
    plain = re.sub(r"\x1b\[\d*m", "", shown)
    lines = [line for line in plain.splitlines() if "PATATE_HOME=" not in line]
    assert [line for line in lines if len(line) > 79] == []
