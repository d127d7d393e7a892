"""Each kind of difference between labels, pictures and recordings: found, named and repaired."""

import json
import math
import os
import random
import shutil
import sys
import threading
import time
from types import SimpleNamespace

import pytest

import path
from get_data import (
    back_up,
    check_database,
    edit_labels,
    freeze_set,
    search_and_download,
    upload_data,
)
from get_data.commands import check_database as command
from get_data.database import check, delete, survey
from get_data.database.es_utils import settings as es_settings
from get_data.database.es_utils.label_index import ElasticsearchIndex
from get_data.database.interfaces import Replacement, Tombstone, picture_key
from get_data.database.local.label_index import SqliteIndex
from get_data.database.local.picture_store import LocalPictureStore
from get_data.database.s3_utils import settings as s3_settings
from get_data.database.s3_utils.picture_store import S3PictureStore
from get_data.database.survey import KINDS, Difference, open_survey
from get_data.labels import edits, ids, label_file
from tests.conftest import START, Database, document, picture, save
from tests.helpers import faults, folders, terminal
from tests.helpers.permissions import permissions_enforced

NOTHING = dict.fromkeys(KINDS, 0)
HARD_LEFT = json.dumps({"label.label_direction": {"type": "term", "value": 0}})
MOMENT = "2024-05-02T12:00:00.000000Z"
WAITS_S = check.pause_s


@pytest.fixture(autouse=True)
def _without_pause(monkeypatch):
    monkeypatch.setattr(check, "pause_s", lambda *_: 0.0)


@pytest.fixture
def settled(monkeypatch):
    """Everything in the database is older than any program at work."""
    monkeypatch.setattr(check, "SETTLED_S", -1.0)
    for module in (check, delete):
        monkeypatch.setattr(module, "OLD_BACKUP_S", -1.0)


@pytest.fixture(params=["local", pytest.param("team", marks=pytest.mark.servers)])
def base(request, home, monkeypatch):
    """An empty database of each kind, that the environment leads to."""
    if request.param == "local":
        yield Database(SqliteIndex(home / "database"), LocalPictureStore(home / "database"))
        return
    environment = request.getfixturevalue("reused_team_environment")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    index = ElasticsearchIndex(es_settings.from_environment(environment))
    store = S3PictureStore(s3_settings.from_environment(environment))
    store.check(writing=True)
    index.check(writing=True)
    yield Database(index, store)
    index.close()


@pytest.fixture
def local(home):
    """The database on this machine."""
    return Database(SqliteIndex(home / "database"), LocalPictureStore(home / "database"))


def key_of(label):
    return picture_key(label["img_id"], label["picture_sha256"])


def recorded(drive, number):
    return label_file.read(drive / label_file.NAME)[document(number)["img_id"]]


def flipped(content, bit):
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def tombstone(label, reason="deleted"):
    return Tombstone(
        label["label_fingerprint"], label["img_id"], key_of(label), reason, "Ada", MOMENT
    )


def move(label, base, number):
    """Give the label's picture a key as another tool might, and the label with it."""
    key = f"pictures/old/{number}.jpg"
    name = label["label_fingerprint"]
    stored = base.index.read([name])[name]
    base.store.put(key, base.store.get(key_of(label)))
    base.store.delete(key_of(label))
    base.index.replace([Replacement({**stored.document, "s3_key": key}, stored.version)])


PLANT = {
    "label_without_picture": lambda label, base, _: base.store.delete(key_of(label)),
    "picture_without_label": lambda label, base, _: base.index.remove([label["label_fingerprint"]]),
    "wrong_size": lambda label, base, number: base.store.put(
        key_of(label), picture(number)[: -1 - number % 50]
    ),
    "wrong_content": lambda label, base, number: base.store.put(
        key_of(label), flipped(picture(number), number * 7919 % (8 * len(picture(number))))
    ),
    "not_uploaded": None,
    "unfinished_deletion": lambda label, base, _: base.index.add_tombstones([tombstone(label)]),
    "leftover": lambda label, base, _: base.store.back_up(key_of(label), "killed"),
    "wrong_key": move,
}
# those of frozen sets are in tests/test_frozen_sets.py
PLANTED = [kind for kind in KINDS if kind not in ("set_without_picture", "damaged_set")]
INTACT = 8  # the remainder of the numbers whose labels stay as they are
MENDED_FROM_RECORDING = ("label_without_picture", "wrong_size", "wrong_content")


def kind_of(number):
    return PLANTED[number % 9] if number % 9 != INTACT else ""


def planted(base, call, tmp_path, each):
    """Upload a drive and damage `each` labels or pictures in each way; return the drive."""
    labels = {number: document(number) for number in range(9 * each)}
    uploaded = [label for number, label in labels.items() if kind_of(number) != "not_uploaded"]
    assert call(upload_data, save(tmp_path / "uploaded", uploaded))[0] == 0
    for number, label in labels.items():
        if plant := PLANT.get(kind_of(number)):
            plant(label, base, number)
    base.index.refresh()
    recorded = [
        label for number, label in labels.items() if kind_of(number) != "picture_without_label"
    ]
    return save(tmp_path / "drive", recorded)


def assert_mended(base, each):
    """Every label that nobody deleted is there with its picture, and nothing else is."""
    gone = ("picture_without_label", "unfinished_deletion")
    expected = {
        document(number)["label_fingerprint"]: number
        for number in range(9 * each)
        if kind_of(number) not in gone
    }
    labels = base.labels()
    assert labels.keys() == expected.keys()
    keys = {key_of(label): expected[name] for name, label in labels.items()}
    assert {label["s3_key"] for label in labels.values()} == keys.keys()
    assert {each.key for each in base.store.list_pictures()} == keys.keys()
    assert all(base.store.get(key) == picture(number) for key, number in keys.items())
    assert base.store.backup_copies() == {}


def test_what_searches_tell_is_looked_at_again_once_they_show_all():
    reader = SimpleNamespace(search_delay_s=7)
    with open_survey() as survey:
        survey.add([Difference("not_uploaded", "a", "f", "k")])
        shortest_s = WAITS_S(survey, reader)
        survey.add([Difference("picture_without_label", key="k")])
        assert WAITS_S(survey, reader) == shortest_s + 7


@pytest.mark.parametrize("each", [3, pytest.param(100, marks=pytest.mark.slow)])
def test_each_kind_is_found_and_repaired_and_a_second_run_is_clean(
    call, base, tmp_path, settled, each
):
    drive = planted(base, call, tmp_path, each)
    every = NOTHING | dict.fromkeys(PLANTED, each)
    before = base.labels(), {each.key: each.size for each in base.store.list_pictures()}

    code, counts, err = call(check_database, drive, "--read-data", "all")
    assert (code, counts["found"], counts["repaired"]) == (3, every, NOTHING), err
    assert (base.labels(), {each.key: each.size for each in base.store.list_pictures()}) == before

    planned = call(check_database, drive, "--read-data", "all", "--repair", "--dry-run")
    assert (planned[0], planned[1]["repaired"]) == (3, every)
    assert base.labels() == before[0]

    code, counts, err = call(check_database, drive, "--read-data", "all", "--repair", "-y")
    assert (code, counts["found"], counts["repaired"]) == (0, every, every), err
    assert_mended(base, each)

    for options in ([], ["--repair"]):
        code, counts, err = call(check_database, drive, "--read-data", "all", *options)
        assert (code, counts["found"], counts["temporary"]) == (0, NOTHING, 0), err
    assert counts["labels"] == counts["pictures"] == counts["read"] == 7 * each


def test_what_no_source_has_is_named_and_left(call, base, tmp_path, settled):
    planted(base, call, tmp_path, 3)
    code, counts, err = call(check_database, "--read-data", "100%", "--repair", "-y")
    left = dict.fromkeys(MENDED_FROM_RECORDING, 3)
    assert code == 3
    assert counts["found"] == NOTHING | dict.fromkeys(PLANTED, 3) | {"not_uploaded": 0}
    assert {kind: counts["found"][kind] - counts["repaired"][kind] for kind in left} == left
    for kind in left:
        for number in range(27):
            if kind_of(number) == kind:
                (line,) = [line for line in err.splitlines() if document(number)["img_id"] in line]
                assert "no intact copy" in line
                assert "--repair" in line
    again = call(check_database, "--read-data", "100%")[1]["found"]
    assert again == {**NOTHING, **left}


def test_old_backup_copies_mend_what_was_lost(call, base, tmp_path, settled):
    labels = [document(number) for number in range(12)]
    call(upload_data, save(tmp_path / "drive", labels))
    for number, label in enumerate(labels):
        base.store.back_up(key_of(label), "killed")
        if number % 3 == 0:
            base.store.delete(key_of(label))
        elif number % 3 == 1:
            base.store.put(key_of(label), flipped(picture(number), 99))
    code, counts, err = call(check_database, "--read-data", "all", "--repair", "-y")
    assert (code, counts["repaired"]) == (0, counts["found"]), err
    assert counts["found"]["label_without_picture"] == counts["found"]["wrong_content"] == 4
    assert [base.store.get(key_of(label)) for label in labels] == list(map(picture, range(12)))
    assert base.store.backup_copies() == {}


def test_a_folder_of_a_backup_mends_pictures(call, base, drive, tmp_path, settled):
    call(upload_data, drive)
    labels = [document(number) for number in range(10)]
    assert call(back_up, tmp_path / "backup")[0] == 0
    base.store.delete(key_of(labels[3]))
    base.store.put(key_of(labels[4]), b"")
    code, counts, err = call(check_database, tmp_path / "backup", "--repair")
    assert (code, counts["repaired"]["label_without_picture"]) == (0, 1), err
    assert counts["repaired"]["wrong_size"] == 1
    assert [base.store.get(key_of(label)) for label in labels] == list(map(picture, range(10)))


def test_flipped_bits_are_found_by_reading_and_only_by_that(call, base, tmp_path, settled):
    labels = [document(number) for number in range(120)]
    call(upload_data, save(tmp_path / "drive", labels))
    choice = random.Random(14)
    damaged = choice.sample(range(120), 100)
    for number in damaged:
        content = picture(number)
        bit = choice.randrange(8 * len(content))
        base.store.put(key_of(labels[number]), flipped(content, bit))
    code, counts, _ = call(check_database)
    assert (code, counts["read"], counts["found"]) == (0, 0, NOTHING)
    code, counts, err = call(check_database, "--read-data", "all")
    assert (code, counts["read"], counts["found"]["wrong_content"]) == (3, 120, 100)
    named = {
        line.split(": ")[1] for line in err.splitlines() if line.startswith("damaged picture:")
    }
    assert named >= {key_of(labels[number]) for number in damaged}
    assert call(check_database, "--read-data", "5%")[1]["read"] == math.ceil(120 * 0.05)


def test_a_wrong_size_in_a_label_is_corrected_there(call, base, drive, settled):
    call(upload_data, drive)
    label = recorded(drive, 4)
    name = label["label_fingerprint"]
    stored = base.index.read([name])[name]
    base.index.replace([Replacement({**stored.document, "picture_size": 7}, stored.version)])
    base.index.refresh()
    assert call(check_database)[1]["found"]["wrong_size"] == 1
    assert call(check_database, "--repair")[0] == 0
    assert base.labels()[name]["picture_size"] == len(picture(4))
    assert base.store.get(key_of(label)) == picture(4)


def test_a_picture_under_a_wrong_key_that_another_label_owns_stays(call, base, drive, settled):
    """Only the label moves, to the picture of its own hash, which comes from the recording."""
    call(upload_data, drive)
    first, second = recorded(drive, 1), recorded(drive, 2)
    name = first["label_fingerprint"]
    stored = base.index.read([name])[name]
    base.store.delete(key_of(first))
    changed = {**stored.document, "s3_key": key_of(second)}
    base.index.replace([Replacement(changed, stored.version)])
    base.index.refresh()
    code, counts, err = call(check_database, "--repair", "-y")
    assert (code, counts["found"]["wrong_key"], counts["repaired"]["wrong_key"]) == (3, 1, 0)
    assert first["img_id"] in err
    code, counts, err = call(check_database, drive, "--repair", "-y")
    assert (code, counts["repaired"]["wrong_key"]) == (0, 1), err
    assert base.store.get(key_of(first)) == picture(1)
    assert base.store.get(key_of(second)) == picture(2)
    assert call(check_database, drive)[0] == 0


def test_a_recording_that_was_deleted_or_corrected_is_not_missing(call, base, drive):
    call(upload_data, drive)
    call(edit_labels, "-q", HARD_LEFT, "--delete", "-y")
    base.index.refresh()
    code, counts, _ = call(check_database, drive)
    assert (code, counts["found"], counts["tombstones"]) == (0, NOTHING, 2)
    assert counts["temporary"] == 0


def test_a_picture_whose_label_cannot_be_uploaded_stays(call, local, drive, settled):
    call(upload_data, drive)
    label = recorded(drive, 4)
    local.index.remove([label["label_fingerprint"]])
    (drive / label["file_name"]).write_bytes(flipped(picture(4), 99))
    code, counts, err = call(check_database, drive, "--repair", "-y")
    assert (code, counts["repaired"]) == (3, NOTHING)
    assert "SHA-256" in err
    assert local.store.get(key_of(label)) == picture(4)


def test_only_an_intact_copy_takes_the_place_of_a_lost_picture(call, base, drive, settled):
    call(upload_data, drive)
    for number, content in ((3, b""), (4, flipped(picture(4), 99)), (5, picture(6))):
        label = recorded(drive, number)
        base.store.delete(key_of(label))
        (drive / label["file_name"]).write_bytes(content)
    code, counts, _ = call(check_database, drive, "--repair")
    assert (code, counts["found"]["label_without_picture"]) == (3, 3)
    assert (counts["repaired"], len(base.pictures())) == (NOTHING, 7)


@pytest.mark.parametrize(
    "key",
    ["", "x.jpg", "../../etc/passwd", "index.sqlite", "pictures/a\nb", f"pictures/{'x' * 9999}"],
)
def test_a_label_may_name_anything(call, base, drive, settled, key):
    call(upload_data, drive)
    label = recorded(drive, 4)
    name = label["label_fingerprint"]
    stored = base.index.read([name])[name]
    base.index.replace([Replacement({**stored.document, "s3_key": key}, stored.version)])
    base.index.refresh()
    code, counts, err = call(check_database, drive)
    assert (code, counts["found"]["wrong_key"]) == (3, 1)
    assert all(character.isprintable() for line in err.split("\n") for character in line)
    code, counts, err = call(check_database, drive, "--repair", "-y")
    assert (code, counts["repaired"]["wrong_key"]) == (0, 1), err
    assert base.labels()[name]["s3_key"] == key_of(label)
    assert base.store.get(key_of(label)) == picture(4)


def test_a_label_keeps_its_wrong_key_if_others_have_another_picture_of_its_id(
    call, local, drive, settled
):
    call(upload_data, drive)
    label = recorded(drive, 4)
    name = label["label_fingerprint"]
    stored = local.index.read([name])[name]
    other = picture(99)
    key = picture_key(label["img_id"], ids.sha256(other))
    local.store.put_new("pictures/old/4.jpg", other)
    changed = {
        **stored.document,
        "s3_key": "pictures/old/4.jpg",
        "picture_sha256": ids.sha256(other),
        "picture_size": len(other),
    }
    local.index.replace([Replacement(changed, stored.version)])
    second = edits.corrected(label, created_by="Ada", direction=1, speed=1, created_on=START)
    local.index.create(
        [
            edits.uploaded(
                second, picture=picture(4), bucket="local", key=key_of(label), upload_time=START
            )
        ]
    )
    code, counts, err = call(check_database, "--repair", "-y")
    assert (code, counts["found"]) == (3, {**NOTHING, "wrong_key": 1})
    assert "another picture" in err
    assert local.store.sizes([key, key_of(label)]) == {key_of(label): len(picture(4))}


def test_half_written_files_alone_are_removed(call, local, drive, home):
    call(upload_data, drive)
    file = home / "database" / "incoming" / f".{'0a' * 16}.tmp"
    file.write_bytes(b"half")
    assert call(check_database, "--repair", "-y")[1]["repaired"]["leftover"] == 1
    assert not file.exists()


def test_a_label_that_two_recordings_have_is_missing_once(call, local, drive, tmp_path):
    shutil.copytree(drive, tmp_path / "copy")
    code, counts, _ = call(check_database, drive, tmp_path / "copy")
    assert (code, counts["found"]["not_uploaded"]) == (3, 10)
    code, counts, _ = call(check_database, drive, tmp_path / "copy", "--repair")
    assert (code, counts["repaired"]["not_uploaded"], len(local.pictures())) == (0, 10, 10)


# What other programs do meanwhile


def meanwhile(monkeypatch, base, act):
    """Call `act` once the labels were listed, before the pictures are."""
    kind = type(base.store)
    listed = kind.list_pictures

    def list_pictures(self):
        act()
        yield from listed(self)

    monkeypatch.setattr(kind, "list_pictures", list_pictures)


def test_an_upload_beside_the_check_is_no_difference(call, base, tmp_path, monkeypatch, settled):
    call(upload_data, save(tmp_path / "one", [document(number) for number in range(10)]))
    other = save(tmp_path / "two", [document(number) for number in range(10, 20)])
    meanwhile(monkeypatch, base, lambda: upload_data.main([str(other)]))
    code = check_database.main(["--repair", "-y"])
    assert code == 0
    assert len(base.labels()) == len(base.pictures()) == 20


def test_a_deletion_beside_the_check_is_no_difference(call, base, drive, monkeypatch, capsys):
    call(upload_data, drive)
    meanwhile(monkeypatch, base, lambda: edit_labels.main(["-q", HARD_LEFT, "--delete", "-y"]))
    assert check_database.main([]) == 0
    counts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (counts["found"], counts["temporary"]) == (NOTHING, 2)


def test_what_is_repaired_between_two_looks_is_no_difference(call, base, drive, monkeypatch):
    def upload(_seconds):
        assert upload_data.main([str(drive)]) == 0

    monkeypatch.setattr(command, "time", SimpleNamespace(sleep=upload))
    code = check_database.main([str(drive)])
    assert (code, len(base.labels())) == (0, 10)


def test_pictures_of_an_upload_at_work_are_left_to_it(call, base, drive):
    """It stores pictures before labels; a killed upload looks the same for an hour."""
    call(upload_data, drive)
    names = [recorded(drive, number)["label_fingerprint"] for number in range(3)]
    base.index.remove(names)
    base.index.refresh()
    code, counts, err = call(check_database, "--repair", "-y")
    assert (code, counts["found"], counts["temporary"]) == (0, NOTHING, 3)
    assert "at work" in err
    assert len(list(base.store.list_pictures())) == 10


def test_pictures_that_a_deletion_at_work_holds_are_left_to_it(call, base, drive):
    call(upload_data, drive)
    base.store.back_up(key_of(document(3)), "at work")
    base.store.delete(key_of(document(3)))
    code, counts, _ = call(check_database, drive, "--repair", "-y")
    assert (code, counts["found"], counts["temporary"]) == (0, NOTHING, 1)
    assert len(base.store.backup_copies()) == 1


def test_a_label_created_before_the_picture_goes_keeps_it(call, local, drive, monkeypatch, settled):
    """The upload of a picture that was without label for long comes between look and removal."""
    call(upload_data, drive)
    label = recorded(drive, 4)
    name = label["label_fingerprint"]
    stored = local.index.read([name])[name].document
    local.index.remove([name])
    real = LocalPictureStore.back_up

    def back_up(self, key, run):
        local.index.create([stored])
        return real(self, key, run)

    monkeypatch.setattr(LocalPictureStore, "back_up", back_up)
    code, counts, err = call(check_database, "--repair", "-y")
    assert (code, counts["found"]["picture_without_label"]) == (0, 1), err
    assert local.store.get(key_of(label)) == picture(4)
    assert name in local.labels()


def test_real_ages_tell_what_is_left(call, local, drive, home):
    call(upload_data, drive)
    label = recorded(drive, 4)
    local.store.back_up(key_of(document(5)), "killed")
    local.index.remove([label["label_fingerprint"]])
    incoming = home / "database" / "incoming"
    (incoming / f".{'0a' * 16}.tmp").write_bytes(b"half")
    assert call(check_database)[1]["found"] == {**NOTHING, "leftover": 1}
    for file in (home / "database").rglob("*"):
        if file.is_file() and file.suffix != ".sqlite":
            moment = file.stat().st_mtime - 4000
            os.utime(file, (moment, moment))
    expected = {**NOTHING, "leftover": 2, "picture_without_label": 1}
    assert call(check_database)[1]["found"] == expected
    assert call(check_database, "--repair", "-y")[0] == 0
    assert list(incoming.iterdir()) == []
    assert len(list(local.store.list_pictures())) == 9


class Killed(BaseException):
    """The process is killed."""


CHANGES = {
    SqliteIndex: ("create", "add_tombstones", "remove", "replace"),
    LocalPictureStore: ("put", "put_new", "back_up", "delete", "make_durable"),
}


def kill_at(monkeypatch, number):
    """Kill the process before its change of that number, or after it; return all changes."""
    made, lock = [], threading.Lock()

    def killing(real):
        def change(*arguments, **options):
            with lock:
                place = len(made)
                made.append(real.__name__)
            if number >= 0 and (place > number or (place == number and number % 2)):
                raise Killed
            result = real(*arguments, **options)
            if place == number:
                raise Killed
            return result

        return change

    for kind, names in CHANGES.items():
        for name in names:
            monkeypatch.setattr(kind, name, killing(getattr(kind, name)))
    return made


@pytest.mark.slow
def test_a_repair_that_is_killed_is_completed_by_the_next(call, local, home, tmp_path, settled):
    drive = planted(local, call, tmp_path, 2)
    shutil.copytree(home, tmp_path / "home")
    arguments = [str(drive), "--read-data", "all", "--repair", "-y"]
    with pytest.MonkeyPatch.context() as patch:
        made = kill_at(patch, -1)
        call(check_database, *arguments)
    changes = len(made)
    assert {"create", "remove", "replace", "put", "put_new", "back_up", "delete"} <= set(made)
    intact = [document(number) for number in range(18) if kind_of(number) == ""]
    for number in range(1, changes, max(1, changes // 25)):
        shutil.rmtree(home)
        shutil.copytree(tmp_path / "home", home)
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, number)
            with pytest.raises(Killed):
                check_database.main(arguments)
        assert {key_of(label) for label in intact} <= local.pictures().keys()
        code, _, err = call(check_database, *arguments)
        assert code == 0, f"killed at {number}: {err}"
        assert_mended(local, 2)


# Questions, rights, bad input


def test_nothing_is_deleted_without_an_answer(call, local, drive, home, settled):
    call(upload_data, drive)
    local.index.remove([recorded(drive, 4)["label_fingerprint"]])
    local.store.delete(key_of(document(5)))
    before = folders.snapshot(home / "database")
    code, counts, err = call(check_database, "--repair")
    assert (code, counts) == (1, None)
    assert "1 picture" in err
    assert folders.snapshot(home / "database") == before


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code", "left"), [("n", 1, 1), ("y", 0, 0)])
def test_the_question_names_the_database_and_what_goes(
    call, local, drive, home, answer, code, left
):
    call(upload_data, drive)
    local.index.remove([recorded(drive, 4)["label_fingerprint"]])
    file = home / "database" / key_of(document(4))
    os.utime(file, (1e9, 1e9))
    script = path.ROOT / "get_data" / "check_database.py"
    ended, shown = terminal.run([sys.executable, script, "--repair"], typed=f"{answer}\n")
    assert (ended, file.exists()) == (code, bool(left))
    assert str(home / "database") in shown
    assert "1 picture" in shown


def test_a_picture_whose_label_only_a_recording_has_is_not_deleted(call, local, drive, settled):
    call(upload_data, drive)
    local.index.remove([recorded(drive, 4)["label_fingerprint"]])
    code, counts, err = call(check_database, drive, "--repair")
    assert (code, counts["repaired"]) == (0, counts["found"]), err
    assert counts["found"]["picture_without_label"] == counts["found"]["not_uploaded"] == 1
    assert len(local.labels()) == len(local.pictures()) == 10


@pytest.mark.servers
def test_a_searcher_checks_and_may_not_repair(
    call, team_environment, elasticsearch_8, s3, drive, monkeypatch
):
    for name, value in team_environment.items():
        monkeypatch.setenv(name, value)
    call(upload_data, drive)
    index, bucket = team_environment["PATATE_ES_INDEX"], team_environment["PATATE_S3_BUCKET"]
    searcher = {
        **elasticsearch_8.environment(index, elasticsearch_8.searcher),
        **s3.environment(bucket, s3.searcher),
    }
    for name, value in searcher.items():
        monkeypatch.setenv(name, value)
    code, counts, err = call(check_database, drive, "--read-data", "all")
    assert (code, counts["found"], counts["read"]) == (0, NOTHING, 10), err
    code, counts, err = call(check_database, drive, "--repair")
    assert (code, counts) == (1, None)
    assert err.count("error: ") == 1


def test_a_reader_of_a_local_database_checks_it_and_changes_nothing(call, drive, home):
    call(upload_data, drive)
    before = folders.snapshot(home)
    database = home / "database"
    kept = {folder: folder.stat().st_mode for folder in [database, *database.rglob("*")]}
    try:
        for place in kept:
            place.chmod(0o555)
        with permissions_enforced():
            assert call(check_database, drive)[0] == 0
    finally:
        for place, mode in kept.items():
            place.chmod(mode)
    assert folders.snapshot(home) == before


WRONG = [
    ["--read-data", "0%"],
    ["--read-data", "abc"],
    ["--read-data", "101%"],
    ["--read-data", "-1%"],
    ["--read-data", "nan%"],
    ["--read-data", ""],
    ["-y"],
    ["--dry-run"],
    [""],
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_usage_is_one_line(arguments, capsys, home):
    with pytest.raises(SystemExit) as ended:
        check_database.main(arguments)
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert list(home.iterdir()) == []


def test_bad_folders_are_one_line_and_nothing_is_changed(call, drive, home, tmp_path):
    call(upload_data, drive)
    before = folders.snapshot(home)
    (tmp_path / "empty").mkdir()
    for folder in ("missing", "empty"):
        code, counts, err = call(check_database, drive, tmp_path / folder, "--repair", "-y")
        assert (code, counts) == (2, None)
        assert [line for line in err.splitlines() if line.startswith("error: ")]
        assert folder in err
    assert folders.snapshot(home) == before


def test_a_file_of_corrections_is_no_recording(call, drive, tmp_path):
    call(upload_data, drive)
    labels = label_file.read(drive / label_file.NAME)
    first = next(iter(labels.values()))
    label_file.write(tmp_path / "x.json", {first["img_id"]: {**first, "to_delete": True}})
    assert call(check_database, tmp_path / "x.json")[0] == 2


def test_a_server_that_is_down_is_one_line(call, drive, monkeypatch):
    monkeypatch.setenv("PATATE_ES_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("PATATE_S3_BUCKET", "pictures")
    monkeypatch.setenv("PATATE_S3_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("PATATE_S3_KEY_ID", "key")
    monkeypatch.setenv("PATATE_S3_KEY", "secret")
    monkeypatch.setattr("common.retry.FIRST_CONTACT_TIMEOUT_S", 0.0)
    code, counts, err = call(check_database, drive)
    assert (code, counts) == (1, None), err
    assert err.count("error: ") == 1


def test_a_full_disk_is_one_line_and_changes_nothing(call, drive, home, monkeypatch):
    call(upload_data, drive)
    before = folders.snapshot(home)
    monkeypatch.setattr(survey, "_CACHE_KIB", 8)  # what does not fit goes into the file
    with faults.files_up_to(40_000):
        code, counts, err = call(check_database, drive, "--repair", "-y")
    assert (code, counts) == (1, None)
    assert "TMPDIR" in err
    assert folders.snapshot(home) == before


def test_a_disk_that_fills_up_while_pictures_are_put_back_is_one_line(
    call, local, drive, settled, tmp_path
):
    call(upload_data, drive)
    for number in range(3):
        local.store.delete(key_of(document(number)))
    shutil.copytree(drive, tmp_path / "copy")
    real = LocalPictureStore._incoming_file
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalPictureStore, "_incoming_file", _full_disk(real))
        code, counts, err = call(check_database, drive, "--repair")
    assert (code, counts) == (1, None)
    assert err.count("error: ") == 1
    assert call(check_database, drive, "--repair")[0] == 0


def _full_disk(_real):
    def fail(self, picture, path):
        raise OSError(28, os.strerror(28), str(path))

    return fail


def test_an_empty_database_is_in_order(call, home):
    code, counts, _ = call(check_database)
    assert (code, counts["found"], counts["labels"]) == (0, NOTHING, 0)
    assert list(home.iterdir()) == []


def test_a_checked_database_answers_searches(call, base, tmp_path, settled):
    drive = planted(base, call, tmp_path, 2)
    call(check_database, drive, "--read-data", "all", "--repair", "-y")
    code, counts, _ = call(search_and_download, "-p", tmp_path / "found")
    assert (code, counts["fetched"]) == (0, 14)


class TestWhatMustNotBeDeleted:
    """A repair never takes the last intact copy of a picture that a label describes."""

    pytestmark = pytest.mark.usefixtures("settled")

    def test_labels_that_only_a_backup_has_are_named_and_keep_their_pictures(
        self, call, local, tmp_path
    ):
        labels = [document(number) for number in range(4)]
        call(upload_data, save(tmp_path / "drive", labels))
        call(back_up, tmp_path / "backup")
        local.index.remove([labels[0]["label_fingerprint"], labels[1]["label_fingerprint"]])
        local.store.delete(key_of(labels[1]))
        code, counts, err = call(check_database, tmp_path / "backup", "--repair", "-y")
        assert (code, counts["found"]["not_uploaded"]) == (3, 2), err
        assert "--restore" in err
        assert local.store.sizes([key_of(labels[0])])
        assert call(back_up, tmp_path / "backup", "--restore", "-y")[0] == 0
        assert call(check_database, tmp_path / "backup")[0] == 0
        assert len(local.labels()) == 4

    @pytest.mark.parametrize("target", [".", "20240501"])
    def test_a_folder_that_is_also_reached_by_a_link_is_listed_once(
        self, call, local, home, tmp_path, target
    ):
        labels = [document(number) for number in range(3)]
        call(upload_data, save(tmp_path / "drive", labels))
        (home / "database" / "pictures" / "latest").symlink_to(target)
        code, counts, err = call(check_database, "--repair", "-y")
        assert (code, counts["pictures"]) == (0, 3), err
        assert len(local.pictures()) == 3

    def test_a_freed_picture_of_a_label_without_a_hash_stays(self, call, local, tmp_path):
        label = document(0)
        del label["picture_sha256"], label["picture_size"]
        drive = save(tmp_path / "drive", [label])
        call(upload_data, drive)
        (drive / label["file_name"]).unlink()
        local.index.remove([label["label_fingerprint"]])
        code, counts, err = call(check_database, drive, "--repair", "-y")
        assert (code, counts["found"]["picture_without_label"]) == (3, 1), err
        assert len(list(local.store.list_pictures())) == 1

    def test_the_picture_of_another_id_is_not_taken_for_that_of_a_label_without_a_hash(
        self, call, local, tmp_path
    ):
        labels = [document(number) for number in range(2)]
        call(upload_data, save(tmp_path / "drive", labels))
        name = labels[0]["label_fingerprint"]
        stored = local.index.read([name])[name]
        wrong = {**stored.document, "s3_key": key_of(labels[1])}
        del wrong["picture_sha256"], wrong["picture_size"]
        local.index.replace([Replacement(wrong, stored.version)])
        call(check_database, tmp_path / "drive", "--repair", "-y")
        assert local.index.read([name])[name].document.get("s3_key") in (
            key_of(labels[0]),
            key_of(labels[1]),
        )
        assert local.store.get(key_of(labels[1])) == picture(1)

    def test_a_replaced_label_without_its_correction_stays(self, call, local, tmp_path):
        label = document(0)
        call(upload_data, save(tmp_path / "drive", [label]))
        local.index.add_tombstones([tombstone(label, reason="replaced")])
        code, counts, err = call(check_database, "--repair", "-y")
        assert (code, counts["found"]["unfinished_deletion"]) == (3, 1)
        assert "correction" in err
        assert local.labels().keys() == {label["label_fingerprint"]}


def test_a_picture_from_the_future_is_no_upload_at_work(call, local, home, tmp_path):
    """As one stored while the clock was ahead."""
    label = document(0)
    call(upload_data, save(tmp_path / "drive", [label]))
    local.index.remove([label["label_fingerprint"]])
    ahead_s = time.time() + 10 * check.SETTLED_S
    os.utime(home / "database" / key_of(label), (ahead_s, ahead_s))
    code, counts, _ = call(check_database)
    assert (code, counts["found"]["picture_without_label"]) == (3, 1)


def test_a_wrong_size_is_corrected_without_a_hash_in_the_label(call, local, tmp_path, settled):
    label = document(0)
    call(upload_data, save(tmp_path / "drive", [label]))
    name = label["label_fingerprint"]
    stored = local.index.read([name])[name]
    wrong = {**stored.document, "picture_size": 1}
    del wrong["picture_sha256"]
    local.index.replace([Replacement(wrong, stored.version)])
    code, counts, err = call(check_database, tmp_path / "drive", "--repair", "-y")
    assert (code, counts["repaired"]["wrong_size"]) == (0, 1), err
    assert local.labels()[name]["picture_size"] == len(picture(0))


def test_a_folder_of_both_a_backup_and_labels_is_refused(call, local, tmp_path):
    drive = save(tmp_path / "drive", [document(0)])
    call(upload_data, drive)
    call(back_up, tmp_path / "backup")
    for file in (tmp_path / "backup").glob("*.*"):
        shutil.copy(file, drive)
    assert call(check_database, drive)[0] == 2
    (drive / "backup.json").write_bytes(b"")
    assert call(check_database, drive)[0] == 2


def test_files_that_no_upload_has_named_are_never_deleted(call, base, tmp_path, settled):
    """As a recording that somebody has put below the pictures of the database."""
    assert call(upload_data, save(tmp_path / "drive", [document(0)]))[0] == 0
    folder = save(tmp_path / "other", [document(1)])
    names = ("pictures/monday/", "pictures/20240501/")
    files = {f"{name}{file.name}": file.read_bytes() for name in names for file in folder.iterdir()}
    for key, content in files.items():
        base.store.put(key, content)
    before = {each.key: each.size for each in base.store.list_pictures()}
    assert call(check_database, "--repair", "--dry-run")[1]["repaired"] == NOTHING
    code, counts, err = call(check_database, "--repair", "-y")
    assert (code, counts["found"]["picture_without_label"]) == (3, len(files)), err
    assert counts["repaired"] == NOTHING
    assert {each.key: each.size for each in base.store.list_pictures()} == before


def test_a_damaged_set_hides_no_other_difference(call, base, tmp_path, settled):
    """Which pictures it names is unknown then."""
    assert call(upload_data, save(tmp_path / "drive", [document(n) for n in range(3)]))[0] == 0
    assert call(search_and_download, "-p", tmp_path / "set")[0] == 0
    assert call(freeze_set, "base", tmp_path / "set")[0] == 0
    (stored,) = base.store.list_sets()
    base.store.put_set(stored.path, b"")
    base.store.put(picture_key("20240501T12-00-00-000000", ids.sha256(b"alone")), b"alone")
    code, counts, err = call(check_database)
    expected = NOTHING | {"damaged_set": 1, "picture_without_label": 1}
    assert (code, counts and counts["found"]) == (3, expected), err
    assert call(check_database, "--repair", "-y")[0] == 1  # nothing is deleted meanwhile
    assert len(list(base.store.list_pictures())) == 4
