"""The page at the end of a recording."""

import pytest

from car.drive import Timing
from car.interfaces import RoadKeeping
from get_data.recording.advice import find_advice
from get_data.recording.report import format_report
from get_data.recording.wire import PictureQuality, Report, SteeringShares


def lines(report=None, *, timing=None, stops=None, waits=0, left_out=0, road=None, advice=()):
    """The page by the first word of its lines."""
    shown = format_report(
        report or Report(),
        missed=0,
        asked_hz=20,
        control=timing or Timing(0.02),
        stops=stops or {},
        waits=waits,
        left_out=left_out,
        road=road,
        advice=advice,
    )
    assert all(len(line) < 80 for line in shown)
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


@pytest.mark.parametrize(
    ("offsets_m", "curve"),
    [
        ([], ""),
        ([0.0, -0.1, 0.2, -0.39, 0.41, 30.0], "▁▂▄▇██"),
        ([0.0] * 48 + [0.39] + [0.0] * 47, "▁" * 24 + "▇" + "▁" * 23),
        ([-0.2] * 500, "▄" * 46),
    ],
    ids=["never driven", "each", "the farthest of several", "many"],
)
def test_the_distance_from_the_centre_line_is_drawn_over_time(offsets_m, curve):
    road = RoadKeeping(rms_offset_m=0.0314, on_road=0.999, laps=1, offsets_m=offsets_m)
    told = lines(road=road)
    assert f" {curve}  █ 0.4 m" in told["offset"]
    assert "0.031 m" in told["road"]
    assert "99%" in told["road"], "100% means that it never left the road"
    assert "1 lap" in told["road"]


def test_a_real_car_says_nothing_of_the_road():
    assert not lines().keys() & {"road", "offset"}


def test_a_car_that_was_never_stopped_says_nothing_of_it():
    assert "stopped" not in lines()


def test_pictures_of_a_standing_car_are_told_only_when_there_were_any():
    assert "waited" not in lines()
    told = lines(waits=3, left_out=412)["waited"]
    assert ("3 times" in told, "412 pictures" in told) == (True, True)


def test_all_faults_at_once_are_told_within_the_width_of_a_terminal():
    report = Report(
        pictures=9999,
        duration_s=999.0,
        standing=9999,
        steering=SteeringShares(9999, left=0.85, straight=0.8, right=0.1),
        picture_quality=PictureQuality(99, 255.0, 0.1, 0.1, 1.0, 1.0, 1.0, 1.0),
    )
    advice = find_advice(report)
    assert len({each.code for each in advice}) == 7
    shown = lines(report, advice=advice)
    assert {"driven", "look", "advice"} <= shown.keys()
    assert not {"driven", "look", "advice"} & lines().keys()
