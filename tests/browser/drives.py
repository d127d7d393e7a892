"""Recordings with real pictures, for a browser to show."""

import os
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from common.times import format_time
from get_data.labels import constants, edits, ids, label_file
from get_data.labels.classes import Classes
from get_data.labels.schema import Document
from tests.conftest import START

WIDTH_PX, HEIGHT_PX = 160, 120
RATE_HZ = 20


@lru_cache(maxsize=2000)
def picture(number: int) -> bytes:
    """Return a JPEG that shows its number and differs from its neighbours."""
    noise = np.random.default_rng(number).integers(0, 120, (HEIGHT_PX // 8, WIDTH_PX // 8, 3))
    pixels = cv2.resize(noise.astype(np.uint8), (WIDTH_PX, HEIGHT_PX))
    at = (12, HEIGHT_PX // 2 + 14)
    cv2.putText(pixels, str(number), at, cv2.FONT_HERSHEY_SIMPLEX, 1.4, (255, 255, 255), 3)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def document(number: int, content: bytes, steering: float | None = None, **own: object) -> Document:
    """Return the label of picture `number`; by default directions go 0 1 2 3 4 0 1 ..."""
    return edits.new_label(
        captured=START + timedelta(seconds=number / RATE_HZ),
        picture=content,
        width=WIDTH_PX,
        height=HEIGHT_PX,
        steering=(number % 5) * 0.4 - 0.8 if steering is None else steering,
        throttle=0.1 if number % 2 else 0.4,
        classes=Classes(max_throttle=0.5),
        session={"event": "test day", "driver": "Zoé", **own},
        car_setting={"car": "patate"},
    )


def img_id(number: int) -> str:
    """Return the id of picture `number`."""
    return ids.format_img_id(START + timedelta(seconds=number / RATE_HZ))


def drive(folder: Path, count: int = 12, **own: object) -> Path:
    """Create a folder with `count` pictures and their labels."""
    folder.mkdir(parents=True)
    labels = {}
    for number in range(count):
        content = picture(number)
        label = document(number, content, **own)
        labels[label["img_id"]] = label
        (folder / label["file_name"]).write_bytes(content)
    label_file.write(folder / label_file.NAME, labels)
    return folder


def long_drive(
    folder: Path, count: int, files: int = 2000, *, created_by: str = constants.AUTO
) -> Path:
    """Create a folder with `count` labels, whose pictures are hard links to `files` files.

    Labels of a person are settled: nobody searches for wrong ones among them.
    """
    first = drive(folder, min(files, count))
    read = label_file.read(first / label_file.NAME)
    documents = [_by(created_by, label) for label in read.values()]
    with label_file.open_writer(folder / label_file.NAME) as file:
        for number in range(count):
            label = documents[number % files]
            if number >= files:
                label = _taken_at(number, label)
                os.link(
                    f"{folder}/{documents[number % files]['file_name']}",
                    f"{folder}/{label['file_name']}",
                )
            file.add(label["img_id"], label_file.msgspec.json.encode(label))
    return folder


def _by(created_by: str, document: Document) -> Document:
    """Return a label as somebody made it."""
    annotation = {**document["label"], "created_by": created_by}
    fingerprint = ids.fingerprint(document["img_id"], annotation)
    return {**document, "label": annotation, "label_fingerprint": fingerprint}


def _taken_at(number: int, document: Document) -> Document:
    """Return the label of another picture with the same content; cheaper than a new label."""
    name, time = img_id(number), format_time(START + timedelta(seconds=number / RATE_HZ))
    annotation = {**document["label"], "created_on_date": time}
    own = {"img_id": name, "file_name": f"{name}.jpg", "timestamp": time, "label": annotation}
    return {**document, **own, "label_fingerprint": ids.fingerprint(name, annotation)}
