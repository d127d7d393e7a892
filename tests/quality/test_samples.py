"""Labels as arrays."""

import random
from datetime import timedelta

import numpy as np
import pytest

from get_data.labels import edits
from get_data.labels.classes import Classes
from get_data.quality import samples
from tests.conftest import START, picture


def label(number, *, steering=0.0, session_id="", second=None, **session):
    return edits.new_label(
        captured=START + timedelta(seconds=number / 20 if second is None else second),
        picture=picture(number),
        width=160,
        height=120,
        steering=steering,
        throttle=0.3,
        classes=Classes(max_throttle=0.5),
        session=session,
        car_setting={"car": "patate", "run": {"max_throttle": 0.5}},
        session_id=session_id,
    )


def read(*labels):
    return samples.from_labels({each["img_id"]: each for each in labels})


def test_a_set_without_labels_has_no_samples():
    found = read()
    assert len(found) == 0
    assert list(found.drives()) == []
    assert found.drive.dtype == np.int32


def test_samples_are_sorted_by_drive_and_then_by_time():
    first, other = "20240501T12-00-00-000000-00aa", "20240501T12-00-00-000000-00bb"
    labels = [label(number, session_id=(first, other)[number % 2]) for number in range(10)]
    found = read(*reversed(labels))
    assert found.drive.tolist() == [0] * 5 + [1] * 5
    assert found.img_ids == [each["img_id"] for each in (*labels[::2], *labels[1::2])]
    assert list(found.drives()) == [slice(0, 5), slice(5, 10)]
    assert np.all(np.diff(found.time_us[:5]) == 100_000)


def test_a_pause_separates_drives_without_a_session_id():
    labels = [label(number) for number in range(5)] + [
        label(number, second=60 + number / 20) for number in range(5)
    ]
    assert read(*labels).drive.tolist() == [0] * 5 + [1] * 5


def test_the_columns_are_what_the_labels_say():
    corrected = edits.corrected(
        label(1, steering=0.9), created_by="Ada", direction=2, speed=1, created_on=START
    )
    found = read(label(0, steering=-0.9), corrected)
    assert found.steering == pytest.approx([-0.9, 0.0])
    assert found.raw_steering == pytest.approx([-0.9, 0.9])
    assert found.throttle == pytest.approx([0.3, 0.3])
    assert found.direction.tolist() == [0, 2]
    assert found.nb_dir.tolist() == [5, 5]
    assert found.speed.tolist() == [1, 1]
    assert found.nb_speed.tolist() == [2, 2]
    assert found.reviewed.tolist() == [False, True]
    assert found.sha256[0] == label(0)["picture_sha256"]


def test_the_command_of_a_model_is_not_settled():
    by_model = label(1)
    by_model["label"]["created_by"] = "pilot"
    assert read(by_model).reviewed.tolist() == [False]


def test_a_label_marked_for_deletion_is_settled():
    """As in the labelizer, where it looks wrong no more."""
    assert read(label(0), edits.marked_for_deletion(label(1))).reviewed.tolist() == [False, True]


def test_a_label_without_values_and_hash_has_the_centre_of_its_class():
    bare = label(0, steering=-0.9)
    for name in ("raw_direction", "raw_speed", "steering", "throttle"):
        del bare["label"][name]
    del bare["picture_sha256"]
    found = read(bare)
    assert found.steering == pytest.approx([-0.8])
    assert np.isnan(found.raw_steering).all()
    assert found.sha256 == [""]


def test_the_order_of_the_labels_does_not_matter():
    """Labels with equal times come by their id, whatever the file's order."""
    labels = [label(number, second=0) | {"img_id": f"picture-{number}"} for number in range(20)]
    shuffled = random.Random(1).sample(labels, len(labels))
    assert read(*labels).img_ids == read(*shuffled).img_ids
