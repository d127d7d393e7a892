"""Sensor modes of a camera on the Pi's camera connector, and the choice of one.

A mode reads out all of the sensor or its middle, at a size, a bit depth and up to a rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from car.hardware_conf import Picamera2Conf
from common.errors import CameraFailed

WHOLE_VIEW = 0.95  # of the widest; some modes leave a few lines out

_RATE_TOLERANCE_HZ = 0.005  # picamera2 rounds rates to 0.01 Hz
_CONF = "in hardware_conf.json"


@dataclass(frozen=True, slots=True)
class SensorMode:
    """Readout of the sensor: pictures of `width_px` by `height_px` from `view_px` sensor pixels."""

    width_px: int
    height_px: int
    bit_depth: int
    max_rate_hz: float
    view_px: tuple[int, int]

    @property
    def size(self) -> str:
        """Width and height, for messages."""
        return f"{self.width_px}x{self.height_px}"

    @property
    def area(self) -> int:
        """Area of the view, in sensor pixels."""
        return self.view_px[0] * self.view_px[1]


def choose_mode(modes: Sequence[SensorMode], conf: Picamera2Conf, rate_hz: float) -> SensorMode:
    """Return the mode that `conf` names, else the best one with the whole view.

    Best means fast enough, then the largest bit depth, then the fewest pixels.

    Raises:
        CameraFailed: no mode fits; names the rates of the view and the modes that are fast enough.
    """
    if not modes:
        raise CameraFailed(
            "the camera has no sensor modes, as those on USB: set camera.driver to v4l2 for a "
            f"webcam, or camera.number to a camera on the camera connector, {_CONF}"
        )
    if conf.sensor_width is None:
        widest = max(mode.area for mode in modes)
        candidates = [mode for mode in modes if mode.area >= WHOLE_VIEW * widest]
        name = "the full view"
    else:
        size = (conf.sensor_width, conf.sensor_height)
        candidates = [mode for mode in modes if (mode.width_px, mode.height_px) == size]
        name = f"the sensor mode {conf.sensor_width}x{conf.sensor_height}"
    if not candidates:
        raise CameraFailed(
            f"camera.sensor_width and camera.sensor_height {_CONF}: the sensor has no mode "
            f"{conf.sensor_width}x{conf.sensor_height}, only {_list_modes(modes)}"
        )
    if fast := _fast_enough(candidates, rate_hz):
        return max(
            fast, key=lambda mode: (mode.area, mode.bit_depth, -mode.width_px * mode.height_px)
        )
    message = f"{name} is not available at {rate_hz:g} Hz: {_list_modes(candidates)}; lower --rate"
    if others := _fast_enough(modes, rate_hz):
        message += (
            f", or set camera.sensor_width and camera.sensor_height {_CONF} for a smaller view: "
            f"{_list_modes(others)}"
        )
    raise CameraFailed(message)


def _fast_enough(modes: Sequence[SensorMode], rate_hz: float) -> list[SensorMode]:
    return [mode for mode in modes if mode.max_rate_hz + _RATE_TOLERANCE_HZ >= rate_hz]


def _list_modes(modes: Sequence[SensorMode]) -> str:
    max_rates_hz: dict[str, float] = {}
    for mode in modes:
        max_rates_hz[mode.size] = max(mode.max_rate_hz, max_rates_hz.get(mode.size, 0.0))
    return ", ".join(f"{size} up to {rate_hz:g} Hz" for size, rate_hz in max_rates_hz.items())


def parse_modes(sensor_modes: Sequence[dict[str, Any]]) -> list[SensorMode]:
    """Parse picamera2's list, which has only pixel formats for a camera on USB."""
    return [
        SensorMode(
            width_px=mode["size"][0],
            height_px=mode["size"][1],
            bit_depth=mode["bit_depth"],
            max_rate_hz=mode["fps"],
            view_px=mode["crop_limits"][2:],
        )
        for mode in sensor_modes
        if "size" in mode
    ]
