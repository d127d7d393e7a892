"""Pulses on the pins of the Pi, by RPi.GPIO or, on a Pi 5, by rpi-lgpio, which has the same door.

A thread of the library times the pulses, so they go on with the last width while Python is busy,
and end with the process. One PWM object a pin lives as long as this one does: a second one would
silence the first, and one that is started again runs at 1 kHz.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from car.hardware_conf import GpioMotors
from common.errors import MotorsFailed

LONGER_BY_US = {"RPi.GPIO": 59.0, "rpi-lgpio": 0.0}
"""How much longer than asked the pulses of a library leave, microseconds.

RPi.GPIO sleeps for a time, twice a period, and each sleep ends late: its pulses are only ever
longer, by so much on a Pi 4. lgpio sleeps until a moment: both ends of a pulse are late, and by as
much on average.

Source: RPi.GPIO 0.7.1, source/soft_pwm.c; lgpio 0.2.2, lgPthTx.c.
"""

_US_PER_PERCENT_AT_1_HZ = 10_000
_ENDS_WITHIN_PERIODS = 5  # the one that goes on at the end, and much lateness


@dataclass(frozen=True, slots=True)
class Timing:
    """What times the pulses, and how much longer than asked they are taken to leave."""

    library: str
    longer_by_us: float
    advice: str = ""


def timing(conf: GpioMotors) -> Timing:
    """Return what `import RPi.GPIO` gives here and what follows from it. Raises: MotorsFailed."""
    name = _name(_library())
    version = ""
    with suppress(metadata.PackageNotFoundError):
        version = metadata.version(name)
    return Timing(f"{name} {version}".rstrip(), _longer_by_us(conf, name), _advice(conf, name))


def _name(gpio: Any) -> str:
    """Return the library behind the module, whose VERSION is that of RPi.GPIO in either case."""
    return "rpi-lgpio" if hasattr(gpio, "lgpio") else "RPi.GPIO"


def _longer_by_us(conf: GpioMotors, library: str) -> float:
    return LONGER_BY_US[library] if conf.longer_by_us is None else conf.longer_by_us


def _advice(conf: GpioMotors, library: str) -> str:
    """Return what to do about a value that belongs to another library; "" if it does not."""
    others = {value: name for name, value in LONGER_BY_US.items() if name != library and value}
    told_us = conf.longer_by_us
    if told_us is None or told_us not in others:
        return ""
    return (
        f"motors.longer_by_us {told_us:g} in hardware_conf.json is the value of {others[told_us]}: "
        f"by {library} every pulse, neutral too, leaves about {told_us - LONGER_BY_US[library]:g} "
        f"us too short; set it to null, or to what you measured with {library}"
    )


class GpioPulses:
    """Pulses on pins, which are numbered as Broadcom counts them."""

    def __init__(self, conf: GpioMotors) -> None:
        """The pins are low. Raises: MotorsFailed, with the pins free."""
        self._conf = conf
        self._gpio = _library()
        self._longer_by_us = _longer_by_us(conf, _name(self._gpio))
        self._pwm: dict[int, Any] = {}
        self._pins = [conf.steering.channel, conf.throttle.channel]
        with _said(), ExitStack() as failed:
            self._gpio.setwarnings(False)  # a pin that a killed process left is ours all the same
            self._gpio.setmode(self._gpio.BCM)
            failed.callback(self._gpio.cleanup, self._pins)
            self._gpio.setup(self._pins, self._gpio.OUT, initial=self._gpio.LOW)
            failed.pop_all()

    def send(self, channel: int, width_us: float) -> None:
        """The pin's pulses are this wide. Raises: MotorsFailed."""
        if not self._pins:
            raise MotorsFailed("the pins are closed")
        asked_us = width_us - self._longer_by_us
        duty_percent = asked_us * self._conf.frequency_hz / _US_PER_PERCENT_AT_1_HZ
        with _said():
            if channel in self._pwm:
                self._pwm[channel].ChangeDutyCycle(duty_percent)
            else:
                self._pwm[channel] = self._gpio.PWM(channel, self._conf.frequency_hz)
                self._pwm[channel].start(duty_percent)

    def close(self) -> None:
        """There are no more pulses, and the pins are free. May be called twice.

        Raises: MotorsFailed.
        """
        pins, self._pins = self._pins, []
        if not pins:
            return
        with _said(), ExitStack() as ending:  # backwards, and on when one of them fails
            ending.callback(self._gpio.cleanup, pins)
            # RPi.GPIO ends a pulse that has begun, but not if the pin is given back meanwhile: cut
            # short it would mean something else. Nor may a successor's pulses meet the last one,
            # nor the end of the process, where RPi.GPIO 0.7.1 takes the registers from its threads.
            ending.callback(time.sleep, _ENDS_WITHIN_PERIODS / self._conf.frequency_hz)
            for channel in self._pwm:
                ending.callback(self._drop, channel)

    def _drop(self, channel: int) -> None:
        """The pin's PWM object has stopped and is no more: after `cleanup` rpi-lgpio's cannot."""
        self._pwm.pop(channel).stop()


def _library() -> Any:
    """RPi.GPIO or what stands in for it. Raises: MotorsFailed."""
    os.environ.setdefault("LG_WD", tempfile.gettempdir())  # else lgpio leaves files where we are
    try:
        from RPi import GPIO
    except (ImportError, RuntimeError, NotImplementedError) as error:
        raise MotorsFailed(
            f"RPi.GPIO cannot be used: {error}; on a Raspberry Pi: "
            "sudo apt install python3-rpi-lgpio, and a .venv that sees system packages"
        ) from error
    return GPIO


@contextmanager
def _said() -> Iterator[None]:
    """What the library raises becomes MotorsFailed."""
    try:
        yield
    except Exception as error:
        raise MotorsFailed(f"the pins cannot be used: {error}{_remedy(str(error))}") from error


def _remedy(said: str) -> str:
    """What to do about the words of RPi.GPIO 0.7.1 or lgpio; "" when nobody but us can."""
    if "peripheral base address" in said:
        return (
            "; this is what RPi.GPIO says on a Raspberry Pi 5, which needs rpi-lgpio in its place: "
            "sudo apt install python3-rpi-lgpio, and pip uninstall RPi.GPIO"
        )
    if "/dev/mem" in said or "gpiochip" in said:
        return "; the user has to be in the group gpio: sudo adduser $USER gpio, and log in again"
    if "busy" in said:
        return "; another program holds the pins"
    return ""
