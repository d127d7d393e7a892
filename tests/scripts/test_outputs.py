"""The files that a script may write, replace, or must leave alone."""

import sqlite3
from contextlib import closing, contextmanager

import cv2
import pytest

from get_data import contact_sheet, search_and_download, upload_data, write_label_template
from get_data.labels import label_file
from tests.conftest import document, save
from tests.helpers.folders import snapshot
from tests.helpers.permissions import permissions_enforced


@contextmanager
def write_protected(folder):
    """Remove all write permissions below the folder while the block runs."""
    entries = [folder, *folder.rglob("*")]
    for entry in entries:
        entry.chmod(0o555 if entry.is_dir() else 0o444)
    try:
        with permissions_enforced():
            yield
    finally:
        for entry in entries:
            entry.chmod(0o755 if entry.is_dir() else 0o644)


@pytest.mark.parametrize("in_use", [False, True], ids=["unused", "in use by another process"])
def test_a_read_only_local_database_allows_searches_and_dry_runs(
    call, drive, home, tmp_path, in_use
):
    database = home / "database"
    call(upload_data, drive)
    with closing(sqlite3.connect(database / "index.sqlite")) as other:
        if in_use:  # the newest labels are in the write-ahead log
            other.execute("SELECT count(*) FROM labels").fetchall()
            call(upload_data, save(tmp_path / "new", [document(20)]))
            assert (database / "index.sqlite-wal").stat().st_size > 0
        with write_protected(database):
            code, counts, err = call(search_and_download, "-p", tmp_path / "training")
            assert (code, counts["fetched"]) == (0, 11 if in_use else 10), err
            code, counts, err = call(upload_data, drive, "--dry-run")
            assert (code, counts["there"]) == (0, 10), err
            code, _, err = call(upload_data, save(tmp_path / "more", [document(30)]))
            assert code == 1
            assert "Permission denied" in err


@pytest.mark.parametrize(
    "name",
    ["drive/labels.json", "drive/session_template.json", "home/database/index.sqlite", "notes.txt"],
)
@pytest.mark.parametrize("script", ["contact_sheet", "search"])
def test_an_output_replaces_no_other_kind_of_file(call, drive, tmp_path, monkeypatch, script, name):
    monkeypatch.setenv("PATATE_HOME", str(tmp_path / "home"))
    call(upload_data, drive)
    (tmp_path / "notes.txt").write_text("mine")
    before = snapshot(tmp_path)
    code, _, err = (
        call(contact_sheet, drive, "-o", tmp_path / name)
        if script == "contact_sheet"
        else call(search_and_download, "-p", tmp_path / "out", "-o", tmp_path / name)
    )
    assert code == 2, err
    assert str((tmp_path / name).parent) in err
    assert snapshot(tmp_path) == before


def test_nothing_is_written_into_the_local_database(call, drive, home):
    call(upload_data, drive)
    before = snapshot(home)
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
    assert snapshot(home) == before


@pytest.mark.parametrize("before", ["", "{}"])
def test_an_output_replaces_a_file_of_its_kind(call, drive, tmp_path, before):
    call(upload_data, drive)
    labels, sheet = tmp_path / "found.json", tmp_path / "sheet.png"
    labels.write_text(before)
    sheet.write_bytes(b"")
    for _ in range(2):
        assert call(search_and_download, "-p", tmp_path / "out", "-o", labels)[0] == 0
        assert call(contact_sheet, drive, "-o", sheet)[0] == 0
    assert len(label_file.read(labels)) == 10
    assert cv2.imread(str(sheet)) is not None
