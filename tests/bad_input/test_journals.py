"""Journals of killed recordings that cannot be repaired."""

import json
import shutil

import pytest

from get_data import (
    check_database,
    contact_sheet,
    diff_sets,
    export_set,
    run_labelizer,
    upload_data,
    upload_to_db,
)
from get_data.labels import label_file
from get_data.recording import journal
from tests.bad_input.rows import (
    READERS,
    Prepare,
    Row,
    as_params,
    fifo,
    file_with,
    folder,
    killed_recording,
    run,
    without_permission,
)
from tests.conftest import document, save


def erased_labels(content: str) -> Prepare:
    """Erase the only picture of `killed`, with this content in `erased/labels.json`."""

    def prepare(workspace):
        file_with(f"killed/{journal.ERASED}/{label_file.NAME}", content)(workspace)
        lines = [document(0), {journal.ERASED: [document(0)["img_id"]]}]
        file_with("killed/labels.journal", "\n".join(map(json.dumps, lines)))(workspace)

    return prepare


def link_to_other_recording(name: str) -> Prepare:
    """Replace a file or folder of `killed` by a link to one of another recording."""

    def prepare(workspace):
        save(workspace / "other", [document(50)])
        (workspace / "other" / journal.NAME).write_text(json.dumps(document(0)) + "\n")
        (workspace / "other" / journal.DAMAGED_LABELS).write_text("{}")
        source = workspace / "killed" / name
        source.parent.mkdir(exist_ok=True)
        source.unlink(missing_ok=True)
        is_folder = name in (journal.ERASED, journal.DAMAGED_PICTURES)
        source.symlink_to(workspace / "other" / ("" if is_folder else source.name))

    return prepare


DAMAGED = f"killed/{journal.DAMAGED_LABELS}"

JOURNALS = [
    ("a folder", 1, folder("killed/labels.journal"), ["killed/labels.journal", "regular file"]),
    ("a pipe", 1, fifo("killed/labels.journal"), ["killed/labels.journal", "regular file"]),
    (
        "unreadable",
        1,
        without_permission("killed/labels.journal"),
        ["killed/labels.journal", "Permission"],
    ),
    *(
        (
            f"{name} is a link",
            2,
            link_to_other_recording(name),
            [f"killed/{name} is a link"],
        )
        for name in (
            *(journal.NAME, journal.ERASED, journal.DAMAGED_PICTURES, journal.DAMAGED_LABELS),
            *(label_file.NAME, f"{journal.ERASED}/{label_file.NAME}"),
        )
    ),
    (
        "labels.json is broken",
        2,
        file_with("killed/labels.json", "{"),
        ["killed/labels.json, line 1"],
    ),
    ("labels.json is a folder", 2, folder("killed/labels.json"), ["killed/labels.json is a folde"]),
    (
        "the list of damage is broken",
        2,
        file_with(DAMAGED, "{"),
        [f"{DAMAGED}, line 1, column 2", "move it away"],
    ),
    ("the list of damage is a list", 2, file_with(DAMAGED, "[]"), [DAMAGED, "move it away"]),
    (
        "damaged is a file",
        2,
        file_with(f"killed/{journal.DAMAGED_PICTURES}", ""),
        ["killed/damaged"],
    ),
    ("erased is a file", 2, file_with(f"killed/{journal.ERASED}", ""), ["killed/erased"]),
    ("the list of damage is a folder", 2, folder(DAMAGED), [f"{DAMAGED} is a folder"]),
    (
        "erased/labels.json is broken",
        2,
        erased_labels("{"),
        ["killed/erased/labels.json, line 1", "move it away"],
    ),
    (
        "erased/labels.json is a list",
        2,
        erased_labels("[]"),
        ["erased/labels.json: expected", "move it away"],
    ),
]

WAYS = {  # to read a killed recording, with and without repairing it
    **{script.__name__.rpartition(".")[2]: (script, ["killed"]) for script in READERS},
    "dry run": (upload_data, ["--dry-run", "killed"]),
    "diff_sets": (diff_sets, ["killed", "killed"]),
}

ROWS = [
    Row(
        f"journal: {name}, {way}",
        script,
        arguments,
        code,
        facts,
        killed_recording(document(0), then=prepare),
    )
    for name, code, prepare, facts in JOURNALS
    for way, (script, arguments) in WAYS.items()
]


@pytest.mark.parametrize("row", as_params(ROWS))
def test_bad_input_gets_one_line_and_changes_nothing(row, assert_refused):
    assert_refused(row)


REFUSED_FIRST = [
    Row(f"refused first: {name}", script, arguments, 2, facts, killed_recording(document(0)))
    for name, script, arguments, facts in [
        ("export inside", export_set, ["killed", "--format=csv", "-o", "killed/in"], ["killed/in"]),
        ("no second recording", upload_data, ["killed", "none"], ["none does not exist"]),
        ("none to check", check_database, ["killed", "none", "--repair"], ["none does not exist"]),
        ("no pictures", upload_data, ["killed", "-p", "none"], ["none is not a folder"]),
        ("no corrections", upload_to_db, ["killed/none.json"], ["killed/none.json"]),
        ("nothing to compare", run_labelizer, ["killed", "--compare", "none"], ["none does"]),
        ("no sheet", contact_sheet, ["killed", "-o", "killed/x.txt"], ["killed/x.txt"]),
    ]
]


@pytest.mark.parametrize("row", as_params(REFUSED_FIRST))
def test_a_wrong_argument_is_refused_before_a_killed_recording_is_repaired(row, assert_refused):
    assert_refused(row)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
@pytest.mark.parametrize("name", [journal.DAMAGED_LABELS, f"{journal.ERASED}/{label_file.NAME}"])
def test_a_recording_is_repaired_once_a_broken_list_is_moved_away(name, content, workspace, call):
    killed_recording(document(0), document(1), then=erased_labels("{}"))(workspace)
    file = workspace / "killed" / name
    file.write_bytes(content)
    code, _, err = call(upload_data, "killed")
    assert (code, f"killed/{name}" in err) == (2, True)
    file.rename(workspace / "away")
    assert call(upload_data, "killed")[0] == 0
    assert document(name == journal.DAMAGED_LABELS)["img_id"] in json.loads(file.read_text())


def test_a_session_key_that_the_journal_uses_loses_no_label(workspace, capsys):
    """`erased` is a key of the journal itself."""
    for number, value in enumerate(["", "no", False, ["x"]]):
        label = document(number, erased=value)
        save(workspace / "killed", [label])
        (workspace / "killed" / label_file.NAME).unlink()
        (workspace / "killed" / journal.NAME).write_text(json.dumps(label) + "\n")
        assert run(upload_data, ["killed"]) in (0, 3)
        assert list(label_file.read(workspace / "killed" / label_file.NAME)) == [label["img_id"]]
        shutil.rmtree(workspace / "killed")
