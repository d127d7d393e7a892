"""Pulses on the pins of the Pi, by RPi.GPIO or, on a Pi 5, by rpi-lgpio, which has the same door.

A thread of the library times the pulses, so they go on with the last width while Python is busy,
and end with the process. One PWM object a pin lives as long as this one does: a second one would
silence the first, and one that is started again runs at 1 kHz.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from car.hardware_conf import GpioMotors
from errors import MotorsFailed

_US_PER_PERCENT_AT_1_HZ = 10_000
_ENDS_WITHIN_PERIODS = 5  # the one that goes on at the end, and much lateness


class GpioPulses:
    """Pulses on pins, which are numbered as Broadcom counts them."""

    def __init__(self, conf: GpioMotors) -> None:
        """The pins are low. Raises: MotorsFailed, with the pins free."""
        self._conf = conf
        self._gpio = _library()
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
        asked_us = width_us - self._conf.longer_by_us
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
