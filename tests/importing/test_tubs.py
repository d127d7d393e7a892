"""Donkeycar tubs, v2 and v1: every record becomes a label with its picture, byte for byte."""

import json
from datetime import timedelta

import pytest

from common.times import from_microseconds
from get_data import import_drive
from get_data.labels import edits, ids, label_file
from tests.conftest import picture
from tests.helpers import tubs
from tests.helpers.folders import snapshot
from tests.helpers.recordings import assert_whole
from tests.helpers.tubs import PERIOD_MS, STARTED_MS, STARTED_S, record, write_v1, write_v2


def captured(milliseconds):
    return from_microseconds(milliseconds * 1000)


def rows_of(folder):
    """The rows of an imported drive as a tub has them, in the order of the pictures' ids."""
    labels = assert_whole(folder)
    return [
        {
            "_timestamp_ms": round(ids.parse_img_id(img_id).timestamp() * 1000),
            "cam/image_array": label["source_file"],
            "user/angle": label["label"]["steering"],
            "user/throttle": label["label"]["throttle"],
            "user/mode": label.get("user/mode", "user"),
        }
        for img_id, label in sorted(labels.items())
    ]


def test_a_tub_becomes_a_recording_and_stays_as_it_is(call, tmp_path):
    records = [record(number) for number in range(25)]
    tub = write_v2(tmp_path / "tub", records, deleted={3, 21}, per_catalog=10)
    before = snapshot(tub)
    code, counts, _ = call(import_drive, tub, "-o", tmp_path / "drive", "--driver", "Zoé")
    assert (code, counts["pictures"], counts["deleted"], counts["failed"]) == (0, 25, 2, 0)
    assert snapshot(tub) == before

    labels = assert_whole(tmp_path / "drive")
    assert rows_of(tmp_path / "drive") == [
        {key: each[key] for key in ("_timestamp_ms", *tubs.INPUTS)} for each in records
    ]
    for number, label in enumerate(labels.values()):
        assert (tmp_path / "drive" / label["file_name"]).read_bytes() == picture(number)
        assert edits.is_marked_for_deletion(label) == (number in (3, 21))
        assert label["driver"] == "Zoé"
        assert label["label"]["created_by"] == "auto"
        assert label["label"]["raw_direction"] == label["label"]["steering"]
        assert label["car_setting"]["run"]["max_throttle"] == 0.4
    # the speed classes span what was driven: 0.1 is slow, 0.4 is fast
    assert {
        (each["label"]["throttle"], each["label"]["label_speed"]) for each in labels.values()
    } == {
        (0.1, 0),
        (0.2, 1),
        (0.3, 1),
        (0.4, 1),
    }


def test_sessions_become_session_ids_that_stay_the_same(call, tmp_path):
    records = [record(n, _session_id=f"22-11-29_{n // 4}") for n in range(10)]
    tub = write_v2(tmp_path / "tub", records)
    found = []
    for name in ("one", "other"):
        _, counts, err = call(import_drive, tub, "-o", tmp_path / name)
        labels = label_file.read(tmp_path / name / label_file.NAME)
        sessions = [label["session_id"] for label in labels.values()]
        assert counts["session_ids"] == list(dict.fromkeys(sessions))
        assert counts["session_ids"][0] in err
        found.append(sessions)
    one, other = found
    assert one == other
    assert [one.count(each) for each in dict.fromkeys(one)] == [4, 4, 2]
    assert one[4].startswith(ids.format_img_id(captured(STARTED_MS + 4 * PERIOD_MS)))


def test_a_record_that_a_pilot_drove_says_so(call, tmp_path):
    modes = ["user", "local_angle", "local", None]
    extra = {"pilot/angle": 0.5, "imu/acl_x": 9.81, "lidar/points": [1.0, 2.0]}
    records = [record(n, user__mode=mode) | extra for n, mode in enumerate(modes)]
    call(import_drive, write_v2(tmp_path / "tub", records), "-o", tmp_path / "drive")
    labels = [*label_file.read(tmp_path / "drive" / label_file.NAME).values()]
    authors = [label["label"]["created_by"] for label in labels]
    assert authors == ["auto", "pilot", "pilot", "auto"]
    assert [label.get("user/mode") for label in labels] == [None, "local_angle", "local", None]
    assert [{key: label[key] for key in extra} for label in labels] == [extra] * 4


TIMES = {
    "equal": ([5, 5, 5, 6], [5_000, 5_001, 5_002, 6_000], 0),
    "unsorted": ([9, 2, 7, 3], [9_000, 2_000, 7_000, 3_000], 0),
    "one without": ([5, None, 90, None], [5_000, 55_000, 90_000, 140_000], 2),
    "all without": ([None] * 4, None, 4),
    "a text, NaN as a text, minus, beyond": (["5", "NaN", -(10**17), 10**17], None, 4),
}


@pytest.mark.parametrize("name", TIMES)
def test_ids_follow_from_the_times_of_the_source(call, tmp_path, name):
    given, expected_us, untimed = TIMES[name]
    times = [STARTED_MS + at if isinstance(at, int) and abs(at) < 10**6 else at for at in given]
    records = [record(number, _timestamp_ms=at) for number, at in enumerate(times)]
    tub = write_v2(tmp_path / "tub", records)
    code, counts, _ = call(import_drive, tub, "-o", tmp_path / "drive")
    assert (code, counts["pictures"], counts["untimed"]) == (0, 4, untimed)
    labels = label_file.read(tmp_path / "drive" / label_file.NAME)
    by_source = {label["source_file"]: ids.parse_img_id(img_id) for img_id, label in labels.items()}
    given_times = [by_source[each["cam/image_array"]] for each in records]
    if expected_us is None:  # from the beginning of the tub on, 50 ms apart
        start = from_microseconds(int(STARTED_S * 1e6))
        assert given_times == [start + timedelta(milliseconds=50 * number) for number in range(4)]
    else:
        base = captured(STARTED_MS)
        assert given_times == [base + timedelta(microseconds=at) for at in expected_us]


def test_times_in_the_future_are_kept_and_told(call, tmp_path):
    tub = write_v2(tmp_path / "tub", [record(0, _timestamp_ms=7_000_000_000_000)])  # in 2191
    code, counts, err = call(import_drive, tub, "-o", tmp_path / "drive")
    assert (code, counts["pictures"]) == (0, 1)
    assert any(line.startswith("warning: ") and "2191" in line for line in err.splitlines())
    (img_id,) = label_file.read(tmp_path / "drive" / label_file.NAME)
    assert img_id.startswith("2191")


def test_a_tub_v1_becomes_a_recording(call, tmp_path):
    tub = write_v1(tmp_path / "tub", 12, excluded={2, 11})
    code, counts, _ = call(import_drive, tub, "-o", tmp_path / "drive")
    assert (code, counts["pictures"], counts["deleted"]) == (0, 12, 2)
    labels = assert_whole(tmp_path / "drive")
    for number, (img_id, label) in enumerate(labels.items(), start=1):
        assert ids.parse_img_id(img_id) == captured(int(STARTED_S * 1000) + PERIOD_MS * number)
        assert (tmp_path / "drive" / label["file_name"]).read_bytes() == picture(number)
        assert label["label"]["steering"] == record(number)["user/angle"]
        assert edits.is_marked_for_deletion(label) == (number in (2, 11))
        assert label["car_setting"]["source"]["metadata"] == {"location": "garage"}


def test_an_old_tub_v1_has_no_times(call, tmp_path):
    tub = write_v1(tmp_path / "tub", 3, timed=False)
    _, counts, _ = call(import_drive, tub, "-o", tmp_path / "drive")
    assert (counts["pictures"], counts["untimed"]) == (3, 3)
    start = from_microseconds(int(STARTED_S * 1e6))
    expected = [ids.format_img_id(start + timedelta(milliseconds=50 * n)) for n in range(3)]
    assert [*label_file.read(tmp_path / "drive" / label_file.NAME)] == expected


@pytest.mark.parametrize(
    "option", [[], ["--max-throttle", "0.8", "--nb-dir", "3", "--nb-speed", "4"]]
)
def test_classes_are_cut_as_asked(call, tmp_path, option):
    tub = write_v2(tmp_path / "tub", [record(n) for n in range(4)])
    assert call(import_drive, tub, "-o", tmp_path / "drive", *option)[0] == 0
    label = next(iter(label_file.read(tmp_path / "drive" / label_file.NAME).values()))
    annotation, span = label["label"], label["car_setting"]["run"]["max_throttle"]
    found = (annotation["nb_dir"], annotation["nb_speed"], span)
    assert found == ((3, 4, 0.8) if option else (5, 2, 0.4))


def test_a_picture_larger_than_its_pixels_is_kept(call, tmp_path):
    """A camera's file may carry a preview of any size."""
    tub = write_v2(tmp_path / "tub", [record(0), record(1)])
    large = picture(0) + bytes(3_000_000)
    (tub / "images" / "0_cam_image_array_.jpg").write_bytes(large)
    assert call(import_drive, tub, "-o", tmp_path / "drive")[0] == 0
    name = f"{ids.format_img_id(captured(STARTED_MS))}.jpg"
    assert (tmp_path / "drive" / name).read_bytes() == large


def test_gaps_made_by_donkeycars_converter_are_no_records(call, tmp_path):
    records = [record(0), {"_index": 1, "__empty__": True, "_timestamp_ms": STARTED_MS}, record(2)]
    tub = write_v2(tmp_path / "tub", records, deleted={1})
    code, counts, _ = call(import_drive, tub, "-o", tmp_path / "drive")
    assert (code, counts["records"], counts["pictures"]) == (0, 2, 2)


def test_metadata_of_the_tub_is_kept(call, tmp_path):
    tub = write_v2(tmp_path / "tub", [record(0)], metadata={"location": "garage"})
    call(import_drive, tub, "-o", tmp_path / "drive")
    labels = json.loads((tmp_path / "drive" / "labels.json").read_text())
    (label,) = labels.values()
    assert label["car_setting"]["source"] == {
        "format": "donkeycar tub v2",
        "metadata": {"location": "garage"},
    }
