"""The folder of a recording: renamed, deleted, in use, or not to be created."""

import shutil

import pytest

from common.errors import RecordingFailed, StillRecording
from get_data.recording import journal, merge
from tests.helpers.recordings import assert_whole, open_recorder, record_pictures
from tests.helpers.waiting import wait_until


@pytest.mark.parametrize("recreated", [False, True], ids=["renamed", "renamed and recreated"])
def test_a_folder_that_is_renamed_while_recording_keeps_pictures_and_labels_together(
    tmp_path, recreated
):
    folder, away = tmp_path / "drive", tmp_path / "away"
    with open_recorder(folder) as recorder:
        record_pictures(recorder, 10)
        wait_until(lambda: recorder.progress.written == 10)
        folder.rename(away)
        if recreated:
            folder.mkdir()
        record_pictures(recorder, 10, first=10)
        recorder.erase(0.35)
        record_pictures(recorder, 10, first=20)
    assert recorder.report.moved == str(away)
    assert (recorder.report.pictures, recorder.report.erased, recorder.report.stopped) == (
        26,
        4,
        "",
    )
    assert len(assert_whole(away)) == 26
    assert len(assert_whole(away / journal.ERASED)) == 4
    assert not folder.exists() or not list(folder.iterdir())


def test_a_killed_recording_of_a_renamed_folder_is_repaired_where_it_is(tmp_path):
    folder, away = tmp_path / "drive", tmp_path / "away"
    recorder = open_recorder(folder)
    record_pictures(recorder, 10)
    folder.rename(away)
    folder.mkdir()
    record_pictures(recorder, 10, first=10)
    wait_until(lambda: recorder.progress.written == 20)
    recorder._writer.kill()
    with pytest.raises(RecordingFailed):
        recorder.close()
    assert merge.repair(folder) is None
    assert merge.repair(away).damaged == {}
    assert len(assert_whole(away)) == 20


def test_a_folder_that_is_deleted_while_recording_stops_it_with_a_reason(tmp_path):
    folder = tmp_path / "drive"
    recorder = open_recorder(folder)
    record_pictures(recorder, 10)
    wait_until(lambda: recorder.progress.written == 10)
    shutil.rmtree(folder)
    folder.mkdir()
    record_pictures(recorder, 1, first=10)
    recorder.close()
    assert recorder.report.stopped == "No such file or directory"
    assert "No such file or directory" in recorder.report.unmerged
    assert list(folder.iterdir()) == []


def test_a_folder_has_one_recorder_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "LOCK_TIMEOUT_S", 0.1)
    with open_recorder(tmp_path) as recorder:
        record_pictures(recorder, 1)
        with pytest.raises(StillRecording, match="is being recorded into by another process"):
            open_recorder(tmp_path)
    assert len(assert_whole(tmp_path)) == 1


def test_a_folder_that_cannot_be_created_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingFailed, match=r"file/drive cannot be recorded into: Not a dir"):
        open_recorder(tmp_path / "file" / "drive")
