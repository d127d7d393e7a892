"""The commands of docs/raspberry_pi.md, and which of them a Debian without a Pi cannot run.

Commands are the lines of its `sh` blocks, and inline code that begins with `sudo` or with the
Python of `.venv`. Each is run as it stands there, in this order. Nothing is left out silently: a
command that cannot run is skipped by name, with a reason, and a name that the page no longer has is
an error.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import path

PAGE = path.ROOT / "docs" / "raspberry_pi.md"

PACKAGES = {
    "python3-picamera2": ("python3-numpy",),
    "python3-rpi-lgpio": (),
    "python3-rpi.gpio": (),
    "linux-headers-rpi-$(uname": (),
}
"""Packages that only Raspberry Pi OS has, and what is installed instead.

Of what the camera's package depends on, numpy is what we use.
"""

SKIPPED = {
    "sudo reboot": "nothing has booted here",
    "sudo poweroff": "nothing has booted here",
    "sudo usermod": "the groups gpio and i2c are of Raspberry Pi OS",
    "sudo raspi-config": "only Raspberry Pi OS has it",
    "sudo pinctrl": "only Raspberry Pi OS has it",
    "sudo dmesg": "the kernel is not a Pi's",
    "git clone https://github.com/dlundqvist/xone": "a driver for the kernel of a Pi",
    "(cd ~/xone": "a driver for the kernel of a Pi",
    "sudo nano": "needs a person",
    "sudo nmcli": "needs NetworkManager and a network",
    "sudo systemctl": "systemd does not run here",
    "systemctl": "systemd does not run here",
    "journalctl": "systemd does not run here",
}
"""Beginnings of commands, and why they are not run."""

FAILING = {
    ".venv/bin/python get_data/run_manual.py --check-pad": "no pad is connected",
    ".venv/bin/python get_data/run_manual.py -o drives/first": "not ready to drive",
}
"""Beginnings of commands that a machine without a car ends with exit code 1 and these words."""

_SIMULATED = ("dkms", "i2c-tools", "v4l-utils")
"""Packages that nothing uses here: it is enough that there are packages of that name."""

_BLOCKS = re.compile(
    r"^```sh\n(.*?)^```$|`((?:sudo|\.venv/bin/\w+) [^`\n]+)`", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the page.

    `text` is what to run: the documented one, but for the packages that only Raspberry Pi OS has,
    which are `left_out`. `reason`: why it is not run, or "". `failure`: what it says when it fails,
    as it must here, or "".
    """

    documented: str
    text: str
    left_out: tuple[str, ...] = ()
    reason: str = ""
    failure: str = ""


def commands(page: str) -> Iterator[Command]:
    """Yield the commands in the order of the page, each once."""
    seen = set()
    for block, inline in _BLOCKS.findall(page):
        for line in (block or inline).splitlines():
            documented = line.partition(" #")[0].rstrip()
            if documented and documented not in seen:
                seen.add(documented)
                yield _classify(documented)


def unused_names(page: str) -> list[str]:
    """Return the names by which nothing of the page is skipped, replaced or expected to fail."""
    texts = [command.documented for command in commands(page)]
    beginnings = [*SKIPPED, *FAILING]
    unused = [name for name in beginnings if not any(text.startswith(name) for text in texts)]
    return unused + [name for name in PACKAGES if not any(name in text.split() for text in texts)]


def _classify(documented: str) -> Command:
    reason = _find(SKIPPED, documented)
    if reason:
        return Command(documented, "", reason=reason)
    if not documented.startswith("sudo apt install "):
        return Command(documented, documented, failure=_find(FAILING, documented))
    left_out = tuple(word for word in documented.split() if word in PACKAGES)
    kept = []
    for word in _words(documented):
        kept += PACKAGES.get(word.split()[0], (word,))
    if all(word.startswith("-") for word in kept[3:]):
        return Command(documented, "", left_out, reason="only Raspberry Pi OS has this package")
    if set(_SIMULATED) & set(kept):
        kept.append("--simulate")
    return Command(documented, " ".join(kept), left_out)


def _words(command: str) -> list[str]:
    """Return the words of a command; a `$(...)` and what it is part of is one word."""
    return re.findall(r"(?:[^\s$]|\$\([^)]*\)|\$)+", command)


def _find(names: dict[str, str], command: str) -> str:
    """Return the value of the name with which the command begins; "" without one."""
    return next((value for name, value in names.items() if command.startswith(name)), "")


def shell(command: str) -> list[str]:
    """Return the program and arguments that run a command as a login shell on a Pi does."""
    return ["bash", "-c", f"set -o pipefail; {command}"]


def describe(command: Command) -> str:
    """Return a command in one line, with the packages that are left out, or why it is skipped."""
    if command.reason:
        return f"skipped ({command.reason}): {command.documented}"
    if command.left_out:
        left_out = ", ".join(word.partition("$")[0] for word in command.left_out)
        return f"{command.text}   (left out, only on Raspberry Pi OS: {left_out})"
    return command.text
