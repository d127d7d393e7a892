"""Frozen sets: had again byte for byte, whatever others do, until they are thrown away."""

import json
import os
import random
import shutil
from contextlib import suppress

import pytest

import path
from get_data import (
    back_up,
    check_database,
    diff_sets,
    edit_labels,
    free_space,
    freeze_set,
    search_and_download,
    show_database,
    upload_data,
    upload_to_db,
)
from get_data.database import check
from get_data.database.frozen import frozen_file
from get_data.database.local.label_index import SqliteIndex
from get_data.database.local.picture_store import LocalPictureStore
from get_data.labels import edits, label_file
from tests.conftest import START, document, save
from tests.helpers.folders import snapshot


@pytest.fixture(autouse=True)
def _without_pause(monkeypatch):
    monkeypatch.setattr(check, "pause_s", lambda *_: 0.0)


@pytest.fixture
def fetched(call, drive, tmp_path):
    """A set of ten pictures that was fetched, and is frozen as `base`."""
    call(upload_data, drive)
    folder = tmp_path / "fetched"
    call(search_and_download, "-p", folder)
    assert call(freeze_set, "base", folder)[:2][0] == 0
    return folder


def files_of(folder):
    """The files of a fetched set, by name; what the toolkit keeps for itself is left out."""
    return {name: content for name, content in snapshot(folder).items() if not name.startswith(".")}


def object_of():
    """The file of the only frozen set."""
    (file,) = (path.database_folder() / "sets").iterdir()
    return file


def pictures_in_store():
    return {each.key for each in LocalPictureStore(path.database_folder()).list_pictures()}


def test_a_set_is_frozen_once(call, fetched):
    code, counts, _ = call(freeze_set, "base", fetched)
    assert (code, counts["frozen"], counts["there"], counts["labels"]) == (0, 0, 1, 10)
    assert counts["set"] == object_of().name.removesuffix(".json.gz")


def test_a_frozen_set_comes_back_byte_for_byte_after_whatever_others_do(call, tmp_path, home):
    """Corrections, deletions, amendments: 1,000 of them, at random."""
    labels = [
        document(number, steering=(number % 21) / 10 - 1, track="school", comment=f"lap {number}")
        for number in range(60)
    ]
    call(upload_data, save(tmp_path / "drive", labels))
    folder = tmp_path / "fetched"
    query = json.dumps({"track": {"type": "term", "value": "school"}})
    call(search_and_download, "-q", query, "-p", folder, "--split", "train=80,val=20")
    before = files_of(folder)
    assert call(freeze_set, "base", folder)[0] == 0
    generator = random.Random(1)
    done = 0
    while done < 1000:
        call(search_and_download, "-p", tmp_path / "all", "--no-download", "--allow-empty")
        current = label_file.read(tmp_path / "all" / "labels.json")
        changed = {}
        for img_id, label in current.items():
            kind = generator.choices(("correct", "amend", "delete"), (6, 6, 1))[0]
            if kind == "correct":
                direction = generator.randrange(5)
                label = edits.corrected(
                    label,
                    created_by=f"Ada{done}",
                    direction=direction,
                    speed=1,
                    created_on=START,
                )
            elif kind == "amend":
                label |= {"comment": f"changed {done}"}
            else:
                label |= {"to_delete": True}
            changed[img_id] = label
            done += 1
        if not current:
            call(upload_data, tmp_path / "drive", "--restore")
            continue
        label_file.write(tmp_path / "changes.json", changed)
        code, _, err = call(upload_to_db, tmp_path / "changes.json", "-p", tmp_path / "drive", "-y")
        assert code == 0, err
    code, counts, _ = call(search_and_download, "--set", "base", "-p", tmp_path / "bare")
    assert (code, counts["failed"]) == (0, 0)
    assert files_of(tmp_path / "bare") == before


def test_a_frozen_picture_survives_deletions_and_comes_free_with_its_set(call, fetched, tmp_path):
    assert call(edit_labels, "-q", "{}", "--delete", "-y")[1]["pictures_deleted"] == 0
    assert len(pictures_in_store()) == 10
    code, counts, _ = call(check_database)
    assert (code, counts["sets"], sum(counts["found"].values())) == (0, 1, 0)
    assert call(search_and_download, "--set", "base", "-p", tmp_path / "again")[1]["fetched"] == 10
    # without a terminal nobody can be asked
    assert call(freeze_set, "base", "--delete")[0] == 1
    code, counts, _ = call(freeze_set, "base", "--delete", "--dry-run")
    assert (code, counts["pictures_deleted"], len(pictures_in_store())) == (0, 10, 10)
    code, counts, _ = call(freeze_set, "base", "--delete", "-y")
    assert (code, counts["labels"], counts["pictures_deleted"]) == (0, 10, 10)
    assert pictures_in_store() == set()
    assert call(search_and_download, "--set", "base", "-p", tmp_path / "none")[0] == 2
    assert not (tmp_path / "none").exists()


def test_a_set_that_is_thrown_away_leaves_pictures_that_a_label_names(call, fetched):
    code, counts, _ = call(freeze_set, "base", "--delete", "-y")
    assert (code, counts["pictures_deleted"], counts["pictures_kept"]) == (0, 0, 10)
    assert len(pictures_in_store()) == 10


def test_of_two_sets_the_last_lets_the_pictures_go(call, fetched):
    call(freeze_set, "second", fetched)
    call(edit_labels, "-q", "{}", "--delete", "-y")
    assert call(freeze_set, "base", "--delete", "-y")[1]["pictures_kept"] == 10
    assert call(freeze_set, "second", "--delete", "-y")[1]["pictures_deleted"] == 10


@pytest.mark.parametrize(
    "name",
    ["../base", "a/b", "", ".hidden", "a..b", "x" * 65, "é", "new\n", "base-0123456789ab", "BASE"],
)
def test_a_name_that_some_disk_would_not_take_is_refused(call, fetched, name):
    before = snapshot(path.database_folder())
    code, _, err = call(freeze_set, name, fetched)
    assert (code, err.count("error:")) == (2, 1)
    assert snapshot(path.database_folder()) == before


def test_another_set_of_the_same_name_is_refused_with_the_difference(call, fetched, tmp_path):
    call(edit_labels, "-q", "{}", "--set", "comment=new", "-y")
    other = tmp_path / "other"
    call(search_and_download, "-p", other, "--limit", 7)
    code, _, err = call(freeze_set, "base", other)
    assert code == 2
    for fact in ("10 labels", "7 have another label", "3 are only there", "--delete"):
        assert fact in err


def test_a_set_that_was_changed_or_not_fetched_is_refused(call, fetched, drive, tmp_path):
    text = (fetched / "labels.json").read_text()
    (fetched / "labels.json").write_text(text.replace("Zoé", "Eve", 1))
    code, _, err = call(freeze_set, "other", fetched)
    assert (code, "changed since" in err) == (2, True)
    code, _, err = call(freeze_set, "other", drive)
    assert (code, "set.json" in err) == (2, True)


def test_a_set_of_pictures_that_were_deleted_is_not_frozen(call, drive, tmp_path, home):
    call(upload_data, drive)
    call(search_and_download, "-p", tmp_path / "fetched")
    call(edit_labels, "-q", "{}", "--delete", "-y")
    code, counts, err = call(freeze_set, "late", tmp_path / "fetched")
    assert (code, counts["frozen"], counts["failed"], counts["set"]) == (3, 0, 10, "")
    assert err.count("failed:") == 10
    assert call(show_database)[1]["sets"] == []


def empty_database(request, monkeypatch, tmp_path, kind):
    """Name a database that nothing was uploaded to."""
    monkeypatch.setenv("PATATE_HOME", str(tmp_path / "elsewhere"))
    if kind == "team":
        for name, value in request.getfixturevalue("team_environment").items():
            monkeypatch.setenv(name, value)


KINDS = ["local", pytest.param("team", marks=pytest.mark.servers)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_database_is_told_from_one_whose_pictures_were_deleted(
    call, fetched, request, monkeypatch, tmp_path, kind
):
    """A wrong PATATE_HOME must not read as the loss of every picture."""
    empty_database(request, monkeypatch, tmp_path, kind)
    for options in ([], ["--dry-run"]):
        code, counts, err = call(freeze_set, "base", fetched, *options)
        assert (code, counts, err.count("failed:"), err.count("error:")) == (1, None, 0, 1)
        assert "PATATE_HOME" in err


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        (freeze_set, ["base", "--delete", "--dry-run"]),
        (diff_sets, ["base", "other"]),
        (search_and_download, ["--set", "base", "-p", "out"]),
    ],
    ids=["delete", "diff", "fetch"],
)
def test_a_set_that_an_empty_database_lacks_is_refused_with_a_warning(
    call, fetched, monkeypatch, tmp_path, script, arguments
):
    monkeypatch.setenv("PATATE_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    code, counts, err = call(script, *arguments)
    assert (code, counts, err.count("warning:")) == (2, None, 1)


def test_a_missing_picture_of_a_set_is_named_and_repaired(call, fetched, drive, tmp_path):
    call(edit_labels, "-q", "{}", "--delete", "-y")
    lost = sorted(pictures_in_store())[0]
    (path.database_folder() / lost).unlink()
    code, counts, err = call(check_database)
    assert (code, counts["found"]["set_without_picture"], lost in err) == (3, 1, True)
    code, counts, err = call(search_and_download, "--set", "base", "-p", tmp_path / "again")
    assert (code, counts["failed"]) == (3, 1)
    assert not (tmp_path / "again" / "labels.json").exists()
    assert not (tmp_path / "again" / "set.json").exists()
    # freezing again completes a set, too: its folder has the picture
    code, counts, _ = call(freeze_set, "base", fetched)
    assert (code, counts["pictures_restored"]) == (0, 1)
    (path.database_folder() / lost).unlink()
    call(check_database, drive, "--repair", "-y")
    assert lost in pictures_in_store()


def test_a_damaged_set_is_named_and_deletes_nothing(call, fetched):
    object_of().write_bytes(object_of().read_bytes()[:500])
    code, counts, err = call(check_database)
    assert (code, counts["found"]["damaged_set"], object_of().name in err) == (3, 1, True)
    before = pictures_in_store()
    code, _, err = call(edit_labels, "-q", "{}", "--delete", "-y")
    assert (code, "base" in err) == (1, True)
    assert pictures_in_store() == before
    assert call(show_database)[1]["sets"][0]["labels"] is None
    assert call(freeze_set, "base", "--delete", "-y")[0] == 0
    assert call(check_database)[1]["found"]["damaged_set"] == 0


def test_a_set_of_a_later_version_stays(call, fetched, monkeypatch):
    monkeypatch.setattr(frozen_file, "VERSION", 0)
    for script, arguments in (
        (search_and_download, ["--set", "base", "-p", fetched.parent / "again"]),
        (edit_labels, ["-q", "{}", "--delete", "-y"]),
        (freeze_set, ["base", "--delete", "-y"]),
    ):
        code, _, err = call(script, *arguments)
        assert (code, "update this checkout" in err) == (1, True)
    assert object_of().exists()


def test_sets_are_listed(call, fetched):
    (shown,) = call(show_database)[1]["sets"]
    assert (shown["name"], shown["labels"]) == ("base", 10)
    assert shown["bytes"] == object_of().stat().st_size
    assert shown["created"]


def test_a_backup_has_the_sets_and_brings_them_back(call, fetched, tmp_path, monkeypatch):
    call(edit_labels, "-q", "{}", "--delete", "-y")
    code, counts, _ = call(back_up, tmp_path / "backup")
    assert (code, counts["sets"], counts["pictures"], counts["pictures_copied"]) == (0, 1, 0, 10)
    monkeypatch.setenv("PATATE_HOME", str(tmp_path / "elsewhere"))
    code, counts, _ = call(back_up, tmp_path / "backup", "--restore", "-y")
    assert (code, counts["sets"], counts["pictures_sent"], counts["failed"]) == (0, 1, 10, 0)
    call(search_and_download, "--set", "base", "-p", tmp_path / "again")
    assert files_of(tmp_path / "again") == files_of(fetched)
    assert call(back_up, tmp_path / "backup", "--restore", "-y")[1]["sets"] == 0


def test_a_set_that_was_thrown_away_stays_so_in_backups_and_restores(call, fetched, tmp_path):
    call(back_up, tmp_path / "old")
    call(back_up, tmp_path / "new")
    call(freeze_set, "base", "--delete", "-y")
    code, counts, _ = call(back_up, tmp_path / "new")
    assert (code, counts["sets"], counts["lost"]) == (0, 0, 0)
    assert call(back_up, tmp_path / "old", "--restore", "-y")[1]["sets"] == 0
    # frozen again on purpose, and then lost
    call(freeze_set, "base", fetched)
    call(back_up, tmp_path / "new")
    object_of().unlink()
    code, counts, _ = call(back_up, tmp_path / "new")
    assert (code, counts["sets"], counts["lost"]) == (3, 1, 1)
    assert call(back_up, tmp_path / "new", "--restore", "-y")[1]["sets"] == 1


def test_a_picture_that_a_set_names_may_leave_the_car(call, fetched, drive):
    call(edit_labels, "-q", "{}", "--delete", "-y")
    code, counts, _ = call(free_space, drive, "--until", "100%", "-y")
    assert (code, counts["freed"]) == (0, 10)


def test_two_sets_are_compared_by_picture_and_label(call, fetched, tmp_path):
    assert call(diff_sets, "base", fetched)[:2][0] == 0
    query = json.dumps({"label.label_direction": {"type": "term", "value": 0}})
    call(edit_labels, "-q", query, "--set", "comment=new", "-y")
    other = tmp_path / "other"
    call(search_and_download, "-p", other, "--limit", 8)
    code, diff, err = call(diff_sets, "base", other)
    changed = diff["labels_differ"]
    assert (code, diff["labels"], diff["only_first"], diff["only_second"]) == (3, [10, 8], 2, 0)
    assert diff["fields"] == {"comment": changed}
    assert changed > 0
    assert diff["same"] == 8 - changed
    assert all(img_id in err for img_id in diff["examples"]["only_first"])
    code, _, err = call(diff_sets, "nothing", other)
    assert (code, "base" in err) == (2, True)


def test_the_order_and_the_form_of_a_label_file_are_no_difference(call, fetched, tmp_path):
    labels = json.loads((fetched / "labels.json").read_text())
    backwards = dict(reversed(labels.items()))
    (tmp_path / "other.json").write_text(json.dumps(backwards, indent=2))
    code, diff, _ = call(diff_sets, fetched, tmp_path / "other.json")
    assert (code, diff["same"]) == (0, 10)
    (tmp_path / "other.json").write_text(json.dumps(labels).replace('"img_id"', '"img_di"', 1))
    assert call(diff_sets, fetched, tmp_path / "other.json")[0] == 2


@pytest.mark.parametrize("damaged_first", [False, True])
@pytest.mark.parametrize("damage", ["no fingerprint", "another id"])
def test_of_two_sets_the_file_with_the_fault_is_named(
    call, fetched, tmp_path, damage, damaged_first
):
    labels = json.loads((fetched / "labels.json").read_text())
    first, second = list(labels)[:2]
    if damage == "another id":
        labels[second]["img_id"] = first
    else:  # of a picture that only this set has
        second = "20300101T12-00-00-000000"
        labels[second] = labels[first] | {"img_id": second}
        del labels[second]["label_fingerprint"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "labels.json").write_text(json.dumps(labels))
    sets = [other, fetched] if damaged_first else [fetched, other]
    code, diff, err = call(diff_sets, *sets)
    assert (code, diff) == (2, None)
    assert str(other / "labels.json") in err
    assert second in err
    assert str(fetched) not in err


class Killed(BaseException):
    """The process is killed."""


CHANGES = {
    SqliteIndex: ("add_tombstones", "remove_tombstones"),
    LocalPictureStore: ("put_new_set", "put_set", "delete_set", "put_new", "back_up", "delete"),
}


def kill_at(patch, number):
    """Kill the process at its change of that number: before it, or after it."""
    made = []

    def killing(real):
        def change(*arguments, **options):
            made.append(real.__name__)
            place = len(made) - 1
            if number >= 0 and (place > number or (place == number and number % 2)):
                raise Killed
            result = real(*arguments, **options)
            if place == number:
                raise Killed
            return result

        return change

    for kind, names in CHANGES.items():
        for name in names:
            patch.setattr(kind, name, killing(getattr(kind, name)))
    return made


def run_and_kill(call, number, *arguments):
    """Run a script that is killed at a change; return all changes that it made."""
    with pytest.MonkeyPatch.context() as patch:
        made = kill_at(patch, number)
        with suppress(Killed):
            call(*arguments)
    return made


def killed_freezings(call, fetched, home, tmp_path):
    """Kill a freezing at each of its changes, yield, and let the next one complete it."""
    shutil.copytree(home, tmp_path / "home")
    for number in range(len(run_and_kill(call, -1, freeze_set, "base", fetched))):
        shutil.rmtree(home)
        shutil.copytree(tmp_path / "home", home)
        run_and_kill(call, number, freeze_set, "base", fetched)
        yield number
        assert call(freeze_set, "base", fetched)[0] == 0, number
        assert len(pictures_in_store()) == 10
        assert call(check_database)[0] == 0, number


def test_freezing_that_is_killed_is_completed_by_the_next(call, fetched, home, tmp_path):
    """Half of the pictures of an earlier freezing are lost, and put back."""
    call(edit_labels, "-q", "{}", "--delete", "-y")
    for key in sorted(pictures_in_store())[:5]:
        (path.database_folder() / key).unlink()
    assert len(list(killed_freezings(call, fetched, home, tmp_path))) >= 6


def test_replacing_a_damaged_set_that_is_killed_is_completed_by_the_next(
    call, fetched, home, tmp_path
):
    """The set is there all the time, and with it its pictures."""
    call(edit_labels, "-q", "{}", "--delete", "-y")
    object_of().write_bytes(object_of().read_bytes()[:-20])
    is_there = [object_of().exists() for _ in killed_freezings(call, fetched, home, tmp_path)]
    assert len(is_there) >= 2
    assert all(is_there)


@pytest.mark.parametrize("with_label", [True, False])
def test_throwing_away_that_is_killed_is_completed(call, fetched, home, tmp_path, with_label):
    """By the same command, or by a repair once the set itself has gone."""
    if not with_label:
        call(edit_labels, "-q", "{}", "--delete", "-y")
    shutil.copytree(home, tmp_path / "home")
    changes = len(run_and_kill(call, -1, freeze_set, "base", "--delete", "-y"))
    for number in [*range(3), *range(3, changes, 7)]:
        shutil.rmtree(home)
        shutil.copytree(tmp_path / "home", home)
        run_and_kill(call, number, freeze_set, "base", "--delete", "-y")
        call(freeze_set, "base", "--delete", "-y")
        for file in path.database_folder().rglob("*.jpg*"):
            os.utime(file, (0, 0))  # long ago
        for file in (path.database_folder() / "deleting").rglob("*"):
            os.utime(file, (0, 0))
        call(check_database, "--repair", "-y")
        assert call(show_database)[1]["sets"] == []
        assert len(pictures_in_store()) == (10 if with_label else 0), number
        assert call(check_database)[0] == 0, number
