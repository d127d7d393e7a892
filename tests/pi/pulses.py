"""Sees the pulses of a Pi's pins, as a servo or an ESC would, from outside its namespace.

Whoever looks at the registers of the pins sees only one of two pins that move at once, and comes
too late on a busy machine. So the thread that moves a pin notes the time itself (`edges.c`), on
both sides of the write. Where it lost the processor in between, the pulse says so: one that is
wrong, and one that was measured badly, are told apart by `error_us`.
"""

import mmap
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from math import inf
from pathlib import Path
from struct import Struct
from tempfile import TemporaryDirectory
from types import TracebackType

from common.errors import ToolkitError
from tests.pi import libraries, namespace
from tests.pi.namespace import Pi

LONGEST_US = 3000.0
"""A level that lasts longer is no pulse to any servo or ESC."""

_HEAD = Struct("<qq")  # as `struct edges` in edges.c: room, and how much is taken
_EDGE = Struct("<qqii")  # as `struct edge`
_ROOM = 200_000  # some twenty minutes of two pins
_NEVER_AFTER = 16  # more than there are threads: whoever took that place was killed
_LOOKS_EVERY_S = 0.005
_HANGS_S = 300


class Blind(ToolkitError):
    """Pulses that are surely there are not seen, so that none can be told from its absence."""


class Level(IntEnum):
    """What became of a pin. `INPUT`: given back, so that nothing drives it any more."""

    LOW = 1
    HIGH = 2
    INPUT = 3


@dataclass(frozen=True, slots=True)
class Edge:
    """A pin came to a level between two moments of the monotonic clock."""

    after_s: float
    before_s: float
    level: Level

    @property
    def moment_s(self) -> float:
        """In the middle between both."""
        return (self.after_s + self.before_s) / 2

    @property
    def error_us(self) -> float:
        """How wrong that may be."""
        return (self.before_s - self.after_s) / 2 * 1e6


@dataclass(frozen=True, slots=True)
class Pulse:
    """A pin was high from `start_s` on; `error_us` is how wrong the width may be.

    The width is infinite as long as the pulse has not ended.
    """

    start_s: float
    width_us: float
    error_us: float

    @property
    def end_s(self) -> float:
        """When it ended."""
        return self.start_s + self.width_us / 1e6

    def has(self, width_us: float, tolerance_us: float, late_us: float = 0.0) -> bool:
        """Whether it was that wide, or longer by `late_us` at most."""
        longer_us = self.width_us - width_us
        return -tolerance_us <= longer_us <= max(tolerance_us, late_us)


class Pulses:
    """All pulses of a Pi's pins, from the beginning of the `with` block to its end.

    Of the processes that are started in it with `environment(pi)`. Raises: Blind.
    """

    def __init__(self, pi: Pi) -> None:
        self._file = _edges_of(pi)

    def __enter__(self) -> "Pulses":
        require_sight()
        return self._begin()

    def _begin(self) -> "Pulses":
        size = _HEAD.size + _ROOM * _EDGE.size
        with self._file.open("wb") as file:
            file.write(_HEAD.pack(_ROOM, 0))
            file.truncate(size)
        with self._file.open("rb") as file:
            self._noted = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        self._read = 0
        self._edges: dict[int, list[Edge]] = {}
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End looking; what was seen stays."""
        self._look()
        self._noted.close()

    def edges(self, pin: int) -> list[Edge]:
        """All edges of the pin so far."""
        if not self._noted.closed:
            self._look()
        return list(self._edges.get(pin, []))

    def _look(self) -> None:
        """What has been noted since is known. A place that was taken is filled soon, or never."""
        _, taken = _HEAD.unpack_from(self._noted)
        assert taken < _ROOM, "too many edges for one test"
        for place in range(self._read, taken):
            edge = _EDGE.unpack_from(self._noted, _HEAD.size + place * _EDGE.size)
            after_ns, before_ns, pin, level = edge
            if level:
                found = Edge(after_ns / 1e9, before_ns / 1e9, Level(level))
                self._edges.setdefault(pin, []).append(found)
            elif taken - place <= _NEVER_AFTER:
                return
            self._read = place + 1

    def all(self, pin: int) -> list[Pulse]:
        """All pulses of the pin so far, the one that has not ended included."""
        return list(composed(self.edges(pin)))

    def since(self, moment_s: float, pin: int) -> list[Pulse]:
        """The pulses of the pin that began at that moment or later."""
        return [pulse for pulse in self.all(pin) if pulse.start_s >= moment_s]

    def wait_for(
        self,
        pin: int,
        width_us: float,
        within_s: float,
        *,
        tolerance_us: float = 150.0,
        after_s: float | None = None,
    ) -> Pulse:
        """The first pulse of that width that begins from now on, or from `after_s` on.

        Raises: AssertionError when none came within that time.
        """
        begin_s = time.monotonic()
        after_s = begin_s if after_s is None else after_s
        while True:
            over = time.monotonic() > begin_s + within_s  # before looking, so as to look once more
            pulses = self.since(after_s, pin)
            for pulse in pulses:
                if pulse.has(width_us, tolerance_us):
                    return pulse
            assert not over, f"no pulse of {width_us} us on pin {pin}, but {widths(pulses[-10:])}"
            time.sleep(_LOOKS_EVERY_S)

    def stopped_at(
        self,
        pin: int,
        neutral_us: float,
        tolerance_us: float,
        after_s: float,
        *,
        late_us: float = 0.0,
    ) -> float:
        """From when on the wheels stood, if they still moved at `after_s`; else `after_s`.

        That is the start of the first pulse from which on all are neutral, as an ESC goes on with
        the last one until then; where there is none any more, the end of the last one that is not.
        Look for it when it is surely past.

        On a busy machine pulses are late to end: longer than asked, by milliseconds at times, and
        never shorter. So let the wheels turn backwards, by pulses shorter than neutral, and allow
        neutral ones to be late by `late_us`, `math.inf` even.
        """
        return stopped_at(self.all(pin), neutral_us, tolerance_us, after_s, late_us=late_us)


_KNOWN_PIN, _KNOWN_US = 18, 1500
_KNOWN_PULSES = f"""
from RPi import GPIO
import mmap, time
file = open("/dev/gpiomem", "r+b")
registers = memoryview(mmap.mmap(file.fileno(), 4096)).cast("I")
GPIO.setmode(GPIO.BCM)
GPIO.setup({_KNOWN_PIN}, GPIO.OUT)
registers[7] = registers[10] = 0  # GPSET0, GPCLR0
pin = GPIO.PWM({_KNOWN_PIN}, 50)
pin.start({_KNOWN_US / 20_000 * 100})
while not registers[7]: time.sleep(0.001)
registers[10] = 0
while not registers[10]: time.sleep(0.001)
pin.stop()
GPIO.cleanup({_KNOWN_PIN})
"""  # the registers prove that a pulse has begun and ended


def require_sight() -> None:
    """Raise Blind unless known pulses of the real RPi.GPIO are seen; tried once a process."""
    if fault := _fault_of_sight():
        raise Blind(f"the tests cannot see the pulses of RPi.GPIO on this machine: {fault}")


@cache
def _fault_of_sight() -> str:
    """Send known pulses; return what is not seen of them, or ""."""
    with TemporaryDirectory() as folder:
        pi = namespace.make(Path(folder, "pi"))
        found = {"PYTHONPATH": str(libraries.rpi_gpio())}
        seen = Pulses(pi)._begin()
        with closing(seen):
            sent = subprocess.run(
                pi.command(sys.executable, "-c", _KNOWN_PULSES),
                env=os.environ | environment(pi) | found,
                capture_output=True,
                text=True,
                check=False,
                timeout=_HANGS_S,
            )
            pulses, edges = seen.all(_KNOWN_PIN), seen.edges(_KNOWN_PIN)
    if sent.returncode != 0:
        last = (sent.stderr.strip().splitlines() or ["no reason given"])[-1]
        return f"sending some failed: {last}"
    if not any(_KNOWN_US - pulse.width_us <= pulse.error_us for pulse in pulses):
        return f"{_KNOWN_US} us were sent on pin {_KNOWN_PIN}, and seen was: {widths(pulses)}"
    if all(edge.level != Level.INPUT for edge in edges):
        return f"pin {_KNOWN_PIN} was given back, and that was not seen"
    return ""


def environment(pi: Pi) -> dict[str, str]:
    """The variables that make a process in there note its edges. Raises: Missing."""
    return {"LD_PRELOAD": str(libraries.edges()), "EDGES": str(_edges_of(pi))}


def _edges_of(pi: Pi) -> Path:
    return pi.folder / "edges"


def composed(edges: list[Edge]) -> Iterator[Pulse]:
    """The pulses that these edges make.

    A process that is killed leaves a pin as it is, and the next one raises it anew: a pulse begins
    with the last rise.
    """
    rise: Edge | None = None
    for edge in edges:
        if edge.level == Level.HIGH:
            rise = edge
        elif rise:
            width_us = (edge.moment_s - rise.moment_s) * 1e6
            yield Pulse(rise.moment_s, width_us, rise.error_us + edge.error_us)
            rise = None
    if rise:
        yield Pulse(rise.moment_s, inf, rise.error_us)


def stopped_at(
    pulses: list[Pulse],
    neutral_us: float,
    tolerance_us: float,
    after_s: float,
    *,
    late_us: float = 0.0,
) -> float:
    """As `Pulses.stopped_at`. A pulse that was measured worse than the tolerance proves nothing."""
    measured = [
        pulse for pulse in pulses if pulse.width_us <= LONGEST_US and pulse.error_us <= tolerance_us
    ]
    moment_s = after_s
    moving = False
    for pulse in measured:
        if not pulse.has(neutral_us, tolerance_us, late_us):
            moving, moment_s = True, pulse.end_s
        elif moving:
            moving, moment_s = False, pulse.start_s
    return max(moment_s, after_s)


def widths(pulses: list[Pulse]) -> str:
    """Their widths, for a message."""
    return ", ".join(f"{one.width_us:.0f}+-{one.error_us:.0f}" for one in pulses) or "none"
