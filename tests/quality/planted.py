"""Sets made of arrays, with faults planted in them."""

from dataclasses import fields, replace

import numpy as np

from get_data.labels.classes import Classes
from get_data.quality.samples import Samples
from get_data.quality.thumbnails import HEIGHT_PX, WIDTH_PX, Thumbnails
from tests.helpers import learning

LISTS = ("img_ids", "file_names", "sha256")
CLASSES = Classes(max_throttle=0.5)
PERIOD_US = round(1e6 / learning.RATE_HZ)
START_US = 1_714_564_800_000_000
ARRAYS = [field.name for field in fields(Samples) if field.name not in LISTS]


def samples_of(steering, *, throttle=None, drive=None, time_us=None):
    """Return the samples of a drive at the rate of the simulator."""
    count = len(steering)
    throttle = np.full(count, 0.3) if throttle is None else throttle
    directions = [CLASSES.direction(float(each)) for each in steering]
    speeds = [CLASSES.speed(float(each)) for each in throttle]
    return Samples(
        img_ids=[f"picture-{row:05}" for row in range(count)],
        file_names=[f"picture-{row:05}.jpg" for row in range(count)],
        sha256=[""] * count,
        time_us=START_US + PERIOD_US * np.arange(count) if time_us is None else time_us,
        drive=np.zeros(count, np.int32) if drive is None else drive,
        steering=np.asarray(steering, np.float32),
        throttle=np.asarray(throttle, np.float32),
        raw_steering=np.asarray(steering, np.float32),
        direction=np.array(directions, np.int16),
        nb_dir=np.full(count, CLASSES.nb_dir, np.int16),
        speed=np.array(speeds, np.int16),
        nb_speed=np.full(count, CLASSES.nb_speed, np.int16),
        reviewed=np.zeros(count, np.bool_),
    )


def thumbnails_of(lesson):
    """Return the pictures of a lesson as thumbnails."""
    grey = np.round(lesson.pictures * 255).astype(np.uint8)
    shape = (len(grey), HEIGHT_PX, WIDTH_PX)
    return Thumbnails(grey.reshape(shape), np.ones(len(grey), np.bool_))


def noise(count, *, seed=0):
    """Return thumbnails that have nothing to do with each other."""
    grey = np.random.default_rng(seed).integers(0, 256, (count, HEIGHT_PX, WIDTH_PX), np.uint8)
    return Thumbnails(grey, np.ones(count, np.bool_))


def late(steering, pictures):
    """Return the steering as labels that are late show it."""
    return steering[np.maximum(np.arange(len(steering)) - pictures, 0)]


def joined(*parts):
    """Return the samples of several drives, one after the other, as one set."""
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS}
    count = len(arrays["steering"])
    return replace(
        samples_of(arrays["steering"]),
        **arrays | {"drive": np.repeat(np.arange(len(parts), dtype=np.int32), [*map(len, parts)])},
        img_ids=[f"picture-{row:05}" for row in range(count)],
    )
