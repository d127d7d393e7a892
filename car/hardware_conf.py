"""`hardware_conf.json`: what this car is. Values only, measured on the car.

Pulses are in microseconds: what a servo or an ESC (the motor's speed controller) understands.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from common import strict_json, structs
from common.errors import InputError

Pulse = Annotated[float, Meta(description="Length of a pulse, microseconds", ge=500, le=2500)]
Channel = Annotated[
    int,
    Meta(description="Number of the pin as Broadcom counts, or PCA9685 channel", ge=0, le=27),
]
Seconds = Annotated[float, Meta(ge=0, le=10)]
Share = Annotated[float, Meta(ge=0, le=0.5)]


class Conf(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Values by key; a key that nobody knows is a mistake."""


class Steering(Conf, frozen=True, kw_only=True):
    """The servo that turns the wheels. `centre_us` drives straight on: the trim."""

    channel: Channel
    left_us: Pulse
    centre_us: Pulse
    right_us: Pulse


class Throttle(Conf, frozen=True, kw_only=True):
    """The ESC. At `neutral_us` the car coasts; `reverse_us` is brake first with most ESCs."""

    channel: Channel
    reverse_us: Pulse
    neutral_us: Pulse
    forward_us: Pulse


class PulseMotors(Conf, frozen=True, kw_only=True, tag_field="driver"):
    """Servo and ESC, by pulse width. Neutral goes out for `neutral_first_s` before anything."""

    steering: Steering
    throttle: Throttle
    frequency_hz: Annotated[float, Meta(ge=40, le=100)] = 50.0
    neutral_first_s: Seconds = 2.0


class GpioMotors(PulseMotors, frozen=True, kw_only=True, tag="gpio"):
    """Both on pins of the Pi. Pulses timed in software leave `longer_by_us` longer than asked.

    Without a value that was measured, it is that of the library that times them.
    """

    longer_by_us: Annotated[float, Meta(ge=0, le=200)] | None = None


class Pca9685Motors(PulseMotors, frozen=True, kw_only=True, tag="pca9685"):
    """Both on a PCA9685 board, over I2C."""

    bus: Annotated[int, Meta(ge=0, le=31)] = 1
    address: Annotated[int, Meta(ge=0x40, le=0x77)] = 0x40  # all that the board's solder pads give


class Pad(Conf, frozen=True, kw_only=True):
    """How the pad is read. `map` is a file of one's own; without it the pad's driver tells.

    A pad that is silent for `silence_s` with throttle on stops the car; one that is gone for
    `lost_s` ends the run.
    """

    map: Annotated[str, Meta(min_length=1)] | None = None
    dead_zone: Share = 0.06
    silence_s: Annotated[float, Meta(gt=0, le=10)] = 1.5
    lost_s: Annotated[float, Meta(ge=1, le=600)] = 30.0
    dead_man: bool = False


class Camera(Conf, frozen=True, kw_only=True):
    """Which camera, how it is mounted, and what part of the sensor is read."""

    number: Annotated[int, Meta(ge=0, le=9)] = 0
    upside_down: bool = False
    sensor_width: Annotated[int, Meta(ge=16)] | None = None
    sensor_height: Annotated[int, Meta(ge=16)] | None = None
    lock_exposure: bool = False


class HardwareConf(Conf, frozen=True, kw_only=True):
    """One car."""

    car: Annotated[str, Meta(description="The car's name, in every label", min_length=1)]
    max_throttle: Annotated[
        float, Meta(description="What full trigger means, as a share of full throttle", gt=0, le=1)
    ]
    jpeg_quality: Annotated[int, Meta(description="Quality of the pictures", ge=1, le=100)]
    motors: GpioMotors | Pca9685Motors
    pad: Pad = Pad()
    camera: Camera = Camera()


def read(file: Path) -> HardwareConf:
    """The checked content of the file.

    Raises: InputError that names the file, the key and what it should be.
    """
    content = strict_json.read(file)
    try:
        conf = structs.convert(content, HardwareConf)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    for key, complaint in _contradictions(conf):
        raise InputError(f"{file}: {key}: {complaint}")
    return conf


def _contradictions(conf: HardwareConf) -> Iterator[tuple[str, str]]:
    """What types and ranges alone do not show."""
    steering, throttle = conf.motors.steering, conf.motors.throttle
    if not _between(steering.left_us, steering.centre_us, steering.right_us):
        yield "motors.steering.centre_us", "is not between left_us and right_us"
    if not _between(throttle.reverse_us, throttle.neutral_us, throttle.forward_us):
        yield "motors.throttle.neutral_us", "is not between reverse_us and forward_us"
    if steering.channel == throttle.channel:
        yield "motors.throttle.channel", "is that of the steering too"
    for name, channel in (("steering", steering.channel), ("throttle", throttle.channel)):
        match conf.motors:
            case GpioMotors() if channel < 2:
                yield (
                    f"motors.{name}.channel",
                    f"GPIO {channel} is kept for the memory of add-on boards; take 2 to 27",
                )
            case Pca9685Motors() if channel > 15:
                yield f"motors.{name}.channel", f"a PCA9685 has channels 0 to 15, not {channel}"
    if (conf.camera.sensor_width is None) != (conf.camera.sensor_height is None):
        yield "camera", "give both sensor_width and sensor_height, or none for the full view"


def _between(one: float, middle: float, other: float) -> bool:
    return min(one, other) < middle < max(one, other)


def contents(conf: HardwareConf) -> dict[str, object]:
    """The values by key, as they stand in the file and in a label's `car_setting`."""
    values: dict[str, object] = msgspec.to_builtins(conf)
    return values
