"""The exported label file."""

import json
import os
from contextlib import closing
from datetime import timedelta

import pytest

from common.errors import WriteFailed
from get_data.labelizer import work_file
from get_data.labelizer.catalogue import Flag, read_catalogue
from get_data.labelizer.export import SourceChanged, export
from get_data.labelizer.work_file import WorkFile
from get_data.labelizer.workspace import Workspace
from get_data.labels import ids, label_file
from tests.browser.drives import img_id
from tests.conftest import START
from tests.labelizer.helpers import edit_label_file, make_operation, read_folder, save_operations


def test_an_export_without_edits_is_byte_for_byte_the_source(workspace):
    result = export(workspace.catalogue, workspace.work, now=START)
    assert result.file.read_bytes() == workspace.catalogue.labels.read_bytes()
    assert (result.untouched, result.corrected, result.left_out) == (12, 0, [])


def export_unedited(labels, now):
    """Export a label file without any edit."""
    catalogue = read_catalogue(labels, labels.parent)
    work = WorkFile(work_file.path_for(labels))
    work.initialize(catalogue)
    result = export(catalogue, work, now=now)
    work.close()
    return result.file


def test_unknown_keys_and_spelling_are_preserved(folder):
    text = (folder / label_file.NAME).read_text()
    odd = text.replace('"event":"test day"', '"our key":[1.50,"\\u00e9 \\/",1e2],"event":"x"')
    (folder / label_file.NAME).write_text(json.dumps(json.loads(odd), indent=2))
    (folder / "odd.json").write_text(odd)
    assert export_unedited(folder / "odd.json", START).read_text() == odd
    indented = folder / label_file.NAME
    lines = export_unedited(indented, START + timedelta(1)).read_bytes().splitlines()
    assert len(lines) == 14  # one entry a line
    assert json.loads(b"".join(lines)) == json.loads(odd)


def test_a_deletion_overrides_other_edits_and_keeps_the_old_label(workspace):
    epoch = workspace.take_lease("browser one", take_over=False)
    edit = make_operation(1, positions=[(2, 3)], direction=0, reviewed=1, deleted=1)
    save_operations(workspace, epoch, edit)
    source = label_file.read(workspace.catalogue.labels)
    labels = label_file.read(workspace.export().file)
    for number in (2, 3):
        assert labels[img_id(number)] == {**source[img_id(number)], "to_delete": True}


def test_the_command_of_a_model_is_not_by_a_person(folder):
    def by_model(labels):
        labels[0]["label"]["created_by"] = "pilot"

    edit_label_file(folder, by_model)
    with closing(Workspace(read_folder(folder), "Zoé")) as workspace:
        assert not workspace.catalogue.flags[0] & Flag.PERSON


def test_a_confirmation_of_ones_own_label_replaces_nothing(folder):
    """The fingerprint is the same: Zoé confirms Zoé's label, which must not replace itself."""

    def by_zoe(labels):
        labels[0]["label"]["created_by"] = "Zoé"
        labels[0]["label_fingerprint"] = ids.fingerprint(img_id(0), labels[0]["label"])

    edit_label_file(folder, by_zoe)
    workspace = Workspace(read_folder(folder), "Zoé")
    assert workspace.catalogue.flags[0] & Flag.PERSON
    epoch = workspace.take_lease("browser one", take_over=False)
    save_operations(workspace, epoch, make_operation(reviewed=1))
    exported = label_file.read(workspace.export().file)
    workspace.close()
    assert "replaces" not in exported[img_id(0)]


def test_a_modified_source_is_not_exported(workspace):
    workspace.catalogue.labels.write_bytes(workspace.catalogue.labels.read_bytes() + b"\n")
    assert workspace.is_source_changed()
    with pytest.raises(SourceChanged, match=r"labels\.json"):
        workspace.export()
    assert list(workspace.catalogue.folder.glob("labels_*")) == []
    assert list(workspace.catalogue.folder.glob(".labels_*")) == []


def test_the_export_has_an_absolute_path(folder, monkeypatch):
    """The command that applies it works from any folder."""
    monkeypatch.chdir(folder.parent)
    workspace = Workspace(read_folder(type(folder)(folder.name)), "Zoé", now=lambda: START)
    assert workspace.export().file.parent == folder
    workspace.close()


def test_a_failed_export_leaves_no_file(workspace, monkeypatch):
    def raise_no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", raise_no_space)
    with pytest.raises(WriteFailed, match="No space left on device"):
        workspace.export()
    assert list(workspace.catalogue.folder.glob("*labels_*")) == []


def test_an_incomplete_label_is_left_out(folder):
    edit_label_file(folder, lambda labels: labels[1].pop("label"))
    workspace = Workspace(read_folder(folder), "Zoé")
    epoch = workspace.take_lease("browser one", take_over=False)
    edit = make_operation(positions=[(1, 1)], direction=2, reviewed=1)
    save_operations(workspace, epoch, edit)
    result = workspace.export()
    [left_out] = result.left_out
    assert left_out.img_id == img_id(1)
    assert "speed" in left_out.reason
    assert img_id(1) not in label_file.read(result.file)
    workspace.close()
