"""The page at the end of a recording."""

import pytest

from car.drive import Timing
from get_data.recording.report import format_report
from get_data.recording.wire import Report


def lines(*, timing=None, stops=None, waits=0, left_out=0):
    """The page by the first word of its lines."""
    shown = format_report(
        Report(),
        missed=0,
        asked_hz=20,
        control=timing or Timing(0.02),
        stops=stops or {},
        waits=waits,
        left_out=left_out,
    )
    return {line.split()[0]: line for line in shown}


def test_skipped_ticks_are_a_part_of_all_that_were_due():
    assert (
        "248 of 463 ticks skipped" in lines(timing=Timing(0.02, ticks=215, skipped=248))["control"]
    )


@pytest.mark.parametrize(
    ("stops", "said"),
    [
        ({"emergency stop": 1}, "1 time: emergency stop (1)"),
        (
            {"emergency stop": 2, "the pad is gone": 1},
            "3 times: emergency stop (2), the pad is gone (1)",
        ),
    ],
    ids=["once", "more"],
)
def test_what_stopped_the_car_is_told_with_how_often(stops, said):
    assert said in lines(stops=stops)["stopped"]


def test_a_car_that_was_never_stopped_says_nothing_of_it():
    assert "stopped" not in lines()


def test_pictures_of_a_standing_car_are_told_only_when_there_were_any():
    assert "waited" not in lines()
    told = lines(waits=3, left_out=412)["waited"]
    assert ("3 times" in told, "412 pictures" in told) == (True, True)
