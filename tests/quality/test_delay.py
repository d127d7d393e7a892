"""How late the labels of a drive are."""

import numpy as np
import pytest

from get_data.quality.delay import SHIFTS, estimate_delay
from get_data.quality.thumbnails import Thumbnails
from tests.helpers import learning
from tests.quality.planted import PERIOD_US, START_US, joined, late, noise, samples_of
from tests.quality.planted import thumbnails_of as thumbnails_from

PICTURES = 700


@pytest.fixture(scope="module")
def lesson():
    return learning.record("school", seed=3, pictures=PICTURES)


@pytest.fixture(scope="module")
def thumbnails(lesson):
    return thumbnails_from(lesson)


@pytest.mark.parametrize("pictures", [0, 2, 3, 5])
def test_a_planted_delay_is_told(lesson, thumbnails, pictures):
    found = estimate_delay(samples_of(late(lesson.steering, pictures)), thumbnails)
    assert found.whole.pictures == pictures
    assert found.whole.offset == pytest.approx(pictures, abs=0.5)
    assert [drive.pictures for drive in found.drives] == [pictures]
    assert SHIFTS[found.whole.fit.argmax()] - pictures in (3, 4)  # the reaction of the driver


def test_a_label_that_comes_before_its_picture_is_not_late(lesson, thumbnails):
    early = lesson.steering[np.minimum(np.arange(PICTURES) + 2, PICTURES - 1)]
    found = estimate_delay(samples_of(early), thumbnails).whole
    assert found.pictures == 0
    assert found.offset == pytest.approx(-2, abs=0.5)


def test_each_drive_has_a_delay_of_its_own_and_the_set_none(lesson, thumbnails):
    samples = joined(samples_of(lesson.steering), samples_of(late(lesson.steering, 5)))
    both = Thumbnails(
        *(np.concatenate([part, part]) for part in (thumbnails.grey, thumbnails.readable))
    )
    found = estimate_delay(samples, both)
    assert [drive.pictures for drive in found.drives] == [0, 5]
    assert found.whole.pictures is None
    assert found.whole.reason


def test_pictures_that_come_faster_are_counted_as_pictures(lesson, thumbnails):
    """A drive of 60 Hz, made by repeating each picture of one of 20 Hz two times."""
    faster = Thumbnails(
        *(np.repeat(part, 3, axis=0) for part in (thumbnails.grey, thumbnails.readable))
    )
    steering = late(np.repeat(lesson.steering, 3), 6)
    time_us = START_US + PERIOD_US // 3 * np.arange(len(steering))
    found = estimate_delay(samples_of(steering, time_us=time_us), faster)
    assert found.whole.pictures in (5, 6, 7)
    assert found.drives[0].pictures == found.whole.pictures


CANNOT_TELL = {
    "shuffled labels": lambda steering, _: np.random.default_rng(0).permutation(steering),
    "constant labels": lambda steering, _: np.zeros(len(steering)),
    "half of them late": lambda steering, count: np.concatenate(
        [steering[: count // 2], late(steering, 4)[count // 2 :]]
    ),
}


@pytest.mark.parametrize("spoil", CANNOT_TELL.values(), ids=CANNOT_TELL)
def test_what_cannot_be_told_is_not_told(lesson, thumbnails, spoil):
    found = estimate_delay(samples_of(spoil(lesson.steering, PICTURES)), thumbnails).whole
    assert found.pictures is None
    assert found.reason
    assert np.isnan(found.offset)


def test_pictures_that_show_nothing_tell_no_delay(lesson):
    samples = samples_of(lesson.steering)
    grey = Thumbnails(np.full((PICTURES, 30, 40), 128, np.uint8), np.ones(PICTURES, np.bool_))
    assert estimate_delay(samples, noise(PICTURES)).whole.pictures is None
    assert estimate_delay(samples, grey).whole.pictures is None


def test_labels_that_fit_wherever_they_are_moved_tell_no_delay():
    """Slow steering and a picture that shows nothing but it: the curve is flat."""
    phase = np.arange(PICTURES) / 200
    steering = 0.8 * np.sin(phase)
    grey = np.round(127 + 100 * np.sin(phase)).astype(np.uint8)
    pictures = np.broadcast_to(grey[:, np.newaxis, np.newaxis], (PICTURES, 30, 40))
    found = estimate_delay(samples_of(steering), Thumbnails(pictures, np.ones(PICTURES, np.bool_)))
    assert found.whole.pictures is None


@pytest.mark.parametrize("count", [0, 1, 5, 150])
def test_few_pictures_tell_no_delay(lesson, thumbnails, count):
    few = Thumbnails(thumbnails.grey[:count], thumbnails.readable[:count])
    assert estimate_delay(samples_of(lesson.steering[:count]), few).whole.pictures is None


def test_missed_and_unreadable_pictures_do_not_hide_a_delay(lesson, thumbnails):
    """A picture in twelve is missing, and another one is broken."""
    number = np.arange(PICTURES)
    kept = np.flatnonzero(number % 12)
    labels = late(lesson.steering, 3)[kept]
    samples = samples_of(labels, time_us=START_US + PERIOD_US * kept)
    pictures = Thumbnails(thumbnails.grey[kept], number[kept] % 12 != 5)
    assert estimate_delay(samples, pictures).whole.pictures == 3


def test_pauses_leave_too_little_to_tell(lesson, thumbnails):
    number = np.arange(PICTURES)
    samples = samples_of(
        lesson.steering, time_us=START_US + PERIOD_US * (number + number // 15 * 30)
    )
    found = estimate_delay(samples, thumbnails)
    assert (found.whole.pictures, found.whole.usable) == (None, 0)


def test_a_drive_that_cannot_be_told_leaves_the_set_unknown_unless_it_is_small(lesson, thumbnails):
    shuffled = np.random.default_rng(0).permutation(lesson.steering)
    parts = {}
    for count in (PICTURES, 250):
        samples = joined(samples_of(lesson.steering), samples_of(shuffled[:count]))
        both = [
            np.concatenate([part, part[:count]]) for part in (thumbnails.grey, thumbnails.readable)
        ]
        found = estimate_delay(samples, Thumbnails(*both))
        assert [drive.pictures for drive in found.drives] == [0, None]
        parts[count] = found.whole.pictures
    assert parts == {PICTURES: None, 250: 0}
