"""The file `last_img_id`, by which the ids of the next run follow those of this one."""

from datetime import timedelta

import pytest

from common.errors import InputError, RecordingFailed
from get_data.labels import ids
from get_data.recording import capture_clock
from tests.conftest import START
from tests.helpers.recordings import FRAME, assert_whole, open_recorder, record_pictures
from tests.helpers.waiting import wait_until


def test_the_newest_id_is_kept_for_the_next_run(tmp_path):
    id_file = tmp_path / "last_img_id"
    with open_recorder(tmp_path / "drive", last_img_id_file=id_file) as recorder:
        record_pictures(recorder, 10)
    assert id_file.read_text().strip() == ids.format_img_id(START + timedelta(milliseconds=900))


@pytest.mark.slow
def test_ids_are_remembered_before_the_first_picture_is_written(tmp_path):
    """The next run's ids must follow, even if this one is killed in its first second."""
    id_file = tmp_path / "last_img_id"
    recorder = open_recorder(tmp_path / "drive", last_img_id_file=id_file)
    record_pictures(recorder, 1)
    wait_until(lambda: recorder.progress.written == 1)
    assert capture_clock.load_last_time(id_file) > START
    record_pictures(recorder, 1, first=36000)  # the wall clock jumps an hour ahead
    wait_until(lambda: recorder.progress.written == 2)
    recorder._writer.kill()
    with pytest.raises(RecordingFailed):
        recorder.close()
    assert capture_clock.load_last_time(id_file) > START + timedelta(hours=1)


@pytest.mark.slow
def test_the_remembered_id_is_never_before_a_written_picture(tmp_path):
    """The next run's ids follow, whenever this one is killed."""
    id_file, last = tmp_path / "last_img_id", START
    recorder = open_recorder(tmp_path / "drive", last_img_id_file=id_file)
    for number in range(60):  # a minute, in less time
        last = START + timedelta(seconds=number)
        assert recorder.record(FRAME, captured=last, steering=0, throttle=0)
        wait_until(lambda known=number + 1: recorder.progress.written == known)
        assert capture_clock.load_last_time(id_file) >= last
    recorder._writer.kill()
    with pytest.raises(RecordingFailed):
        recorder.close()
    assert capture_clock.load_last_time(id_file) >= last


@pytest.mark.slow
def test_the_id_of_an_erased_picture_is_not_used_again(tmp_path):
    """A second picture with this id would replace the first if it were erased too."""
    id_file, last = tmp_path / "last_img_id", START + timedelta(milliseconds=900)
    with open_recorder(tmp_path / "drive", last_img_id_file=id_file) as recorder:
        record_pictures(recorder, 10)
        recorder.erase(5.0)
    assert capture_clock.load_last_time(id_file) == last
    with open_recorder(tmp_path / "drive") as recorder:
        assert recorder.newest == last
        with pytest.raises(InputError, match="has a picture of 2024"):
            record_pictures(recorder, 1)


@pytest.mark.slow
def test_an_id_file_that_cannot_be_written_is_reported_and_loses_no_picture(tmp_path):
    id_file = tmp_path / "home" / "last_img_id"
    id_file.parent.mkdir()
    with open_recorder(tmp_path / "drive", last_img_id_file=id_file) as recorder:
        record_pictures(recorder, 10)
        wait_until(lambda: recorder.progress.written == 10)
        id_file.unlink()
        id_file.parent.rmdir()
        record_pictures(recorder, 10, first=36000)  # beyond what was remembered ahead
    assert "last_img_id cannot be written" in recorder.report.unremembered
    assert (recorder.report.stopped, recorder.report.unmerged) == ("", "")
    assert len(assert_whole(tmp_path / "drive")) == 20


@pytest.mark.slow
def test_an_id_file_that_becomes_writable_again_is_not_reported(tmp_path):
    id_file = tmp_path / "home" / "last_img_id"
    with open_recorder(tmp_path / "drive", last_img_id_file=id_file) as recorder:
        record_pictures(recorder, 10)
        wait_until(lambda: recorder.progress.written == 10)
        id_file.parent.mkdir()
    assert recorder.report.unremembered == ""
    assert capture_clock.load_last_time(id_file) == START + timedelta(milliseconds=900)
