"""Devices of the kernel itself, in the virtual Pi (`tests/environments/virtual_pi`)."""

import os
from collections.abc import Callable
from pathlib import Path

import path

IS_VIRTUAL_PI = "VIRTUAL_PI" in os.environ
"""Whether these tests run in the virtual Pi, whose first process sets the variable."""

_WITH_CONF = 'mount --bind "$1" "$2"; shift 2; exec "$@"'


def command(conf: Path) -> Callable[..., list[str]]:
    """Return the function that wraps a command, so that it sees this hardware_conf.json.

    Signals sent to its process reach the command itself.
    """
    enter = ["unshare", "-m", "sh", "-ec", _WITH_CONF, "sh", str(conf), str(path.HARDWARE_CONF)]
    return lambda *words: [*enter, *map(str, words)]


def environment() -> dict[str, str]:
    """Return the variables of a process that uses the devices."""
    python_path = (os.environ["VIRTUAL_PI"], str(path.ROOT))  # before the fakes of the camera's
    return {**os.environ, "PYTHONPATH": os.pathsep.join(python_path)}
