"""Pulses on the pins when a drive ends, with the real guard and the real libraries for the pins.

A pulse is judged by the width that the library asked its timer for: a busy machine makes those of
RPi.GPIO longer, and those of rpi-lgpio longer or shorter.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from car.hardware_conf import GpioMotorsConf, SteeringConf, ThrottleConf
from car.realtime import GUARD
from tests.helpers import lateness
from tests.helpers.lateness import Lateness
from tests.helpers.waiting import HANGS_S, wait_until
from tests.pi import bench
from tests.pi.libraries import BY_REGISTERS, GPIO_LIBRARIES, GpioLibrary
from tests.pi.pulses import Pulse, Pulses, format_widths

pytestmark = pytest.mark.slow

THROTTLE = 13
REVERSE_US, NEUTRAL_US = 700.0, 1700.0
CONF = GpioMotorsConf(
    steering=SteeringConf(channel=18, left_us=1100, centre_us=1500, right_us=1900),
    throttle=ThrottleConf(
        channel=THROTTLE, reverse_us=REVERSE_US, neutral_us=NEUTRAL_US, forward_us=2000
    ),
    longer_by_us=0,
    neutral_first_s=0.3,
)
STOPS_WITHIN_S = 0.25
TAKES_OVER_WITHIN_S = 0.45  # the timeout of an answer, and opening the pins
SLACK_S = 0.15  # besides the machine's lateness; measured times are in tests/benchmarks
HELD_S = 0.4
FIRST_PULSE_S = 0.04  # for which lgpio waits until a period of its clock begins


@pytest.fixture(params=GPIO_LIBRARIES, ids=str)
def library(request):
    return request.param


DRIVER = """
import json, os, select, sys, time
import msgspec
from car.motors.guarded_motors import MotorsBehindGuard
from car.hardware_conf import GpioMotorsConf
from car.interfaces import Command
from common.errors import MotorsFailed

def say(**facts):
    print(json.dumps({"moment_s": time.monotonic()} | facts), flush=True)

wheels = MotorsBehindGuard(msgspec.json.decode(sys.argv[1], type=GpioMotorsConf))
say(guard=wheels.pid)
action, received, stop_reason = "go", b"", ""
try:
    while action != "close":
        if select.select([0], [], [], 0.02)[0]:
            received += os.read(0, 4096)
            if b"\\n" not in received:
                break
            action, _, received = received.decode().rpartition("\\n")[0], "", b""
        if action == "go":
            wheels.apply(Command(0.0, -1.0))
        elif action == "rest":
            wheels.disarm()
        if wheels.stop_reason != stop_reason:
            stop_reason = wheels.stop_reason
            say(stopped=stop_reason)
    wheels.close()
    say(closed=True)
except MotorsFailed as error:
    say(failed=str(error))
"""


@dataclass
class Driven:
    """A process that drives backwards through the guard, and its pulses."""

    seen: Pulses
    process: subprocess.Popen[bytes]
    late: Lateness
    guard: int = 0

    def tell(self, action: str) -> float:
        """Make the driver go, rest, be quiet or close; return the time."""
        assert self.process.stdin is not None
        moment_s = time.monotonic()
        self.process.stdin.write(f"{action}\n".encode())
        self.process.stdin.flush()
        return moment_s

    def next_report(self) -> dict[str, object]:
        """Return the next report of the driver."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the driver has exited"
        facts: dict[str, object] = json.loads(line)
        return facts

    def wait_for_reverse(self, after_s: float | None = None) -> Pulse:
        """Wait for a pulse of full reverse from now, or after `after_s`, and return it."""
        return self.seen.wait_for(THROTTLE, REVERSE_US, HANGS_S, after_s=after_s)

    def wait_until_standing(self) -> float:
        """Wait for ten neutral pulses in a row and return their end."""
        start_s = time.monotonic()

        def newest() -> list[Pulse]:
            return self.seen.since(start_s, THROTTLE)[-11:-1]  # the last may not have ended

        wait_until(lambda: [pulse.has(NEUTRAL_US) for pulse in newest()] == [True] * 10)
        return newest()[-1].end_s

    def stop_delay_s(self, moment_s: float) -> float:
        """Return the delay from that time until the wheels stopped."""
        return self.seen.stopped_at(THROTTLE, NEUTRAL_US, moment_s) - moment_s

    def check_stopped(self, moment_s: float, within_s: float) -> None:
        """Check that the wheels stopped within that time."""
        assert self.stop_delay_s(moment_s) <= within_s + SLACK_S + self.late.allowed_s

    def check_end(self, moment_s: float, within_s: float) -> None:
        """Check that the wheels stopped, neutral was held, and the pulses have ended."""
        self.wait_for_silence()
        self.check_stopped(moment_s, within_s)
        self.check_neutral_held(moment_s)

    def check_neutral_held(self, moment_s: float) -> None:
        """Check that neutral was sent for long enough that an ESC follows it."""
        neutral = self.neutral_since(moment_s)
        assert neutral, "no neutral at all"
        held_s = neutral[-1].start_s - neutral[0].start_s
        assert held_s >= HELD_S - self.late.worst_s, format_widths(neutral)

    def check_taken_over(self, moment_s: float) -> None:
        """Check that the guard moved nothing from then on, and the drive sent neutral."""
        self.wait_for_silence()
        pulses = self.seen.since(moment_s + 0.02, THROTTLE)
        moving = [pulse for pulse in pulses if not pulse.has(NEUTRAL_US)]
        assert not moving, format_widths(moving)
        self.check_stopped(moment_s, TAKES_OVER_WITHIN_S)
        self.check_neutral_held(moment_s)

    def neutral_since(self, moment_s: float) -> list[Pulse]:
        """Return the neutral pulses from that time on."""
        pulses = self.seen.since(moment_s, THROTTLE)
        return [pulse for pulse in pulses if pulse.has(NEUTRAL_US)]

    def wait_for_silence(self) -> None:
        """Wait until the pulses have ended."""
        wait_until(lambda: not self.seen.since(time.monotonic() - 0.3, THROTTLE), 10)


@contextmanager
def driving(
    folder: Path, library: GpioLibrary = BY_REGISTERS, *, as_root: bool = False
) -> Iterator[Driven]:
    """Drive backwards within the block."""
    pi = bench.create_pi(folder / "pi", library)
    command = [sys.executable, "-c", DRIVER, msgspec.json.encode(CONF).decode()]
    with Pulses(pi) as seen, lateness.measured() as late:
        process = subprocess.Popen(
            pi.command(*command, as_root=as_root),
            env=bench.environment(pi),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        driven = Driven(seen, process, late)
        try:
            driven.guard = int(str(driven.next_report()["guard"]))
            driven.wait_for_reverse()
            yield driven
        finally:
            process.kill()
            process.communicate()
            if driven.guard:
                with suppress(ProcessLookupError):
                    os.kill(driven.guard, signal.SIGKILL)


def test_neutral_is_sent_first_and_for_long_enough(library, tmp_path):
    with driving(tmp_path, library) as driven:
        moved = driven.wait_for_reverse(after_s=0)
        pulses = driven.seen.all(THROTTLE)
    before = pulses[: pulses.index(moved)]
    assert all(pulse.has(NEUTRAL_US) for pulse in before), format_widths(before)
    sent_s = moved.start_s - before[0].start_s
    assert sent_s >= CONF.neutral_first_s - FIRST_PULSE_S - driven.late.allowed_s


THREADS = {  # besides the process itself
    "RPi.GPIO": 2,  # one for each pin
    "rpi-lgpio": 3,  # one for pulses, two for levels that change
}


def test_the_threads_that_time_the_pulses_have_priority_too(library, tmp_path):
    """Otherwise a busy machine ends pulses late, and neutral becomes throttle."""
    bench.require_realtime_priority()
    count = 1 + THREADS[library.name]
    with driving(tmp_path, library, as_root=True) as driven:
        assert [level_of(thread) for thread in threads_of(driven.guard)] == [GUARD] * count
        os.kill(driven.guard, signal.SIGKILL)
        taker = driven.process.pid
        wait_until(lambda: len(threads_of(taker)) == count)
        assert [level_of(thread) for thread in threads_of(taker)] == [GUARD] * count
        assert "the car is at neutral" in str(driven.next_report()["failed"])


def threads_of(process: int) -> list[int]:
    """Return the ids of its threads."""
    return [int(task.name) for task in Path(f"/proc/{process}/task").iterdir()]


def level_of(thread: int) -> int:
    """Return its real-time priority, 0 for none."""
    return os.sched_getparam(thread).sched_priority


def test_a_drive_that_closes_its_motors_leaves_neutral_and_then_nothing(library, tmp_path):
    with driving(tmp_path, library) as driven:
        moment_s = driven.tell("close")
        driven.check_end(moment_s, STOPS_WITHIN_S)
        assert driven.next_report()["closed"]


def test_a_drive_that_is_killed_leaves_neutral_and_then_nothing(library, tmp_path):
    with driving(tmp_path, library) as driven:
        moment_s = time.monotonic()
        driven.process.kill()
        driven.check_end(moment_s, STOPS_WITHIN_S)


def test_a_drive_whose_end_of_the_pipe_closes_leaves_neutral_and_then_nothing(library, tmp_path):
    """It exits without closing its motors."""
    with driving(tmp_path, library) as driven:
        assert driven.process.stdin is not None
        moment_s = time.monotonic()
        driven.process.stdin.close()
        driven.process.stdin = None
        driven.check_end(moment_s, STOPS_WITHIN_S)


def test_a_drive_that_stops_sending_is_stopped_until_it_disarms(library, tmp_path):
    with driving(tmp_path, library) as driven:
        quiet_s = driven.tell("be quiet")
        assert driven.next_report()["stopped"] == "commands came too late"
        stood_s = driven.wait_until_standing()
        driven.check_stopped(quiet_s, STOPS_WITHIN_S)
        driven.tell("go")
        time.sleep(0.6)
        assert driven.stop_delay_s(stood_s) == 0, "it followed after it had stopped"
        driven.tell("rest")
        assert driven.next_report()["stopped"] == ""
        went_s = driven.tell("go")
        assert driven.wait_for_reverse(after_s=went_s)


def test_a_drive_that_is_held_up_is_stopped(library, tmp_path):
    """By Ctrl-Z, a debugger, or a card that is busy for seconds."""
    with driving(tmp_path, library) as driven:
        moment_s = time.monotonic()
        driven.process.send_signal(signal.SIGSTOP)
        stood_s = driven.wait_until_standing()
        wait_until(lambda: len(driven.neutral_since(stood_s)) > 10)  # neutral goes on
        driven.check_stopped(moment_s, STOPS_WITHIN_S)
        driven.process.send_signal(signal.SIGCONT)
        assert driven.next_report()["stopped"] == "commands came too late"
        time.sleep(0.3)
        assert driven.stop_delay_s(stood_s) == 0, "it followed after it had stopped"


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1], ids=lambda n: n.name
)
def test_any_signal_to_the_guard_leaves_neutral_and_the_drive_notices(number, library, tmp_path):
    with driving(tmp_path, library) as driven:
        driven.process.send_signal(signal.SIGSTOP)  # so that it cannot take over
        moment_s = time.monotonic()
        os.kill(driven.guard, number)
        driven.check_end(moment_s, STOPS_WITHIN_S)
        driven.process.send_signal(signal.SIGCONT)
        assert "; the car is at neutral" in str(driven.next_report()["failed"])


def test_a_guard_that_is_killed_takes_its_pulses_along_and_the_drive_sends_neutral(
    library, tmp_path
):
    with driving(tmp_path, library) as driven:
        moment_s = time.monotonic()
        os.kill(driven.guard, signal.SIGKILL)
        assert "has ended; the car is at neutral" in str(driven.next_report()["failed"])
        driven.check_taken_over(moment_s)


def test_a_guard_that_is_held_up_is_killed_and_the_drive_sends_neutral(library, tmp_path):
    """Its pulses end with it; a pin that stays high is no pulse."""
    with driving(tmp_path, library) as driven:
        moment_s = time.monotonic()
        os.kill(driven.guard, signal.SIGSTOP)
        failed = driven.next_report()
        assert "does not answer; the car is at neutral" in str(failed["failed"])
        with pytest.raises(ProcessLookupError):
            os.kill(driven.guard, 0)
        driven.check_taken_over(moment_s)
