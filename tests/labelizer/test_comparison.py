"""Two people's label files of one set, compared."""

import json
import re

import pytest

from get_data import run_labelizer
from get_data.labelizer import work_file
from get_data.labelizer.comparison import read_comparison
from get_data.labels import edits, ids, label_file
from tests.browser.drives import document, img_id, picture
from tests.browser.server import free_port, running
from tests.conftest import START
from tests.labelizer.helpers import read_folder


def correct(label, **values):
    annotation = label["label"]
    values = {
        "direction": annotation["label_direction"],
        "speed": annotation["label_speed"],
        **values,
    }
    return edits.corrected(label, created_by="Max", created_on=START, **values)


@pytest.fixture
def other(folder, tmp_path):
    """Max's labels: another direction of 1, a value of 2, 3 deleted, none of 4, one more."""
    labels = label_file.read(folder / label_file.NAME)
    labels[img_id(1)] = correct(labels[img_id(1)], direction=4)
    labels[img_id(2)] = correct(labels[img_id(2)], steering=0.1)
    labels[img_id(3)] = edits.marked_for_deletion(labels[img_id(3)])
    labels[img_id(5)]["label"]["label_speed"] = 9
    del labels[img_id(4)]
    labels[img_id(50)] = document(50, picture(50))
    file = tmp_path / "max.json"
    file.write_text(json.dumps(labels))
    return file


def test_the_other_labels_stand_at_their_pictures(folder, other):
    found = read_comparison(other, read_folder(folder), "Zoé")
    assert found.name == "Max"
    assert (found.common, found.only_here, found.only_there, found.invalid) == (10, 2, 1, 1)
    assert found.direction[:6] == [0, 4, 2, 3, -1, -1]
    assert found.steering[1:3] == [pytest.approx(0.8), 0.1]
    assert found.deleted[:5] == [0, 0, 0, 1, 0]
    assert not found.is_doubtful


def test_a_file_without_other_people_is_called_by_its_name(folder, tmp_path):
    (tmp_path / "again.json").write_bytes((folder / label_file.NAME).read_bytes())
    assert read_comparison(tmp_path / "again.json", read_folder(folder), "Zoé").name == "again.json"


def test_another_set_with_a_few_pictures_in_common_is_doubtful(folder, tmp_path):
    labels = [document(number, picture(number)) for number in range(10, 25)]
    label_file.write(tmp_path / "max.json", {label["img_id"]: label for label in labels})
    assert read_comparison(tmp_path / "max.json", read_folder(folder), "Zoé").is_doubtful


def other_classes(labels):
    for label in labels.values():
        label["label"] |= {"nb_dir": 9, "label_direction": 4, "steering": 0.0}
        label["label_fingerprint"] = ids.fingerprint(label["img_id"], label["label"])


def other_set(labels):
    labels.clear()
    for number in (60, 61):
        labels[document(number, picture(0))["img_id"]] = document(number, picture(0))


def test_some_labels_may_have_other_classes(folder, tmp_path):
    labels = label_file.read(folder / label_file.NAME)
    first = dict(list(labels.items())[:3])
    other_classes(first)
    label_file.write(tmp_path / "max.json", {**labels, **first})
    found = read_comparison(tmp_path / "max.json", read_folder(folder), "Zoé")
    assert (found.other_classes, found.direction[2:4]) == (3, [-1, 3])


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (lambda labels: labels.clear(), "no valid label"),
        (other_set, "no picture in common"),
        (other_classes, "9 directions"),
    ],
    ids=["empty", "another set", "other classes"],
)
def test_files_that_cannot_be_compared_are_refused(folder, tmp_path, call, change, fact):
    """One line, exit code 2, no work file."""
    labels = label_file.read(folder / label_file.NAME)
    change(labels)
    other = tmp_path / "max.json"
    label_file.write(other, labels)
    assert_refused(folder, call, other, fact)


def assert_refused(folder, call, other, fact):
    code, out, err = call(run_labelizer, folder, "--compare", other, "--port", free_port())
    assert (code, out) == (2, None)
    assert re.fullmatch(rf"error: .*{re.escape(fact)}.*\n", err)
    assert str(other) in err
    assert not work_file.path_for(folder / label_file.NAME).exists()


def test_the_same_or_a_broken_file_is_refused(folder, tmp_path, call):
    assert_refused(folder, call, folder / label_file.NAME, "the label file itself")
    (tmp_path / "link.json").symlink_to(folder / label_file.NAME)
    assert_refused(folder, call, tmp_path / "link.json", "the label file itself")
    (tmp_path / "torn.json").write_text('{"a": {"b"')
    assert_refused(folder, call, tmp_path / "torn.json", "not JSON")
    assert_refused(folder, call, tmp_path / "none.json", "does not exist")
    assert_refused(folder, call, tmp_path, "a folder")


def test_what_is_not_compared_is_printed(folder, other):
    with running(folder, "--compare", other) as labelizer:
        log = labelizer.log.read_text()
    for fact in ("10 labels", "2 only in your file", "1 only in the other", "1 not valid"):
        assert fact in log
