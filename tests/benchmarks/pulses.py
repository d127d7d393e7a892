"""How wide the pulses of each driver are, on the machine as it is and with both cores busy.

python -m tests.benchmarks.pulses

The real libraries for the pins, in a Pi made of a namespace, and the hardware PWM with the kernel's
files played: how much longer or shorter than asked the pulses of two pins are, and those of a
thread that only sleeps, which is what the machine makes of any library. Priority is that of the
guard's process, for which root starts the Pi. The machine is as idle as the others leave it: the
load is printed.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import msgspec

import path
from car.hardware_conf import GpioMotorsConf, PwmMotorsConf, SteeringConf, ThrottleConf
from get_data.cli import arguments
from tests.pi import bench, libraries, namespace, pwm
from tests.pi.libraries import GPIO_LIBRARIES, GpioLibrary
from tests.pi.pulses import Pulse, Pulses

STEERING, THROTTLE = 18, 13
CONF = GpioMotorsConf(
    steering=SteeringConf(channel=STEERING, left_us=1100, centre_us=1500, right_us=1900),
    throttle=ThrottleConf(channel=THROTTLE, reverse_us=1000, neutral_us=1500, forward_us=2000),
    longer_by_us=0,
)
PWM_CONF = PwmMotorsConf(steering=CONF.steering, throttle=CONF.throttle, throttle_driver="pwm")
SETTLES_S = 0.2
NEAR = 0.05  # the share of its width by which a pulse may be wrong
DRIVE = """
import sys, time
from contextlib import closing, nullcontext
import msgspec
from car.hardware_conf import GpioMotorsConf, PwmMotorsConf
from car.interfaces import Command
from car.motors.drivers import open_motors
from car.realtime import GUARD, priority
conf = msgspec.json.decode(sys.argv[1], type=GpioMotorsConf | PwmMotorsConf)
with priority(GUARD, inherited=True) if sys.argv[3] else nullcontext():
    with closing(open_motors(conf)) as wheels:
        wheels.apply(Command(-1, 0))
        print(time.monotonic(), flush=True)
        time.sleep(float(sys.argv[2]))
        print(time.monotonic(), flush=True)
"""
SLEEP = """
import ctypes, sys
from contextlib import nullcontext
from car.realtime import GUARD, priority
_, library, name, seconds, has_priority = sys.argv
count = int(float(seconds) * 50)
widths_ns = (ctypes.c_int64 * count)()
with priority(GUARD) if has_priority else nullcontext():
    on_ns, off_ns = ctypes.c_int64(1_500_000), ctypes.c_int64(18_500_000)
    ctypes.CDLL(library)[name](on_ns, off_ns, count, widths_ns)
print(*widths_ns)
"""


def burn() -> None:
    """Keep a core busy."""
    while True:
        sum(range(1000))


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep so many cores busy within the block."""
    context = multiprocessing.get_context("spawn")
    burning = [context.Process(target=burn, daemon=True) for _ in range(processes)]
    for each in burning:
        each.start()
    try:
        yield
    finally:
        for each in burning:
            each.kill()


def drive(
    pi: namespace.Pi,
    conf: GpioMotorsConf | PwmMotorsConf,
    environment: dict[str, str],
    *,
    seconds: float,
    has_priority: bool,
) -> tuple[float, float]:
    """Steer left, with neutral throttle, for so long; return begin and end."""
    code = [sys.executable, "-c", DRIVE, msgspec.json.encode(conf).decode(), seconds]
    sent = subprocess.run(
        pi.command(*code, "1" * has_priority, as_root=has_priority),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    begin_s, end_s = map(float, sent.stdout.split())
    return begin_s + SETTLES_S, end_s


def by_library(library: GpioLibrary, *, seconds: float, has_priority: bool) -> list[Pulse]:
    """Return the pulses of both pins by a library that times them."""
    with tempfile.TemporaryDirectory(prefix="patate-pulses-") as folder:
        pi = bench.create_pi(Path(folder, "pi"), library)
        with Pulses(pi) as seen:
            begin_s, end_s = drive(
                pi, CONF, bench.environment(pi), seconds=seconds, has_priority=has_priority
            )
            pulses = [*seen.since(begin_s, STEERING), *seen.since(begin_s, THROTTLE)]
    return [pulse for pulse in pulses if pulse.start_s < end_s and pulse.asked_us]


def by_pwm(*, seconds: float, has_priority: bool) -> list[Pulse]:
    """Return the pulses of both pins by the hardware PWM, as the kernel was told them."""
    with tempfile.TemporaryDirectory(prefix="patate-pulses-") as folder:
        pi = namespace.create_pi(Path(folder, "pi"))
        chip = pwm.add_chip(pi, pwm.PI_5, channels=4)
        environment = os.environ | pwm.environment(pi) | {"PYTHONPATH": str(path.ROOT)}
        begin_s, end_s = drive(
            pi, PWM_CONF, environment, seconds=seconds, has_priority=has_priority
        )
        asked_us = {2: 1100.0, 1: 1500.0}  # by channel
        pulses = [
            Pulse(pulse.start_s, pulse.width_us, 0.0, asked_us[channel])
            for channel in asked_us
            for pulse in chip.pulses(channel, end_s)
        ]
    return [pulse for pulse in pulses if begin_s < pulse.start_s < end_s]


def by_sleeps(name: str, *, seconds: float, has_priority: bool) -> list[Pulse]:
    """Return the pulses of a thread that only sleeps, as wide as those of the throttle."""
    sent = subprocess.run(
        [sys.executable, "-c", SLEEP, libraries.sleeps(), name, f"{seconds}", "1" * has_priority],
        env=os.environ | {"PYTHONPATH": str(path.ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return [Pulse(0.0, int(width_ns) / 1e3, 0.0, 1500.0) for width_ns in sent.stdout.split()]


def row(name: str, *, cores: int, has_priority: bool, pulses: Sequence[Pulse]) -> str:
    """Return a line of the table: how much wider than asked the pulses were."""
    asked_us = [pulse.asked_us or 0.0 for pulse in pulses]
    longer_us = [pulse.width_us - asked for pulse, asked in zip(pulses, asked_us, strict=True)]
    near = sum(abs(us) <= NEAR * asked for us, asked in zip(longer_us, asked_us, strict=True))
    longer_us.sort()
    count = len(longer_us)
    shown = (*(longer_us[count * each // 100] for each in (0, 1, 50, 99)), longer_us[-1])
    return (
        f"| {name} | {'busy' if cores else 'as it is'} | {'guard' if has_priority else 'none'} "
        f"| {count} | {' | '.join(f'{us:.0f}' for us in shown)} "
        f"| {100 * near / count:.0f} % | {os.getloadavg()[0]:.0f} |"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each row")
    args = parser.parse_args(argv)
    print(  # noqa: T201
        "| timed by | machine | priority | pulses | shortest us | p1 | p50 | p99 | longest "
        "| within 5 % | load |\n|---|---|---|---|---|---|---|---|---|---|---|"
    )
    priorities = (False, True) if os.geteuid() == 0 else (False,)
    for cores, has_priority in product((0, os.cpu_count() or 1), priorities):
        how = {"seconds": args.seconds, "has_priority": has_priority}
        with busy(cores):
            found = {each.name: by_library(each, **how) for each in GPIO_LIBRARIES}
            found["hardware PWM"] = by_pwm(**how)
            found["sleeps, as RPi.GPIO"] = by_sleeps("sleep_for", **how)
            found["sleeps, as lgpio"] = by_sleeps("sleep_until", **how)
        for name, pulses in found.items():
            print(  # noqa: T201
                row(name, cores=cores, has_priority=has_priority, pulses=pulses), flush=True
            )


if __name__ == "__main__":
    sys.exit(main())
