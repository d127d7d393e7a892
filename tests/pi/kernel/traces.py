"""Pulses as the kernel's tracepoints report them: what reached its drivers, and when.

Source: Linux 6.12, include/trace/events/gpio.h, pwm.h and smbus.h; Documentation/trace/ftrace.rst.
"""

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from car.motors import pca9685_pulses as pca9685
from tests.pi.pulses import Edge, Level, Pulse, Pulses, _Pin, repeat_pulses

_TRACING = Path("/sys/kernel/tracing")
_LINE = re.compile(r"\s(\d+\.\d+): (\w+): (.*)")
_READ_BYTES = 1 << 16


class Trace:
    """Events from its creation on."""

    def __init__(self, *events: str) -> None:
        _write("trace", "")
        _write("trace_clock", "mono")
        for event in events:
            _write(f"events/{event}/enable", "1")
        self._pipe = os.open(_TRACING / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        self._rest = ""

    def read(self) -> Iterator[tuple[float, str, str]]:
        """Yield time, name and text of each new event."""
        with suppress(BlockingIOError):
            while more := os.read(self._pipe, _READ_BYTES):
                self._rest += more.decode(errors="replace")
        *lines, self._rest = self._rest.split("\n")
        for line in lines:
            assert "LOST" not in line, f"the kernel's buffer is too small: {line}"
            if event := _LINE.search(line):
                yield float(event[1]), event[2], event[3]

    def close(self) -> None:
        """End all events."""
        _write("events/enable", "0")
        os.close(self._pipe)


class _Traced(Pulses):
    """Pulses from a trace; the base for each kind of hardware."""

    EVENTS: tuple[str, ...]

    def __init__(self) -> None:
        self._trace: Trace | None = None

    def __enter__(self) -> "_Traced":
        self._trace = Trace(*self.EVENTS)
        return self

    def close(self) -> None:
        """End the recording; what was recorded so far stays."""
        self._update()
        if self._trace:
            self._trace.close()
        self._trace = None

    def _update(self) -> None:
        for moment_s, name, text in self._trace.read() if self._trace else ():
            self._add(moment_s, name, text)

    def _add(self, moment_s: float, name: str, text: str) -> None:
        raise NotImplementedError


class PinTrace(_Traced):
    """Pulses on the pins of the first GPIO chip."""

    EVENTS = ("gpio/gpio_value", "gpio/gpio_direction")

    def __init__(self) -> None:
        super().__init__()
        (chip,) = Path("/sys/class/gpio").glob("gpiochip*")
        self._first = int((chip / "base").read_text())
        self._pins: dict[int, _Pin] = {}

    def _updated(self, pin: int) -> _Pin:
        self._update()
        return self._pins.setdefault(pin, _Pin())

    def _add(self, moment_s: float, name: str, text: str) -> None:
        number, what, value = text.split()
        levels = {"set 0": Level.LOW, "set 1": Level.HIGH, "in (0)": Level.INPUT}
        if level := levels.get(f"{what} {value}"):
            pin = self._pins.setdefault(int(number) - self._first, _Pin())
            pin.add(Edge(moment_s, moment_s, level))


class _Repeated(_Traced):
    """Pulses that hardware repeats by itself: `_widths_us` has time and new width, by channel."""

    _period_s = 0.02

    def __init__(self) -> None:
        super().__init__()
        self._widths_us: dict[int, list[tuple[float, float]]] = {}

    def all(self, pin: int) -> list[Pulse]:
        """Return all pulses of the channel so far."""
        self._update()
        widths_us = self._widths_us.get(pin, ())
        return repeat_pulses(widths_us, self._period_s, time.monotonic())

    def _set(self, moment_s: float, channel: int, width_us: float) -> None:
        self._widths_us.setdefault(channel, []).append((moment_s, width_us))


class PwmTrace(_Repeated):
    """Pulses of a PWM chip whose channels are on these pins.

    `applied`: by pin, what the chip's driver was told, as period and width in nanoseconds, and
    whether the channel is on.
    """

    EVENTS = ("pwm/pwm_apply",)

    def __init__(self, channels: Mapping[int, int]) -> None:
        super().__init__()
        self._pins = {channel: pin for pin, channel in channels.items()}
        self.applied: dict[int, list[tuple[int, int, bool]]] = {pin: [] for pin in channels}

    def _add(self, moment_s: float, name: str, text: str) -> None:
        channel = int(re.search(r"pwmchip\d+\.(\d+)", text)[1])
        values = dict(re.findall(r"(\w+)=(-?\d+)", text))
        assert values["err"] == "0", text
        period_ns, width_ns, is_on = (int(values[k]) for k in ("period", "duty_cycle", "enabled"))
        pin = self._pins[channel]
        self.applied[pin].append((period_ns, width_ns, bool(is_on)))
        if width_ns and is_on:
            self._period_s = period_ns / 1e9
        self._set(moment_s, pin, width_ns / 1e3 if is_on else 0.0)


class Pca9685Trace(_Repeated):
    """Pulses of a PCA9685; `writes` are the registers and values so far, in their order."""

    EVENTS = ("smbus/smbus_write",)

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[tuple[int, list[int]]] = []
        self._count_us = 0.0

    def _add(self, moment_s: float, name: str, text: str) -> None:
        written = re.search(r" c=(\w+) I2C_BLOCK_DATA l=\d+ \[([\w-]*)\]", text)
        assert written, text
        register = int(written[1], 16)
        values = [int(value, 16) for value in written[2].split("-")][1:]  # the first is their count
        self.writes.append((register, values))
        if register == pca9685.PRESCALE:
            self._count_us = (values[0] + 1) / 25.0
            self._period_s = 4096 * self._count_us / 1e6
        elif register == pca9685.ALL_OFF_HIGH:
            for channel in self._widths_us:
                self._set(moment_s, channel, 0.0)
        elif register not in (pca9685.MODE1, pca9685.MODE2):
            on, off = values[0] | values[1] << 8, values[2] | values[3] << 8
            assert on == 0, text
            channel = (register - pca9685.CHANNEL_0) // 4
            self._set(moment_s, channel, off * self._count_us)


def _write(name: str, text: str) -> None:
    (_TRACING / name).write_text(text)
