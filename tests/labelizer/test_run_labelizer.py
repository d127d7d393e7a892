"""run_labelizer.py: its options, and everything that stops it before the page is served."""

import os
import re
import socket

import pytest

from common.errors import StillRecording
from get_data import run_labelizer
from get_data.cli import people
from get_data.labelizer import work_file
from get_data.labels import label_file
from get_data.recording import journal
from tests.browser.drives import img_id
from tests.browser.server import free_port, running
from tests.conftest import document
from tests.helpers.recordings import interrupted_recording
from tests.labelizer.helpers import edit_label_file


def nested(depth):
    return b'{"a": ' * depth + b"1" + b"}" * depth


INVALID_LABEL_FILES = [  # name, content, the fact in the message
    ("no JSON", b"labels", "line 1, column 1"),
    ("a torn file", b'{"a": {"b": 1', "line 1, column 14"),
    ("no object", b"[1, 2]", "object"),
    ("a duplicate key", b'{"a": {}, "a": {}}', "'a'"),
    ("a duplicate key inside", b'{"a": {"b": 1, "b": 2}}', "'b'"),
    ("NaN", b'{"a": {"raw_direction": NaN}}', "NaN"),
    ("not UTF-8", b'{"\xff": {}}', "UTF-8"),
    ("half a character", b'{"a": "\\ud800"}', "surrogate"),
    ("nested too deep", nested(100_000), "nested"),
    ("no labels", b"{}\n", "no labels"),
]


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    ("content", "fact"),
    [row[1:] for row in INVALID_LABEL_FILES],
    ids=[row[0] for row in INVALID_LABEL_FILES],
)
def test_an_invalid_label_file_is_refused_and_nothing_is_written(content, fact, tmp_path, call):
    """One line with the reason, exit code 2, no file."""
    folder = tmp_path / "drive"
    folder.mkdir()
    (folder / label_file.NAME).write_bytes(content)
    code, out, err = call(run_labelizer, folder, "--port", free_port())
    assert (code, out) == (2, None)
    assert re.fullmatch(rf"error: {re.escape(str(folder))}.*{re.escape(fact)}.*\n", err)
    assert [file.name for file in folder.iterdir()] == [label_file.NAME]


def test_more_classes_than_digit_keys_are_refused(folder, call):
    edit_label_file(folder, lambda labels: labels[3]["label"].update(nb_dir=11))
    code, _, err = call(run_labelizer, folder, "--port", free_port())
    assert code == 2
    for fact in (img_id(3), "11 directions", "2 speeds", "keys for 10"):
        assert fact in err
    assert not work_file.path_for(folder / label_file.NAME).exists()


@pytest.mark.parametrize(
    ("option", "value", "fact"),
    [
        ("--user", "auto", "'auto'"),
        ("--user", "Auto ", "'Auto '"),
        ("--user", "Pilot", "'Pilot'"),
        ("--user", "", "1 to 100"),
        ("--user", "a\nb", "1 to 100"),
        ("--user", "x" * 101, "1 to 100"),
        ("--port", "0", "1 to 65535"),
        ("--port", "65536", "1 to 65535"),
        ("--labels", "", "file"),
    ],
    ids=str,
)
def test_invalid_options_are_refused(folder, option, value, fact, capsys):
    with pytest.raises(SystemExit) as exited:
        run_labelizer.main([str(folder), option, value])
    assert exited.value.code == 2
    err = capsys.readouterr().err
    assert option in err
    assert fact in err


def test_the_argument_must_be_a_folder_of_labelled_pictures(folder, call, tmp_path):
    for argument, fact in (
        (folder / label_file.NAME, "is a file"),
        (tmp_path / "none", "does not exist"),
        (tmp_path, "labels.json"),
    ):
        code, _, err = call(run_labelizer, argument, "--port", free_port())
        assert code == 2
        assert str(argument) in err
        assert fact in err


def test_a_port_in_use_is_reported(folder, call):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = call(run_labelizer, folder, "--port", port)
    assert code == 2
    for fact in (f"port {port}", "Address already in use", "--port"):
        assert fact in err


def test_a_reserved_login_name_requires_the_option_user(folder, call, monkeypatch):
    monkeypatch.setattr(people.getpass, "getuser", lambda: "auto")
    code, _, err = call(run_labelizer, folder, "--port", free_port())
    assert code == 2
    assert "'auto'" in err
    assert "--user NAME" in err


def test_a_read_only_folder_is_reported(folder, call, monkeypatch):
    real = os.open

    def refuse(name, flags, *more):
        if str(name).endswith(work_file.SUFFIX):
            raise OSError(30, "Read-only file system")
        return real(name, flags, *more)

    with monkeypatch.context() as patched:
        patched.setattr(work_file.os, "open", refuse)
        code, _, err = call(run_labelizer, folder, "--port", free_port())
    assert code == 1
    assert str(work_file.path_for(folder / label_file.NAME)) in err
    assert "Read-only file system" in err


def test_an_interrupted_recording_is_repaired_and_reported(tmp_path):
    folder = interrupted_recording(tmp_path / "drive", [document(0), document(1)], torn=b"torn")
    with running(folder, anew=True) as labelizer:
        log = labelizer.log.read_text()
    assert "2 labels" in log
    assert "line 3" in log
    assert not (folder / journal.NAME).exists()


def test_a_running_recording_is_refused(tmp_path, call, monkeypatch):
    monkeypatch.setattr(journal, "LOCK_TIMEOUT_S", 0.1)
    folder = interrupted_recording(tmp_path / "drive", [document(0)])
    with journal.folder_lock(folder):
        code, _, err = call(run_labelizer, folder, "--port", free_port())
    assert code == StillRecording.exit_code
    assert str(folder) in err


def test_the_label_file_may_be_in_another_folder(folder, tmp_path):
    """An interrupted recording beside the pictures is then left alone."""
    labels = tmp_path / "elsewhere" / "mine.json"
    labels.parent.mkdir()
    (folder / label_file.NAME).rename(labels)
    interrupted_recording(folder, [document(700)])
    with running(folder, "--labels", labels) as labelizer:
        assert "repaired" not in labelizer.log.read_text()
    assert (folder / journal.NAME).exists()
    assert labelizer.counts == {
        "labels": 12,
        "reviewed": 0,
        "corrected": 0,
        "created": 0,
        "unlabelled": 1,
        "to_delete": 0,
        "file": "",
    }
    assert work_file.path_for(labels).exists()
