"""The queue between a recorder and its writer: full, waited for, and left behind."""

import os
import signal
import threading
from datetime import timedelta

import cv2
import pytest

from common.errors import RecordingFailed
from get_data.labels import ids
from get_data.recording import merge
from get_data.recording import recorder as recorder_module
from tests.conftest import START
from tests.helpers.recordings import FRAME, assert_whole, open_recorder, record_pictures
from tests.helpers.waiting import HANGS_S, wait_until


def test_a_full_queue_drops_and_counts_instead_of_waiting(tmp_path):
    with open_recorder(tmp_path, rate_hz=1) as recorder:
        os.kill(recorder._writer.pid, signal.SIGSTOP)
        taken = [
            recorder.record(FRAME, captured=START + timedelta(seconds=n), steering=0, throttle=0)
            for n in range(10)
        ]
        os.kill(recorder._writer.pid, signal.SIGCONT)
    assert taken == [True] * 3 + [False] * 7
    assert recorder.dropped == recorder.report.dropped == 7
    assert len(assert_whole(tmp_path)) == 3


@pytest.mark.parametrize("as_jpeg", [False, True], ids=["frames", "files"])
def test_an_importer_that_waits_loses_no_picture(tmp_path, as_jpeg):
    """It sends as fast as it can to a queue of two slots."""
    picture = cv2.imencode(".jpg", FRAME)[1].tobytes() if as_jpeg else FRAME
    with open_recorder(tmp_path, rate_hz=0.1) as recorder:
        record_pictures(recorder, 300, picture=picture, wait=True)
    assert (recorder.report.pictures, recorder.report.dropped, recorder.dropped) == (300, 0, 0)
    assert len(assert_whole(tmp_path)) == 300


def _kill(recorder):
    recorder._writer.kill()


def _suspend(recorder):
    os.kill(recorder._writer.pid, signal.SIGSTOP)


@pytest.mark.timeout(HANGS_S)
@pytest.mark.parametrize("end", [_kill, _suspend], ids=["killed", "hangs"])
def test_a_writer_that_stalls_is_reported_to_a_waiting_importer(tmp_path, monkeypatch, end):
    monkeypatch.setattr(recorder_module, "WRITER_STALL_TIMEOUT_S", 0.5)
    monkeypatch.setattr(recorder_module, "_WRITER_EXIT_TIMEOUT_S", 0.5)
    recorder = open_recorder(tmp_path, rate_hz=0.1)
    record_pictures(recorder, 3)
    wait_until(lambda: recorder.progress.written == 3)
    _suspend(recorder)  # the queue is full when the writer ends
    threading.Timer(0.2, end, [recorder]).start()
    with pytest.raises(RecordingFailed, match=str(tmp_path)):
        record_pictures(recorder, 100, first=3, wait=True)
    with pytest.raises(RecordingFailed):
        recorder.close()
    recorder._writer.kill()
    recorder._writer.communicate()
    assert (recorder.report.pictures, recorder.report.dropped) == (
        3,
        3,
    )  # two in the queue, and the third
    assert merge.repair(tmp_path).labels == 3
    assert len(assert_whole(tmp_path)) == 3


def test_pictures_still_queued_when_recording_stops_are_reported_at_the_end(tmp_path):
    """Even if the failure occurs after the last picture was accepted."""
    recorder = open_recorder(tmp_path)
    record_pictures(recorder, 1)
    wait_until(lambda: recorder.progress.written == 1)
    (tmp_path / f"{ids.format_img_id(START + timedelta(milliseconds=100))}.jpg").mkdir()
    record_pictures(recorder, 1, first=1, wait=True)
    with pytest.raises(RecordingFailed, match="stopped early"):
        recorder.close()
    assert (recorder.report.pictures, recorder.report.dropped) == (1, 1)
    with pytest.raises(RecordingFailed, match="has stopped"):
        record_pictures(recorder, 1, first=2, wait=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_all_processes_loses_nothing_in_the_queue(tmp_path, number):
    """`systemctl stop` and Ctrl-C send one: the drive ends first, then its writer."""
    with open_recorder(tmp_path) as recorder:
        os.kill(recorder._writer.pid, signal.SIGSTOP)  # the queue is full when the signal comes
        record_pictures(recorder, 20)
        os.kill(recorder._writer.pid, number)
        os.kill(recorder._writer.pid, signal.SIGCONT)
    assert recorder.report.pictures == len(assert_whole(tmp_path)) == 20
