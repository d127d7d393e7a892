"""Recordings onto a disk that is full, fails, or cannot be synced."""

import json
import time
from datetime import timedelta

import numpy as np
import pytest

from get_data.labels import ids
from get_data.recording import journal, merge
from tests.conftest import START
from tests.helpers.faults import before_anything, files_up_to
from tests.helpers.recordings import FRAME, assert_whole, open_recorder, record_pictures
from tests.helpers.waiting import wait_until


@pytest.mark.slow
def test_recording_stops_when_the_disk_is_nearly_full(tmp_path):
    with open_recorder(tmp_path, min_free_bytes=2**62) as recorder:
        wait_until(lambda: recorder.progress.stopped)
        assert not recorder.record(FRAME, captured=START, steering=0, throttle=0)
    assert recorder.progress.stopped == "disk full"
    assert recorder.report.stopped == "the disk is nearly full"
    assert assert_whole(tmp_path) == {}


def assert_unmerged(folder, pictures):
    """Check an unmerged recording: pictures match journal lines, and no temporary file is left."""
    lines = (folder / journal.NAME).read_bytes().splitlines(keepends=True)
    assert [json.loads(line)["file_name"] for line in lines if line.endswith(b"\n")] == sorted(
        file.name for file in folder.glob("*.jpg") if file.is_file()
    )
    assert len(lines) == pictures
    assert not list(folder.glob(".*"))


NOISE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)  # a large JPEG file


@pytest.mark.slow
@pytest.mark.parametrize(
    ("max_bytes", "picture"), [(6000, NOISE), (6500, FRAME)], ids=["the picture", "its label"]
)
def test_a_picture_or_label_that_is_written_in_part_is_removed(tmp_path, max_bytes, picture):
    """The disk refuses in the middle of a file; earlier pictures are merged."""
    with open_recorder(tmp_path, resolution=(160, 120)) as recorder:
        record_pictures(recorder, 2)
        wait_until(lambda: recorder.progress.written == 2)
        with files_up_to(max_bytes, pid=recorder._writer.pid):
            record_until_stopped(recorder, picture, first=2)
            written = recorder.progress.written
            assert_unmerged(tmp_path, written)
    assert recorder.progress.stopped == "disk failed"
    assert recorder.report.stopped == "File too large"
    assert recorder.report.pictures == written == len(assert_whole(tmp_path))
    assert not (tmp_path / journal.DAMAGED_LABELS).exists()


def record_until_stopped(recorder, picture=FRAME, *, first=0):
    """Record pictures until the writer reports that it has stopped."""
    for number in range(first, 1000):
        moment = START + timedelta(milliseconds=100 * number)
        if recorder.progress.stopped:
            return
        recorder.record(picture, captured=moment, steering=0.0, throttle=0.3)
        time.sleep(0.01)
    pytest.fail("recording did not stop")


@pytest.mark.slow
def test_a_picture_that_cannot_be_renamed_leaves_nothing(tmp_path):
    taken = tmp_path / f"{ids.format_img_id(START + timedelta(milliseconds=300))}.jpg"
    taken.mkdir()
    with open_recorder(tmp_path) as recorder:
        record_until_stopped(recorder)
        assert_unmerged(tmp_path, 3)
    assert recorder.report.stopped == "Is a directory"
    taken.rmdir()
    assert recorder.report.pictures == len(assert_whole(tmp_path)) == 3


def test_labels_that_cannot_be_merged_are_reported_and_stay_in_the_journal(tmp_path):
    with open_recorder(tmp_path) as recorder:
        record_pictures(recorder, 10)
        (tmp_path / "labels.json").mkdir()
    assert "labels.json" in recorder.report.unmerged
    assert (recorder.report.pictures, recorder.report.stopped) == (10, "")
    (tmp_path / "labels.json").rmdir()
    assert merge.repair(tmp_path).labels == 10
    assert len(assert_whole(tmp_path)) == 10


COUNT_SYNCS = """
import time
from pathlib import Path
from common import atomic_files

real = atomic_files._syncfs

def counting(descriptor):
    result = real(descriptor)
    with Path({log!r}).open("a") as file:
        print(Path(f"/proc/self/fd/{{descriptor}}").readlink(), file=file)
    return result

atomic_files._syncfs = counting
"""


@pytest.mark.slow
def test_the_file_system_is_synced_once_a_second(tmp_path, monkeypatch):
    log, folder = tmp_path / "syncs", tmp_path / "drive"
    log.touch()
    before_anything(monkeypatch, tmp_path, COUNT_SYNCS.format(log=str(log)))
    begin = time.monotonic()
    with open_recorder(folder) as recorder:
        record_pictures(recorder, 1)
        wait_until(lambda: log.read_text().splitlines().count(str(folder)) >= 3)
        assert time.monotonic() - begin > 2.9
        assert not recorder.report.stopped
    assert len(assert_whole(folder)) == 1


REFUSE_SYNCS = """
from tests.helpers.faults import failing_sync_of_file_systems

failing_sync_of_file_systems(setattr)
"""


@pytest.mark.slow
def test_a_disk_that_cannot_be_synced_stops_the_recording_with_a_reason(tmp_path, monkeypatch):
    before_anything(monkeypatch, tmp_path, REFUSE_SYNCS)
    with open_recorder(tmp_path / "drive") as recorder:
        record_pictures(recorder, 3)
        wait_until(lambda: recorder.progress.stopped)
    assert recorder.progress.stopped == "disk failed"
    assert recorder.report.stopped == "Input/output error"
    assert "Input/output error" in recorder.report.unmerged
    assert merge.repair(tmp_path / "drive").labels == 3
