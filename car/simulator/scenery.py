"""Scenery of a track: the ground seen from above, and the panorama around it.

Colours are BGR, 0 to 255. Random numbers are seeded by the track's name, so that a track looks the
same in every drive.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, radians
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from car.interfaces import Pixels
from car.simulator.track import ROAD_WIDTH_M, Floats, Track

Colour = tuple[int, int, int]

_MARGIN_M = 4.0  # ground around the road
_BORDER_M = 0.04
_DASH_M = 0.3  # length of a dash, and of the gap after it
_DASH_WIDTH_M = 0.03
_KERB_M = 0.2
_KERB_WIDTH_M = 0.08
_KERB_CURVATURE_PER_M = 0.7  # bends tighter than this have kerbs

_WHITE = (236, 238, 238)
_KERB_COLOURS = ((60, 52, 196), _WHITE)
_ROAD = (74, 70, 68)
_CLOUD = (250, 250, 250)

_PANORAMA_PX = (3600, 300)  # 360 degrees wide, 30 high from the horizon up
PANORAMA_ELEVATION_RAD = radians(30)
_SUBPIXEL_BITS = 4
_SUPERSAMPLING = 2  # for smooth edges of the ground


@dataclass(frozen=True, slots=True)
class Scenery:
    """Colours and objects of a place."""

    ground: Colour
    confetti: tuple[Colour, ...]  # flowers, chalk
    slab_m: float  # 0 where the ground is not paved
    zenith: Colour
    haze: Colour
    hills: Colour
    trees: Colour
    houses: tuple[Colour, ...]


SCENERIES = {
    "school": Scenery(
        ground=(132, 142, 148),
        confetti=((190, 170, 110), (120, 190, 210), (170, 130, 200), (200, 205, 205)),
        slab_m=1.0,
        zenith=(205, 150, 92),
        haze=(228, 220, 206),
        hills=(176, 160, 138),
        trees=(92, 118, 96),
        houses=((112, 140, 178), (150, 172, 190), (104, 118, 160)),
    ),
    "park": Scenery(
        ground=(70, 134, 96),
        confetti=((240, 240, 240), (80, 210, 240), (190, 150, 230)),
        slab_m=0.0,
        zenith=(214, 158, 88),
        haze=(232, 222, 204),
        hills=(170, 160, 128),
        trees=(62, 104, 66),
        houses=(),
    ),
}


@dataclass(frozen=True, slots=True)
class Ground:
    """A track seen from above, and the matrix from metres to its pixels."""

    pixels: Pixels
    to_pixels: Floats


@lru_cache(maxsize=4)
def draw_ground(track: Track, pixels_per_m: float) -> Ground:
    """Draw the track and the ground around it, seen from above; kept for the next drive."""
    scenery = SCENERIES[track.name]
    rng = np.random.default_rng(crc32(track.name.encode()))
    left_m, top_m = track.x_m.min() - _MARGIN_M, track.y_m.max() + _MARGIN_M
    width = ceil((track.x_m.max() + _MARGIN_M - left_m) * pixels_per_m)
    height = ceil((top_m - track.y_m.min() + _MARGIN_M) * pixels_per_m)
    from_corner_m = np.array([[1, 0, -left_m], [0, -1, top_m], [0, 0, 1]], np.float64)
    to_pixels = _scale(pixels_per_m) @ from_corner_m
    scale = _SUPERSAMPLING
    canvas = np.full((height * scale, width * scale, 3), scenery.ground, np.uint8)
    _draw_confetti(canvas, scenery.confetti, pixels_per_m * scale, rng)
    _draw_slabs(canvas, scenery.slab_m * pixels_per_m * scale)
    _draw_road(canvas, track, _scale(scale) @ to_pixels)
    pixels = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    ground = _add_texture(np.asarray(pixels, np.uint8), pixels_per_m, rng)
    ground.flags.writeable = to_pixels.flags.writeable = False
    return Ground(ground, to_pixels)


def _scale(factor: float) -> Floats:
    """Return the matrix that scales a plane."""
    return np.diag([factor, factor, 1.0])


def _draw_confetti(
    canvas: Pixels, colours: Sequence[Colour], pixels_per_m: float, rng: np.random.Generator
) -> None:
    """Draw small dots in loose groups."""
    height, width = canvas.shape[:2]
    for _ in range(80):
        centre = rng.uniform((0, 0), (width, height))
        colour = colours[int(rng.integers(len(colours)))]
        for dot in rng.normal(centre, 0.4 * pixels_per_m, (16, 2)):
            _draw_dot(canvas, dot, rng.uniform(0.008, 0.025) * pixels_per_m, colour)


def _draw_dot(canvas: Pixels, centre: Floats, radius_px: float, colour: Colour) -> None:
    (x, y), radius = _to_fixed_point(centre), round(radius_px * 2**_SUBPIXEL_BITS)
    cv2.circle(canvas, (x, y), radius, colour, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)


def _draw_slabs(canvas: Pixels, slab_px: float) -> None:
    """Draw the joints between slabs, where the ground is paved."""
    if not slab_px:
        return
    height, width = canvas.shape[:2]
    colour = [int(0.86 * level) for level in canvas[0, 0]]
    thickness = max(1, round(slab_px * 0.02))
    for joint in np.arange(slab_px, max(width, height), slab_px).astype(int):
        cv2.line(canvas, (joint, 0), (joint, height), colour, thickness)
        cv2.line(canvas, (0, joint), (width, joint), colour, thickness)


def _draw_road(canvas: Pixels, track: Track, to_pixels: Floats) -> None:
    """Draw kerbs, borders, asphalt and dashes, each layer narrower than the one below."""

    def fill(outlines: Sequence[Floats], colour: Colour) -> None:
        corners = [_to_fixed_point(outline @ to_pixels[:2].T) for outline in outlines]
        cv2.fillPoly(canvas, corners, colour, cv2.LINE_AA, _SUBPIXEL_BITS)

    def fill_stretch(start: int, end: int, width_m: float, colour: Colour) -> None:
        left, right = _edges(track, np.arange(start, end) % len(track), width_m)
        fill([np.concatenate([left, right[::-1]])], colour)

    kerb = track.points_ahead(_KERB_M)
    for number, start in enumerate(range(0, len(track), kerb)):
        if abs(track.curvatures_per_m[start]) > _KERB_CURVATURE_PER_M:
            colour = _KERB_COLOURS[number % len(_KERB_COLOURS)]
            fill_stretch(start, start + kerb + 1, ROAD_WIDTH_M + 2 * _KERB_WIDTH_M, colour)
    whole_lap = np.arange(len(track))
    fill(_edges(track, whole_lap, ROAD_WIDTH_M), _WHITE)
    fill(_edges(track, whole_lap, ROAD_WIDTH_M - 2 * _BORDER_M), _ROAD)
    dash = track.points_ahead(_DASH_M)
    for start in range(0, len(track) - dash, 2 * dash):
        fill_stretch(start, start + dash, _DASH_WIDTH_M, _WHITE)


def _edges(track: Track, indices: NDArray[np.intp], width_m: float) -> tuple[Floats, Floats]:
    """Return the left and right edge of a band along the road, as rows of (x, y, 1) in metres."""
    headings_rad = track.headings_rad[indices]
    middle = np.stack([track.x_m[indices], track.y_m[indices], np.ones(len(indices))], axis=1)
    left = np.stack([-np.sin(headings_rad), np.cos(headings_rad), 0 * headings_rad], axis=1)
    return middle + left * width_m / 2, middle - left * width_m / 2


def _to_fixed_point(points: Floats) -> NDArray[np.int32]:
    """Convert points to OpenCV's fixed-point coordinates with `_SUBPIXEL_BITS`."""
    return np.asarray(np.rint(points * 2**_SUBPIXEL_BITS), np.int32)


def _add_texture(canvas: Pixels, pixels_per_m: float, rng: np.random.Generator) -> Pixels:
    """Return the canvas with patches a metre wide, specks and fine grain."""
    height, width = canvas.shape[:2]
    patches = _smooth_noise((height, width), 0.9 * pixels_per_m, rng)
    specks = _smooth_noise((height, width), 0.08 * pixels_per_m, rng)
    grain = rng.standard_normal((height, width), np.float32)
    brightness = 1 + 0.06 * patches + 0.04 * specks + 0.04 * grain
    return np.asarray(np.clip(canvas * brightness[..., None], 0, 255), np.uint8)


def _smooth_noise(
    shape: tuple[int, int], grain_px: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return noise with a grain of `grain_px`, without a seam between its right and left edge."""
    height, width = shape
    rows, columns = int(height / grain_px) + 1, max(1, round(width / grain_px))
    # Cells repeated beyond both edges make the interpolation meet itself there.
    cells = np.pad(rng.standard_normal((rows, columns), np.float32), ((0, 0), (2, 2)), mode="wrap")
    wide = cv2.resize(cells, (width + round(4 * grain_px), height), interpolation=cv2.INTER_CUBIC)
    start = round(2 * grain_px)
    return np.asarray(wide[:, start : start + width], np.float32)


@lru_cache(maxsize=4)
def draw_panorama(name: str) -> Pixels:
    """Draw the surroundings of a track from the horizon up; kept for the next drive.

    Columns go clockwise once around.
    """
    scenery = SCENERIES[name]
    rng = np.random.default_rng(crc32(name.encode()))
    width, height = _PANORAMA_PX
    up = np.linspace(1, 0, height)[:, None, None]
    canvas = up**0.7 * np.array(scenery.zenith) + (1 - up**0.7) * np.array(scenery.haze)
    clouds = sum(size * _smooth_noise((height, width), 120 * size, rng) for size in (1, 0.4, 0.2))
    cover = np.clip(0.8 * clouds, 0, 0.8)[..., None] * np.sqrt(up)
    canvas = canvas * (1 - cover) + cover * np.array(_CLOUD)
    pixels = np.asarray(canvas, np.uint8)
    _draw_skyline(pixels, _skyline(rng, height_px=26, change_px=10, length_px=400), scenery.hills)
    houses = scenery.houses * 3
    for number, colour in enumerate(houses):
        left = (number + rng.uniform(0.0, 0.3)) * width / len(houses)
        _draw_house(pixels, round(left), colour, rng)
    crowns = _skyline(rng, height_px=0, change_px=3, length_px=16)
    trees = _skyline(rng, height_px=18, change_px=7, length_px=70) + crowns
    _draw_skyline(pixels, trees, scenery.trees)
    pixels.flags.writeable = False
    return pixels


def _skyline(
    rng: np.random.Generator, *, height_px: float, change_px: float, length_px: float
) -> NDArray[np.float32]:
    """Return the height of each column of an undulating line."""
    variation = _smooth_noise((1, _PANORAMA_PX[0]), length_px, rng)[0]
    return np.asarray(height_px + change_px * variation, np.float32)


def _draw_skyline(pixels: Pixels, heights_px: NDArray[np.float32], colour: Colour) -> None:
    """Fill the columns from the horizon up to their heights."""
    up_px = np.arange(len(pixels))[::-1, None]
    pixels[up_px < heights_px] = colour


def _draw_house(pixels: Pixels, left: int, colour: Colour, rng: np.random.Generator) -> None:
    """Draw a house with rows of windows on the horizon."""
    bottom = len(pixels)
    width, floors = 10 + 20 * int(rng.integers(6, 13)), int(rng.integers(2, 5))
    top = bottom - 10 - 22 * floors
    pixels[top:, left : left + width] = colour
    pixels[top : top + 4, left - 4 : left + width + 4] = np.array(colour) * 0.7
    glass = np.array(colour) * 0.55
    for y in range(top + 9, bottom - 13, 22):
        for x in range(left + 10, left + width - 10, 20):
            pixels[y : y + 12, x : x + 10] = glass
