"""Labels that a file amends in the database: counted, asked about, and never undone unnoticed."""

import getpass
import json
import sqlite3
from contextlib import closing

import pytest

from get_data import edit_labels, search_and_download, upload_data, upload_to_db
from get_data.database.local.documents import FILE_NAME
from get_data.labels import edits, label_file
from tests.conftest import START, document, save


@pytest.fixture(params=["local", pytest.param("team", marks=pytest.mark.servers)])
def drive(request, call, tmp_path, home, monkeypatch):
    """The folder of an uploaded drive of three pictures; each kind of database has it."""
    if request.param == "team":
        for name, value in request.getfixturevalue("reused_team_environment").items():
            monkeypatch.setenv(name, value)
    folder = save(tmp_path / "drive", [document(number) for number in range(3)])
    assert call(upload_data, folder)[0] == 0
    return folder


def fetch(call, folder):
    """Fetch all labels, newest of each picture; return the file's folder."""
    code, _, err = call(search_and_download, "-p", folder)
    assert code == 0, err
    return folder


def labels_of(folder):
    return label_file.read(folder / label_file.NAME)


def change(folder, numbers=range(3), **values):
    """Set values in the label file of a folder."""
    labels = labels_of(folder)
    for number in numbers:
        labels[document(number)["img_id"]] |= values
    label_file.write(folder / label_file.NAME, labels)
    return folder


def relabelled(folder, number=0, by="Bob"):
    """Make the file one that corrects one label."""
    old = labels_of(folder)[document(number)["img_id"]]
    new = edits.corrected(old, created_by=by, direction=4, speed=1, created_on=START)
    label_file.write(folder / label_file.NAME, {new["img_id"]: new})
    return folder


def tracks(call, folder):
    return [label.get("track") for label in labels_of(fetch(call, folder)).values()]


def test_a_wrong_track_is_amended_after_a_question(call, tmp_path, drive):
    file = change(fetch(call, tmp_path / "ada"), [0, 1], track="park", weather="rain")
    code, counts, err = call(upload_to_db, file)
    assert (code, counts) == (1, None)
    assert "track: 2" in err
    assert "weather: 2" in err
    code, counts, _ = call(upload_to_db, file, "--dry-run")
    assert (code, counts["amended"], counts["there"]) == (0, 2, 3)
    assert "park" not in tracks(call, tmp_path / "before")
    code, counts, _ = call(upload_to_db, file, "-y")
    assert (code, counts["amended"], counts["created"], counts["pictures_sent"]) == (0, 2, 0, 0)
    assert tracks(call, tmp_path / "after") == ["park", "park", document(2)["track"]]
    amended, _, other = labels_of(tmp_path / "after").values()
    assert (amended["amended_by"], amended["weather"]) == (getpass.getuser(), "rain")
    assert not other.get("amended_by")
    assert amended["s3_key"] == labels_of(file)[amended["img_id"]]["s3_key"]
    code, counts, _ = call(upload_to_db, file)
    assert (code, counts["amended"], counts["there"]) == (0, 0, 3)


def test_a_file_that_changes_nothing_is_applied(call, drive):
    code, counts, _ = call(upload_to_db, drive)
    assert (code, counts["there"]) == (0, 3)


def test_an_upload_only_says_what_differs(call, tmp_path, drive):
    file = change(drive, [0, 1], track="park", comment="rain")
    code, counts, err = call(upload_data, file)
    assert (code, counts["differing"], counts["created"]) == (0, 2, 0)
    assert "track" in err
    assert "comment" in err
    assert "upload_to_db.py" in err
    assert "park" not in tracks(call, tmp_path / "found")


def test_an_upload_of_what_is_there_differs_in_nothing(call, drive):
    code, counts, err = call(upload_data, drive)
    assert (code, counts["differing"]) == (0, 0)
    assert "differ" not in err


def test_an_upload_of_what_was_amended_since_does_not_advise_to_undo_it(call, tmp_path, drive):
    call(upload_to_db, change(fetch(call, tmp_path / "ada"), [0], track="park"), "-y")
    code, counts, err = call(upload_data, drive)
    assert (code, counts["differing"]) == (0, 1)
    assert "upload_to_db.py" not in err
    assert tracks(call, tmp_path / "found")[0] == "park"


@pytest.mark.parametrize("name", ["comment", "amended_by", "transformation", "car_setting"])
def test_a_file_that_lacks_a_declared_field_keeps_the_stored_one(call, tmp_path, drive, name):
    stored = {"comment": "rain", "transformation": ["flip"], "car_setting": {"a": 1}}
    call(upload_to_db, change(fetch(call, tmp_path / "ada"), **stored, extra=1), "-y")
    file = change(fetch(call, tmp_path / "older"), [0], track="park")
    labels = labels_of(file)
    del labels[document(0)["img_id"]]["extra"]
    for label in labels.values():
        del label[name]
    label_file.write(file / label_file.NAME, labels)
    code, counts, _ = call(upload_to_db, file, "-y")
    assert (code, counts["amended"]) == (0, 1)
    found = next(iter(labels_of(fetch(call, tmp_path / "found")).values()))
    assert found["track"] == "park"
    assert found["amended_by"]
    assert {key: found[key] for key in stored} == stored
    assert "extra" not in found


def test_a_recording_amends_a_label_that_nobody_amended(call, tmp_path, drive):
    code, counts, _ = call(upload_to_db, change(drive, track="park"), "-y")
    assert (code, counts["amended"]) == (0, 3)
    assert tracks(call, tmp_path / "found") == ["park"] * 3


def test_an_older_file_does_not_undo_an_amendment(call, tmp_path, drive):
    """Not even with -y: a file has every label of its folder, also those left as they were."""
    old = change(fetch(call, tmp_path / "old"), comment="mine")
    call(upload_to_db, change(fetch(call, tmp_path / "ada"), [0, 1], track="park"), "-y")
    for options in (["--skip-overtaken", "-y"], ["-y"]):
        code, _, err = call(upload_to_db, old, *options)
        assert code == 0
        assert f"meanwhile by {getpass.getuser()}: 2 pictures" in err
    assert tracks(call, tmp_path / "found") == ["park", "park", document(2)["track"]]
    found = labels_of(tmp_path / "found").values()
    assert [label.get("comment", "") for label in found] == ["", "", "mine"]


def test_a_new_correction_has_not_been_amended(call, tmp_path, drive):
    call(upload_to_db, change(fetch(call, tmp_path / "ada"), [0], track="park"), "-y")
    call(upload_to_db, relabelled(fetch(call, tmp_path / "bob")), "-y")
    corrected = next(iter(labels_of(fetch(call, tmp_path / "found")).values()))
    assert (corrected["track"], corrected["label"]["created_by"]) == ("park", "Bob")
    assert not corrected.get("amended_by")


@pytest.mark.parametrize("damage", [{"label": None}, {"timestamp": 5}, {"label": {}}], ids=str)
def test_a_stored_label_that_is_not_valid_stops_no_upload(call, tmp_path, home, damage):
    folder = save(tmp_path / "drive", [document(number) for number in range(3)])
    call(upload_data, folder)
    with closing(sqlite3.connect(home / "database" / FILE_NAME)) as database, database:
        number, content = database.execute("SELECT id, document FROM labels").fetchone()
        content = json.dumps(json.loads(content) | damage).encode()
        database.execute("UPDATE labels SET document = ? WHERE id = ?", (content, number))
    code, counts, _ = call(upload_data, folder)
    assert (code, counts["there"]) == (0, 3)
    code, counts, _ = call(upload_to_db, change(folder, track="park"), "-y")
    assert (code, counts["amended"]) == (0, 2)
    code, counts, err = call(edit_labels, "-q", "{}", "--set", "track=school", "-y")
    assert (code, counts["amended"], counts["failed"]) == (3, 2, 1)
    assert "not valid" in err


def test_a_correction_made_before_an_amendment_is_told(call, tmp_path, drive):
    bob = relabelled(fetch(call, tmp_path / "bob"))
    call(upload_to_db, change(fetch(call, tmp_path / "ada"), [0], track="park"), "-y")
    code, counts, _ = call(upload_to_db, bob, "-y", "--skip-overtaken")
    assert (code, counts["created"], counts["replaced"]) == (0, 0, 0)
    assert tracks(call, tmp_path / "skipped")[0] == "park"
    assert "meanwhile" in call(upload_to_db, bob)[2]
    code, counts, _ = call(upload_to_db, bob, "-y")
    assert (code, counts["created"], counts["replaced"]) == (0, 1, 1)


def test_a_correction_made_after_an_amendment_keeps_it(call, tmp_path, drive):
    call(upload_to_db, change(fetch(call, tmp_path / "ada"), [0], track="park"), "-y")
    bob = relabelled(fetch(call, tmp_path / "bob"))
    code, counts, err = call(upload_to_db, bob, "-y")
    assert (code, counts["replaced"], counts["amended"]) == (0, 1, 0)
    assert "meanwhile" not in err
    assert tracks(call, tmp_path / "found")[0] == "park"


def test_a_deleted_label_is_not_amended(call, tmp_path, drive):
    file = change(fetch(call, tmp_path / "ada"), track="park")
    call(upload_to_db, change(fetch(call, tmp_path / "bob"), [0], to_delete=True), "-y")
    code, counts, _ = call(upload_to_db, file, "-y")
    assert (code, counts["amended"], counts["gone"]) == (0, 2, 1)
    assert tracks(call, tmp_path / "found") == ["park"] * 2


@pytest.mark.parametrize(
    "values",
    [{"upload_date": ""}, {"s3_bucket": "elsewhere"}, {"transformation": []}, {"raw": "true"}],
    ids=str,
)
def test_what_an_upload_sets_or_a_default_is_no_difference(call, tmp_path, drive, values):
    file = change(fetch(call, tmp_path / "ada"), **values)
    code, counts, _ = call(upload_to_db, file)
    assert (code, counts["amended"], counts["there"]) == (0, 0, 3)


def test_a_finer_correction_by_the_same_person_is_an_amendment(call, tmp_path, drive):
    call(upload_to_db, relabelled(fetch(call, tmp_path / "bob")), "-y")
    again = fetch(call, tmp_path / "again")
    labels = labels_of(again)
    label = labels[document(0)["img_id"]]
    label["label"]["remark"] = "finer"
    label_file.write(again / label_file.NAME, labels)
    code, counts, err = call(upload_to_db, again, "-y")
    assert (code, counts["amended"], counts["created"]) == (0, 1, 0)
    assert "label.remark: 1" in err
