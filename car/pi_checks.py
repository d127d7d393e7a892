"""Checks of a Raspberry Pi before a drive: its system, kernel, clock, supply, watchdog and PWM.

Source: raspberrypi.com/documentation/computers/os.html, "vcgencmd get_throttled", and config_txt,
"kernel_watchdog_timeout"; systemd's timedatectl(1), property NTPSynchronized, and
systemd-system.conf(5), RuntimeWatchdogSec; raspberrypi/utils, pinctrl; raspberrypi/linux,
overlays/README, pwm-2chan; dkms(8).
"""

import functools
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from os import uname
from pathlib import Path

from car.hardware_conf import PWM_OVERLAY
from common.errors import NotReady
from common.preflight import Check, CheckResult, CheckUnknown

_ROOT = Path("/")
_TIMEOUT_S = 3.0
_CONFIG = "/boot/firmware/config.txt"
_CONFIG_END = f"at the end of {_CONFIG}, below [all]"
_MAX_WATCHDOG_S = 15.0  # longer than the hardware can wait by itself
_WATCHDOG_REMEDY = (
    "RuntimeWatchdogSec=10 in /etc/systemd/system.conf.d/patate.conf, below [Manager], then reboot"
)
_S_PER_UNIT = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}

# Bits of `get_throttled` for the current state; shifted by 16, for any time since the boot.
_UNDER_VOLTAGE, _THROTTLED = 0x1, 0x4
_SINCE_BOOT = 16


def is_clock_synchronized() -> bool | None:
    """Return whether the network has set the wall clock; None where that is unknown."""
    answer = _query("timedatectl", "show", "--property=NTPSynchronized", "--value")
    return {"yes": True, "no": False}.get(answer)


def check_clock() -> CheckResult:
    """Check that the wall clock is right, because pictures are named by their time of capture.

    Raises:
        CheckUnknown: the machine does not report it.
    """
    match is_clock_synchronized():
        case True:
            return CheckResult("set by the network")
        case False:
            return CheckResult(
                "not set by the network yet",
                "pictures may get a wrong time: wait for the network, or: sudo timedatectl "
                "set-ntp true",
            )
    raise CheckUnknown("no NTP status on this machine")


def check_supply() -> CheckResult:
    """Check that the Pi has enough power.

    Raises:
        NotReady: the voltage is too low now.
        CheckUnknown: the machine does not report it.
    """
    answer = re.fullmatch(r"throttled=(0x[0-9a-fA-F]+)", _query("vcgencmd", "get_throttled"))
    if not answer:
        raise CheckUnknown("no answer from vcgencmd on this machine")
    flags = int(answer[1], 16)
    if flags & _UNDER_VOLTAGE:
        raise NotReady(
            "under-voltage: the Pi may stop at any moment; charge the battery, or use a supply "
            "of 5 V and at least 3 A"
        )
    if flags & _THROTTLED:
        return CheckResult(
            "the Pi is too hot and slows down", "let it cool: it may not keep up with the rate"
        )
    if flags >> _SINCE_BOOT & (_UNDER_VOLTAGE | _THROTTLED):
        return CheckResult(
            "enough now, but not always since the boot",
            "watch it: motors under load can lower the voltage",
        )
    return CheckResult("enough")


def check_system() -> CheckResult:
    """Check which Pi this is, and whether its system has the packages that driving needs.

    Raises:
        CheckUnknown: this is no Raspberry Pi.
    """
    model = _pi_model()
    release = re.search(r'(?m)^PRETTY_NAME="?([^"\n]*)', _read("etc/os-release"))
    message = f"{model}, {release[1] if release else 'unknown system'}"
    if sys.maxsize < 2**32:
        return CheckResult(
            f"{message}, 32 bit",
            "no packages of msgspec, numpy and OpenCV exist for 32 bit: write the card anew with "
            "Raspberry Pi OS (64-bit)",
        )
    if not (_ROOT / "etc/rpi-issue").exists():
        return CheckResult(
            message,
            "the packages of camera and pins, python3-picamera2 and python3-rpi-lgpio, exist for "
            "Raspberry Pi OS only: write the card anew with it",
        )
    if re.search("(?mi)^include-system-site-packages *= *false", _read_environment()):
        return CheckResult(
            message,
            "this .venv does not see the system's packages, such as the camera's: rm -r .venv, "
            "then python3 -m venv --system-site-packages .venv",
        )
    return CheckResult(message)


def check_kernel() -> CheckResult:
    """Check that the newest kernel runs, and that xone, if it is installed, was built for it.

    Raises:
        CheckUnknown: this is no Raspberry Pi.
    """
    _pi_model()
    running = uname().release
    modules = _ROOT / "lib/modules"
    if not (modules / running).is_dir():
        return CheckResult(running, "its modules were replaced by an upgrade: sudo reboot")
    flavour = running.rpartition("-")[2]
    newest = max(
        (folder.name for folder in modules.iterdir() if folder.name.endswith(f"-{flavour}")),
        key=_version,
        default=running,
    )
    if _version(newest) > _version(running):
        return CheckResult(running, f"an upgrade has installed {newest}: sudo reboot")
    is_built = any((modules / running).glob("updates/dkms/xone*.ko*"))
    if any((_ROOT / "var/lib/dkms").glob("xone*")) and not is_built:
        return CheckResult(
            running,
            "the driver xone is not built for this kernel: sudo apt install "
            f"linux-headers-rpi-{flavour}, then sudo dkms autoinstall and sudo reboot",
        )
    return CheckResult(running)


def check_watchdog() -> CheckResult:
    """Check that a Pi that hangs is reset, for motors that would keep their last pulse.

    Raises:
        CheckUnknown: the machine does not report it.
    """
    answer = _query("systemctl", "show", "--property=RuntimeWatchdogUSec", "--value")
    if answer in ("0", "infinity"):
        return CheckResult(
            "none", f"a Pi that hangs would repeat the last pulse for ever: {_WATCHDOG_REMEDY}"
        )
    parts = re.findall(r"(\d+)(us|ms|s|min|h)\b", answer)
    if not parts:
        raise CheckUnknown("no answer from systemctl on this machine")
    timeout_s = sum(int(number) * _S_PER_UNIT[unit] for number, unit in parts)
    message = f"resets a Pi whose programs hang for {timeout_s:g} s"
    if timeout_s > _MAX_WATCHDOG_S:
        return CheckResult(message, f"that long, the last pulse is repeated: {_WATCHDOG_REMEDY}")
    return CheckResult(message)


def check_audio() -> CheckResult:
    """Check that no sound of a Pi 3 or 4 disturbs the hardware PWM, whose clock it uses.

    Raises:
        NotReady: analogue audio is on.
    """
    # The sound cards of HDMI have no part in the PWM.
    if re.search(r"(?m)^.*bcm2835.*Headphones", _read("proc/asound/cards")):
        raise NotReady(
            "analogue audio is on and uses the clock of the hardware PWM: change dtparam=audio=on "
            f"to dtparam=audio=off in {_CONFIG} and reboot"
        )
    return CheckResult("no analogue audio beside the hardware PWM")


def pwm_pins_check(pins: Sequence[int]) -> Check:
    """Return a check that the hardware PWM is connected to the pins."""
    return functools.partial(_check_pwm_pins, pins)


def _check_pwm_pins(pins: Sequence[int]) -> CheckResult:
    """Check that pulses of the hardware PWM reach the pins, whatever the kernel's files say.

    Raises:
        NotReady: a pin has another function.
        CheckUnknown: the machine does not report it.
    """
    answer = _query("pinctrl", "get", ",".join(map(str, pins)))
    functions = dict(re.findall(r"GPIO(\d+) = (\w+)", answer))
    if not functions:
        raise CheckUnknown("no answer from pinctrl on this machine")
    for pin in pins:
        function = functions.get(str(pin), "unknown")
        if not function.startswith("PWM"):
            raise NotReady(
                f"GPIO {pin} is connected to {function}, not to the hardware PWM: add the line "
                f"{PWM_OVERLAY} {_CONFIG_END}, and reboot"
            )
    return CheckResult(", ".join(f"GPIO {pin} is {functions[str(pin)]}" for pin in pins))


def _pi_model() -> str:
    """Return the model of this Raspberry Pi.

    Raises:
        CheckUnknown: this is none.
    """
    model = _read("proc/device-tree/model").rstrip("\0\n")
    if "Raspberry Pi" not in model:
        raise CheckUnknown("not a Raspberry Pi; --simulate drives a simulated car")
    return model


def _read(file: str) -> str:
    """Return the text of a file of the system; "" when it cannot be read."""
    try:
        return (_ROOT / file).read_text(errors="replace")
    except OSError:
        return ""


def _read_environment() -> str:
    """Return the settings of the virtual environment that runs this; "" outside of one."""
    try:
        return Path(sys.prefix, "pyvenv.cfg").read_text(errors="replace")
    except OSError:
        return ""


def _version(release: str) -> list[int]:
    """Return the numbers of a kernel release, in order of significance."""
    return [int(number) for number in re.findall(r"\d+", release.partition("-")[0])]


def _query(program: str, *arguments: str) -> str:
    """Return the output of a system program; "" when it is missing or fails."""
    if not shutil.which(program):
        return ""
    try:
        completed = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return completed.stdout.strip() if completed.returncode == 0 else ""
