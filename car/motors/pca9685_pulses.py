"""Pulses from a PCA9685 board, over I2C.

Source: NXP, PCA9685 data sheet, revision 4, section 7.3. The chip counts to 4096 at 25 MHz divided
by a prescaler, and switches each channel off at a count. It goes on with the last pulse when nobody
tells it another one, as long as it has VCC: docs/safety.md says what ends that. Its clock is some
percent off, so what is neutral has to be found with the board that is on the car.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from car.hardware_conf import Pca9685Motors
from common.errors import MotorsFailed

MODE1, MODE2, CHANNEL_0, ALL_OFF_HIGH, PRESCALE = 0x00, 0x01, 0x06, 0xFD, 0xFE  # registers
SLEEP, NEXT_REGISTER, RESTART = 0x10, 0x20, 0x80  # bits of MODE1
DRIVEN = 0x04  # bit of MODE2: outputs drive both ways, are not inverted, and change at a stop
FULL_OFF = 0x10  # bit of an OFF_HIGH register

_CLOCK_MHZ = 25.0
_COUNTS = 4096
_BYTES_A_CHANNEL = 4  # ON low, ON high, OFF low, OFF high
_WAKES_WITHIN_S = 0.001
_TRIES = 3  # motors make noise on the bus


class Pca9685Pulses:
    """Pulses on the channels of the board, 0 to 15."""

    def __init__(self, conf: Pca9685Motors, bus: Any = None) -> None:
        """All channels are off. `bus` is an open smbus2.SMBus. Raises: MotorsFailed."""
        self._conf = conf
        self._bus = bus or _opened(conf.bus)
        periods = round(_CLOCK_MHZ * 1e6 / _COUNTS / conf.frequency_hz)
        self._count_us = periods / _CLOCK_MHZ
        self._closed = False
        with ExitStack() as failed:
            failed.callback(self._bus.close)
            # Off before it sleeps, and so before it wakes: else a channel stays high, or it goes
            # on with the pulses of a process that was killed.
            self._write(ALL_OFF_HIGH, [FULL_OFF])
            self._write(MODE1, [SLEEP])
            self._write(PRESCALE, [periods - 1])
            self._write(MODE2, [DRIVEN])
            self._write(MODE1, [NEXT_REGISTER])
            time.sleep(_WAKES_WITHIN_S)
            failed.pop_all()

    def send(self, channel: int, width_us: float) -> None:
        """The channel's pulses are this wide.

        Raises: MotorsFailed, also when the chip has lost what it was told.
        """
        if self._closed:
            raise MotorsFailed(f"I2C bus {self._conf.bus} is closed")
        mode = self._tried(lambda: self._bus.read_byte_data(self._conf.address, MODE1))
        if mode & ~RESTART != NEXT_REGISTER:  # which only tells what was before
            raise MotorsFailed(
                f"the PCA9685 at address {self._conf.address:#x} was reset, and its pulses have "
                "ended: did its 3.3 V break down? Give the servo a supply of its own"
            )
        off = round(width_us / self._count_us)
        self._write(CHANNEL_0 + _BYTES_A_CHANNEL * channel, [0, 0, off & 0xFF, off >> 8])

    def close(self) -> None:
        """There are no more pulses, and the bus is free. May be called twice.

        Raises: MotorsFailed.
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
        self._tried(lambda: self._bus.write_i2c_block_data(address, register, list(values)))

    def _tried(self, action: Callable[[], Any]) -> Any:
        """What the action returns, which may be told again. Raises: MotorsFailed."""
        for _ in range(_TRIES - 1):
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


def _opened(number: int) -> Any:
    """The bus of that number. Raises: MotorsFailed."""
    try:
        import smbus2
    except ImportError as error:
        raise MotorsFailed("smbus2 is missing: pip install -r requirements-pi.txt") from error
    try:
        return smbus2.SMBus(number)
    except OSError as error:
        raise MotorsFailed(
            f"I2C bus {number} cannot be opened: {error.strerror}; switch I2C on "
            "(sudo raspi-config nonint do_i2c 0), and be in the group i2c"
        ) from error
