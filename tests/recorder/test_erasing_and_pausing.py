"""Erased seconds and pauses of a recording."""

from datetime import timedelta

import pytest

from get_data.labels import ids, label_file
from tests.conftest import START
from tests.helpers.recordings import assert_whole, open_recorder, record_pictures


def test_erased_seconds_are_moved_aside_with_their_labels(tmp_path):
    with open_recorder(tmp_path) as recorder:
        record_pictures(recorder, 100)
        recorder.erase(5.0)
        record_pictures(recorder, 10, first=100)
    labels = assert_whole(tmp_path)
    erased = label_file.read(tmp_path / "erased" / "labels.json")
    assert len(labels) == 60
    assert sorted(erased) == [
        ids.format_img_id(START + timedelta(milliseconds=100 * number)) for number in range(50, 100)
    ]
    assert {file.stem for file in (tmp_path / "erased").glob("*.jpg")} == set(erased)
    assert recorder.report.erased == 50
    assert recorder.report.longest_gap_s == pytest.approx(0.1)


@pytest.mark.slow
def test_a_second_run_adds_to_what_the_first_has_erased(tmp_path):
    for first in (0, 100):
        with open_recorder(tmp_path) as recorder:
            record_pictures(recorder, 20, first=first)
            recorder.erase(1.0)
    erased = label_file.read(tmp_path / "erased" / "labels.json")
    assert len(erased) == 20
    assert {file.stem for file in (tmp_path / "erased").glob("*.jpg")} == set(erased)
    assert len(assert_whole(tmp_path)) == 20


@pytest.mark.slow
def test_erasing_twice_goes_further_back(tmp_path):
    with open_recorder(tmp_path) as recorder:
        record_pictures(recorder, 100)
        recorder.erase(2.0)
        recorder.erase(2.0)
    assert len(assert_whole(tmp_path)) == 60


def test_erasing_nothing_is_no_error(tmp_path):
    with open_recorder(tmp_path) as recorder:
        recorder.erase(5.0)
    assert recorder.report.pictures == 0
    assert assert_whole(tmp_path) == {}


def test_a_pause_is_no_gap(tmp_path):
    with open_recorder(tmp_path) as recorder:
        record_pictures(recorder, 10)
        recorder.pause()
        record_pictures(recorder, 10, first=1000)
    assert recorder.report.longest_gap_s == pytest.approx(0.1)
    assert recorder.report.duration_s == pytest.approx(1.8)
