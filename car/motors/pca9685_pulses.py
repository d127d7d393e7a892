"""Pulses from a PCA9685 board, over I2C.

The chip counts to 4096 at 25 MHz divided by a prescaler, and switches each channel off at a count.
Without new commands it repeats the last pulse as long as it has VCC; docs/safety.md lists what
stops it. Its clock is off by some percent, so neutral has to be measured with the car's own board.

Source: NXP, PCA9685 data sheet, revision 4, section 7.3.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from car.hardware_conf import Pca9685MotorsConf
from common.errors import MotorsFailed

MODE1, MODE2, CHANNEL_0, ALL_OFF_HIGH, PRESCALE = 0x00, 0x01, 0x06, 0xFD, 0xFE  # registers
SLEEP, NEXT_REGISTER, RESTART = 0x10, 0x20, 0x80  # bits of MODE1
DRIVEN = 0x04  # bit of MODE2: totem-pole outputs, not inverted, updated on the I2C STOP
FULL_OFF = 0x10  # bit of an OFF_HIGH register

_CLOCK_MHZ = 25.0
_COUNTS = 4096
_BYTES_PER_CHANNEL = 4  # ON low, ON high, OFF low, OFF high
_WAKE_S = 0.001
_ATTEMPTS = 3  # motors make noise on the bus


class Pca9685Pulses:
    """Pulses on the channels of the board, 0 to 15."""

    def __init__(self, conf: Pca9685MotorsConf, bus: Any = None) -> None:
        """Reset the chip with all channels off. `bus` is an open smbus2.SMBus.

        Raises:
            MotorsFailed: the bus cannot be opened, or no chip answers.
        """
        self._conf = conf
        self._bus = bus or _open_bus(conf.bus)
        periods = round(_CLOCK_MHZ * 1e6 / _COUNTS / conf.frequency_hz)
        self._count_us = periods / _CLOCK_MHZ
        self._closed = False
        with ExitStack() as on_failure:
            on_failure.callback(self._bus.close)
            # P2, P10: all channels are off before the chip sleeps, and so before it wakes.
            # Otherwise a channel stays high, or the chip resumes the pulses of a killed process.
            self._write(ALL_OFF_HIGH, [FULL_OFF])
            self._write(MODE1, [SLEEP])
            self._write(PRESCALE, [periods - 1])
            self._write(MODE2, [DRIVEN])
            self._write(MODE1, [NEXT_REGISTER])
            time.sleep(_WAKE_S)
            on_failure.pop_all()

    def send(self, channel: int, width_us: float) -> None:
        """Set the width of the channel's pulses.

        Raises:
            MotorsFailed: the bus is closed, the chip does not answer, or it was reset meanwhile.
        """
        if self._closed:
            raise MotorsFailed(f"I2C bus {self._conf.bus} is closed")
        mode = self._retry(lambda: self._bus.read_byte_data(self._conf.address, MODE1))
        if mode & ~RESTART != NEXT_REGISTER:  # RESTART only reports pulses from before a sleep
            raise MotorsFailed(
                f"the PCA9685 at address {self._conf.address:#x} was reset and its pulses have "
                "ended, probably because its 3.3 V dropped; power the servo separately"
            )
        off = round(width_us / self._count_us)
        self._write(CHANNEL_0 + _BYTES_PER_CHANNEL * channel, [0, 0, off & 0xFF, off >> 8])

    def close(self) -> None:
        """End the pulses and close the bus. May be called twice.

        Raises:
            MotorsFailed: the chip does not answer.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._write(ALL_OFF_HIGH, [FULL_OFF])
        finally:
            self._bus.close()

    def _write(self, register: int, values: Sequence[int]) -> None:
        address = self._conf.address
        self._retry(lambda: self._bus.write_i2c_block_data(address, register, list(values)))

    def _retry(self, action: Callable[[], Any]) -> Any:
        """Run an idempotent action, again if it fails, and return its result.

        Raises:
            MotorsFailed: no attempt succeeded.
        """
        for _ in range(_ATTEMPTS - 1):
            with suppress(OSError):
                return action()
        try:
            return action()
        except OSError as error:
            raise MotorsFailed(
                f"no PCA9685 answers at address {self._conf.address:#x} of I2C bus "
                f"{self._conf.bus}: {error.strerror}; is it wired and powered? "
                f"`i2cdetect -y {self._conf.bus}` shows what is there"
            ) from error


def _open_bus(number: int) -> Any:
    """Open the bus of that number.

    Raises:
        MotorsFailed: smbus2 is missing, or the bus cannot be opened.
    """
    try:
        import smbus2
    except ImportError as error:
        raise MotorsFailed("smbus2 is missing: pip install -r requirements-pi.txt") from error
    try:
        return smbus2.SMBus(number)
    except OSError as error:
        raise MotorsFailed(
            f"I2C bus {number} cannot be opened: {error.strerror}; enable I2C "
            "(sudo raspi-config nonint do_i2c 0) and join the group i2c"
        ) from error
