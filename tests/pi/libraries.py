"""Native libraries for the namespace, built once and cached outside the checkout."""

import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.servers import fetching, needs
from tests.servers.needs import Need

RPI_GPIO = "0.7.1"
RPI_LGPIO, LGPIO = "0.6", "0.2.2.0"
# Those of Raspberry Pi OS bookworm, which has Python 3.11, and of trixie.
EVDEV = "1.6.1" if sys.version_info < (3, 12) else "1.9.1"

_LGPIO_WHEELS = {"cpython-311", "cpython-312"}  # for other Pythons, pip builds it
# Names of Python 2 that lgpio's interface uses and SWIG defined up to 4.3.
_LGPIO_CFLAGS = (
    "-DPyInt_Check=PyLong_Check -DPyInt_AsLong=PyLong_AsLong -DPyInt_FromLong=PyLong_FromLong "
    "-DPyString_FromString=PyUnicode_FromString"
)
_HEADERS = (Path(__file__).with_name("edges.h"),)
_EDGES = Path(__file__).with_name("edges.c")
_GPIOCHIP = Path(__file__).with_name("gpiochip.c")
_SYSFS_PWM = Path(__file__).with_name("sysfs_pwm.c")
_INPUT_DEVICE = Path(__file__).with_name("input_device.c")
_SLEEPS = Path(__file__).with_name("sleeps.c")
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


def rpi_lgpio() -> Path:
    """Return a folder for PYTHONPATH with rpi-lgpio, lgpio and nothing else.

    Raises:
        Missing: they cannot be fetched or built here.
    """
    return fetching.cached(_rpi_lgpio_name(), _fetch_rpi_lgpio)


def edges() -> Path:
    """Return the library for LD_PRELOAD that records the edges of RPi.GPIO's pins.

    Raises:
        Missing: it cannot be built here.
    """
    return _preloaded(_EDGES)


def gpiochip() -> Path:
    """Return the library for LD_PRELOAD that plays a GPIO chip and records the edges of its pins.

    Raises:
        Missing: it cannot be built here.
    """
    return _preloaded(_GPIOCHIP)


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


def sleeps() -> Path:
    """Return the library that sleeps as those for the pins do, a yardstick for them.

    Raises:
        Missing: it cannot be built here.
    """
    return _preloaded(_SLEEPS)


@dataclass(frozen=True, eq=False)
class GpioLibrary:
    """A library that is imported as RPi.GPIO, and what a process needs to be seen using it.

    `packages` returns the folder for PYTHONPATH, `preload` the library for LD_PRELOAD, `variables`
    are those of the environment.
    """

    name: str
    version: str
    packages: Callable[[], Path]
    preload: Callable[[], Path]
    variables: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


# The recorders are looked up at each call: a test puts one that sees nothing in their place.
BY_REGISTERS = GpioLibrary("RPi.GPIO", RPI_GPIO, rpi_gpio, lambda: edges())
BY_GPIOCHIP = GpioLibrary(
    "rpi-lgpio",
    RPI_LGPIO,
    rpi_lgpio,
    lambda: gpiochip(),
    # of a Pi 5; the library would else read it from the device tree
    {"RPI_LGPIO_REVISION": "c04170", "RPI_LGPIO_CHIP": "0"},
)
GPIO_LIBRARIES = (BY_REGISTERS, BY_GPIOCHIP)

# The last lines of a script that has sent pulses. It exits at once: otherwise RPi.GPIO unmaps the
# registers, and a thread of a stopped PWM, which still writes them once, crashes.
EXIT = """
import os, sys
sys.stdout.flush()
os._exit(0)
"""


def needed() -> list[Need]:
    """Return what is needed to build the libraries that are not in the cache."""
    found: list[Need] = []
    if not all(map(fetching.is_cached, (_rpi_gpio_name(), _evdev_name()))):
        found += [needs.C, needs.PYTHON_HEADERS]
    if not fetching.is_cached(_rpi_lgpio_name()):
        found += _needed_for_lgpio()
    sources = (_EDGES, _GPIOCHIP, _SYSFS_PWM, _INPUT_DEVICE)
    if not all(fetching.is_cached(_name(source)) for source in sources):
        found.append(needs.C)
    return list(dict.fromkeys(found))


def _needed_for_lgpio() -> list[Need]:
    has_wheel = sys.implementation.cache_tag in _LGPIO_WHEELS
    return [] if has_wheel else [needs.C, needs.PYTHON_HEADERS, needs.SWIG]


def _rpi_gpio_name() -> str:
    flags = hashlib.sha256(f"{_CFLAGS} {_LDFLAGS}".encode()).hexdigest()[:12]
    return f"RPi.GPIO-{RPI_GPIO}-{sys.implementation.cache_tag}-{flags}"


def _evdev_name() -> str:
    return f"evdev-{EVDEV}-{sys.implementation.cache_tag}-{_digest(_INPUT_DEVICE)}"


def _rpi_lgpio_name() -> str:
    return f"rpi-lgpio-{RPI_LGPIO}-lgpio-{LGPIO}-{sys.implementation.cache_tag}"


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
    code = b"".join(each.read_bytes() for each in (source, *_HEADERS))
    return hashlib.sha256(code).hexdigest()[:12]


def _build_rpi_gpio(folder: Path) -> None:
    needs.require([needs.C, needs.PYTHON_HEADERS])
    fetching.say(f"building RPi.GPIO {RPI_GPIO} (first run only)")
    fetching.run_pip(
        "install",
        *("--no-cache-dir", "--no-binary", "RPi.GPIO"),  # wheels have other flags
        *("--target", str(folder), f"RPi.GPIO=={RPI_GPIO}"),
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
        fetching.run_pip(
            "install",
            *("--no-cache-dir", "--no-binary", "evdev"),
            *("--target", str(folder), f"evdev=={EVDEV}"),
            LDFLAGS=f"-Wl,--wrap=ioctl,--wrap=read {linked}",
        )


def _fetch_rpi_lgpio(folder: Path) -> None:
    needs.require(_needed_for_lgpio())
    fetching.say(f"fetching rpi-lgpio {RPI_LGPIO} and lgpio {LGPIO} (0.4 MB, first run only)")
    fetching.run_pip(
        "install",
        *("--no-cache-dir", "--target", str(folder)),
        *(f"rpi-lgpio=={RPI_LGPIO}", f"lgpio=={LGPIO}"),
        PYPI="1",  # so that a build includes lgpio's C library, as the wheels do
        CFLAGS=f"{os.environ.get('CFLAGS', '')} {_LGPIO_CFLAGS}",
    )
