"""`hardware_conf.json`, which describes one car by values measured on it.

Pulse widths, which set servo position and ESC throttle, are in microseconds. The ESC is the motor's
speed controller.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from common import strict_json, structs
from common.errors import InputError

Pulse = Annotated[float, Meta(description="Length of a pulse, microseconds", ge=500, le=2500)]
Channel = Annotated[
    int,
    Meta(description="GPIO (BCM) number of the pin, or PCA9685 channel", ge=0, le=27),
]
LongerByUs = Annotated[float, Meta(ge=0, le=200)]
Seconds = Annotated[float, Meta(ge=0, le=10)]
Share = Annotated[float, Meta(ge=0, le=0.5)]

PadLibrary = Literal["inputs", "evdev"]

PWM_PINS = (18, 13)
PWM_OVERLAY = "dtoverlay=pwm-2chan,pin=18,func=2,pin2=13,func2=4"
"""The line of /boot/firmware/config.txt that connects the hardware PWM to `PWM_PINS`."""

_DEFAULT_DRIVERS = {"pad": "xbox", "camera": "picamera2"}


class Conf(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Values by key; an unknown key is an error."""


class SteeringConf(Conf, frozen=True, kw_only=True):
    """Servo that turns the wheels. `centre_us`, the trim, drives straight ahead."""

    channel: Channel
    left_us: Pulse
    centre_us: Pulse
    right_us: Pulse


class ThrottleConf(Conf, frozen=True, kw_only=True):
    """ESC. At `neutral_us` the car coasts; most ESCs brake at `reverse_us` before they reverse."""

    channel: Channel
    reverse_us: Pulse
    neutral_us: Pulse
    forward_us: Pulse


class PulseMotorsConf(Conf, frozen=True, kw_only=True, tag_field="driver"):
    """Servo and ESC, by pulse width. Neutral is sent for `neutral_first_s` before anything else."""

    steering: SteeringConf
    throttle: ThrottleConf
    frequency_hz: Annotated[float, Meta(ge=40, le=100)] = 50.0
    neutral_first_s: Seconds = 2.0

    @property
    def gpio_pins(self) -> tuple[int, ...]:
        """The pins with pulses timed in software."""
        return ()

    @property
    def pwm_pins(self) -> tuple[int, ...]:
        """The pins with pulses by the hardware PWM."""
        return ()

    @property
    def outlive_processes(self) -> bool:
        """Whether the motor's last pulse is repeated when all processes are dead or hang."""
        return False


class GpioMotorsConf(PulseMotorsConf, frozen=True, kw_only=True, tag="gpio"):
    """Servo and ESC on pins of the Pi.

    Pulses timed in software are `longer_by_us` longer than requested; None means the known value
    of the library that times them.
    """

    longer_by_us: LongerByUs | None = None

    @property
    def gpio_pins(self) -> tuple[int, ...]:
        """Both pins."""
        return (self.steering.channel, self.throttle.channel)


class PwmMotorsConf(PulseMotorsConf, frozen=True, kw_only=True, tag="pwm"):
    """Servo and ESC on pins of the Pi, with pulses by the Pi's hardware PWM.

    Those of the throttle may come from `gpio` instead, which ends them with the process;
    `longer_by_us` is then as in `GpioMotorsConf`.
    """

    throttle_driver: Literal["gpio", "pwm"] = "gpio"
    longer_by_us: LongerByUs | None = None

    @property
    def gpio_pins(self) -> tuple[int, ...]:
        """The throttle's pin, if its pulses are timed in software."""
        return (self.throttle.channel,) if self.throttle_driver == "gpio" else ()

    @property
    def pwm_pins(self) -> tuple[int, ...]:
        """The pins without the software's."""
        both = (self.steering.channel, self.throttle.channel)
        return tuple(pin for pin in both if pin not in self.gpio_pins)

    @property
    def outlive_processes(self) -> bool:
        """Whether the hardware makes the throttle's pulses."""
        return self.throttle.channel in self.pwm_pins


class Pca9685MotorsConf(PulseMotorsConf, frozen=True, kw_only=True, tag="pca9685"):
    """Servo and ESC on a PCA9685 board, over I2C."""

    bus: Annotated[int, Meta(ge=0, le=31)] = 1
    address: Annotated[int, Meta(ge=0x40, le=0x77)] = 0x40  # the range of the board's solder pads

    @property
    def outlive_processes(self) -> bool:
        """Always: the board makes the pulses."""
        return True


class PadConf(Conf, frozen=True, kw_only=True, tag_field="driver"):
    """Limits after which a pad counts as silent or lost.

    No event for `silence_s` with the throttle on stops the car; no pad for `lost_s` ends the run.
    """

    dead_zone: Share = 0.06
    silence_s: Annotated[float, Meta(gt=0, le=10)] = 1.5
    lost_s: Annotated[float, Meta(ge=1, le=600)] = 30.0
    dead_man: bool = False


class XboxPadConf(PadConf, frozen=True, kw_only=True, tag="xbox"):
    """A pad of the Xbox kind. Without a `map` file, the kernel driver decides which map fits.

    Without a `library`, `inputs` reads the pad, or `evdev` where `inputs` is missing or fails.
    """

    map: Annotated[str, Meta(min_length=1)] | None = None
    library: PadLibrary | None = None


class Picamera2Conf(Conf, frozen=True, kw_only=True, tag_field="driver", tag="picamera2"):
    """A camera on the Pi's camera connector, how it is mounted, and its sensor mode."""

    number: Annotated[int, Meta(ge=0, le=9)] = 0
    upside_down: bool = False
    sensor_width: Annotated[int, Meta(ge=16)] | None = None
    sensor_height: Annotated[int, Meta(ge=16)] | None = None
    lock_exposure: bool = False


class V4l2Conf(Conf, frozen=True, kw_only=True, tag_field="driver", tag="v4l2"):
    """USB webcam. `device` is the N of `/dev/videoN`, or a path such as `/dev/v4l/by-id/...`."""

    device: Annotated[int, Meta(ge=0, le=63)] | Annotated[str, Meta(min_length=1)] = 0
    upside_down: bool = False


class HardwareConf(Conf, frozen=True, kw_only=True):
    """One car."""

    car: Annotated[str, Meta(description="The car's name, in every label", min_length=1)]
    max_throttle: Annotated[
        float, Meta(description="What full trigger means, as a share of full throttle", gt=0, le=1)
    ]
    jpeg_quality: Annotated[int, Meta(description="Quality of the pictures", ge=1, le=100)]
    motors: GpioMotorsConf | PwmMotorsConf | Pca9685MotorsConf
    pad: XboxPadConf = XboxPadConf()
    camera: Picamera2Conf | V4l2Conf = Picamera2Conf()


def read(file: Path) -> HardwareConf:
    """Read and check the file.

    Raises:
        InputError: names the file, the key and the expected value.
    """
    content = strict_json.read(file)
    try:
        conf = structs.convert(_with_default_drivers(content), HardwareConf)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    for key, reason in _contradictions(conf):
        raise InputError(f"{file}: {key}: {reason}")
    return conf


def _with_default_drivers(content: object) -> object:
    """Add the drivers that files written before there was a choice do not name."""
    if not isinstance(content, dict):
        return content
    parts = {
        key: {"driver": driver, **content[key]}
        for key, driver in _DEFAULT_DRIVERS.items()
        if isinstance(content.get(key), dict)
    }
    return {**content, **parts}


def _contradictions(conf: HardwareConf) -> Iterator[tuple[str, str]]:
    """Yield the key and the reason of each value that contradicts another."""
    steering, throttle = conf.motors.steering, conf.motors.throttle
    if not _between(steering.left_us, steering.centre_us, steering.right_us):
        yield "motors.steering.centre_us", "is not between left_us and right_us"
    if not _between(throttle.reverse_us, throttle.neutral_us, throttle.forward_us):
        yield "motors.throttle.neutral_us", "is not between reverse_us and forward_us"
    if steering.channel == throttle.channel:
        yield "motors.throttle.channel", "is that of the steering too"
    for name, channel in (("steering", steering.channel), ("throttle", throttle.channel)):
        match conf.motors:
            case GpioMotorsConf() | PwmMotorsConf() if channel < 2:
                yield (
                    f"motors.{name}.channel",
                    f"GPIO {channel} is kept for the memory of add-on boards; take 2 to 27",
                )
            case PwmMotorsConf(pwm_pins=pwm_pins) if (
                channel in pwm_pins and channel not in PWM_PINS
            ):
                yield (
                    f"motors.{name}.channel",
                    f"pulses by the hardware PWM are on GPIO 18 or 13, not {channel}",
                )
            case Pca9685MotorsConf() if channel > 15:
                yield f"motors.{name}.channel", f"a PCA9685 has channels 0 to 15, not {channel}"
    match conf.camera:
        case Picamera2Conf(sensor_width=width, sensor_height=height):
            if (width is None) != (height is None):
                yield (
                    "camera",
                    "give both sensor_width and sensor_height, or none for the full view",
                )


def _between(end: float, middle: float, other_end: float) -> bool:
    return min(end, other_end) < middle < max(end, other_end)


def to_dict(conf: HardwareConf) -> dict[str, object]:
    """Return the values by key, as in the file and in a label's `car_setting`."""
    values: dict[str, object] = msgspec.to_builtins(conf)
    return values
