"""The hardware PWM of a Pi, as files in its `/sys/class/pwm`, and what was written into them.

`sysfs_pwm.c` plays the kernel in processes with the variables of `environment(pi)`.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.pi import libraries
from tests.pi.namespace import Pi
from tests.pi.pulses import Pulse, Pulses, repeat_pulses

PI_5, PI_4 = "1f00098000.pwm", "fe20c000.pwm"
FAN = "1f0009c000.pwm"  # of a Pi 5: another chip, which drives its cooling fan


@dataclass(frozen=True, slots=True)
class Write:
    """A value that the kernel took; times of the monotonic clock."""

    moment_s: float
    channel: str
    name: str
    value: str


@dataclass(frozen=True)
class Chip:
    """One pwmchip of a Pi."""

    pi: Pi
    number: int

    @property
    def folder(self) -> Path:
        """Its folder, as the test sees it."""
        return self.pi.sys_pwm / f"pwmchip{self.number}"

    def value(self, channel: int, name: str) -> str:
        """Return the content of one of a channel's files; "" if it is not there."""
        file = self.folder / f"pwm{channel}" / name
        return file.read_text().strip() if file.exists() else ""

    def writes(self) -> list[Write]:
        """Return what the kernel took so far."""
        lines = _log(self.pi).read_text().splitlines()
        return [
            Write(int(moment_ns) / 1e9, channel, name, value)
            for moment_ns, channel, name, value in map(str.split, lines)
        ]

    def pulses(self, channel: int, until_s: float) -> list[Pulse]:
        """Return the pulses of a channel: one a period while it is on, of the width set then."""
        widths_us = []
        period_s, width_us, is_on = 0.0, 0.0, False
        for write in self.writes():
            if write.channel != f"pwm{channel}":
                continue
            match write.name:
                case "period":
                    period_s = int(write.value) / 1e9
                case "duty_cycle":
                    width_us = int(write.value) / 1e3
                case "enable":
                    is_on = write.value == "1"
            widths_us.append((write.moment_s, width_us if is_on else 0.0))
        return repeat_pulses(widths_us, period_s, until_s)


class PwmPulses(Pulses):
    """Recorder of the pulses of a chip, by pin; they need no library that is seen at work."""

    def __init__(self, chip: Chip, channels: Mapping[int, int]) -> None:
        self._chip, self._channels = chip, channels

    def __enter__(self) -> "PwmPulses":
        return self

    def close(self) -> None:
        """Nothing is open."""

    def all(self, pin: int) -> list[Pulse]:
        """Return all pulses of the pin so far."""
        return self._chip.pulses(self._channels[pin], time.monotonic())


def add_chip(pi: Pi, device: str, *, number: int = 0, channels: int = 2) -> Chip:
    """Add a chip that a device drives."""
    chip = Chip(pi, number)
    chip.folder.mkdir()
    (chip.folder / "npwm").write_text(f"{channels}\n")
    for name in ("export", "unexport"):
        (chip.folder / name).touch()
    (chip.folder / "device").symlink_to(f"../../../{device}")
    _log(pi).touch()
    return chip


def environment(pi: Pi) -> dict[str, str]:
    """Return the variables with which a process in the Pi finds the kernel's files at work."""
    return {"LD_PRELOAD": str(libraries.sysfs_pwm()), "PWM_LOG": str(_log(pi))}


def _log(pi: Pi) -> Path:
    return pi.folder / "pwm_log"
