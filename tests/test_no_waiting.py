"""Pipes, devices and the like in the place of files: one line names them, nobody waits."""

import contextlib
import os
import socket
from unittest.mock import Mock

import pytest

from get_data import (
    contact_sheet,
    run_labelizer,
    run_manual,
    search_and_download,
    upload_data,
    upload_to_db,
)
from get_data.labelizer import server
from get_data.labels import label_file
from tests.conftest import document

WORK = "drive/labels.json.labelizer.sqlite3"
INDEX = "home/database/index.sqlite"
DRIVE = ["-o", "drive", "--simulate", "--check"]
UPLOAD = (upload_data, ["drive"])
LABELIZER = (run_labelizer, ["drive", "--user", "Ada", "--port", "1"])
FILES = [
    ("drive/labels.json", *UPLOAD),
    ("drive/labels.json", upload_to_db, ["drive"]),
    ("drive/labels.json", contact_sheet, ["drive"]),
    ("drive/labels.json", *LABELIZER),
    ("drive/labels.journal", *UPLOAD),
    ("drive/labels.journal", *LABELIZER),
    ("drive/session_template.json", run_manual, DRIVE),
    ("drive/contact_sheet.png", contact_sheet, ["drive"]),
    ("home/database/last_img_id", run_manual, DRIVE),
    (WORK, *LABELIZER),
    (f"{WORK}-wal", *LABELIZER),
    (f"{WORK}-journal", *LABELIZER),
    (f"{WORK}-shm", *LABELIZER),
    (INDEX, *UPLOAD),
    (f"{INDEX}-wal", *UPLOAD),
    (f"{INDEX}-journal", *UPLOAD),
    (f"{INDEX}-shm", *UPLOAD),
    (f"{INDEX}-wal", search_and_download, ["-p", "out"]),
    ("query.json", search_and_download, ["-q", "query.json", "-p", "out"]),
    ("out/labels.json", search_and_download, ["-p", "out"]),
]


def listening(file):
    """A socket."""
    with contextlib.chdir(file.parent), socket.socket(socket.AF_UNIX) as server:
        server.bind(file.name)


def device(file):
    """A link to a device that can be read for ever."""
    file.symlink_to("/dev/zero")


KINDS = {"pipe": os.mkfifo, "socket": listening, "folder": os.mkdir, "device": device}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize(
    ("name", "script", "arguments"),
    FILES,
    ids=[f"{name}-{script.__name__}" for name, script, _ in FILES],
)
def test_what_is_no_file_is_named_and_not_waited_for(
    call, drive, tmp_path, monkeypatch, name, script, arguments, make
):
    monkeypatch.setenv("PATATE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(server, "listen", lambda _port: socket.socket())
    monkeypatch.setattr(server, "create_server", lambda *_: Mock())
    call(upload_data, drive)
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)
    make(file)
    code, counts, err = call(script, *arguments)
    assert (code in (1, 2), counts) == (True, None)
    assert err.count("error: ") == 1
    assert file.name in err
    assert not file.is_file()
    if name != "drive/labels.json":
        assert len(label_file.read(drive / label_file.NAME)) == 10
    assert (drive / document(0)["file_name"]).exists()


@pytest.mark.parametrize("make", [os.mkfifo, listening, device], ids=["pipe", "socket", "device"])
def test_what_is_no_picture_in_the_store_is_one_picture_missing(call, drive, home, tmp_path, make):
    call(upload_data, drive)
    file = min((home / "database" / "pictures").rglob("*.jpg"))
    file.unlink()
    make(file)
    code, counts, _ = call(search_and_download, "-p", tmp_path / "out")
    assert (code, counts["fetched"], counts["failed"]) == (3, 9, 1)
    assert call(upload_data, drive)[1]["pictures_sent"] == 1
    assert call(search_and_download, "-p", tmp_path / "out")[0] == 0
