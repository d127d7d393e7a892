"""Recording into a folder, ended well and badly; the process that writes is the real one."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import cv2
import numpy as np
import pytest

import path
from common.errors import InputError, RecordingFailed, StillRecording
from get_data.labels import ids, label_file
from get_data.labels.classes import Classes
from get_data.recording import capture_clock, journal, merge
from get_data.recording import recorder as recording_recorder
from get_data.recording.recorder import Recorder
from tests.conftest import START
from tests.helpers import jpeg_files
from tests.helpers.faults import before_anything, files_up_to
from tests.helpers.waiting import wait_until

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


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A recording that goes on, for what is refused without stopping it."""
    with recorder(tmp_path_factory.mktemp("running")) as to:
        yield to
    assert_whole(to.folder)


def record(to, count, *, first=0, picture=FRAME, wait=False):
    """So many pictures at 10 Hz."""
    for number in range(first, first + count):
        while not to.record(
            picture,
            captured=START + timedelta(milliseconds=100 * number),
            steering=(number % 5) / 2 - 1,
            throttle=0.3,
            wait=wait,
        ):
            time.sleep(0.001)
            to.dropped -= 1


def assert_whole(folder):
    """Every label has its picture, of the right size and hash; every picture its label."""
    labels = label_file.read(folder / label_file.NAME)
    for document in labels.values():
        content = (folder / document["file_name"]).read_bytes()
        assert ids.sha256(content) == document["picture_sha256"]
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


@pytest.mark.slow
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
    [
        b"",
        b"no picture",
        b"\xff\xd8\xff\xe0 half",
        cv2.imencode(".png", FRAME)[1].tobytes(),
        cv2.imencode(".jpg", FRAME)[1].tobytes()[:-20],
        jpeg_files.bomb(16000),
    ],
)
def test_bytes_that_are_no_picture_are_refused(running, content):
    with pytest.raises(InputError, match="not a picture in JPEG"):
        record(running, 1, picture=content)


def test_a_second_run_continues_the_same_labels(tmp_path):
    with recorder(tmp_path) as to:
        record(to, 5)
    with recorder(tmp_path) as to:
        assert to.newest == START + timedelta(milliseconds=400)
        record(to, 5, first=5)
    assert len(assert_whole(tmp_path)) == 10


@pytest.mark.slow
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
        ids.format_img_id(START + timedelta(milliseconds=100 * number)) for number in range(50, 100)
    ]
    assert {file.stem for file in (tmp_path / "erased").glob("*.jpg")} == set(erased)
    assert to.report.erased == 50
    assert to.report.longest_gap_s == pytest.approx(0.1)


@pytest.mark.slow
def test_a_second_run_adds_to_what_the_first_has_erased(tmp_path):
    for first in (0, 100):
        with recorder(tmp_path) as to:
            record(to, 20, first=first)
            to.erase(1.0)
    erased = label_file.read(tmp_path / "erased" / "labels.json")
    assert len(erased) == 20
    assert {file.stem for file in (tmp_path / "erased").glob("*.jpg")} == set(erased)
    assert len(assert_whole(tmp_path)) == 20


@pytest.mark.slow
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
    assert to.dropped == to.report.dropped == 7
    assert len(assert_whole(tmp_path)) == 3


@pytest.mark.parametrize("as_jpeg", [False, True], ids=["frames", "files"])
def test_an_importer_that_waits_loses_no_picture(tmp_path, as_jpeg):
    """As fast as it can, with room for two in the queue."""
    picture = cv2.imencode(".jpg", FRAME)[1].tobytes() if as_jpeg else FRAME
    with recorder(tmp_path, rate_hz=0.1) as to:
        record(to, 1000, picture=picture, wait=True)
    assert (to.report.pictures, to.report.dropped, to.dropped) == (1000, 0, 0)
    assert len(assert_whole(tmp_path)) == 1000


def _kill(to):
    to._writer.kill()


def _stop_for_ever(to):
    os.kill(to._writer.pid, signal.SIGSTOP)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("end", [_kill, _stop_for_ever], ids=["killed", "hangs"])
def test_a_writer_that_takes_no_more_is_raised_to_whoever_waits(tmp_path, monkeypatch, end):
    monkeypatch.setattr(recording_recorder, "WRITER_STALL_TIMEOUT_S", 0.5)
    monkeypatch.setattr(recording_recorder, "_WRITER_EXIT_TIMEOUT_S", 0.5)
    to = recorder(tmp_path, rate_hz=0.1)
    record(to, 3)
    wait_until(lambda: to.progress.written == 3)
    _stop_for_ever(to)  # so that the queue is full when the writer ends
    threading.Timer(0.2, end, [to]).start()
    with pytest.raises(RecordingFailed, match=str(tmp_path)):
        record(to, 100, first=3, wait=True)
    with pytest.raises(RecordingFailed):
        to.close()
    to._writer.kill()
    to._writer.communicate()
    assert (to.report.pictures, to.report.dropped) == (3, 3)  # two in the queue, and the third
    assert merge.repair(tmp_path).labels == 3
    assert len(assert_whole(tmp_path)) == 3


def test_what_waits_when_recording_stops_is_told_at_the_end(tmp_path):
    """Also when that is found after the last picture was accepted."""
    to = recorder(tmp_path)
    record(to, 1)
    wait_until(lambda: to.progress.written == 1)
    (tmp_path / f"{ids.format_img_id(START + timedelta(milliseconds=100))}.jpg").mkdir()
    record(to, 1, first=1, wait=True)
    with pytest.raises(RecordingFailed, match="stopped early"):
        to.close()
    assert (to.report.pictures, to.report.dropped) == (1, 1)
    with pytest.raises(RecordingFailed, match="has stopped"):
        record(to, 1, first=2, wait=True)


@pytest.mark.parametrize("stopped", ["", "disk full"])
@pytest.mark.parametrize("unmerged", ["", "labels.json cannot be written"])
def test_an_incomplete_recording_is_told_with_each_reason_and_where_its_labels_are(
    tmp_path, stopped, unmerged
):
    to = recorder(tmp_path)
    to.close()
    to.report.stopped, to.report.unmerged = stopped, unmerged
    if not (stopped or unmerged):
        to.check_complete()
        return
    with pytest.raises(RecordingFailed) as raised:
        to.check_complete()
    said = str(raised.value)
    for reason in filter(None, (stopped, unmerged)):
        assert re.search(rf": {reason}; ", said)
    assert (journal.NAME in said) == bool(unmerged)


@pytest.mark.parametrize("anew", [False, True], ids=["renamed", "and made anew"])
def test_a_folder_that_is_renamed_while_recording_keeps_pictures_and_labels_together(
    tmp_path, anew
):
    folder, away = tmp_path / "drive", tmp_path / "away"
    with recorder(folder) as to:
        record(to, 10)
        wait_until(lambda: to.progress.written == 10)
        folder.rename(away)
        if anew:
            folder.mkdir()
        record(to, 10, first=10)
        to.erase(0.35)
        record(to, 10, first=20)
    assert to.report.moved == str(away)
    assert (to.report.pictures, to.report.erased, to.report.stopped) == (26, 4, "")
    assert len(assert_whole(away)) == 26
    assert len(assert_whole(away / journal.ERASED)) == 4
    assert not folder.exists() or not list(folder.iterdir())


def test_a_killed_recording_of_a_renamed_folder_is_repaired_where_it_is(tmp_path):
    folder, away = tmp_path / "drive", tmp_path / "away"
    to = recorder(folder)
    record(to, 10)
    folder.rename(away)
    folder.mkdir()
    record(to, 10, first=10)
    wait_until(lambda: to.progress.written == 20)
    to._writer.kill()
    with pytest.raises(RecordingFailed):
        to.close()
    assert merge.repair(folder) is None
    assert merge.repair(away).damaged == {}
    assert len(assert_whole(away)) == 20


def test_a_folder_that_is_deleted_while_recording_stops_it_with_a_reason(tmp_path):
    folder = tmp_path / "drive"
    to = recorder(folder)
    record(to, 10)
    wait_until(lambda: to.progress.written == 10)
    shutil.rmtree(folder)
    folder.mkdir()
    record(to, 1, first=10)
    to.close()
    assert to.report.stopped == "No such file or directory"
    assert "No such file or directory" in to.report.unmerged
    assert list(folder.iterdir()) == []


def test_a_folder_is_recorded_into_by_one_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "LOCK_TIMEOUT_S", 0.1)
    with recorder(tmp_path) as to:
        record(to, 1)
        with pytest.raises(StillRecording, match="is being recorded into by another process"):
            recorder(tmp_path)
    assert len(assert_whole(tmp_path)) == 1


def test_ctrl_c_while_the_writing_process_starts_leaves_none(tmp_path, monkeypatch):
    started = []
    real = subprocess.Popen

    def interrupted(*arguments, **options):
        started.append(real(*arguments, **options))
        threading.Timer(0.05, signal.raise_signal, [signal.SIGINT]).start()
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recorder(tmp_path)
    assert started[0].returncode is not None
    monkeypatch.setattr(journal, "LOCK_TIMEOUT_S", 0)
    with journal.folder_lock(tmp_path):
        assert list(tmp_path.glob("*.jpg")) == []


def test_a_killed_writer_is_reported_and_what_it_wrote_is_repaired(tmp_path):
    to = recorder(tmp_path)
    record(to, 10)
    wait_until(lambda: to.progress.written == 10)
    to._writer.kill()
    with pytest.raises(RecordingFailed, match="the next script that reads the folder repairs it"):
        to.close()
    assert merge.repair(tmp_path).labels == 10
    assert len(assert_whole(tmp_path)) == 10


@pytest.mark.slow
def test_recording_stops_when_the_disk_is_nearly_full(tmp_path):
    with recorder(tmp_path, min_free_bytes=2**62) as to:
        wait_until(lambda: to.progress.stopped)
        assert not to.record(FRAME, captured=START, steering=0, throttle=0)
    assert to.progress.stopped == "disk full"
    assert to.report.stopped == "the disk is nearly full"
    assert assert_whole(tmp_path) == {}


def is_clean(folder, pictures):
    """So many pictures and whole lines of the journal, and nothing half-written, before a merge."""
    lines = (folder / journal.NAME).read_bytes().splitlines(keepends=True)
    assert [json.loads(line)["file_name"] for line in lines if line.endswith(b"\n")] == sorted(
        file.name for file in folder.glob("*.jpg") if file.is_file()
    )
    assert len(lines) == pictures
    assert not list(folder.glob(".*"))
    return True


NOISE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)  # a large JPEG file


@pytest.mark.slow
@pytest.mark.parametrize(
    ("most_bytes", "picture"), [(6000, NOISE), (6500, FRAME)], ids=["the picture", "its label"]
)
def test_a_disk_that_takes_half_of_a_picture_or_label_has_none_of_it(tmp_path, most_bytes, picture):
    """The disk refuses in the middle of a file; what was whole before stays, and is merged."""
    with recorder(tmp_path, resolution=(160, 120)) as to:
        record(to, 2)
        wait_until(lambda: to.progress.written == 2)
        with files_up_to(most_bytes, pid=to._writer.pid):
            record_until_stopped(to, picture, first=2)
            written = to.progress.written
            is_clean(tmp_path, written)
    assert to.progress.stopped == "disk failed"
    assert to.report.stopped == "File too large"
    assert to.report.pictures == written == len(assert_whole(tmp_path))
    assert not (tmp_path / journal.DAMAGED_LABELS).exists()


def record_until_stopped(to, picture=FRAME, *, first=0):
    """Pictures, until the writing process says that it has stopped."""
    for number in range(first, 1000):
        moment = START + timedelta(milliseconds=100 * number)
        if to.progress.stopped:
            return
        to.record(picture, captured=moment, steering=0.0, throttle=0.3)
        time.sleep(0.01)
    pytest.fail("recording did not stop")


@pytest.mark.slow
def test_a_picture_that_cannot_get_its_name_leaves_nothing(tmp_path):
    taken = tmp_path / f"{ids.format_img_id(START + timedelta(milliseconds=300))}.jpg"
    taken.mkdir()
    with recorder(tmp_path) as to:
        record_until_stopped(to)
        is_clean(tmp_path, 3)
    assert to.report.stopped == "Is a directory"
    taken.rmdir()
    assert to.report.pictures == len(assert_whole(tmp_path)) == 3


def test_labels_that_cannot_be_merged_are_told_and_wait_in_the_journal(tmp_path):
    with recorder(tmp_path) as to:
        record(to, 10)
        (tmp_path / "labels.json").mkdir()
    assert "labels.json" in to.report.unmerged
    assert (to.report.pictures, to.report.stopped) == (10, "")
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
def test_once_a_second_all_that_was_recorded_is_made_durable(tmp_path, monkeypatch):
    log, folder = tmp_path / "syncs", tmp_path / "drive"
    log.touch()
    before_anything(monkeypatch, tmp_path, COUNT_SYNCS.format(log=str(log)))
    begin = time.monotonic()
    with recorder(folder) as to:
        record(to, 1)
        wait_until(lambda: log.read_text().splitlines().count(str(folder)) >= 3)
        assert time.monotonic() - begin > 2.9
        assert not to.report.stopped
    assert len(assert_whole(folder)) == 1


REFUSE_SYNCS = """
from tests.helpers.faults import failing_sync_of_file_systems

failing_sync_of_file_systems(setattr)
"""


@pytest.mark.slow
def test_a_disk_that_cannot_be_synced_stops_the_recording_and_is_told(tmp_path, monkeypatch):
    before_anything(monkeypatch, tmp_path, REFUSE_SYNCS)
    with recorder(tmp_path / "drive") as to:
        record(to, 3)
        wait_until(lambda: to.progress.stopped)
    assert to.progress.stopped == "disk failed"
    assert to.report.stopped == "Input/output error"
    assert "Input/output error" in to.report.unmerged
    assert merge.repair(tmp_path / "drive").labels == 3


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
def test_what_cannot_be_recorded_is_refused_and_the_rest_is_recorded(running, wrong, complaint):
    moment = START + timedelta(hours=1 + running.progress.written)
    right = {"picture": FRAME, "steering": 0.0, "throttle": 0.0}
    files = set(running.folder.glob("*.jpg"))
    with pytest.raises(InputError, match=complaint):
        running.record(captured=moment, **(right | wrong))
    before = running.progress.written
    assert running.record(captured=moment, **right)
    wait_until(lambda: running.progress.written == before + 1)
    (new,) = set(running.folder.glob("*.jpg")) - files
    assert new.stem == ids.format_img_id(moment)


@pytest.mark.slow
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
    assert memory.read_text().strip() == ids.format_img_id(START + timedelta(milliseconds=900))


@pytest.mark.slow
def test_ids_are_remembered_before_the_first_picture_is_written(tmp_path):
    """A run killed in its first second must not let the next one start before it."""
    memory = tmp_path / "last_img_id"
    to = recorder(tmp_path / "drive", last_img_id_file=memory)
    record(to, 1)
    wait_until(lambda: to.progress.written == 1)
    assert capture_clock.load_last_time(memory) > START
    record(to, 1, first=36000)  # the wall clock jumps an hour ahead
    wait_until(lambda: to.progress.written == 2)
    to._writer.kill()
    with pytest.raises(RecordingFailed):
        to.close()
    assert capture_clock.load_last_time(memory) > START + timedelta(hours=1)


@pytest.mark.slow
def test_the_memory_of_moments_is_ahead_of_every_picture_that_is_there(tmp_path):
    """Whenever it is killed, the next run's pictures come after those of this one."""
    memory, last = tmp_path / "last_img_id", START
    to = recorder(tmp_path / "drive", last_img_id_file=memory)
    for number in range(60):  # a minute, in less time
        last = START + timedelta(seconds=number)
        assert to.record(FRAME, captured=last, steering=0, throttle=0)
        wait_until(lambda known=number + 1: to.progress.written == known)
        assert capture_clock.load_last_time(memory) >= last
    to._writer.kill()
    with pytest.raises(RecordingFailed):
        to.close()
    assert capture_clock.load_last_time(memory) >= last


@pytest.mark.slow
def test_erased_pictures_keep_their_moments(tmp_path):
    """Another picture of such a moment would take its place when it is erased in turn."""
    memory, last = tmp_path / "last_img_id", START + timedelta(milliseconds=900)
    with recorder(tmp_path / "drive", last_img_id_file=memory) as to:
        record(to, 10)
        to.erase(5.0)
    assert capture_clock.load_last_time(memory) == last
    with recorder(tmp_path / "drive") as to:
        assert to.newest == last
        with pytest.raises(InputError, match="has a picture of 2024"):
            record(to, 1)


@pytest.mark.slow
def test_a_memory_that_cannot_be_written_is_told_and_costs_no_picture(tmp_path):
    memory = tmp_path / "home" / "last_img_id"
    memory.parent.mkdir()
    with recorder(tmp_path / "drive", last_img_id_file=memory) as to:
        record(to, 10)
        wait_until(lambda: to.progress.written == 10)
        memory.unlink()
        memory.parent.rmdir()
        record(to, 10, first=36000)  # beyond what was remembered ahead
    assert "last_img_id cannot be written" in to.report.unremembered
    assert (to.report.stopped, to.report.unmerged) == ("", "")
    assert len(assert_whole(tmp_path / "drive")) == 20


@pytest.mark.slow
def test_a_memory_that_can_be_written_again_is_not_complained_of(tmp_path):
    memory = tmp_path / "home" / "last_img_id"
    with recorder(tmp_path / "drive", last_img_id_file=memory) as to:
        record(to, 10)
        wait_until(lambda: to.progress.written == 10)
        memory.parent.mkdir()
    assert to.report.unremembered == ""
    assert capture_clock.load_last_time(memory) == START + timedelta(milliseconds=900)


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


@pytest.mark.slow
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
    wait_until(lambda: not (tmp_path / journal.NAME).exists())
    labels = assert_whole(tmp_path)
    assert len(labels) >= last + 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_all_processes_does_not_cost_what_is_in_the_queue(tmp_path, number):
    """As `systemctl stop` and Ctrl-C send it: the drive ends by itself, the writer after it."""
    with recorder(tmp_path) as to:
        os.kill(to._writer.pid, signal.SIGSTOP)  # so that the queue is full when the signal comes
        record(to, 20)
        os.kill(to._writer.pid, number)
        os.kill(to._writer.pid, signal.SIGCONT)
    assert to.report.pictures == len(assert_whole(tmp_path)) == 20


@pytest.mark.slow
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
    repaired = merge.repair(tmp_path)
    assert repaired.labels >= written
    assert set(repaired.damaged.values()) <= {"the picture has no label"}
    assert_whole(tmp_path)


@pytest.mark.slow
def test_labels_are_json_at_every_instant_of_a_recording(tmp_path):
    with recorder(tmp_path) as to:
        record(to, 5)
    with recorder(tmp_path) as to:
        record(to, 5, first=5)
        assert len(json.loads((tmp_path / "labels.json").read_text())) == 5
    assert len(assert_whole(tmp_path)) == 10
