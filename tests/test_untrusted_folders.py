"""A folder that somebody else made may be read, and nothing outside it changes.

What a repair, a recording and each script refuse by name has its rows in `tests/bad_input`, too.
"""

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from common import links
from common.errors import InputError
from get_data import (
    check_database,
    check_set,
    contact_sheet,
    diff_sets,
    freeze_set,
    run_labelizer,
    run_manual,
    search_and_download,
    upload_data,
    upload_to_db,
    write_label_template,
)
from get_data.commands import contact_sheet as drawing
from get_data.labelizer import catalogue, work_file
from get_data.labelizer.work_file import WorkFile
from get_data.labels import label_file, session
from get_data.labels.classes import Classes
from get_data.quality import thumbnails
from get_data.recording import journal, merge
from get_data.recording.recorder import Recorder
from tests.conftest import document, picture, save
from tests.helpers.folders import snapshot
from tests.helpers.permissions import permissions_enforced

NUMBERS = range(3)


@pytest.fixture
def theirs(tmp_path) -> Path:
    """Somebody else's recording, which no name of ours may lead into."""
    return save(tmp_path / "theirs", [document(50), document(51)])


@pytest.fixture
def killed(tmp_path) -> Path:
    """What a killed recording left: three labels, of which one was erased, and a torn line."""
    folder = save(tmp_path / "killed", [document(number) for number in NUMBERS])
    (folder / label_file.NAME).unlink()
    lines = [document(number) for number in NUMBERS]
    lines.append({journal.ERASED: [document(2)["img_id"]]})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / journal.NAME).write_text(text + '{"img_id": "20')
    return folder


READ_ONLY = {  # script, options, key of the number of new labels
    "upload_data": (upload_data, ["--dry-run"], "created"),
    "upload_to_db": (upload_to_db, ["--dry-run"], "created"),
    "check_database": (check_database, [], "not_uploaded"),
}
read_only = pytest.mark.parametrize(("script", "options", "key"), READ_ONLY.values(), ids=READ_ONLY)


def new_labels(answer, key):
    """Return how many labels a script has counted as new."""
    return answer.get("found", answer)[key]


# --- links


@pytest.mark.parametrize("inside", [journal.ERASED, journal.DAMAGED_PICTURES, journal.NAME])
@pytest.mark.parametrize("leads_to", ["theirs", "nowhere"])
def test_a_recording_does_not_begin_where_a_link_would_lead_it_away(
    inside, leads_to, theirs, tmp_path, call
):
    """The driver erases with X while the wheels turn: too late to find a link then."""
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / inside).symlink_to(tmp_path / leads_to, target_is_directory=True)
    before = snapshot(tmp_path)
    code, _, err = call(
        run_manual, "-o", folder, "--simulate", "--duration", "0.2", "--event", "", "--driver", ""
    )
    assert code == 2
    assert f"{folder / inside} is a link" in err
    assert snapshot(tmp_path) == before
    with pytest.raises(InputError, match="is a link"):
        Recorder(folder, session={}, car_setting={}, classes=Classes(), jpeg_quality=90)


RECORDING_FILES = [session.NAME, label_file.NAME, journal.DAMAGED_LABELS]  # besides the journal


@pytest.mark.parametrize("inside", RECORDING_FILES)
@pytest.mark.parametrize("leads_to", ["theirs", "nowhere"])
def test_a_recording_does_not_begin_where_it_would_write_through_a_link(
    inside, leads_to, theirs, tmp_path, call
):
    (theirs / journal.DAMAGED_LABELS).write_text("{}")
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / inside).symlink_to(tmp_path / leads_to / inside)
    before = snapshot(tmp_path)
    code, _, err = call(run_manual, "-o", folder, "--simulate", "--duration", "0.2", "--event", "")
    assert code == 2
    assert f"{folder / inside} is a link" in err
    assert snapshot(tmp_path) == before


def test_a_link_that_takes_a_folders_place_meanwhile_is_not_followed(killed, theirs):
    """What is moved goes through the folder that was looked at, not through its name."""
    with links.open_folder(killed, "") as recording:
        (killed / journal.ERASED).mkdir()
        with links.open_folder(killed, journal.ERASED) as erased:
            shutil.move(killed / journal.ERASED, killed / "moved away")
            (killed / journal.ERASED).symlink_to(theirs)
            name = document(0)["file_name"]
            os.rename(name, name, src_dir_fd=recording, dst_dir_fd=erased)
    assert (killed / "moved away" / name).exists()
    assert not (theirs / name).exists()
    with pytest.raises(InputError, match="is a link"), links.open_folder(killed, journal.ERASED):
        pass


@read_only
@pytest.mark.parametrize("inside", [journal.ERASED, journal.DAMAGED_PICTURES])
@pytest.mark.parametrize("leads_to", ["theirs", "nowhere"])
def test_a_read_only_script_refuses_the_links_that_a_repair_refuses(
    script, options, key, inside, leads_to, killed, theirs, tmp_path, call
):
    """Regression: a dry run on a colleague's folder wrote into another recording."""
    (killed / inside).symlink_to(tmp_path / leads_to)
    before = snapshot(tmp_path)
    code, _, err = call(script, killed, *options)
    assert code == 2
    assert f"{killed / inside} is a link" in err
    assert snapshot(tmp_path) == before


@read_only
@pytest.mark.parametrize("leads_to", ["theirs", "nowhere"])
def test_a_read_only_script_changes_nothing_behind_a_picture_that_is_a_link(
    script, options, key, leads_to, killed, theirs, tmp_path, call
):
    name = document(1)["file_name"]
    (killed / name).unlink()
    (killed / name).symlink_to(tmp_path / leads_to / document(50)["file_name"])
    before = snapshot(tmp_path)
    code, answer, _ = call(script, killed, *options)
    is_read = script is not check_database  # which compares labels alone
    assert new_labels(answer, key) == (1 if is_read else 2)
    if is_read:
        assert (code, answer["failed"]) == (3, 1)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("leads_to", ["precious", "nowhere"])
def test_the_labelizer_works_through_no_link(suffix, leads_to, drive, tmp_path, call):
    (tmp_path / "precious").write_bytes(b"")
    place = work_file.path_for(drive / label_file.NAME)
    (drive / (place.name + suffix)).symlink_to(tmp_path / leads_to)
    before = snapshot(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code, _, err = call(run_labelizer, drive, "--user", "zoe", "--port", port)
    assert code == 2
    assert f"{drive / (place.name + suffix)} is a link" in err
    assert snapshot(tmp_path) == before


def test_the_labelizer_writes_into_no_file_that_another_folder_has_too(drive, tmp_path):
    """As after `cp -al`, which makes hard links: the copy is to stay as it was."""
    own = work_file.path_for(drive / label_file.NAME)
    work = WorkFile(own)
    work.initialize(catalogue.read_catalogue(drive / label_file.NAME, drive))
    work.close()
    shutil.copytree(drive, tmp_path / "copy", copy_function=os.link)
    before = snapshot(tmp_path)
    for folder in (drive, tmp_path / "copy"):
        place = work_file.path_for(folder / label_file.NAME)
        with pytest.raises(InputError, match=str(place)):
            WorkFile(place)
    assert snapshot(tmp_path) == before
    shutil.copy(own, tmp_path / "copy of its own")
    (tmp_path / "copy of its own").replace(own)
    WorkFile(own).close()


@pytest.mark.parametrize("wanted", [label_file.NAME, journal.DAMAGED_LABELS, journal.NAME])
def test_a_repair_writes_into_no_file_that_another_folder_has_too(wanted, killed, tmp_path):
    """It replaces them, and the other name keeps what it had."""
    other = tmp_path / "other"
    if not (killed / wanted).exists():
        (killed / wanted).write_text("{}")
    os.link(killed / wanted, other)
    before = other.read_bytes()
    assert merge.repair(killed)
    assert other.read_bytes() == before


@pytest.mark.parametrize("leads_to", ["all.json", "nowhere.json"])
@pytest.mark.parametrize("named", [False, True], ids=["in the folder", "with -o"])
def test_a_label_file_that_is_a_link_is_not_written(named, leads_to, drive, tmp_path, call):
    """Neither does the link go, nor does what it leads to change or stay behind in silence."""
    assert call(upload_data, drive)[0] == 0
    (tmp_path / "all.json").write_text("{}")
    out = tmp_path / "out"
    out.mkdir()
    file = out / ("other.json" if named else label_file.NAME)
    file.symlink_to(tmp_path / leads_to)
    before = snapshot(tmp_path)
    options = ["-o", file] if named else []
    code, _, err = call(search_and_download, "-p", out, *options)
    assert code == 2
    assert f"{file} is a link" in err
    assert snapshot(tmp_path) == before


WRITERS = {  # a file that a script writes, the script, and its arguments
    "labels of a search": ("out/labels.json", search_and_download, ["-p", "out"]),
    "table of a search": ("out/metadata.jsonl", search_and_download, ["-p", "out"]),
    "description of a search": ("out/set.json", search_and_download, ["-p", "out"]),
    "labels with -o": ("out/x.json", search_and_download, ["-p", "new", "-o", "out/x.json"]),
    "their description": ("out/x.set.json", search_and_download, ["-p", "new", "-o", "out/x.json"]),
    "sheet": ("drive/contact_sheet.png", contact_sheet, ["drive"]),
    "sheet with -o": ("out/x.png", contact_sheet, ["drive", "-o", "out/x.png"]),
    "page": ("out/x.html", check_set, ["drive", "--html", "out/x.html"]),
    "example": ("out/x.json", write_label_template, ["-o", "out/x.json"]),
}


@pytest.mark.parametrize("leads_to", ["precious", "empty", "nowhere"])
@pytest.mark.parametrize(("name", "script", "arguments"), WRITERS.values(), ids=WRITERS)
def test_no_script_writes_through_a_link(
    name, script, arguments, leads_to, drive, tmp_path, call, monkeypatch
):
    """Neither does the link go, nor does what it leads to change or appear."""
    monkeypatch.chdir(tmp_path)
    assert call(upload_data, drive)[0] == 0
    shutil.copytree(drive, tmp_path / "new")  # has all pictures already
    (tmp_path / "new" / session.NAME).unlink()
    (tmp_path / "out").mkdir()
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "precious").write_text("{}")
    (tmp_path / name).symlink_to(tmp_path / leads_to)
    before = snapshot(tmp_path)
    code, _, err = call(script, *arguments)
    assert code == 2
    assert f"{name} is a link" in err
    assert snapshot(tmp_path) == before


def jpeg(grey: int) -> bytes:
    return cv2.imencode(".jpg", np.full((120, 160, 3), grey, np.uint8))[1].tobytes()


def test_a_contact_sheet_draws_no_picture_of_another_folder(drive, tmp_path, call):
    """A link to a picture beside it is one; whoever gets the sheet sees nothing else."""
    one, other = document(0)["file_name"], document(1)["file_name"]
    (tmp_path / "private.jpg").write_bytes(jpeg(250))
    (drive / "beside.jpg").write_bytes(jpeg(250))
    for name, target in ((one, tmp_path / "private.jpg"), (other, drive / "beside.jpg")):
        (drive / name).unlink()
        (drive / name).symlink_to(target)
    assert call(contact_sheet, drive, "--most", 10)[0] == 0
    sheet = cv2.imread(str(drive / "contact_sheet.png"), cv2.IMREAD_GRAYSCALE)
    height, width = drawing.HEIGHT_PX, drawing.WIDTH_PX
    gap, across = drawing.GAP_PX, drawing.WIDTH_PX + drawing.GAP_PX
    middle = gap + height // 2 - 20
    assert sheet[middle, gap + width // 2] < 200
    assert sheet[middle, gap + across + width // 2] > 240


# --- folders that are only read


@pytest.fixture(params=["rights", "a card mounted read-only"])
def unwritable(request, killed):
    if request.param == "rights":
        killed.chmod(0o555)
        with permissions_enforced():
            yield killed
        killed.chmod(0o755)
        return
    for command in (["mount", "--bind"], ["mount", "-o", "remount,ro,bind"]):
        if subprocess.run([*command, killed, killed], check=False, capture_output=True).returncode:
            assert not os.environ.get("CI"), "CI mounts"
            pytest.skip("this user may not mount")
    yield killed
    subprocess.run(["umount", killed], check=True)


@read_only
def test_a_read_only_script_repairs_nothing(script, options, key, killed, call):
    before = snapshot(killed)
    code, answer, _ = call(script, killed, *options)
    assert (code, new_labels(answer, key)) == (3 if key == "not_uploaded" else 0, 2)
    assert snapshot(killed) == before


@read_only
def test_a_read_only_script_needs_no_lock_of_the_folder(script, options, key, killed, call):
    with journal.folder_lock(killed):
        assert new_labels(call(script, killed, *options)[1], key) == 2


@read_only
def test_a_read_only_script_needs_no_writable_folder(script, options, key, unwritable, call):
    before = snapshot(unwritable)
    assert new_labels(call(script, unwritable, *options)[1], key) == 2
    assert snapshot(unwritable) == before


def assert_checked_as_it_stands(folder, call):
    """Only small pictures for the next look are added, where they can be."""
    before = snapshot(folder)
    assert call(check_set, folder)[1]["labels"] == 2
    assert snapshot(folder, without=thumbnails.CACHE_NAME) == before


def test_a_killed_recording_is_checked_as_it_stands(killed, call):
    assert_checked_as_it_stands(killed, call)


def test_an_unwritable_recording_is_checked_as_it_stands(unwritable, call):
    assert_checked_as_it_stands(unwritable, call)


def test_a_killed_recording_is_compared_as_it_stands(killed, tmp_path, call):
    repaired = shutil.copytree(killed, tmp_path / "repaired")
    merge.repair(repaired)
    before = snapshot(killed)
    assert call(diff_sets, killed, repaired)[0] == 0
    assert snapshot(killed) == before


@pytest.mark.parametrize("options", [["--dry-run"], []], ids=["dry run", "freezing"])
def test_a_killed_recording_that_is_not_frozen_stays_as_it_is(killed, options, call):
    before = snapshot(killed)
    assert call(freeze_set, "monday", killed, *options)[0] == 2
    assert snapshot(killed) == before


@pytest.mark.parametrize("options", [["--dry-run"], []], ids=["dry run", "upload"])
def test_a_recording_that_cannot_be_repaired_in_place_is_read_as_it_stands(
    unwritable, options, call
):
    before = snapshot(unwritable)
    code, counts, err = call(upload_data, unwritable, *options)
    assert (code, counts["created"], counts["pictures_sent"]) == (0, 2, 2)
    assert "without repairing" in err
    assert snapshot(unwritable) == before


def test_a_sheet_of_an_unwritable_recording_is_drawn_elsewhere(unwritable, tmp_path, call):
    before = snapshot(unwritable)
    assert call(contact_sheet, unwritable, "-o", tmp_path / "sheet.png")[1]["labels"] == 2
    assert snapshot(unwritable) == before


def test_what_stood_in_the_labels_before_counts_too(killed, call):
    label_file.write(killed / label_file.NAME, {document(7)["img_id"]: document(7)})
    (killed / document(7)["file_name"]).write_bytes(picture(7))
    session.write(killed / session.NAME, {})
    assert call(upload_data, killed, "--dry-run")[1]["created"] == 3


def test_a_missing_picture_of_an_unrepaired_recording_is_reported(killed, call):
    (killed / document(1)["file_name"]).unlink()
    code, counts, err = call(upload_data, killed, "--dry-run")
    assert (code, counts["created"], counts["failed"]) == (3, 1, 1)
    assert document(1)["img_id"] in err


@read_only
def test_a_recording_that_runs_is_not_called_interrupted(script, options, key, killed, call):
    *_, err = call(script, killed, *options)
    assert "running" not in err
    with journal.folder_lock(killed):
        *_, err = call(script, killed, *options)
    assert "running" in err
