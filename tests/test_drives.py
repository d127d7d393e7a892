"""Drives told apart: by session, and where labels have none, by what they say and when."""

import pytest

from get_data.labels.drives import split_into_drives
from tests.conftest import document

FIRST, SECOND = "20201231T15-45-00-000000-7f3a", "20201231T15-45-00-000000-7f3b"


def numbers(labels):
    """Return the drives as lists of the pictures' tenths of seconds."""
    start = labels[0]["img_id"]
    times = {one["img_id"]: index for index, one in enumerate(labels)}
    assert start in times
    return [[times[one["img_id"]] for one in drive] for drive in split_into_drives(labels)]


def test_a_session_is_one_drive_whatever_pauses_it_has():
    labels = [document(number, session_id=FIRST) for number in (0, 1, 600, 601)]
    assert numbers(labels) == [[0, 1, 2, 3]]


def test_sessions_recorded_at_the_same_time_are_two_drives():
    labels = [document(number, session_id=(FIRST, SECOND)[number % 2]) for number in range(6)]
    assert numbers(labels) == [[0, 2, 4], [1, 3, 5]]


@pytest.mark.parametrize("key", ["event", "track", "track_type", "driver", "comment"])
def test_labels_without_a_session_differ_by_what_they_say(key):
    labels = [document(number, **{key: ("one", "other")[number % 2]}) for number in range(6)]
    assert numbers(labels) == [[0, 2, 4], [1, 3, 5]]


def test_labels_without_a_session_differ_by_their_car():
    labels = [document(number) for number in range(4)]
    for one in labels[1::2]:
        one["car_setting"] = {"car": "another"}
    assert numbers(labels) == [[0, 2], [1, 3]]


def test_a_pause_ends_a_drive_without_a_session():
    labels = [document(number) for number in (0, 1, 2, 13, 14)]
    assert numbers(labels) == [[0, 1, 2], [3, 4]]
    labels = [document(number) for number in (0, 1, 2, 12, 13)]
    assert numbers(labels) == [[0, 1, 2, 3, 4]]


def test_pictures_taken_seldom_are_one_drive():
    assert numbers([document(20 * number) for number in range(4)]) == [[0, 1, 2, 3]]


def test_the_folder_and_the_order_in_it_say_nothing():
    labels = [document(number, session_id=FIRST) for number in (3, 0, 2, 1)]
    [drive] = split_into_drives(labels)
    assert [one["img_id"] for one in drive] == sorted(one["img_id"] for one in labels)


def test_an_invalid_label_belongs_to_some_drive():
    odd = [{}, {"session_id": 7, "car_setting": "none", "timestamp": "never"}]
    labels = [document(0), *odd]
    assert sorted(len(drive) for drive in split_into_drives(labels)) == [1, 2]
