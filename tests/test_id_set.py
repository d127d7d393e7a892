"""Sets of picture ids."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from get_data.labels import ids
from get_data.labels.id_set import IdSet, is_time
from tests.conftest import START


def time_id(number):
    return ids.format_img_id(START + timedelta(microseconds=number))


SOME_IDS = st.lists(
    st.integers(0, 30).map(time_id)
    | st.sampled_from(["a", "A", "20240501", "19700101T00-00-00-000000"])
)


def set_of(img_ids):
    made = IdSet()
    for img_id in img_ids:
        made.add(img_id)
    return made


@given(SOME_IDS)
def test_it_has_what_was_added_in_whatever_order(img_ids):
    made, expected = IdSet(), set()
    for img_id in img_ids:
        assert made.add(img_id) == (img_id not in expected)
        expected.add(img_id)
        assert len(made) == len(expected)
    for img_id in [time_id(number) for number in range(31)] + ["a", "A", "b"]:
        assert (img_id in made) == (img_id in expected)


@given(SOME_IDS, SOME_IDS)
def test_common_ids_are_those_in_both(first, second):
    assert set_of(first).common(set_of(second)) == set(first) & set(second)


@pytest.mark.parametrize(
    "img_id", ["20240501T12-00-00-00000", "x20240501T12-00-00-000000", "", "٢"]
)
def test_other_ids_are_no_times(img_id):
    assert not is_time(img_id)
    assert is_time(time_id(0))
