"""Donkeycar tubs as donkeycar 5.3.0 lays them out, and labels of the original project."""

import json
from pathlib import Path

from tests.conftest import picture

STARTED_S = 1_669_759_850.0
STARTED_MS = 1_669_759_853_966
PERIOD_MS = 50
INPUTS = ["cam/image_array", "user/angle", "user/throttle", "user/mode"]
TYPES = ["image_array", "float", "float", "str"]


def record(number, **changes):
    """Return a record of a tub v2; a change to None leaves a column out."""
    columns = {
        "_index": number,
        "_session_id": "22-11-29_0",
        "_timestamp_ms": STARTED_MS + PERIOD_MS * number,
        "cam/image_array": f"{number}_cam_image_array_.jpg",
        "user/angle": round(number % 5 / 2 - 1, 3),
        "user/throttle": round(0.1 + number % 4 / 10, 3),
        "user/mode": "user",
    }
    columns |= {key.replace("__", "/"): value for key, value in changes.items()}
    return {key: value for key, value in columns.items() if value is not None}


def write_v2(folder: Path, records, *, deleted=(), metadata=None, per_catalog=1000):
    """Write a tub v2; a record that is bytes is written as it is, and has no picture."""
    images = folder / "images"
    images.mkdir(parents=True)
    names = []
    for first in range(0, len(records), per_catalog):
        lines = []
        for each in records[first : first + per_catalog]:
            if isinstance(each, bytes):
                lines.append(each + b"\n")
                continue
            lines.append(json.dumps(each, sort_keys=True).encode() + b"\n")
            name = each.get("cam/image_array")
            if isinstance(name, str) and "/" not in name:
                (images / name).write_bytes(picture(each["_index"]))
        names.append(f"catalog_{len(names)}.catalog")
        (folder / names[-1]).write_bytes(b"".join(lines))
        listed = {
            "created_at": STARTED_S,
            "line_lengths": [len(line) for line in lines],
            "path": f"{names[-1]}_manifest",
            "start_index": first,
        }
        (folder / f"{names[-1]}_manifest").write_text(json.dumps(listed, sort_keys=True) + "\n")
    write_manifest(folder, names, deleted=deleted, metadata=metadata, count=len(records))
    return folder


def write_manifest(folder: Path, catalogs, *, deleted=(), metadata=None, count=0):
    """Write the manifest of a tub v2."""
    sessions = {"all_full_ids": ["22-11-29_0"], "last_id": 0, "last_full_id": "22-11-29_0"}
    lines = [
        INPUTS,
        TYPES,
        metadata or {},
        {"created_at": STARTED_S, "sessions": sessions},
        {
            "paths": catalogs,
            "current_index": count,
            "max_len": 1000,
            "deleted_indexes": sorted(deleted),
        },
    ]
    (folder / "manifest.json").write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_v1(folder: Path, count, *, excluded=(), timed=True):
    """Write a tub v1."""
    folder.mkdir(parents=True)
    meta = {"inputs": INPUTS, "types": TYPES, "start": STARTED_S, "location": "garage"}
    (folder / "meta.json").write_text(json.dumps(meta))
    if excluded:
        (folder / "exclude.json").write_text(json.dumps(sorted(excluded)))
    for number in range(1, count + 1):
        name = f"{number}_cam-image_array_.jpg"
        columns = {
            key: value for key, value in record(number).items() if not key.startswith("_")
        } | {"cam/image_array": name}
        if timed:
            columns["milliseconds"] = PERIOD_MS * number
        (folder / f"record_{number}.json").write_text(json.dumps(columns))
        (folder / name).write_bytes(picture(number))
    return folder


def original_label(number, **annotation):
    """Return a label of the original project, as its commit 1c5ee4f writes it, with its key."""
    img_id = f"20200204T15-23-{8 + number:02}-574348"
    return img_id, {
        "s3_bucket": "",
        "car_setting": {"camera": {"frame_rate": 32}, "constant": {"max_speed": 307}},
        "hardware_conf": {"car": "patate", "version": 1},
        "event": "iron car",
        "track": "",
        "track_type": "single lane",
        "comment": "",
        "dataset": [{"name": "", "comment": "", "query": None}],
        "raw_picture": True,
        "upload_date": None,
        "img_id": img_id,
        "file_name": f"{img_id}.jpg",
        "file_type": "jpg",
        "raw_value": {
            "raw_direction": 326 + number,
            "raw_speed": 307,
            "normalized_speed": 1.0,
            "normalized_direction": round(number / 325, 2),
        },
        "label": {
            "label_direction": 2,
            "label_speed": 0,
            "created_by": "auto",
            "created_on_date": f"{img_id[:-1]}9",
            "raw_dir_to_label_mapping": [250, 290, 327, 364, 400],
            "nb_of_direction": 5,
            "nb_of_speed": 2,
        }
        | annotation,
        "timestamp": img_id,
        "label_fingerprint": "ff4c8a7882ae8d4d9a2d139ff420a62b",
    }


def write_original(folder: Path, labels, name="labels_20200204T16-00-00-000000.json"):
    """Write labels of the original project and their pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, label in enumerate(labels.values()):
        (folder / label["file_name"]).write_bytes(picture(number))
    (folder / name).write_text(json.dumps(labels, indent=4))
    return folder
