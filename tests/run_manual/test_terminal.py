"""A drive on a terminal: its live line, and the questions about the session."""

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys

import pytest

from get_data import run_manual
from get_data.labels import label_file, session
from tests.helpers.recordings import assert_whole
from tests.helpers.waiting import HANGS_S, wait_until
from tests.run_manual.drives import SCRIPT, has_pictures


@pytest.mark.slow
def test_a_terminal_shows_the_drive_in_less_than_eighty_columns(tmp_path):
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), "-o", str(tmp_path / "d"), "--simulate", "--duration", "3"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=slave,
    )
    os.close(slave)
    output = b""
    while True:
        try:
            output += os.read(master, 65536)
        except OSError:  # the slave is closed
            break
    os.close(master)
    assert process.wait() == 0
    lines = [re.sub(r"\x1b\[K", "", line) for line in re.split(r"[\r\n]+", output.decode())]
    live = [line for line in lines if "│" in line]
    assert live
    assert all(len(line) < 80 for line in lines)
    shown = r"\d\.\d s +\d+ pictures +\d+\.\d Hz +[·█]+│[·█]+ +\d\.\d m/s +recording"
    assert any(re.search(shown, line) for line in live)


@pytest.mark.slow
def test_a_blocked_terminal_does_not_hold_up_the_drive(tmp_path):
    """Like ssh over a lost radio link: nothing reads, so writing blocks."""
    folder = tmp_path / "drive"
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), "-o", str(folder), "--simulate", "--rate", "30"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=slave,
    )
    os.set_blocking(slave, False)
    wait_until(has_pictures(folder, 5))
    while True:  # the terminal's buffer is full
        try:
            os.write(slave, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(slave, True)
    before = len(list(folder.glob("*.jpg")))
    wait_until(has_pictures(folder, before + 40))
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: list(folder.glob("labels.*")) == [folder / label_file.NAME])
    assert len(assert_whole(folder)) >= before + 40
    os.close(slave)
    os.close(master)
    process.wait(HANGS_S)


@pytest.fixture
def drive_on_terminal(monkeypatch, capsys):
    """Yield a function that runs a short drive in this process and types lines on its terminal."""
    master, slave = pty.openpty()
    stdin = os.fdopen(slave)
    monkeypatch.setattr(sys, "stdin", stdin)

    def drive(folder, *options, typed=""):
        os.write(master, typed.encode())
        code = run_manual.main(["-o", str(folder), "--simulate", "--duration", "0.2", *options])
        return code, capsys.readouterr().err

    yield drive
    stdin.close()
    os.close(master)


def test_the_session_is_asked_on_a_terminal_and_the_answers_are_kept(tmp_path, drive_on_terminal):
    folder = tmp_path / "drive"
    code, err = drive_on_terminal(folder, "--driver", "Zoé", typed="open day\n\nwet ground\n")
    assert code == 0
    assert re.findall(r"\b(\w+): ", err)[:3] == ["event", "track_type", "comment"]
    answers = {
        "event": "open day",
        "track": "school",
        "track_type": "",
        "driver": "Zoé",
        "comment": "wet ground",
    }
    assert json.loads((folder / session.NAME).read_text()) == answers
    for label in assert_whole(folder).values():
        assert {key: label[key] for key in answers} == answers
    code, err = drive_on_terminal(folder)  # the answers are known
    assert code == 0
    assert "event: " not in err
    assert session.read(folder / session.NAME) == answers


def test_empty_fields_of_a_template_are_asked_on_a_terminal(tmp_path, drive_on_terminal):
    """They are asked before the first picture; an empty answer counts."""
    folder = tmp_path / "drive"
    folder.mkdir()
    session.write(folder / session.NAME, {"event": "race", "driver": "", "tyres": 4})
    code, err = drive_on_terminal(folder, "--track", "park", typed="asphalt\nZoé\n\n")
    assert code == 0
    assert re.findall(r"\b(\w+): ", err)[:3] == ["track_type", "driver", "comment"]
    answers = {"event": "race", "track": "park", "track_type": "asphalt", "driver": "Zoé"}
    assert session.read(folder / session.NAME) == {**answers, "comment": "", "tyres": 4}
    code, err = drive_on_terminal(folder)
    assert code == 0
    assert "comment: " not in err


def test_a_check_asks_nothing(tmp_path, drive_on_terminal):
    code, err = drive_on_terminal(tmp_path / "drive", "--check", typed="open day\n" * 5)
    assert code == 0
    assert "event: " not in err


@pytest.mark.slow
def test_without_a_terminal_nothing_is_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("not an answer\n" * 5))
    run_manual.main(["-o", str(tmp_path / "drive"), "--simulate", "--duration", "0.2"])
    assert "event: " not in capsys.readouterr().err
    kept = session.read(tmp_path / "drive" / session.NAME)
    assert kept == {**dict.fromkeys(kept, ""), "track": "school"}  # the simulated one
