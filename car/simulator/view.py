"""Rendering of the simulated camera's pictures: sky, ground in perspective, light and noise."""

from math import ceil, cos, floor, radians, sin, tan, tau

import cv2
import numpy as np
from numpy.typing import NDArray

from car.interfaces import Pixels
from car.simulator.scenery import PANORAMA_ELEVATION_RAD, SCENERIES, draw_ground, draw_panorama
from car.simulator.track import Floats, Pose, Track

_HEIGHT_M = 0.22
_AHEAD_M = 0.15  # from the rear axle, to which the car's pose refers, to the camera
_FIELD_OF_VIEW_RAD = radians(100)
_PITCH_RAD = radians(14)

_GROUND_PX_PER_M = 50.0, 125.0  # lowest and highest resolution of the ground
_ACROSS_M = 3.2  # this width of ground gets the picture's resolution; more would only flicker
_HAZE_M = 9.0  # distance at which 1 - 1/e of the ground's colour is lost
_INVISIBLE_HAZE = 0.02  # share of haze below which it is not drawn
_LIGHT_DRIFT = 0.25
_LIGHT_PERIODS_S = (23.0, 7.1, 3.3)
_LIGHT_SHARES = (0.6, 0.25, 0.15)
_NOISE_LEVELS = 3.0  # standard deviation of a pixel
_NOISE_OFFSET = 32  # represents zero noise, since pixels are unsigned
_NOISE_MARGIN_PX = 61, 53  # range of the noise's shift; coprime, so that it repeats late


class SimulatedView:
    """View of a track through the camera of a car."""

    def __init__(self, track: Track, width_px: int, height_px: int, *, seed: int) -> None:
        """Draw the scenery of the track. `seed` determines light and noise."""
        self._size_px = width_px, height_px
        self._focal_px = width_px / 2 / tan(_FIELD_OF_VIEW_RAD / 2)
        horizon_px = (height_px - 1) / 2 - self._focal_px * tan(_PITCH_RAD)
        self._sky_rows = min(max(0, floor(horizon_px) + 1), height_px - 1)
        self._scenery = SCENERIES[track.name]
        lowest, highest = _GROUND_PX_PER_M
        self._ground = draw_ground(track, min(max(lowest, width_px / _ACROSS_M), highest))
        self._row_to_ground = self._pixel_to_ground() @ _shift(0, self._sky_rows)
        self._panorama = self._load_panorama(track.name)
        self._azimuths_px = self._column_azimuths_px()
        self._haze, self._haze_shares, self._clear_shares = self._haze_below_horizon()
        rng = np.random.default_rng(seed)
        self._light_phases_rad = rng.uniform(0, tau, len(_LIGHT_PERIODS_S))
        self._noise = self._create_noise(rng)

    def render(self, pose: Pose, moment_s: float, number: int) -> Pixels:
        """Render the view from `pose`; light depends on the time, noise on the `number`."""
        width, height = self._size_px
        pixels = np.empty((height, width, 3), np.uint8)
        self._draw_sky(pixels[: self._sky_rows], pose)
        self._draw_ground(pixels[self._sky_rows :], pose)
        light, noise = self._light(moment_s), self._shifted_noise(number)
        cv2.addWeighted(pixels, light, noise, 1.0, -_NOISE_OFFSET, dst=pixels)
        return pixels

    def _draw_sky(self, sky: Pixels, pose: Pose) -> None:
        turned_px = round(-pose.heading_rad / tau * len(self._panorama))
        columns = (self._azimuths_px + turned_px) % len(self._panorama)
        sky[:] = self._panorama[columns].transpose(1, 0, 2)

    def _draw_ground(self, ground: Pixels, pose: Pose) -> None:
        height, width = ground.shape[:2]
        cv2.warpPerspective(
            self._ground.pixels,
            self._ground.to_pixels @ _car_to_world(pose) @ self._row_to_ground,
            (width, height),
            dst=ground,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=self._scenery.ground,
        )
        far = ground[: len(self._haze)]
        cv2.blendLinear(far, self._haze, self._clear_shares, self._haze_shares, dst=far)

    def _pixel_to_ground(self) -> Floats:
        """Return the matrix from a pixel to metres ahead and to the left of the car's pose."""
        width, height = self._size_px
        to_ray = np.diag([1, 1, self._focal_px]) @ _shift(-(width - 1) / 2, -(height - 1) / 2)
        sine, cosine = sin(_PITCH_RAD), cos(_PITCH_RAD)
        ahead, left, down = [0, -sine, cosine], [-1, 0, 0], [0, cosine, sine]
        ray_to_ground = np.array(
            [np.multiply(_HEIGHT_M, ahead), np.multiply(_HEIGHT_M, left), down], np.float64
        )
        ray_to_ground[0] += np.multiply(_AHEAD_M, down)
        return np.asarray(ray_to_ground @ to_ray, np.float64)

    def _load_panorama(self, name: str) -> Pixels:
        """Return the panorama at the picture's scale, transposed: (azimuth, row, 3)."""
        above_axis = tan(PANORAMA_ELEVATION_RAD + _PITCH_RAD) - tan(_PITCH_RAD)
        rows = max(self._sky_rows, ceil(self._focal_px * above_axis))
        size = (round(tau * self._focal_px), rows)
        whole = cv2.resize(draw_panorama(name), size, interpolation=cv2.INTER_AREA)
        visible = whole[rows - self._sky_rows :]
        return np.ascontiguousarray(visible.transpose(1, 0, 2), np.uint8)

    def _column_azimuths_px(self) -> NDArray[np.intp]:
        """Return the panorama's column for each column of the picture, at heading 0."""
        width, _ = self._size_px
        beside = (np.arange(width) - (width - 1) / 2) * cos(_PITCH_RAD) / self._focal_px
        return np.asarray(np.rint(np.arctan(beside) / tau * len(self._panorama)), np.intp)

    def _haze_below_horizon(self) -> tuple[Pixels, NDArray[np.float32], NDArray[np.float32]]:
        """Return the haze of the rows where it is visible, its share and that of the ground."""
        width, height = self._size_px
        rows = np.arange(height - self._sky_rows)
        middle = np.stack([np.full(len(rows), (width - 1) / 2), rows, np.ones(len(rows))])
        ahead, _, scale = self._row_to_ground @ middle
        shares = 1 - np.exp(-((ahead / scale / _HAZE_M) ** 2))
        shares = shares[shares > _INVISIBLE_HAZE].astype(np.float32)
        colour = np.add(self._scenery.haze, self._scenery.ground) / 2
        haze = np.full((len(shares), width, 3), colour, np.uint8)
        haze_shares = np.repeat(shares[:, None], width, axis=1)
        return haze, haze_shares, 1 - haze_shares

    def _light(self, moment_s: float) -> float:
        """Return the brightness, 1 on average, as clouds pass."""
        phases_rad = moment_s * tau / np.array(_LIGHT_PERIODS_S) + self._light_phases_rad
        return 1 + _LIGHT_DRIFT * float(np.sin(phases_rad) @ _LIGHT_SHARES)

    def _create_noise(self, rng: np.random.Generator) -> Pixels:
        """Return noise for a slightly larger picture, `_NOISE_OFFSET` on average."""
        width, height = np.add(self._size_px, _NOISE_MARGIN_PX)
        levels = rng.normal(_NOISE_OFFSET, _NOISE_LEVELS, (height, width, 3))
        return np.clip(np.round(levels), 0, 255).astype(np.uint8)

    def _shifted_noise(self, number: int) -> Pixels:
        """Return a section of the noise that moves from picture to picture."""
        width, height = self._size_px
        x, y = (23 * number % margin for margin in _NOISE_MARGIN_PX)
        return self._noise[y : y + height, x : x + width]


def _shift(x: float, y: float) -> Floats:
    """Return the matrix that moves a point of the plane."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def _car_to_world(pose: Pose) -> Floats:
    """Return the matrix from metres ahead and to the left of `pose` to x and y."""
    sine, cosine = sin(pose.heading_rad), cos(pose.heading_rad)
    return np.array([[cosine, -sine, pose.x_m], [sine, cosine, pose.y_m], [0, 0, 1]], np.float64)
