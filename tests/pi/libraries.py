"""Native libraries for the namespace, built once and cached outside the checkout."""

import hashlib
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.servers import fetching, needs
from tests.servers.needs import Need

RPI_GPIO = "0.7.1"
# Those of Raspberry Pi OS bookworm, which has Python 3.11, and of trixie.
EVDEV = "1.6.1" if sys.version_info < (3, 12) else "1.9.1"

_EDGES = Path(__file__).with_name("edges.c")
_SYSFS_PWM = Path(__file__).with_name("sysfs_pwm.c")
_INPUT_DEVICE = Path(__file__).with_name("input_device.c")
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


def evdev() -> Path:
    """Return a folder for PYTHONPATH with evdev and nothing else.

    The kernel's answers about a pad are played by `input_device.c`, which is linked into it.

    Raises:
        Missing: it cannot be built here.
    """
    return fetching.cached(_evdev_name(), _build_evdev)


def input_device() -> Path:
    """Return the library for LD_PRELOAD that plays the kernel's answers about a pad.

    Raises:
        Missing: it cannot be built here.
    """
    return _preloaded(_INPUT_DEVICE)


def needed() -> list[Need]:
    """Return what is needed to build the libraries that are not in the cache."""
    if not all(map(fetching.is_cached, (_rpi_gpio_name(), _evdev_name()))):
        return [needs.C, needs.PYTHON_HEADERS]
    sources = (_EDGES, _SYSFS_PWM, _INPUT_DEVICE)
    return [] if all(fetching.is_cached(_name(source)) for source in sources) else [needs.C]


def _rpi_gpio_name() -> str:
    flags = hashlib.sha256(f"{_CFLAGS} {_LDFLAGS}".encode()).hexdigest()[:12]
    return f"RPi.GPIO-{RPI_GPIO}-{sys.implementation.cache_tag}-{flags}"


def _evdev_name() -> str:
    return f"evdev-{EVDEV}-{sys.implementation.cache_tag}-{_digest(_INPUT_DEVICE)}"


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
    return f"{source.stem}-{_digest(source)}"


def _digest(source: Path) -> str:
    return hashlib.sha256(source.read_bytes()).hexdigest()[:12]


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


def _build_evdev(folder: Path) -> None:
    needs.require([needs.C, needs.PYTHON_HEADERS])
    fetching.say(f"building evdev {EVDEV} (first run only)")
    with TemporaryDirectory() as building:
        linked = Path(building, "input_device.o")
        options = ("-O2", "-Wall", "-Werror", "-fPIC", "-DIOCTL=__wrap_ioctl", "-DREAD=__wrap_read")
        fetching.run(
            ["gcc", *options, "-c", "-o", str(linked), str(_INPUT_DEVICE)],
            remedy="it needs gcc and the headers of the kernel: "
            "sudo apt-get install build-essential",
        )
        fetching.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
                *("--no-deps", "--no-cache-dir", "--no-binary", "evdev"),
                *("--target", str(folder), f"evdev=={EVDEV}"),
            ],
            remedy="is the package index reached? `pip config` knows proxies and mirrors",
            LDFLAGS=f"-Wl,--wrap=ioctl,--wrap=read {linked}",
        )
