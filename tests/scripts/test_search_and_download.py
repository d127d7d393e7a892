"""`search_and_download.py`: exit code, stdout, stderr and effect."""

import subprocess
import sys

import pytest

import path
from get_data import search_and_download, upload_data
from get_data.labels import ids, label_file
from get_data.sets import set_file
from tests.conftest import document, picture, save
from tests.helpers.label_files import mark_for_deletion


@pytest.mark.slow
def test_concurrent_searches_into_one_folder_leave_it_complete(call, tmp_path):
    call(upload_data, save(tmp_path / "drive", [document(number) for number in range(600)]))
    training = tmp_path / "training"
    script = path.ROOT / "get_data" / "search_and_download.py"
    searches = [
        subprocess.Popen([sys.executable, script, "-p", training], stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    ends = [(search.communicate()[1], search.returncode) for search in searches]
    assert [code for _, code in ends] == [0, 0], ends
    labels = label_file.read(training / label_file.NAME)
    names = {label["file_name"] for label in labels.values()}
    assert len(names) == 600
    assert {file.name for file in training.iterdir()} == {
        *names,
        *(label_file.NAME, "metadata.jsonl", "set.json"),
    }
    assert set_file.describes(set_file.read(training / "set.json"), training / label_file.NAME)
    for label in labels.values():
        content = (training / label["file_name"]).read_bytes()
        assert ids.sha256(content) == label["picture_sha256"]


def test_search_fetches_the_right_pictures_byte_for_byte(call, drive, tmp_path):
    call(upload_data, drive)
    folder = tmp_path / "left"
    query = tmp_path / "query.json"
    query.write_text('{"label.label_direction": {"type": "term", "value": 0}}')
    code, counts, err = call(search_and_download, "-q", query, "-p", folder)
    expected = {"found": 2, "fetched": 2, "there": 0, "failed": 0, "other_labels": 0}
    assert (code, counts) == (0, expected)
    assert f"labels: {folder / label_file.NAME}" in err
    for number in (0, 5):
        assert (folder / document(number)["file_name"]).read_bytes() == picture(number)
    assert call(search_and_download, "-q", query, "-p", folder)[1]["there"] == 2


def test_labels_may_be_written_elsewhere_without_a_download(call, fetched, tmp_path):
    labels = tmp_path / "lists" / "all.json"
    options = ("-p", tmp_path / "none", "-o", labels, "--no-download", "--limit", "3")
    code, counts, _ = call(search_and_download, *options)
    assert (code, counts["found"]) == (0, 3)
    assert len(label_file.read(labels)) == 3
    assert list((tmp_path / "none").iterdir()) == []


def test_a_search_in_an_empty_database_finds_nothing_and_creates_nothing(call, home, tmp_path):
    code, counts, _ = call(search_and_download, "-p", tmp_path / "training")
    assert (code, counts["found"]) == (0, 0)
    assert (tmp_path / "training" / label_file.NAME).read_text() == "{}\n"
    assert list(home.iterdir()) == []


def test_a_recording_is_never_overwritten_by_a_search(call, drive, tmp_path):
    call(upload_data, drive)
    before = (drive / label_file.NAME).read_bytes()
    for options in (["-p", drive], ["-p", tmp_path / "x", "-o", drive / label_file.NAME]):
        code, _, err = call(search_and_download, *options)
        assert code == 2
        assert f"{drive} is a recording" in err
    assert (drive / label_file.NAME).read_bytes() == before


@pytest.mark.parametrize("name", ["", "erased"])
def test_a_link_to_a_recording_is_a_recording(call, drive, tmp_path, name):
    (drive / "erased").mkdir()
    (drive / "erased" / label_file.NAME).write_text("{}")
    (tmp_path / "link").symlink_to(drive / name)
    code, _, err = call(search_and_download, "-p", tmp_path / "link")
    assert code == 2
    assert f"{drive} is a recording" in err
    assert (drive / "erased" / label_file.NAME).read_text() == "{}"


def test_erased_pictures_of_a_recording_are_never_overwritten_by_a_search(call, drive):
    call(upload_data, drive)
    save(drive / "erased", [document(50)])
    (drive / "erased" / "session_template.json").unlink()
    code, _, err = call(search_and_download, "-p", drive / "erased")
    assert (code, f"{drive} is a recording" in err) == (2, True)


def test_corrections_that_are_not_applied_yet_are_not_overfile_with(call, fetched):
    mark_for_deletion(fetched, 4)
    code, _, err = call(search_and_download, "-p", fetched)
    assert code == 2
    assert "has corrections; apply them with upload_to_db.py" in err


def test_a_lost_picture_is_listed_with_exit_code_3(call, drive, home, tmp_path):
    call(upload_data, drive)
    for file in (home / "database" / "pictures").rglob("*000000-*.jpg"):
        file.unlink()
    code, counts, err = call(search_and_download, "-p", tmp_path / "training")
    assert (code, counts["failed"], counts["fetched"]) == (3, 1, 9)
    assert f"failed: {document(0)['img_id']}: the store has no pictures/20240501/" in err


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("none.json", "none.json does not exist"),
        ("{", "the query, line 1, column 2: not JSON"),
        ('{"driver": {"type": "fuzzy", "value": "Z"}}', "fuzzy"),
        ('{"driver": {"type": "term", "value": "Z", "bool": "perhaps"}}', "perhaps"),
        ('{"driver": null}', "driver"),
    ],
)
def test_an_invalid_query_is_refused(call, drive, tmp_path, query, complaint):
    call(upload_data, drive)
    code, out, err = call(search_and_download, "-q", query, "-p", tmp_path / "training")
    assert (code, out) == (2, None)
    assert complaint in err
    assert not (tmp_path / "training" / label_file.NAME).exists()
