"""Labels that look wrong, on drives of hand-made pictures: a bright bar stands where to steer."""

import warnings
from dataclasses import fields, replace
from datetime import timedelta

import numpy as np
import pytest

from get_data.labels import edits
from get_data.labels.classes import Classes
from get_data.quality import samples, suspicion
from get_data.quality.samples import Samples
from get_data.quality.suspicion import CONTRADICTION, find_suspects
from get_data.quality.thumbnails import Thumbnails
from tests.conftest import START

COUNT = 300
CLASSES = Classes(max_throttle=0.5)


@pytest.fixture(autouse=True)
def _no_warnings():
    """Fail on every warning, such as numpy's of a division by zero."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def winding(count, *, phase=0.0):
    """Return the steering of a winding road."""
    return 0.8 * np.sin(np.arange(count) / 15 + phase)


def pictures(steering):
    """Return thumbnails that show the steering."""
    noise = np.random.default_rng(1).normal(0, 4, (len(steering), 30, 40))
    position = 20 + 15 * np.asarray(steering)
    bars = 200 * np.exp(-(((np.arange(40) - position[:, None]) / 4) ** 2))
    grey = np.clip(bars[:, None, :] + 20 + noise, 0, 255).astype(np.uint8)
    return Thumbnails(grey, np.ones(len(steering), np.bool_))


def no_pictures(data):
    """Return thumbnails of which none is readable."""
    count = len(data)
    return Thumbnails(np.zeros((count, 30, 40), np.uint8), np.zeros(count, np.bool_))


def labelled(*drives, raw=None, nb_dir=5):
    """Return the samples of drives with this steering, at 20 Hz and a minute apart."""
    steering = np.concatenate([np.asarray(each, np.float64) for each in drives])
    count = len(steering)
    time_us = np.concatenate(
        [60_000_000 * number + 50_000 * np.arange(len(each)) for number, each in enumerate(drives)]
    )
    names = [f"{row:05}" for row in range(count)]
    classes = Classes(nb_dir=nb_dir)
    zeros = np.zeros(count, np.int16)
    return Samples(
        img_ids=names,
        file_names=[f"{name}.jpg" for name in names],
        sha256=[""] * count,
        time_us=time_us.astype(np.int64),
        drive=np.repeat(np.arange(len(drives), dtype=np.int32), [len(each) for each in drives]),
        steering=steering.astype(np.float32),
        throttle=np.full(count, 0.3, np.float32),
        raw_steering=(steering if raw is None else raw).astype(np.float32),
        direction=np.array([classes.direction(value) for value in steering], np.int16),
        nb_dir=np.full(count, nb_dir, np.int16),
        speed=zeros,
        nb_speed=zeros + 2,
        reviewed=np.zeros(count, np.bool_),
    )


def share_found(found, planted, looks):
    return len(set(found.order[:looks].tolist()) & set(planted)) / len(planted)


@pytest.fixture(scope="module")
def mixed():
    """A drive with single wrong labels and a run of them, and what was found."""
    right = winding(COUNT)
    single, run = list(range(20, 200, 20)), list(range(240, 250))
    wrong = right.copy()
    wrong[single] = np.where(right[single] > 0, right[single] - 0.8, right[single] + 0.8)
    wrong[run] = -0.8 if right[245] > 0 else 0.8
    return single, run, find_suspects(labelled(wrong), pictures(right))


def test_single_wrong_labels_come_first(mixed):
    single, run, found = mixed
    assert share_found(found, single, len(single) + len(run)) == 1


def test_a_run_of_wrong_labels_is_found_by_the_pictures(mixed):
    single, run, found = mixed
    assert share_found(found, run, len(single) + len(run) + 5) == 1


def test_the_prediction_is_what_the_picture_shows(mixed):
    _, _, found = mixed
    assert np.abs(found.predicted - winding(COUNT)).max() < 0.4
    assert np.abs(found.predicted - winding(COUNT)).mean() < 0.1


def test_the_worst_clip_is_the_run(mixed):
    _, run, found = mixed
    first, last = found.clips[0]
    assert first <= run[0] + 2
    assert last >= run[-1] - 2
    assert last - first < 20


def test_a_clean_drive_has_low_scores_and_no_clips():
    right = winding(COUNT)
    found = find_suspects(labelled(right), pictures(right))
    assert found.score.max() < 0.2
    assert found.clips == []
    assert sorted(found.order.tolist()) == list(range(COUNT))


def test_a_reviewed_label_is_settled():
    """It comes last, and the same wrong values are no clip any more."""
    right = winding(COUNT)
    wrong = right.copy()
    run = slice(100, 110)
    wrong[run] = -np.sign(right[105]) * 0.8
    wrong[40] = -0.9
    data = labelled(wrong)
    data.reviewed[run] = data.reviewed[40] = True
    found = find_suspects(data, pictures(right))
    assert not found.score[data.reviewed].any()
    assert set(found.order[-11:].tolist()) == set(np.flatnonzero(data.reviewed).tolist())
    assert found.clips == []


@pytest.mark.parametrize("between", ["drives", "a pause"])
def test_nothing_is_a_neighbour_of_what_another_drive_did(between):
    """A wrong label that looks like the beginning of the next drive is wrong all the same."""
    first, second = np.full(60, -0.8), np.full(60, 0.8)
    first[-1] = 0.8
    if between == "drives":
        data = labelled(first, second)
        data.time_us[60:] = data.time_us[:60]  # two cars at once: no pause tells them apart
    else:
        data = labelled(np.concatenate([first, second]))
        data.time_us[60:] += 5_000_000
    found = find_suspects(data, no_pictures(data))
    assert found.order[0] == 59
    assert found.score[59] == pytest.approx(1.6, abs=0.01)
    assert np.delete(found.score, 59).max() < 0.2


@pytest.mark.parametrize("row", [0, 1, COUNT // 2 - 1, COUNT // 2, COUNT - 1])
def test_a_wrong_label_at_the_end_of_a_drive_is_found(row):
    drive = winding(COUNT // 2)
    wrong = np.concatenate([drive, drive])
    wrong[row] = -1.0 if wrong[row] > 0 else 1.0
    data = labelled(wrong[: COUNT // 2], wrong[COUNT // 2 :])
    found = find_suspects(data, pictures(np.concatenate([drive, drive])))
    assert found.order[0] == row


def test_a_class_that_contradicts_what_the_driver_did_is_certain():
    right = winding(COUNT)
    data = labelled(right)
    data.direction[30], data.steering[30] = 0, -0.8  # as a label without a value is read
    data.direction[200], data.steering[200] = 0, -0.8
    found = find_suspects(data, pictures(right))
    assert set(found.order[:2].tolist()) == {30, 200}
    assert np.sum(found.score >= CONTRADICTION) == 2


def test_a_value_that_was_set_is_no_contradiction():
    data = labelled(0.9 * winding(COUNT) + 0.01)
    data.raw_steering[:] = -data.steering  # all of them were moved, to values of their own
    found = find_suspects(data, pictures(winding(COUNT)))
    assert found.score.max() < CONTRADICTION


@pytest.mark.parametrize("nb_dir", [1, 3, 5, 10, 15, 99])
def test_a_driver_s_value_on_the_edge_of_its_class_is_no_contradiction(nb_dir):
    values = np.arange(-nb_dir, nb_dir + 1) / nb_dir
    data = labelled(values, nb_dir=nb_dir)
    bins = 2 / nb_dir
    centres = (-1 + (data.direction + 0.5) * bins).astype(np.float32)
    found = find_suspects(replace(data, steering=centres), pictures(values))
    assert found.score.max() < CONTRADICTION


def test_labels_without_the_driver_s_value_are_compared_by_class():
    right = winding(COUNT)
    classes = [CLASSES.direction(value) for value in right]
    centres = np.array([-0.8 + 0.4 * number for number in classes])
    planted = list(range(15, 290, 30))
    wrong = centres.copy()
    wrong[planted] = np.where(centres[planted] > 0, -0.8, 0.8)
    found = find_suspects(labelled(wrong, raw=np.full(COUNT, np.nan)), pictures(right))
    assert share_found(found, planted, len(planted)) == 1


# --- sets that are small, or odd


def test_an_unreadable_picture_has_no_prediction_but_a_score():
    right = winding(COUNT)
    wrong = right.copy()
    wrong[50] = -1
    thumbnails = pictures(right)
    thumbnails.readable[45:55] = False
    thumbnails.grey[45:55] = 0
    found = find_suspects(labelled(wrong), thumbnails)
    assert np.isnan(found.predicted[45:55]).all()
    assert not np.isnan(np.delete(found.predicted, range(45, 55))).any()
    assert found.order[0] == 50


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 50, 101])
def test_few_pictures_have_scores_all_the_same(count):
    right = winding(count)
    found = find_suspects(labelled(right), pictures(right))
    assert len(found.score) == len(found.predicted) == count
    assert sorted(found.order.tolist()) == list(range(count))
    assert np.all(found.score >= 0)
    assert found.score.dtype == found.predicted.dtype == np.float32
    assert found.order.dtype == np.int64


@pytest.mark.parametrize(
    "kind", ["all black", "all the same", "none readable", "noise", "one class"]
)
def test_a_set_that_teaches_nothing_is_told_by_its_labels_alone(kind):
    right = np.zeros(COUNT) if kind == "one class" else winding(COUNT)
    wrong = right.copy()
    wrong[70] = 0.9 if right[70] < 0 else -0.9
    thumbnails = pictures(right)
    if kind == "all black":
        thumbnails.grey[:] = 0
    elif kind == "all the same":
        thumbnails.grey[:] = thumbnails.grey[0]
    elif kind == "none readable":
        thumbnails.readable[:] = False
    elif kind == "noise":
        thumbnails.grey[:] = np.random.default_rng(3).integers(0, 256, thumbnails.grey.shape)
    found = find_suspects(labelled(wrong), thumbnails)
    assert found.order[0] == 70
    assert np.all(np.isfinite(found.score))


def test_many_short_drives_are_told():
    drives = [winding(12, phase=number) for number in range(30)]
    right = np.concatenate(drives)
    wrong = [drive.copy() for drive in drives]
    wrong[10][6] = -0.9 if drives[10][6] > 0 else 0.9
    found = find_suspects(labelled(*wrong), pictures(right))
    assert found.order[0] == 126


def test_the_order_of_the_labels_does_not_matter():
    right = winding(120)
    labels = [
        edits.new_label(
            captured=START + timedelta(seconds=number / 20),
            picture=b"",
            width=160,
            height=120,
            steering=float(value),
            throttle=0.3,
            classes=CLASSES,
            session={},
            car_setting={},
        )
        for number, value in enumerate(right)
    ]
    shuffled = [labels[number] for number in np.random.default_rng(2).permutation(len(labels))]
    scores = [
        find_suspects(
            samples.from_labels({label["img_id"]: label for label in each}), pictures(right)
        ).score
        for each in (labels, shuffled)
    ]
    assert np.array_equal(*scores)


def test_nothing_that_is_given_is_changed():
    right = winding(150)
    data, thumbnails = labelled(right), pictures(right)
    before = [np.copy(getattr(data, field.name)) for field in fields(data)]
    grey = thumbnails.grey.copy()
    find_suspects(data, thumbnails)
    for field, value in zip(fields(data), before, strict=True):
        assert np.array_equal(getattr(data, field.name), value), field.name
    assert np.array_equal(thumbnails.grey, grey)


def test_clips_are_apart(mixed):
    _, _, found = mixed
    rows = [row for first, last in found.clips for row in range(first, last + 1)]
    assert len(rows) == len(set(rows))
    assert suspicion.CLIP_DISTANCE == 20
