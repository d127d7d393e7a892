"""`upload_to_db.py`: exit code, stdout, stderr and effect of corrections and deletions."""

import os
import pty
import subprocess
import sys

import pytest

import path
from common.errors import Declined
from get_data import search_and_download, upload_data, upload_to_db
from get_data.cli import people
from get_data.database.local.label_index import SqliteIndex
from get_data.labels import label_file
from tests.conftest import document
from tests.helpers.label_files import correct, mark_for_deletion
from tests.helpers.waiting import HANGS_S
from tests.scripts.searches import drive_label, find


def test_corrections_and_deletions_are_applied(call, fetched, drive, tmp_path):
    correct(fetched, 4)
    mark_for_deletion(fetched, 5, 6)
    planned = call(upload_to_db, fetched, "--dry-run")
    code, counts, err = call(upload_to_db, fetched, "-y")
    assert (code, counts) == (0, planned[1])
    assert counts == {
        "created": 1,
        "there": 7,
        "gone": 0,
        "amended": 0,
        "replaced": 1,
        "deleted": 2,
        "absent": 0,
        "pictures_sent": 0,
        "pictures_deleted": 2,
        "failed": 0,
    }
    assert "Corrected 1 label, deleted 2 labels and 2 pictures" in err
    left = {"label.label_direction": {"type": "term", "value": 0}}
    assert find(call, left, tmp_path) == [document(number)["img_id"] for number in (0, 4)]
    right = {"label.label_direction": {"type": "term", "value": 4}}
    assert find(call, right, tmp_path) == [document(9)["img_id"]]
    assert len(find(call, {}, tmp_path)) == 8
    code, counts, err = call(upload_data, drive)
    assert counts == {
        "created": 0,
        "there": 7,
        "gone": 3,
        "differing": 0,
        "failed": 0,
        "pictures_sent": 0,
    }
    assert "3 labels corrected or deleted" in err
    assert "--restore" in err
    assert call(upload_data, drive, "--restore")[1]["created"] == 3


def test_a_tombstone_has_the_reason_and_the_user(call, fetched, home):
    correct(fetched, 4)
    mark_for_deletion(fetched, 5)
    call(upload_to_db, fetched, "-y")
    index = SqliteIndex(home / "database")
    found = index.find_tombstones([drive_label(number)["label_fingerprint"] for number in (4, 5)])
    index.close()
    assert {
        tombstone.img_id: (tombstone.reason, tombstone.removed_by) for tombstone in found.values()
    } == {
        drive_label(4)["img_id"]: ("replaced", people.login_name()),
        drive_label(5)["img_id"]: ("deleted", people.login_name()),
    }


def test_a_dry_run_of_a_restoration_restores_nothing(call, fetched, drive):
    mark_for_deletion(fetched, 5)
    call(upload_to_db, fetched, "-y")
    assert call(upload_data, drive, "--restore", "--dry-run")[1]["created"] == 1
    assert call(upload_data, drive)[1]["gone"] == 1
    assert call(upload_data, drive, "--restore")[1]["created"] == 1


def test_applying_twice_changes_nothing(call, fetched):
    correct(fetched, 4)
    mark_for_deletion(fetched, 5)
    call(upload_to_db, fetched, "-y")
    code, counts, _ = call(upload_to_db, fetched, "-y")
    assert code == 0
    assert (counts["created"], counts["replaced"], counts["deleted"]) == (0, 0, 0)
    assert (counts["there"], counts["absent"]) == (9, 2)


def test_a_failed_correction_leaves_the_old_label(call, fetched, tmp_path):
    correction = correct(fetched, 4)
    (fetched / correction["file_name"]).write_bytes(b"another picture")
    code, counts, err = call(upload_to_db, fetched, "-y")
    assert (code, counts["replaced"], counts["failed"]) == (3, 0, 1)
    assert "is damaged" in err
    right = {"label.label_direction": {"type": "term", "value": 4}}
    assert correction["img_id"] in find(call, right, tmp_path)


def test_replaced_labels_can_be_kept(call, fetched, tmp_path):
    correct(fetched, 4)
    assert call(upload_to_db, fetched, "--keep-replaced")[1]["replaced"] == 0
    right = {"label.label_direction": {"type": "term", "value": 4}}
    assert document(4)["img_id"] in find(call, right, tmp_path)
    code, counts, err = call(search_and_download, "-p", tmp_path / "all")
    assert (code, counts["found"], counts["other_labels"]) == (0, 10, 1)
    assert "1 older label of the same pictures" in err


def test_deleting_a_label_keeps_a_picture_with_another_label(call, fetched, tmp_path):
    correct(fetched, 4)
    call(upload_to_db, fetched, "--keep-replaced")
    label_file.write(fetched / label_file.NAME, {drive_label(4)["img_id"]: drive_label(4)})
    mark_for_deletion(fetched, 4)
    code, counts, _ = call(upload_to_db, fetched, "-y")
    assert (code, counts["deleted"], counts["pictures_deleted"]) == (0, 1, 0)
    assert len(find(call, {}, tmp_path)) == 10


def test_a_correction_to_an_earlier_label_restores_it(call, fetched, tmp_path):
    first = correct(fetched, 4, direction=1)
    call(upload_to_db, fetched, "-y")
    correct(fetched, 4, direction=0)
    call(upload_to_db, fetched, "-y")
    again = correct(fetched, 4, direction=1)
    assert again["label_fingerprint"] == first["label_fingerprint"]
    code, counts, _ = call(upload_to_db, fetched, "-y")
    assert (code, counts["created"], counts["replaced"], counts["gone"]) == (0, 1, 1, 0)
    second = {"label.label_direction": {"type": "term", "value": 1}}
    assert again["img_id"] in find(call, second, tmp_path)
    code, counts, _ = call(upload_to_db, fetched, "-y")  # nothing to do
    assert (code, counts["created"], counts["replaced"]) == (0, 0, 0)


@pytest.mark.parametrize("key", ["index.sqlite", "../x", "pictures/other/x-0123456789ab.jpg"])
def test_a_key_of_another_picture_is_refused(call, fetched, key, home):
    labels = label_file.read(fetched / label_file.NAME)
    labels[drive_label(4)["img_id"]] |= {"s3_key": key, "to_delete": True}
    label_file.write(fetched / label_file.NAME, labels)
    code, _, err = call(upload_to_db, fetched, "-y")
    assert code == 2
    assert "s3_key" in err
    assert (home / "database" / "index.sqlite").exists()


def test_deletion_without_a_terminal_is_refused(call, fetched, tmp_path):
    mark_for_deletion(fetched, 5)
    code, out, err = call(upload_to_db, fetched)
    assert (code, out) == (Declined.exit_code, None)
    assert "run with -y" in err
    assert "delete 1 label and 1 picture" in err
    assert len(find(call, {}, tmp_path)) == 10


def test_adding_labels_asks_nothing(call, drive):
    assert call(upload_to_db, drive)[:2][1]["created"] == 10


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1), ("", 1), ("maybe", 1)])
def test_deletion_on_a_terminal_follows_the_answer(call, fetched, answer, code):
    mark_for_deletion(fetched, 5)
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
    labels[correction["img_id"]]["replaces"] = drive_label(5)["label_fingerprint"]
    label_file.write(fetched / label_file.NAME, labels)
    code, _, err = call(upload_to_db, fetched, "-y")
    assert code == 2
    assert drive_label(5)["img_id"] in err
    assert len(find(call, {}, tmp_path)) == 10
