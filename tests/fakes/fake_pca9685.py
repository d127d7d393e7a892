"""A PCA9685 and its I2C bus, which refuse what smbus2 and the chip would refuse.

A chip keeps its pulses when the bus is closed or the process dies: pass the same chip to the next
bus.

Source: NXP, PCA9685 data sheet, revision 4, sections 7.1.3 and 7.3.
"""

import errno
import os
import time

MODE1, MODE2, FIRST_CHANNEL, ALL_CHANNELS, PRESCALE = 0x00, 0x01, 0x06, 0xFA, 0xFE
RESTART, AUTO_INCREMENT, SLEEP, ALL_CALL = 0x80, 0x20, 0x10, 0x01
INVERTED, DRIVEN = 0x10, 0x04
FULL_ON = FULL_OFF = 0x10
CHANNELS, BYTES_PER_CHANNEL = 16, 4
WAKE_S = 500e-6
LONGEST_BLOCK = 32

_OSCILLATOR_HZ = 25e6
_OFF_HIGH = 3  # of a channel's four bytes


class Chip:
    """Registers of the chip, and the pulses that follow from them."""

    def __init__(self) -> None:
        self.writes: list[tuple[float, int, list[int]]] = []
        self.power_cycle()

    def power_cycle(self) -> None:
        """Set every register to its power-on value."""
        self._registers = bytearray(256)
        self._registers[MODE1] = SLEEP | ALL_CALL
        self._registers[MODE2] = DRIVEN
        self._registers[PRESCALE] = 0x1E
        for channel in range(CHANNELS):
            self._registers[self._address(channel) + _OFF_HIGH] = FULL_OFF
        self._woke_s = 0.0

    def read(self, register: int) -> int:
        """Read one byte."""
        return self._registers[register]

    def write(self, register: int, values: list[int]) -> None:
        """Write bytes from a register on; without auto-increment, all to the same register."""
        now_s = time.monotonic()
        self.writes.append((now_s, register, values))
        for value in values:
            self._write(register, value, now_s)
            if self._registers[MODE1] & AUTO_INCREMENT:
                register += 1

    def _write(self, register: int, value: int, now_s: float) -> None:
        asleep = bool(self._registers[MODE1] & SLEEP)
        if register == MODE1:
            self._write_mode(value, now_s, asleep=asleep)
        elif register == PRESCALE:
            assert asleep, "PRESCALE is locked while the oscillator runs"
            assert value >= 3, "the chip uses 3 for less"
            self._registers[PRESCALE] = value
        elif ALL_CHANNELS <= register < ALL_CHANNELS + BYTES_PER_CHANNEL:
            for channel in range(CHANNELS):
                self._write_channel(self._address(channel) + register - ALL_CHANNELS, value)
        elif FIRST_CHANNEL <= register < self._address(CHANNELS):
            self._write_channel(register, value)
        elif register == MODE2:
            self._registers[MODE2] = value
        else:
            raise AssertionError(f"register {register:#x} must not be written")

    def _write_mode(self, value: int, now_s: float, *, asleep: bool) -> None:
        kept = self._registers[MODE1] & RESTART
        sleeps = bool(value & SLEEP)
        if sleeps and not asleep and any(self._runs(channel) for channel in range(CHANNELS)):
            kept = RESTART
        if value & RESTART and kept:  # writing 1 restarts, and makes it 0
            assert not sleeps
            assert now_s - self._woke_s >= WAKE_S, "restarted before the oscillator runs"
            kept = 0
        if asleep and not sleeps:
            self._woke_s = now_s
        self._registers[MODE1] = value & ~RESTART | kept

    def _write_channel(self, register: int, value: int) -> None:
        self._registers[register] = value & 0x1F if (register - FIRST_CHANNEL) & 1 else value
        self._registers[MODE1] &= ~RESTART

    @staticmethod
    def _address(channel: int) -> int:
        return FIRST_CHANNEL + BYTES_PER_CHANNEL * channel

    def _runs(self, channel: int) -> bool:
        return not self._registers[self._address(channel) + _OFF_HIGH] & FULL_OFF

    def frequency_hz(self) -> float:
        """Return the frequency of the pulses."""
        return _OSCILLATOR_HZ / 4096 / (self._registers[PRESCALE] + 1)

    def pulse_us(self, channel: int) -> float:
        """Return the width of the channel's pulses; 0 if there are none."""
        mode = self._registers[MODE1]
        if mode & (SLEEP | RESTART) or not self._runs(channel):
            return 0.0
        assert time.monotonic() - self._woke_s >= WAKE_S, "the oscillator does not run yet"
        first = self._address(channel)
        on = int.from_bytes(self._registers[first : first + 2], "little")
        off = int.from_bytes(self._registers[first + 2 : first + 4], "little")
        assert on >> 8 < FULL_ON, "always high"
        assert on != off, "undefined"
        counts = (off - on) % 4096
        if self._registers[MODE2] & INVERTED:
            counts = 4096 - counts
        return counts / 4096 / self.frequency_hz() * 1e6


class Bus:
    """The part of smbus2.SMBus that car/ uses; the next `failing` transfers fail."""

    def __init__(self, chips: dict[int, Chip]) -> None:
        self._chips = chips
        self.failing = 0
        self.failed = 0
        self.closed = 0

    def read_byte_data(
        self,
        i2c_addr: int,
        register: int,
        force: bool | None = None,  # noqa: FBT001
    ) -> int:
        """Behave as smbus2's."""
        assert not force, "would bypass another driver"
        return self._chip(i2c_addr).read(register)

    def write_i2c_block_data(
        self,
        i2c_addr: int,
        register: int,
        data: list[int],
        force: bool | None = None,  # noqa: FBT001
    ) -> None:
        """Behave as smbus2's."""
        assert not force, "would bypass another driver"
        if len(data) > LONGEST_BLOCK:
            raise ValueError(f"Data length cannot exceed {LONGEST_BLOCK} bytes")
        if not all(isinstance(byte, int) for byte in data):
            raise TypeError("an integer is required")
        self._chip(i2c_addr).write(register, [byte & 0xFF for byte in data])

    def close(self) -> None:
        """Close the bus; may be called any number of times."""
        self.closed += 1

    def _chip(self, address: int) -> Chip:
        if self.closed:
            raise TypeError("argument must be an int, or have a fileno() method")
        if self.failing:
            self.failing -= 1
            self.failed += 1
            raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))
        if address not in self._chips:
            self.failed += 1
            raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))
        return self._chips[address]
