"""Classes of a set, and the sample in which they are even."""

import numpy as np
import pytest

from get_data.quality.balance import find_balance
from tests.quality.planted import joined, samples_of

HEAVY = np.repeat([-0.9, -0.5, 0.0, 0.5, 0.9], [20, 40, 400, 30, 10])


def test_a_straight_heavy_set_is_told_and_balanced():
    found = find_balance(samples_of(np.random.default_rng(0).permutation(HEAVY)))
    assert found.directions == (20, 40, 400, 30, 10)
    assert found.speeds == (0, 500)
    assert (found.middle_share, found.straight_share) == (0.8, 0.8)
    assert found.is_straight_heavy
    assert (found.per_class, len(found.balanced)) == (40, 140)


def test_a_balanced_sample_keeps_the_rare_classes_and_is_the_same_for_a_seed():
    samples = samples_of(HEAVY)
    one, again, other = (find_balance(samples, seed=seed).balanced for seed in (1, 1, 2))
    assert np.bincount(samples.direction[one]).tolist() == [20, 40, 40, 30, 10]
    assert one.tolist() == again.tolist() == sorted(set(one.tolist()))
    assert one.tolist() != other.tolist()


def test_an_even_set_is_not_straight_heavy_and_loses_nothing():
    found = find_balance(samples_of(np.repeat([-0.9, -0.5, 0.0, 0.5, 0.9], 60)))
    assert not found.is_straight_heavy
    assert len(found.balanced) == 300


def test_labels_with_another_number_of_classes_are_not_counted():
    samples = joined(samples_of(HEAVY), samples_of(HEAVY[:10]))
    samples.nb_dir[500:], samples.direction[500:] = 15, 14
    found = find_balance(samples)
    assert sum(found.directions) == 500
    assert found.balanced.max() < 500


def test_straight_means_the_same_as_in_the_report_of_a_drive():
    found = find_balance(samples_of(np.array([-0.3, -0.2, 0.0, 0.15, 0.2, 0.9])))
    assert found.straight_share == pytest.approx(4 / 6)


@pytest.mark.parametrize("steering", [[], [0.0], [0.0] * 20])
def test_a_small_set_has_a_balance(steering):
    found = find_balance(samples_of(np.array(steering)))
    assert sum(found.directions) == len(steering)
    assert not found.is_straight_heavy
