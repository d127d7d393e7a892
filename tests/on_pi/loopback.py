"""The pulses of the steering pin, measured by a second pin that a jumper wire connects to it.

The kernel stamps each edge. Source: abyz.me.uk/lg/py_lgpio.html: gpio_claim_alert, callback.
"""

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from car.hardware_conf import HardwareConf, Pca9685MotorsConf
from car.interfaces import Command
from car.motors.guarded_motors import MotorsBehindGuard
from common.errors import MotorsFailed
from tests.on_pi.outcomes import Failed, Missing, Skipped, summarize

_TICK_S = 0.02
_BUSY = "while True: pass"
_TOLERANCE_US = 100.0
_MOST_CHIPS = 10

Edge = tuple[int, float]
"""Level (1 or 0) and time in seconds."""


def measure_pulses(conf: HardwareConf, pin: int | None, seconds: float) -> dict[str, Any]:
    """Measure pulse widths, idle and busy, and how the pulses stop. Raises Missing, Skipped."""
    if pin is None:
        raise Skipped(
            "take the motor's battery out, connect GPIO 18 to another pin, such as GPIO 23, by a "
            "jumper wire, and add --loopback 23"
        )
    if isinstance(conf.motors, Pca9685MotorsConf):
        raise Missing("the pulses come from a PCA9685: only pins of the Pi can be measured")
    used = (conf.motors.steering.channel, conf.motors.throttle.channel)
    if pin in used:
        raise Missing(f"GPIO {pin} sends pulses itself: connect another pin")
    steering = conf.motors.steering
    centre_us, left_us = steering.centre_us, steering.left_us
    try:
        motors = MotorsBehindGuard(conf.motors)
    except MotorsFailed as error:
        raise Missing(str(error)) from error
    facts: dict[str, Any] = {"asked_us": centre_us, "driver": type(conf.motors).__name__}
    try:
        with recorded_edges(pin) as edges:
            command(motors, 0.0, seconds)
            facts["idle_us"] = summarize(widths_us(edges()))
            with busy_processes(2 * (os.cpu_count() or 1)):
                start_s = time.monotonic()
                command(motors, 0.0, seconds)
                facts["busy_us"] = summarize(widths_us(since(edges(), start_s)))
            motors.disarm()
            command(motors, -1.0, 1.0)
            silent_s = time.monotonic()
            time.sleep(1.0)
            facts["neutral_after_ms"] = stopped_after_ms(edges(), silent_s, left_us)
            os.kill(motors.pid, signal.SIGKILL)
            killed_s = time.monotonic()
            time.sleep(0.5)
            facts["last edge after the kill of the guard_ms"] = [
                round((moment_s - killed_s) * 1000, 1)
                for _, moment_s in since(edges(), killed_s)[-1:]
            ]
    finally:
        try:
            motors.close()
        except MotorsFailed as error:
            facts["at the end"] = str(error)
    if not facts["idle_us"]["count"]:
        raise Failed(f"no pulse arrives at GPIO {pin}: is it connected to GPIO 18?", facts)
    if abs(facts["idle_us"]["median"] - centre_us) > 0.05 * centre_us:
        raise Failed("the median pulse differs by more than 5 % from the one asked for", facts)
    return facts


def command(motors: MotorsBehindGuard, steering: float, seconds: float) -> None:
    """Send a command 50 times a second, throttle at neutral."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        motors.apply(Command(steering, 0.0))
        time.sleep(_TICK_S)


def widths_us(edges: Sequence[Edge]) -> list[float]:
    """Return the widths of the whole pulses."""
    return [
        (fall_s - rise_s) * 1e6
        for (before, rise_s), (after, fall_s) in pairwise(edges)
        if (before, after) == (1, 0)
    ]


def since(edges: Sequence[Edge], moment_s: float) -> list[Edge]:
    """Return the edges after that time."""
    return [edge for edge in edges if edge[1] >= moment_s]


def stopped_after_ms(edges: Sequence[Edge], moment_s: float, moving_us: float) -> float | None:
    """Return how long after that time the last pulse of about this width began; None: no pulse."""
    starts_s = [
        rise_s
        for (before, rise_s), (after, fall_s) in pairwise(edges)
        if (before, after) == (1, 0) and abs((fall_s - rise_s) * 1e6 - moving_us) < _TOLERANCE_US
    ]
    return round((starts_s[-1] - moment_s) * 1000, 1) if starts_s else None


@contextmanager
def recorded_edges(pin: int):
    """Record the edges of a pin; yield a function that returns them in time.monotonic()."""
    try:
        lgpio = importlib.import_module("lgpio")
    except ImportError as error:
        raise Missing("the library lgpio is missing: sudo apt install python3-lgpio") from error
    chip = _open_chip(lgpio)
    raw: list[tuple[int, int]] = []
    delays_ns: list[int] = []
    lock = threading.Lock()

    def record(_chip: int, _pin: int, level: int, tick_ns: int) -> None:
        with lock:
            delays_ns.append(time.monotonic_ns() - tick_ns)
            raw.append((level, tick_ns))

    def edges() -> list[Edge]:
        with lock:
            # Whichever clock the kernel uses: no edge is told before it happens.
            offset_ns = min(delays_ns, default=0)
            return [(level, (tick_ns + offset_ns) / 1e9) for level, tick_ns in raw if level < 2]

    try:
        lgpio.gpio_claim_alert(chip, pin, lgpio.BOTH_EDGES)
        told = lgpio.callback(chip, pin, lgpio.BOTH_EDGES, record)
        try:
            yield edges
        finally:
            told.cancel()
    finally:
        lgpio.gpiochip_close(chip)


def _open_chip(lgpio: Any) -> int:
    """Open the chip of the Pi's pins, whichever number the kernel gave it. Raises Missing."""
    for number in range(_MOST_CHIPS):
        try:
            chip = lgpio.gpiochip_open(number)
        except lgpio.error:
            continue
        _, _, _, label = lgpio.gpio_get_chip_info(chip)
        if str(label).startswith(("pinctrl-rp1", "pinctrl-bcm2")):
            return int(chip)
        lgpio.gpiochip_close(chip)
    raise Missing("no /dev/gpiochip of a Pi's pins: is the user in the group gpio?")


@contextmanager
def busy_processes(count: int):
    """Keep the processor busy."""
    processes = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
