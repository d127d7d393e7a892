"""A tub imported and exported again is the same tub, and a set of ours that goes the way too."""

import json

import pytest

from get_data import export_set, import_drive
from get_data.labels import label_file
from tests.helpers.tubs import record, write_v2


def read_tub(folder):
    """The records of a tub with the bytes of their pictures, and the deleted ones."""
    rows = []
    for catalog in sorted(folder.glob("catalog_*.catalog")):
        for line in catalog.read_text().splitlines():
            columns = json.loads(line)
            rows.append((columns, (folder / "images" / columns["cam/image_array"]).read_bytes()))
    manifest = (folder / "manifest.json").read_text().splitlines()
    return rows, json.loads(manifest[4])["deleted_indexes"]


def drives_of(rows):
    """Which drive each record is of, whatever it is called; the names are removed."""
    names = [columns.pop("_session_id") for columns, _ in rows]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return [numbers[name] for name in names]


@pytest.fixture
def tub(tmp_path):
    """A tub of two drives, the second by a model in part, with deleted records."""
    records = [
        record(
            number,
            _session_id=f"22-11-29_{number // 6}",
            user__mode="local_angle" if number > 8 else "user",
            user__angle=number / 7 - 0.9,
        )
        for number in range(12)
    ]
    return write_v2(tmp_path / "tub", records, deleted={2, 7})


def test_tub_to_ours_to_tub_is_equal(call, tmp_path, tub):
    assert call(import_drive, tub, "-o", tmp_path / "ours")[0] == 0
    assert call(export_set, tmp_path / "ours", "-o", tmp_path / "back", "--format", "tub")[0] == 0
    (before, deleted), (after, still_deleted) = read_tub(tub), read_tub(tmp_path / "back")
    assert drives_of(before) == drives_of(after)
    assert before == after
    assert deleted == still_deleted == [2, 7]


def test_ours_to_tub_to_ours_is_equal(call, tmp_path, tub):
    call(import_drive, tub, "-o", tmp_path / "ours")
    call(export_set, tmp_path / "ours", "-o", tmp_path / "back", "--format", "tub")
    assert call(import_drive, tmp_path / "back", "-o", tmp_path / "again")[0] == 0
    before, after = (
        label_file.read(tmp_path / name / label_file.NAME) for name in ("ours", "again")
    )
    # the tub has another name for each drive
    starts = [[label.pop("session_id")[:-5] for label in each.values()] for each in (before, after)]
    assert starts[0] == starts[1]
    assert before == after
