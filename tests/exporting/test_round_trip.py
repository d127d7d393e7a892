"""A tub that becomes a recording and a tub again."""

import json

from get_data import export_set, import_drive
from tests.exporting.plain_readers import records
from tests.helpers import tubs


def test_a_tub_that_was_imported_and_exported_is_equal(call, tmp_path):
    own = [tubs.record(number) for number in range(1010)]
    for number in (3, 4, 5):  # a model drove
        own[number]["user/mode"] = "local_angle"
    for number, record in enumerate(own[:900]):
        record["imu/acl_x"] = number / 8
        record["localizer/location"] = number % 3
        record["imu/on"] = number % 2 == 0
    own[8]["_timestamp_ms"] = own[7]["_timestamp_ms"]  # two pictures of one millisecond
    first = tubs.write_v2(tmp_path / "first", own, deleted=[0, 2, 1009])
    ours, second = tmp_path / "ours", tmp_path / "second"
    code, found, _ = call(import_drive, first, "-o", ours)
    assert (code, found["deleted"]) == (0, 3)
    code, found, _ = call(export_set, ours, "-o", second, "--format", "tub")
    assert (code, found["exported"], found["deleted"]) == (0, 1010, 3)

    assert records(second) == [
        {**each, "_session_id": record["_session_id"]}
        for each, record in zip(own, records(second), strict=True)
    ]
    assert len({each["_session_id"] for each in records(second)}) == 1
    for each in own:
        name = each["cam/image_array"]
        assert (second / "images" / name).read_bytes() == (first / "images" / name).read_bytes()
    manifests = [
        [json.loads(line) for line in (tub / "manifest.json").read_text().splitlines()]
        for tub in (first, second)
    ]
    before, after = manifests
    extra = ["imu/acl_x", "imu/on", "localizer/location"], ["float", "boolean", "int"]
    assert after[:2] == [both + more for both, more in zip(before[:2], extra, strict=True)]
    assert (before[2], before[4]) == (after[2], after[4])
