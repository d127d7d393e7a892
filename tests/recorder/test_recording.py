"""Frames recorded into a folder; the writer process is the real one."""

import json
from datetime import timedelta

import cv2
import numpy as np
import pytest

from common.errors import InputError
from get_data.labels import ids
from tests.conftest import START
from tests.helpers import jpeg_files
from tests.helpers.recordings import FRAME, assert_whole, open_recorder, record_pictures
from tests.helpers.waiting import wait_until


def test_frames_become_pictures_with_labels(tmp_path):
    with open_recorder(tmp_path) as recorder:
        record_pictures(recorder, 10)
    labels = assert_whole(tmp_path)
    assert len(labels) == 10
    assert recorder.report.pictures == 10
    assert recorder.report.directions == [2, 2, 2, 2, 2]
    assert recorder.report.speeds == [0, 10]
    assert recorder.report.rate_hz == pytest.approx(10)
    first = labels["20240501T12-00-00-000000"]
    assert first["driver"] == "Zoé"
    assert first["car_setting"] == {"car": "test"}
    assert first["resolution"] == {"horizontal": 16, "vertical": 12}
    assert first["label"]["raw_direction"] == -1


@pytest.mark.slow
def test_colours_are_those_of_the_frame(tmp_path):
    with open_recorder(tmp_path) as recorder:
        record_pictures(recorder, 1)
    seen = cv2.imread(str(next(tmp_path.glob("*.jpg"))))
    assert np.abs(seen.astype(int) - FRAME).max() < 20


def test_a_jpeg_is_kept_byte_for_byte(tmp_path):
    jpeg = cv2.imencode(".jpg", FRAME)[1].tobytes() + b"trailing bytes of some camera"
    with open_recorder(tmp_path) as recorder:
        record_pictures(recorder, 1, picture=jpeg)
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
        record_pictures(running, 1, picture=content)


def test_what_a_model_drove_is_told_from_what_the_driver_did(tmp_path):
    with open_recorder(tmp_path) as recorder:
        record_pictures(recorder, 2)
        record_pictures(recorder, 2, first=2, by_pilot=True)
    authors = [one["label"]["created_by"] for one in assert_whole(tmp_path).values()]
    assert authors == ["auto", "auto", "pilot", "pilot"]


def test_each_run_is_a_drive_of_its_own(tmp_path):
    for first in (0, 5):
        with open_recorder(tmp_path, started=START) as recorder:
            record_pictures(recorder, 5, first=first)
        labels = [*assert_whole(tmp_path).values()][first:]
        assert {one["session_id"] for one in labels} == {recorder.report.session_id}
        assert recorder.report.session_id.startswith("20240501T12-00-00-000000-")
    assert len({one["session_id"] for one in assert_whole(tmp_path).values()}) == 2


def test_a_second_run_continues_the_same_labels(tmp_path):
    with open_recorder(tmp_path) as recorder:
        record_pictures(recorder, 5)
    with open_recorder(tmp_path) as recorder:
        assert recorder.newest == START + timedelta(milliseconds=400)
        record_pictures(recorder, 5, first=5)
    assert len(assert_whole(tmp_path)) == 10


@pytest.mark.slow
def test_a_picture_is_never_overwritten(tmp_path):
    with open_recorder(tmp_path) as recorder:
        record_pictures(recorder, 1)
    with (
        open_recorder(tmp_path) as recorder,
        pytest.raises(InputError, match="has a picture of 2024"),
    ):
        record_pictures(recorder, 1)
    assert len(assert_whole(tmp_path)) == 1


@pytest.mark.slow
def test_an_id_has_one_picture(tmp_path):
    with open_recorder(tmp_path) as recorder:
        record_pictures(recorder, 1)
        with pytest.raises(InputError, match="has a picture of"):
            record_pictures(recorder, 1)
    assert recorder.report.pictures == len(assert_whole(tmp_path)) == 1


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


def test_after_the_end_nothing_is_recorded(tmp_path):
    with open_recorder(tmp_path) as recorder:
        record_pictures(recorder, 1)
    assert not recorder.record(FRAME, captured=START + timedelta(hours=1), steering=0, throttle=0)


@pytest.mark.slow
def test_labels_are_json_at_every_instant_of_a_recording(tmp_path):
    with open_recorder(tmp_path) as recorder:
        record_pictures(recorder, 5)
    with open_recorder(tmp_path) as recorder:
        record_pictures(recorder, 5, first=5)
        assert len(json.loads((tmp_path / "labels.json").read_text())) == 5
    assert len(assert_whole(tmp_path)) == 10


def test_a_broken_label_file_is_refused_before_anything_is_recorded(tmp_path):
    (tmp_path / "labels.json").write_text("{")
    with pytest.raises(InputError, match=r"labels\.json, line 1"):
        open_recorder(tmp_path)
    assert (tmp_path / "labels.json").read_text() == "{"
