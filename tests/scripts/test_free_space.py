"""`free_space.py`: what is removed, what stays and why, and that all of it can be fetched again."""

import errno
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from contextlib import closing, contextmanager
from functools import partial
from types import SimpleNamespace

import pytest

import path
from common import locks
from common.batching import batches
from common.errors import DatabaseError
from get_data import (
    check_database,
    contact_sheet,
    edit_labels,
    free_space,
    search_and_download,
    upload_data,
    upload_to_db,
)
from get_data.commands import free_space as command
from get_data.database import free as free_module
from get_data.database import upload as upload_module
from get_data.database.connection import open_database
from get_data.database.interfaces import Tombstone, picture_key
from get_data.labelizer import problems
from get_data.labelizer.workspace import open_workspace
from get_data.labels import ids, label_file
from get_data.labels.local_pictures import KeptReason
from get_data.recording import journal
from tests.conftest import START, document, number_of, picture, save
from tests.helpers.faults import before_anything, failing
from tests.helpers.folders import snapshot
from tests.helpers.label_files import correct, mark_for_deletion
from tests.helpers.permissions import permissions_enforced
from tests.helpers.recordings import (
    assert_whole,
    interrupted_recording,
    open_recorder,
    record_pictures,
)
from tests.labelizer.helpers import make_operation, save_operations
from tests.scripts.searches import drive_label

ALL = ("--until", "100%", "-y")
HUNDRED = 100  # pictures that fit on the disk of a test


@pytest.fixture(params=["local", pytest.param("team", marks=pytest.mark.servers)])
def database(request, monkeypatch):
    """A database of each kind, which the environment names."""
    if request.param == "team":
        for name, value in request.getfixturevalue("reused_team_environment").items():
            monkeypatch.setenv(name, value)
    return request.param


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """A disk for a hundred pictures of one size, full when it is first asked."""
    at_first: list[int] = []

    def usage(_folder):
        sizes = [free_module.disk_size(file.stat()) for file in tmp_path.glob("drive*/*.jpg")]
        at_first.extend([] if at_first else sizes)
        return SimpleNamespace(total=HUNDRED * max(at_first), free=sum(at_first) - sum(sizes))

    monkeypatch.setattr(shutil, "disk_usage", usage)


def numbers_in(folder):
    """Return the numbers of the pictures that are in a folder."""
    return {number_of({"img_id": file.stem}) for file in folder.glob("*.jpg")}


def assert_fetchable(call, folder, numbers):
    """Check that these pictures can be fetched, byte for byte."""
    code, _, err = call(search_and_download, "-p", folder, "--verify")
    assert code == 0, err
    assert numbers <= numbers_in(folder)
    for number in numbers:
        assert (folder / document(number)["file_name"]).read_bytes() == picture(number)


def not_pictures(folder):
    """Return the content of everything but the pictures."""
    return {name: found for name, found in snapshot(folder).items() if not name.endswith(".jpg")}


@pytest.mark.usefixtures("database")
def test_what_is_not_uploaded_stays(call, drive):
    before = snapshot(drive)
    code, counts, err = call(free_space, drive, *ALL)
    assert (code, counts["freed"], counts["kept"]["not_uploaded"]) == (0, 0, 10), err
    assert not counts["enough"]
    assert snapshot(drive) == before


@pytest.mark.usefixtures("database", "disk")
def test_the_oldest_go_until_the_share_is_free(call, drive):
    call(upload_data, drive)
    others = not_pictures(drive)
    code, counts, err = call(free_space, drive, "--until", "4%", "-y")
    assert (code, counts["freed"], counts["enough"]) == (0, 4, True), err
    assert numbers_in(drive) == {4, 5, 6, 7, 8, 9}
    assert not_pictures(drive) == others
    # the share is free now, so nothing more goes
    assert call(free_space, drive, "--until", "4%", "-y")[1]["freed"] == 0
    assert numbers_in(drive) == {4, 5, 6, 7, 8, 9}
    assert call(free_space, drive, "--until", "6%", "-y")[1]["freed"] == 2
    assert numbers_in(drive) == {6, 7, 8, 9}


@pytest.mark.usefixtures("disk")
def test_by_default_a_fifth_of_the_disk_is_to_be_free(call, tmp_path):
    drive = save(tmp_path / "drive", [document(number) for number in range(10, 40)])
    call(upload_data, drive)
    assert call(free_space, drive, "-y")[1]["freed"] == 20


@pytest.mark.usefixtures("database")
def test_all_that_went_is_fetched_byte_for_byte(call, drive, tmp_path):
    call(upload_data, drive)
    others = not_pictures(drive)
    code, counts, err = call(free_space, drive, *ALL)
    assert (code, counts["freed"], sum(counts["kept"].values())) == (0, 10, 0), err
    assert numbers_in(drive) == set()
    assert not_pictures(drive) == others
    assert_fetchable(call, tmp_path / "fetched", set(range(10)))
    code, counts, err = call(free_space, drive, *ALL)
    assert (code, counts["freed"], counts["absent"]) == (0, 0, 10), err


@pytest.mark.usefixtures("database")
def test_an_upload_of_a_freed_folder_is_up_to_date(call, drive):
    call(upload_data, drive)
    call(free_space, drive, *ALL)
    for options in [], ["--dry-run"], ["--verify"]:
        code, counts, err = call(upload_data, drive, *options)
        assert (code, counts["there"], counts["pictures_sent"]) == (0, 10, 0), err


def test_a_lost_index_is_had_again_from_freed_folders(call, drive, home, tmp_path):
    """Their pictures are in the store, and their labels here."""
    call(upload_data, drive)
    call(free_space, drive, *ALL)
    for file in (home / "database").glob("index.sqlite*"):
        file.unlink()
    code, counts, err = call(upload_data, drive, "--new-index")
    assert (code, counts["created"], counts["pictures_sent"]) == (0, 10, 0), err
    assert_fetchable(call, tmp_path / "fetched", set(range(10)))


def test_a_repair_takes_freed_pictures_for_those_of_their_recording(call, drive, home, tmp_path):
    """They are in the store only, and no label of a new index names them."""
    other = save(tmp_path / "other", [document(number) for number in range(20, 23)])
    call(upload_data, drive)
    call(free_space, drive, *ALL)
    for file in (home / "database").glob("index.sqlite*"):
        file.unlink()
    assert call(upload_data, other, "--new-index")[0] == 0
    code, counts, err = call(check_database, drive, "--repair", "-y")
    assert (code, counts["found"]["not_uploaded"]) == (0, 10), err
    assert_fetchable(call, tmp_path / "fetched", {*range(10), 20, 21, 22})


@pytest.mark.usefixtures("database")
def test_an_upload_without_the_pictures_of_new_labels_still_names_the_folder(call, drive, tmp_path):
    """A wrong -p is told in one line, and not once for each picture."""
    empty = tmp_path / "empty"
    empty.mkdir()
    assert call(upload_data, drive, "-p", empty)[0] == 2
    call(upload_data, drive)
    longer = save(tmp_path / "longer", [drive_label(number) for number in range(12)])
    code, counts, err = call(upload_data, longer, "-p", empty)
    assert (code, counts) == (2, None)
    assert "-p" in err
    assert "2 labels" in err


@pytest.mark.usefixtures("disk")
def test_two_folders_begin_with_the_older_one(call, tmp_path):
    new = save(tmp_path / "drive new", [document(number) for number in range(20, 25)])
    old = save(tmp_path / "drive old", [document(number) for number in range(10, 15)])
    call(upload_data, new, old)
    assert call(free_space, new, old, "--until", "3%", "-y")[1]["freed"] == 3
    assert (numbers_in(old), len(numbers_in(new))) == ({13, 14}, 5)
    assert call(free_space, new, old, old, "--until", "7%", "-y")[1]["freed"] == 4
    assert (numbers_in(old), numbers_in(new)) == (set(), {22, 23, 24})


def test_whether_it_is_enough_is_measured_afterwards(call, drive, monkeypatch):
    """Another program may fill the disk meanwhile."""
    full = SimpleNamespace(total=1000, used=1000, free=0)
    monkeypatch.setattr(command.shutil, "disk_usage", lambda _: full)
    call(upload_data, drive)
    code, counts, _ = call(free_space, drive, "--until", "50%", "-y")
    assert (code, counts["freed"], counts["enough"]) == (0, 1, False)


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["link", "hard link"])
def test_a_picture_that_the_store_has_only_by_a_link_stays(call, drive, home, link):
    """As a tool that removes duplicates leaves it."""
    call(upload_data, drive)
    stored = home / "database" / stored_key(3)
    stored.unlink()
    link(drive / drive_label(3)["file_name"], stored)
    code, counts, _ = call(free_space, drive, *ALL)
    assert (code, counts["freed"], counts["kept"]["linked"]) == (0, 9, 1)
    assert stored.read_bytes() == picture(3)


@pytest.mark.parametrize("damage", ["labels.json", "journal"])
def test_a_folder_that_cannot_be_read_does_not_hold_up_the_others(call, drive, tmp_path, damage):
    call(upload_data, drive)
    bad = save(tmp_path / "bad", [document(number) for number in range(20, 23)])
    if damage == "labels.json":
        (bad / label_file.NAME).write_text('{"20240501T12-00-02-000000": {')
    else:
        (bad / journal.NAME).mkdir()
    code, counts, err = call(free_space, bad, drive, *ALL)
    assert (code, counts["freed"], counts["failed"]) == (3, 10, 1), err
    assert str(bad) in err


@pytest.mark.usefixtures("disk")
def test_a_dry_run_counts_like_the_real_run_and_changes_nothing(call, drive, tmp_path, home):
    call(upload_data, drive)
    before = snapshot(drive), snapshot(home)
    planned = call(free_space, drive, "--until", "4%", "--dry-run")
    assert (snapshot(drive), snapshot(home)) == before
    assert planned[:2] == call(free_space, drive, "--until", "4%", "-y")[:2]


def test_without_a_terminal_nothing_goes_unless_agreed(call, drive):
    call(upload_data, drive)
    code, counts, err = call(free_space, drive, "--until", "100%")
    assert (code, counts) == (1, None)
    assert "10 pictures" in err
    assert len(numbers_in(drive)) == 10


# --- what stays, and why


@contextmanager
def opened():
    with open_database(writing=True) as db:
        yield db


def stored_key(number):
    one = drive_label(number)
    return picture_key(one["img_id"], one["picture_sha256"])


def put(content):
    """Return a step that puts this content in the place of the stored picture 3."""

    def step(call, drive):
        with opened() as db:
            db.store.put(stored_key(3), content)

    return step


def delete_in_store(call, drive):
    with opened() as db:
        db.store.delete(stored_key(3))


def local(content):
    def step(call, drive):
        (drive / drive_label(3)["file_name"]).write_bytes(content)

    return step


def deletion(call, drive):
    query = json.dumps({"img_id": {"type": "term", "value": drive_label(3)["img_id"]}})
    assert call(edit_labels, "-q", query, "--delete", "-y")[1]["deleted"] == 1


def apply_correction(call, drive):
    labels = (drive / label_file.NAME).read_bytes()
    correct(drive, 3)
    (drive / label_file.NAME).rename(drive.parent / "corrected.json")
    (drive / label_file.NAME).write_bytes(labels)
    code, counts, err = call(upload_to_db, drive.parent / "corrected.json", "-p", drive, "-y")
    assert (code, counts["replaced"]) == (0, 1), err


def apply_and_delete_the_correction(call, drive):
    apply_correction(call, drive)
    deletion(call, drive)


def another_key(call, drive):
    """As of a label that some other tool has put into the index."""
    with opened() as db:
        one = drive_label(3)
        (stored,) = db.index.read([one["label_fingerprint"]]).values()
        db.index.remove([one["label_fingerprint"]])
        db.index.create([{**stored.document, "s3_key": stored_key(3).replace("-", "_")}])


def another_picture(call, drive):
    with opened() as db:
        one = drive_label(3)
        (stored,) = db.index.read([one["label_fingerprint"]]).values()
        db.index.remove([one["label_fingerprint"]])
        db.index.create([{**stored.document, "picture_sha256": ids.sha256(b"another")}])


def export_beside(change):
    """Return a step that leaves a label file beside `labels.json`, as the labelizer exports it."""

    def step(call, drive):
        labels = (drive / label_file.NAME).read_bytes()
        change(drive)
        (drive / label_file.NAME).rename(drive / "labels_20240502T120000.json")
        (drive / label_file.NAME).write_bytes(labels)

    return step


def edit_comment(drive):
    labels = label_file.read(drive / label_file.NAME)
    labels[drive_label(3)["img_id"]]["comment"] = "sunny"
    label_file.write(drive / label_file.NAME, labels)


def edit_a_comment(call, drive):
    edit_comment(drive)


def decide(call, drive):
    with closing(open_workspace(drive / label_file.NAME, drive, "Ada", iter)) as workspace:
        epoch = workspace.take_lease("page", take_over=False)
        save_operations(workspace, epoch, make_operation(positions=[(3, 3)], direction=0))


def decide_and_mark(call, drive):
    with closing(open_workspace(drive / label_file.NAME, drive, "Ada", iter)) as workspace:
        epoch = workspace.take_lease("page", take_over=False)
        save_operations(workspace, epoch, make_operation(positions=[(3, 3)], deleted=1))


def decide_and_export(call, drive):
    with closing(open_workspace(drive / label_file.NAME, drive, "Ada", iter)) as workspace:
        epoch = workspace.take_lease("page", take_over=False)
        save_operations(workspace, epoch, make_operation(positions=[(3, 3)], direction=0))
        workspace.export()


def decide_export_and_apply(call, drive):
    decide_and_export(call, drive)
    (exported,) = drive.glob("labels_*.json")
    assert call(upload_to_db, exported, "-y")[1]["replaced"] == 1


def link(call, drive):
    file = drive / drive_label(3)["file_name"]
    file.rename(drive.parent / "elsewhere.jpg")
    file.symlink_to(drive.parent / "elsewhere.jpg")


def linked(call, drive):
    (drive / "best.jpg").symlink_to(drive_label(3)["file_name"])


def hard_linked(call, drive):
    os.link(drive / drive_label(3)["file_name"], drive.parent / "best.jpg")


def half_replaced(call, drive):
    """Add the tombstone of a correction that is not there."""
    one = drive_label(3)
    gone = Tombstone(
        one["label_fingerprint"],
        one["img_id"],
        stored_key(3),
        "replaced",
        "Ada",
        "2024-05-02T12:00:00.000000Z",
    )
    with opened() as db:
        db.index.add_tombstones([gone])


def two_labels_of_one_file(call, drive):
    labels = label_file.read(drive / label_file.NAME)
    other = {**drive_label(3), "img_id": "x"}
    other["label_fingerprint"] = ids.fingerprint("x", other["label"])
    label_file.write(drive / label_file.NAME, labels | {"x": other})


STAY = {
    "damaged in the store": (put(picture(3)[:-2] + b"\xff\xff"), "not_stored"),
    "of another size in the store": (put(picture(3) + b"x"), "not_stored"),
    "empty in the store": (put(b""), "not_stored"),
    "not in the store": (delete_in_store, "not_stored"),
    "of another hash here": (local(picture(3)[:-2] + b"\xff\xff"), "not_as_recorded"),
    "of another size here": (local(picture(3)[:-2]), "not_as_recorded"),
    "empty here": (local(b""), "not_as_recorded"),
    "another picture here": (local(picture(13)), "not_as_recorded"),
    "deleted on purpose": (deletion, "deleted"),
    "corrected, and that deleted": (apply_and_delete_the_correction, "not_uploaded"),
    "under another key": (another_key, "other_picture"),
    "with another hash in the index": (another_picture, "other_picture"),
    "a correction is not applied": (export_beside(partial(correct, number=3)), "not_applied"),
    "a deletion is not applied": (
        export_beside(lambda drive: mark_for_deletion(drive, 3)),
        "not_applied",
    ),
    "an amendment is not applied": (export_beside(edit_comment), "not_applied"),
    "labels.json is edited": (edit_a_comment, "not_applied"),
    "a decision is not exported": (decide, "not_applied"),
    "a mark for deletion is not exported": (decide_and_mark, "not_applied"),
    "a decision is not applied": (decide_and_export, "not_applied"),
    "a link": (link, "linked"),
    "the target of a link": (linked, "linked"),
    "hard linked": (hard_linked, "linked"),
    "replaced by a correction that is lost": (half_replaced, "not_uploaded"),
    "a second label is not uploaded": (two_labels_of_one_file, "not_uploaded"),
}


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("name", STAY)
def test_a_picture_that_is_not_proven_stays_and_is_counted(call, drive, name):
    call(upload_data, drive)
    step, reason = STAY[name]
    step(call, drive)
    others, file = not_pictures(drive), drive / drive_label(3)["file_name"]
    content = file.read_bytes()
    code, counts, err = call(free_space, drive, *ALL)
    assert code == 0, err
    has_two_labels = name == "a second label is not uploaded"
    assert (counts["freed"], counts["kept"][reason]) == (9, 1)
    assert sum(counts["kept"].values()) == 1 + has_two_labels
    assert file.read_bytes() == content
    assert command.KEPT[reason] in err
    assert not_pictures(drive) == others


def test_every_reason_is_told_and_tried():
    reasons = set(KeptReason.__args__)
    assert command.KEPT.keys() == reasons
    assert {reason for _, reason in STAY.values()} == reasons


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("step", [apply_correction, decide_export_and_apply])
def test_a_picture_whose_correction_is_applied_goes(call, drive, tmp_path, step):
    call(upload_data, drive)
    step(call, drive)
    code, counts, err = call(free_space, drive, *ALL)
    assert (code, counts["freed"]) == (0, 10), err
    assert_fetchable(call, tmp_path / "fetched", set(range(10)))


def test_a_label_that_somebody_has_amended_does_not_hold_its_picture(call, drive, tmp_path):
    call(upload_data, drive)
    call(edit_labels, "-q", "{}", "--set", "track=park", "-y")
    assert call(free_space, drive, *ALL)[1]["freed"] == 10
    assert_fetchable(call, tmp_path / "fetched", set(range(10)))


def test_pictures_without_a_label_stay(call, drive):
    call(upload_data, drive)
    (drive / "other.jpg").write_bytes(picture(50))
    assert call(free_space, drive, *ALL)[1]["freed"] == 10
    assert [file.name for file in drive.glob("*.jpg")] == ["other.jpg"]


# --- what fails


def test_a_file_that_cannot_be_read_is_reported(call, drive):
    call(upload_data, drive)
    file = drive / drive_label(3)["file_name"]
    file.unlink()
    file.mkdir()
    (file / "inside").touch()
    code, counts, err = call(free_space, drive, *ALL)
    assert (code, counts["freed"], counts["failed"]) == (3, 9, 1)
    assert f"failed: {drive_label(3)['img_id']}: {file}" in err
    assert (file / "inside").exists()


def test_nothing_goes_from_a_folder_that_cannot_be_written(call, drive):
    call(upload_data, drive)
    drive.chmod(0o500)
    try:
        with permissions_enforced():
            code, counts, _ = call(free_space, drive, *ALL)
    finally:
        drive.chmod(0o700)
    assert (code, counts["freed"], counts["failed"]) == (3, 0, 10)
    assert len(numbers_in(drive)) == 10


@pytest.mark.parametrize("part", ["index", "store"])
def test_a_database_that_fails_midway_ends_it_and_nothing_is_lost(
    call, drive, tmp_path, monkeypatch, part
):
    call(upload_data, drive)
    monkeypatch.setattr(free_module, "batches", partial(batches, size=3))
    with monkeypatch.context() as patch, open_database() as db:
        owner = type(db.index if part == "index" else db.store)
        name = "find_tombstones" if part == "index" else "examine"
        real, calls = getattr(owner, name), []

        def fail(self, *arguments, **options):
            calls.append(name)
            if len(calls) > 1:
                raise DatabaseError("the server is gone")
            return real(self, *arguments, **options)

        patch.setattr(owner, name, fail)
        code, counts, err = call(free_space, drive, *ALL)
    assert (code, counts) == (1, None)
    assert "the server is gone" in err
    assert numbers_in(drive) == {3, 4, 5, 6, 7, 8, 9}
    assert_fetchable(call, tmp_path / "fetched", {0, 1, 2})


def test_a_label_file_that_cannot_be_read_holds_its_folder(call, drive, tmp_path):
    """What it says of the pictures is unknown; the other folders go on."""
    other = save(tmp_path / "other", [document(number) for number in range(20, 23)])
    call(upload_data, drive, other)
    export_beside(partial(correct, number=3))(call, drive)
    (export,) = drive.glob("labels_*.json")
    export.write_bytes(export.read_bytes()[:-10])
    code, counts, err = call(free_space, drive, other, *ALL)
    assert (code, counts["freed"], counts["failed"]) == (3, 3, 1)
    assert str(export) in err
    assert len(numbers_in(drive)) == 10


def test_an_open_labelizer_and_the_log_of_a_killed_one_hold_their_folder(call, drive):
    call(upload_data, drive)
    with closing(open_workspace(drive / label_file.NAME, drive, "Ada", iter)):
        code, counts, err = call(free_space, drive, *ALL)
        assert (code, counts["freed"], counts["skipped"]) == (0, 0, 1), err
    (drive / "labels.json.labelizer.sqlite3-wal").write_bytes(b"what the file lacks")
    code, counts, err = call(free_space, drive, *ALL)
    assert (code, counts["freed"], counts["failed"]) == (3, 0, 1)
    (drive / "labels.json.labelizer.sqlite3-wal").unlink()
    assert call(free_space, drive, *ALL)[1]["freed"] == 10


# --- who else is at work in the folder


@pytest.mark.parametrize("shared", [False, True], ids=["a recording", "an upload"])
def test_a_folder_in_use_is_skipped_and_the_others_go_on(call, drive, tmp_path, shared):
    other = save(tmp_path / "other", [document(number) for number in range(20, 23)])
    call(upload_data, drive, other)
    descriptor = os.open(drive, os.O_RDONLY)
    try:
        assert locks.acquire(descriptor, shared=shared)
        code, counts, err = call(free_space, drive, other, *ALL)
    finally:
        os.close(descriptor)
    assert (code, counts["freed"], counts["skipped"]) == (0, 3, 1), err
    assert str(drive) in err
    assert len(numbers_in(drive)) == 10


@pytest.mark.parametrize("script", [upload_data, upload_to_db])
def test_nothing_goes_while_an_upload_uses_the_folder(call, drive, monkeypatch, script):
    """D25: a deletion may take a picture that the upload then stores again from here."""
    call(upload_data, drive)
    correct(drive, 3) if script is upload_to_db else None
    during, real = [], upload_module._Upload.create_labels

    def create_labels(self, batch):
        if not self.dry_run:
            arguments = ["get_data/free_space.py", str(drive), *ALL]
            done = subprocess.run(
                [sys.executable, *arguments], cwd=path.ROOT, capture_output=True, check=False
            )
            during.append((done.returncode, json.loads(done.stdout)))
        yield from real(self, batch)

    monkeypatch.setattr(upload_module._Upload, "create_labels", create_labels)
    options = ["-y"] if script is upload_to_db else []
    assert call(script, drive, *options)[0] == 0
    ((code, counts),) = during
    assert (code, counts["freed"], counts["skipped"]) == (0, 0, 1)


@pytest.mark.parametrize(
    ("script", "options"),
    [(upload_data, []), (upload_to_db, []), (check_database, ["--repair", "-y"])],
    ids=["upload_data", "upload_to_db", "check_database"],
)
def test_uploads_wait_for_free_space_and_then_give_up(call, drive, monkeypatch, script, options):
    monkeypatch.setattr(journal, "LOCK_TIMEOUT_S", 0.1)
    with journal.removal_lock(drive):
        code, counts, err = call(script, drive, *options)
    assert (code, counts) == (1, None)
    assert str(drive) in err
    assert call(script, drive, *options)[0] == 0


def test_a_download_waits_for_free_space_too(call, drive, monkeypatch, tmp_path):
    call(upload_data, drive)
    call(search_and_download, "-p", tmp_path / "set")
    monkeypatch.setattr(journal, "LOCK_TIMEOUT_S", 0.1)
    with journal.removal_lock(tmp_path / "set"):
        assert call(search_and_download, "-p", tmp_path / "set")[0] == 1
    assert call(search_and_download, "-p", tmp_path / "set")[0] == 0


def test_two_uploads_share_a_folder(drive, call, monkeypatch):
    monkeypatch.setattr(journal, "LOCK_TIMEOUT_S", 0.1)
    with journal.shared_lock(drive):
        assert call(upload_data, drive)[0] == 0


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_nothing_goes_and_uploads_go_on(call, drive, monkeypatch, code):
    failing(monkeypatch.setattr, "flock", code, of=fcntl)
    assert call(upload_data, drive)[0] == 0
    ended, counts, err = call(free_space, drive, *ALL)
    assert (ended, counts) == (2, None)
    assert "no locks" in err
    assert len(numbers_in(drive)) == 10


def test_a_running_recording_is_left_alone(call, tmp_path):
    folder = tmp_path / "drive"
    with open_recorder(folder) as recorder:
        record_pictures(recorder, 3)
    call(upload_data, folder)
    with open_recorder(folder) as recorder:
        record_pictures(recorder, 3, first=10)
        code, counts, err = call(free_space, folder, *ALL)
        assert (code, counts["freed"], counts["skipped"]) == (0, 0, 1), err
    assert len(assert_whole(folder)) == 6


def test_a_recording_goes_on_in_a_freed_folder(call, tmp_path):
    """A repair must not take freed pictures for lost ones, nor may their ids come again."""
    folder = tmp_path / "drive"
    with open_recorder(folder) as recorder:
        record_pictures(recorder, 3)
    call(upload_data, folder)
    labels = label_file.read(folder / label_file.NAME)
    assert call(free_space, folder, *ALL)[1]["freed"] == 3
    with open_recorder(folder) as recorder:
        assert recorder.has_picture(START)
        record_pictures(recorder, 2, first=10)
    interrupted_recording(folder, [document(number) for number in (20, 21)])
    code, counts, err = call(upload_data, folder)  # repairs it
    assert (code, counts["created"], counts["there"]) == (0, 4, 3), err
    assert "damaged" not in err
    assert not (folder / journal.DAMAGED_LABELS).exists()
    found = label_file.read(folder / label_file.NAME)
    assert len(found) == 7
    assert {img_id: found[img_id] for img_id in labels} == labels
    assert numbers_in(folder) == {10, 11, 20, 21}
    assert call(free_space, folder, *ALL)[1]["freed"] == 4


def test_an_interrupted_recording_is_repaired_first(call, drive):
    """Its pictures are not in the database; a dry run leaves it as it is, and the folder out."""
    call(upload_data, drive)
    interrupted_recording(drive, [document(number) for number in (20, 21)])
    before = snapshot(drive)
    code, counts, err = call(free_space, drive, "--until", "100%", "--dry-run")
    assert (code, counts["freed"], counts["skipped"]) == (0, 0, 1), err
    assert snapshot(drive) == before
    code, counts, err = call(free_space, drive, *ALL)
    assert (code, counts["freed"], counts["kept"]["not_uploaded"]) == (0, 10, 2), err
    assert numbers_in(drive) == {20, 21}


# --- what else reads a freed folder


def test_a_contact_sheet_names_the_pictures_that_are_not_here(call, drive):
    call(upload_data, drive)
    assert call(contact_sheet, drive)[1]["missing"] == 0
    call(free_space, drive, *ALL)
    code, counts, err = call(contact_sheet, drive)
    assert (code, counts["drawn"], counts["missing"]) == (0, 10, 10)
    assert "search_and_download.py" in err


def test_the_labelizer_counts_the_pictures_that_are_not_here(call, drive):
    call(upload_data, drive)
    call(free_space, drive, *ALL)
    with closing(open_workspace(drive / label_file.NAME, drive, "Ada", iter)) as workspace:
        found = workspace.catalogue.problems
    assert len(found["missing"]) == 10
    assert problems.PROBLEM_KINDS["missing"].plural == "labels without a picture"


def test_corrections_of_a_freed_folder_are_applied(call, drive, tmp_path):
    call(upload_data, drive)
    call(free_space, drive, *ALL)
    correct(drive, 3)
    code, counts, err = call(upload_to_db, drive, "-y")
    assert (code, counts["replaced"], counts["failed"]) == (0, 1, 0), err
    assert_fetchable(call, tmp_path / "fetched", set(range(10)))


# --- kills


KILL = """
import os, random, signal, sys
if "free_space" in " ".join(sys.orig_argv):
    from functools import partial
    from common.batching import batches
    from get_data.database import free
    free.batches = partial(batches, size=3)
    countdown = int(os.environ["KILL_AFTER"])
    def trace(event, arguments):
        global countdown
        if event in ("os.remove", "open", "sqlite3.connect", "os.listdir"):
            countdown -= 1
            if countdown < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(trace)
"""


@pytest.mark.slow
def test_a_kill_at_any_point_loses_nothing(call, drive, tmp_path, monkeypatch):
    """Kills before a system call; those before the removal of each picture are among them."""
    call(upload_data, drive)
    generator = random.Random(1)
    after, partly = 0, 0
    with monkeypatch.context() as patch:
        before_anything(patch, tmp_path, KILL)
        while True:
            patch.setenv("KILL_AFTER", str(after))
            folder = tmp_path / f"copy {after}"
            shutil.copytree(drive, folder)
            done = subprocess.run(
                [sys.executable, "get_data/free_space.py", folder, *ALL],
                cwd=path.ROOT,
                capture_output=True,
                check=False,
            )
            here = numbers_in(folder)
            for number in here:
                assert (folder / document(number)["file_name"]).read_bytes() == picture(number)
            partly += 0 < len(here) < 10
            assert not_pictures(folder) == not_pictures(drive)
            if done.returncode == 0:
                break
            assert done.returncode == -signal.SIGKILL, done.stderr
            after += generator.randrange(1, 9)
    assert partly > 3
    assert here == set()
    assert_fetchable(call, tmp_path / "fetched", set(range(10)))
