"""Session fields and custom keys are set in all that matches a search, or all of it is deleted."""

import getpass
import json

import pytest

import path
from get_data import edit_labels, search_and_download, upload_data, upload_to_db
from get_data.commands import edit_labels as command
from get_data.database.interfaces import Replacement
from get_data.database.local.label_index import SqliteIndex
from get_data.labels import edits, label_file
from tests.conftest import START, document, save

EVERYTHING = ["-q", "{}"]
LEFT = ["-q", json.dumps({"label.label_direction": {"type": "term", "value": 0}})]


@pytest.fixture(params=["local", pytest.param("team", marks=pytest.mark.servers)])
def drive(request, call, tmp_path, home, monkeypatch):
    """The folder of an uploaded drive of ten pictures; each kind of database has it."""
    if request.param == "team":
        for name, value in request.getfixturevalue("reused_team_environment").items():
            monkeypatch.setenv(name, value)
    folder = save(
        tmp_path / "drive",
        [document(number, steering=number / 5 - 1, laps=1) for number in range(10)],
    )
    assert call(upload_data, folder)[0] == 0
    return folder


@pytest.fixture
def fetch(call, tmp_path):
    """Return a function that returns all labels of the database, newest of each picture."""
    numbers = iter(range(100))

    def fetch():
        folder = tmp_path / f"fetched {next(numbers)}"
        code, _, err = call(search_and_download, "-p", folder)
        assert code == 0, err
        return list(label_file.read(folder / label_file.NAME).values())

    return fetch


def test_a_session_field_is_set_in_all_that_matches(call, drive, fetch):
    left = [label["img_id"] for label in fetch() if label["label"]["label_direction"] == 0]
    code, counts, err = call(edit_labels, *LEFT, "--set", "track=park", "-y")
    assert (code, counts["found"], counts["amended"]) == (0, len(left), len(left)), err
    assert 0 < len(left) < 10
    parked = [label for label in fetch() if label["track"] == "park"]
    assert [label["img_id"] for label in parked] == left
    assert {label["amended_by"] for label in parked} == {getpass.getuser()}
    code, counts, _ = call(edit_labels, *LEFT, "--set", "track=park")
    assert (code, counts["amended"], counts["unchanged"]) == (0, 0, len(left))


def test_counts_are_told_and_nothing_changes_before_a_yes(call, drive, fetch, home):
    before = fetch()
    code, counts, err = call(edit_labels, *EVERYTHING, "--set", "track=park")
    assert (code, counts) == (1, None)
    assert "direction  0:" in err
    assert "10 labels" in err
    assert "-y" in err
    for option in ("--set=track=park", "--delete"):
        code, counts, _ = call(edit_labels, *EVERYTHING, option, "--dry-run")
        assert code == 0
        assert counts["amended"] + counts["deleted"] == 10
    assert fetch() == before


def test_every_label_of_a_picture_is_set(call, drive, fetch, tmp_path):
    """Not only the newest, which a search shows."""
    file = tmp_path / "corrected.json"
    old = fetch()[0]
    new = edits.corrected(old, created_by="Bob", direction=4, speed=1, created_on=START)
    label_file.write(file, {new["img_id"]: new})
    assert call(upload_to_db, file, "-p", drive, "--keep-replaced", "-y")[1]["created"] == 1
    code, counts, _ = call(edit_labels, *EVERYTHING, "--set", "track=park", "-y")
    assert (code, counts["found"], counts["amended"]) == (0, 11, 11)


@pytest.mark.parametrize(
    ("text", "value"),
    [("2", 2), ("2.5", 2.5), ("true", True), ("rain", "rain"), ('"2"', "2"), ("[1, 2]", [1, 2])],
)
def test_the_value_of_a_custom_key_is_json_or_a_text(call, drive, fetch, text, value):
    assert call(edit_labels, *EVERYTHING, "--set", f"laps={text}", "-y")[0] == 0
    assert [label["laps"] for label in fetch()] == [value] * 10


def test_a_new_key_has_to_be_asked_for(call, drive, fetch):
    code, counts, err = call(edit_labels, *EVERYTHING, "--set", "lap=2", "-y")
    assert (code, counts) == (2, None)
    assert "laps" in err
    assert "--new-key" in err
    code, counts, _ = call(edit_labels, *EVERYTHING, "--set", "weather=rain", "--new-key", "-y")
    assert (code, counts["amended"]) == (0, 10)
    assert {label["weather"] for label in fetch()} == {"rain"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set", "label.label_direction=2"],
        ["--set", "img_id=x"],
        ["--set", "s3_key=x"],
        ["--set", "amended_by=x"],
        ["--set", "_id=x", "--new-key"],
        ["--set", "laps..x=1", "--new-key"],
        ["--set", 'laps={"a": 1}'],
        ["--set", "laps=1", "--set", "laps=2"],
        ["--set", "track=" + "x" * 40_000],
    ],
    ids=str,
)
def test_what_cannot_be_set_is_refused_before_anything_changes(call, drive, fetch, arguments):
    before = fetch()
    code, counts, err = call(edit_labels, *EVERYTHING, *arguments, "-y")
    assert (code, counts) == (2, None)
    assert len(err.splitlines()) <= 2
    assert fetch() == before


@pytest.mark.parametrize(
    "arguments",
    [["--set", "track"], ["--set", "=park"], ["--set", "track=park", "--delete"], []],
    ids=str,
)
def test_wrong_options_are_refused(call, arguments):
    with pytest.raises(SystemExit) as ended:
        call(edit_labels, *EVERYTHING, *arguments, "-y")
    assert ended.value.code == 2


def test_a_query_that_matches_nothing_or_asks_for_an_unknown_field_changes_nothing(call, drive):
    nothing = json.dumps({"track": {"type": "term", "value": "nowhere"}})
    code, counts, _ = call(edit_labels, "-q", nothing, "--delete", "-y")
    assert (code, counts["found"], counts["deleted"]) == (1, 0, 0)
    unknown = json.dumps({"trak": {"type": "term", "value": "park"}})
    code, _, err = call(edit_labels, "-q", unknown, "--delete", "-y")
    assert code == 2
    assert "track" in err


@pytest.mark.parametrize("option", [("--delete",), ("--set", "track=park")])
def test_a_query_of_skipped_clauses_alone_changes_nothing(call, drive, fetch, option):
    """As the search file to start with has them, before somebody has filled one in."""
    before = fetch()
    for query in (path.ROOT / "get_data/queries/search.json", '{"event": [{"type": ""}]}'):
        code, counts, err = call(edit_labels, "-q", query, *option, "-y")
        assert (code, counts) == (2, None), err
    assert fetch() == before


def test_a_value_that_no_search_compares_is_told_where_it_is_asked_for(call, home, tmp_path):
    call(upload_data, save(tmp_path / "drive", [document(0)]))
    assert call(edit_labels, *EVERYTHING, "--set", f"laps={'x' * 9000}", "--new-key", "-y")[0] == 0
    query = ["-q", '{"laps": {"type": "exists"}}', "--count"]
    code, counts, err = call(search_and_download, *query)
    assert (code, counts, "8,191" in err, "similar" in err) == (2, None, True, False)


def test_all_that_matches_is_deleted(call, drive, fetch):
    left = {label["img_id"] for label in fetch() if label["label"]["label_direction"] == 0}
    code, counts, err = call(edit_labels, *LEFT, "--delete")
    assert code == 1
    assert f"{len(left)} labels and {len(left)} pictures" in err
    code, counts, _ = call(edit_labels, *LEFT, "--delete", "-y")
    assert (code, counts["deleted"], counts["pictures_deleted"]) == (0, len(left), len(left))
    assert not left & {label["img_id"] for label in fetch()}
    assert call(upload_data, drive)[1]["gone"] == len(left)


def test_a_label_that_somebody_changes_meanwhile_is_left(call, tmp_path, home, monkeypatch):
    call(upload_data, save(tmp_path / "drive", [document(number) for number in range(3)]))
    replace = SqliteIndex.replace

    def overtaken(index, replacements):
        name = replacements[0].document["label_fingerprint"]
        stored = index.read([name])[name]
        replace(index, [Replacement({**stored.document, "comment": "theirs"}, stored.version)])
        return replace(index, replacements)

    monkeypatch.setattr(SqliteIndex, "replace", overtaken)
    code, counts, err = call(edit_labels, *EVERYTHING, "--set", "comment=mine", "-y")
    assert (code, counts["amended"], counts["failed"]) == (3, 2, 1)
    assert "failed: " in err


@pytest.mark.parametrize("option", [["--set", "comment=mine"], ["--delete"]], ids=str)
def test_what_changes_between_the_search_and_the_answer_stays(
    call, tmp_path, home, monkeypatch, option
):
    """A label amended, one corrected, one deleted, while the question is open."""
    folder = save(tmp_path / "drive", [document(number) for number in range(4)])
    call(upload_data, folder)
    fetched = tmp_path / "bob"
    call(search_and_download, "-p", fetched)
    first, second, third, _ = label_file.read(fetched / label_file.NAME).values()
    theirs = [
        first | {"track": "park"},
        edits.corrected(second, created_by="Bob", direction=4, speed=1, created_on=START),
        third | {"to_delete": True},
    ]
    label_file.write(fetched / label_file.NAME, {label["img_id"]: label for label in theirs})

    def answer(*_question, **_options):
        assert call(upload_to_db, fetched, "-y")[0] == 0

    monkeypatch.setattr(command, "ask", answer)
    code, counts, err = call(edit_labels, *EVERYTHING, *option)
    assert (code, counts["amended"] + counts["deleted"], counts["failed"]) == (3, 1, 3)
    assert err.count("meanwhile") >= 3
    call(search_and_download, "-p", tmp_path / "found")
    found = label_file.read(tmp_path / "found" / label_file.NAME)
    assert found[first["img_id"]]["track"] == "park"
    assert found[second["img_id"]]["label"]["label_direction"] == 4
    assert third["img_id"] not in found


def test_a_database_that_does_not_exist_yet_is_told(call, home):
    code, counts, err = call(edit_labels, *EVERYTHING, "--set", "track=park", "-y")
    assert (code, counts["found"]) == (1, 0)
    assert "nothing has been uploaded yet" in err
