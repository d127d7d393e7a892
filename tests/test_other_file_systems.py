"""File systems that lack a call: what is safe without it goes on, and no message blames another.

Old CIFS and some FUSE sync no folder, NFS may have no locks, exFAT has no hard links. What
is `REAL` is a disk that fails, which stays a failure.
"""

import errno
import fcntl
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

import pytest

from common import atomic_files
from common.errors import RecordingFailed, WriteFailed
from get_data import run_manual, search_and_download, upload_data, upload_to_db
from get_data.labelizer import work_file
from get_data.labelizer.work_file import WorkFile
from get_data.labels import label_file
from get_data.labels.classes import Classes
from get_data.recording import journal
from get_data.recording.recorder import Recorder
from tests.conftest import document
from tests.helpers import faults
from tests.helpers.faults import failing, lacking, refusing
from tests.helpers.recordings import interrupted_recording

NO_LINKS = [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EACCES]
NO_LOCKS = [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL]
NO_SYNC = [errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF, errno.ENOSYS]
REAL = [errno.EIO, errno.ENOSPC, errno.EDQUOT]


def names_of(codes):
    return [errno.errorcode[code] for code in codes]


@pytest.mark.slow
@pytest.mark.parametrize("code", NO_SYNC, ids=names_of(NO_SYNC))
def test_the_whole_loop_works_where_all_of_them_are_missing(
    code, tmp_path, monkeypatch, call, home
):
    """Drive, upload, search, correct, delete, restore, all on such a file system."""
    folder = tmp_path / "python"
    folder.mkdir()
    lacking(monkeypatch.setattr, code)
    with monkeypatch.context() as patch:
        faults.before_anything(
            patch, folder, f"from tests.helpers.faults import lacking\nlacking(setattr, {code})"
        )
        drive = tmp_path / "drive"
        done = call(run_manual, "-o", drive, "--simulate", "--duration", 1, "--event", "x")
        assert done[0] == 0, done
    assert call(upload_data, drive)[0] == 0
    labels = label_file.read(drive / label_file.NAME)
    found = tmp_path / "found"
    code, counts, said = call(search_and_download, "-p", found)
    assert (code, counts["fetched"]) == (0, len(labels)), said
    gone = next(iter(labels.values()))
    label_file.write(tmp_path / "delete.json", {gone["img_id"]: gone | {"to_delete": True}})
    code, counts, said = call(upload_to_db, tmp_path / "delete.json", "-p", found, "-y")
    assert (code, counts["deleted"], counts["pictures_deleted"]) == (0, 1, 1), said
    code, counts, said = call(upload_data, drive, "--restore")
    assert (code, counts["created"]) == (0, 1), said
    assert list(home.rglob("*.tmp")) == []


# --- the sync of a folder


@pytest.mark.parametrize("code", NO_SYNC, ids=names_of(NO_SYNC))
def test_a_folder_that_cannot_be_synced_is_synced_with_all_others(code, tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "sync", lambda: synced.append(True))
    failing(monkeypatch.setattr, "fsync", code)
    with atomic_files.atomic_write(tmp_path / "x") as file:
        file.write(b"new")
    assert (tmp_path / "x").read_bytes() == b"new"
    assert synced


@pytest.mark.parametrize("code", REAL, ids=names_of(REAL))
def test_a_disk_that_fails_after_the_renaming_is_not_told_as_before_it(code, tmp_path, monkeypatch):
    target = tmp_path / "labels.json"
    target.write_bytes(b"old")
    real = os.fsync

    def sync(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(WriteFailed) as raised, atomic_files.atomic_write(target) as file:
        file.write(b"new")
    assert target.read_bytes() == b"new"
    assert str(target) in str(raised.value)
    assert os.strerror(code) in str(raised.value)
    assert "is replaced" in str(raised.value)
    assert "cannot be written" not in str(raised.value)


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EINVAL, errno.EPERM, None])
def test_without_syncfs_all_is_synced(code, tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "sync", lambda: synced.append(True))
    monkeypatch.setattr(atomic_files, "_syncfs", code and refusing(code))
    atomic_files.sync_file_system(tmp_path)
    assert synced


# --- hard links


@pytest.fixture(params=["link", "renameat2", "neither"])
def way(request, monkeypatch):
    """How a name is given that nothing has yet."""
    if request.param != "link":
        failing(monkeypatch.setattr, "link", errno.EPERM)
    if request.param == "neither":
        monkeypatch.setattr(atomic_files, "_renameat2", refusing(errno.EINVAL))
    return request.param


def test_a_new_name_takes_nothings_place(way, tmp_path):
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "old").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        atomic_files.rename_exclusive(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == b"old"
    atomic_files.rename_exclusive(tmp_path / "new", tmp_path / "free")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["free", "old"]
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        atomic_files.rename_exclusive(tmp_path / "free", tmp_path / "dangling")


@pytest.mark.parametrize("code", [*REAL, errno.EACCES], ids=names_of([*REAL, errno.EACCES]))
def test_a_new_name_that_the_disk_refuses_is_not_given_by_a_weaker_call(
    code, tmp_path, monkeypatch
):
    (tmp_path / "new").write_bytes(b"new")
    failing(monkeypatch.setattr, "link", code)
    monkeypatch.setattr(atomic_files, "_renameat2", refusing(code))
    with pytest.raises(OSError, match=os.strerror(code)) as raised:
        atomic_files.rename_exclusive(tmp_path / "new", tmp_path / "target")
    assert raised.value.errno == code
    assert [file.name for file in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("way", ["link", "renameat2"], indirect=True)
def test_of_many_who_give_one_name_at_once_one_succeeds(way, tmp_path):
    barrier = Barrier(8)

    def rename(number):
        file = tmp_path / f"{number}"
        file.write_bytes(bytes([number]))
        barrier.wait()
        with suppress(FileExistsError):
            atomic_files.rename_exclusive(file, tmp_path / "one")
            return number
        return None

    with ThreadPoolExecutor(8) as threads:
        (won,) = {number for number in threads.map(rename, range(8)) if number is not None}
    assert (tmp_path / "one").read_bytes() == bytes([won])


@pytest.mark.parametrize("code", NO_LINKS, ids=names_of(NO_LINKS))
def test_a_database_needs_no_hard_links(code, drive, tmp_path, monkeypatch, call):
    failing(monkeypatch.setattr, "link", code)
    assert call(upload_data, drive)[1]["created"] == 10
    assert call(upload_data, drive)[1]["there"] == 10
    assert call(search_and_download, "-p", tmp_path / "out")[1]["fetched"] == 10


# --- locks


@pytest.fixture(params=NO_LOCKS, ids=names_of(NO_LOCKS))
def without_locks(request, monkeypatch):
    def refuse(*_arguments):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)
    return os.strerror(request.param)


def test_without_locks_a_recording_is_made(without_locks, tmp_path):
    with Recorder(
        tmp_path / "new", session={}, car_setting={}, classes=Classes(), jpeg_quality=90
    ) as recorder:
        assert recorder.report.stopped == ""
    assert recorder.report.unmerged == ""


def test_without_locks_a_journal_is_left_alone_and_nobody_is_blamed(without_locks, tmp_path, call):
    """It may be that of a recording which runs: merged under it, the labels to come were lost."""
    folder = interrupted_recording(tmp_path / "killed", [document(0)])
    before = sorted((file.name, file.read_bytes()) for file in folder.iterdir())
    code, _, said = call(upload_data, folder)
    assert code == 1
    assert str(folder) in said
    assert without_locks in said
    assert "copy" in said
    assert "another process" not in said
    with pytest.raises(RecordingFailed):
        Recorder(folder, session={}, car_setting={}, classes=Classes(), jpeg_quality=90)
    assert sorted((file.name, file.read_bytes()) for file in folder.iterdir()) == before
    assert call(upload_data, folder, "--dry-run")[1]["created"] == 1


def test_without_locks_what_may_be_another_processs_file_stays(without_locks, tmp_path):
    other = tmp_path / f".labels.json.{'0a' * 16}.tmp"
    other.write_bytes(b"half")
    with atomic_files.atomic_write(tmp_path / "labels.json") as file:
        file.write(b"{}")
    assert {file.name for file in tmp_path.iterdir()} == {other.name, "labels.json"}


def test_without_locks_labels_are_corrected(without_locks, drive):
    work = WorkFile(work_file.path_for(drive / label_file.NAME))
    work.close()


def test_a_lock_that_another_holds_is_still_told(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "LOCK_TIMEOUT_S", 0.0)
    with journal.folder_lock(tmp_path), pytest.raises(Exception, match="another process"):
        journal.acquire_lock(tmp_path)


def test_a_pipe_under_a_temporary_name_holds_nobody_up(tmp_path):
    os.mkfifo(tmp_path / f".labels.json.{'0b' * 16}.tmp")
    with atomic_files.atomic_write(tmp_path / "labels.json") as file:
        file.write(b"{}")
    assert json.loads((tmp_path / "labels.json").read_text()) == {}
