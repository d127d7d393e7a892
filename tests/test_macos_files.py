"""The files that macOS keeps beside others, on a stick with exFAT: no script takes one for ours."""

import pytest

from get_data import (
    back_up,
    check_database,
    check_set,
    edit_labels,
    free_space,
    search_and_download,
    upload_data,
)
from get_data.database import check, delete
from get_data.database.interfaces import BACKUP_PREFIX, picture_key
from get_data.labelizer import work_database
from get_data.labels import label_file
from tests.conftest import document, save
from tests.helpers.folders import snapshot

SIDE_FILE = b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(4000)  # the form is AppleDouble


@pytest.fixture(params=["young", "old"])
def age(request, monkeypatch):
    """Files are those of a program at work, or older than any."""
    monkeypatch.setattr(check, "pause_s", lambda *_: 0.0)
    if request.param == "old":
        monkeypatch.setattr(check, "SETTLED_S", -1.0)
        for module in (check, delete):
            monkeypatch.setattr(module, "OLD_BACKUP_S", -1.0)


def add_macos_files(folder):
    """Put a side file beside every file and folder, and return them all."""
    folders = [folder, *(each for each in folder.rglob("*") if each.is_dir())]
    beside = [each.with_name(f"._{each.name}") for each in folder.rglob("*")]
    found = [*beside, *(each / ".DS_Store" for each in folders)]
    for file in found:
        file.write_bytes(SIDE_FILE)
    return found


def assert_untouched(files):
    assert all(file.read_bytes() == SIDE_FILE for file in files)


@pytest.mark.usefixtures("age")
def test_a_database_with_macos_files_is_in_order(call, drive, home):
    call(upload_data, drive)
    files = add_macos_files(home / "database")
    code, counts, err = call(check_database, "--repair", "-y")
    assert (code, counts["pictures"], sum(counts["found"].values())) == (0, 10, 0), err
    assert_untouched(files)


@pytest.mark.usefixtures("age")
def test_a_side_file_of_a_backup_copy_is_no_copy(call, drive, home):
    call(upload_data, drive)
    label = document(0)
    key = picture_key(label["img_id"], label["picture_sha256"])
    copies = home / "database" / BACKUP_PREFIX / key
    copies.mkdir(parents=True)
    (copies / "._run").write_bytes(SIDE_FILE)
    code, counts, err = call(check_database, "--repair", "-y")
    assert (code, sum(counts["found"].values())) == (0, 0), err
    code, _, err = call(edit_labels, "-q", '{"event": "test day"}', "--delete", "-y")
    assert code == 0, err
    assert_untouched([copies / "._run"])


def test_macos_files_alone_are_no_pictures_of_a_lost_index(call, drive, home):
    folder = home / "database" / "pictures" / "20240501"
    folder.mkdir(parents=True)
    add_macos_files(home / "database")
    (folder / "._20240501T12-00-00-000000-abababababab.jpg").write_bytes(SIDE_FILE)
    code, counts, err = call(upload_data, drive)
    assert (code, counts["created"]) == (0, 10), err


def test_a_backup_with_macos_files_is_continued_and_restored(call, drive, home, tmp_path):
    call(upload_data, drive)
    call(back_up, tmp_path / "backup")
    files = add_macos_files(tmp_path / "backup")
    call(upload_data, save(tmp_path / "second", [document(100)]))
    code, counts, err = call(back_up, tmp_path / "backup")
    assert (code, counts["labels"]) == (0, 11), err
    assert_untouched(files)
    (home / "database").rename(tmp_path / "lost")
    code, _, err = call(back_up, tmp_path / "backup", "--restore", "-y")
    assert code == 0, err
    assert call(check_database, tmp_path / "backup")[0] == 0


def test_macos_files_of_label_and_work_files_do_not_hold_a_folder(call, drive):
    call(upload_data, drive)
    files = add_macos_files(drive)
    files.append(drive / f"._{label_file.NAME}{work_database.SUFFIX}")
    files[-1].write_bytes(SIDE_FILE)
    code, counts, err = call(free_space, drive, "--until", "100%", "-y")
    assert (code, counts["freed"], counts["failed"]) == (0, 10, 0), err
    assert_untouched(files)


def test_a_folder_of_macos_files_alone_may_be_pruned(call, drive, tmp_path):
    call(upload_data, drive)
    folder = tmp_path / "set"
    folder.mkdir()
    files = add_macos_files(tmp_path / "set")
    code, counts, err = call(search_and_download, "-p", folder, "--prune", "-y")
    assert (code, counts["pruned"]) == (0, 0), err
    assert_untouched(files)


def test_a_set_with_macos_files_is_read_as_it_was(call, drive, tmp_path):
    call(upload_data, drive)
    call(search_and_download, "-p", tmp_path / "set")
    before = call(check_set, tmp_path / "set")
    add_macos_files(tmp_path / "set")
    files = snapshot(tmp_path / "set")
    assert call(check_set, tmp_path / "set")[:2] == before[:2]
    assert snapshot(tmp_path / "set") == files
