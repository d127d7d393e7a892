"""A correction reaches what a model learns from: the whole loop, from a drive to a drive."""

from contextlib import closing
from datetime import timedelta

import cv2
import numpy as np
import pytest

from get_data import search_and_download, upload_data, upload_to_db
from get_data.labelizer.operations import Operation
from get_data.labelizer.workspace import Workspace
from get_data.labels import edits, label_file
from get_data.labels.classes import Classes
from get_data.labels.values import steering_of
from tests.conftest import START
from tests.helpers import learning
from tests.labelizer.helpers import UID, read_folder, save_operations

pytestmark = pytest.mark.slow

LATE = 3
SESSION = "20201231T15-45-00-000000-7f3a"
MAX_OFFSET_M = 0.04  # clean labels: 0.020 and 0.027; three pictures late: 0.087 and 0.099


def save_late_drive(folder, lesson):
    """Save a drive whose labels are `LATE` pictures late."""
    folder.mkdir()
    labels = {}
    for number, row in enumerate(lesson.pictures):
        grey = (row.reshape(learning.HEIGHT_PX, learning.WIDTH_PX) * 255).astype(np.uint8)
        content = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        label = edits.new_label(
            captured=START + timedelta(seconds=number / learning.RATE_HZ),
            picture=content,
            width=learning.WIDTH_PX,
            height=learning.HEIGHT_PX,
            steering=float(lesson.steering[max(number - LATE, 0)]),
            throttle=0.3,
            classes=Classes(max_throttle=0.5),
            session={"driver": "Zoé"},
            car_setting={"car": "patate", "run": {"max_throttle": 0.5}},
            session_id=SESSION,
        )
        labels[label["img_id"]] = label
        (folder / label["file_name"]).write_bytes(content)
    label_file.write(folder / label_file.NAME, labels)
    return labels


def move_labels(folder, count):
    """Move all labels of a folder to earlier pictures, and return the exported file."""
    shift = Operation(
        uid=UID.format(1),
        kind="shift",
        text="labels moved",
        by=-LATE,
        positions=[(0, count - 1)],
        set={},
        was={},
    )
    with closing(Workspace(read_folder(folder), "Zoé")) as workspace:
        save_operations(workspace, workspace.take_lease("browser one", take_over=False), shift)
        return workspace.export().file


def read_lesson(folder):
    """Return the pictures of a fetched set with the steering that their labels ask for."""
    labels = label_file.read(folder / label_file.NAME)
    ordered = [labels[img_id] for img_id in sorted(labels)]
    greys = [cv2.imread(str(folder / one["file_name"]), cv2.IMREAD_GRAYSCALE) for one in ordered]
    pictures = np.array([grey.ravel() / 255 for grey in greys])
    return learning.Lesson(pictures, np.array([steering_of(one) for one in ordered]))


@pytest.mark.parametrize("track", ["school", "park"])
def test_labels_moved_back_drive_as_clean_ones(tmp_path, call, track):
    drive = tmp_path / "drive"
    recorded = save_late_drive(drive, learning.record(track, seed=1, pictures=2000))
    assert call(upload_data, drive)[0] == 0
    exported = move_labels(drive, len(recorded))
    assert call(upload_to_db, exported, "-p", drive, "-y")[0] == 0
    assert call(search_and_download, "-p", tmp_path / "set")[0] == 0

    fetched = label_file.read(tmp_path / "set" / label_file.NAME)
    assert len(fetched) == len(recorded) - LATE
    for name, one in fetched.items():
        for key in ("raw_direction", "raw_speed"):
            assert one["label"][key] == recorded[name]["label"][key]
    model = learning.fit(read_lesson(tmp_path / "set"))
    outcome = learning.drive(model, track, seed=101, laps=5)
    assert (outcome.laps, outcome.left_road) == (5, False)
    assert outcome.rms_offset_m < MAX_OFFSET_M
