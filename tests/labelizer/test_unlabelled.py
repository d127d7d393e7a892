"""Pictures without a label: they open, are labelled, exported and applied."""

import json
import os
import unicodedata
from contextlib import closing

import pytest
from msgspec.structs import replace

from get_data import run_labelizer, search_and_download, upload_data, upload_to_db
from get_data.labelizer.catalogue import Flag, read_catalogue
from get_data.labelizer.workspace import Workspace
from get_data.labels import label_file, session, validation
from tests.browser.drives import drive, img_id, picture
from tests.browser.server import free_port
from tests.conftest import START, document, save
from tests.labelizer.helpers import make_operation, read_folder, save_operations, set_label


def open_folder(folder, user="Zoé"):
    return closing(Workspace(read_folder(folder), user, now=lambda: START))


def without_labels(folder, *numbers):
    """Remove the labels of pictures from a drive's label file."""
    labels = label_file.read(folder / label_file.NAME)
    for number in numbers:
        del labels[img_id(number)]
    label_file.write(folder / label_file.NAME, labels)
    return folder


def test_an_unlabelled_picture_stands_among_its_neighbours(tmp_path):
    catalogue = read_folder(without_labels(drive(tmp_path / "drive"), 4, 5))
    assert catalogue.ids == [img_id(number) for number in range(12)]
    assert [position for position in range(12) if catalogue.flags[position] & Flag.UNLABELLED] == [
        4,
        5,
    ]
    assert sum(bool(flags & Flag.RUN_START) for flags in catalogue.flags) == 1
    assert (catalogue.direction[4], catalogue.speed[4]) == (-1, -1)
    assert catalogue.group_of(4) == catalogue.group_of(3)
    assert [problem.position for problem in catalogue.problems["unlabelled"]] == [4, 5]
    assert catalogue.picture(4).name == f"{img_id(4)}.jpg"
    assert catalogue.raw(4) == b"null"


def test_a_new_label_is_exported_and_applied(tmp_path, call):
    """It replaces nothing; a search finds it with its picture, and a second upload adds nothing."""
    folder = drive(tmp_path / "drive", track="yard", weather="sunny")
    call(upload_data, folder)
    without_labels(folder, *range(8, 12))
    (folder / f"{img_id(8)}.jpg").unlink()
    (folder / f"{img_id(9)}.jpg").write_bytes(picture(9)[:200])
    (folder / "0001.jpg").write_bytes(picture(70))
    source = label_file.read(folder / label_file.NAME)
    with open_folder(folder) as workspace:
        ids = workspace.catalogue.ids
        assert ids == [*(img_id(n) for n in (*range(8), 9, 10, 11)), "0001"]
        set_label(workspace, 8, 9, 11, direction=3, speed=0)
        set_label(workspace, 2, number=2, direction=4)
        set_label(workspace, 10, number=3, direction=4)
        result = workspace.export()
        assert workspace.counts() == {
            "labels": 8,
            "reviewed": 5,
            "corrected": 1,
            "created": 3,
            "unlabelled": 1,
            "to_delete": 0,
        }
    assert (result.created, result.corrected, result.untouched) == (2, 1, 7)
    assert {left.img_id: left.reason for left in result.left_out}.keys() == {img_id(9), img_id(11)}
    exported = label_file.read(result.file)
    assert exported.keys() == {*source, img_id(10), "0001"}
    new = exported[img_id(10)]
    for key in ("event", "track", "driver", "weather", "car_setting", "resolution"):
        assert new[key] == source[img_id(3)][key]
    assert "replaces" not in new
    annotation = validation.parse(new).label
    assert (annotation.created_by, annotation.label_direction, annotation.label_speed) == (
        "Zoé",
        3,
        0,
    )
    assert new["label"].keys().isdisjoint({"raw_direction", "raw_speed"})
    assert new["label"]["steering"] == pytest.approx(0.4)
    assert new["timestamp"] == "2024-05-01T12:00:00.500000Z"
    code, counts, err = call(upload_to_db, result.file, "-y")
    assert code == 0, err
    assert (counts["created"], counts["replaced"]) == (3, 1)
    code, counts, err = call(upload_to_db, result.file, "-y")
    assert (code, counts["created"], counts["there"]) == (0, 0, 10), err
    query = json.dumps({"label.created_by": {"type": "term", "value": "Zoé"}})
    assert call(search_and_download, "-q", query, "-p", tmp_path / "found")[0] == 0
    assert label_file.read(tmp_path / "found" / label_file.NAME).keys() == {
        img_id(2),
        img_id(10),
        "0001",
    }
    assert (tmp_path / "found" / "0001.jpg").read_bytes() == picture(70)


def test_a_folder_without_any_label_opens(tmp_path, call):
    """The session template says where; classes are those of a recording by default."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        (folder / f"{img_id(number)}.jpg").write_bytes(picture(number))
    session.write(folder / session.NAME, {"event": "fair", "laps": 3})
    with open_folder(folder) as workspace:
        assert workspace.catalogue.groups[0].nb_dir == 5
        set_label(workspace, 0, 1, direction=1, speed=1)
        exported = label_file.read(workspace.export().file)
    assert exported.keys() == {img_id(0), img_id(1)}
    assert (exported[img_id(0)]["event"], exported[img_id(0)]["laps"]) == ("fair", 3)
    assert call(upload_data, folder / next(folder.glob("labels_*")))[1]["created"] == 2
    assert not (folder / label_file.NAME).exists()
    # the export becomes the label file: the rest can be labelled on
    label_file.write(folder / label_file.NAME, exported)
    assert len(read_folder(folder).unlabelled) == 1


def test_a_folder_without_labels_and_pictures_is_refused(tmp_path, call):
    for arguments in ([tmp_path], [drive(tmp_path / "drive"), "--labels", tmp_path / "none.json"]):
        code, _, err = call(run_labelizer, *arguments, "--port", free_port())
        assert code == 2
        assert str(arguments[-1]) in err
    assert list(tmp_path.glob("*.sqlite3")) == []


def test_a_picture_belongs_to_the_one_drive_that_it_was_taken_in(tmp_path):
    first, second = (f"20201231T15-45-00-000000-000{number}" for number in (0, 1))
    numbers = {first: (*range(10), 40), second: (*range(30, 40), *range(42, 60))}
    labels = [
        document(number, session_id=drive_id, driver=drive_id[-1], weather="sunny")
        for drive_id, taken in numbers.items()
        for number in taken
        if number not in (5, 41, 55)
    ]
    folder = save(tmp_path / "drive", labels)
    unlabelled = [document(number)["img_id"] for number in (5, 41, 55)]
    for name in unlabelled:
        (folder / f"{name}.jpg").write_bytes(picture(0))
    found = {entry.img_id: entry.template for entry in read_folder(folder).unlabelled.values()}
    in_first, in_both, in_second = [found[name] for name in unlabelled]
    assert (in_first["session_id"], in_first["driver"]) == (first, "0")
    assert (in_second["session_id"], in_second["driver"]) == (second, "1")
    assert "session_id" not in in_both
    assert (in_both["driver"], in_both["weather"], in_both["event"]) == ("", "sunny", "test day")


def test_names_become_ids_and_some_cannot(tmp_path):
    folder = drive(tmp_path / "drive", 2)
    composed, decomposed = (unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD"))
    labels = label_file.read(folder / label_file.NAME)
    labels[img_id(0)]["file_name"] = composed
    label_file.write(folder / label_file.NAME, labels)
    (folder / f"{img_id(0)}.jpg").unlink()
    names = [decomposed, "a.jpg", "a.JPEG", "b c.jpg", "é é.jpg", "-x.jpg", f"{'y' * 80}.jpg"]
    names += ["P.jpg", "p.jpg", "c..jpg", f"{img_id(1).lower()}.jpeg", "a\nb.jpg"]
    for name in [*names, os.fsdecode(b"caf\xe9.jpg")]:
        (folder / name).write_bytes(picture(1))
    (folder / "empty.jpg").touch()
    catalogue = read_folder(folder)
    ids = {entry.label.file_name: entry.img_id for entry in catalogue.unlabelled.values()}
    assert len(set(ids.values())) == len(ids)
    assert all(validation.is_img_id(img_id) for img_id in ids.values())
    assert ids["a.JPEG"] == "a"
    assert ids["a.jpg"].startswith("a-")
    assert ids.keys() == {"a.JPEG", "a.jpg", "b c.jpg", "é é.jpg", "-x.jpg", names[6], "P.jpg"} | {
        names[10],
        "empty.jpg",
    }
    misnamed = {problem.name for problem in catalogue.problems["misnamed"]}
    assert misnamed == {decomposed, "p.jpg", "c..jpg", "a\nb.jpg", "caf\ufffd.jpg"}
    [broken] = [one for one in catalogue.problems["broken"] if one.name == "empty"]
    assert catalogue.flags[broken.position] & Flag.BROKEN


@pytest.mark.parametrize("nanoseconds", [-(10**18), 10**15, 9 * 10**18])
def test_a_picture_of_any_age_can_be_labelled(tmp_path, call, nanoseconds):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "old.jpg").write_bytes(picture(0))
    os.utime(folder / "old.jpg", ns=(0, nanoseconds))
    with open_folder(folder) as workspace:
        set_label(workspace, 0, direction=1, speed=1)
        file = workspace.export().file
    assert call(upload_data, file)[1]["created"] == 1


def test_a_faulty_session_template_is_reported(tmp_path):
    folder = without_labels(drive(tmp_path / "drive", 2), 1)
    (folder / session.NAME).write_text('{"driver": 5}')
    catalogue = read_folder(folder)
    [problem] = catalogue.problems["template"]
    assert "driver" in problem.reason
    assert len(catalogue.unlabelled) == 1


def test_pictures_come_and_go_and_the_work_stays(tmp_path):
    folder = without_labels(drive(tmp_path / "drive", 6), 0, 1, 4)
    with open_folder(folder) as workspace:
        set_label(workspace, 1, 4, 5, direction=0, speed=1)
        name = workspace.work.name
    gone = [folder / f"{img_id(number)}.jpg" for number in (0, 1)]
    contents = [file.read_bytes() for file in gone]
    for file in gone:
        file.unlink()
    (folder / f"{img_id(2.5)}.jpg").write_bytes(picture(80))
    with open_folder(folder) as workspace:
        assert not workspace.is_outdated
        assert workspace.work.name != name  # a page has to be loaded again
        assert [each.img_id for each in workspace.work.decisions()] == [img_id(4), img_id(5)]
        [operation] = workspace.work.history()
        assert operation.positions == [(3, 4)]
        set_label(workspace, 1, number=2, direction=2, speed=0)
        assert workspace.export().created == 2
    for file, content in zip(gone, contents, strict=True):
        file.write_bytes(content)
    (folder / f"{img_id(2.5)}.jpg").unlink()
    with open_folder(folder) as workspace:
        decisions = {each.img_id: each.direction for each in workspace.work.decisions()}
        assert decisions == {img_id(1): 0, img_id(4): 0, img_id(5): 0}
        assert [each.positions for each in workspace.work.history()] == [[(4, 5)]]


def move_labels(workspace, span, number):
    """Move the labels of a range one picture later, as the server plans it."""
    operation = make_operation(number, positions=[span])
    plan = replace(operation, kind="shift", by=1, set={})
    save_operations(workspace, workspace.work.epoch, plan)


def test_a_new_label_cannot_be_marked_to_delete_and_is_moved_away(tmp_path):
    folder = without_labels(drive(tmp_path / "drive", 6), 2)
    with open_folder(folder) as workspace:
        with pytest.raises(Exception, match="no label to delete"):
            set_label(workspace, 2, deleted=1)
        # no label comes from outside the selection, and none from a picture that has none
        move_labels(workspace, (2, 3), number=4)
        assert [(each.img_id, each.deleted) for each in workspace.work.decisions()] == [
            (img_id(3), 1)
        ]
        move_labels(workspace, (0, 5), number=5)
        state = {each.img_id: each for each in workspace.work.decisions()}
        before = workspace.catalogue.direction
    assert state[img_id(2)].direction == before[1]
    assert not state[img_id(2)].deleted
    assert state[img_id(3)].deleted  # no label came to it
    assert state[img_id(0)].deleted


def test_a_picture_with_a_label_in_the_own_file_of_the_folder_is_left_alone(tmp_path):
    """Another label file may be of a part of the folder."""
    folder = without_labels(drive(tmp_path / "drive", 4), 0)
    labels = label_file.read(folder / label_file.NAME)
    label_file.write(tmp_path / "part.json", {img_id(2): labels[img_id(2)]})
    assert read_catalogue(tmp_path / "part.json", folder).ids == [img_id(0), img_id(2)]
