"""Drives ended by signals, Ctrl-C, a closed terminal, and kills."""

import json
import os
import pty
import signal
import subprocess
import sys

import pytest

import path
from tests.helpers.recordings import assert_whole
from tests.helpers.waiting import HANGS_S, wait_until
from tests.run_manual.drives import SCRIPT, SESSION_OPTIONS, has_pictures, start


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_drive_and_everything_is_saved(tmp_path, number):
    folder = tmp_path / "drive"
    process = start(folder)
    wait_until(has_pictures(folder))
    process.send_signal(number)
    out, err = process.communicate(timeout=HANGS_S)
    assert process.returncode == 130
    assert json.loads(out)["pictures"] == len(assert_whole(folder)) >= 10
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_terminal_that_is_closed_ends_the_drive_and_everything_is_saved(tmp_path):
    """stdout and stderr can no longer be written; that is not a failure."""
    folder = tmp_path / "drive"
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [
            "setsid",
            "--ctty",
            sys.executable,
            str(SCRIPT),
            "-o",
            str(folder),
            "--simulate",
            *SESSION_OPTIONS,
        ],
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    wait_until(has_pictures(folder))
    os.close(master)
    assert process.wait(HANGS_S) == 130
    assert len(assert_whole(folder)) >= 10


@pytest.mark.slow
def test_ctrl_c_twice_still_saves(tmp_path):
    folder = tmp_path / "drive"
    process = start(folder)
    wait_until(has_pictures(folder))
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=HANGS_S)
    assert process.returncode == 130
    assert len(assert_whole(folder)) >= 10


@pytest.mark.slow
def test_ctrl_c_on_a_terminal_reaches_only_the_drive(tmp_path):
    """A terminal signals every process of the job; the writer must survive that."""
    folder = tmp_path / "drive"
    process = start(folder, start_new_session=True)
    wait_until(has_pictures(folder))
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=HANGS_S)
    assert process.returncode == 130
    assert len(assert_whole(folder)) >= 10


@pytest.mark.slow
def test_a_killed_drive_is_completed_for_the_next_script(tmp_path):
    folder = tmp_path / "drive"
    process = start(folder)
    wait_until(has_pictures(folder, 20))
    process.kill()
    process.communicate()
    upload = path.ROOT / "get_data" / "upload_data.py"
    done = subprocess.run(
        [sys.executable, str(upload), str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["created"] == len(assert_whole(folder)) >= 20
