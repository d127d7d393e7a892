"""A namespace that looks like a Raspberry Pi to the libraries of one.

/proc/cpuinfo names a Pi 4, /dev/gpiomem is a readable file of 4096 bytes, and /dev/input and
/sys/class/input contain what a test puts there: FIFOs for pads. RPi.GPIO 0.7.1 and inputs 0.5 run
in it unchanged. So do rpi-lgpio 0.6 and lgpio 0.2.2 where the pins are those of /dev/gpiochip0, a
file of a byte for each pin, which `gpiochip.c` makes a chip of.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import path
from tests.pi.libraries import BY_GPIOCHIP, BY_REGISTERS, GpioLibrary

GPIOMEM_BYTES = 4096
GPIOCHIP_BYTES = 54

_CPUINFO = "Hardware\t: BCM2711\nRevision\t: c03114\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n"
_KEPT_DEVICES = ("null", "zero", "urandom", "shm", "pts", "ptmx", "tty")
_ENTER = """
set -e
pi=$1
shift
mount --bind "$pi/cpuinfo" /proc/cpuinfo
mount -t tmpfs tmpfs /sys/class
mkdir /sys/class/input /sys/class/pwm
mount --bind "$pi/sys_input" /sys/class/input
mount --bind "$pi/sys_pwm" /sys/class/pwm
mkdir -p "$pi/dev"  # not made in place: the Pi's own folder may be in /dev/shm
mount -t tmpfs tmpfs "$pi/dev"
for name in {kept}; do
    [ -e /dev/$name ] || continue
    if [ -d /dev/$name ]; then mkdir "$pi/dev/$name"; else : >"$pi/dev/$name"; fi
    mount --rbind /dev/$name "$pi/dev/$name"
done
for name in gpiomem gpiochip0; do
    [ ! -e "$pi/$name" ] || {{ : >"$pi/dev/$name"; mount --bind "$pi/$name" "$pi/dev/$name"; }}
done
mkdir "$pi/dev/input"
mount --bind "$pi/input" "$pi/dev/input"
mount --move "$pi/dev" /dev
[ ! -e "$pi/hardware_conf.json" ] || mount --bind "$pi/hardware_conf.json" "{conf}"
exec "$@"
"""


@dataclass(frozen=True)
class Pi:
    """Devices of a Pi, as files in `folder`, and the library for its pins."""

    folder: Path
    library: GpioLibrary = BY_REGISTERS

    @property
    def gpiomem(self) -> Path:
        """Registers of the pins, for RPi.GPIO."""
        return self.folder / "gpiomem"

    @property
    def gpiochip(self) -> Path:
        """State of the pins, for rpi-lgpio."""
        return self.folder / "gpiochip0"

    @property
    def input(self) -> Path:
        """Folder that is mounted at /dev/input."""
        return self.folder / "input"

    @property
    def conf(self) -> Path:
        """File that is mounted over the checkout's hardware_conf.json, if it exists."""
        return self.folder / "hardware_conf.json"

    @property
    def sys_input(self) -> Path:
        """Folder that is mounted at /sys/class/input."""
        return self.folder / "sys_input"

    @property
    def sys_pwm(self) -> Path:
        """Folder that is mounted at /sys/class/pwm."""
        return self.folder / "sys_pwm"

    def command(self, *command: object, as_root: bool = False) -> list[str]:
        """Return the command line that runs a command in the Pi.

        Signals sent to its process reach the command itself. Privileges of root, such as real-time
        priority, need `as_root`.
        """
        script = _ENTER.format(kept=" ".join(_KEPT_DEVICES), conf=path.HARDWARE_CONF)
        kind = "-m" if as_root else "-Urm"
        enter = [*("unshare", kind), *("sh", "-c", script, "sh"), str(self.folder)]
        return [*enter, *map(str, command)]


def create_pi(folder: Path, library: GpioLibrary = BY_REGISTERS) -> Pi:
    """Create a Pi without a pad and with all pins low, as that library drives them."""
    pi = Pi(folder, library)
    pi.input.mkdir(parents=True)
    pi.sys_input.mkdir()
    pi.sys_pwm.mkdir()
    (folder / "cpuinfo").write_text(_CPUINFO)
    if library is BY_GPIOCHIP:
        pi.gpiochip.write_bytes(bytes(GPIOCHIP_BYTES))
    else:
        pi.gpiomem.write_bytes(bytes(GPIOMEM_BYTES))
    return pi


CONTAINER = ["unshare", "-Ur", "--pid", "--fork"]
"""Prefix of a command that shall not see the processes outside."""


@cache
def missing_support() -> str:
    """Return why namespaces cannot be used here; "" if they can."""
    if not shutil.which("unshare"):
        return "unshare is missing; install the package util-linux"
    tried = subprocess.run(["unshare", "-Urm", "true"], capture_output=True, text=True, check=False)
    return f"user namespaces are off: {tried.stderr.strip()}" if tried.returncode else ""


def is_required() -> bool:
    """Return whether missing support fails a test instead of skipping it."""
    return bool(os.environ.get("CI"))
