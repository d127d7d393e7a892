"""Corrections and deletions that cannot be applied."""

import json

import pytest

from get_data import upload_data, upload_to_db
from get_data.cli import people
from tests.bad_input.rows import Row, as_params, correction, corrections, label_with, run
from tests.conftest import document, save

ROWS = [
    Row(
        "deletion in an upload",
        upload_data,
        ["drive"],
        2,
        ["correction", "upload_to_db.py"],
        label_with(to_delete=True),
    ),
    Row(
        "correction in an upload",
        upload_data,
        ["drive"],
        2,
        ["correction", "upload_to_db.py"],
        label_with(replaces="0" * 32),
    ),
    Row(
        "replaces a label of another picture",
        upload_to_db,
        ["drive", "-y"],
        2,
        ["replaces", "a label of"],
        correction(0, replaces=1),
    ),
    Row(
        "replaces labels of two pictures",
        upload_to_db,
        ["drive", "-y"],
        2,
        [f"entry '{document(0)['img_id']}': replaces", "a label of"],
        corrections((0, 1), (1, 1)),
    ),
    Row(
        "replaces a label of the same file",
        upload_to_db,
        ["new", "-y"],
        2,
        [f"entry '{document(90)['img_id']}': replaces", "a label of"],
        lambda workspace: save(
            workspace / "new",
            [document(90, replaces=document(91)["label_fingerprint"]), document(91)],
        ),
    ),
    Row(
        "no terminal to confirm on",
        upload_to_db,
        ["drive"],
        1,
        ["run with -y"],
        correction(0, replaces=0),
    ),
]


@pytest.mark.parametrize("row", as_params(ROWS))
def test_bad_input_gets_one_line_and_changes_nothing(row, assert_refused):
    assert_refused(row)


def test_a_user_without_a_login_name_can_apply_corrections(workspace, monkeypatch, capsys):
    def fail():
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(people.getpass, "getuser", fail)
    correction(0, replaces=0)(workspace)
    assert run(upload_to_db, ["drive", "-y"]) == 0
    assert json.loads(capsys.readouterr().out)["replaced"] == 1
