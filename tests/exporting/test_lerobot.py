"""What LeRobot asks of a dataset beside pictures and actions."""

import json

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from get_data.labels import ids, label_file
from get_data.sets.exporting import lerobot, lerobot_stats
from tests.conftest import document, save
from tests.exporting.conftest import drive_labels
from tests.exporting.plain_readers import lerobot_rows, read
from tests.helpers import jpeg_files

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
CAMERA = "observation.images.front"


def save_pictures(folder, contents, *, gap_after=None):
    """Write a drive with these pictures; with a pause after one of them."""
    labels = []
    for number, content in enumerate(contents):
        late = 30 if gap_after is not None and number > gap_after else 0
        label = document(number + late, steering=round(number / 10 - 0.5, 2), throttle=0.2)
        label |= {"picture_sha256": ids.sha256(content), "picture_size": len(content)}
        labels.append(label)
    save(folder, labels, pictures=False)
    for label, content in zip(labels, contents, strict=True):
        (folder / label["file_name"]).write_bytes(content)
    return folder


def noise(seed, *, width=32, height=24, colours=3):
    shape = (height, width, 3) if colours == 3 else (height, width)
    pixels = np.random.default_rng(seed).integers(10 * seed, 255, shape).astype(np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def episodes_of(out):
    return pq.read_table(out / "meta/episodes/chunk-000/file-000.parquet").to_pylist()


@pytest.mark.parametrize("colours", [3, 1], ids=["colour", "grey"])
def test_statistics_are_those_of_the_decoded_pictures(export, tmp_path, colours):
    contents = [noise(seed, colours=colours) for seed in range(1, 7)]
    _, _, _, out = export(save_pictures(tmp_path / "set", contents, gap_after=1), "lerobot")
    mode = cv2.IMREAD_COLOR if colours == 3 else cv2.IMREAD_GRAYSCALE
    decoded = [
        cv2.imdecode(np.frombuffer(content, np.uint8), mode).reshape(-1, colours)[:, ::-1]
        for content in contents
    ]
    whole = json.loads((out / "meta/stats.json").read_text())[CAMERA]
    first, second = (
        {name: row[f"stats/{CAMERA}/{name}"] for name in whole} for row in episodes_of(out)
    )
    for stats, pictures in ((whole, decoded), (first, decoded[:2]), (second, decoded[2:])):
        pixels = np.concatenate(pictures) / 255
        shape = (colours, 1, 1)
        assert stats["count"] == [len(pictures)]
        for name, expected in (
            ("min", pixels.min(axis=0)),
            ("max", pixels.max(axis=0)),
            ("mean", pixels.mean(axis=0)),
            ("std", pixels.std(axis=0)),
            *(
                (name, np.quantile(pixels, share, axis=0, method="inverted_cdf"))
                for name, share in QUANTILES.items()
            ),
        ):
            assert np.allclose(stats[name], expected.reshape(shape)), name


def test_statistics_of_the_values_are_exact(export, tmp_path):
    _, _, _, out = export(save(tmp_path / "set", drive_labels()), "lerobot")
    stats = json.loads((out / "meta/stats.json").read_text())
    rows = lerobot_rows(out)
    for feature in ("action", "observation.state", "timestamp", "index", "capture_time_us"):
        values = np.array([row[feature] for row in rows], np.float64).reshape(len(rows), -1)
        assert np.allclose(stats[feature]["mean"], values.mean(axis=0))
        assert np.allclose(stats[feature]["std"], values.std(axis=0), rtol=1e-3)
        assert np.allclose(stats[feature]["q90"], np.quantile(values, 0.9, axis=0))
        assert stats[feature]["count"] == [len(rows)]


def test_the_state_is_the_action_before(export, tmp_path):
    labels = [document(number, steering=0.1 * number) for number in (0, 1, 2, 30, 31)]
    for number, label in enumerate(labels):
        label["label"] |= {"steering": number / 10, "raw_direction": number / 10}
        label["label"]["label_direction"] = 2 if number < 2 else 3
        label["label_fingerprint"] = ids.fingerprint(label["img_id"], label["label"])
    _, _, _, out = export(save(tmp_path / "set", labels), "lerobot")
    rows = lerobot_rows(out)
    assert [row["frame_index"] for row in rows] == [0, 1, 2, 0, 1]
    for before, row in zip([None, *rows], rows, strict=False):
        expected = before["action"] if row["frame_index"] else [0, 0]
        assert row["observation.state"] == expected


def test_episodes_say_where_their_rows_are(export, tmp_path, monkeypatch):
    """Also in several files, and of several row groups."""
    monkeypatch.setattr(lerobot, "FILE_MB", 0.002)
    monkeypatch.setattr(lerobot, "_GROUP_ROWS", 2)
    contents = [noise(seed) for seed in range(1, 9)]
    folder = save_pictures(tmp_path / "set", contents, gap_after=4)
    _, _, _, out = export(folder, "lerobot")
    episodes = episodes_of(out)
    assert [row["length"] for row in episodes] == [5, 3]
    for row in episodes:
        file = f"data/chunk-{row['data/chunk_index']:03d}/file-{row['data/file_index']:03d}.parquet"
        indices = pq.read_table(out / file)["index"].to_pylist()
        span = range(row["dataset_from_index"], row["dataset_to_index"])
        assert set(span) <= set(indices)
    assert len({row["data/file_index"] for row in episodes}) == 2
    assert pq.ParquetFile(out / "data/chunk-000/file-000.parquet").num_row_groups == 3
    assert [row.sha256 for row in read(out, "lerobot")] == list(map(ids.sha256, contents))


@pytest.mark.parametrize(
    "other",
    [noise(9, width=40), noise(9, colours=1)],
    ids=["another size", "grey among colour"],
)
def test_pictures_of_two_kinds_are_refused(export, tmp_path, other):
    folder = save_pictures(tmp_path / "set", [noise(1), noise(2), other])
    code, found, err, out = export(folder, "lerobot")
    assert (code, found, out.exists()) == (2, None, False)
    assert max(label_file.read(folder / "labels.json")) in err
    assert [file.name for file in tmp_path.iterdir()] == ["set"]
    assert export(folder, "tub")[0] == 0


def test_a_picture_that_no_decoder_takes_is_refused(export, tmp_path):
    whole = jpeg_files.flat()
    broken = whole.replace(jpeg_files.codes(), jpeg_files.codes()[:-20] + b"\xff" * 20)
    assert len(broken) == len(whole)
    assert broken != whole
    if cv2.imdecode(np.frombuffer(broken, np.uint8), cv2.IMREAD_GRAYSCALE) is not None:
        pytest.skip("this OpenCV takes it")
    folder = save_pictures(tmp_path / "set", [whole, broken])
    code, found, _, out = export(folder, "lerobot")
    assert (code, found, out.exists()) == (2, None, False)


def test_as_many_pictures_are_looked_at_as_by_lerobot():
    expected = {1: 1, 2: 2, 99: 99, 100: 100, 500: 105, 1000: 177, 10_000: 1000, 10**6: 10_000}
    for pictures, count in expected.items():
        chosen = lerobot_stats.looked_at(pictures)
        assert len(chosen) == count
        assert {min(chosen), max(chosen)} == {0, pictures - 1}
