"""`export_set.py`: what every format holds, what is refused, and that nothing else changes."""

import json
import sys
import tarfile
from datetime import timedelta
from errno import EXDEV

import numpy as np
import pytest

from get_data import export_set, free_space
from get_data.labels import ids, label_file
from get_data.labels.constants import NOBODY
from get_data.labels.values import steering_of, throttle_of
from get_data.sets.exporting import webdataset
from tests.conftest import START, document, picture, save
from tests.exporting.conftest import FORMATS, PICTURES, drive_labels
from tests.exporting.plain_readers import Row, lerobot_rows, read, records
from tests.helpers import faults
from tests.helpers.folders import snapshot
from tests.helpers.permissions import permissions_enforced

SPLITS = "train", "val", "test"


def rows_of(labels):
    """The rows that an export of these labels has, without parts and episodes."""
    return [
        Row(label["picture_sha256"], steering_of(label), throttle_of(label), "") for label in labels
    ]


def values(rows, name):
    """Rows without part and episode, with the precision of the format."""
    kind = np.float32 if name == "lerobot" else float
    return [(row.sha256, kind(row.steering), kind(row.throttle)) for row in rows]


def left_beside(out):
    """Return what an export has left beside its folder."""
    return [file.name for file in out.parent.iterdir() if file.name.startswith(".out")]


@pytest.mark.parametrize("name", FORMATS)
def test_every_picture_is_there_with_its_bytes_and_corrected_values(export, recorded, name):
    before = snapshot(recorded)
    code, found, err, out = export(recorded, name)
    assert code == 0
    assert found == {
        "exported": PICTURES,
        "deleted": 0,
        "unlabelled": 0,
        "episodes": 1,
        "splits": {},
        "failed": 0,
    }
    labels = drive_labels()
    assert labels[2]["label"]["steering"] != labels[2]["label"]["raw_direction"]
    assert values(read(out, name), name) == values(rows_of(labels), name)
    assert str(out) in err
    assert snapshot(recorded) == before
    assert left_beside(out) == []


@pytest.mark.parametrize("name", FORMATS)
def test_labels_of_earlier_versions_have_the_middle_of_their_class(export, tmp_path, name):
    label = document(0, steering=-0.9, throttle=0.3)
    del label["label"]["steering"], label["label"]["throttle"]
    label["label"]["label_direction"] = 2
    label["label_fingerprint"] = ids.fingerprint(label["img_id"], label["label"])
    _, _, _, out = export(save(tmp_path / "set", [label]), name)
    (row,) = read(out, name)
    assert (row.steering, row.throttle) == (0.0, pytest.approx(0.3))


@pytest.mark.parametrize("name", FORMATS)
def test_a_split_is_there_as_the_format_has_one(export, tmp_path, name):
    labels = drive_labels(9)
    for number, label in enumerate(labels):
        label["split"] = SPLITS[2 - number // 3]
    code, found, _, out = export(save(tmp_path / "set", labels), name)
    assert (code, found["splits"]) == (0, dict.fromkeys(SPLITS, 3))
    parts = {row.sha256: row.part for row in read(out, name)}
    assert parts == {label["picture_sha256"]: label["split"] for label in labels}
    if name == "lerobot":
        info = json.loads((out / "meta/info.json").read_text())
        assert info["splits"] == {"train": "0:1", "val": "1:2", "test": "2:3"}


@pytest.mark.parametrize("part", [None, "validation", 3])
def test_a_split_that_is_not_whole_is_refused(export, tmp_path, part):
    labels = drive_labels(3)
    for label in labels[:2]:
        label["split"] = "train"
    if part is not None:
        labels[2]["split"] = part
    code, found, _, out = export(save(tmp_path / "set", labels), "csv")
    assert (code, found, out.exists()) == (2, None, False)


@pytest.mark.parametrize("name", ["lerobot", "webdataset", "csv"])
def test_an_episode_is_a_drive_without_a_gap_of_more_than_a_second(export, tmp_path, name):
    """Two cars drive at the same time, and one of them stops to record for 1.1 s."""
    first = [document(number) | {"session_id": "a-0000"} for number in (0, 2, 4, 14, 25, 27)]
    second = [document(number) | {"session_id": "b-0000"} for number in (1, 3, 5)]
    _, found, _, out = export(save(tmp_path / "set", first + second), name)
    assert found["episodes"] == 3
    episodes = {}
    for row in read(out, name):
        episodes.setdefault(row.episode, []).append(row.sha256)
    expected = first[:4], second, first[4:]
    assert sorted(episodes.values()) == sorted(
        [label["picture_sha256"] for label in labels] for labels in expected
    )


@pytest.mark.parametrize("name", FORMATS)
def test_labels_marked_for_deletion_stay_out(export, tmp_path, name):
    """In a tub they are records that donkeycar skips."""
    labels = drive_labels(5)
    labels[1]["to_delete"] = True
    code, found, _, out = export(save(tmp_path / "set", labels), name)
    is_tub = name == "tub"
    assert (code, found["exported"], found["deleted"]) == (0, 5 if is_tub else 4, 1)
    hashes = [row.sha256 for row in read(out, name)]
    kept = [label for label in labels if is_tub or "to_delete" not in label]
    assert hashes == [label["picture_sha256"] for label in kept]
    if is_tub:
        assert manifest(out)[4]["deleted_indexes"] == [1]


def manifest(tub):
    return [json.loads(line) for line in (tub / "manifest.json").read_text().splitlines()]


def test_a_deleted_record_without_its_picture_is_left_out_of_a_tub(export, tmp_path):
    labels = drive_labels(3)
    labels[0]["to_delete"] = True
    folder = save(tmp_path / "set", labels)
    (folder / labels[0]["file_name"]).unlink()
    code, found, _, out = export(folder, "tub")
    assert (code, found["exported"], found["failed"]) == (0, 2, 0)
    assert [each["_index"] for each in records(out)] == [0, 1]
    assert manifest(out)[4]["deleted_indexes"] == []


@pytest.mark.parametrize("name", FORMATS)
def test_pictures_that_nobody_has_labelled_stay_out(export, tmp_path, name):
    labels = [document(0), document(1, created_by=NOBODY)]
    code, found, _, out = export(save(tmp_path / "set", labels), name)
    assert (code, found["exported"], found["unlabelled"]) == (0, 1, 1)
    assert len(read(out, name)) == 1
    assert export(save(tmp_path / "none", labels[1:]), name, "none_out")[:2] == (2, None)


def test_capture_times_are_kept(export, recorded):
    times_us = [
        (START + timedelta(milliseconds=100 * number)).timestamp() * 1e6
        for number in range(PICTURES)
    ]
    _, _, _, tub = export(recorded, "tub", "tub")
    assert [each["_timestamp_ms"] * 1000 for each in records(tub)] == times_us
    _, _, _, lerobot = export(recorded, "lerobot", "lerobot")
    assert [row["capture_time_us"] for row in lerobot_rows(lerobot)] == times_us
    assert [row["timestamp"] for row in lerobot_rows(lerobot)] == [
        np.float32(number / 10) for number in range(PICTURES)
    ]


def test_a_record_of_a_model_says_so(export, tmp_path):
    labels = [document(0), document(1, created_by="pilot"), document(2, created_by="Ada")]
    _, _, _, out = export(save(tmp_path / "set", labels), "tub")
    assert [each["user/mode"] for each in records(out)] == ["user", "local", "user"]


@pytest.mark.parametrize("name", ["tub", "csv"])
@pytest.mark.parametrize("can_link", [True, False], ids=["one disk", "two disks"])
def test_pictures_take_no_space_where_links_are_possible(
    export, recorded, name, can_link, monkeypatch
):
    if not can_link:
        faults.failing(monkeypatch.setattr, "link", EXDEV)
    code, _, _, out = export(recorded, name)
    assert code == 0
    inodes = {file.stat().st_ino for file in recorded.glob("*.jpg")}
    assert ({file.stat().st_ino for file in out.rglob("*.jpg")} == inodes) is can_link
    assert values(read(out, name), name) == values(rows_of(drive_labels()), name)


def test_a_link_to_a_picture_of_the_folder_is_a_picture(export, recorded):
    name = drive_labels()[0]["file_name"]
    (recorded / name).rename(recorded / "x.jpeg")
    (recorded / name).symlink_to("x.jpeg")
    code, _, _, out = export(recorded, "tub")
    assert code == 0
    assert not any(file.is_symlink() for file in out.rglob("*"))
    assert values(read(out, "tub"), "tub") == values(rows_of(drive_labels()), "tub")


def remove(file):
    file.unlink()


def cut(file):
    file.write_bytes(file.read_bytes()[:-20])


def replace(file):
    file.write_bytes(picture(99))


def link_outside(file):
    outside = file.parent.parent / "outside.jpg"
    file.rename(outside)
    file.symlink_to(outside)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("spoil", [remove, cut, replace, link_outside])
def test_unusable_pictures_are_all_listed_and_nothing_is_written(export, recorded, name, spoil):
    labels = drive_labels()
    for number in (1, 2, 7):
        spoil_one = spoil if number != 7 else remove
        spoil_one(recorded / labels[number]["file_name"])
    before = snapshot(recorded)
    code, found, err, out = export(recorded, name)
    assert (code, found["exported"], found["failed"]) == (3, 0, 3)
    failed = [line.split(": ")[1] for line in err.splitlines() if line.startswith("failed: ")]
    assert failed == [labels[number]["img_id"] for number in (1, 2, 7)]
    assert not out.exists()
    assert left_beside(out) == []
    assert snapshot(recorded) == before


@pytest.mark.parametrize("name", FORMATS)
def test_a_set_without_any_of_its_pictures_is_refused(export, tmp_path, name):
    folder = save(tmp_path / "set", drive_labels(), pictures=False)
    code, found, err, out = export(folder, name)
    assert (code, found, out.exists()) == (2, None, False)
    assert len(err.splitlines()) == 1
    assert left_beside(out) == []


@pytest.mark.parametrize("name", FORMATS)
def test_one_picture_is_a_set_and_none_is_not(export, tmp_path, name):
    code, _, _, out = export(save(tmp_path / "one", drive_labels(1)), name)
    assert (code, len(read(out, name))) == (0, 1)
    deleted = document(1) | {"to_delete": True}
    for labels in ([], [deleted]):
        folder = save(tmp_path / f"none{len(labels)}", labels)
        code, found, _, out = export(folder, name, "none")
        assert (code, found, out.exists()) == (2, None, False)


@pytest.mark.parametrize("name", FORMATS)
def test_two_labels_of_one_picture_are_refused(export, tmp_path, name):
    labels = drive_labels(2)
    labels[1]["file_name"] = labels[0]["file_name"].upper()
    code, _, _, out = export(save(tmp_path / "set", labels), name)
    assert (code, out.exists()) == (2, False)


FOREIGN = {"a.b": "bild.one.jpg", "a_b": "Zoé übt.JPG", "a.b-2": "写真.jpeg", "a_b-2": "a_b-2.jpg"}


@pytest.mark.parametrize("name", FORMATS)
def test_foreign_ids_and_names_are_exported(export, tmp_path, name):
    """Dots end the key of a WebDataset, and donkeycar names its pictures itself."""
    labels = []
    for number, (img_id, file_name) in enumerate(FOREIGN.items()):
        label = document(number) | {"img_id": img_id, "file_name": file_name}
        label["label_fingerprint"] = ids.fingerprint(img_id, label["label"])
        labels.append(label)
    folder = save(tmp_path / "set", [])
    label_file.write(folder / label_file.NAME, {label["img_id"]: label for label in labels})
    for number, label in enumerate(labels):
        (folder / label["file_name"]).write_bytes(picture(number))
    code, _, _, out = export(folder, name)
    assert code == 0
    assert values(read(out, name), name) == values(rows_of(labels), name)


def test_fields_of_a_team_are_in_tables(export, tmp_path):
    own = {"weather": "rain", "laps": [1, 2], "steering": "left-hand", "dry": False}
    own["note"] = '"a",\n'
    folder = save(tmp_path / "set", drive_labels(2, **own))
    _, _, _, out = export(folder, "csv", "table")
    header, *_ = (out / "metadata.csv").read_text().splitlines()
    assert header.endswith("comment,dry,laps,note,own.steering,weather")
    assert len(read(out, "csv")) == 2
    assert (out / "metadata.csv").read_text().count('false,"[1, 2]","""a"",\n",left-hand,rain') == 2


def test_tar_files_are_cut_before_they_are_too_large(export, recorded, monkeypatch):
    monkeypatch.setattr(webdataset, "SHARD_BYTES", 12_000)
    _, _, _, out = export(recorded, "webdataset")
    shards = sorted(file.name for file in out.iterdir())
    assert len(shards) > 2
    assert shards == [f"set-{number:06d}.tar" for number in range(len(shards))]
    padded = 12_000 + tarfile.RECORDSIZE
    assert all(file.stat().st_size <= padded for file in out.iterdir())
    assert values(read(out, "webdataset"), "webdataset") == values(rows_of(drive_labels()), "")


def test_the_same_set_gives_the_same_bytes(export, recorded):
    for name in FORMATS:
        _, _, _, first = export(recorded, name, f"{name}-1")
        _, _, _, second = export(recorded, name, f"{name}-2")
        assert snapshot(first) == snapshot(second), name


def test_an_interrupted_recording_is_repaired_or_read_as_it_stands(export, tmp_path):
    for is_writable in (True, False):
        folder = save(tmp_path / f"set{is_writable}", drive_labels(3))
        labels = label_file.read(folder / label_file.NAME)
        lines = [json.dumps(label) for label in labels.values()]
        (folder / label_file.NAME).unlink()
        (folder / "labels.journal").write_text("\n".join(lines) + "\ntorn")
        folder.chmod(0o755 if is_writable else 0o555)
        with permissions_enforced():
            code, found, _, _ = export(folder, "tub", f"out{is_writable}")
        assert (code, found["exported"]) == (0, 3)
        assert (folder / "labels.journal").exists() is not is_writable


@pytest.mark.parametrize("name", FORMATS)
def test_what_exists_is_not_replaced(export, recorded, tmp_path, name):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    for out in ("file", "folder", "link"):
        before = snapshot(tmp_path)
        assert export(recorded, name, out)[:2] == (2, None)
        assert snapshot(tmp_path) == before


def test_a_place_that_is_none_is_refused(call, recorded, home, tmp_path):
    (tmp_path / "in").symlink_to(recorded)
    (home / "database").mkdir()
    places = (
        *(recorded / "out", tmp_path / "in" / "out", tmp_path / "missing" / "out"),
        *(recorded / label_file.NAME / "out", home / "database" / "out"),
    )
    before = snapshot(tmp_path)
    for out in places:
        assert call(export_set, recorded, "-o", out, "--format", "tub")[:2] == (2, None)
    assert snapshot(tmp_path) == before


def test_a_folder_that_cannot_be_written_to_is_named(call, recorded, tmp_path):
    place = tmp_path / "read-only"
    place.mkdir()
    place.chmod(0o555)
    with permissions_enforced():
        code, found, err = call(export_set, recorded, "-o", place / "out", "--format", "csv")
    assert (code, found) == (1, None)
    assert str(place / "out") in err
    assert list(place.iterdir()) == []


def test_a_package_that_is_missing_is_named_with_the_command(export, recorded, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "get_data.sets.exporting.lerobot", raising=False)
    code, found, err, out = export(recorded, "lerobot")
    assert (code, found, out.exists()) == (2, None, False)
    (line,) = err.splitlines()
    assert "pyarrow" in line
    assert "pip install -r " in line
    assert export(recorded, "tub")[0] == 0


def test_a_label_file_beside_labels_json_can_be_exported(export, recorded):
    labels = label_file.read(recorded / label_file.NAME)
    few = dict(list(labels.items())[:2])
    label_file.write(recorded / "labels_new.json", few)
    _, found, _, _ = export(recorded / "labels_new.json", "csv")
    assert found["exported"] == 2


def test_an_invalid_label_is_refused_before_anything_is_written(export, recorded):
    file = recorded / label_file.NAME
    file.write_text(file.read_text().replace('"nb_dir":5', '"nb_dir":"5"', 1))
    code, found, err, out = export(recorded, "csv")
    assert (code, found, out.exists()) == (2, None, False)
    assert str(file) in err


def test_pictures_that_are_being_exported_are_not_removed(call, recorded, tmp_path, monkeypatch):
    """free_space.py leaves the folder alone meanwhile."""
    skipped = []

    def write(*_arguments):
        skipped.append(call(free_space, recorded, "-y", "--until", "100%")[1]["skipped"])
        return 0

    monkeypatch.setattr("get_data.sets.exporting.tub.write", write)
    call(export_set, recorded, "-o", tmp_path / "out", "--format", "tub")
    assert skipped == [1]
