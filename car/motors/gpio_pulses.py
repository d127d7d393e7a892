"""Pulses on the pins of the Pi, by RPi.GPIO or, on a Pi 5, by rpi-lgpio, which has the same API.

A thread of the library times the pulses: they go on with the last width while Python is busy, and
end with the process. Each pin keeps one PWM object for the whole time, because a second one would
silence the first, and one that is started again runs at 1 kHz.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

from car.hardware_conf import GpioMotorsConf, PwmMotorsConf
from common.errors import MotorsFailed

LONGER_BY_US = {"RPi.GPIO": 59.0, "rpi-lgpio": 0.0}
"""By how many microseconds a library's pulses exceed the requested width.

RPi.GPIO sleeps for a duration, twice a period, and each sleep ends late, so its pulses can only be
too long; the value is that of a Pi 4. lgpio sleeps until a point in time: both ends of a pulse are
late, by the same amount on average.

Source: RPi.GPIO 0.7.1, source/soft_pwm.c; lgpio 0.2.2, lgPthTx.c.
"""

SoftwarePulsesConf = GpioMotorsConf | PwmMotorsConf

_US_PER_PERCENT_AT_1_HZ = 10_000
_LAST_PULSE_PERIODS = 5  # the pulse under way at the end, with a generous margin
_OTHERS_TIMEOUT_S = 2.0  # for which a guard that is told to end may still send neutral
_POLL_S = 0.02
_LGPIO, _LGPIO_FOLDER = "rpi-lgpio", "LG_WD"


@dataclass(frozen=True, slots=True)
class Timing:
    """The library that times the pulses, and the correction to their width.

    `advice`: what to change in hardware_conf.json; "" if nothing.
    """

    library: str
    longer_by_us: float
    advice: str = ""


def detect_timing(conf: SoftwarePulsesConf) -> Timing:
    """Detect which library `import RPi.GPIO` loads, and what follows from it.

    Raises:
        MotorsFailed: there is none.
    """
    from importlib import metadata  # here, as the guard, which is waited for, does not need it

    name = _library_name(_import_gpio())
    version = ""
    with suppress(metadata.PackageNotFoundError):
        version = metadata.version(name)
    return Timing(f"{name} {version}".rstrip(), _longer_by_us(conf, name), _advice(conf, name))


def _library_name(gpio: Any) -> str:
    """Return the library behind the module, whose VERSION is RPi.GPIO's in either case."""
    return _LGPIO if hasattr(gpio, "lgpio") else "RPi.GPIO"


def _longer_by_us(conf: SoftwarePulsesConf, library: str) -> float:
    return LONGER_BY_US[library] if conf.longer_by_us is None else conf.longer_by_us


def _advice(conf: SoftwarePulsesConf, library: str) -> str:
    """Return the remedy for a value that belongs to another library; "" if it does not."""
    others = {value: name for name, value in LONGER_BY_US.items() if name != library and value}
    configured_us = conf.longer_by_us
    if configured_us is None or configured_us not in others:
        return ""
    return (
        f"motors.longer_by_us {configured_us:g} in hardware_conf.json is the value for "
        f"{others[configured_us]}: with {library} every pulse, neutral included, is about "
        f"{configured_us - LONGER_BY_US[library]:g} us too short; set it to null, or to the value "
        f"you measured with {library}"
    )


class GpioPulses:
    """Pulses on pins by GPIO (BCM) number."""

    def __init__(self, conf: SoftwarePulsesConf) -> None:
        """Claim the pins and drive them low.

        Raises:
            MotorsFailed: there is no library, or the pins cannot be used; they are released.
        """
        self._conf = conf
        self._gpio = _import_gpio()
        self._library = _library_name(self._gpio)
        self._longer_by_us = _longer_by_us(conf, self._library)
        self._pwm: dict[int, Any] = {}
        self._pins = list(conf.gpio_pins)
        with _translate_errors(), ExitStack() as on_failure:
            # P10: a pin that a killed process left configured is no reason to refuse.
            self._gpio.setwarnings(False)
            self._gpio.setmode(self._gpio.BCM)
            on_failure.callback(self._gpio.cleanup, self._pins)
            self._claim_pins()
            on_failure.pop_all()

    def send(self, channel: int, width_us: float) -> None:
        """Set the width of the pin's pulses.

        Raises:
            MotorsFailed: the pins are closed or cannot be used.
        """
        if not self._pins:
            raise MotorsFailed("the pins are closed")
        requested_us = width_us - self._longer_by_us
        duty_percent = requested_us * self._conf.frequency_hz / _US_PER_PERCENT_AT_1_HZ
        with _translate_errors():
            if channel in self._pwm:
                self._pwm[channel].ChangeDutyCycle(duty_percent)
            else:
                self._pwm[channel] = self._gpio.PWM(channel, self._conf.frequency_hz)
                self._pwm[channel].start(duty_percent)

    def close(self) -> None:
        """End the pulses and release the pins. May be called twice.

        Raises:
            MotorsFailed: the pins cannot be used.
        """
        pins, self._pins = self._pins, []
        if not pins:
            return
        with (
            _translate_errors(),
            ExitStack() as steps,
        ):  # run in reverse order, even after a failure
            steps.callback(self._gpio.cleanup, pins)
            for channel in self._pwm:
                steps.callback(self._drop_pwm, channel)
            # The pulse under way must end first: one that is cut short is another command to the
            # ESC. It must not overlap the pulses of the next process (P10) either, nor the exit of
            # this one, when RPi.GPIO 0.7.1 unmaps the registers that its threads use.
            steps.callback(time.sleep, _LAST_PULSE_PERIODS / self._conf.frequency_hz)
            for channel in self._pwm:
                steps.callback(self._end_pulses, channel)

    def _claim_pins(self) -> None:
        """Make the pins low outputs, as soon as no other process has them.

        The kernel gives a pin to one process only, and rpi-lgpio gets its pins from the kernel. So
        a drive that is started at once (P10) waits until the guard of the one before has ended.
        """
        deadline_s = time.monotonic() + _OTHERS_TIMEOUT_S
        while True:
            try:
                self._gpio.setup(self._pins, self._gpio.OUT, initial=self._gpio.LOW)
            except Exception as error:  # lgpio's errors have no other base class
                if not _is_busy(str(error)) or time.monotonic() > deadline_s:
                    raise
                time.sleep(_POLL_S)
            else:
                return

    def _end_pulses(self, channel: int) -> None:
        """Send no more pulses after the one under way.

        RPi.GPIO completes it when it is stopped, unless the pin is released meanwhile. rpi-lgpio
        cuts it short, but completes it before another width takes effect, even none.
        """
        if self._library == _LGPIO:
            self._pwm[channel].ChangeDutyCycle(0)
        else:
            self._pwm[channel].stop()

    def _drop_pwm(self, channel: int) -> None:
        """Stop the pin's PWM object and drop it: rpi-lgpio's cannot be deleted after `cleanup`."""
        self._pwm.pop(channel).stop()


def _import_gpio() -> Any:
    """Import RPi.GPIO or its replacement.

    Raises:
        MotorsFailed: there is none.
    """
    try:
        with _folder_of_lgpio():
            from RPi import GPIO
    except (ImportError, RuntimeError, NotImplementedError, OSError) as error:
        raise MotorsFailed(
            f"RPi.GPIO cannot be used: {error}; on a Raspberry Pi: "
            "sudo apt install python3-rpi-lgpio, and a .venv that sees system packages"
        ) from error
    return GPIO


@contextmanager
def _folder_of_lgpio() -> Iterator[None]:
    """Give lgpio a folder while it is imported, and go back to the current one afterwards.

    When imported, lgpio makes $LG_WD the current folder, or stays where it is, and creates a FIFO
    there that it needs no longer than that. In a folder that several users share, a FIFO of another
    one would be in its way.
    """
    current = os.open(".", os.O_PATH)
    try:
        if _LGPIO_FOLDER in os.environ:
            yield
            return
        with TemporaryDirectory() as folder:
            os.environ[_LGPIO_FOLDER] = folder
            try:
                yield
            finally:
                del os.environ[_LGPIO_FOLDER]
    finally:
        os.fchdir(current)
        os.close(current)


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Turn any exception of the library into MotorsFailed."""
    try:
        yield
    except Exception as error:
        raise MotorsFailed(f"the pins cannot be used: {error}{_remedy(str(error))}") from error


def _remedy(message: str) -> str:
    """Return the remedy for a message of RPi.GPIO 0.7.1 or lgpio; "" if it is not known."""
    if "peripheral base address" in message:
        return (
            "; RPi.GPIO does not work on a Raspberry Pi 5, install rpi-lgpio instead: "
            "sudo apt install python3-rpi-lgpio, and pip uninstall RPi.GPIO"
        )
    if "/dev/mem" in message or "gpiochip" in message:
        return "; the user must be in the group gpio: sudo adduser $USER gpio, and log in again"
    if _is_busy(message):
        return "; another program uses the pins"
    return ""


def _is_busy(message: str) -> bool:
    return "busy" in message
