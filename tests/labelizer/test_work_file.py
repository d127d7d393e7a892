"""The work file: operations saved once and whole, and files that are refused."""

import re
import sqlite3
from contextlib import closing
from dataclasses import asdict

import msgspec
import pytest

from common.errors import InputError, WriteFailed
from get_data import run_labelizer
from get_data.labelizer import work_file
from get_data.labelizer.work_database import WorkFileInUse
from get_data.labelizer.work_file import WorkFile
from get_data.labelizer.workspace import Workspace
from get_data.labels import label_file
from tests.browser.server import free_port
from tests.conftest import document, save
from tests.labelizer.helpers import make_operation, read_folder, save_operations


def test_an_operation_sent_twice_counts_once(workspace):
    epoch = workspace.take_lease("browser one", take_over=False)
    first = make_operation(1, direction=3, reviewed=1)
    second = make_operation(2, direction=4, reviewed=1)
    for batch in ([first], [first, second], [second], [first]):
        save_operations(workspace, epoch, *batch)
    assert [operation.uid for operation in workspace.work.history()] == [first.uid, second.uid]
    [decision] = workspace.work.decisions()
    assert (decision.direction, decision.changed_by) == (4, "Zoé")


def test_work_and_lease_survive_a_restart(folder):
    workspace = Workspace(read_folder(folder), "Zoé")
    epoch = workspace.take_lease("browser one", take_over=False)
    save_operations(workspace, epoch, make_operation(direction=3))
    name = workspace.work.name
    workspace.close()
    reopened = Workspace(read_folder(folder), "Ada")
    work = reopened.work
    assert (work.name, work.epoch, len(work.history())) == (name, epoch, 1)
    save_operations(reopened, epoch, make_operation(2, deleted=1))
    assert reopened.counts() == {
        "labels": 12,
        "reviewed": 1,
        "corrected": 0,
        "created": 0,
        "unlabelled": 0,
        "to_delete": 1,
    }
    reopened.close()


def test_work_on_entries_in_another_order_is_kept(tmp_path, monkeypatch):
    """An earlier version ordered entries by time alone, and mixed drives of the same time."""
    sessions = [f"20201231T15-45-00-000000-000{number}" for number in (0, 1)]
    labels = [document(number, session_id=sessions[number % 2]) for number in range(6)]
    folder = save(tmp_path / "drive", labels)
    with monkeypatch.context() as earlier:
        earlier.setattr("get_data.labelizer.catalogue.split_into_runs", lambda entries: [entries])
        with closing(Workspace(read_folder(folder), "Zoé")) as workspace:
            epoch = workspace.take_lease("browser one", take_over=False)
            first = make_operation(1, positions=[(1, 2), (4, 4)], direction=3, reviewed=1)
            values = msgspec.structs.replace(
                make_operation(2, positions=[(1, 3)], speed=1),
                set={"speed": [(0, 1), (1, 2)]},
                was={"speed": [(1, 3)]},
            )
            save_operations(workspace, epoch, first, values)
            before = edited_by_id(workspace)
            work = workspace.work.name
    with closing(Workspace(read_folder(folder), "Zoé")) as workspace:
        assert edited_by_id(workspace) == before
        assert [workspace.catalogue.ids.index(one["img_id"]) for one in labels] == [
            0,
            3,
            1,
            4,
            2,
            5,
        ]
        first, values = workspace.work.history()
        assert first.positions == [(1, 3)]
        assert values.positions == [(1, 1), (3, 4)]
        assert values.set["speed"] == [(1, 1), (0, 1), (1, 1)]
        # pages that were open before have other positions
        assert workspace.work.name != work
        work = workspace.work.name
    with closing(Workspace(read_folder(folder), "Zoé")) as workspace:
        assert (edited_by_id(workspace), workspace.work.name) == (before, work)


def edited_by_id(workspace):
    """Return what was decided about each picture."""
    rows = [asdict(decision) for decision in workspace.work.decisions()]
    return {row["img_id"]: {**row, "position": None} for row in rows}


def test_a_second_process_is_refused(folder, workspace):
    with pytest.raises(WorkFileInUse, match="another labelizer"):
        WorkFile(workspace.work.path)


def test_a_batch_with_an_invalid_operation_is_refused_as_a_whole(workspace):
    epoch = workspace.take_lease("browser one", take_over=False)
    invalid = make_operation(2, positions=[(0, 12)], direction=3)
    with pytest.raises(InputError, match="0 to 12"):
        save_operations(workspace, epoch, make_operation(1, direction=3), invalid)
    assert workspace.work.decisions() == []
    assert workspace.work.history() == []


def test_a_full_disk_is_reported_and_nothing_is_saved(workspace, monkeypatch):
    def raise_disk_full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    epoch = workspace.take_lease("browser one", take_over=False)
    with monkeypatch.context() as patch:
        patch.setattr(WorkFile, "_apply", raise_disk_full)
        with pytest.raises(WriteFailed, match=r"sqlite3.*database or disk is full"):
            save_operations(workspace, epoch, make_operation(direction=3))
    save_operations(workspace, epoch, make_operation(direction=3))
    assert len(workspace.work.history()) == 1


def create_foreign_database(file):
    """Create the database of some other program."""
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE x (y)")


@pytest.mark.parametrize(
    "create",
    [lambda file: file.write_bytes(b"no database" * 100), create_foreign_database],
    ids=["no database", "another program's"],
)
def test_a_file_of_another_kind_is_refused(folder, create):
    file = work_file.path_for(folder / label_file.NAME)
    create(file)
    before = file.read_bytes()
    with pytest.raises(InputError, match=f"{re.escape(str(file))}.* move it away"):
        Workspace(read_folder(folder), "Zoé")
    assert file.read_bytes() == before


def test_a_work_file_of_a_newer_version_is_refused(folder, call):
    Workspace(read_folder(folder), "Zoé").close()
    file = work_file.path_for(folder / label_file.NAME)
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA user_version = 99")
        database.execute("UPDATE layout SET oldest_writer = 99")
    database.close()
    code, _, err = call(run_labelizer, folder, "--port", free_port())
    assert code == 2
    for fact in (str(file), "newer version", "99"):
        assert fact in err


def test_an_empty_work_file_is_initialized_again(folder):
    work_file.path_for(folder / label_file.NAME).touch()
    workspace = Workspace(read_folder(folder), "Zoé")
    assert workspace.counts()["labels"] == 12
    workspace.close()
