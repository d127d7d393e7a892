"""Sources that are broken or hostile: what can be used is imported, the rest named."""

import io
import json
import os
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from get_data import import_drive
from get_data.cli import process
from get_data.commands import import_drive as command
from get_data.labels import label_file
from tests.bad_input.rows import NOT_UTF_8
from tests.conftest import document, picture, save
from tests.helpers.folders import snapshot
from tests.helpers.permissions import permissions_enforced
from tests.helpers.recordings import assert_whole
from tests.helpers.tubs import (
    original_label,
    record,
    write_manifest,
    write_original,
    write_v1,
    write_v2,
)

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)

# what a record says, and what the line that names it contains
RECORDS = {
    "torn": (b'{"_index": 1, "cam/image_ar', "not JSON"),
    "no object": (b"[1, 2]", "another kind of JSON"),
    "not UTF-8": (b'{"_index": "\xff"}', "UTF-8"),
    "too long": (b'{"x": "' + b"x" * 1_100_000 + b'"}', "more than"),
    "NaN": (json.dumps(record(5) | {"user/angle": float("nan")}).encode(), "NaN"),
    "angle beyond": (record(6, user__angle=1.5), "user/angle is 1.5"),
    "angle a text": (record(7, user__angle="0.5"), "user/angle is '0.5'"),
    "angle true": (record(8, user__angle=True), "user/angle is True"),
    "no angle": (record(9, user__angle=None), "no user/angle"),
    "throttle beyond": (record(10, user__throttle=-1.01), "user/throttle is -1.01"),
    "no picture": (record(11, cam__image_array=None), "names no picture"),
    "picture a number": (record(12, cam__image_array=4), "names no picture"),
    "traversal": (record(13, cam__image_array="../../secret.jpg"), "plain file name"),
    "absolute": (record(14, cam__image_array="/etc/hostname"), "plain file name"),
}

# what a picture is instead of a JPEG, and what the line contains
PICTURES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda file: None, "is missing"),
    "empty": (lambda file: file.write_bytes(b""), "is empty"),
    "PNG": (lambda file: file.write_bytes(PNG), "is not a JPEG"),
    "cut": (lambda file: file.write_bytes(picture(0)[:-30]), "is cut off"),
    "link out": (lambda file: file.symlink_to("../../secret.jpg"), "is a link"),
    "dangling": (lambda file: file.symlink_to("nowhere.jpg"), "is a link"),
    "folder": (lambda file: file.mkdir(), "not a regular file"),
    "pipe": (lambda file: os.mkfifo(file), "not a regular file"),
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """Import a tub with every fault, and three good records: exit code, JSON, failed lines."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "secret.jpg").write_bytes(picture(77))
    records = [record(0), *(row for row, _ in RECORDS.values())]
    first = len(records)
    records += [record(first + n) for n in range(len(PICTURES) + 2)]
    tub = write_v2(folder / "tub", records)
    for number, (spoil, _) in enumerate(PICTURES.values(), start=first):
        file = tub / "images" / f"{number}_cam_image_array_.jpg"
        file.unlink()
        spoil(file)
    for name in ("leftover.jpg", NOT_UTF_8 + ".jpg", "depth.png", "._1.jpg"):
        (tub / "images" / name).write_bytes(picture(99))
    return folder, tub


@pytest.fixture(scope="module")
def outcome(broken):
    """Run the import of the broken tub once, for all rows."""
    folder, tub = broken
    err, out = io.StringIO(), io.TextIOWrapper(io.BytesIO())
    with redirect_stderr(err), redirect_stdout(out):
        code = process.run(lambda: import_drive.main([str(tub), "-o", str(folder / "drive")]))
    out.seek(0)
    failed = [line for line in err.getvalue().splitlines() if line.startswith("failed: ")]
    return code, json.loads(out.read()), failed, err.getvalue()


def test_what_can_be_used_is_imported_and_all_else_counted(broken, outcome):
    folder, _ = broken
    code, counts, failed, err = outcome
    labels = assert_whole(folder / "drive")
    assert code == 3
    assert len(labels) == counts["pictures"] == 3
    assert counts["failed"] == len(failed)
    assert "Traceback" not in err
    assert counts["records"] == len(RECORDS) + len(PICTURES) + 3
    assert counts["failed"] + counts["pictures"] > counts["records"]  # pictures without a record


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_that_cannot_be_used_is_named_with_the_reason(outcome, name):
    _, fact = RECORDS[name]
    place = f"catalog_0.catalog, line {list(RECORDS).index(name) + 2}: "
    (line,) = [line for line in outcome[2] if place in line]
    assert fact in line


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_that_cannot_be_used_is_named_with_the_reason(outcome, name):
    _, fact = PICTURES[name]
    number = len(RECORDS) + 1 + list(PICTURES).index(name)
    (line,) = [line for line in outcome[2] if f": {number}_cam_image_array_.jpg " in line]
    assert fact in line


@pytest.mark.parametrize("name", ["leftover.jpg", "\\udcff\\udce9.jpg", "depth.png"])
def test_a_picture_that_no_record_names_is_listed(outcome, name):
    (line,) = [line for line in outcome[2] if f"failed: {name}: " in line]
    assert "no record" in line


def test_a_repaired_source_completes_an_import_with_the_same_ids(call, tmp_path):
    """A picture that was missing comes back; all times are equal."""
    tub = write_v2(tmp_path / "tub", [record(n, _timestamp_ms=1_669_759_853_966) for n in range(4)])
    picture_file = tub / "images" / "1_cam_image_array_.jpg"
    content = picture_file.read_bytes()
    picture_file.unlink()
    assert call(import_drive, tub, "-o", tmp_path / "drive")[0] == 3
    before = label_file.read(tmp_path / "drive" / label_file.NAME)
    picture_file.write_bytes(content)
    code, counts, _ = call(import_drive, tub, "-o", tmp_path / "drive")
    assert (code, counts["pictures"], counts["there"]) == (0, 1, 3)
    after = assert_whole(tmp_path / "drive")
    assert before.items() <= after.items()
    whole = call(import_drive, tub, "-o", tmp_path / "other")[1]
    assert whole["pictures"] == 4
    assert label_file.read(tmp_path / "other" / label_file.NAME) == after


@pytest.mark.parametrize("number", [1e308, -1e308, 2**63 - 1], ids=str)
def test_a_time_beyond_all_numbers_counts_as_none(call, tmp_path, number):
    tub = write_v2(tmp_path / "v2", [record(0), record(1, _timestamp_ms=number), record(2)])
    code, counts, _ = call(import_drive, tub, "-o", tmp_path / "drive_v2")
    assert (code, counts["pictures"], counts["untimed"]) == (0, 3, 1)
    tub = write_v1(tmp_path / "v1", 3)
    (tub / "meta.json").write_text(json.dumps({"start": number}))
    code, counts, _ = call(import_drive, tub, "-o", tmp_path / "drive_v1")
    assert (code, counts["pictures"], counts["untimed"]) == (0, 3, 3)


def cut_catalog(tub):
    """Cut the catalog in the middle of its third record, as a power cut does."""
    file = tub / "catalog_0.catalog"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:2]) + lines[2][:30])


def lose_lines(tub):
    """Lose the last two records, of which the catalog's own list knows."""
    file = tub / "catalog_0.catalog"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:2]))


LOSSES = {
    "a cut catalog": (cut_catalog, 2, ["catalog_0.catalog, line 3: ", "not JSON"]),
    "lost lines": (lose_lines, 2, ["catalog_0.catalog: ", "2 of the 4 records"]),
    "a catalog that is missing": (
        lambda tub: write_manifest(tub, ["catalog_0.catalog", "catalog_1.catalog"]),
        4,
        ["catalog_1.catalog: ", "is missing"],
    ),
    "a catalog elsewhere": (
        lambda tub: write_manifest(tub, ["../x/catalog_0.catalog", "catalog_0.catalog"]),
        4,
        ["../x/catalog_0.catalog: ", "catalog of this tub"],
    ),
    "a catalog that is a link": (
        lambda tub: (
            (tub / "catalog_0.catalog").rename(tub / "real")
            and (tub / "catalog_0.catalog").symlink_to("real")
        ),
        0,
        ["catalog_0.catalog", "link"],
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_what_a_tub_has_lost_is_named(call, tmp_path, name):
    spoil, kept, facts = LOSSES[name]
    tub = write_v2(tmp_path / "tub", [record(n) for n in range(4)])
    spoil(tub)
    code, counts, err = call(import_drive, tub, "-o", tmp_path / "drive")
    assert code == (3 if kept else 2)
    assert all(fact in err for fact in facts)
    if kept:
        assert counts["pictures"] == kept == len(assert_whole(tmp_path / "drive"))
    else:
        assert not (tmp_path / "drive").exists()


def test_a_list_of_lines_that_is_wrong_otherwise_does_no_harm(call, tmp_path):
    tub = write_v2(tmp_path / "tub", [record(n) for n in range(4)])
    for content in (b"\xff", b'{"line_lengths": [1]}', b"[]", b'{"line_lengths": "many"}'):
        (tub / "catalog_0.catalog_manifest").write_bytes(content)
        code, counts, _ = call(import_drive, tub, "-o", tmp_path / "drive")
        assert (code, counts["pictures"] + counts["there"]) == (0, 4)


MANIFESTS = {
    "missing": None,
    "empty": b"",
    "cut": b"[]\n[]\n{}\n{}\n",
    "no JSON": b"[]\n[]\n{}\n{}\n{\n",
    "no catalogs": b"[]\n[]\n{}\n{}\n{}\n",
    "deleted no list": b'[]\n[]\n{}\n{}\n{"paths": [], "deleted_indexes": "all"}\n',
    "not UTF-8": b"[]\n[]\n{}\n{}\n\xff\n",
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_tub_without_its_manifest_is_imported_only_when_asked(call, tmp_path, name):
    """Only the manifest tells which records were deleted."""
    tub = write_v2(tmp_path / "tub", [record(n) for n in range(4)])
    if MANIFESTS[name] is None:
        (tub / "manifest.json").unlink()
    else:
        (tub / "manifest.json").write_bytes(MANIFESTS[name])
    code, counts, err = call(import_drive, tub, "-o", tmp_path / "drive")
    assert (code, counts) == (2, None)
    (line,) = err.splitlines()
    assert "manifest.json" in line
    assert "--format tub" in line
    assert not (tmp_path / "drive").exists()
    if name == "missing":
        code, counts, err = call(import_drive, tub, "-o", tmp_path / "drive", "--format", "tub")
        assert (code, counts["pictures"]) == (0, 4)
        assert "deleted" in err


def empty(folder):
    folder.mkdir()


def only_text(folder):
    folder.mkdir()
    (folder / "notes.txt").write_text("a drive")


def tub_without_pictures(folder):
    shutil.rmtree(write_v2(folder, [record(0)]) / "images")


def tub_with_linked_pictures(folder):
    (write_v2(folder, [record(0)]) / "images").rename(folder / "elsewhere")
    (folder / "images").symlink_to("elsewhere")


def tub_of_faults(folder):
    write_v2(folder, [record(0, user__angle=7), b"{"])


def tub_v1_with(name, content):
    def write(folder):
        (write_v1(folder, 2) / name).write_bytes(content)

    return write


# what the source is, and what the one line of the refusal contains
SOURCES = {
    "nothing": (lambda folder: None, "does not exist"),
    "an empty folder": (empty, "has no pictures"),
    "a folder of texts": (only_text, "has no pictures"),
    "a text": (lambda folder: folder.write_text("a drive"), "not a folder"),
    "a recording of ours": (lambda folder: save(folder, [document(0)]), "upload_data.py"),
    "a tub without pictures": (tub_without_pictures, "images"),
    "a tub whose pictures are a link": (tub_with_linked_pictures, "is a link"),
    "a tub of faults only": (tub_of_faults, "user/angle is 7"),
    "meta.json, no JSON": (tub_v1_with("meta.json", b"{"), "meta.json"),
    "meta.json, no object": (tub_v1_with("meta.json", b"[]"), "expected an object"),
    "exclude.json, no list": (tub_v1_with("exclude.json", b"{}"), "expected a list"),
    "exclude.json, texts": (tub_v1_with("exclude.json", b'["1"]'), "expected a list"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_that_is_none_is_refused_in_one_line(call, tmp_path, name):
    prepare, fact = SOURCES[name]
    prepare(tmp_path / "source")
    before = snapshot(tmp_path)
    code, counts, err = call(import_drive, tmp_path / "source", "-o", tmp_path / "drive")
    assert (code, counts) == (2, None)
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert fact in line
    assert snapshot(tmp_path) == before


def test_records_of_a_tub_v1_that_cannot_be_used_are_named(call, tmp_path):
    tub = write_v1(tmp_path / "tub", 6)
    (tub / "record_1.json").write_bytes(b"{")
    (tub / "record_2.json").write_bytes(b"")
    (tub / "record_3.json").unlink()
    (tub / "record_3.json").symlink_to("record_4.json")
    (tub / "5_cam-image_array_.jpg").unlink()
    code, counts, err = call(import_drive, tub, "-o", tmp_path / "drive")
    failed = [line for line in err.splitlines() if line.startswith("failed: ")]
    assert (code, counts["pictures"]) == (3, 2)
    assert len(assert_whole(tmp_path / "drive")) == 2
    for name in ("record_1.json", "record_2.json", "record_3.json", "record_5.json"):
        assert sum(f"failed: {name}: " in line for line in failed) == 1
    assert counts["failed"] == len(failed) == 7  # three pictures have lost their records


def into_itself(tmp_path):
    return tmp_path / "tub"


def inside(tmp_path):
    return tmp_path / "tub" / "drive"


def around(tmp_path):
    return tmp_path


def link_to_it(tmp_path):
    (tmp_path / "link").symlink_to("tub")
    return tmp_path / "link" / "drive"


def other_recording(tmp_path):
    return save(tmp_path / "drive", [document(0)])


def fetched_set(tmp_path):
    folder = save(tmp_path / "drive", [document(0)])
    (folder / "session_template.json").unlink()
    return folder


def pictures_of_the_same_names(tmp_path):
    drive = tmp_path / "drive"
    drive.mkdir()
    (drive / "20221129T22-10-53-966000.JPG").write_bytes(picture(5))
    return drive


def a_file(tmp_path):
    (tmp_path / "drive").write_text("")
    return tmp_path / "drive"


def linked_journal(tmp_path):
    (tmp_path / "drive").mkdir()
    (tmp_path / "drive" / "labels.journal").symlink_to("../other")
    return tmp_path / "drive"


def in_the_database(tmp_path):
    return Path(os.environ["PATATE_HOME"]) / "database" / "x"


TARGETS = [
    into_itself,
    inside,
    around,
    link_to_it,
    other_recording,
    fetched_set,
    pictures_of_the_same_names,
    a_file,
    linked_journal,
    in_the_database,
]


@pytest.mark.parametrize("target", TARGETS, ids=lambda function: function.__name__)
def test_a_target_that_is_something_else_is_refused_and_not_changed(call, tmp_path, target):
    tub = write_v2(tmp_path / "tub", [record(0)])
    folder = target(tmp_path)
    before = snapshot(tmp_path)
    code, counts, err = call(import_drive, tub, "-o", folder)
    assert (code, counts) == (2, None)
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert snapshot(tmp_path) == before


def test_a_target_that_cannot_be_written_is_refused(call, tmp_path):
    tub = write_v2(tmp_path / "tub", [record(0)])
    (tmp_path / "locked").mkdir(mode=0o555)
    with permissions_enforced():
        code, counts, err = call(import_drive, tub, "-o", tmp_path / "locked" / "drive")
    assert (code, counts) == (2, None)
    assert "locked" in err
    assert len(err.splitlines()) == 1
    assert not list((tmp_path / "locked").iterdir())


def test_a_full_disk_is_refused_before_anything_is_written(call, tmp_path, monkeypatch):
    tub = write_v2(tmp_path / "tub", [record(0)])
    full = shutil.disk_usage(tmp_path)._replace(free=200_000_001)
    monkeypatch.setattr(command.shutil, "disk_usage", lambda _place: full)
    code, counts, err = call(import_drive, tub, "-o", tmp_path / "drive")
    assert (code, counts) == (1, None)
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "drive").exists()


def test_labels_of_the_original_project_that_cannot_be_used_are_named(call, tmp_path):
    labels = dict(original_label(number) for number in range(6))
    keys = [*labels]
    labels[keys[0]]["label"]["label_direction"] = 5
    labels[keys[1]]["label"]["label_speed"] = -1
    labels[keys[2]]["file_name"] = "../x.jpg"
    labels[keys[3]] = 7
    folder = tmp_path / "original"
    folder.mkdir()
    for number in (0, 1, 5):
        (folder / f"{keys[number]}.jpg").write_bytes(picture(number))
    (folder / "labels_1.json").write_text(json.dumps(labels))
    code, counts, err = call(import_drive, folder, "-o", tmp_path / "drive", "--format", "42ai")
    failed = [line for line in err.splitlines() if line.startswith("failed: ")]
    assert (code, counts["pictures"], counts["failed"]) == (3, 1, 5)
    facts = ["direction is 5", "speed", "plain", "JSON", "missing"]
    for key, fact in zip(keys, facts, strict=False):
        assert sum(key in line and fact in line for line in failed) == 1


def test_a_label_file_that_is_cut_off_gives_the_labels_before(call, tmp_path):
    folder = write_original(tmp_path / "original", dict(original_label(n) for n in range(3)))
    (file,) = folder.glob("labels_*.json")
    file.write_bytes(file.read_bytes()[:-300])
    code, counts, err = call(import_drive, folder, "-o", tmp_path / "drive")
    assert (code, counts["pictures"], counts["failed"]) == (3, 2, 2)
    assert f"failed: {file.name}: " in err
    assert len(assert_whole(tmp_path / "drive")) == 2
