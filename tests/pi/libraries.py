"""Native libraries for the namespace, built once and cached outside the checkout."""

import hashlib
import os
import sys
from pathlib import Path

from tests.servers import fetching, needs
from tests.servers.needs import Need

RPI_GPIO = "0.7.1"

_EDGES = Path(__file__).with_name("edges.c")
_SYSFS_PWM = Path(__file__).with_name("sysfs_pwm.c")
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
    return _preloaded(_EDGES)


def sysfs_pwm() -> Path:
    """Return the library for LD_PRELOAD that plays the files of the hardware PWM.

    Raises:
        Missing: it cannot be built here.
    """
    return _preloaded(_SYSFS_PWM)


def needed() -> list[Need]:
    """Return what is needed to build the libraries that are not in the cache."""
    if not fetching.is_cached(_rpi_gpio_name()):
        return [needs.C, needs.PYTHON_HEADERS]
    sources = (_EDGES, _SYSFS_PWM)
    return [] if all(fetching.is_cached(_name(source)) for source in sources) else [needs.C]


def _rpi_gpio_name() -> str:
    flags = hashlib.sha256(f"{_CFLAGS} {_LDFLAGS}".encode()).hexdigest()[:12]
    return f"RPi.GPIO-{RPI_GPIO}-{sys.implementation.cache_tag}-{flags}"


def _preloaded(source: Path) -> Path:
    """Return the library that a source of this folder becomes."""

    def build(folder: Path) -> None:
        needs.require([needs.C])
        options = ("-O2", "-Wall", "-Werror", "-shared", "-fPIC")
        fetching.run(
            ["gcc", *options, "-o", str(folder / f"{source.stem}.so"), str(source), "-ldl"],
            remedy="it needs gcc and the headers of the C library: "
            "sudo apt-get install build-essential",
        )

    return fetching.cached(_name(source), build) / f"{source.stem}.so"


def _name(source: Path) -> str:
    return f"{source.stem}-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"


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
