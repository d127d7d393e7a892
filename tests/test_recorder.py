"""Recording into a folder, ended well and badly; the process that writes is the real one."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import cv2
import numpy as np
import pytest

import path
from errors import InputError, RecordingFailed, StillRecording
from get_data.labels import label, label_file
from get_data.labels.label import Classes
from get_data.recording import capture_clock, journal
from get_data.recording.recorder import Recorder
from tests.conftest import START

FRAME = np.full((12, 16, 3), (200, 30, 30), np.uint8)  # blue green red


def recorder(folder, **options):
    settings = {
        "session": {"driver": "Zoé"},
        "car_setting": {"car": "test"},
        "classes": Classes(max_throttle=0.5),
        "resolution": (16, 12),
        "min_free_bytes": 0,
    }
    return Recorder(folder, **(settings | options))


def record(to, count, *, first=0, picture=FRAME):
    """So many pictures at 10 Hz."""
    for number in range(first, first + count):
        while not to.record(
            picture,
            captured=START + timedelta(milliseconds=100 * number),
            steering=(number % 5) / 2 - 1,
            throttle=0.3,
        ):
            time.sleep(0.001)
            to.dropped -= 1


def assert_whole(folder):
    """Every label has its picture, of the right size and hash; every picture its label."""
    labels = label_file.read(folder / label_file.NAME)
    for document in labels.values():
        content = (folder / document["file_name"]).read_bytes()
        assert label.sha256(content) == document["picture_sha256"]
        assert len(content) == document["picture_size"]
    assert {file.stem for file in folder.glob("*.jpg")} == set(labels)
    assert not list(folder.glob(".*.tmp"))
    assert not (folder / journal.NAME).exists()
    return labels


def test_frames_become_pictures_with_labels(tmp_path):
    with recorder(tmp_path) as to:
        record(to, 10)
    labels = assert_whole(tmp_path)
    assert len(labels) == 10
    assert to.report.pictures == 10
    assert to.report.directions == [2, 2, 2, 2, 2]
    assert to.report.speeds == [0, 10]
    assert to.report.rate_hz == pytest.approx(10)
    first = labels["20240501T12-00-00-000000"]
    assert first["driver"] == "Zoé"
    assert first["car_setting"] == {"car": "test"}
    assert first["resolution"] == {"horizontal": 16, "vertical": 12}
    assert first["label"]["raw_direction"] == -1


def test_colours_are_those_of_the_frame(tmp_path):
    with recorder(tmp_path) as to:
        record(to, 1)
    seen = cv2.imread(str(next(tmp_path.glob("*.jpg"))))
    assert np.abs(seen.astype(int) - FRAME).max() < 20


def test_a_jpeg_is_kept_byte_for_byte(tmp_path):
    jpeg = cv2.imencode(".jpg", FRAME)[1].tobytes() + b"trailing bytes of some camera"
    with recorder(tmp_path) as to:
        record(to, 1, picture=jpeg)
    assert next(tmp_path.glob("*.jpg")).read_bytes() == jpeg
    (document,) = assert_whole(tmp_path).values()
    assert document["resolution"] == {"horizontal": 16, "vertical": 12}


@pytest.mark.parametrize(
    "content",
    [b"", b"no picture", b"\xff\xd8\xff\xe0 half", cv2.imencode(".png", FRAME)[1].tobytes()],
)
def test_bytes_that_are_no_picture_are_refused(tmp_path, content):
    with recorder(tmp_path) as to, pytest.raises(InputError, match="not a picture in JPEG"):
        record(to, 1, picture=content)


def test_a_second_run_continues_the_same_labels(tmp_path):
    with recorder(tmp_path) as to:
        record(to, 5)
    with recorder(tmp_path) as to:
        assert to.newest == START + timedelta(milliseconds=400)
        record(to, 5, first=5)
    assert len(assert_whole(tmp_path)) == 10


def test_a_picture_is_never_overwritten(tmp_path):
    with recorder(tmp_path) as to:
        record(to, 1)
    with recorder(tmp_path) as to, pytest.raises(InputError, match="has a picture of 2024"):
        record(to, 1)
    assert len(assert_whole(tmp_path)) == 1


def test_erased_seconds_are_moved_aside_with_their_labels(tmp_path):
    with recorder(tmp_path) as to:
        record(to, 100)
        to.erase(5.0)
        record(to, 10, first=100)
    labels = assert_whole(tmp_path)
    erased = label_file.read(tmp_path / "erased" / "labels.json")
    assert len(labels) == 60
    assert sorted(erased) == [
        label.img_id_of(START + timedelta(milliseconds=100 * number)) for number in range(50, 100)
    ]
    assert {file.stem for file in (tmp_path / "erased").glob("*.jpg")} == set(erased)
    assert to.report.erased == 50
    assert to.report.longest_gap_s == pytest.approx(0.1)


def test_erasing_twice_goes_further_back(tmp_path):
    with recorder(tmp_path) as to:
        record(to, 100)
        to.erase(2.0)
        to.erase(2.0)
    assert len(assert_whole(tmp_path)) == 60


def test_erasing_nothing_is_no_error(tmp_path):
    with recorder(tmp_path) as to:
        to.erase(5.0)
    assert to.report.pictures == 0
    assert assert_whole(tmp_path) == {}


def test_a_pause_is_no_gap(tmp_path):
    with recorder(tmp_path) as to:
        record(to, 10)
        to.pause()
        record(to, 10, first=1000)
    assert to.report.longest_gap_s == pytest.approx(0.1)
    assert to.report.duration_s == pytest.approx(1.8)


def test_a_full_queue_drops_and_counts_instead_of_waiting(tmp_path):
    with recorder(tmp_path, rate_hz=1) as to:
        os.kill(to._writer.pid, signal.SIGSTOP)
        taken = [
            to.record(FRAME, captured=START + timedelta(seconds=n), steering=0, throttle=0)
            for n in range(10)
        ]
        os.kill(to._writer.pid, signal.SIGCONT)
    assert taken == [True] * 3 + [False] * 7
    assert to.dropped == 7
    assert len(assert_whole(tmp_path)) == 3


def test_a_folder_is_recorded_into_by_one_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "WAIT_FOR_LOCK_S", 0.1)
    with recorder(tmp_path) as to:
        record(to, 1)
        with pytest.raises(StillRecording, match="is being recorded into by another process"):
            recorder(tmp_path)
    assert len(assert_whole(tmp_path)) == 1


def test_a_killed_writer_is_reported_and_what_it_wrote_is_repaired(tmp_path):
    to = recorder(tmp_path)
    record(to, 10)
    wait_for(lambda: to.progress.written == 10)
    to._writer.kill()
    with pytest.raises(RecordingFailed, match="the next script that reads the folder repairs it"):
        to.close()
    assert journal.repair(tmp_path).labels == 10
    assert len(assert_whole(tmp_path)) == 10


def test_recording_stops_when_the_disk_is_nearly_full(tmp_path):
    with recorder(tmp_path, min_free_bytes=2**62) as to:
        wait_for(lambda: to.progress.stopped)
        assert not to.record(FRAME, captured=START, steering=0, throttle=0)
    assert to.progress.stopped == "disk full"
    assert to.report.stopped == "the disk is nearly full"
    assert assert_whole(tmp_path) == {}


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"steering": 1.2}, "must be within -1 .. 1"),
        ({"throttle": float("nan")}, "must be within -1 .. 1"),
        ({"picture": FRAME[:, :, 0]}, "not a frame"),
        ({"picture": FRAME.astype(float)}, "not a frame"),
        ({"picture": np.zeros((300, 400, 3), np.uint8)}, "record with a larger resolution"),
    ],
)
def test_what_cannot_be_recorded_is_refused_and_the_rest_is_recorded(tmp_path, wrong, complaint):
    right = {"picture": FRAME, "steering": 0.0, "throttle": 0.0}
    with recorder(tmp_path) as to:
        with pytest.raises(InputError, match=complaint):
            to.record(captured=START, **(right | wrong))
        assert to.record(captured=START, **right)
    assert len(assert_whole(tmp_path)) == 1


def test_one_moment_has_one_picture(tmp_path):
    with recorder(tmp_path) as to:
        record(to, 1)
        with pytest.raises(InputError, match="has a picture of"):
            record(to, 1)
    assert to.report.pictures == len(assert_whole(tmp_path)) == 1


def test_after_the_end_nothing_is_recorded(tmp_path):
    with recorder(tmp_path) as to:
        record(to, 1)
    assert not to.record(FRAME, captured=START + timedelta(hours=1), steering=0, throttle=0)


def test_a_dead_writer_is_noticed(tmp_path):
    to = recorder(tmp_path)
    to._writer.kill()
    to._writer.wait()
    assert not to.record(FRAME, captured=START, steering=0, throttle=0)
    assert to.progress.stopped == "not recording"
    with pytest.raises(RecordingFailed):
        to.close()


def test_the_newest_moment_is_kept_for_the_next_run(tmp_path):
    memory = tmp_path / "last_img_id"
    with recorder(tmp_path / "drive", last_img_id_file=memory) as to:
        record(to, 10)
    assert memory.read_text().strip() == label.img_id_of(START + timedelta(milliseconds=900))


def test_ids_are_remembered_before_the_first_picture_is_written(tmp_path):
    """A run killed in its first second must not let the next one start before it."""
    memory = tmp_path / "last_img_id"
    to = recorder(tmp_path / "drive", last_img_id_file=memory)
    record(to, 1)
    wait_for(lambda: to.progress.written == 1)
    assert capture_clock.remembered(memory) > START
    record(to, 1, first=36000)  # the wall clock jumps an hour ahead
    wait_for(lambda: to.progress.written == 2)
    to._writer.kill()
    with pytest.raises(RecordingFailed):
        to.close()
    assert capture_clock.remembered(memory) > START + timedelta(hours=1)


def test_erased_pictures_keep_their_moments(tmp_path):
    """Another picture of such a moment would take its place when it is erased in turn."""
    memory, last = tmp_path / "last_img_id", START + timedelta(milliseconds=900)
    with recorder(tmp_path / "drive", last_img_id_file=memory) as to:
        record(to, 10)
        to.erase(5.0)
    assert capture_clock.remembered(memory) == last
    with recorder(tmp_path / "drive") as to:
        assert to.newest == last
        with pytest.raises(InputError, match="has a picture of 2024"):
            record(to, 1)


def test_a_memory_that_cannot_be_written_stops_the_recording_and_costs_nothing(tmp_path):
    memory = tmp_path / "home" / "last_img_id"
    memory.parent.mkdir()
    with recorder(tmp_path / "drive", last_img_id_file=memory) as to:
        record(to, 10)
        wait_for(lambda: to.progress.written == 10)
        memory.unlink()
        memory.parent.rmdir()
    assert "last_img_id cannot be written" in to.report.stopped
    assert to.report.unmerged == ""
    assert len(assert_whole(tmp_path / "drive")) == 10


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingFailed, match=r"file/drive cannot be recorded into: Not a dir"):
        recorder(tmp_path / "file" / "drive")


def test_a_broken_label_file_is_refused_before_anything_is_recorded(tmp_path):
    (tmp_path / "labels.json").write_text("{")
    with pytest.raises(InputError, match=r"labels\.json, line 1"):
        recorder(tmp_path)
    assert (tmp_path / "labels.json").read_text() == "{"


DRIVE = """
import sys, time
from datetime import timedelta
from pathlib import Path
from tests.test_recorder import FRAME, START, recorder
with recorder(Path(sys.argv[1])) as to:
    for number in range(10**6):
        moment = START + timedelta(milliseconds=100 * number)
        if to.record(FRAME, captured=moment, steering=0, throttle=0):
            print(number, to.progress.written, flush=True)
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


@pytest.mark.parametrize("kill_after", [1, 7, 60, 150])
def test_a_killed_drive_loses_nothing_that_it_had_recorded(tmp_path, kill_after):
    """The writing process empties the queue and merges; whoever comes next waits for that."""
    drive = start_drive(tmp_path)
    last = -1
    for line in drive.stdout:
        last = int(line.split()[0])
        if last >= kill_after:
            drive.kill()
            break
    rest = drive.stdout.read().splitlines()
    drive.stdout.close()
    drive.wait()
    last = int(rest[-1].split()[0]) if rest and len(rest[-1].split()) == 2 else last
    wait_for(lambda: not (tmp_path / journal.NAME).exists())
    labels = assert_whole(tmp_path)
    assert len(labels) >= last + 1


def test_a_drive_and_its_writer_killed_together_are_repaired(tmp_path):
    drive = start_drive(tmp_path)
    for line in drive.stdout:
        written = int(line.split()[1])
        if written >= 50:
            break
    writer = subprocess.run(
        ["pgrep", "-P", str(drive.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    for pid in (*map(int, writer), drive.pid):
        os.kill(pid, signal.SIGKILL)
    drive.stdout.close()
    drive.wait()
    repaired = journal.repair(tmp_path)
    assert repaired.labels >= written
    assert set(repaired.damaged.values()) <= {"the picture has no label"}
    assert_whole(tmp_path)


def wait_for(condition, seconds=20.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.01)


def test_labels_are_json_at_every_instant_of_a_recording(tmp_path):
    with recorder(tmp_path) as to:
        record(to, 5)
    with recorder(tmp_path) as to:
        record(to, 5, first=5)
        assert len(json.loads((tmp_path / "labels.json").read_text())) == 5
    assert len(assert_whole(tmp_path)) == 10
