"""A frozen set that a disk has damaged is named, replaced by a whole one, and never saved."""

import hashlib
import json
from collections.abc import Callable

import pytest

from get_data import (
    back_up,
    check_database,
    diff_sets,
    edit_labels,
    freeze_set,
    search_and_download,
    upload_data,
)
from get_data.database import check
from get_data.database.backup import folder as backup_folder
from get_data.database.backup import restore
from get_data.database.connection import open_database
from get_data.database.frozen import frozen_sets
from get_data.database.interfaces import StoredSet, Tombstone
from get_data.labels import label_file
from tests.helpers.folders import snapshot

SOME_FAILED = 3
KINDS = ["local", pytest.param("team", marks=pytest.mark.servers)]


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "its pictures": lambda content: flipped(content, 40),
    "its labels": lambda content: flipped(content, len(content) - 40),
    "cut off": lambda content: content[:-20],
    "empty": lambda _: b"",
}
SAME_SIZE = ["its pictures", "its labels"]


@pytest.fixture(autouse=True)
def _without_pause(monkeypatch):
    monkeypatch.setattr(check, "pause_s", lambda *_: 0.0)


@pytest.fixture(params=KINDS)
def fetched(request, call, drive, tmp_path, home, monkeypatch):
    """A set of ten pictures that was fetched, and is frozen as `base`, in each kind of database."""
    if request.param == "team":
        for name, value in request.getfixturevalue("team_environment").items():
            monkeypatch.setenv(name, value)
    call(upload_data, drive)
    folder = tmp_path / "fetched"
    call(search_and_download, "-p", folder)
    assert call(freeze_set, "base", folder)[0] == 0
    return folder


def only_set() -> StoredSet:
    with open_database() as db:
        (stored,) = db.store.list_sets()
    return stored


def content_of(stored: StoredSet) -> bytes:
    with open_database() as db:
        (now,) = [each for each in db.store.list_sets() if each.path == stored.path]
        return b"".join(db.store.read_set(now))


def harm(damage: str) -> StoredSet:
    """Damage the only set of the database, and return it."""
    stored = only_set()
    damaged = DAMAGES[damage](content_of(stored))
    with open_database() as db:
        db.store.put_set(stored.path, damaged)
    return stored


def files_of(folder):
    return {name: content for name, content in snapshot(folder).items() if not name.startswith(".")}


def comes_back(call, fetched, tmp_path):
    """Return whether the set can be fetched, byte for byte."""
    code, _, err = call(search_and_download, "--set", "base", "-p", tmp_path / "again")
    assert code == 0, err
    return files_of(tmp_path / "again") == files_of(fetched)


@pytest.mark.parametrize("damage", DAMAGES)
def test_freezing_the_same_set_replaces_it(call, fetched, tmp_path, damage):
    stored = harm(damage)
    before = content_of(stored)
    code, _, err = call(search_and_download, "--set", "base", "-p", tmp_path / "none")
    assert (code, stored.full_name in err, "freeze_set.py base DIR" in err) == (1, True, True)
    code, counts, err = call(freeze_set, "base", fetched, "--dry-run")
    assert (code, counts["frozen"], counts["there"], "damaged" in err) == (0, 0, 0, True)
    assert content_of(stored) == before
    code, counts, err = call(freeze_set, "base", fetched)
    assert (code, counts["frozen"], counts["there"]) == (0, 1, 0), err
    assert counts["set"] == stored.full_name
    assert comes_back(call, fetched, tmp_path)
    assert call(freeze_set, "base", fetched)[1]["there"] == 1
    assert call(check_database)[1]["found"]["damaged_set"] == 0


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_restore_replaces_it(call, fetched, tmp_path, damage):
    call(back_up, tmp_path / "backup")
    stored = harm(damage)
    before = content_of(stored)
    code, counts, _ = call(back_up, tmp_path / "backup", "--restore", "--dry-run")
    assert (code, counts["sets"], counts["failed"]) == (0, 1, 0)
    assert content_of(stored) == before
    code, counts, err = call(back_up, tmp_path / "backup", "--restore", "-y")
    assert (code, counts["sets"], counts["failed"]) == (0, 1, 0), err
    assert comes_back(call, fetched, tmp_path)
    assert call(back_up, tmp_path / "backup", "--restore", "-y")[1]["sets"] == 0


def test_a_restore_replaces_it_before_it_touches_a_picture(call, fetched, tmp_path):
    """Whoever may delete a picture asks which of them sets name, and a damaged set cannot tell."""
    call(back_up, tmp_path / "backup")
    one = next(iter(label_file.read(fetched / label_file.NAME)))
    query = json.dumps({"img_id": {"type": "terms", "value": [one]}})
    assert call(edit_labels, "-q", query, "--delete", "-y")[0] == 0
    harm("its pictures")
    code, counts, err = call(back_up, tmp_path / "backup", "--restore", "-y")
    assert (code, counts["sets"], counts["gone"]) == (0, 1, 1), err
    assert comes_back(call, fetched, tmp_path)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_new_backup_does_not_take_it(call, fetched, tmp_path, damage):
    stored = harm(damage)
    backup = tmp_path / "backup"
    for _ in range(2):
        code, counts, err = call(back_up, backup)
        assert (code, counts["sets"], counts["failed"], counts["pictures"]) == (3, 0, 1, 10), err
        assert stored.full_name in err
        assert "freeze_set.py base DIR" in err
        assert not list(backup.glob("sets/*"))
    assert call(freeze_set, "base", fetched)[0] == 0
    code, counts, err = call(back_up, backup)
    assert (code, counts["sets"], counts["failed"]) == (0, 1, 0), err
    assert (backup / stored.path).read_bytes() == content_of(stored)


@pytest.mark.parametrize("damage", SAME_SIZE)
def test_an_earlier_backup_keeps_its_own_and_says_so(call, fetched, tmp_path, damage):
    backup = tmp_path / "backup"
    call(back_up, backup)
    stored = harm(damage)
    whole = (backup / stored.path).read_bytes()
    code, counts, err = call(back_up, backup, "--verify")
    assert (code, counts["sets"], counts["lost"], counts["failed"]) == (3, 1, 1, 0)
    assert stored.full_name in err
    assert "--restore" in err
    # without it no set of the database is read that the backup has, as no picture is
    code, counts, _ = call(back_up, backup)
    assert (code, counts["sets"]) == (0, 1)
    assert (backup / stored.path).read_bytes() == whole
    assert call(back_up, backup, "--restore", "-y")[1]["sets"] == 1
    code, counts, _ = call(back_up, backup, "--verify")
    assert (code, counts["lost"]) == (0, 0)


def backed_up_damaged(call, backup, damage):
    """Make a backup that has the set damaged, as earlier versions did."""
    call(back_up, backup)
    manifest = json.loads((backup / "backup.json").read_bytes())
    (saved,) = manifest["sets"]
    file = backup / saved["path"]
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    saved["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (backup / "backup.json").write_text(json.dumps(manifest))
    return file


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_in_a_backup_of_an_earlier_version_is_not_restored(call, fetched, tmp_path, damage):
    backup = tmp_path / "backup"
    backed_up_damaged(call, backup, damage)
    # the database's own is whole, and stays
    assert call(back_up, backup, "--restore", "-y")[0] == 0
    stored = harm("its labels")
    code, counts, err = call(back_up, backup, "--restore", "-y")
    assert (code, counts["sets"], counts["failed"]) == (SOME_FAILED, 0, 1)
    assert stored.full_name in err
    with open_database() as db:
        db.store.delete_set(stored.path)
    code, counts, err = call(back_up, backup, "--restore", "-y")
    assert (code, counts["sets"], counts["failed"], counts["there"]) == (SOME_FAILED, 0, 1, 10)
    with open_database() as db:
        assert db.store.list_sets() == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_in_a_backup_of_an_earlier_version_is_replaced(
    call, fetched, tmp_path, monkeypatch, damage
):
    backup = tmp_path / "backup"
    file = backed_up_damaged(call, backup, damage)

    def killed(*_arguments, **_options):
        raise Killed

    # also if the run is killed once it has replaced the set
    with monkeypatch.context() as patch:
        patch.setattr(backup_folder, "atomic_write", killed)
        with pytest.raises(Killed):
            call(back_up, backup)
    assert file.read_bytes() == content_of(only_set())
    code, counts, err = call(back_up, backup)
    assert (code, counts["sets"], counts["failed"]) == (0, 1, 0), err
    harm("its labels")
    assert call(back_up, backup, "--restore", "-y")[0] == 0
    assert comes_back(call, fetched, tmp_path)


class Killed(BaseException):
    """The process is killed."""


def test_one_that_is_being_thrown_away_is_not_brought_back(call, fetched, tmp_path):
    """A run that threw it away was killed before the set went."""
    call(back_up, tmp_path / "backup")
    stored = harm("its labels")
    before = content_of(stored)
    with open_database(writing=True) as db:
        when = "2024-05-01T12:00:00Z"
        db.index.add_tombstones([Tombstone(stored.path, stored.path, "", "deleted", "Ada", when)])
    for options in (["--dry-run"], ["-y"]):
        code, counts, err = call(back_up, tmp_path / "backup", "--restore", *options)
        assert (code, counts["sets"], counts["failed"]) == (SOME_FAILED, 0, 1)
        assert f"freeze_set.py {stored.full_name} --delete" in err
    assert content_of(stored) == before
    assert call(freeze_set, "base", fetched)[0] == 0
    assert comes_back(call, fetched, tmp_path)


def test_another_set_of_its_name_is_refused(call, fetched, tmp_path):
    call(search_and_download, "-p", tmp_path / "other", "--limit", 7)
    stored = harm("its labels")
    before = content_of(stored)
    for options in ([], ["--dry-run"]):
        code, counts, err = call(freeze_set, "base", tmp_path / "other", *options)
        assert (code, counts) == (2, None)
        assert f"freeze_set.py {stored.full_name} --delete" in err
    assert content_of(stored) == before


def test_another_set_in_its_place_is_damage(call, fetched, tmp_path):
    """As after a copy by hand."""
    stored = only_set()
    call(search_and_download, "-p", tmp_path / "other", "--limit", 7)
    assert call(freeze_set, "other", tmp_path / "other")[0] == 0
    with open_database() as db:
        other = next(each for each in db.store.list_sets() if each.name == "other")
        db.store.put_set(stored.path, b"".join(db.store.read_set(other)))
    assert call(check_database)[1]["found"]["damaged_set"] == 1
    for script, *arguments in (
        (search_and_download, "--set", "base", "-p", tmp_path / "none"),
        (diff_sets, "base", "other"),
    ):
        code, _, err = call(script, *arguments)
        assert (code, stored.full_name in err) == (1, True)
    assert call(freeze_set, "base", fetched)[1]["frozen"] == 1
    assert comes_back(call, fetched, tmp_path)


def test_one_that_was_thrown_away_is_named_with_the_way_back(call, fetched, tmp_path, monkeypatch):
    call(back_up, tmp_path / "backup")
    stored = harm("its labels")
    assert call(freeze_set, stored.full_name, "--delete", "-y")[0] == 0
    for options in (["--dry-run"], ["-y"]):
        code, counts, err = call(back_up, tmp_path / "backup", "--restore", *options)
        assert (code, counts["sets"], counts["sets_gone"]) == (0, 0, 1)
        assert stored.full_name in err
        assert "freeze_set.py" in err
        assert "PATATE_HOME" in err
    # no folder has it any more: by way of an empty database
    with monkeypatch.context() as patch:
        patch.setenv("PATATE_DATABASE", "local")
        patch.setenv("PATATE_HOME", str(tmp_path / "elsewhere"))
        assert call(back_up, tmp_path / "backup", "--restore", "-y")[1]["sets"] == 1
        assert call(search_and_download, "--set", "base", "-p", tmp_path / "copy")[0] == 0
    code, counts, err = call(freeze_set, "base", tmp_path / "copy")
    assert (code, counts["frozen"], counts["set"]) == (0, 1, stored.full_name), err
    assert comes_back(call, fetched, tmp_path)


@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "damaged"])
def test_one_that_is_thrown_away_while_it_is_restored_is_named(
    call, fetched, tmp_path, monkeypatch, is_lost
):
    call(back_up, tmp_path / "backup")
    stored = harm("its labels")
    with open_database() as db:
        if is_lost:
            db.store.delete_set(stored.path)
    # after its tombstone was asked for: a lost one is there by then, a damaged one not yet replaced
    place, name = (frozen_sets, "complete") if is_lost else (restore._Restore, "replace_sets")
    do = getattr(place, name)

    def do_late(*arguments, **options):
        with open_database(writing=True) as db:
            gone = Tombstone(stored.path, "", "", "deleted", "Zoé", "2024-05-02T12:00:00.000000Z")
            db.index.add_tombstones([gone])
        return do(*arguments, **options)

    monkeypatch.setattr(place, name, do_late)
    code, counts, err = call(back_up, tmp_path / "backup", "--restore", "-y")
    assert (code, counts["sets"], counts["sets_gone"]) == (0, 0, 1), err
    assert stored.full_name in err
    with open_database() as db:
        assert db.store.list_sets() == []
