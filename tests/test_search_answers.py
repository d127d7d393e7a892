"""What a search answers: a mistyped field is refused, and nothing takes the place of labels."""

import json
import re

import pytest

import path
from get_data import search_and_download, upload_data, upload_to_db
from get_data.cli import output
from get_data.database.local.label_index import SqliteIndex
from get_data.labels import edits, label_file
from tests.conftest import START, document, save

TERM = {"type": "term", "value": "x"}


@pytest.fixture(params=["local", pytest.param("team", marks=pytest.mark.servers)])
def uploaded(request, monkeypatch, call, drive):
    """A database of each kind that holds the drive, and a label with keys of its own."""
    if request.param == "team":
        for name, value in request.getfixturevalue("team_environment").items():
            monkeypatch.setenv(name, value)
    own = save(drive.parent / "own", [document(50, weather="sunny", none=None, **{"q.b": 1})])
    assert call(upload_data, drive, own)[0] == 0


def asking(field, **clause):
    return "-q", json.dumps({field: TERM | clause})


@pytest.mark.parametrize("occur", ["must", "filter", "should", "must_not"], ids=lambda occur: occur)
def test_a_mistyped_field_is_refused_with_the_nearest(call, uploaded, tmp_path, occur):
    out = tmp_path / "out"
    assert call(search_and_download, "-p", out)[0] == 0
    before = (out / label_file.NAME).read_bytes()
    for field, similar in [
        ("trak", "track"),
        ("label.direction", "label.label_direction"),
        ("direction", "label.label_direction"),
        ("event.txt", "event"),
        ("driver.text", "driver"),
        ("wether", "weather"),
        ("qb", "q.b"),
        ("car_setting.cars", ""),
        ("none", ""),
        ("to_delete", ""),
        ("zzz", ""),
    ]:
        code, counts, err = call(search_and_download, "-p", out, *asking(field, bool=occur))
        assert (code, counts) == (2, None), field
        assert field in err
        assert similar in err
    assert (out / label_file.NAME).read_bytes() == before


def test_a_field_that_a_label_has_may_be_asked(call, uploaded, tmp_path):
    for field in (
        *("event", "event.text", "event.keyword", "driver.keyword", "label.nb_dir", "label"),
        *("car_setting", "car_setting.car", "weather", "weather.keyword", "q.b", "s3_key"),
    ):
        code, _, err = call(
            search_and_download, "-p", tmp_path / "out", "--no-download", "--allow-empty",
            "-q", json.dumps({field: {"type": "exists"}}),
        )  # fmt: skip
        assert code == 0, err
    code, counts, _ = call(search_and_download, "-p", tmp_path / "one", *asking("q.b", value=1))
    assert (code, counts["found"]) == (0, 1)
    assert next(iter(label_file.read(tmp_path / "one" / label_file.NAME).values()))["q.b"] == 1


def test_an_answer_of_nothing_replaces_no_labels(call, uploaded, tmp_path):
    out = tmp_path / "out"
    nothing = asking("driver", value="nobody")
    code, counts, _ = call(search_and_download, "-p", out, *nothing)
    assert (code, counts["found"]) == (0, 0)  # there was nothing to be replaced
    assert label_file.read(out / label_file.NAME) == {}
    assert call(search_and_download, "-p", out)[1]["found"] == 11
    before = (out / label_file.NAME).read_bytes()
    for more in ((), ("--no-download",)):
        code, counts, err = call(search_and_download, "-p", out, *nothing, *more)
        assert (code, counts["found"]) == (1, 0)
        assert "--allow-empty" in err
        assert (out / label_file.NAME).read_bytes() == before
    code, counts, _ = call(search_and_download, "-p", out, *nothing, "--allow-empty")
    assert (code, counts["found"]) == (0, 0)
    assert label_file.read(out / label_file.NAME) == {}


def test_pictures_that_all_fail_replace_no_labels(call, drive, tmp_path):
    out = tmp_path / "out"
    call(upload_data, drive)
    call(search_and_download, "-p", out)
    before = (out / label_file.NAME).read_bytes()
    for file in [*out.glob("*.jpg"), *(path.database_folder() / "pictures").rglob("*.jpg")]:
        file.unlink()
    code, counts, _ = call(search_and_download, "-p", out)
    assert (code, counts["failed"]) == (3, 10)
    assert (out / label_file.NAME).read_bytes() == before


@pytest.mark.parametrize(
    ("content", "is_empty"),
    [
        (None, True),
        ("", True),
        ("\ufeff", True),
        ("{}\n", True),
        (" {\n }\n", True),
        ('{"a":{}}', False),
        ("{" + " " * 5000 + '"a":{}}', False),
    ],
)
def test_a_label_file_without_labels_is_empty(tmp_path, content, is_empty):
    if content is not None:
        (tmp_path / "labels.json").write_text(content)
    assert label_file.is_empty(tmp_path / "labels.json") is is_empty


@pytest.mark.parametrize("kind", ["local", pytest.param("team", marks=pytest.mark.servers)])
def test_a_database_that_is_not_there_yet_is_said(call, home, tmp_path, request, monkeypatch, kind):
    name = str(home / "database" / "index.sqlite")
    if kind == "team":
        team = request.getfixturevalue("team_environment")
        for key, value in team.items():
            monkeypatch.setenv(key, value)
        name = f"{team['PATATE_ES_URL']}/{team['PATATE_ES_INDEX']}"
    code, counts, err = call(search_and_download, "-p", tmp_path / "out", *asking("weather"))
    assert (code, counts["found"]) == (0, 0)
    assert f"there is no {name}" in err
    assert list(home.iterdir()) == []


def test_one_search_is_made_and_its_bar_counts_pictures(call, drive, tmp_path, monkeypatch):
    """Two labels of one picture are one picture; on a terminal too, nothing is asked twice."""
    again = save(drive.parent / "again", [document(0, created_by="Zoé")])
    call(upload_data, drive, again)
    searches = []
    search = SqliteIndex.search
    monkeypatch.setattr(
        SqliteIndex, "search", lambda self, query: searches.append(query) or search(self, query)
    )
    monkeypatch.setattr(output, "shows_progress", lambda: True)
    query = json.dumps({"driver": {"type": "term", "value": "Zoé"}})
    code, counts, err = call(search_and_download, "-q", query, "-p", tmp_path / "out")
    assert (code, counts["found"], counts["other_labels"]) == (0, 10, 1)
    assert len(searches) == 1
    shown = [(int(done), total) for done, total in re.findall(r"(\d+)(/\d+)? ?pictures \[", err)]
    assert max(shown) == (10, "")


# --- the searches that come with the toolkit


def test_the_samples_stay_right_after_corrections(call, drive, tmp_path):
    """A picture corrected to hard left is found as one, and one corrected away is not."""
    call(upload_data, drive)
    whole = list(label_file.read(drive / label_file.NAME).values())
    hard_left = [one for one in whole if one["label"]["label_direction"] == 0]
    straight = [one for one in whole if one["label"]["label_direction"] == 2]
    corrections = [
        edits.corrected(one, created_by="Zoé", direction=direction, speed=0, created_on=START)
        for one, direction in ((hard_left[0], 2), (straight[0], 0))
    ]
    file = tmp_path / "corrected.json"
    label_file.write(file, {one["img_id"]: one for one in corrections})
    assert call(upload_to_db, file, "-p", drive, "-y")[1]["replaced"] == 2
    out = tmp_path / "out"
    query = path.QUERIES / "hard_left.json"
    code, _, err = call(search_and_download, "-q", query, "-p", out)
    assert code == 0, err
    found = label_file.read(out / label_file.NAME).keys()
    assert found == {hard_left[1]["img_id"], straight[0]["img_id"]}


def test_no_sample_asks_for_labels_of_one_author():
    for file in path.QUERIES.glob("*.json"):
        for field, clauses in json.loads(file.read_text()).items():
            for clause in clauses if isinstance(clauses, list) else [clauses]:
                is_asked = clause["type"] and clause.get("bool") != "must_not"
                assert not (field == "label.created_by" and is_asked), file


def test_the_sample_to_start_from_finds_what_is_there(call, drive, tmp_path):
    call(upload_data, drive)
    query = path.QUERIES / "search.json"
    code, counts, err = call(search_and_download, "-q", query, "-p", tmp_path / "out")
    assert (code, counts["found"]) == (0, 10), err
