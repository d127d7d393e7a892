"""Checks of a Raspberry Pi before a drive: its clock, its power supply, and its PWM pins.

Source: raspberrypi.com/documentation/computers/os.html, "vcgencmd get_throttled";
systemd's timedatectl(1), property NTPSynchronized; raspberrypi/utils, pinctrl.
"""

import functools
import re
import shutil
import subprocess
from collections.abc import Sequence

from car.hardware_conf import PWM_OVERLAY
from common.errors import NotReady
from common.preflight import Check, CheckResult, CheckUnknown

_TIMEOUT_S = 3.0

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
                f"{PWM_OVERLAY} to /boot/firmware/config.txt and reboot"
            )
    return CheckResult(", ".join(f"GPIO {pin} is {functions[str(pin)]}" for pin in pins))


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
