"""A modified label file: the work is archived, and decisions are carried over."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from common import times
from common.errors import WriteFailed
from get_data.labelizer import work_file
from get_data.labelizer.export import SourceChanged
from get_data.labelizer.work_file import LeaseLost, WorkFile
from get_data.labelizer.workspace import Workspace
from get_data.labels import label_file
from tests.browser.drives import document as recorded_document
from tests.browser.drives import img_id, picture
from tests.conftest import START
from tests.labelizer.helpers import edit_label_file, make_operation, read_folder, save_operations


@pytest.fixture
def outdated(folder):
    """A workspace with one decision, made before the label file was modified."""
    workspace = Workspace(read_folder(folder), "Zoé", now=lambda: START)
    epoch = workspace.take_lease("browser one", take_over=False)
    save_operations(workspace, epoch, make_operation(direction=3))
    workspace.close()
    edit_label_file(folder, lambda labels: labels[5].update(event="another day"))
    workspace = Workspace(read_folder(folder), "Zoé", now=lambda: START)
    yield workspace
    workspace.close()


def counts_of(workspace):
    """How many labels had been worked on, are applied, can be carried over, and are lost."""
    outdated = workspace.state()["outdated"]
    return outdated.decided, outdated.applied, outdated.carried, outdated.lost


def test_the_epoch_continues_in_a_new_work_file(folder):
    """Otherwise a page of the old one could write into it."""
    workspace = Workspace(read_folder(folder), "Zoé")
    old = workspace.take_lease("browser one", take_over=False)
    workspace.close()
    edit_label_file(folder, lambda labels: labels[5].update(event="another day"))
    workspace = Workspace(read_folder(folder), "Zoé")
    assert workspace.is_outdated
    assert counts_of(workspace) == (0, 0, 0, 0)
    workspace.reopen("anew", old)
    assert not workspace.is_outdated
    with pytest.raises(LeaseLost, match=f"lease {old} "):
        save_operations(workspace, old, make_operation(direction=3))
    assert workspace.take_lease("browser one", take_over=False) > old
    workspace.close()


def test_only_the_holder_of_the_lease_can_reopen(outdated):
    first = outdated.take_lease("browser one", take_over=False)
    second = outdated.take_lease("browser two", take_over=True)
    with pytest.raises(LeaseLost, match=f"lease {first} "):
        outdated.reopen("anew", first)
    outdated.reopen("carry", second)
    assert outdated.counts()["corrected"] == 1


def test_reopening_works_once(outdated):
    """A page that still offers it cannot discard the work done since."""
    outdated.reopen("carry", outdated.take_lease("browser one", take_over=False))
    epoch = outdated.take_lease("browser one", take_over=False)
    save_operations(outdated, epoch, make_operation(2, positions=[(7, 7)], direction=0))
    with pytest.raises(LeaseLost, match="already"):
        outdated.reopen("anew", epoch)
    assert outdated.counts()["corrected"] == 2


def test_a_work_file_with_a_pending_log_is_not_archived(outdated):
    """Renaming the file alone would lose what is still in SQLite's log."""
    epoch = outdated.take_lease("browser one", take_over=False)
    before = outdated.state()
    with closing(sqlite3.connect(outdated.work.path)) as reader:
        reader.execute("SELECT * FROM fact").fetchall()
        with pytest.raises(WriteFailed, match="sqlite3-wal"):
            outdated.reopen("carry", epoch)
        assert outdated.state() == before
    outdated.reopen("carry", epoch)
    assert outdated.counts()["corrected"] == 1


@pytest.mark.parametrize("step", ["archive", "initialize", "carry"])
def test_a_failed_reopening_leaves_the_work_unchanged(outdated, monkeypatch, step):
    epoch = outdated.take_lease("browser one", take_over=False)
    before = outdated.state()

    def raise_no_space(*_, **__):
        raise OSError(28, "No space left on device")

    def raise_write_failed(*_, **__):
        raise WriteFailed("the disk is full")

    with monkeypatch.context() as patch:
        if step == "archive":
            patch.setattr(work_file.Path, "rename", raise_no_space)
        else:
            patch.setattr(WorkFile, step, raise_write_failed)
        with pytest.raises(WriteFailed):
            outdated.reopen("carry", epoch)
    assert outdated.state() == before
    save_operations(outdated, epoch, make_operation(2, positions=[(7, 7)], direction=0))
    assert len(list(outdated.catalogue.folder.glob("*.sqlite3"))) == 1
    outdated.reopen("carry", epoch)
    assert outdated.counts()["corrected"] == 2


def test_decisions_are_carried_over_with_their_authors(folder):
    workspace = Workspace(read_folder(folder), "Ada", now=lambda: START)
    epoch = workspace.take_lease("browser one", take_over=False)
    for number in range(4):
        edit = make_operation(number, positions=[(number, number)], direction=3, reviewed=1)
        save_operations(workspace, epoch, edit)
    workspace.close()
    added = recorded_document(100, picture(100))
    labels = label_file.read(folder / label_file.NAME)
    del labels[img_id(0)]
    labels[img_id(1)] = recorded_document(1, picture(1), steering=0.9)
    labels[added["img_id"]] = added
    label_file.write(folder / label_file.NAME, labels)
    workspace = Workspace(read_folder(folder), "Zoé", now=lambda: START + timedelta(days=1))
    assert counts_of(workspace) == (4, 0, 2, 2)
    with pytest.raises(SourceChanged):
        workspace.export()
    archived = workspace.reopen("carry", workspace.work.epoch)
    carried = workspace.work.decisions()
    assert [(each.img_id, each.position, each.changed_by) for each in carried] == [
        (img_id(2), 2, "Ada"),
        (img_id(3), 3, "Ada"),
    ]
    assert {decision.changed_on for decision in carried} == {times.format_time(START)}
    assert [operation.kind for operation in workspace.work.history()] == ["carry"]
    with sqlite3.connect(archived) as old:
        assert old.execute("SELECT count(*) FROM operation").fetchone() == (4,)
    old.close()
    workspace.close()
