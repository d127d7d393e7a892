"""What can be told of a Raspberry Pi before it drives: its clock and its supply.

Sources: raspberrypi.com/documentation/computers/os.html, "vcgencmd get_throttled";
systemd's timedatectl(1), property NTPSynchronized.
"""

import re
import shutil
import subprocess

from common.errors import NotReady
from common.preflight import CheckResult, CheckUnknown

_ANSWERS_WITHIN_S = 3.0

# Bits of `get_throttled`, and what they mean now; 16 higher, they tell the same since the start.
_UNDER_VOLTAGE, _THROTTLED = 0x1, 0x4
_SINCE_START = 16


def synchronised() -> bool | None:
    """Return whether the network has set the wall clock; None where that cannot be told."""
    answer = _asked("timedatectl", "show", "--property=NTPSynchronized", "--value")
    return {"yes": True, "no": False}.get(answer)


def clock() -> CheckResult:
    """Whether the wall clock is right, so that pictures get the time at which they were taken.

    Raises: Unknown.
    """
    match synchronised():
        case True:
            return CheckResult("set by the network")
        case False:
            return CheckResult(
                "not set by the network yet",
                "pictures may get a wrong time; wait for the network, or: sudo timedatectl "
                "set-ntp true",
            )
    raise CheckUnknown("no NTP status on this machine")


def supply() -> CheckResult:
    """Whether the Pi has enough power. Raises: NotReady while it has too little, Unknown."""
    answer = _asked("vcgencmd", "get_throttled")
    told = re.fullmatch(r"throttled=(0x[0-9a-fA-F]+)", answer)
    if not told:
        raise CheckUnknown("no vcgencmd that answers on this machine")
    flags = int(told[1], 16)
    if flags & _UNDER_VOLTAGE:
        raise NotReady(
            "under-voltage: the Pi may stop at any moment; charge the battery, or use a supply "
            "of 5 V and at least 3 A"
        )
    if flags & _THROTTLED:
        return CheckResult(
            "the Pi is too hot and slows down", "let it cool; a rate may not be held"
        )
    if flags >> _SINCE_START & (_UNDER_VOLTAGE | _THROTTLED):
        return CheckResult(
            "enough now, but not always since the start",
            "watch it: motors that pull hard can lower the voltage",
        )
    return CheckResult("enough")


def _asked(program: str, *arguments: str) -> str:
    """What a program of the system answers; "" when it is not there or has no answer."""
    if not shutil.which(program):
        return ""
    try:
        done = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_ANSWERS_WITHIN_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
