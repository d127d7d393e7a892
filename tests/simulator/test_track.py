"""Tracks: length, bends, and positions beside the road."""

import math

import numpy as np
import pytest

from car.simulator.track import ROAD_WIDTH_M, TRACKS, Corner, Pose, Track, load_track
from tests.simulator.worlds import world_at_rest


def steps_of(track):
    """Return the vector from each point of the centre line to the next, around the lap."""
    points = np.stack([track.x_m, track.y_m], axis=1)
    return np.roll(points, -1, axis=0) - points


def turns_of(track):
    """Return the change of direction at each point, positive to the left, from the points alone."""
    step = steps_of(track)
    heading = np.arctan2(step[:, 1], step[:, 0])
    return (heading - np.roll(heading, 1) + math.pi) % math.tau - math.pi


def test_a_track_is_closed(track):
    lengths_m = np.hypot(*steps_of(track).T)
    assert lengths_m == pytest.approx(track.spacing_m, rel=0.01)
    assert abs(turns_of(track).sum()) == pytest.approx(math.tau)


def test_a_track_is_25_to_28_m_long(track):
    assert 25 < np.hypot(*steps_of(track).T).sum() < 28


def test_a_track_has_straights_and_bends_both_ways(track):
    curvatures_per_m = turns_of(track) / track.spacing_m
    for share in (curvatures_per_m > 0.3, curvatures_per_m < -0.3, abs(curvatures_per_m) < 0.01):
        assert share.mean() > 0.05


def test_the_tightest_bend_of_a_track_can_be_driven(track):
    assert 0.85 < track.spacing_m / abs(turns_of(track)).max() < 1.0


def test_a_road_does_not_touch_itself(track):
    points = track.x_m + 1j * track.y_m
    apart_m = abs(points[:, None] - points[None, :])
    along = abs(np.arange(len(track))[:, None] - np.arange(len(track))[None, :])
    along_m = np.minimum(along, len(track) - along) * track.spacing_m
    assert apart_m[along_m > 3.0].min() > ROAD_WIDTH_M + 0.3


def test_a_position_beside_the_road_is_in_metres_to_the_right(track):
    for index in range(0, len(track), 50):
        middle = track.pose(index)
        right_rad = middle.heading_rad - math.pi / 2
        beside = Pose(
            middle.x_m + 0.2 * math.cos(right_rad), middle.y_m + 0.2 * math.sin(right_rad), 0.0
        )
        position = track.locate(beside)
        assert position.offset_m == pytest.approx(0.2, abs=0.002)
        assert abs(position.index - index) <= 1


def test_the_tracks_differ():
    assert len({load_track(name).length_m for name in TRACKS}) == len(TRACKS) >= 2


def test_an_unknown_track_is_refused_with_the_known_names():
    with pytest.raises(ValueError, match=r"'nowhere'.* school, park"):
        world_at_rest("nowhere")


def test_overlapping_bends_are_refused():
    corners = [Corner(0, 0, 1.0), Corner(1, 0, 1.0), Corner(0, 1, 1.0)]
    with pytest.raises(ValueError, match="overlap"):
        Track("knot", corners)
