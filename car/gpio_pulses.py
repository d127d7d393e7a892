"""Pulses on the pins of the Pi, by RPi.GPIO or, on a Pi 5, by rpi-lgpio, which has the same door.

A thread of the library times the pulses, so they go on with the last width while Python is busy,
and end with the process. One PWM object a pin lives as long as this one does: a second one would
silence the first, and one that is started again runs at 1 kHz.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from car.hardware_conf import GpioMotors
from errors import MotorsFailed

_US_PER_PERCENT_AT_1_HZ = 10_000


class GpioPulses:
    """Pulses on pins, which are numbered as Broadcom counts them."""

    def __init__(self, conf: GpioMotors) -> None:
        """The pins are low. Raises: MotorsFailed."""
        self._conf = conf
        self._gpio = _library()
        self._pwm: dict[int, Any] = {}
        self._pins = [conf.steering.channel, conf.throttle.channel]
        with _said():
            self._gpio.setwarnings(False)  # a pin that a killed process left is ours all the same
            self._gpio.setmode(self._gpio.BCM)
            self._gpio.setup(self._pins, self._gpio.OUT, initial=self._gpio.LOW)

    def send(self, channel: int, width_us: float) -> None:
        """The pin's pulses are this wide. Raises: MotorsFailed."""
        asked_us = width_us - self._conf.longer_by_us
        duty_percent = asked_us * self._conf.frequency_hz / _US_PER_PERCENT_AT_1_HZ
        with _said():
            if channel in self._pwm:
                self._pwm[channel].ChangeDutyCycle(duty_percent)
            else:
                self._pwm[channel] = self._gpio.PWM(channel, self._conf.frequency_hz)
                self._pwm[channel].start(duty_percent)

    def close(self) -> None:
        """There are no more pulses, and the pins are free. May be called twice."""
        if not self._pins:
            return
        with _said():
            for pwm in self._pwm.values():
                pwm.stop()
            self._pwm.clear()  # before `cleanup`, after which rpi-lgpio cannot end them
            self._gpio.cleanup(self._pins)
        self._pins = []


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
        raise MotorsFailed(
            f"the pins cannot be used: {error}; on a Raspberry Pi 5 it needs rpi-lgpio in place "
            "of RPi.GPIO, and the user has to be in the group gpio"
        ) from error
