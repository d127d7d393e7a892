"""What check_set.py finds in reduced labels is what it finds in whole ones."""

import msgspec

from get_data.commands import check_set
from get_data.labels import label_file
from get_data.quality.reduction import reduce_labels
from get_data.quality.report import inspect_set
from tests.browser.drives import document, drive, img_id, picture


def test_reduced_labels_give_the_same_report(tmp_path):
    """With all that a report reads: people, deletions, parts, drives, spans and own values."""
    folder = drive(tmp_path / "drive", 60, session_id="20240501T12-00-00-000000-ab12")
    labels = label_file.read(folder / label_file.NAME)
    for number in range(60, 90):  # a drive without an id, by another driver
        label = document(number, picture(number % 7), driver="Ada", track="park", split="test")
        labels[label["img_id"]] = label
        (folder / label["file_name"]).write_bytes(picture(number % 7))
    labels[img_id(5)]["to_delete"] = True
    labels[img_id(6)]["upload_date"] = "2024-05-02T00:00:00Z"
    labels[img_id(7)]["resolution"] = {"horizontal": 320, "vertical": 240}
    label_file.write(folder / label_file.NAME, labels)
    file = folder / label_file.NAME
    whole, reduced = label_file.read(file), reduce_labels(label_file.read_each(file))
    assert len(msgspec.json.encode(reduced)) < len(msgspec.json.encode(whole))
    first, second = (inspect_set(folder, each) for each in (whole, reduced))
    assert check_set.as_json(first) == check_set.as_json(second)
    assert first.drives == second.drives
    assert (first.samples.reviewed == second.samples.reviewed).all()
    assert first.is_uploaded == second.is_uploaded


def test_equal_parts_are_one_object(tmp_path):
    folder = drive(tmp_path / "drive", 2)
    labels = label_file.read_each(folder / label_file.NAME)
    first, second = reduce_labels(labels).values()
    assert first["car_setting"] is second["car_setting"]
