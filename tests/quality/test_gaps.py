"""Missed pictures and pauses."""

import numpy as np
import pytest

from get_data.quality.gaps import find_gaps
from tests.quality.planted import PERIOD_US, START_US, joined, samples_of

COUNT = 200


def at(periods, **columns):
    """Return samples taken after these numbers of periods."""
    times = START_US + PERIOD_US * np.asarray(periods)
    return samples_of(np.zeros(len(times)), time_us=times, **columns)


def test_missed_pictures_are_counted_and_placed():
    kept = np.delete(np.arange(COUNT), [50, 51, 52, 120])
    found = find_gaps(at(kept))
    assert (found.missed, found.gaps, found.pauses) == (4, ((49, 50), (116, 117)), ())
    assert found.rates_hz == (pytest.approx(20),)
    assert not found.is_notable
    assert find_gaps(at(np.delete(np.arange(COUNT), slice(10, 100, 10)))).is_notable


def test_a_long_gap_is_a_pause_and_misses_nothing():
    found = find_gaps(at([*range(50), *range(90, 140)]))
    assert (found.missed, found.gaps, found.pauses) == (0, (), ((49, 50),))


def test_a_pause_is_the_same_as_for_drives_and_suspicion():
    """At 2 Hz a gap of 1.5 s misses pictures; a pause there is longer than four periods."""
    slow = at(np.delete(np.arange(COUNT) * 10, [50, 51, 120, 121, 122, 123, 124]))
    found = find_gaps(slow)
    assert (found.missed, found.gaps, found.pauses) == (2, ((49, 50),), ((117, 118),))
    assert [rows.stop for rows in slow.segments()] == [118, COUNT - 7]


@pytest.mark.parametrize(("stood", "missed"), [(20, 0), (19, 0), (5, 8), (0, 8)])
def test_recording_that_waited_for_a_standing_car_has_missed_nothing(stood, missed):
    """After a second; what is missing earlier, or while the car drives, is missed."""
    throttle = np.full(100, 0.3)
    throttle[50 - stood : 50] = 0.0
    found = find_gaps(at([*range(50), *range(58, 108)], throttle=throttle))
    assert found.missed == missed
    throttle[50:] = 0.0
    if stood:
        assert find_gaps(at([*range(50), *range(58, 108)], throttle=throttle)).missed == 8


def test_a_steady_drive_and_the_time_between_drives_have_no_gaps():
    jitter = np.random.default_rng(0).uniform(-0.2, 0.2, COUNT)
    times = (START_US + PERIOD_US * (np.arange(COUNT) + jitter)).astype(np.int64)
    found = find_gaps(joined(samples_of(np.zeros(COUNT), time_us=times), at(range(900, 950))))
    assert (found.missed, found.gaps, found.pauses) == (0, (), ())


@pytest.mark.parametrize("apart_us", [0, 1, 900])
def test_two_pictures_of_one_moment_tell_no_rate(apart_us):
    """As of two cars that were fetched as one set: their times are nearly the same."""
    times = (START_US + PERIOD_US * np.arange(COUNT)).repeat(2) + [0, apart_us] * COUNT
    found = find_gaps(samples_of(np.zeros(len(times)), time_us=times))
    assert (found.missed, found.gaps) == (0, ())
    assert found.rates_hz == (pytest.approx(20, rel=0.05),)


@pytest.mark.parametrize("periods", [[], [0], [0, 0]])
def test_a_rate_that_is_unknown_misses_nothing(periods):
    assert find_gaps(at(periods)).missed == 0
