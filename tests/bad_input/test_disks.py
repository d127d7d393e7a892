"""Disks that are full or read-only; only root can mount one."""

import contextlib
import shutil
import subprocess

import pytest

from get_data import (
    check_set,
    contact_sheet,
    export_set,
    search_and_download,
    upload_data,
    write_label_template,
)
from get_data.quality.thumbnails import CACHE_NAME
from tests.bad_input.rows import assert_one_line, killed_recording, run
from tests.conftest import document, save
from tests.helpers.folders import snapshot


@pytest.fixture
def disk(workspace):
    """Mount a very small disk at `disk`."""
    (workspace / "disk").mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", "disk"],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a disk")
    yield workspace / "disk"
    subprocess.run(["umount", "disk"], cwd=workspace, check=True)


DISKS = [
    ("template", write_label_template, ["-o", "disk/x.json"], "disk/x.json cannot be written"),
    ("sheet", contact_sheet, ["drive", "-o", "disk/x.png"], "disk/x.png cannot be written"),
    ("page", check_set, ["drive", "--html", "disk/x.html"], "disk/x.html cannot be written"),
    (
        "export",
        export_set,
        ["drive", "-o", "disk/x", "--format", "csv"],
        "disk/x cannot be written",
    ),
    ("search", search_and_download, ["-p", "disk"], "disk/labels.json cannot be written"),
    ("upload", upload_data, ["new"], "disk/home/database"),
    ("repair", upload_data, ["disk/killed"], "disk/killed/labels"),
]

FULL, READ_ONLY = "No space left on device", "Read-only file system"


@pytest.mark.parametrize(
    ("script", "arguments", "fact", "fault"),
    [
        pytest.param(*row, fault, id=f"{name}, {fault}")
        for name, *row in DISKS
        for fault in (FULL, READ_ONLY)
        if (name, fault) != ("repair", READ_ONLY)  # read without a repair: test_untrusted_folders
    ],
)
def test_a_full_or_read_only_disk_is_named_and_not_changed(
    script, arguments, fact, fault, workspace, disk, monkeypatch, capfd
):
    killed_recording(document(0))(disk)
    save(workspace / "new", [document(90)])
    shutil.copytree(workspace / "home", disk / "home")
    is_sqlite_error = arguments == ["new"]
    if is_sqlite_error:
        monkeypatch.setenv("PATATE_HOME", str(disk / "home"))
    if fault == READ_ONLY:
        subprocess.run(["mount", "-o", "remount,ro", "disk"], check=True)
    else:
        with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 512)
    before = snapshot(workspace)
    code = run(script, arguments)
    output = capfd.readouterr()
    assert_one_line(output.out, output.err, 1, [fact, "" if is_sqlite_error else fault])
    assert code == 1
    after = snapshot(workspace)
    after.pop(f"drive/{CACHE_NAME}", None)
    for name in ("shm", "wal"):  # of SQLite, which had no space for them
        assert after.pop(f"disk/home/database/index.sqlite-{name}", b"").strip(b"\0") == b""
    assert after == before
