"""Exports opened by the projects that they are for: every row, with its bytes and values."""

import numpy as np
import pytest

from get_data.labels.values import steering_of, throttle_of
from tests.conftest import document, save
from tests.exporting.conftest import drive_labels

COUNT = 40
PARTS = ("train", 24), ("val", 8), ("test", 8)


def labels_with_split():
    """Labels of one drive, in three parts."""
    labels = drive_labels(COUNT)
    parts = [part for part, count in PARTS for _ in range(count)]
    for label, part in zip(labels, parts, strict=True):
        label["split"] = part
    return labels


@pytest.fixture
def split_set(tmp_path):
    """A folder with a split."""
    return save(tmp_path / "set", labels_with_split())


def expected(labels, kind=float):
    return [
        [label["picture_sha256"], kind(steering_of(label)), kind(throttle_of(label))]
        for label in labels
    ]


CHECKS = 11  # of lerobot-doctor 0.2
LEROBOT = """
import hashlib, json, sys
import pandas
from datasets import Image, load_dataset
from lerobot_doctor import dataset_loader, runner

def load(files):
    return load_dataset("parquet", data_files=f"{sys.argv[1]}/{files}", split="train")

rows, camera = load("data/*/*.parquet"), "observation.images.front"
assert rows.features[camera] == Image(), rows.features
assert rows[0][camera].size == (160, 120)
rows = rows.cast_column(camera, Image(decode=False))
tasks = pandas.read_parquet(f"{sys.argv[1]}/meta/tasks.parquet")
checked = runner.run_checks(dataset_loader.load_dataset(sys.argv[1]))
print(json.dumps({
    "rows": [[hashlib.sha256(row[camera]["bytes"]).hexdigest(), *row["action"]] for row in rows],
    "episodes": [[row["length"], row["dataset_from_index"], row["dataset_to_index"]]
                 for row in load("meta/episodes/*/*.parquet")],
    "tasks": [tasks.index.name, tasks["task_index"].to_dict()],
    "doctor": checked.summary_counts,
}))
"""


def test_datasets_and_lerobot_doctor_read_what_is_for_lerobot(export, split_set, datasets_reader):
    _, _, _, out = export(split_set, "lerobot")
    found = datasets_reader(LEROBOT, out)
    assert found["rows"] == expected(labels_with_split(), lambda value: float(np.float32(value)))
    assert found["episodes"] == [[24, 0, 24], [8, 24, 32], [8, 32, 40]]
    assert found["tasks"] == ["task", {"Drive the car along the track.": 0}]
    counts = {str(name).upper(): count for name, count in found["doctor"].items()}
    assert counts["FAIL"] == 0
    assert sum(counts.values()) == CHECKS


WEBDATASET = """
import glob, hashlib, json, sys
import webdataset
found = {}
for part in ("train", "val", "test"):
    tars = sorted(glob.glob(f"{sys.argv[1]}/{part}-*.tar"))
    found[part] = []
    for sample in webdataset.WebDataset(tars, shardshuffle=False):
        row = json.loads(sample["json"])
        assert row["split"] == part and sample["__key__"] == row["img_id"], row
        found[part].append([hashlib.sha256(sample["jpg"]).hexdigest(),
                            row["steering"], row["throttle"]])
print(json.dumps(found))
"""


def test_webdataset_reads_its_tar_files(export, split_set, datasets_reader):
    _, _, _, out = export(split_set, "webdataset")
    labels = labels_with_split()
    assert datasets_reader(WEBDATASET, out) == {
        part: expected([label for label in labels if label["split"] == part]) for part, _ in PARTS
    }


TABLE = """
import hashlib, json, sys
import pandas
from datasets import Image, load_dataset
table = pandas.read_csv(sys.argv[1] + "/metadata.csv")
rows = load_dataset("imagefolder", data_dir=sys.argv[1], split="train")
assert list(table["img_id"]) == list(rows["img_id"])
assert rows[0]["image"].size == (160, 120)
names = [f"{sys.argv[1]}/{name}" for name in table["file_name"]]
hashes = [hashlib.sha256(open(name, "rb").read()).hexdigest() for name in names]
print(json.dumps([[*row] for row in zip(hashes, rows["steering"], rows["throttle"])]))
"""


def test_pandas_and_imagefolder_read_the_table(export, split_set, datasets_reader):
    _, _, _, out = export(split_set, "csv")
    assert sorted(datasets_reader(TABLE, out)) == sorted(expected(labels_with_split()))


TUB = """
import hashlib, json, os, sys
from donkeycar.parts.tub_v2 import Tub
tub = Tub(sys.argv[1], read_only=True)
found = []
for record in tub:
    name = os.path.join(sys.argv[1], tub.images(), record["cam/image_array"])
    found.append([hashlib.sha256(open(name, "rb").read()).hexdigest(),
                  record["user/angle"], record["user/throttle"]])
assert len(found) == len(tub), len(tub)
print(json.dumps([found, sorted(tub.manifest.deleted_indexes), tub.manifest.catalog_paths]))
"""


def test_donkeycar_reads_its_tubs(export, split_set, donkeycar_reader):
    _, _, _, out = export(split_set, "tub")
    labels = labels_with_split()
    for part, _ in PARTS:
        found, deleted, _ = donkeycar_reader(TUB, out / part)
        assert found == expected([label for label in labels if label["split"] == part])
        assert deleted == []


def test_donkeycar_skips_deleted_records_and_seeks_in_catalogs(export, tmp_path, donkeycar_reader):
    """A tub has 1,000 records a catalog; lines are found by their lengths."""
    labels = [document(number, steering=number % 7 / 10) for number in range(1003)]
    for number in (0, 500, 1002):
        labels[number]["to_delete"] = True
    _, _, _, out = export(save(tmp_path / "set", labels), "tub")
    found, deleted, catalogs = donkeycar_reader(TUB, out)
    assert found == expected([label for label in labels if "to_delete" not in label])
    assert deleted == [0, 500, 1002]
    assert catalogs == ["catalog_0.catalog", "catalog_1.catalog"]
    seek = (
        "import json, os, sys\n"
        "from donkeycar.parts.datastore_v2 import Catalog\n"
        "catalog = Catalog(sys.argv[1], read_only=True)\n"
        "catalog.seekable.seek_line_start(501)\n"
        "print(json.dumps(json.loads(catalog.seekable.readline())['_index']))"
    )
    assert donkeycar_reader(seek, out / "catalog_0.catalog") == 500
