"""A local database in a folder that a group shares: no member locks out the others.

Each member is a process with a user id of its own, as root can make them: rights are the kernel's.
"""

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

import path
from common.atomic_files import atomic_write
from get_data.labels import label_file
from tests.conftest import document, save

TEAM = 60000
OWNER, OTHER = 60001, 60002
READS_ALL = "-all,+dac_read_search"  # the checkout and Python may be where only root looks


@pytest.fixture
def tmp_path():
    """A folder that others may enter: pytest's are root's alone again with each run that starts."""
    with tempfile.TemporaryDirectory(prefix="patate-shared-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def team(tmp_path) -> Path:
    """A folder with the set-group-id bit, as a team shares one."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        assert not os.environ.get("CI"), "CI has the rights to be two users"
        pytest.skip("only root can be two users")
    folder = tmp_path / "team"
    folder.mkdir()
    os.chown(folder, 0, TEAM)
    folder.chmod(0o2775)
    return folder


@pytest.fixture
def member(team, monkeypatch) -> Callable[..., subprocess.CompletedProcess]:
    """Runs a script as a member of the team, with the database in the shared folder."""
    monkeypatch.setenv("PATATE_HOME", str(team))
    monkeypatch.setenv("HOME", str(team))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    def run(user, script, *arguments, umask=0o002):
        return subprocess.run(
            [
                *("setpriv", "--reuid", str(user), "--regid", str(user), "--groups", str(TEAM)),
                *("--inh-caps", READS_ALL, "--ambient-caps", READS_ALL),
                *("--bounding-set", READS_ALL, "--", sys.executable),
                *(str(path.ROOT / "get_data" / script), *map(str, arguments)),
            ],
            umask=umask,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def upload(member, user: int, folder: Path, number: int, **options: int) -> None:
    """Upload a new recording with one picture."""
    done = member(user, "upload_data.py", save(folder, [document(number)]), **options)
    assert done.returncode == 0, done.stderr


def found(member, user: int, out: Path) -> int:
    done = member(user, "search_and_download.py", "-p", out)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["found"]


@pytest.mark.slow
def test_members_upload_search_and_correct_in_turn(team, member, tmp_path):
    for number, user in enumerate((OWNER, OTHER, OWNER)):
        upload(member, user, tmp_path / f"drive {number}", number)
        for reader in (OTHER, OWNER):
            assert found(member, reader, team / f"out {number} {reader}") == number + 1
    deletion = document(1) | {"to_delete": True}
    label_file.write(tmp_path / "delete.json", {deletion["img_id"]: deletion})
    done = member(OWNER, "upload_to_db.py", tmp_path / "delete.json", "-p", tmp_path, "-y")
    assert done.returncode == 0, done.stderr
    for file in team.joinpath("database").rglob("*"):
        status = file.stat()
        assert status.st_gid == TEAM, file
        assert status.st_mode & stat.S_IWGRP, file


@pytest.mark.parametrize("umask", [0o022, 0o002], ids=["022", "002"])
def test_a_reader_leaves_nothing_behind(team, member, tmp_path, umask):
    """Also who may make files in the folder and not change the index, as in one made with 022."""
    upload(member, OWNER, tmp_path / "a", 1, umask=umask)
    index = team / "database" / "index.sqlite"
    assert bool(index.stat().st_mode & stat.S_IWGRP) == (umask == 0o002)
    index.parent.chmod(0o2775)
    before = {file: file.stat() for file in index.parent.rglob("*")}
    assert found(member, OTHER, team / "out") == 1
    assert {file: file.stat() for file in index.parent.rglob("*")}.keys() == before.keys()
    upload(member, OWNER, tmp_path / "b", 2, umask=umask)
    assert found(member, OTHER, team / "out") == 2


def test_who_may_only_read_reads_while_another_writes(team, member, tmp_path):
    """The two files that SQLite has beside the index are the writer's then."""
    upload(member, OWNER, tmp_path / "a", 1, umask=0o022)
    index = team / "database" / "index.sqlite"
    writing = sqlite3.connect(index, isolation_level=None)
    try:
        writing.execute("BEGIN IMMEDIATE")
        writing.execute("DELETE FROM gone")
        beside = sorted(file.name for file in index.parent.glob("index.sqlite-*"))
        assert beside == ["index.sqlite-shm", "index.sqlite-wal"]
        assert found(member, OTHER, team / "out") == 1
        assert sorted(file.name for file in index.parent.glob("index.sqlite-*")) == beside
    finally:
        writing.close()


@pytest.mark.parametrize("mode", [0o664, 0o640, 0o600, 0o444], ids=oct)
@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077], ids=oct)
def test_a_file_that_is_replaced_keeps_its_rights(mode, umask, tmp_path):
    target = tmp_path / "labels.json"
    target.write_bytes(b"{}")
    target.chmod(mode)
    before = os.umask(umask)
    try:
        for name in ("labels.json", "new.json"):
            with atomic_write(tmp_path / name) as file:
                file.write(b"[]")
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "new.json").stat().st_mode) == 0o666 & ~umask


def test_a_group_that_cannot_be_kept_gives_its_rights_to_no_other(team, tmp_path):
    """Who is not of the group may replace the file, but not give it to the group."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    file = folder / "x"
    file.write_bytes(b"old")
    os.chown(file, 0, 4242)
    file.chmod(0o660)
    code = f"""
import os, sys
from pathlib import Path
from common.atomic_files import atomic_write
os.umask(0o022); os.setgroups([]); os.setgid({OTHER}); os.setuid({OTHER})
with atomic_write(Path({str(file)!r})) as file:
    file.write(b"new")
"""
    subprocess.run([sys.executable, "-c", code], cwd=path.ROOT, check=True)
    status = file.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (OTHER, OTHER, 0o640)


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o027], ids=oct)
@pytest.mark.slow
def test_all_that_a_recording_and_a_database_make_has_the_umasks_rights(umask, tmp_path, home):
    code = """
import sys
from get_data import run_manual, upload_data
assert run_manual.main(["-o", sys.argv[1], "--simulate", "--duration", "0.5", "--event", "x"]) == 0
assert upload_data.main([sys.argv[1]]) == 0
from pathlib import Path
from get_data.labelizer.work_file import WorkFile, path_for
WorkFile(path_for(Path(sys.argv[1], "labels.json")))
"""
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "drive")],
        cwd=path.ROOT,
        umask=umask,
        check=True,
        capture_output=True,
    )
    made = [*(tmp_path / "drive").rglob("*"), *home.joinpath("database").rglob("*")]
    assert len(made) > 10
    for file in made:
        most = 0o777 if file.is_dir() else 0o666
        assert stat.S_IMODE(file.stat().st_mode) == most & ~umask, file
