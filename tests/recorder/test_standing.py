"""A standing car: recording waits after a second without throttle, and goes on at once."""

from datetime import timedelta
from itertools import groupby, pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from get_data.labels import drives
from get_data.labels.constants import STANDING_S
from get_data.recording.standing import StandingFilter
from tests.conftest import START
from tests.helpers.recordings import FRAME, assert_whole, open_recorder
from tests.helpers.waiting import wait_until
from tests.test_properties import examples

# Seconds since the picture before (paused and disarmed cars leave gaps), and the throttle.
PICTURES = st.lists(
    st.tuples(
        st.one_of(st.sampled_from([0.05, 0.1]), st.floats(0.001, 100.0)),
        st.sampled_from([0.0, -0.0, 0.0, 0.0, 0.3, -0.2, 1e-9]),
    ),
    max_size=200,
)


def admitted(pictures, filtering):
    """Return time, throttle and whether it is recorded, of each picture."""
    moment_s, result = 0.0, []
    for pause_s, throttle in pictures:
        moment_s += pause_s
        result.append((moment_s, throttle, filtering.admits(moment_s, throttle)))
    return result


@given(PICTURES)
@examples(100)
def test_no_picture_with_throttle_is_left_out_and_at_most_a_second_of_standing_is_recorded(
    pictures,
):
    filtering = StandingFilter()
    result = admitted(pictures, filtering)
    for driven, stretch in groupby(result, key=lambda picture: bool(picture[1])):
        recorded = [moment_s for moment_s, _, recorded in stretch if recorded]
        if not driven:
            assert recorded  # what a car does that has just lost its throttle
            assert recorded[-1] - recorded[0] < STANDING_S
    assert all(recorded for _, throttle, recorded in result if throttle)
    left_out = [not recorded for _, _, recorded in result]
    assert filtering.left_out == sum(left_out)
    assert filtering.waits == sum(now and not before for before, now in pairwise([0, *left_out]))
    assert filtering.waiting == (left_out or [False])[-1]


@given(PICTURES)
@examples(50)
def test_a_second_without_throttle_is_recorded_in_full(pictures):
    stopped_s = None
    for moment_s, throttle, recorded in admitted(pictures, StandingFilter()):
        stopped_s = None if throttle else stopped_s if stopped_s is not None else moment_s
        assert recorded or moment_s - stopped_s >= STANDING_S


@given(PICTURES)
@examples(20)
def test_a_filter_without_limit_leaves_nothing_out(pictures):
    assert all(recorded for _, _, recorded in admitted(pictures, StandingFilter(inf)))


def stop_and_go(recorder, *, seconds):
    """Record 2 s of driving, a stop of so many seconds and 2 s of driving, at 10 Hz."""
    filtering = StandingFilter()
    for number in range(40 + 10 * seconds):
        throttle = 0.3 if number < 20 or number >= 20 + 10 * seconds else 0.0
        if filtering.admits(number / 10, throttle):
            captured = START + timedelta(milliseconds=100 * number)
            assert recorder.record(FRAME, captured=captured, steering=0.0, throttle=throttle)
        else:
            recorder.skip()


def test_waiting_is_neither_a_gap_nor_a_drop_and_the_drive_stays_one(tmp_path):
    with open_recorder(tmp_path) as recorder:
        stop_and_go(recorder, seconds=60)
    report, labels = recorder.report, assert_whole(tmp_path)
    assert (report.pictures, report.dropped, len(labels)) == (50, 0, 50)
    assert report.longest_gap_s == pytest.approx(0.1)
    assert report.duration_s == pytest.approx(4.8)  # two stretches, without the wait between
    assert report.rate_hz == pytest.approx(10)
    assert [len(drive) for drive in drives.split_into_drives(labels.values())] == [50]
    for label in labels.values():  # as of older versions: the wait is a pause
        del label["session_id"]
    assert [len(drive) for drive in drives.split_into_drives(labels.values())] == [30, 20]


def test_seconds_are_erased_while_recording_waits(tmp_path):
    """A driver stops, then presses X; the erasure does not wait for the next picture."""
    with open_recorder(tmp_path) as recorder:
        stop_and_go(recorder, seconds=0)
        recorder.erase(1.0)
        recorder.skip()
        wait_until(lambda: recorder.progress.erased == 10)
    assert (recorder.report.pictures, recorder.report.erased) == (30, 10)
