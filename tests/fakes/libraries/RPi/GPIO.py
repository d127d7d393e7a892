"""Fake of RPi.GPIO 0.7.1 that raises the same errors and records its calls.

`$FAKE_GPIO` makes it another machine or library: "rpi-lgpio" (0.6), "Raspberry Pi 5", "no Pi". It
has only what car/ uses, and tests/test_rpi_gpio.py compares it with the real library. `calls` and
`pulsing` are for tests.

Source: RPi.GPIO 0.7.1, source/py_gpio.c, py_pwm.c, soft_pwm.c; rpi-lgpio 0.6, RPi/GPIO/__init__.py.
"""

import os
import time
import warnings
from dataclasses import dataclass

BOARD, BCM = 10, 11
OUT, IN = 0, 1
LOW, HIGH = 0, 1
PUD_OFF, PUD_DOWN, PUD_UP = 20, 21, 22

_KIND = os.environ.get("FAKE_GPIO", "")
_IS_LGPIO = _KIND == "rpi-lgpio"
_DEFAULT_FREQUENCY_HZ = 1000.0
_PINS = 54

if _IS_LGPIO:
    lgpio = None  # a module that rpi-lgpio imports, and RPi.GPIO does not

if _KIND == "no Pi":
    raise RuntimeError("This module can only be run on a Raspberry Pi!")


@dataclass(frozen=True)
class Call:
    """A call of the library, at a time of the monotonic clock."""

    moment_s: float
    name: str
    pin: int | None
    value: object


@dataclass
class _Pulses:
    """Pulses on a pin, which can outlive their PWM object."""

    frequency_hz: float = _DEFAULT_FREQUENCY_HZ
    duty_percent: float = 0.0
    running: bool = False


calls: list[Call] = []
_mode: int | None = None
_warns = True
_directions: dict[int, int] = {}
_pulses: dict[int, _Pulses] = {}


def pulsing(pin: int) -> tuple[float, float]:
    """Return frequency in Hz and width in microseconds of a pin's pulses; zeros if it has none."""
    pulses = _pulses.get(pin)
    if pulses is None or not pulses.running or pulses.duty_percent == 0:
        return 0.0, 0.0
    return pulses.frequency_hz, pulses.duty_percent * 1e4 / pulses.frequency_hz


def setmode(mode: int, /) -> None:
    global _mode
    if _mode not in (None, mode):
        raise ValueError("A different mode has already been set!")
    if mode not in (BOARD, BCM):
        raise ValueError("An invalid mode was passed to setmode()")
    _mode = mode
    _record("setmode", None, mode)


def getmode() -> int | None:
    return _mode


def setwarnings(enabled: bool, /) -> None:  # noqa: FBT001  the library's signature
    global _warns
    _warns = bool(enabled)


def setup(
    channel: int | list[int] | tuple[int, ...],
    direction: int,
    pull_up_down: int = PUD_OFF,
    initial: int = -1,
) -> None:
    if _KIND == "Raspberry Pi 5":
        raise RuntimeError("Cannot determine SOC peripheral base address")
    if direction not in (IN, OUT):
        raise ValueError("An invalid direction was passed to setup()")
    if direction == OUT and pull_up_down != PUD_OFF:
        raise ValueError("pull_up_down parameter is not valid for outputs")
    if direction == IN and initial != -1:
        raise ValueError("initial parameter is not valid for inputs")
    for pin in _pins(channel):
        _directions[pin] = direction
        _record("setup", pin, initial)


def cleanup(channel: int | list[int] | tuple[int, ...] | None = None) -> None:
    global _mode
    pins = list(_directions) if channel is None else _pins(channel)
    configured = [pin for pin in pins if pin in _directions]
    for pin in configured:
        del _directions[pin]
        _record("cleanup", pin, None)
    if channel is None:
        _mode = None
    if not configured and _warns:
        warnings.warn(
            "No channels have been set up yet - nothing to clean up!  Try cleaning up at the end "
            "of your program instead!",
            RuntimeWarning,
            stacklevel=2,
        )


class _PWM:
    def __init__(self, channel: int, frequency: float, /) -> None:
        if not isinstance(channel, int):
            raise TypeError(f"'{type(channel).__name__}' object cannot be interpreted as integer")
        [self._pin] = _pins(channel)
        if self._pin in _pulses:
            raise RuntimeError("A PWM object already exists for this GPIO channel")
        if _directions.get(self._pin) != OUT:
            raise RuntimeError("You must setup() the GPIO channel as an output first")
        if frequency <= 0:
            raise ValueError("frequency must be greater than 0.0")
        self._frequency_hz = frequency
        _pulses[self._pin] = _Pulses(frequency)
        _record("PWM", self._pin, frequency)

    def start(self, dutycycle: float, /) -> None:
        self._pulses().duty_percent = _validate_duty_cycle(dutycycle)
        self._pulses().running = True
        _record("start", self._pin, dutycycle)

    def ChangeDutyCycle(self, dutycycle: float, /) -> None:  # noqa: N802  the library's name
        self._pulses().duty_percent = _validate_duty_cycle(dutycycle)
        _record("ChangeDutyCycle", self._pin, dutycycle)

    def stop(self) -> None:
        if _IS_LGPIO and self._pin not in _directions:
            raise TypeError("unsupported operand type(s) for &: 'NoneType' and 'int'")
        _pulses.pop(self._pin, None)
        _record("stop", self._pin, None)

    def __del__(self) -> None:
        if hasattr(self, "_pin"):
            self.stop()

    def _pulses(self) -> _Pulses:
        """Return the pin's pulses; RPi.GPIO forgets their frequency when they are stopped."""
        kept_hz = self._frequency_hz if _IS_LGPIO else _DEFAULT_FREQUENCY_HZ
        return _pulses.setdefault(self._pin, _Pulses(kept_hz))


class PWM(_PWM):
    """PWM as the library names it; rpi-lgpio's accepts keywords."""

    if _IS_LGPIO:

        def __init__(self, channel: int, frequency: float) -> None:
            super().__init__(channel, frequency)


def _pins(channel: int | list[int] | tuple[int, ...]) -> list[int]:
    channels = [channel] if isinstance(channel, int) else channel
    if not isinstance(channels, list | tuple):
        raise ValueError("Channel must be an integer or list/tuple of integers")  # noqa: TRY004
    for pin in channels:
        if not isinstance(pin, int):
            raise ValueError("Channel must be an integer")  # noqa: TRY004
        if _mode is None:
            raise RuntimeError(
                "Please set pin numbering mode using GPIO.setmode(GPIO.BOARD) or "
                "GPIO.setmode(GPIO.BCM)"
            )
        if _mode == BOARD:
            raise NotImplementedError("the fake uses Broadcom numbers")
        if not 0 <= pin < _PINS:
            raise ValueError("The channel sent is invalid on a Raspberry Pi")
    return list(channels)


def _validate_duty_cycle(duty_percent: float) -> float:
    if not 0 <= duty_percent <= 100:
        raise ValueError("dutycycle must have a value from 0.0 to 100.0")
    return duty_percent


def _record(name: str, pin: int | None, value: object) -> None:
    calls.append(Call(time.monotonic(), name, pin, value))
