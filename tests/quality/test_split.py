"""What the parts of a split share."""

from dataclasses import replace

import numpy as np

from get_data.quality.split import find_leak, measure_flattery, parts_of
from get_data.quality.thumbnails import Thumbnails
from tests.helpers import learning
from tests.quality.planted import PERIOD_US, joined, noise, samples_of, thumbnails_of

COUNT = 200


def one_drive():
    return samples_of(np.zeros(COUNT))


def two_drives():
    return joined(one_drive(), replace(one_drive(), time_us=one_drive().time_us + 10**9))


def split(samples, train):
    return {name: "train" if train(row) else "val" for row, name in enumerate(samples.img_ids)}


def test_a_split_by_drive_shares_nothing():
    samples = two_drives()
    leak = find_leak(samples, noise(2 * COUNT), split(samples, lambda row: row < COUNT))
    assert leak.sizes == {"train": COUNT, "val": COUNT}
    assert (leak.drives, len(leak.neighbours), len(leak.near_equal)) == ((), 0, 0)
    assert not leak.is_notable


def test_a_random_split_shares_every_drive_and_neighbours():
    samples = two_drives()
    random = np.random.default_rng(0).random(2 * COUNT) < 0.8
    leak = find_leak(samples, noise(2 * COUNT), split(samples, lambda row: random[row]))
    assert leak.drives == (0, 1)
    assert len(leak.neighbours) > 0.9 * 2 * COUNT
    assert leak.is_notable


def test_blocks_of_time_share_neighbours_unless_a_second_is_left_out():
    samples = one_drive()
    parts = split(samples, lambda row: row < 100)
    leak = find_leak(samples, noise(COUNT), parts)
    per_second = 10**6 // PERIOD_US
    assert leak.drives == (0,)
    assert leak.neighbours.tolist() == list(range(100 - per_second, 100 + per_second))
    left_out = {
        name: part
        for row, (name, part) in enumerate(parts.items())
        if not 100 - per_second <= row < 100
    }
    assert not find_leak(samples, noise(COUNT), left_out).is_notable


def test_a_picture_that_nearly_equals_one_of_another_part_is_found():
    samples = two_drives()
    grey = noise(2 * COUNT).grey.copy()
    grey[300] = np.clip(grey[7].astype(int) + 1, 0, 255)
    pictures = Thumbnails(grey, np.ones(2 * COUNT, np.bool_))
    leak = find_leak(samples, pictures, split(samples, lambda row: row < COUNT))
    assert leak.near_equal.tolist() == [7, 300]


def test_every_picture_may_be_a_part_of_its_own():
    """As with a split by a name that is unique: no more work than for two parts."""
    many = 33_000  # more than 16 bits count
    samples = samples_of(np.zeros(many))
    names = {name: name for name in samples.img_ids}
    flat = Thumbnails(np.zeros((many, 30, 40), np.uint8), np.zeros(many, np.bool_))
    leak = find_leak(samples, flat, names)
    assert len(leak.sizes) == len(leak.neighbours) == many


def test_pictures_without_a_part_are_nobodys_neighbours():
    samples = one_drive()
    parts = split(samples, lambda row: row % 2)
    apart = {name: parts[name] for name in samples.img_ids[:2] + samples.img_ids[-1:]}
    assert find_leak(samples, noise(COUNT), apart).neighbours.tolist() == [0, 1]


def test_a_set_without_a_split_leaks_nothing():
    leak = find_leak(one_drive(), noise(COUNT), {})
    assert (leak.sizes, leak.drives, leak.is_notable) == ({}, (), False)


def test_the_parts_come_from_the_labels():
    labels = {"a": {"split": "train"}, "b": {"split": "val"}, "c": {}, "d": {"split": 3}}
    assert parts_of(labels) == {"a": "train", "b": "val"}


def test_random_folds_flatter():
    lesson = learning.record("school", seed=1, pictures=600)
    noisy = lesson.steering + 0.1 * np.random.default_rng(0).standard_normal(600)
    found = measure_flattery(samples_of(noisy), thumbnails_of(lesson))
    assert found.random > found.blocks > 0
    assert np.isnan(measure_flattery(samples_of(noisy[:50]), noise(50)).random)
    assert measure_flattery(samples_of(noisy), noise(600)).blocks < 0.1
