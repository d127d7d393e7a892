"""Closed tracks to drive on: where the middle of the road runs, and where a car is beside it.

The ground is flat. x and y are metres, headings are radians, anticlockwise from the x axis.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import atan2, cos, hypot, remainder, sin, tan, tau

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ROAD_WIDTH_M = 0.8
_SPACING_M = 0.02  # between two points of a centre line, about


@dataclass(frozen=True, slots=True)
class Pose:
    """Where something stands and which way it looks."""

    x_m: float
    y_m: float
    heading_rad: float


@dataclass(frozen=True, slots=True)
class Corner:
    """Where two straights would meet, and the radius of the bend that joins them instead."""

    x_m: float
    y_m: float
    radius_m: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where a car is, told along the road: the nearest point, and metres to the right of it."""

    index: int
    offset_m: float


@dataclass(frozen=True, slots=True)
class _Piece:
    """A straight or an arc of the centre line; curvature 1/radius, positive to the left."""

    start: Pose
    length_m: float
    curvature_per_m: float


class Track:
    """A closed road, known by evenly spaced points along its middle."""

    def __init__(self, name: str, corners: Sequence[Corner]) -> None:
        """The road runs from corner to corner and starts on the straight to the first.

        Raises: ValueError when two bends do not leave room for each other.
        """
        self.name = name
        pieces = list(_pieces(corners))
        ends_m = np.cumsum([piece.length_m for piece in pieces])
        self.length_m = float(ends_m[-1])
        count = round(self.length_m / _SPACING_M)
        self.spacing_m = self.length_m / count
        stations_m = np.arange(count, dtype=np.float64) * self.spacing_m
        which = np.searchsorted(ends_m, stations_m, side="right")
        self.x_m, self.y_m, self.headings_rad = _walk(pieces, which, stations_m, ends_m)
        self.curvatures_per_m = np.array([piece.curvature_per_m for piece in pieces])[which]

    def __len__(self) -> int:
        """How many points the centre line has."""
        return len(self.x_m)

    def pose(self, index: int) -> Pose:
        """The pose of a car in the middle of the road at a point; indices go round and round."""
        index %= len(self)
        return Pose(float(self.x_m[index]), float(self.y_m[index]), float(self.headings_rad[index]))

    def place(self, pose: Pose) -> Place:
        """Where `pose` is along the road."""
        index = int(np.argmin((self.x_m - pose.x_m) ** 2 + (self.y_m - pose.y_m) ** 2))
        middle = self.pose(index)
        east_m, north_m = pose.x_m - middle.x_m, pose.y_m - middle.y_m
        offset_m = east_m * sin(middle.heading_rad) - north_m * cos(middle.heading_rad)
        return Place(index, offset_m)

    def points_ahead(self, distance_m: float) -> int:
        """How many points further a distance is."""
        return round(distance_m / self.spacing_m)


def _pieces(corners: Sequence[Corner]) -> Iterator[_Piece]:
    """The straight to each corner and the bend around it, in order."""
    count = len(corners)
    bends = [_bend(corners[i - 1], corners[i], corners[(i + 1) % count]) for i in range(count)]
    for i, (bend, cut_m) in enumerate(bends):
        _, previous_cut_m = bends[i - 1]
        room_m = _distance(corners[i - 1], corners[i])
        straight_m = room_m - previous_cut_m - cut_m
        if straight_m < 0:
            raise ValueError(f"the bends at corners {(i - 1) % count} and {i} overlap")
        yield _Piece(_moved(bend.start, -straight_m), straight_m, 0.0)
        yield bend


def _bend(before: Corner, corner: Corner, after: Corner) -> tuple[_Piece, float]:
    """The arc around a corner, and how much of the straights on both sides it replaces."""
    heading_in = _heading(before, corner)
    turn_rad = remainder(_heading(corner, after) - heading_in, tau)
    cut_m = corner.radius_m * tan(abs(turn_rad) / 2)
    start = _moved(Pose(corner.x_m, corner.y_m, heading_in), -cut_m)
    length_m = corner.radius_m * abs(turn_rad)
    return _Piece(start, length_m, turn_rad / length_m), cut_m


def _walk(
    pieces: Sequence[_Piece], which: NDArray[np.intp], stations_m: Floats, ends_m: Floats
) -> tuple[Floats, Floats, Floats]:
    """x, y and heading at each station, which lies on the piece `which` says."""
    starts = np.array([(p.start.x_m, p.start.y_m, p.start.heading_rad) for p in pieces])[which]
    lengths_m = np.array([piece.length_m for piece in pieces])
    along_m = stations_m - (ends_m - lengths_m)[which]
    turned_rad = along_m * np.array([piece.curvature_per_m for piece in pieces])[which]
    # The chord of an arc points half-way between the headings at its ends; a straight is its own.
    chord_m = along_m * np.sinc(turned_rad / tau)
    chord_rad = starts[:, 2] + turned_rad / 2
    x_m = starts[:, 0] + chord_m * np.cos(chord_rad)
    y_m = starts[:, 1] + chord_m * np.sin(chord_rad)
    return x_m, y_m, starts[:, 2] + turned_rad


def _heading(start: Corner, end: Corner) -> float:
    return atan2(end.y_m - start.y_m, end.x_m - start.x_m)


def _distance(start: Corner, end: Corner) -> float:
    return hypot(end.x_m - start.x_m, end.y_m - start.y_m)


def _moved(pose: Pose, ahead_m: float) -> Pose:
    return Pose(
        pose.x_m + ahead_m * cos(pose.heading_rad),
        pose.y_m + ahead_m * sin(pose.heading_rad),
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
TRACKS = tuple(_CORNERS)


def load(name: str) -> Track:
    """The track of that name, one of `TRACKS`.

    Raises: ValueError for another name.
    """
    if name not in _CORNERS:
        raise ValueError(f"there is no track {name!r}, only {', '.join(TRACKS)}")
    return Track(name, _CORNERS[name])
