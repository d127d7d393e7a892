"""`upload_data.py`: exit code, stdout, stderr and effect."""

import json
import signal
import subprocess
import sys

import pytest

import path
from common.errors import StillRecording
from get_data import search_and_download, upload_data, upload_to_db
from get_data.commands import upload_data as command
from get_data.labels import ids, label_file
from get_data.recording import journal
from tests.conftest import document, picture, save
from tests.helpers.faults import before_anything
from tests.helpers.recordings import interrupted_recording
from tests.helpers.waiting import HANGS_S, wait_until
from tests.pi import namespace
from tests.scripts.searches import drive_label, find


def test_upload_counts_and_names_the_database(call, drive, home):
    code, counts, err = call(upload_data, drive)
    assert code == 0
    assert counts == {
        "created": 10,
        "there": 0,
        "gone": 0,
        "differing": 0,
        "failed": 0,
        "pictures_sent": 10,
    }
    assert err.splitlines()[0] == f"database: local, {home / 'database'}"


def test_a_second_upload_sends_nothing(call, drive):
    call(upload_data, drive)
    code, counts, _ = call(upload_data, drive)
    assert code == 0
    assert counts == {
        "created": 0,
        "there": 10,
        "gone": 0,
        "differing": 0,
        "failed": 0,
        "pictures_sent": 0,
    }


def test_a_dry_run_counts_like_the_real_run_and_creates_nothing(call, drive, home):
    planned = call(upload_data, drive, "--dry-run")
    assert list(home.iterdir()) == []
    assert planned[1] == call(upload_data, drive)[1]


def test_several_folders_and_files_are_one_upload(call, drive, tmp_path):
    other = save(tmp_path / "other", [document(number) for number in range(20, 25)])
    code, counts, _ = call(upload_data, drive, other / label_file.NAME, drive)
    assert (code, counts["created"]) == (0, 15)


def test_an_id_of_another_tool_may_have_adjacent_dots(call, drive, tmp_path):
    labels = label_file.read(drive / label_file.NAME)
    label = labels.pop(drive_label(3)["img_id"])
    label["img_id"] = "a..b"
    label["label_fingerprint"] = ids.fingerprint("a..b", label["label"])
    label_file.write(drive / label_file.NAME, labels | {"a..b": label})
    planned = call(upload_data, drive, "--dry-run")
    code, counts, err = call(upload_data, drive)
    assert (code, counts) == (0, planned[1]), err
    assert counts["created"] == 10
    query = {"img_id": {"type": "term", "value": "a..b"}}
    assert find(call, query, tmp_path) == ["a..b"]
    assert (tmp_path / "found" / label["file_name"]).read_bytes() == picture(3)
    label_file.write(tmp_path / "deletion.json", {"a..b": label | {"to_delete": True}})
    counts = call(upload_to_db, tmp_path / "deletion.json", "-p", drive, "-y")[1]
    assert (counts["deleted"], counts["pictures_deleted"]) == (1, 1)


def test_pictures_may_be_in_another_folder(call, drive, tmp_path):
    labels = tmp_path / "moved.json"
    (drive / label_file.NAME).rename(labels)
    code, _, err = call(upload_data, labels)
    assert code == 2
    assert "-p" in err
    assert call(upload_data, labels, "-p", drive)[1]["created"] == 10


def test_a_missing_picture_is_named_and_a_second_run_completes(call, drive):
    file = drive / drive_label(3)["file_name"]
    file.rename(drive / "renamed")
    code, counts, err = call(upload_data, drive)
    assert (code, counts["created"], counts["failed"]) == (3, 9, 1)
    assert f"failed: {drive_label(3)['img_id']}: {file} does not exist" in err
    (drive / "renamed").rename(file)
    assert call(upload_data, drive)[:2] == (
        0,
        {"created": 1, "there": 9, "gone": 0, "differing": 0, "failed": 0, "pictures_sent": 1},
    )


KILL_BEFORE_SYNC = """
import os, signal
from get_data.database.local.picture_store import LocalPictureStore

LocalPictureStore.make_durable = lambda store: os.kill(os.getpid(), signal.SIGKILL)
"""


AFTER_POWER_CUT = {  # content of a file that was written and not synced
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("damage", AFTER_POWER_CUT.values(), ids=AFTER_POWER_CUT)
def test_an_upload_after_a_power_cut_stores_every_picture_complete(
    call, drive, home, tmp_path, monkeypatch, damage
):
    with monkeypatch.context() as patch:
        before_anything(patch, tmp_path, KILL_BEFORE_SYNC)
        script = path.ROOT / "get_data" / "upload_data.py"
        ended = subprocess.run([sys.executable, script, drive], capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    stored = list((home / "database" / "pictures").rglob("*.jpg"))
    assert len(stored) == 10
    for file in stored[::2]:
        file.write_bytes(damage(file.read_bytes()))
    code, counts, _ = call(upload_data, drive)
    assert (code, counts["created"], counts["pictures_sent"]) == (0, 10, 5)
    assert call(search_and_download, "-p", tmp_path / "training", "--verify")[0] == 0
    for number in range(10):
        file = tmp_path / "training" / document(number)["file_name"]
        assert file.read_bytes() == picture(number)


@pytest.mark.parametrize("key", ["to_delete", "replaces"])
def test_upload_refuses_corrections_and_names_the_script_for_them(call, drive, key, home):
    labels = label_file.read(drive / label_file.NAME)
    label = next(iter(labels.values()))
    label[key] = True if key == "to_delete" else "0" * 32
    label_file.write(drive / label_file.NAME, labels)
    code, _, err = call(upload_data, drive)
    assert code == 2
    assert "apply this file with upload_to_db.py" in err
    assert list(home.iterdir()) == []


def test_a_running_recording_is_refused(call, tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "LOCK_TIMEOUT_S", 0.1)
    folder = interrupted_recording(tmp_path / "drive", [document(0)])
    with journal.folder_lock(folder):
        code, _, err = call(upload_data, folder)
    assert code == StillRecording.exit_code == 1
    assert "is being recorded into by another process" in err


@pytest.mark.slow
@pytest.mark.skipif(bool(namespace.missing_support()), reason=namespace.missing_support())
def test_concurrent_uploads_from_two_containers_do_not_mix_their_pictures(call, tmp_path):
    """Each container numbers its processes from 1."""
    drives = [
        save(tmp_path / str(start), [document(start + number) for number in range(300)])
        for start in (0, 1000)
    ]
    script = path.ROOT / "get_data" / "upload_data.py"
    uploads = [
        subprocess.Popen(
            [*namespace.CONTAINER, sys.executable, script, drive], stderr=subprocess.PIPE
        )
        for drive in drives
    ]
    ends = [(upload.communicate()[1], upload.returncode) for upload in uploads]
    assert [code for _, code in ends] == [0, 0], ends
    code, counts, _ = call(search_and_download, "-p", tmp_path / "training", "--verify")
    assert (code, counts["fetched"]) == (0, 600)


def test_an_interrupted_upload_ends_with_130_and_without_a_traceback(call, drive, monkeypatch):
    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "upload", interrupt)
    code, out, err = call(upload_data, drive)
    assert (code, out) == (130, None)
    assert err.splitlines()[-1] == "interrupted"


@pytest.mark.slow
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_upload_ended_by_a_signal_reports_it_and_a_second_completes_it(
    call, tmp_path, signal_number
):
    folder = save(tmp_path / "long", [document(number) for number in range(1500)])
    process = subprocess.Popen(
        [sys.executable, str(path.ROOT / "get_data" / "upload_data.py"), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until((path.database_folder() / "pictures").is_dir)
    process.send_signal(signal_number)
    out, err = process.communicate(timeout=HANGS_S)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[1:] == ["interrupted"]
    code, counts, _ = call(upload_data, folder)
    assert (code, counts["created"] + counts["there"]) == (0, 1500)
    assert counts["created"] > 0  # the first was not complete


@pytest.mark.slow
def test_an_upload_with_nohup_outlives_the_terminal(tmp_path):
    folder = save(tmp_path / "long", [document(number) for number in range(1500)])
    process = subprocess.Popen(
        ["nohup", sys.executable, str(path.ROOT / "get_data" / "upload_data.py"), str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until((path.database_folder() / "pictures").is_dir)
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=HANGS_S)
    assert (process.returncode, json.loads(out)["created"]) == (0, 1500), err
