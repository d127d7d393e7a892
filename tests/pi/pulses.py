"""Measurement of the pulses on a Pi's pins, as a servo or an ESC sees them.

Polling the pins would miss one of two that change at once, and be late on a busy machine. Instead
the thread that changes a pin records the time itself (`edges.h`), before and after the write. If it
was preempted in between, `error_us` is large: that tells a wrong pulse from one that was measured
badly.

A busy machine wakes that thread late. RPi.GPIO sleeps for the width of a pulse, which then gets
longer; lgpio sleeps until its end, and a late rise makes it shorter. So each pulse also tells the
width that the library asked its timer for, which no machine changes: the width that was commanded.
"""

import mmap
import os
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Iterable
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
from tests.pi import namespace
from tests.pi.libraries import BY_GPIOCHIP, BY_REGISTERS, EXIT, GpioLibrary
from tests.pi.namespace import Pi

LONGEST_US = 3000.0
"""Longest pulse that a servo or an ESC accepts."""

TIMER_US = 2.0
"""Tolerance for a width that a library asked its timer for: it counts whole microseconds."""

_HEAD = Struct("<qq")  # `struct edges` in edges.h: capacity and number of entries taken
_EDGE = Struct("<qqqii")  # `struct edge`
_CAPACITY = 200_000  # about twenty minutes of two pins
_MAX_PENDING = 16  # more than there are threads; an older empty entry is a killed process's
_POLL_S = 0.005
_TIMEOUT_S = 300


class PulsesNotVisible(ToolkitError):
    """Known pulses are not recorded, so that their absence proves nothing."""


class Level(IntEnum):
    """Level of a pin. `INPUT`: released, so that nothing drives it any more."""

    LOW = 1
    HIGH = 2
    INPUT = 3


@dataclass(frozen=True, slots=True)
class Edge:
    """Change of a pin's level between two times of the monotonic clock.

    `asked_us`: how long after the edge before it the library's timer was to end; None if the edge
    was not made by a timer.
    """

    after_s: float
    before_s: float
    level: Level
    asked_us: float | None = None

    @property
    def moment_s(self) -> float:
        """Middle of the two times."""
        return (self.after_s + self.before_s) / 2

    @property
    def error_us(self) -> float:
        """Largest error of `moment_s`."""
        return (self.before_s - self.after_s) / 2 * 1e6


@dataclass(frozen=True, slots=True)
class Pulse:
    """Time for which a pin was high; the width is infinite while the pulse has not ended.

    `asked_us`: the width that the library asked its timer for; None if no timer ended the pulse.
    """

    start_s: float
    width_us: float
    error_us: float
    asked_us: float | None = None

    @property
    def end_s(self) -> float:
        """End of the pulse."""
        return self.start_s + self.width_us / 1e6

    @property
    def commanded_us(self) -> float:
        """Width that was asked for or, without a timer, the one that was measured."""
        return self.width_us if self.asked_us is None else self.asked_us

    def is_known(self, tolerance_us: float) -> bool:
        """Return whether an ESC accepts the pulse, and its commanded width is that exact."""
        is_exact = self.asked_us is not None or self.error_us <= tolerance_us
        return is_exact and self.commanded_us <= LONGEST_US

    def has(self, width_us: float, tolerance_us: float = TIMER_US) -> bool:
        """Return whether the pulse was commanded with that width."""
        return abs(self.commanded_us - width_us) <= tolerance_us


class Pulses:
    """Recorder of a Pi's pulses, for processes started in its `with` block.

    They need the variables of `environment(pi)`. Entering raises PulsesNotVisible.
    """

    def __init__(self, pi: Pi) -> None:
        self._file = _edges_of(pi)
        self._library = pi.library

    def __enter__(self) -> "Pulses":
        require_visible_pulses(self._library)
        return self._start()

    def _start(self) -> "Pulses":
        size = _HEAD.size + _CAPACITY * _EDGE.size
        with self._file.open("wb") as file:
            file.write(_HEAD.pack(_CAPACITY, 0))
            file.truncate(size)
        return self.read_on()

    def read_on(self) -> "Pulses":
        """Read a recording that is under way; for a process in the Pi itself."""
        with self._file.open("rb") as file:
            self._recorded = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._read = 0
        self._pins: dict[int, _Pin] = {}
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the recording; the edges so far stay."""
        self._update()
        self._recorded.close()

    def edges(self, pin: int) -> list[Edge]:
        """Return all edges of the pin so far."""
        return list(self._updated(pin).edges)

    def _updated(self, pin: int) -> "_Pin":
        if not self._recorded.closed:
            self._update()
        return self._pins.setdefault(pin, _Pin())

    def _update(self) -> None:
        """Read the entries recorded since the last call."""
        _, taken = _HEAD.unpack_from(self._recorded)
        assert taken < _CAPACITY, "too many edges for one test"
        for index in range(self._read, taken):
            entry = _EDGE.unpack_from(self._recorded, _HEAD.size + index * _EDGE.size)
            after_ns, before_ns, asked_ns, pin, level = entry
            if level:
                asked_us = asked_ns / 1e3 if asked_ns else None
                edge = Edge(after_ns / 1e9, before_ns / 1e9, Level(level), asked_us)
                self._pins.setdefault(pin, _Pin()).add(edge)
            elif taken - index <= _MAX_PENDING:
                return  # taken, and not filled yet
            self._read = index + 1

    def all(self, pin: int) -> list[Pulse]:
        """Return all pulses of the pin so far, including one that has not ended."""
        return self._updated(pin).pulses()

    def since(self, moment_s: float, pin: int) -> list[Pulse]:
        """Return the pulses of the pin that began at that time or later."""
        pulses = self.all(pin)
        return pulses[bisect_left(pulses, moment_s, key=lambda pulse: pulse.start_s) :]

    def wait_for(
        self,
        pin: int,
        width_us: float,
        timeout_s: float,
        *,
        tolerance_us: float = TIMER_US,
        after_s: float | None = None,
    ) -> Pulse:
        """Wait for a pulse commanded with that width that begins from now on, or after `after_s`.

        Raises:
            AssertionError: none came in time.
        """
        start_s = time.monotonic()
        after_s = start_s if after_s is None else after_s
        while True:
            # Checked before reading, so that pulses within the time are never missed.
            timed_out = time.monotonic() > start_s + timeout_s
            pulses = self.since(after_s, pin)
            for pulse in pulses:
                if pulse.has(width_us, tolerance_us):
                    return pulse
            assert not timed_out, (
                f"no pulse of {width_us} us on pin {pin}, but {format_widths(pulses[-10:])}"
            )
            time.sleep(_POLL_S)

    def stopped_at(
        self, pin: int, neutral_us: float, after_s: float, *, tolerance_us: float = TIMER_US
    ) -> float:
        """Return when the wheels stopped; `after_s` if they stood already.

        That is the start of the first pulse from which on all are neutral, because an ESC follows
        the previous one until then. Without such a pulse it is the end of the last other one. Call
        this when the stop is certainly past.
        """
        return stopped_at(self.all(pin), neutral_us, after_s, tolerance_us=tolerance_us)


_KNOWN_PIN, _KNOWN_US = 18, 1500
_KNOWN_PULSES = f"""
from RPi import GPIO
import mmap, time
GPIO.setmode(GPIO.BCM)
GPIO.setup({_KNOWN_PIN}, GPIO.OUT, initial=GPIO.LOW)
pin = GPIO.PWM({_KNOWN_PIN}, 50)
pin.start({_KNOWN_US / 20_000 * 100})
wait_for_a_pulse()
pin.stop()
del pin
GPIO.cleanup({_KNOWN_PIN})
"""
_WITNESSES = {  # what proves that a pulse has begun and ended
    BY_REGISTERS: """
def wait_for_a_pulse():
    file = open("/dev/gpiomem", "r+b")
    registers = memoryview(mmap.mmap(file.fileno(), 4096)).cast("I")
    for register in (7, 10):  # GPSET0, GPCLR0
        registers[register] = 0
        while not registers[register]: time.sleep(0.001)
""",
    BY_GPIOCHIP: f"""
def wait_for_a_pulse():
    file = open("/dev/gpiochip0", "rb")
    pins = mmap.mmap(file.fileno(), 54, access=mmap.ACCESS_READ)
    for level in (1, 0, 1, 0):
        while pins[{_KNOWN_PIN}] & 1 != level: time.sleep(0.0002)
""",
}


def require_visible_pulses(library: GpioLibrary) -> None:
    """Check, once per process, that known pulses of the real library are recorded.

    Raises:
        PulsesNotVisible: they are not.
    """
    if fault := _visibility_fault(library):
        raise PulsesNotVisible(
            f"the tests cannot see the pulses of {library.name} on this machine: {fault}"
        )


@cache
def _visibility_fault(library: GpioLibrary) -> str:
    """Send known pulses and return what is not recorded of them; "" if all is."""
    with TemporaryDirectory() as folder:
        pi = namespace.create_pi(Path(folder, "pi"), library)
        variables = {"PYTHONPATH": str(library.packages()), "LG_WD": folder}
        recorder = Pulses(pi)._start()
        with closing(recorder):
            sent = subprocess.run(
                pi.command(sys.executable, "-c", _WITNESSES[library] + _KNOWN_PULSES + EXIT),
                env=os.environ | environment(pi) | variables,
                capture_output=True,
                text=True,
                check=False,
                timeout=_TIMEOUT_S,
            )
            pulses, edges = recorder.all(_KNOWN_PIN), recorder.edges(_KNOWN_PIN)
    if sent.returncode != 0:
        last = (sent.stderr.strip().splitlines() or ["no reason given"])[-1]
        return f"sending pulses failed with exit code {sent.returncode}: {last}"
    if not any(pulse.asked_us and pulse.has(_KNOWN_US) for pulse in pulses):
        return (
            f"{_KNOWN_US} us were sent on pin {_KNOWN_PIN}, but recorded: {format_widths(pulses)}"
        )
    if all(edge.level != Level.INPUT for edge in edges):
        return f"pin {_KNOWN_PIN} was released, and that was not recorded"
    return ""


def environment(pi: Pi) -> dict[str, str]:
    """Return the variables that make a process in the Pi record its edges.

    Raises:
        Missing: the library for that cannot be built here.
    """
    recording = {"LD_PRELOAD": str(pi.library.preload()), "EDGES": str(_edges_of(pi))}
    return recording | pi.library.variables


def _edges_of(pi: Pi) -> Path:
    return pi.folder / "edges"


def compose_pulses(edges: list[Edge]) -> list[Pulse]:
    """Return the pulses between rising and falling edges."""
    pin = _Pin()
    for edge in edges:
        pin.add(edge)
    return pin.pulses()


def repeat_pulses(
    widths_us: Iterable[tuple[float, float]], period_s: float, until_s: float
) -> list[Pulse]:
    """Return the pulses of hardware that repeats one width, set at some times, until the next.

    It begins at once when it is switched on, by any other width than 0.
    """
    pulses = []
    width_us, next_s = 0.0, until_s
    for moment_s, next_us in (*widths_us, (until_s, 0.0)):
        while width_us and next_s < moment_s:
            pulses.append(Pulse(next_s, width_us, 0.0))
            next_s += period_s
        if not width_us:
            next_s = moment_s
        width_us = next_us
    return pulses


class _Pin:
    """Edges of a pin in their order, and the pulses between rising and falling ones.

    A killed process leaves a pin as it is, and the next one raises it again: a pulse begins with
    the last rising edge.
    """

    def __init__(self) -> None:
        self.edges: list[Edge] = []
        self._ended: list[Pulse] = []
        self._rise: Edge | None = None

    def add(self, edge: Edge) -> None:
        """Add the next edge."""
        self.edges.append(edge)
        if edge.level == Level.HIGH:
            self._rise = edge
        elif self._rise:
            rise, self._rise = self._rise, None
            width_us = (edge.moment_s - rise.moment_s) * 1e6
            error_us = rise.error_us + edge.error_us
            asked_us = edge.asked_us if edge.level == Level.LOW else None
            self._ended.append(Pulse(rise.moment_s, width_us, error_us, asked_us))

    def pulses(self) -> list[Pulse]:
        """Return all pulses, including one that has not ended."""
        rise = self._rise
        return [*self._ended, Pulse(rise.moment_s, inf, rise.error_us)] if rise else [*self._ended]


def stopped_at(
    pulses: list[Pulse], neutral_us: float, after_s: float, *, tolerance_us: float = TIMER_US
) -> float:
    """Return what `Pulses.stopped_at` does, from those pulses whose width is known."""
    moment_s = after_s
    moving = False
    for pulse in pulses:
        if not pulse.is_known(tolerance_us):
            continue
        if not pulse.has(neutral_us, tolerance_us):
            moving, moment_s = True, pulse.end_s
        elif moving:
            moving, moment_s = False, pulse.start_s
    return max(moment_s, after_s)


def format_widths(pulses: list[Pulse]) -> str:
    """Format widths, errors and what was asked for a message."""
    return ", ".join(map(_format_width, pulses)) or "none"


def _format_width(pulse: Pulse) -> str:
    asked = "" if pulse.asked_us is None else f" ({pulse.asked_us:.0f} asked)"
    return f"{pulse.width_us:.0f}+-{pulse.error_us:.0f}{asked}"
