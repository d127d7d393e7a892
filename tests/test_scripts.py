"""The scripts at the desk, through their main: exit code, stdout, stderr and effect."""

import contextlib
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

import path
from common.errors import Declined, StillRecording
from get_data import (
    contact_sheet,
    run_manual,
    search_and_download,
    upload_data,
    upload_to_db,
    write_label_template,
)
from get_data.cli import output, process
from get_data.database.local.label_index import SqliteIndex
from get_data.labels import edits, ids, label_file, validation
from get_data.recording import journal
from tests.conftest import document, picture, save
from tests.helpers import jpeg_files
from tests.helpers.faults import before_anything
from tests.helpers.recordings import interrupted_recording
from tests.helpers.waiting import HANGS_S, wait_until
from tests.pi import namespace
from tests.test_bad_input import rights_count

STEERING = [-0.9, -0.5, 0.0, 0.5, 0.9]


def in_drive(number):
    return document(number, steering=STEERING[number % 5])


def test_upload_counts_and_names_the_database(call, drive, home):
    code, counts, err = call(upload_data, drive)
    assert code == 0
    assert counts == {"created": 10, "there": 0, "gone": 0, "failed": 0, "pictures_sent": 10}
    assert err.splitlines()[0] == f"database: local, {home / 'database'}"


def test_a_second_upload_sends_nothing(call, drive):
    call(upload_data, drive)
    code, counts, _ = call(upload_data, drive)
    assert code == 0
    assert counts == {"created": 0, "there": 10, "gone": 0, "failed": 0, "pictures_sent": 0}


@contextmanager
def nothing_to_be_written(folder):
    """Nobody may write into the folder while the block runs."""
    below = [folder, *folder.rglob("*")]
    for one in below:
        one.chmod(0o555 if one.is_dir() else 0o444)
    try:
        with rights_count():
            yield
    finally:
        for one in below:
            one.chmod(0o755 if one.is_dir() else 0o644)


@pytest.mark.parametrize("in_use", [False, True], ids=["nobody writes", "somebody else may write"])
def test_who_may_only_read_the_local_database_can_search_and_dry_run(
    call, drive, home, tmp_path, in_use
):
    database = home / "database"
    call(upload_data, drive)
    with closing(sqlite3.connect(database / "index.sqlite")) as other:
        if in_use:  # then the newest labels are in a file beside the index
            other.execute("SELECT count(*) FROM labels").fetchall()
            call(upload_data, save(tmp_path / "new", [document(20)]))
            assert (database / "index.sqlite-wal").stat().st_size > 0
        with nothing_to_be_written(database):
            code, counts, err = call(search_and_download, "-p", tmp_path / "training")
            assert (code, counts["fetched"]) == (0, 11 if in_use else 10), err
            code, counts, err = call(upload_data, drive, "--dry-run")
            assert (code, counts["there"]) == (0, 10), err
            code, _, err = call(upload_data, save(tmp_path / "more", [document(30)]))
            assert code == 1
            assert "Permission denied" in err


def test_a_dry_run_counts_like_the_real_run_and_creates_nothing(call, drive, home):
    planned = call(upload_data, drive, "--dry-run")
    assert list(home.iterdir()) == []
    assert planned[1] == call(upload_data, drive)[1]


def test_several_folders_and_files_are_one_upload(call, drive, tmp_path):
    other = save(tmp_path / "other", [document(number) for number in range(20, 25)])
    code, counts, _ = call(upload_data, drive, other / label_file.NAME, drive)
    assert (code, counts["created"]) == (0, 15)


def test_an_id_from_elsewhere_may_have_dots_side_by_side(call, drive, tmp_path):
    labels = label_file.read(drive / label_file.NAME)
    one = labels.pop(in_drive(3)["img_id"])
    one["img_id"] = "a..b"
    one["label_fingerprint"] = ids.fingerprint("a..b", one["label"])
    label_file.write(drive / label_file.NAME, labels | {"a..b": one})
    planned = call(upload_data, drive, "--dry-run")
    code, counts, err = call(upload_data, drive)
    assert (code, counts) == (0, planned[1]), err
    assert counts["created"] == 10
    asked = {"img_id": {"type": "term", "value": "a..b"}}
    assert found(call, asked, tmp_path) == ["a..b"]
    assert (tmp_path / "found" / one["file_name"]).read_bytes() == picture(3)
    label_file.write(tmp_path / "wish.json", {"a..b": one | {"to_delete": True}})
    counts = call(upload_to_db, tmp_path / "wish.json", "-p", drive, "-y")[1]
    assert (counts["deleted"], counts["pictures_deleted"]) == (1, 1)


def test_pictures_may_lie_elsewhere(call, drive, tmp_path):
    labels = tmp_path / "elsewhere.json"
    (drive / label_file.NAME).rename(labels)
    with_none = call(upload_data, labels)
    assert with_none[0] == 2
    assert "-p" in with_none[2]
    assert call(upload_data, labels, "-p", drive)[1]["created"] == 10


def test_a_missing_picture_is_named_and_a_second_run_completes(call, drive):
    file = drive / in_drive(3)["file_name"]
    file.rename(drive / "aside")
    code, counts, err = call(upload_data, drive)
    assert (code, counts["created"], counts["failed"]) == (3, 9, 1)
    assert f"failed: {in_drive(3)['img_id']}: {file} does not exist" in err
    (drive / "aside").rename(file)
    assert call(upload_data, drive)[:2] == (
        0,
        {"created": 1, "there": 9, "gone": 0, "failed": 0, "pictures_sent": 1},
    )


KILLED_BEFORE_THE_SYNC = """
import os, signal
from get_data.database.local.picture_store import LocalPictureStore

LocalPictureStore.make_durable = lambda store: os.kill(os.getpid(), signal.SIGKILL)
"""
LEFT_BY_A_POWER_CUT = {  # of what was written and not synced
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("left", LEFT_BY_A_POWER_CUT.values(), ids=LEFT_BY_A_POWER_CUT)
def test_an_upload_after_a_power_cut_leaves_every_picture_whole(
    call, drive, home, tmp_path, monkeypatch, left
):
    with monkeypatch.context() as patch:
        before_anything(patch, tmp_path, KILLED_BEFORE_THE_SYNC)
        script = path.ROOT / "get_data" / "upload_data.py"
        ended = subprocess.run([sys.executable, script, drive], capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    stored = list((home / "database" / "pictures").rglob("*.jpg"))
    assert len(stored) == 10
    for file in stored[::2]:
        file.write_bytes(left(file.read_bytes()))
    code, counts, _ = call(upload_data, drive)
    assert (code, counts["created"], counts["pictures_sent"]) == (0, 10, 5)
    assert call(search_and_download, "-p", tmp_path / "training", "--verify")[0] == 0
    for number in range(10):
        file = tmp_path / "training" / document(number)["file_name"]
        assert file.read_bytes() == picture(number)


@pytest.mark.parametrize("key", ["to_delete", "replaces"])
def test_upload_leaves_corrections_to_the_script_for_them(call, drive, key, home):
    labels = label_file.read(drive / label_file.NAME)
    one = next(iter(labels.values()))
    one[key] = True if key == "to_delete" else "0" * 32
    label_file.write(drive / label_file.NAME, labels)
    code, _, err = call(upload_data, drive)
    assert code == 2
    assert "apply this file with upload_to_db.py" in err
    assert list(home.iterdir()) == []


def test_an_interrupted_recording_is_repaired_aloud_by_each_script(call, tmp_path):
    for number, script in enumerate((upload_data, upload_to_db, contact_sheet)):
        folder = interrupted_recording(tmp_path / str(number), [document(0)], torn=b"torn")
        code, _, err = call(script, folder)
        assert code == 0, err
        assert f"{folder}: repaired an interrupted recording: 1 label kept" in err
        assert "this line of the journal is torn" in err
        assert not (folder / journal.NAME).exists()


def test_one_picture_that_may_not_be_read_costs_an_interrupted_recording_only_itself(
    call, tmp_path
):
    folder = interrupted_recording(tmp_path / "drive", [document(number) for number in range(3)])
    (folder / document(1)["file_name"]).chmod(0)
    with rights_count():
        code, counts, err = call(upload_data, folder)
    assert (code, counts["created"]) == (0, 2)
    reason = "the picture cannot be read: Permission denied"
    assert f"  damaged: {document(1)['img_id']}: {reason}" in err
    assert (folder / "damaged" / document(1)["file_name"]).exists()


@pytest.mark.slow
def test_a_drive_goes_on_in_a_folder_with_a_picture_that_cannot_be_read(call, tmp_path):
    folder = interrupted_recording(tmp_path / "drive", [document(number) for number in range(3)])
    file = folder / document(1)["file_name"]
    file.unlink()
    file.mkdir()
    code, _, err = call(run_manual, "-o", folder, "--simulate", "--duration", 1)
    assert code == 0, err
    assert f"  damaged: {document(1)['img_id']}: the picture is not a regular file" in err
    assert len(label_file.read(folder / label_file.NAME)) > 2


def test_a_recording_that_runs_is_refused(call, tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "LOCK_TIMEOUT_S", 0.1)
    folder = interrupted_recording(tmp_path / "drive", [document(0)])
    with journal.folder_lock(folder):
        code, _, err = call(upload_data, folder)
    assert code == StillRecording.exit_code == 1
    assert "is being recorded into by another process" in err


@pytest.fixture
def fetched(call, drive, tmp_path):
    """The drive, uploaded and fetched into a folder of its own."""
    call(upload_data, drive)
    call(search_and_download, "-p", tmp_path / "training")
    return tmp_path / "training"


@pytest.mark.slow
@pytest.mark.skipif(bool(namespace.missing_support()), reason=namespace.missing_support())
def test_uploads_from_two_containers_at_once_keep_their_pictures_apart(call, tmp_path):
    """Each container counts its processes from 1."""
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


@pytest.mark.slow
def test_two_searches_at_once_into_one_folder_leave_it_whole(call, tmp_path):
    call(upload_data, save(tmp_path / "drive", [document(number) for number in range(600)]))
    training = tmp_path / "training"
    script = path.ROOT / "get_data" / "search_and_download.py"
    searches = [
        subprocess.Popen([sys.executable, script, "-p", training], stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    ends = [(search.communicate()[1], search.returncode) for search in searches]
    assert [code for _, code in ends] == [0, 0], ends
    labels = label_file.read(training / label_file.NAME)
    names = {one["file_name"] for one in labels.values()}
    assert len(names) == 600
    assert {file.name for file in training.iterdir()} == {*names, label_file.NAME}
    for one in labels.values():
        assert ids.sha256((training / one["file_name"]).read_bytes()) == one["picture_sha256"]


def correct(folder, number, direction=0):
    """Ada corrects the direction of one picture in a label file."""
    labels = label_file.read(folder / label_file.NAME)
    img_id = document(number)["img_id"]
    labels[img_id] = edits.corrected(
        labels[img_id], created_by="Ada", direction=direction, speed=1, created_on=datetime.now(UTC)
    )
    label_file.write(folder / label_file.NAME, labels)
    return labels[img_id]


def mark(folder, *numbers):
    """These labels are to be deleted."""
    labels = label_file.read(folder / label_file.NAME)
    for number in numbers:
        labels[document(number)["img_id"]]["to_delete"] = True
    label_file.write(folder / label_file.NAME, labels)


def found(call, query, tmp_path):
    """The ids that a search finds."""
    folder = tmp_path / "found"
    code, _, err = call(search_and_download, "-q", json.dumps(query), "-p", folder)
    assert code == 0, err
    return list(label_file.read(folder / label_file.NAME))


def test_corrections_and_deletions_are_applied(call, fetched, drive, tmp_path):
    correct(fetched, 4)
    mark(fetched, 5, 6)
    planned = call(upload_to_db, fetched, "--dry-run")
    code, counts, err = call(upload_to_db, fetched, "-y")
    assert (code, counts) == (0, planned[1])
    assert counts == {
        "created": 1,
        "there": 7,
        "gone": 0,
        "replaced": 1,
        "deleted": 2,
        "absent": 0,
        "pictures_sent": 0,
        "pictures_deleted": 2,
        "failed": 0,
    }
    assert "Corrected 1 label, deleted 2 labels and 2 pictures" in err
    left = {"label.label_direction": {"type": "term", "value": 0}}
    assert found(call, left, tmp_path) == [document(number)["img_id"] for number in (0, 4)]
    right = {"label.label_direction": {"type": "term", "value": 4}}
    assert found(call, right, tmp_path) == [document(9)["img_id"]]
    assert len(found(call, {}, tmp_path)) == 8
    code, counts, err = call(upload_data, drive)
    assert counts == {"created": 0, "there": 7, "gone": 3, "failed": 0, "pictures_sent": 0}
    assert "3 labels corrected or deleted" in err
    assert "--restore" in err
    assert call(upload_data, drive, "--restore")[1]["created"] == 3


def test_why_a_label_is_gone_and_by_whom_is_kept(call, fetched, home):
    correct(fetched, 4)
    mark(fetched, 5)
    call(upload_to_db, fetched, "-y")
    index = SqliteIndex(home / "database")
    gone = index.find_tombstones([in_drive(number)["label_fingerprint"] for number in (4, 5)])
    index.close()
    assert {one.img_id: (one.reason, one.removed_by) for one in gone.values()} == {
        in_drive(4)["img_id"]: ("replaced", process.login_name()),
        in_drive(5)["img_id"]: ("deleted", process.login_name()),
    }


def test_a_dry_run_of_a_restoration_restores_nothing(call, fetched, drive):
    mark(fetched, 5)
    call(upload_to_db, fetched, "-y")
    assert call(upload_data, drive, "--restore", "--dry-run")[1]["created"] == 1
    assert call(upload_data, drive)[1]["gone"] == 1
    assert call(upload_data, drive, "--restore")[1]["created"] == 1


def test_applying_twice_changes_nothing(call, fetched):
    correct(fetched, 4)
    mark(fetched, 5)
    call(upload_to_db, fetched, "-y")
    code, counts, _ = call(upload_to_db, fetched, "-y")
    assert code == 0
    assert (counts["created"], counts["replaced"], counts["deleted"]) == (0, 0, 0)
    assert (counts["there"], counts["absent"]) == (9, 2)


def test_a_correction_that_fails_leaves_the_old_label(call, fetched, tmp_path):
    correction = correct(fetched, 4)
    (fetched / correction["file_name"]).write_bytes(b"another picture")
    code, counts, err = call(upload_to_db, fetched, "-y")
    assert (code, counts["replaced"], counts["failed"]) == (3, 0, 1)
    assert "is damaged" in err
    right = {"label.label_direction": {"type": "term", "value": 4}}
    assert correction["img_id"] in found(call, right, tmp_path)


def test_replaced_labels_can_be_kept(call, fetched, tmp_path):
    correct(fetched, 4)
    assert call(upload_to_db, fetched, "--keep-replaced")[1]["replaced"] == 0
    right = {"label.label_direction": {"type": "term", "value": 4}}
    assert document(4)["img_id"] in found(call, right, tmp_path)
    code, counts, err = call(search_and_download, "-p", tmp_path / "all")
    assert (code, counts["found"], counts["other_labels"]) == (0, 10, 1)
    assert "1 older label of the same pictures" in err


def test_a_deleted_label_leaves_a_picture_that_has_another(call, fetched, tmp_path):
    correct(fetched, 4)
    call(upload_to_db, fetched, "--keep-replaced")
    label_file.write(fetched / label_file.NAME, {in_drive(4)["img_id"]: in_drive(4)})
    mark(fetched, 4)
    code, counts, _ = call(upload_to_db, fetched, "-y")
    assert (code, counts["deleted"], counts["pictures_deleted"]) == (0, 1, 0)
    assert len(found(call, {}, tmp_path)) == 10


def test_a_correction_back_to_an_earlier_label_brings_that_back(call, fetched, tmp_path):
    first = correct(fetched, 4, direction=1)
    call(upload_to_db, fetched, "-y")
    correct(fetched, 4, direction=0)
    call(upload_to_db, fetched, "-y")
    again = correct(fetched, 4, direction=1)
    assert again["label_fingerprint"] == first["label_fingerprint"]
    code, counts, _ = call(upload_to_db, fetched, "-y")
    assert (code, counts["created"], counts["replaced"], counts["gone"]) == (0, 1, 1, 0)
    second = {"label.label_direction": {"type": "term", "value": 1}}
    assert again["img_id"] in found(call, second, tmp_path)
    code, counts, _ = call(upload_to_db, fetched, "-y")  # once more: nothing to do
    assert (code, counts["created"], counts["replaced"]) == (0, 0, 0)


@pytest.mark.parametrize("key", ["index.sqlite", "../x", "pictures/other/x-0123456789ab.jpg"])
def test_a_key_that_is_none_of_that_picture_is_refused(call, fetched, key, home):
    labels = label_file.read(fetched / label_file.NAME)
    labels[in_drive(4)["img_id"]] |= {"s3_key": key, "to_delete": True}
    label_file.write(fetched / label_file.NAME, labels)
    code, _, err = call(upload_to_db, fetched, "-y")
    assert code == 2
    assert "s3_key" in err
    assert (home / "database" / "index.sqlite").exists()


def bytes_below(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    "name",
    ["drive/labels.json", "drive/session_template.json", "home/database/index.sqlite", "notes.txt"],
)
@pytest.mark.parametrize("script", ["contact_sheet", "search"])
def test_an_output_takes_no_other_files_place(call, drive, tmp_path, monkeypatch, script, name):
    monkeypatch.setenv("PATATE_HOME", str(tmp_path / "home"))
    call(upload_data, drive)
    (tmp_path / "notes.txt").write_text("mine")
    before = bytes_below(tmp_path)
    code, _, err = (
        call(contact_sheet, drive, "-o", tmp_path / name)
        if script == "contact_sheet"
        else call(search_and_download, "-p", tmp_path / "out", "-o", tmp_path / name)
    )
    assert code == 2, err
    assert str((tmp_path / name).parent) in err
    assert bytes_below(tmp_path) == before


def test_nothing_is_written_into_the_local_database(call, drive, home):
    call(upload_data, drive)
    before = bytes_below(home)
    inside = home / "database" / "pictures"
    for script, arguments in [
        (search_and_download, ["-p", inside]),
        (search_and_download, ["-p", drive.parent / "out", "-o", inside / "labels.json"]),
        (contact_sheet, [drive, "-o", inside / "sheet.png"]),
        (write_label_template, ["-o", inside / "template.json"]),
    ]:
        code, _, err = call(script, *arguments)
        assert code == 2
        assert f"{inside} is inside the local database" in err
    assert bytes_below(home) == before


@pytest.mark.parametrize("name", ["", "erased"])
def test_a_link_to_a_recording_is_a_recording(call, drive, tmp_path, name):
    (drive / "erased").mkdir()
    (drive / "erased" / label_file.NAME).write_text("{}")
    (tmp_path / "link").symlink_to(drive / name)
    code, _, err = call(search_and_download, "-p", tmp_path / "link")
    assert code == 2
    assert f"{drive} is a recording" in err
    assert (drive / "erased" / label_file.NAME).read_text() == "{}"


@pytest.mark.parametrize("before", ["", "{}"])
def test_an_output_takes_the_place_of_its_own_kind(call, drive, tmp_path, before):
    call(upload_data, drive)
    labels, sheet = tmp_path / "found.json", tmp_path / "sheet.png"
    labels.write_text(before)
    sheet.write_bytes(b"")
    for _ in range(2):
        assert call(search_and_download, "-p", tmp_path / "out", "-o", labels)[0] == 0
        assert call(contact_sheet, drive, "-o", sheet)[0] == 0
    assert len(label_file.read(labels)) == 10
    assert cv2.imread(str(sheet)) is not None


def test_corrections_that_are_not_applied_yet_are_not_overwritten(call, fetched):
    mark(fetched, 4)
    code, _, err = call(search_and_download, "-p", fetched)
    assert code == 2
    assert "has corrections; apply them with upload_to_db.py" in err


def test_what_a_recording_erased_is_never_overwritten_by_a_search(call, drive):
    call(upload_data, drive)
    save(drive / "erased", [document(50)])
    (drive / "erased" / "session_template.json").unlink()
    code, _, err = call(search_and_download, "-p", drive / "erased")
    assert (code, f"{drive} is a recording" in err) == (2, True)


def test_deletion_without_a_terminal_is_refused(call, fetched, tmp_path):
    mark(fetched, 5)
    code, out, err = call(upload_to_db, fetched)
    assert (code, out) == (Declined.exit_code, None)
    assert "run with -y" in err
    assert "delete 1 label and 1 picture" in err
    assert len(found(call, {}, tmp_path)) == 10


def test_adding_alone_asks_nothing(call, drive):
    assert call(upload_to_db, drive)[:2][1]["created"] == 10


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1), ("", 1), ("maybe", 1)])
def test_deletion_on_a_terminal_follows_the_answer(call, fetched, answer, code):
    mark(fetched, 5)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(path.ROOT / "get_data" / "upload_to_db.py"), str(fetched)],
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.write(master, answer.encode() + b"\n")
    out, err = process.communicate(timeout=HANGS_S)
    os.close(master)
    os.close(slave)
    assert process.returncode == code
    assert "[y/N]" in err
    assert bool(out) == (code == 0)
    assert ("nothing was changed" in err) == (code == 1)


def test_a_correction_of_another_picture_is_refused(call, fetched, tmp_path):
    correction = correct(fetched, 4)
    labels = label_file.read(fetched / label_file.NAME)
    labels[correction["img_id"]]["replaces"] = in_drive(5)["label_fingerprint"]
    label_file.write(fetched / label_file.NAME, labels)
    code, _, err = call(upload_to_db, fetched, "-y")
    assert code == 2
    assert in_drive(5)["img_id"] in err
    assert len(found(call, {}, tmp_path)) == 10


def test_search_fetches_the_right_pictures_byte_for_byte(call, drive, tmp_path):
    call(upload_data, drive)
    folder = tmp_path / "left"
    query = tmp_path / "query.json"
    query.write_text('{"label.label_direction": {"type": "term", "value": 0}}')
    code, counts, err = call(search_and_download, "-q", query, "-p", folder)
    expected = {"found": 2, "fetched": 2, "there": 0, "failed": 0, "other_labels": 0}
    assert (code, counts) == (0, expected)
    assert f"labels: {folder / label_file.NAME}" in err
    for number in (0, 5):
        assert (folder / document(number)["file_name"]).read_bytes() == picture(number)
    assert call(search_and_download, "-q", query, "-p", folder)[1]["there"] == 2


def test_labels_may_go_elsewhere_and_pictures_stay_where_they_are(call, fetched, tmp_path):
    labels = tmp_path / "lists" / "all.json"
    options = ("-p", tmp_path / "none", "-o", labels, "--no-download", "--limit", "3")
    code, counts, _ = call(search_and_download, *options)
    assert (code, counts["found"]) == (0, 3)
    assert len(label_file.read(labels)) == 3
    assert list((tmp_path / "none").iterdir()) == []


def test_a_search_in_an_empty_database_finds_nothing_and_creates_nothing(call, home, tmp_path):
    code, counts, _ = call(search_and_download, "-p", tmp_path / "training")
    assert (code, counts["found"]) == (0, 0)
    assert (tmp_path / "training" / label_file.NAME).read_text() == "{}\n"
    assert list(home.iterdir()) == []


def test_a_recording_is_never_overwritten_by_a_search(call, drive, tmp_path):
    call(upload_data, drive)
    before = (drive / label_file.NAME).read_bytes()
    for options in (["-p", drive], ["-p", tmp_path / "x", "-o", drive / label_file.NAME]):
        code, _, err = call(search_and_download, *options)
        assert code == 2
        assert f"{drive} is a recording" in err
    assert (drive / label_file.NAME).read_bytes() == before


def test_a_lost_picture_is_listed_and_the_exit_code_says_so(call, drive, home, tmp_path):
    call(upload_data, drive)
    for file in (home / "database" / "pictures").rglob("*000000-*.jpg"):
        file.unlink()
    code, counts, err = call(search_and_download, "-p", tmp_path / "training")
    assert (code, counts["failed"], counts["fetched"]) == (3, 1, 9)
    assert f"failed: {document(0)['img_id']}: the store has no pictures/20240501/" in err


ENVIRONMENTS = [
    ({"PATATE_ES_URL": "http://x"}, 2, "not PATATE_S3_BUCKET"),
    ({"PATATE_S3_BUCKET": "b"}, 2, "not PATATE_ES_URL"),
    (
        {"PATATE_S3_KEY": "secret"},
        2,
        "not PATATE_ES_URL and PATATE_S3_BUCKET",
    ),
    (
        {"PATATE_ES_URL": "u", "PATATE_S3_BUCKET": "bucket"},
        2,
        "PATATE_ES_URL",
    ),
    ({"PATATE_DATABASE": "remote"}, 2, "PATATE_DATABASE is 'remote'"),
    ({"PATATE_ES_URL": "http://x", "PATATE_DATABASE": "local"}, 0, "database: local"),
    ({"PATATE_ES_URL": ""}, 0, "database: local"),
]


@pytest.mark.parametrize(
    ("variables", "code", "said"), ENVIRONMENTS, ids=[said for _, _, said in ENVIRONMENTS]
)
def test_the_environment_names_one_database_or_is_refused(
    call, drive, monkeypatch, variables, code, said
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = call(upload_data, drive)
    assert result[0] == code
    assert said in result[2]
    assert "secret" not in result[2]


def missing_file(tmp_path):
    return tmp_path / "none.json"


def a_folder_without_labels(tmp_path):
    return tmp_path


def written(content, name="labels.json"):
    def write(tmp_path):
        file = tmp_path / name
        file.write_bytes(content)
        return file

    return write


MISTAKES = [
    (missing_file, "none.json does not exist"),
    (a_folder_without_labels, "has no labels.json"),
    (written(b"{"), "labels.json, line 1, column 2: not JSON"),
    (written(b"[]"), "labels.json: not a label file"),
    (written(b'{"a": 3}'), "labels.json, entry 'a': Expected object, got int"),
    (written(b"\xff\xfe{\0}\0"), "labels.json is not UTF-8 text"),
    (written(b"\xff\xd8", "1.JPG"), "1.JPG is a picture; give its folder"),
]


@pytest.mark.parametrize("script", [upload_data, upload_to_db, contact_sheet])
@pytest.mark.parametrize(("argument", "complaint"), MISTAKES, ids=[one[1] for one in MISTAKES])
def test_usual_mistakes_get_one_line(call, tmp_path, home, script, argument, complaint):
    code, out, err = call(script, argument(tmp_path))
    assert (code, out) == (2, None)
    assert err.startswith("error: ")
    assert complaint in err
    assert len(err.splitlines()) == 1
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("none.json", "none.json does not exist"),
        ("{", "the query, line 1, column 2: not JSON"),
        ('{"driver": {"type": "fuzzy", "value": "Z"}}', "fuzzy"),
        ('{"driver": {"type": "term", "value": "Z", "bool": "perhaps"}}', "perhaps"),
        ('{"driver": 3}', "driver"),
    ],
)
def test_a_query_that_cannot_be_answered_is_refused(call, drive, tmp_path, query, complaint):
    call(upload_data, drive)
    code, out, err = call(search_and_download, "-q", query, "-p", tmp_path / "training")
    assert (code, out) == (2, None)
    assert complaint in err
    assert not (tmp_path / "training" / label_file.NAME).exists()


def test_template_is_a_valid_label_on_stdout(call):
    code, example, err = call(write_label_template)
    assert (code, err) == (0, "")
    validation.parse(example)


def test_schema_is_one(call):
    code, schema, _ = call(write_label_template, "--json-schema")
    assert code == 0
    assert schema["$defs"]["Label"]["properties"]["img_id"]["description"]


def test_template_is_written_and_never_over_another_file(call, tmp_path):
    file = tmp_path / "template.json"
    assert call(write_label_template, "-o", file)[0] == 0
    validation.parse(json.loads(file.read_text()))
    file.write_text("mine")
    code, _, err = call(write_label_template, "-o", file)
    assert code == 1
    assert f"{file} exists" in err
    assert file.read_text() == "mine"


def test_template_names_a_folder_that_is_not_there(call, tmp_path):
    code, _, err = call(write_label_template, "-o", tmp_path / "none" / "template.json")
    assert code == 1
    assert "none/template.json cannot be written: No such file or directory" in err


def test_contact_sheet_draws_every_picture_with_its_label(call, tmp_path):
    folder = save(tmp_path / "drive", [document(number) for number in range(6)])
    jpeg = cv2.imencode(".jpg", np.full((120, 160, 3), 200, np.uint8))[1].tobytes()
    for file in folder.glob("*.jpg"):
        file.write_bytes(jpeg)
    code, counts, _ = call(contact_sheet, folder)
    assert (code, counts["drawn"]) == (0, 6)
    drawn = cv2.imread(str(folder / "contact_sheet.png"))
    assert drawn.shape == (2 * 156 + 6, 3 * 206 + 6, 3)
    assert call(contact_sheet, folder, "--most", "2")[1]["drawn"] == 2


def jpeg_that_says(width, height):
    """The beginning of a picture of that size in pixels, as a download that was cut leaves it."""
    start = bytes.fromhex("ffc0001108")  # what comes before height and width
    encoded = cv2.imencode(".jpg", np.full((16, 16, 3), 200, np.uint8))[1].tobytes()
    at = encoded.index(start) + len(start)
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return encoded[:at] + size + encoded[at + 4 :]


def test_contact_sheet_shows_grey_for_a_picture_beyond_all_size(call, tmp_path):
    folder = save(tmp_path / "drive", [document(0)])
    (folder / document(0)["file_name"]).write_bytes(jpeg_that_says(65500, 65500))
    assert call(contact_sheet, folder)[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [jpeg_that_says(12000, 12000), jpeg_files.bomb(16000), jpeg_files.flat(4800, 4000)],
    ids=["cut", "progressive", "the largest"],
)
def test_contact_sheet_needs_little_memory_for_a_huge_picture(tmp_path, content):
    folder = save(tmp_path / "drive", [document(0)])
    (folder / document(0)["file_name"]).write_bytes(content)
    code = (
        "import sys\n"
        "from get_data import contact_sheet\n"
        "contact_sheet.main(sys.argv[1:])\n"
        "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, folder], cwd=path.ROOT, capture_output=True, check=True
    )
    assert int(ended.stdout.split()[-1]) < 300_000  # kilobytes, of which 100,000 are OpenCV's


def test_contact_sheet_says_where_a_picture_is_missing(call, tmp_path):
    folder = save(tmp_path / "drive", [document(0)], pictures=False)
    assert call(contact_sheet, folder)[0] == 0
    empty = save(tmp_path / "empty", [])
    assert call(contact_sheet, empty)[0] == 2


def test_an_interrupt_ends_with_its_code_and_no_traceback(call, drive, monkeypatch):
    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(upload_data, "upload", interrupt)
    code, out, err = call(upload_data, drive)
    assert (code, out) == (130, None)
    assert err.splitlines()[-1] == "interrupted"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_upload_ended_by_a_signal_says_so_and_is_completed_by_a_second(call, tmp_path, number):
    folder = save(tmp_path / "long", [document(one) for one in range(1500)])
    process = subprocess.Popen(
        [sys.executable, str(path.ROOT / "get_data" / "upload_data.py"), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until((path.database_folder() / "pictures").is_dir)
    process.send_signal(number)
    out, err = process.communicate(timeout=HANGS_S)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[1:] == ["interrupted"]
    code, counts, _ = call(upload_data, folder)
    assert (code, counts["created"] + counts["there"]) == (0, 1500)
    assert counts["created"] > 0  # the first one was in the middle


@pytest.mark.slow
def test_an_upload_with_nohup_outlives_the_terminal(tmp_path):
    folder = save(tmp_path / "long", [document(one) for one in range(1500)])
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


FAKE_PYTHON = """#!/bin/sh
case $2 in
tests.servers) echo $$ >server; echo PATATE_ES_URL=x; while :; do sleep 0.1; done ;;
*) echo $$ >script; exec sleep 9999 ;;
esac
"""  # `exec`, as a shell that is about to start a program may miss Ctrl-C


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_servers_of_a_demo_end_with_it(tmp_path, number):
    (tmp_path / "python").write_text(FAKE_PYTHON)
    (tmp_path / "python").chmod(0o755)
    demo = subprocess.Popen(
        ["sh", str(path.ROOT / "demo.sh"), "./python", "team"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until((tmp_path / "script").is_file)
    os.killpg(demo.pid, number)  # as a terminal does
    demo.wait(HANGS_S)
    server = int((tmp_path / "server").read_text())
    try:
        with pytest.raises(ProcessLookupError):
            os.kill(server, 0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)


@pytest.mark.parametrize("debug", ["", "1"])
@pytest.mark.parametrize(
    ("script", "code"), [(upload_data, 2), (upload_to_db, 1)], ids=["bad input", "declined"]
)
def test_debug_shows_the_traceback_and_changes_nothing_else(
    call, fetched, monkeypatch, script, code, debug
):
    """Neither the exit code, nor that a terminal gets no signs that it would obey."""
    monkeypatch.setenv("DEBUG", debug)
    mark(fetched, 5)
    labels = fetched if code == 1 else fetched / "\x1b[2Jno\r\u202ene.json"
    ended, counts, err = call(script, labels)
    assert (ended, counts) == (code, None)
    assert ("Traceback" in err) == bool(debug)
    assert sum(line.startswith("error: ") for line in err.splitlines()) == 1
    assert all(sign.isprintable() for line in err.split("\n") for sign in line)


def test_a_reader_that_has_enough_is_no_error(drive):
    command = f"{sys.executable} {path.ROOT}/get_data/write_label_template.py | true"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


SCRIPTS = sorted(
    file for file in (path.ROOT / "get_data").glob("*.py") if "parse_args" in file.read_text()
)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_every_script_runs_from_any_folder_and_helps(script, tmp_path):
    done = subprocess.run(
        [sys.executable, "-I", str(script), "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: {script.name}")
    assert f"python get_data/{script.name}" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 labels"), (1, "1 label"), (2, "2 labels"), (2031, "2,031 labels")]
)
def test_a_number_and_its_noun_agree(count, told):
    assert output.pluralize(count, "label") == told
