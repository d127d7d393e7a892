"""`import_drive.py`: pictures without labels, what a second run does, and kills."""

import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

import path
from get_data import import_drive, upload_data, upload_to_db
from get_data.labels import label_file
from get_data.quality import samples
from tests.conftest import picture
from tests.helpers.folders import snapshot
from tests.helpers.recordings import assert_whole
from tests.helpers.tubs import record, write_v1, write_v2
from tests.helpers.waiting import wait_until

SECOND_NS = 1_700_000_000_000_000_000


def pictures_of(folder, *names):
    """A folder of pictures that were all modified in one second."""
    folder.mkdir()
    for number, name in enumerate(names):
        (folder / name).write_bytes(picture(number))
        os.utime(folder / name, ns=(SECOND_NS, SECOND_NS))
    return folder


def test_pictures_without_labels_are_labelled_by_nobody(call, tmp_path):
    names = ["20240501T12-00-00-000000.jpg", "frame_2.jpg", "frame_10.JPG", "1517255696.jpeg"]
    folder = pictures_of(tmp_path / "pictures", *names)
    code, counts, _ = call(import_drive, folder, "-o", tmp_path / "drive", "--nb-speed", "3")
    assert (code, counts["pictures"], len(counts["session_ids"])) == (0, 4, 1)
    labels = assert_whole(tmp_path / "drive")
    assert {img_id: label["source_file"] for img_id, label in labels.items()} == {
        "20180129T19-54-56-000000": "1517255696.jpeg",
        "20231114T22-13-20-000000": "frame_2.jpg",
        "20231114T22-13-20-000001": "frame_10.JPG",
        "20240501T12-00-00-000000": "20240501T12-00-00-000000.jpg",
    }
    for label in labels.values():
        annotation = label["label"]
        assert annotation["created_by"] == "nobody"
        assert (annotation["label_direction"], annotation["label_speed"]) == (2, 1)
        assert not annotation.keys() & {"raw_direction", "raw_speed", "steering", "throttle"}
    assert not samples.from_labels(labels).reviewed.any()


@pytest.mark.parametrize("options", [[], ["--format", "tub"]], ids=str)
def test_tubs_one_folder_deeper_are_named(call, tmp_path, options):
    """An export with a split is a folder of tubs."""
    for part in ("train", "val", "test"):
        write_v2(tmp_path / "set" / part, [record(0)])
    (tmp_path / "set" / "set.json").write_text("{}")
    command = (import_drive, tmp_path / "set", "-o", tmp_path / "drive", *options)
    code, _, err = call(*command)
    assert code == 2
    assert str(tmp_path / "set" / "test") in err
    assert {"train", "val"} <= set(re.findall(r"\w+", err))
    assert not (tmp_path / "drive").exists()
    for number in range(8):
        write_v1(tmp_path / "set" / f"tub_{number}", 1)
    assert len(call(*command)[2].splitlines()) == 1


def test_the_next_step_is_told(call, tmp_path):
    tub = write_v2(tmp_path / "tub", [record(0)])
    bare = pictures_of(tmp_path / "pictures", "1517255696.jpg")
    for source, folder, script in ((tub, "a drive", "upload_data"), (bare, "b", "run_labelizer")):
        err = call(import_drive, source, "-o", tmp_path / folder)[2]
        told = [shlex.split(line) for line in err.splitlines() if line.startswith("  next")]
        assert [words[2:] for words in told] == [
            [f"get_data/{script}.py", str(tmp_path / folder)],
        ]


def test_a_second_run_imports_nothing_twice(call, tmp_path):
    tub = write_v2(tmp_path / "tub", [record(n) for n in range(6)])
    assert call(import_drive, tub, "-o", tmp_path / "drive", "--event", "race")[0] == 0
    before = snapshot(tmp_path / "drive")
    code, counts, _ = call(import_drive, tub, "-o", tmp_path / "drive")
    assert (code, counts["pictures"], counts["there"]) == (0, 0, 6)
    assert snapshot(tmp_path / "drive") == before


def test_a_tub_that_has_grown_is_imported_on(call, tmp_path):
    """Its speed classes stay those of the first import, though it went faster since."""
    call(import_drive, write_v2(tmp_path / "tub", [record(0)]), "-o", tmp_path / "drive")
    grown = write_v2(tmp_path / "grown", [record(0), record(1, user__throttle=0.9)])
    code, counts, _ = call(import_drive, grown, "-o", tmp_path / "drive")
    assert (code, counts["pictures"], counts["there"]) == (0, 1, 1)
    labels = assert_whole(tmp_path / "drive")
    assert {label["car_setting"]["run"]["max_throttle"] for label in labels.values()} == {0.1}


@pytest.mark.parametrize("option", [("--nb-dir", 3), ("--max-throttle", 1), ("--track", "other")])
def test_other_settings_than_before_are_refused(call, tmp_path, option):
    tub = write_v2(tmp_path / "tub", [record(0)])
    call(import_drive, tub, "-o", tmp_path / "drive", "--track", "park")
    (tub / "images" / "1.jpg").write_bytes(picture(1))
    before = snapshot(tmp_path)
    assert call(import_drive, tub, "-o", tmp_path / "drive", *option)[0] == 2
    assert snapshot(tmp_path) == before


def test_another_source_is_not_taken_for_the_one_that_is_there(call, tmp_path):
    call(import_drive, write_v2(tmp_path / "tub", [record(0)]), "-o", tmp_path / "drive")
    before = snapshot(tmp_path / "drive")
    later = write_v2(tmp_path / "later", [record(5)])
    assert call(import_drive, later, "-o", tmp_path / "drive")[:2] == (2, None)
    # the same times, and other pictures
    other = write_v2(tmp_path / "other", [record(0)])
    (other / "images" / "0_cam_image_array_.jpg").write_bytes(picture(7))
    code, counts, err = call(import_drive, other, "-o", tmp_path / "drive")
    assert (code, counts["failed"], counts["pictures"]) == (3, 1, 0)
    assert "another picture" in err
    assert snapshot(tmp_path / "drive") == before


def test_an_import_is_uploaded_once(call, tmp_path):
    tub = write_v2(tmp_path / "tub", [record(n) for n in range(4)])
    for name in ("one", "other"):
        call(import_drive, tub, "-o", tmp_path / name)
    assert call(upload_data, tmp_path / "one")[1]["created"] == 4
    counts = call(upload_data, tmp_path / "other")[1]
    assert (counts["created"], counts["there"]) == (0, 4)


def test_records_that_were_deleted_before_are_not_uploaded(call, tmp_path):
    tub = write_v2(tmp_path / "tub", [record(n) for n in range(5)], deleted={1, 3})
    call(import_drive, tub, "-o", tmp_path / "drive")
    code, counts, _ = call(upload_data, tmp_path / "drive")
    assert (code, counts["created"], counts["pictures_sent"]) == (0, 3, 3)
    assert call(upload_data, tmp_path / "drive")[1]["there"] == 3


def test_a_deletion_of_a_label_that_the_database_has_is_no_upload(call, tmp_path):
    """It was marked after it had been uploaded."""
    call(
        import_drive,
        write_v2(tmp_path / "tub", [record(n) for n in range(3)]),
        "-o",
        tmp_path / "d",
    )
    assert call(upload_data, tmp_path / "d")[0] == 0
    labels = label_file.read(tmp_path / "d" / label_file.NAME)
    next(iter(labels.values()))["to_delete"] = True
    label_file.write(tmp_path / "d" / label_file.NAME, labels)
    code, counts, err = call(upload_data, tmp_path / "d")
    assert (code, counts) == (2, None)
    assert "upload_to_db.py" in err
    assert call(upload_to_db, tmp_path / "d", "-y")[1]["deleted"] == 1


KILLS = 6


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(KILLS))
def test_after_a_kill_a_second_run_completes_the_import(call, tmp_path, moment):
    """Killed at its start, after so many pictures, and the writer as well at the last moments."""
    records = [record(n, _session_id=f"22-11-29_{n // 150}") for n in range(400)]
    tub = write_v2(tmp_path / "tub", records, deleted={7})
    folder = tmp_path / "drive"
    with subprocess.Popen(
        [sys.executable, path.ROOT / "get_data" / "import_drive.py", tub, "-o", folder],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        wait_until(
            lambda: (
                process.poll() is not None
                or (moment == 0 and folder.exists())
                or (moment > 0 and len([*folder.glob("*.jpg")]) >= 60 * (moment - 1))
            )
        )
        with suppress(ProcessLookupError):
            if moment % 2:
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
    code, counts, _ = call(import_drive, tub, "-o", folder)
    assert (code, counts["failed"], counts["pictures"] + counts["there"]) == (0, 0, 400)
    call(import_drive, tub, "-o", tmp_path / "undisturbed")
    whole = label_file.read(tmp_path / "undisturbed" / label_file.NAME)
    assert assert_whole(folder) == whole
