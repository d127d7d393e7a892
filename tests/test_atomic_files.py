"""Files are written whole or not at all, and nothing half-written stays for ever."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

import path
from common.atomic_files import (
    atomic_write,
    remove_stale_files,
    sync_file_system,
    write_whole,
)
from common.errors import WriteFailed
from tests.helpers.faults import (
    Call,
    calls_recorded,
    failing,
    failing_sync_of_file_systems,
    files_up_to,
)
from tests.pi import namespace

HALF_WRITTEN = f".labels.json.{'0a' * 16}.tmp"


def test_the_new_content_stands_there_once_all_is_written(tmp_path):
    target = tmp_path / "labels.json"
    target.write_bytes(b"old")
    with atomic_write(target) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_writing_leaves_what_was_there_and_nothing_else(tmp_path):
    target = tmp_path / "labels.json"
    target.write_bytes(b"old")

    def write_some():
        with atomic_write(target) as file:
            file.write(b"ne")
            raise OSError(28, "No space left on device")

    with pytest.raises(WriteFailed, match=r"labels\.json cannot be written: No space left"):
        write_some()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_content_is_on_the_disk_before_its_name_and_then_that_is_too(tmp_path, monkeypatch):
    """After a power cut the name leads to the old content or to the new, whole."""
    target = tmp_path / "labels.json"
    calls = calls_recorded(monkeypatch.setattr)
    with atomic_write(target) as file:
        file.write(b"new")
    assert [(call.name, call.content) for call in calls] == [
        ("fsync", b"new"),
        ("replace", b"new"),
        ("fsync", None),
    ]
    assert [call.path for call in calls[1:]] == [target, tmp_path]


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_disk_that_refuses_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, name):
    target = tmp_path / "labels.json"
    target.write_bytes(b"old")
    failing(monkeypatch.setattr, name, errno.EIO)
    with (
        pytest.raises(WriteFailed, match=r"labels\.json cannot be written: Input/output error"),
        atomic_write(target) as file,
    ):
        file.write(b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_disk_that_takes_only_the_beginning_leaves_what_was_there(tmp_path):
    target = tmp_path / "labels.json"
    target.write_bytes(b"old")
    with (
        files_up_to(50_000),
        pytest.raises(WriteFailed, match=r"labels\.json cannot be written"),
        atomic_write(target) as file,
    ):
        file.write(b"new" * 100_000)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_sync_of_a_file_system_reaches_that_of_the_folder(tmp_path, monkeypatch):
    calls = calls_recorded(monkeypatch.setattr)
    sync_file_system(tmp_path)
    assert calls == [Call("syncfs", tmp_path)]


def test_a_file_system_that_cannot_be_synced_is_told(tmp_path, monkeypatch):
    failing_sync_of_file_systems(monkeypatch.setattr)
    with pytest.raises(OSError, match="Input/output error") as caught:
        sync_file_system(tmp_path)
    assert caught.value.errno == errno.EIO
    assert caught.value.filename == str(tmp_path)


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    target = tmp_path / "labels.json"
    (tmp_path / HALF_WRITTEN).write_bytes(b"hal")
    with atomic_write(target) as file:
        file.write(b"new")
    assert list(tmp_path.iterdir()) == [target]


WRITER = """
import sys
from pathlib import Path
from common.atomic_files import atomic_write

with atomic_write(Path(sys.argv[1])) as file:
    file.write(b"theirs")
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("through", [[], namespace.CONTAINER], ids=["a process", "a container"])
def test_what_another_process_is_writing_stays(tmp_path, through):
    if through and (why := namespace.missing_support()):
        pytest.skip(why)
    target = tmp_path / "labels.json"
    (tmp_path / ".labels.json.mine.tmp").write_bytes(b"mine")
    command = [sys.executable, "-c", WRITER, target]
    with subprocess.Popen(
        command, cwd=path.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as first:
        assert first.stdout.readline() == b"writing\n"
        subprocess.run([*through, *command], cwd=path.ROOT, stdin=subprocess.DEVNULL, check=True)
        assert target.read_bytes() == b"theirs"
        first.communicate()
    assert first.returncode == 0
    assert set(tmp_path.iterdir()) == {tmp_path / ".labels.json.mine.tmp", target}


def test_a_file_that_is_swept_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    real, swept = fcntl.flock, []

    def sweep_once(file, operation):
        if not swept:
            swept.append(file.name)
            Path(file.name).unlink()
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", sweep_once)
    with atomic_write(tmp_path / "labels.json") as file:
        file.write(b"new")
    assert len(swept) == 1
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"new"]


def test_a_small_file_that_is_swept_before_it_has_its_name_is_written_again(tmp_path, monkeypatch):
    real, times = os.replace, []

    def sweep_twice(source, target):
        if len(times) < 2:
            times.append(source)
            remove_stale_files(tmp_path)
        real(source, target)

    monkeypatch.setattr(os, "replace", sweep_twice)
    write_whole(tmp_path / "picture.jpg", b"new")
    assert len(set(times)) == 2
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"new"]


def test_a_small_file_is_whole_where_the_disk_takes_a_few_bytes_at_a_time(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, rest: real(descriptor, bytes(rest[:3])))
    write_whole(tmp_path / "picture.jpg", b"0123456789")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"0123456789"]


def test_a_small_file_is_not_written_into_a_folder_that_is_gone(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "gone" / "picture.jpg", b"new")
