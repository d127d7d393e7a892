"""Native libraries for the namespace, built once and cached outside the checkout."""

import hashlib
import os
import sys
from pathlib import Path

from tests.servers import fetching, needs
from tests.servers.needs import Need

RPI_GPIO = "0.7.1"

_EDGES = Path(__file__).with_name("edges.c")
# `edges.c` intercepts the library's calls to its own functions, so these must stay interposable.
# Debian 13's Python links with -Bsymbolic-functions, which binds them at link time.
_CFLAGS = "-fsemantic-interposition -fno-lto"
_LDFLAGS = "-Wl,-Bno-symbolic"


def rpi_gpio() -> Path:
    """Return a folder for PYTHONPATH with RPi.GPIO and nothing else.

    Raises:
        Missing: it cannot be built here.
    """
    return fetching.cached(_rpi_gpio_name(), _build_rpi_gpio)


def edges() -> Path:
    """Return the library for LD_PRELOAD that records the edges of the pins.

    Raises:
        Missing: it cannot be built here.
    """
    return fetching.cached(_edges_name(), _build_edges) / "edges.so"


def needed() -> list[Need]:
    """Return what is needed to build the libraries that are not in the cache."""
    if not fetching.is_cached(_rpi_gpio_name()):
        return [needs.C, needs.PYTHON_HEADERS]
    return [] if fetching.is_cached(_edges_name()) else [needs.C]


def _rpi_gpio_name() -> str:
    flags = hashlib.sha256(f"{_CFLAGS} {_LDFLAGS}".encode()).hexdigest()[:12]
    return f"RPi.GPIO-{RPI_GPIO}-{sys.implementation.cache_tag}-{flags}"


def _edges_name() -> str:
    return f"edges-{hashlib.sha256(_EDGES.read_bytes()).hexdigest()[:12]}"


def _build_rpi_gpio(folder: Path) -> None:
    needs.require([needs.C, needs.PYTHON_HEADERS])
    fetching.say(f"building RPi.GPIO {RPI_GPIO} (first run only)")
    fetching.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-cache-dir", "--no-binary", "RPi.GPIO"),  # wheels have other flags
            *("--target", str(folder), f"RPi.GPIO=={RPI_GPIO}"),
        ],
        remedy="is the package index reached? `pip config` knows proxies and mirrors",
        CFLAGS=f"{os.environ.get('CFLAGS', '')} {_CFLAGS}",
        LDFLAGS=f"{os.environ.get('LDFLAGS', '')} {_LDFLAGS}",
    )


def _build_edges(folder: Path) -> None:
    needs.require([needs.C])
    fetching.run(
        [
            *("gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC"),
            *("-o", str(folder / "edges.so"), str(_EDGES), "-ldl"),
        ],
        remedy="it needs gcc and the headers of the C library: "
        "sudo apt-get install build-essential",
    )
