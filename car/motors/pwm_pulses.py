"""Pulses from the Pi's hardware PWM, by the kernel's files in `/sys/class/pwm`.

The widths are exact, and no program has to be awake for them. So without new commands the hardware
repeats the last pulse, also when every process has been killed; docs/safety.md lists what stops it.

Source: Linux 6.12, Documentation/driver-api/pwm.rst, drivers/pwm/core.c; the functions of the pins
in the data sheets of the BCM2835, section 6.2, and of the RP1, section 3.1.1.
"""

import errno
import fcntl
import os
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from car.hardware_conf import PWM_OVERLAY, PwmMotorsConf
from common.errors import MotorsFailed

SYSFS = Path("/sys/class/pwm")

CHANNELS = {
    "1f00098000.pwm": {18: 2, 13: 1},  # Pi 5
    "fe20c000.pwm": {18: 0, 13: 1},  # Pi 4
    "3f20c000.pwm": {18: 0, 13: 1},  # Pi 3
}
"""The channel behind each of `hardware_conf.PWM_PINS`, by the device that drives it.

A device is called by its address, which stays the same; the number of its pwmchip does not.
"""

_NS_PER_S, _NS_PER_US = 1_000_000_000, 1000
_UDEV_TIMEOUT_S = 3.0  # until udev has given a new channel's files to the group gpio
_OTHERS_TIMEOUT_S = 2.0  # for which a guard that is told to end may still send neutral
_POLL_S = 0.02
_LAST_PULSE_PERIODS = 2


class PwmPulses:
    """Pulses on pins by GPIO (BCM) number."""

    def __init__(self, conf: PwmMotorsConf, sysfs: Path = SYSFS) -> None:
        """Claim the pins, without pulses yet.

        Raises:
            MotorsFailed: the kernel drives no such pin, or it cannot be used; all are released.
        """
        self._period_ns = round(_NS_PER_S / conf.frequency_hz)
        self._channels: dict[int, _Channel] = {}
        chip, numbers = _find_chip(sysfs)
        self._lock = os.open(chip, os.O_RDONLY | os.O_CLOEXEC)
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            self._wait_for_others()
            for pin in conf.pwm_pins:
                self._channels[pin] = _Channel(chip, numbers[pin], self._period_ns)
            on_failure.pop_all()

    def send(self, channel: int, width_us: float) -> None:
        """Set the width of the pin's pulses.

        Raises:
            MotorsFailed: the pins are closed or cannot be used.
        """
        if channel not in self._channels:
            raise MotorsFailed(f"GPIO {channel} is closed")
        self._channels[channel].send(round(width_us * _NS_PER_US))

    def close(self) -> None:
        """End the pulses and release the pins. May be called twice.

        Raises:
            MotorsFailed: the pins cannot be used.
        """
        if self._lock < 0:
            return
        channels, self._channels = self._channels, {}
        lock, self._lock = self._lock, -1
        with ExitStack() as steps:  # run in reverse order, even after a failure
            steps.callback(os.close, lock)
            for channel in channels.values():
                steps.callback(channel.release)
            # A pulse that is cut short is another command to the ESC; a width of 0 holds from the
            # next period on.
            steps.callback(time.sleep, _LAST_PULSE_PERIODS * self._period_ns / _NS_PER_S)
            for channel in channels.values():
                steps.callback(channel.mute)

    def _wait_for_others(self) -> None:
        """Wait until no other process has the chip; it would take the channels away at its end.

        One that is stuck in the kernel, and cannot be killed, does not keep the wheels from
        neutral.
        """
        deadline_s = time.monotonic() + _OTHERS_TIMEOUT_S
        while time.monotonic() < deadline_s:
            with suppress(BlockingIOError):
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(_POLL_S)


class _Channel:
    """One channel of a chip, in whose folder the kernel's files are; times are in nanoseconds."""

    def __init__(self, chip: Path, number: int, period_ns: int) -> None:
        self._chip = chip
        self._number = number
        self._folder = chip / f"pwm{number}"
        self._is_enabled = False
        self._claim()
        # P2, P10: a killed process leaves its pulses on; they end before there are others. The
        # kernel refuses a width above the period, and every change while there is no period.
        if self._read("period") != "0":
            self._write("duty_cycle", 0)
            self._write("enable", 0)
        self._write("period", period_ns)
        if self._read("polarity") != "normal":
            self._write("polarity", "normal")

    def send(self, width_ns: int) -> None:
        """Set the width of the pulses; the first one starts them."""
        self._write("duty_cycle", width_ns)
        if not self._is_enabled:  # P2: never before the first width
            self._write("enable", 1)
            self._is_enabled = True

    def mute(self) -> None:
        """End the pulses with the period under way."""
        if self._is_enabled:
            self._write("duty_cycle", 0)

    def release(self) -> None:
        """Turn the channel off and give it back."""
        self._write("enable", 0)
        _write(self._chip / "unexport", self._number)

    def _claim(self) -> None:
        """Make the kernel show the channel, and wait until its files may be written."""
        if not self._folder.exists():  # P10: a killed process leaves it there
            _write(self._chip / "export", self._number)
        deadline_s = time.monotonic() + _UDEV_TIMEOUT_S
        while not os.access(self._folder / "enable", os.W_OK) and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)

    def _read(self, name: str) -> str:
        file = self._folder / name
        try:
            return file.read_text().strip()
        except OSError as error:
            raise _failure(file, error) from error

    def _write(self, name: str, value: int | str) -> None:
        _write(self._folder / name, value)


def _find_chip(sysfs: Path) -> tuple[Path, dict[int, int]]:
    """Return the folder of the Pi's PWM chip, and its channel by GPIO number.

    Raises:
        MotorsFailed: there is none.
    """
    for chip in sorted(sysfs.glob("pwmchip*")):
        device = (chip / "device").resolve().name
        if device in CHANNELS:
            return chip, CHANNELS[device]
    raise MotorsFailed(
        f"the kernel shows no hardware PWM of a Pi 3, 4 or 5 in {sysfs}: add the line "
        f"{PWM_OVERLAY} to /boot/firmware/config.txt and reboot"
    )


def _write(file: Path, value: int | str) -> None:
    """Write a value to one of the kernel's files, in one piece.

    Raises:
        MotorsFailed: the kernel refuses it.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY)
        try:
            os.write(descriptor, f"{value}\n".encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _failure(file, error) from error


def _failure(file: Path, error: OSError) -> MotorsFailed:
    remedies = {
        errno.EACCES: "; the user must be in the group gpio: sudo adduser $USER gpio, and log in "
        "again",
        errno.EBUSY: "; another driver of the kernel uses this channel: is the analogue audio off "
        "(dtparam=audio=off in /boot/firmware/config.txt)?",
        errno.ENODEV: f"; is the line {PWM_OVERLAY} in /boot/firmware/config.txt?",
    }
    remedy = remedies.get(error.errno or 0, "")
    return MotorsFailed(f"the hardware PWM refuses {file}: {error.strerror}{remedy}")
