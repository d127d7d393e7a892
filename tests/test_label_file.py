"""Label files and session templates: read strictly, written whole or not at all."""

import json

import pytest

from common.errors import InputError, WriteFailed
from get_data.labels import label_file, session
from tests.conftest import document


def test_written_labels_are_read_back_and_stand_one_a_line(tmp_path):
    labels = {one["img_id"]: one for one in (document(2, weather="été"), document(1))}
    path = tmp_path / "labels.json"
    label_file.write(path, labels)
    assert label_file.read(path) == labels
    lines = path.read_text().splitlines()
    assert len(lines) == len(labels) + 2
    assert list(json.loads(path.read_text())) == sorted(labels)


def test_no_labels_are_an_empty_object(tmp_path):
    label_file.write(tmp_path / "labels.json", {})
    assert (tmp_path / "labels.json").read_text() == "{}\n"


def test_read_names_file_entry_and_value(tmp_path):
    bad = document(1)
    bad["label"]["nb_dir"] = "five"
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({bad["img_id"]: bad}))
    with pytest.raises(InputError, match=rf"{path}, entry '{bad['img_id']}': label.nb_dir: Expect"):
        label_file.read(path)


def test_read_refuses_an_entry_under_another_name(tmp_path):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"other": document(1)}))
    with pytest.raises(InputError, match="entry 'other': its img_id is"):
        label_file.read(path)


def test_read_refuses_a_list(tmp_path):
    path = tmp_path / "labels.json"
    path.write_text("[]")
    with pytest.raises(InputError, match="not a label file"):
        label_file.read(path)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "labels.json"
    label_file.write(path, {})

    def fail():
        with label_file.open_writer(path) as file:
            file.add("a", b"{}")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "{}\n"
    assert [file.name for file in tmp_path.iterdir()] == ["labels.json"]


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    path = tmp_path / "missing folder" / "labels.json"
    with pytest.raises(WriteFailed, match=f"{path} cannot be written: No such file or directory"):
        label_file.write(path, {})


def test_session_has_the_usual_keys_and_those_of_ones_own(tmp_path):
    path = tmp_path / session.NAME
    session.write(path, {"driver": "Zoé", "lap": 3})
    expected = {
        "event": "",
        "track": "",
        "track_type": "",
        "driver": "Zoé",
        "comment": "",
        "lap": 3,
    }
    assert session.read(path) == expected


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[]", "expected an object such as"),
        ('{"driver": 3}', "driver: expected a text, got 3"),
        ('{"img_id": "x"}', "img_id: every label has a key of that name"),
        ('{"label": {}}', "label: every label has a key of that name"),
        ('{"weather": {"rain": true}}', "weather: expected a text, a number"),
        ('{"driver": "a", "driver": "b"}', "duplicate key"),
    ],
)
def test_session_refuses(tmp_path, content, complaint):
    path = tmp_path / session.NAME
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        session.read(path)
    assert complaint in str(caught.value)
    assert str(path) in str(caught.value)
