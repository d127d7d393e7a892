"""Recordings made for tests; the check of a finished one is in `wholeness.py`."""

import json
import time
from datetime import timedelta

import numpy as np

from get_data.labels.classes import Classes
from get_data.recording import journal
from get_data.recording.recorder import Recorder
from tests.conftest import START, number_of, picture
from tests.helpers.wholeness import assert_whole as assert_whole

FRAME = np.full((12, 16, 3), (200, 30, 30), np.uint8)  # blue green red


def open_recorder(folder, **options):
    """Open a recorder for frames of 16 x 12 pixels."""
    settings = {
        "session": {"driver": "Zoé"},
        "car_setting": {"car": "test"},
        "classes": Classes(max_throttle=0.5),
        "resolution": (16, 12),
        "jpeg_quality": 90,
        "min_free_bytes": 0,
    }
    return Recorder(folder, **(settings | options))


def record_pictures(recorder, count, *, first=0, picture=FRAME, by_pilot=False, wait=False):
    """Record pictures, 0.1 s apart, retrying those that are dropped."""
    for number in range(first, first + count):
        while not recorder.record(
            picture,
            captured=START + timedelta(milliseconds=100 * number),
            steering=(number % 5) / 2 - 1,
            throttle=0.3,
            by_pilot=by_pilot,
            wait=wait,
        ):
            time.sleep(0.001)
            recorder.dropped -= 1


def interrupted_recording(folder, lines, *, torn=b""):
    """Make a folder as a killed recording leaves it: pictures and a journal, which may be torn."""
    folder.mkdir(exist_ok=True)
    content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    (folder / journal.NAME).write_bytes(content + torn)
    for line in lines:
        if "img_id" in line:
            (folder / line["file_name"]).write_bytes(picture(number_of(line)))
    return folder
