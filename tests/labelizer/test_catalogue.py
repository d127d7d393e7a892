"""The catalogue: a label file and its pictures as columns."""

import json
import os
import urllib.request

import pytest

from get_data.labelizer import work_file
from get_data.labelizer.catalogue import Flag
from get_data.labelizer.workspace import Workspace
from get_data.labels import ids, label_file
from tests.browser.drives import drive, img_id, picture
from tests.browser.server import running
from tests.conftest import document, save
from tests.labelizer.helpers import make_operation, read_folder, save_operations


def test_entries_are_ordered_by_time(tmp_path):
    """Even where names sort otherwise, such as 999.jpg and 1000.jpg."""
    labels = {}
    for number, name in enumerate(["998", "999", "1000", "1001"]):
        label = document(number)
        label["img_id"] = name
        label["label_fingerprint"] = ids.fingerprint(name, label["label"])
        labels[name] = label
    label_file.write(tmp_path / label_file.NAME, labels)
    assert read_folder(tmp_path).ids == ["998", "999", "1000", "1001"]


def test_the_raw_entry_is_byte_for_byte_that_of_the_file(folder):
    text = json.dumps(json.loads((folder / label_file.NAME).read_text()), indent=3)
    (folder / label_file.NAME).write_text(
        "\ufeff" + text.replace("test day", "Zo\u00e9 \U0001f697")
    )
    catalogue = read_folder(folder)
    for position in (0, 5, 11):
        label = json.loads(catalogue.raw(position))
        assert label["img_id"] == img_id(position)
        assert label["event"] == "Zo\u00e9 \U0001f697"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_name_that_is_not_utf_8_is_shown_with_replacement_characters(tmp_path, kind):
    """Linux allows any bytes in a name; old camera cards have such names."""
    name = os.fsdecode(b"caf\xe9")
    folder = drive(tmp_path / (name if kind == "folder" else "drive"))
    if kind == "file":
        (folder / f"{name}.jpg").write_bytes(picture(1))
    with running(folder) as labelizer:
        headers, _ = labelizer.enter()
        request = urllib.request.Request(f"{labelizer.origin}/api/entries", headers=headers)
        entries = json.loads(urllib.request.urlopen(request).read())
    shown = (
        entries["folder"]
        if kind == "folder"
        else entries["problems"]["misnamed"]["first"][0]["name"]
    )
    assert "caf\ufffd" in shown
    workspace = Workspace(read_folder(folder), "Zoé")
    epoch = workspace.take_lease("browser one", take_over=False)
    save_operations(workspace, epoch, make_operation(direction=3))
    assert workspace.export().corrected == 1
    workspace.close()


def test_no_work_file_is_created_when_the_entries_cannot_be_encoded(folder, monkeypatch):
    monkeypatch.setattr(
        "get_data.labelizer.workspace._entries_for_page", lambda *_: {"odd": "\ud800"}
    )
    with pytest.raises(UnicodeEncodeError):
        Workspace(read_folder(folder), "Zoé")
    assert not work_file.path_for(folder / label_file.NAME).exists()


def test_a_pause_starts_a_new_run(tmp_path):
    save(tmp_path / "drive", [document(number) for number in (0, 1, 2, 50, 51, 100)])
    flags = read_folder(tmp_path / "drive").flags
    starts = [position for position, flag in enumerate(flags) if flag & Flag.RUN_START]
    assert starts == [0, 3, 5]


def test_drives_recorded_at_the_same_time_are_runs_of_their_own(tmp_path):
    sessions = [f"20201231T15-45-00-000000-000{number}" for number in (0, 1)]
    labels = [document(number, session_id=sessions[number % 2]) for number in (*range(6), 50, 52)]
    catalogue = read_folder(save(tmp_path / "drive", labels))
    first = [one["img_id"] for one in labels if one["session_id"] == sessions[0]]
    second = [one["img_id"] for one in labels if one["session_id"] == sessions[1]]
    assert catalogue.ids == first + second
    starts = [position for position, flag in enumerate(catalogue.flags) if flag & Flag.RUN_START]
    assert starts == [0, 3, 5]  # the first drive has a pause


def test_links_are_followed_within_the_folder_only(folder, tmp_path):
    (tmp_path / "outside.jpg").write_bytes(picture(0))
    for number, target in ((1, f"{img_id(0)}.jpg"), (2, "../outside.jpg"), (3, f"{img_id(3)}.jpg")):
        (folder / f"{img_id(number)}.jpg").unlink()
        (folder / f"{img_id(number)}.jpg").symlink_to(target)
    catalogue = read_folder(folder)
    assert catalogue.picture(1) == (folder / f"{img_id(0)}.jpg").resolve()
    assert catalogue.picture(2) is None
    assert catalogue.picture(3) is None  # a link to itself
    missing = [position for position, flag in enumerate(catalogue.flags) if flag & Flag.MISSING]
    assert missing == [2, 3]


def test_the_version_changes_with_any_picture(folder):
    before = read_folder(folder).version
    assert read_folder(folder).version == before
    (folder / f"{img_id(3)}.jpg").write_bytes(picture(77))
    assert read_folder(folder).version != before
