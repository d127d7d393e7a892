"""After corrections were applied and fetched again: the next round."""

from contextlib import closing

import pytest

from get_data import search_and_download, upload_data, upload_to_db
from get_data.labelizer.catalogue import Flag
from get_data.labelizer.unexported import find_unexported
from get_data.labelizer.workspace import Workspace
from get_data.labels import ids, label_file
from tests.browser.drives import document, drive, img_id, picture
from tests.conftest import START
from tests.labelizer.helpers import (
    edit_label_file,
    make_operation,
    read_folder,
    save_operations,
    set_label,
)


def open_folder(folder, user="Zoé"):
    return closing(Workspace(read_folder(folder), user, now=lambda: START))


def start_next_round(workspace, mode="carry"):
    workspace.reopen(mode, workspace.take_lease("browser one", take_over=True))


def summary(workspace):
    found = workspace.state()["outdated"]
    return found.applied, found.deleted, found.carried, found.lost, found.kept


@pytest.fixture
def applied(tmp_path, call):
    """A fetched folder whose corrections were applied, and which was fetched again.

    0: class; 1: confirmed; 2: value in its class; 3: moved without a review; 4: deleted; 5: a new
    label; 6 stays as it is.
    """
    recording = drive(tmp_path / "recording", 7)
    labels = label_file.read(recording / label_file.NAME)
    del labels[img_id(5)]
    label_file.write(recording / label_file.NAME, labels)
    call(upload_data, recording)
    folder = tmp_path / "training"
    call(search_and_download, "-p", folder)
    (folder / f"{img_id(5)}.jpg").write_bytes(picture(5))
    with open_folder(folder) as workspace:
        set_label(workspace, 0, direction=4)
        set_label(workspace, 1, number=2)
        set_label(workspace, 2, number=3, steering=0.05)
        set_label(workspace, 3, number=4, direction=1, reviewed=0)
        set_label(workspace, 4, number=5, deleted=1, reviewed=0)
        set_label(workspace, 5, number=6, direction=0, speed=0)
        exported = workspace.export().file
    assert call(upload_to_db, exported, "-p", folder, "-y")[0] == 0
    assert call(search_and_download, "-p", folder)[0] == 0
    return folder


def test_applied_corrections_are_told_and_reviews_are_kept(applied):
    edit_label_file(applied, lambda labels: labels[1].update(dataset=["spring"]))
    with open_folder(applied) as workspace:
        assert summary(workspace) == (6, 1, 0, 0, 4)
        start_next_round(workspace)
        state = workspace.state()
        assert (state["round"].applied, state["round"].kept) == (6, 4)
        assert (applied / state["round"].archive).exists()
        assert state["history"] == []
        names = workspace.catalogue.ids
        reviewed = {
            names[at] for at, on in zip(state["positions"], state["reviewed"], strict=True) if on
        }
        assert reviewed == {img_id(number) for number in (0, 1, 2, 5)}
        # the picture of the deleted label is still in the folder, and does not wait for a new one
        deleted = names.index(img_id(4))
        assert workspace.catalogue.flags[deleted] & Flag.UNLABELLED
        assert deleted in state["settled"]
        # none of it is exported once more
        source = label_file.read(applied / label_file.NAME)
        assert label_file.read(workspace.export().file) == source


def test_settled_labels_count_once(applied):
    """The second round has its own corrections; the third still keeps what the first reviewed."""
    with open_folder(applied) as workspace:
        start_next_round(workspace)
        set_label(workspace, 6, number=11, direction=0)
        first = make_operation(12, positions=[(0, 0)], direction=0)
        save_operations(workspace, workspace.work.epoch, first)
        result = workspace.export()
        assert (result.corrected, result.confirmed, result.untouched) == (2, 0, 4)
    edit_label_file(applied, lambda labels: labels[1].update(event="fair"))
    with open_folder(applied) as workspace:
        assert summary(workspace) == (0, 0, 2, 0, 3)
        start_next_round(workspace)
        assert workspace.counts()["reviewed"] == 6  # the deletion too
        assert len(workspace.state()["settled"]) == 4


def test_a_label_that_somebody_else_has_changed_is_not_reviewed_any_more(applied):
    by_ada = document(1, picture(1), steering=0.9)
    labels = label_file.read(applied / label_file.NAME)
    label_file.write(applied / label_file.NAME, {**labels, img_id(1): by_ada})
    with open_folder(applied) as workspace:
        assert summary(workspace) == (5, 1, 0, 1, 3)
        start_next_round(workspace)
        state = workspace.state()
        assert workspace.catalogue.ids.index(img_id(1)) not in state["positions"]


def test_the_same_classes_by_somebody_else_are_no_correction_of_ones_own(applied):
    def by_ada(labels):
        labels[0]["label"]["created_by"] = "Ada"
        labels[0]["label_fingerprint"] = ids.fingerprint(img_id(0), labels[0]["label"])

    edit_label_file(applied, by_ada)
    with open_folder(applied) as workspace:
        assert summary(workspace) == (5, 1, 0, 1, 3)


def test_a_new_start_keeps_no_review(applied):
    with open_folder(applied) as workspace:
        start_next_round(workspace, "anew")
        state = workspace.state()
        assert (state["round"], state["settled"], state["positions"]) == (None, [], [])


def test_an_export_that_became_the_label_file_has_the_corrections(folder):
    with open_folder(folder) as workspace:
        set_label(workspace, 0, direction=4)
        set_label(workspace, 1, number=2, deleted=1, reviewed=0)
        workspace.export().file.replace(folder / label_file.NAME)
    with open_folder(folder) as workspace:
        assert summary(workspace) == (2, 0, 0, 0, 1)


def test_what_is_settled_does_not_keep_pictures_on_this_machine(applied):
    with open_folder(applied) as workspace:
        start_next_round(workspace)
    assert find_unexported(applied, []) == set()
    with open_folder(applied) as workspace:
        set_label(workspace, 0, number=9, direction=0)
    assert find_unexported(applied, []) == {img_id(0)}
