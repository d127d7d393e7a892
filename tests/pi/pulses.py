"""Sees the pulses of a Pi's pins from outside its namespace, as a servo or an ESC would.

A program of its own (`observer.c`) looks at the registers: Python comes too late to tell a pulse
of 1500 us from one of 1600. It may be away for a while too, on a machine with much to do. Then it
tells how long, and each pulse says how wrong its width may be: a pulse that is wrong, and one that
was measured badly, are told apart by `error_us`.
"""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from math import inf
from struct import Struct
from types import TracebackType

from tests.pi import libraries
from tests.pi.namespace import Pi

LONGEST_US = 3000.0
"""A level that lasts longer is no pulse to any servo or ESC."""

_LAYOUT = Struct("<qqii")  # as `struct edge` in observer.c
_PRIORITY = 20  # of real-time processes; the guard has 10
_READY_WITHIN_S = 10.0
_LOOKS_EVERY_S = 0.005


class Level(IntEnum):
    """What became of a pin. `INPUT`: given back, so that nothing drives it any more."""

    LOW = 0
    HIGH = 1
    INPUT = 2


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
    """All pulses of a Pi's pins, from the beginning of the `with` block to its end."""

    def __init__(self, pi: Pi) -> None:
        self._pi = pi
        self._edges: dict[int, list[Edge]] = {}
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, name="pulses", daemon=True)

    def __enter__(self) -> "Pulses":
        """Raises: Missing."""
        self._observer = subprocess.Popen(
            [libraries.observer(), self._pi.gpiomem],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with suppress(PermissionError):  # where it may be so, it comes before all else
            os.sched_setscheduler(self._observer.pid, os.SCHED_FIFO, os.sched_param(_PRIORITY))
        self._reader.start()
        assert self._ready.wait(_READY_WITHIN_S), "the observer did not start"
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._observer.kill()
        self._reader.join()
        self._observer.communicate()

    def edges(self, pin: int) -> list[Edge]:
        """All edges of the pin so far."""
        return list(self._edges.get(pin, []))

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

        That is the start of the first pulse from which on all are neutral; where there is none any
        more, the end of the last one that is not. Look for it when it is surely past.

        On a busy machine pulses are late to end: longer than asked, by milliseconds at times, and
        never shorter. So let the wheels turn backwards, by pulses shorter than neutral, and allow
        neutral ones to be late by `late_us`, `math.inf` even.
        """
        return stopped_at(self.all(pin), neutral_us, tolerance_us, after_s, late_us=late_us)

    def _read(self) -> None:
        assert self._observer.stdout is not None
        while record := self._observer.stdout.read(_LAYOUT.size):
            if len(record) < _LAYOUT.size:
                return
            after_ns, before_ns, pin, level = _LAYOUT.unpack(record)
            if pin < 0:
                self._ready.set()
                continue
            edge = Edge(after_ns / 1e9, before_ns / 1e9, Level(level))
            self._edges.setdefault(pin, []).append(edge)


def composed(edges: list[Edge]) -> Iterator[Pulse]:
    """The pulses that these edges make.

    Where two pins moved at once, a register showed one of them only. So of an edge that follows
    itself nobody knows how long before it the missing one was: no pulse is made of it.
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
        neutral = pulse.has(neutral_us, tolerance_us, late_us)
        if not neutral and pulse.end_s > after_s:
            moving, moment_s = True, pulse.end_s
        elif neutral and moving:
            moving, moment_s = False, pulse.start_s
    return moment_s


def widths(pulses: list[Pulse]) -> str:
    """Their widths, for a message."""
    return ", ".join(f"{one.width_us:.0f}+-{one.error_us:.0f}" for one in pulses) or "none"
