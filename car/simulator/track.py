"""Closed tracks: the centre line of the road, and the position of a car beside it.

The ground is flat. x and y are metres, headings are radians, anticlockwise from the x axis.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import atan2, cos, hypot, remainder, sin, tan, tau

import numpy as np
from numpy.typing import NDArray

from car.constants import TRACKS
from common.errors import InputError

Floats = NDArray[np.float64]

ROAD_WIDTH_M = 0.8
_SPACING_M = 0.02  # between two points of a centre line, approximately


@dataclass(frozen=True, slots=True)
class Pose:
    """Position and heading in the plane."""

    x_m: float
    y_m: float
    heading_rad: float


@dataclass(frozen=True, slots=True)
class Corner:
    """Intersection of two straights, and the radius of the bend that joins them."""

    x_m: float
    y_m: float
    radius_m: float


@dataclass(frozen=True, slots=True)
class RoadPosition:
    """Position along the road: the nearest point, and the distance to the right of it."""

    index: int
    offset_m: float


@dataclass(frozen=True, slots=True)
class _Segment:
    """A straight or an arc of the centre line; curvature 1/radius, positive to the left."""

    start: Pose
    length_m: float
    curvature_per_m: float


class Track:
    """A closed road, sampled at evenly spaced points of its centre line."""

    def __init__(self, name: str, corners: Sequence[Corner]) -> None:
        """Lay the road from corner to corner, starting on the straight to the first one.

        Raises:
            ValueError: two bends overlap.
        """
        self.name = name
        segments = list(_segments(corners))
        ends_m = np.cumsum([segment.length_m for segment in segments])
        self.length_m = float(ends_m[-1])
        count = round(self.length_m / _SPACING_M)
        self.spacing_m = self.length_m / count
        stations_m = np.arange(count, dtype=np.float64) * self.spacing_m
        indices = np.searchsorted(ends_m, stations_m, side="right")
        self.x_m, self.y_m, self.headings_rad = _sample(segments, indices, stations_m, ends_m)
        self.curvatures_per_m = np.array([s.curvature_per_m for s in segments])[indices]
        points = (self.x_m, self.y_m, self.headings_rad)
        self._poses = [Pose(*point) for point in zip(*map(np.ndarray.tolist, points), strict=True)]

    def __len__(self) -> int:
        """Return the number of points of the centre line."""
        return len(self.x_m)

    def pose(self, index: int) -> Pose:
        """Return the pose in the middle of the road at a point; indices wrap around."""
        return self._poses[index % len(self._poses)]

    def locate(self, pose: Pose) -> RoadPosition:
        """Return the position of `pose` along the road."""
        index = int(((self.x_m - pose.x_m) ** 2 + (self.y_m - pose.y_m) ** 2).argmin())
        middle = self._poses[index]
        east_m, north_m = pose.x_m - middle.x_m, pose.y_m - middle.y_m
        offset_m = east_m * sin(middle.heading_rad) - north_m * cos(middle.heading_rad)
        return RoadPosition(index, offset_m)

    def tightest_ahead(self, distance_m: float) -> Floats:
        """Return, for each point, the largest curvature from there to a distance ahead."""
        count = self.points_ahead(distance_m)
        curvatures_per_m = np.abs(np.concatenate([self.curvatures_per_m, self.curvatures_per_m]))
        windows = np.lib.stride_tricks.sliding_window_view(curvatures_per_m, count)
        return np.asarray(windows[: len(self)].max(axis=1), np.float64)

    def points_ahead(self, distance_m: float) -> int:
        """Convert a distance along the road to a number of points."""
        return round(distance_m / self.spacing_m)


def _segments(corners: Sequence[Corner]) -> Iterator[_Segment]:
    """Yield the straight to each corner and the bend around it, in order."""
    count = len(corners)
    bends = [_bend(corners[i - 1], corners[i], corners[(i + 1) % count]) for i in range(count)]
    for i, (bend, cut_m) in enumerate(bends):
        _, previous_cut_m = bends[i - 1]
        straight_m = _distance(corners[i - 1], corners[i]) - previous_cut_m - cut_m
        if straight_m < 0:
            raise ValueError(f"the bends at corners {(i - 1) % count} and {i} overlap")
        yield _Segment(_advance(bend.start, -straight_m), straight_m, 0.0)
        yield bend


def _bend(before: Corner, corner: Corner, after: Corner) -> tuple[_Segment, float]:
    """Return the arc around a corner, and the length that it cuts from both straights."""
    heading_in = _heading(before, corner)
    turn_rad = remainder(_heading(corner, after) - heading_in, tau)
    cut_m = corner.radius_m * tan(abs(turn_rad) / 2)
    start = _advance(Pose(corner.x_m, corner.y_m, heading_in), -cut_m)
    length_m = corner.radius_m * abs(turn_rad)
    return _Segment(start, length_m, turn_rad / length_m), cut_m


def _sample(
    segments: Sequence[_Segment], indices: NDArray[np.intp], stations_m: Floats, ends_m: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return x, y and heading at each station, which lies on the segment of the same index."""
    starts = np.array([(s.start.x_m, s.start.y_m, s.start.heading_rad) for s in segments])[indices]
    lengths_m = np.array([segment.length_m for segment in segments])
    along_m = stations_m - (ends_m - lengths_m)[indices]
    turn_rad = along_m * np.array([segment.curvature_per_m for segment in segments])[indices]
    # The chord of an arc points half-way between the headings at its ends. Its length is
    # 2 sin(turn / 2) / curvature, and sinc keeps that exact for a straight, where both are 0.
    chord_m = along_m * np.sinc(turn_rad / tau)
    chord_rad = starts[:, 2] + turn_rad / 2
    x_m = starts[:, 0] + chord_m * np.cos(chord_rad)
    y_m = starts[:, 1] + chord_m * np.sin(chord_rad)
    return x_m, y_m, starts[:, 2] + turn_rad


def _heading(start: Corner, end: Corner) -> float:
    return atan2(end.y_m - start.y_m, end.x_m - start.x_m)


def _distance(start: Corner, end: Corner) -> float:
    return hypot(end.x_m - start.x_m, end.y_m - start.y_m)


def _advance(pose: Pose, distance_m: float) -> Pose:
    return Pose(
        pose.x_m + distance_m * cos(pose.heading_rad),
        pose.y_m + distance_m * sin(pose.heading_rad),
        pose.heading_rad,
    )


_CORNERS = {
    "school": (
        Corner(8.2, 0.0, 1.0),
        Corner(8.7, 3.8, 0.9),
        Corner(4.9, 2.3, 0.95),
        Corner(4.9, 6.0, 0.9),
        Corner(2.2, 6.2, 2.0),
        Corner(-0.6, 3.4, 1.6),
        Corner(0.0, 0.0, 0.9),
    ),
    "park": (
        Corner(-2.0, 0.2, 0.9),
        Corner(0.7, 2.6, 1.0),
        Corner(-1.5, 5.2, 0.9),
        Corner(2.6, 5.9, 1.0),
        Corner(4.9, 2.8, 1.0),
        Corner(8.4, 4.5, 0.95),
        Corner(7.4, -0.2, 0.9),
    ),
}


@cache
def load_track(name: str) -> Track:
    """Build one of `TRACKS`.

    Raises:
        ValueError: there is no track of that name.
    """
    if name not in _CORNERS:
        raise ValueError(f"unknown track {name!r}; use {', '.join(TRACKS)}")
    return Track(name, _CORNERS[name])


def choose_track(asked: str | None, *, labelled: str) -> str:
    """Return the track to simulate: the one asked for, else the one that the labels will have.

    Raises:
        InputError: the labels would have another one of `TRACKS`.
    """
    named = labelled.casefold() if labelled.casefold() in TRACKS else ""
    chosen = asked or named or TRACKS[0]
    if named and named != chosen:
        raise InputError(
            f"--sim-track {chosen}: the labels would have track {labelled!r}; use "
            f"--sim-track {named}, or --track {chosen} and another folder"
        )
    return chosen
