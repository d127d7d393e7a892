"""Times as text: the quick way tells the same of each as the careful one."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import times
from common.times import parse_microseconds, parse_time, to_microseconds

USUAL = "2024-05-01T12:34:56.789012Z"
FORMS = [
    *(USUAL, USUAL[:-1], USUAL[:19], "2024-W18-3T12:34:56.789012Z", "20240501T123456.789012Z"),
    *("2024-05-01T12:34:56,789012Z", "2024-05-01 12:34:56.789012Z", "2024-05-01T12:34:5.1.123456Z"),
    *("2024-02-30T12:34:56.789012Z", "2024-05-01T24:00:00.000000Z", "2024-05-01T12:34:60.000000Z"),
    *("0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z", "2024-05-01T12:34:56.78901Z0"),
    *("2024-05-01T12:34:56.78901٢Z", "2024-05-01T12:34:56.+78901Z", "2024-05-01T12:34:56.7_9012Z"),
    *("2024-05-01T12:34:56+00:0000", "2024-05-01T12:34:56.78+02:0", "2024-05-01T120000.1.123456Z"),
    *(
        "2024-05-01T1200:0:.123456Z",
        "",
        "Z" * 27,
        "2024-05-01T12:34:56.789+02Z",
        "٢" + USUAL[1:],
    ),
]


def plainly(text):
    time = parse_time(text)
    return None if time is None else to_microseconds(time)


@pytest.mark.parametrize("text", FORMS)
def test_a_time_is_the_same_in_microseconds(text):
    assert parse_microseconds(text) == plainly(text)


def test_each_changed_character_is_looked_at():
    """Also after the same second was parsed rightly."""
    assert parse_microseconds(USUAL) == plainly(USUAL)
    for place, sign in itertools.product(range(len(USUAL)), "09:-.,TZ+ W٢"):
        text = USUAL[:place] + sign + USUAL[place + 1 :]
        assert parse_microseconds(text) == plainly(text), text


@given(st.datetimes(timezones=st.just(times.EPOCH.tzinfo)))
def test_a_written_time_comes_back(time):
    assert parse_microseconds(times.format_time(time)) == to_microseconds(time)
