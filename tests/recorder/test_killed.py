"""Recordings whose drive or writer was killed or interrupted."""

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import path
from common.errors import RecordingFailed
from get_data.recording import journal, merge
from tests.conftest import START
from tests.helpers.recordings import FRAME, assert_whole, open_recorder, record_pictures
from tests.helpers.waiting import wait_until


@pytest.mark.parametrize("stopped", ["", "disk full"])
@pytest.mark.parametrize("unmerged", ["", "labels.json cannot be written"])
def test_an_incomplete_recording_is_reported_with_each_reason_and_where_its_labels_are(
    tmp_path, stopped, unmerged
):
    recorder = open_recorder(tmp_path)
    recorder.close()
    recorder.report.stopped, recorder.report.unmerged = stopped, unmerged
    if not (stopped or unmerged):
        recorder.check_complete()
        return
    with pytest.raises(RecordingFailed) as raised:
        recorder.check_complete()
    message = str(raised.value)
    for reason in filter(None, (stopped, unmerged)):
        assert re.search(rf": {reason}; ", message)
    assert (journal.NAME in message) == bool(unmerged)


def test_ctrl_c_while_the_writer_starts_leaves_no_process(tmp_path, monkeypatch):
    started = []
    start = subprocess.Popen

    def remembered(*arguments, **options):
        started.append(start(*arguments, **options))
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", remembered)
    monkeypatch.setattr(select, "select", lambda *_: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        open_recorder(tmp_path)
    assert started[0].returncode is not None
    monkeypatch.setattr(journal, "LOCK_TIMEOUT_S", 0)
    with journal.folder_lock(tmp_path):
        assert list(tmp_path.glob("*.jpg")) == []


def test_a_killed_writer_is_reported_and_what_it_wrote_is_repaired(tmp_path):
    recorder = open_recorder(tmp_path)
    record_pictures(recorder, 10)
    wait_until(lambda: recorder.progress.written == 10)
    recorder._writer.kill()
    with pytest.raises(RecordingFailed, match="the next script that reads the folder repairs it"):
        recorder.close()
    assert merge.repair(tmp_path).labels == 10
    assert len(assert_whole(tmp_path)) == 10


def test_a_dead_writer_is_noticed(tmp_path):
    recorder = open_recorder(tmp_path)
    recorder._writer.kill()
    recorder._writer.wait()
    assert not recorder.record(FRAME, captured=START, steering=0, throttle=0)
    assert recorder.progress.stopped == "not recording"
    with pytest.raises(RecordingFailed):
        recorder.close()


DRIVE = """
import sys, time
from datetime import timedelta
from pathlib import Path
from tests.conftest import START
from tests.helpers.recordings import FRAME, open_recorder
with open_recorder(Path(sys.argv[1])) as recorder:
    sent = 0
    for number in range(10**6):
        moment = START + timedelta(milliseconds=100 * number)
        if recorder.record(FRAME, captured=moment, steering=0, throttle=0):  # not dropped
            sent += 1
            print(sent, recorder.progress.written, flush=True)
        time.sleep(0.002)
"""


def start_drive(folder):
    return subprocess.Popen(
        [sys.executable, "-c", DRIVE, str(folder)],
        cwd=path.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("kill_after", [1, 7, 60, 150])
def test_a_killed_drive_loses_nothing_that_it_had_recorded(tmp_path, kill_after):
    """The writer empties the queue and merges."""
    drive = start_drive(tmp_path)
    sent = 0
    for line in drive.stdout:
        sent = int(line.split()[0])
        if sent > kill_after:
            drive.kill()
            break
    rest = drive.stdout.read().splitlines()
    drive.stdout.close()
    drive.wait()
    sent = int(rest[-1].split()[0]) if rest and len(rest[-1].split()) == 2 else sent
    wait_until(lambda: not (tmp_path / journal.NAME).exists())
    labels = assert_whole(tmp_path)
    assert len(labels) >= sent


@pytest.mark.slow
def test_a_drive_and_its_writer_killed_together_are_repaired(tmp_path):
    drive = start_drive(tmp_path)
    for line in drive.stdout:
        written = int(line.split()[1])
        if written >= 50:
            break
    tasks = Path("/proc", str(drive.pid), "task").glob("*/children")
    children = " ".join(task.read_text() for task in tasks).split()
    for pid in (*map(int, children), drive.pid):
        os.kill(pid, signal.SIGKILL)
    drive.stdout.close()
    drive.wait()
    repaired = merge.repair(tmp_path)
    assert repaired.labels >= written
    assert set(repaired.damaged.values()) <= {"the picture has no label"}
    assert_whole(tmp_path)
