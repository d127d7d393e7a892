"""Labels of the original project, in the forms that they have had."""

import json

import pytest

from get_data import import_drive
from get_data.labels import edits, ids, label_file
from get_data.sets.importing.original_labels import read_time_text
from tests.conftest import picture
from tests.helpers.recordings import assert_whole
from tests.helpers.tubs import original_label, write_original


def imported(call, tmp_path, labels, *options):
    """The labels after an import, by the name that their picture had."""
    folder = write_original(tmp_path / "original", labels)
    code, counts, _ = call(import_drive, folder, "-o", tmp_path / "drive", *options)
    assert (code, counts["format"]) == (0, "labels of the original project")
    found = assert_whole(tmp_path / "drive")
    return {label["source_file"]: label for label in found.values()}


def test_labels_keep_id_classes_and_session_and_their_raw_values(call, tmp_path):
    labels = dict(original_label(number) for number in range(3))
    found = imported(call, tmp_path, labels, "--driver", "Zoé")
    for number, (img_id, old) in enumerate(labels.items()):
        new = found[old["file_name"]]
        assert new["img_id"] == img_id
        assert (tmp_path / "drive" / new["file_name"]).read_bytes() == picture(number)
        annotation = new["label"]
        assert annotation["raw_direction"] == old["raw_value"]["normalized_direction"]
        assert annotation["raw_speed"] == 1.0
        # the class is the label's; another value than the driver's is in the middle of its bin
        assert (annotation["label_direction"], annotation["label_speed"]) == (2, 0)
        assert annotation["throttle"] == 0.25
        assert (new["pulse_direction"], new["pulse_speed"]) == (326 + number, 307)
        assert (new["event"], new["track_type"]) == ("iron car", "single lane")
        assert new["driver"] == "Zoé"
        assert new["car_setting"]["camera"] == {"frame_rate": 32}
        assert new["car_setting"]["car"] == "patate"
        assert new["car_setting"]["run"] == {"max_throttle": 1.0}
    assert len({each["session_id"] for each in found.values()}) == 1


def test_a_person_and_a_deletion_stay(call, tmp_path):
    labels = dict(original_label(number) for number in range(2))
    first, second = labels.values()
    first["label"]["created_by"] = "Zoé"
    first["label"]["label_direction"] = "3"  # a text, as the page of that project wrote it
    second["to_delete"] = True
    found = imported(call, tmp_path, labels)
    kept, deleted = (found[each["file_name"]] for each in (first, second))
    assert (kept["label"]["created_by"], kept["label"]["label_direction"]) == ("Zoé", 3)
    assert kept["label"]["created_on_date"].startswith("2020-02-04T15:23:08.57434")
    assert edits.is_marked_for_deletion(deleted)


def test_an_early_label_has_its_classes_and_time_in_the_name(call, tmp_path):
    labels = {
        "1517255696": {"img_id": "1517255696", "file_name": "1_4_1517255696.jpg", "raw": "true"},
        "1517255697": {
            "img_id": "1517255697",
            "file_name": "0_0_1517255697.25.jpg",
            "label": {"label_direction": 2, "label_speed": 1, "raw_direction": 260, "nb_dir": 3},
        },
    }
    found = imported(call, tmp_path, labels, "--format", "42ai")
    named, labelled = found["1_4_1517255696.jpg"], found["0_0_1517255697.25.jpg"]
    assert (named["label"]["label_direction"], named["label"]["label_speed"]) == (4, 1)
    assert named["img_id"] == "20180129T19-54-56-000000"
    assert (labelled["label"]["label_direction"], labelled["label"]["nb_dir"]) == (2, 3)
    assert labelled["pulse_direction"] == 260
    assert "raw_direction" not in labelled["label"]


def test_the_newest_label_of_a_picture_is_taken(call, tmp_path):
    labels = dict(original_label(number) for number in range(3))
    folder = write_original(tmp_path / "original", labels)
    img_id, newer = original_label(1, label_direction=4, created_by="Ada")
    newer["label"]["created_on_date"] = "20200205T10-00-00-000000"
    (folder / "labels.json").write_text(json.dumps({img_id: newer}))
    code, counts, _ = call(import_drive, folder, "-o", tmp_path / "drive")
    assert (code, counts["pictures"], counts["failed"]) == (0, 3, 0)
    found = label_file.read(tmp_path / "drive" / label_file.NAME)
    assert [label["label"]["label_direction"] for label in found.values()] == [2, 4, 2]
    assert found[img_id]["label"]["created_by"] == "Ada"


def test_one_label_file_may_be_given(call, tmp_path):
    folder = write_original(tmp_path / "original", dict(original_label(n) for n in range(2)))
    (file,) = folder.glob("labels_*.json")
    code, counts, _ = call(import_drive, file, "-o", tmp_path / "drive")
    assert (code, counts["pictures"]) == (0, 2)


@pytest.mark.parametrize(
    ("text", "img_id"),
    [
        ("20201231T15-45-55-123456", "20201231T15-45-55-123456"),
        ("1517255696", "20180129T19-54-56-000000"),
        ("1517255696.5", "20180129T19-54-56-500000"),
        ("1517255696123", "20180129T19-54-56-123000"),
        ("1517255696123456", "20180129T19-54-56-123456"),
        ("2018-01-29T19:54:56Z", "20180129T19-54-56-000000"),
        ("frame_12", None),
        ("12", None),
        ("", None),
    ],
)
def test_times_are_read_in_the_forms_that_names_have(text, img_id):
    time_us = read_time_text(text)
    captured = ids.parse_img_id(img_id) if img_id else None
    assert time_us == (round(captured.timestamp() * 1e6) if captured else None)
