"""Labels to which the steering jumps."""

from dataclasses import replace

import numpy as np

from get_data.quality.jumps import find_jumps
from tests.quality.planted import PERIOD_US, START_US, joined, samples_of

SMOOTH = 0.3 * np.sin(np.arange(200) / 15)


def found(steering, suggested=SMOOTH):
    return find_jumps(samples_of(steering), np.asarray(suggested, np.float32)).tolist()


def test_single_labels_and_runs_are_found_to_either_side():
    steering = SMOOTH.copy()
    steering[40] += 0.7
    steering[100:110] -= 0.7
    assert found(steering) == [40, *range(100, 110)]


def test_a_smooth_drive_and_a_ramp_have_none():
    assert found(SMOOTH) == []
    ramp = SMOOTH + np.interp(np.arange(200), [50, 60, 70, 80], [0, 0.7, 0.7, 0])
    assert found(ramp) == []


def test_a_jump_that_the_picture_suggests_or_that_stays_is_none():
    steering = SMOOTH.copy()
    steering[40] += 0.7
    assert found(steering, suggested=steering) == []
    stays = SMOOTH + np.where(np.arange(200) < 100, 0, 0.7)
    assert found(stays) == []
    assert found(steering, suggested=np.full(200, np.nan)) == []


def test_what_a_person_has_reviewed_is_settled():
    steering = SMOOTH.copy()
    steering[[40, 90]] += 0.7
    samples = samples_of(steering)
    reviewed = np.arange(200) == 40
    assert find_jumps(replace(samples, reviewed=reviewed), SMOOTH.astype(np.float32)).tolist() == [
        90
    ]


def test_the_end_of_a_drive_is_no_jump():
    one, other = samples_of(np.full(5, -0.6)), samples_of(np.full(5, 0.6))
    nothing = np.zeros(15, np.float32)
    assert find_jumps(joined(one, other, one), nothing).tolist() == []


def test_a_pause_in_a_drive_is_no_jump():
    second = 1_000_000 // PERIOD_US
    periods = np.arange(15) + np.repeat([0, 2 * second, 4 * second], 5)
    steering = np.repeat([-0.6, 0.6, -0.6], 5)
    paused = samples_of(steering, time_us=START_US + PERIOD_US * periods)
    nothing = np.zeros(15, np.float32)
    assert find_jumps(paused, nothing).tolist() == []
    assert find_jumps(samples_of(steering), nothing).tolist() == [5, 6, 7, 8, 9]
