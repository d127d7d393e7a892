"""Corrections meant for another database, and those of two people who corrected the same."""

import json
import sys
from datetime import UTC, datetime, timedelta

import pytest

import path
from get_data import search_and_download, upload_data, upload_to_db
from get_data.labels import edits, label_file
from tests.conftest import document, save
from tests.helpers import terminal


@pytest.fixture(params=["local", pytest.param("team", marks=pytest.mark.servers)])
def database(request, home, monkeypatch):
    """The name of an empty database of each kind, that the environment leads to."""
    if request.param == "local":
        return str(home / "database")
    environment = request.getfixturevalue("reused_team_environment")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return f"{environment['PATATE_ES_URL']}/{environment['PATATE_ES_INDEX']}"


def wish(folder, numbers, *, by="Ada", direction=0, delete=(), later_s=0):
    """A folder with a recording's pictures, and corrections and deletions of them."""
    save(folder, [document(number) for number in (*numbers, *delete)])
    on = datetime.now(UTC) + timedelta(seconds=later_s)
    labels = {}
    for number in numbers:
        new = edits.corrected(
            document(number), created_by=by, direction=direction, speed=1, created_on=on
        )
        labels[new["img_id"]] = new
    for number in delete:
        labels[document(number)["img_id"]] = document(number) | {"to_delete": True}
    label_file.write(folder / label_file.NAME, labels)
    return folder


def contents(call, folder):
    """The labels that a search finds."""
    code, counts, err = call(search_and_download, "-p", folder)
    assert code == 0, err
    return label_file.read(folder / label_file.NAME), counts["other_labels"]


@pytest.mark.parametrize(
    ("numbers", "delete"), [(range(5), ()), ((), range(3)), (range(3), range(3, 5))]
)
@pytest.mark.parametrize("options", [[], ["-y"], ["-y", "--keep-replaced"]], ids=str)
def test_a_file_for_another_database_is_refused_with_counts(
    call, tmp_path, database, numbers, delete, options
):
    call(upload_data, save(tmp_path / "another", [document(number) for number in range(20, 24)]))
    file = wish(tmp_path / "wish", numbers, delete=delete)
    before = contents(call, tmp_path / "found")
    code, counts, err = call(upload_to_db, file, *options)
    assert (code, counts) == (1, None)
    named = len(numbers) + len(delete)
    (refused,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert f"{named} of the {named} " in refused
    assert database in refused
    assert contents(call, tmp_path / "found") == before
    assert call(upload_to_db, file, "--dry-run")[0] == 0


def test_partly_absent_labels_are_reported_and_applied(call, tmp_path, database):
    call(upload_data, save(tmp_path / "drive", [document(number) for number in range(3)]))
    file = wish(tmp_path / "wish", range(2), delete=(2, 9))
    code, counts, err = call(upload_to_db, file, "-y")
    assert (code, counts["replaced"], counts["deleted"], counts["absent"]) == (0, 2, 1, 1)
    assert [line for line in err.splitlines() if "Not in the database: 1 label" in line]
    assert database in err


def test_a_file_that_was_applied_is_not_taken_for_one_of_another_database(call, tmp_path, database):
    call(upload_data, save(tmp_path / "drive", [document(number) for number in range(4)]))
    file = wish(tmp_path / "wish", range(2), delete=(2, 3))
    call(upload_to_db, file, "-y")
    code, counts, err = call(upload_to_db, file)
    assert (code, counts["created"], counts["replaced"], counts["deleted"]) == (0, 0, 0, 0)
    assert (counts["there"], counts["absent"]) == (2, 4)
    assert "meanwhile" not in err


@pytest.mark.parametrize(("text", "code"), [("n\n", 1), ("y\n", 0)])
def test_on_a_terminal_the_wrong_database_is_asked_about_even_with_yes(
    call, tmp_path, home, text, code
):
    file = wish(tmp_path / "wish", range(3))
    done, said = terminal.run(
        [sys.executable, path.ROOT / "get_data/upload_to_db.py", file, "-y"], typed=text
    )
    assert done == code
    (question,) = [line for line in said.splitlines() if "[y/N]" in line]
    assert "3 of the 3" in question
    assert str(home / "database") in question
    if code == 0:
        assert len(contents(call, tmp_path / "found")[0]) == 3


def test_the_question_names_the_database(call, tmp_path, database):
    call(upload_data, save(tmp_path / "drive", [document(0)]))
    code, _, err = call(upload_to_db, wish(tmp_path / "wish", [0]))
    assert code == 1
    (refused,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert database in refused


@pytest.fixture
def two_people(call, tmp_path):
    """Ada corrected 0 to 2 and deleted 3; Bob's folder corrects 1 to 4, later, and deletes 0."""
    call(upload_data, save(tmp_path / "drive", [document(number) for number in range(6)]))
    ada = wish(tmp_path / "ada", range(3), delete=[3])
    assert call(upload_to_db, ada, "-y")[0] == 0
    return wish(tmp_path / "bob", range(1, 5), by="Bob", direction=4, delete=[0], later_s=5)


def test_overtaken_corrections_are_counted(call, tmp_path, database, two_people):
    code, _, err = call(upload_to_db, two_people)
    assert code == 1  # there is a question, and nobody to answer it
    corrected, deleted, kept = [line for line in err.splitlines() if "meanwhile" in line]
    assert "2 pictures" in corrected
    assert "1 picture;" in deleted
    assert "1 picture;" in kept
    code, counts, err = call(upload_to_db, two_people, "-y")
    assert (code, counts["created"], counts["replaced"]) == (0, 4, 1)
    assert "meanwhile" in err
    labels, others = contents(call, tmp_path / "found")
    assert others == 2
    by = {number: labels[document(number)["img_id"]]["label"]["created_by"] for number in range(6)}
    assert by == {0: "Ada", 1: "Bob", 2: "Bob", 3: "Bob", 4: "Bob", 5: "auto"}
    code, counts, err = call(upload_to_db, two_people)
    assert (code, counts["created"], counts["there"]) == (0, 0, 4)
    assert not [line for line in err.splitlines() if line.startswith("Corrected meanwhile")]


def test_overtaken_corrections_may_be_skipped(call, tmp_path, database, two_people):
    planned = call(upload_to_db, two_people, "--skip-overtaken", "--dry-run")[1]
    code, counts, _ = call(upload_to_db, two_people, "-y", "--skip-overtaken")
    assert (code, counts) == (0, planned)
    assert (counts["created"], counts["replaced"]) == (1, 1)
    labels, others = contents(call, tmp_path / "found")
    assert others == 0
    assert len(labels) == 5
    assert json.dumps(labels).count('"Bob"') == 1
