"""Times given to the records of a source."""

import random

from get_data.sets.importing.capture_times import UniqueTimes

NOON_US = 1_700_000_000_000_000


def test_each_record_gets_the_next_free_microsecond():
    rng = random.Random(5)
    times, given = UniqueTimes(0), set()
    for _ in range(2000):
        expected = wanted = NOON_US + rng.randrange(900)
        while expected in given:
            expected += 1
        given.add(expected)
        assert times.assign(wanted) == expected


def test_many_pictures_of_one_time_take_no_search_each():
    """A folder that was unpacked from an archive without times; a search each would take hours."""
    times = UniqueTimes(0)
    assert [times.assign(NOON_US) for _ in range(200_000)] == [
        NOON_US + number for number in range(200_000)
    ]
    assert times.moved == 199_999
    assert [times.assign(NOON_US + 7) for _ in range(3)] == [
        NOON_US + 200_000 + number for number in range(3)
    ]
