"""Pictures of a standing car."""

import numpy as np

from get_data.quality.standing import find_standing
from get_data.quality.thumbnails import Thumbnails
from tests.quality.planted import joined, noise, samples_of

COUNT = 100


def pictures(standing):
    """Return pictures that all differ, but for those of a run, which differ by a little noise."""
    grey = noise(COUNT).grey.copy()
    first, last = standing
    grain = np.random.default_rng(1).integers(-1, 2, (last - first + 1, 30, 40))
    grey[first : last + 1] = np.clip(grey[first].astype(int) + grain, 0, 255)
    return Thumbnails(grey, np.ones(COUNT, np.bool_))


def throttle(standing):
    values = np.full(COUNT, 0.3)
    values[standing[0] : standing[1] + 1] = 0.0
    return values


def test_a_run_of_the_same_picture_without_throttle_is_standing():
    samples = samples_of(np.zeros(COUNT), throttle=throttle((20, 49)))
    found = find_standing(samples, pictures((20, 49)))
    assert found.runs == ((20, 49),)
    assert found.rows.tolist() == list(range(20, 50))
    assert (found.share, found.is_notable) == (0.3, True)


def test_the_same_picture_with_throttle_and_a_changing_one_without_are_no_standing():
    rolling = samples_of(np.zeros(COUNT), throttle=throttle((20, 49)))
    assert find_standing(rolling, noise(COUNT)).runs == ()
    frozen = samples_of(np.zeros(COUNT))
    found = find_standing(frozen, pictures((20, 49)))
    assert (found.runs, found.share, found.is_notable) == ((), 0.0, False)


def test_a_short_stop_is_no_standing():
    samples = samples_of(np.zeros(COUNT), throttle=throttle((20, 25)))
    assert find_standing(samples, pictures((20, 25))).runs == ()


def test_a_run_ends_with_its_drive_and_at_an_unreadable_picture():
    stood = samples_of(np.zeros(50), throttle=np.zeros(50))
    same = Thumbnails(np.full((100, 30, 40), 90, np.uint8), np.ones(100, np.bool_))
    assert find_standing(joined(stood, stood), same).runs == ((0, 49), (50, 99))
    same.readable[30] = False
    assert find_standing(joined(stood, stood), same).runs == ((0, 29), (31, 49), (50, 99))


def test_a_set_without_pictures_has_none():
    found = find_standing(samples_of(np.zeros(0)), noise(0))
    assert (len(found.rows), found.runs, found.share) == (0, (), 0.0)
