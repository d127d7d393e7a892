"""Builds, once, what runs in the namespace, and keeps it outside the checkout."""

import hashlib
import sys
from pathlib import Path

from tests import fetching

RPI_GPIO = "0.7.1"

_EDGES = Path(__file__).with_name("edges.c")


def rpi_gpio() -> Path:
    """A folder for PYTHONPATH that holds RPi.GPIO and nothing else. Raises: Missing."""
    python = sys.implementation.cache_tag
    return fetching.kept(f"RPi.GPIO-{RPI_GPIO}-{python}", _build_rpi_gpio)


def edges() -> Path:
    """The library for LD_PRELOAD that notes the edges of the pins. Raises: Missing."""
    version = hashlib.sha256(_EDGES.read_bytes()).hexdigest()[:12]
    return fetching.kept(f"edges-{version}", _build_edges) / "edges.so"


def _build_rpi_gpio(folder: Path) -> None:
    fetching.program("gcc", "build-essential")
    fetching.say(f"building RPi.GPIO {RPI_GPIO}, once")
    fetching.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--target", str(folder), f"RPi.GPIO=={RPI_GPIO}"),
        ],
        remedy="it needs gcc and Python's headers: sudo apt-get install build-essential "
        "python3-dev",
    )


def _build_edges(folder: Path) -> None:
    gcc = fetching.program("gcc", "build-essential")
    fetching.run(
        [
            *(gcc, "-O2", "-Wall", "-Werror", "-shared", "-fPIC"),
            *("-o", str(folder / "edges.so"), str(_EDGES), "-ldl"),
        ],
        remedy="it needs gcc and the headers of the C library: "
        "sudo apt-get install build-essential",
    )
