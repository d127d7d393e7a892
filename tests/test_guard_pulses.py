"""The pulses that leave the pins, whatever ends a drive: the real guard and the real RPi.GPIO.

Full reverse is the shorter pulse here and neutral the longer one: a machine with much to do ends
pulses late and never early, so that neutral may be measured longer than it is asked for.
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
from math import inf
from pathlib import Path

import msgspec
import pytest

from car.hardware_conf import GpioMotors, Steering, Throttle
from car.realtime import GUARD
from tests.helpers import lateness
from tests.helpers.lateness import Lateness
from tests.helpers.waiting import wait_until
from tests.pi import bench
from tests.pi.pulses import Pulse, Pulses, widths

pytestmark = pytest.mark.slow

THROTTLE = 13
REVERSE_US, NEUTRAL_US, TOLERANCE_US = 700.0, 1700.0, 50.0
CONF = GpioMotors(
    steering=Steering(channel=18, left_us=1100, centre_us=1500, right_us=1900),
    throttle=Throttle(
        channel=THROTTLE, reverse_us=REVERSE_US, neutral_us=NEUTRAL_US, forward_us=2000
    ),
    longer_by_us=0,
    neutral_first_s=0.3,
)
STOPS_WITHIN_S = 0.25
TAKES_OVER_WITHIN_S = 0.45  # so long there is no answer, and then the pins have to be opened
SLACK_S = 0.15  # besides what the machine is late; the figures are in tests/benchmarks
HELD_S = 0.4

DRIVER = """
import json, os, select, sys, time
import msgspec
from car.motors.guarded_motors import MotorsBehindGuard
from car.hardware_conf import GpioMotors
from car.interfaces import Command
from common.errors import MotorsFailed

def say(**facts):
    print(json.dumps({"moment_s": time.monotonic()} | facts), flush=True)

wheels = MotorsBehindGuard(msgspec.json.decode(sys.argv[1], type=GpioMotors))
say(guard=wheels.pid)
doing, told, stopped = "go", b"", ""
try:
    while doing != "close":
        if select.select([0], [], [], 0.02)[0]:
            told += os.read(0, 4096)
            if b"\\n" not in told:
                break
            doing, _, told = told.decode().rpartition("\\n")[0], "", b""
        if doing == "go":
            wheels.apply(Command(0.0, -1.0))
        elif doing == "rest":
            wheels.disarm()
        if wheels.stop_reason != stopped:
            stopped = wheels.stop_reason
            say(stopped=stopped)
    wheels.close()
    say(closed=True)
except MotorsFailed as error:
    say(failed=str(error))
"""


@dataclass
class Driven:
    """A process that drives backwards through the guard, and what is seen of it."""

    seen: Pulses
    process: subprocess.Popen[bytes]
    late: Lateness
    guard: int = 0

    def tell(self, doing: str) -> float:
        """The driver does that from now on: go, rest, be quiet, close; returns the moment."""
        assert self.process.stdin is not None
        moment_s = time.monotonic()
        self.process.stdin.write(f"{doing}\n".encode())
        self.process.stdin.flush()
        return moment_s

    def says(self) -> dict[str, object]:
        """The next that the driver says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the driver said nothing more"
        facts: dict[str, object] = json.loads(line)
        return facts

    def goes_back(self, after_s: float | None = None) -> Pulse:
        """The first pulse of full reverse from now, or from `after_s` on."""
        return self.seen.wait_for(THROTTLE, REVERSE_US, 20, tolerance_us=300, after_s=after_s)

    def stands(self) -> float:
        """Return from when on ten pulses in a row were neutral; one alone may be a late other."""
        began_s = time.monotonic()

        def newest() -> list[Pulse]:
            return self.seen.since(began_s, THROTTLE)[-11:-1]  # the last may not have ended

        wait_until(
            lambda: [one.has(NEUTRAL_US, TOLERANCE_US, inf) for one in newest()] == [True] * 10
        )
        return newest()[-1].end_s

    def stopped_after_s(self, moment_s: float) -> float:
        """How long it took from that moment until the wheels stood."""
        stopped_s = self.seen.stopped_at(THROTTLE, NEUTRAL_US, TOLERANCE_US, moment_s, late_us=inf)
        return stopped_s - moment_s

    def stands_in_time(self, moment_s: float, within_s: float) -> None:
        """From that moment on it took so long until the wheels stood."""
        assert self.stopped_after_s(moment_s) <= within_s + SLACK_S + self.late.allowed_s

    def ends_at_neutral(self, moment_s: float, within_s: float) -> None:
        """From that moment on it took so long, neutral was held then, and the pulses have ended."""
        self.falls_silent()
        self.stands_in_time(moment_s, within_s)
        self.held_neutral(moment_s)

    def held_neutral(self, moment_s: float) -> None:
        """From that moment on neutral went out for long enough that an ESC has heard it."""
        neutral = self.neutral_since(moment_s)
        assert neutral, "no neutral at all"
        held_s = neutral[-1].start_s - neutral[0].start_s
        assert held_s >= HELD_S - self.late.worst_s, widths(neutral)

    def is_taken_over(self, moment_s: float) -> None:
        """From that moment on the guard moved nothing, and then the drive sent neutral."""
        self.falls_silent()
        pulses = self.seen.since(moment_s + 0.02, THROTTLE)
        moving = [one for one in pulses if not one.has(NEUTRAL_US, TOLERANCE_US, inf)]
        assert not moving, widths(moving)
        self.stands_in_time(moment_s, TAKES_OVER_WITHIN_S)
        self.held_neutral(moment_s)

    def neutral_since(self, moment_s: float) -> list[Pulse]:
        """The pulses from that moment on that are neutral."""
        pulses = self.seen.since(moment_s, THROTTLE)
        return [one for one in pulses if one.has(NEUTRAL_US, TOLERANCE_US, inf)]

    def falls_silent(self) -> None:
        """There has been no pulse for a while."""
        wait_until(lambda: not self.seen.since(time.monotonic() - 0.3, THROTTLE), 10)


@contextmanager
def driving(folder, conf: GpioMotors = CONF, *, as_root: bool = False) -> Iterator[Driven]:
    """It goes backwards."""
    pi = bench.pi(folder / "pi")
    given = [sys.executable, "-c", DRIVER, msgspec.json.encode(conf).decode()]
    with Pulses(pi) as seen, lateness.measured() as late:
        process = subprocess.Popen(
            pi.command(*given, as_root=as_root),
            env=bench.environment(pi),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        driven = Driven(seen, process, late)
        try:
            driven.guard = int(str(driven.says()["guard"]))
            driven.goes_back()
            yield driven
        finally:
            process.kill()
            process.communicate()
            if driven.guard:
                with suppress(ProcessLookupError):
                    os.kill(driven.guard, signal.SIGKILL)


def test_neutral_goes_out_first_and_for_long_enough(tmp_path):
    with driving(tmp_path) as driven:
        pulses = driven.seen.all(THROTTLE)
        moved = driven.goes_back(after_s=0)
    assert pulses[0].has(NEUTRAL_US, TOLERANCE_US, inf)
    assert moved.start_s - pulses[0].start_s >= CONF.neutral_first_s


def test_the_threads_that_time_the_pulses_go_first_too(tmp_path):
    """Else a busy machine ends pulses late, and what is to be neutral means throttle."""
    bench.needs_priority()
    with driving(tmp_path, as_root=True) as driven:
        assert [level_of(thread) for thread in threads_of(driven.guard)] == [GUARD] * 3
        os.kill(driven.guard, signal.SIGKILL)
        taker = driven.process.pid
        wait_until(lambda: len(threads_of(taker)) == 3)  # itself, and one for each pin
        assert [level_of(thread) for thread in threads_of(taker)] == [GUARD] * 3
        assert "the car is at neutral" in str(driven.says()["failed"])


def threads_of(process: int) -> list[int]:
    """The threads that it has now."""
    return [int(task.name) for task in Path(f"/proc/{process}/task").iterdir()]


def level_of(thread: int) -> int:
    """Its real-time priority, 0 for none."""
    return os.sched_getparam(thread).sched_priority


def test_a_drive_that_closes_its_motors_leaves_neutral_and_then_nothing(tmp_path):
    with driving(tmp_path) as driven:
        moment_s = driven.tell("close")
        driven.ends_at_neutral(moment_s, STOPS_WITHIN_S)
        assert driven.says()["closed"]


def test_a_drive_that_is_killed_leaves_neutral_and_then_nothing(tmp_path):
    with driving(tmp_path) as driven:
        moment_s = time.monotonic()
        driven.process.kill()
        driven.ends_at_neutral(moment_s, STOPS_WITHIN_S)


def test_a_drive_whose_end_of_the_pipe_closes_leaves_neutral_and_then_nothing(tmp_path):
    """It ends by itself, without a word to its motors."""
    with driving(tmp_path) as driven:
        assert driven.process.stdin is not None
        moment_s = time.monotonic()
        driven.process.stdin.close()
        driven.process.stdin = None
        driven.ends_at_neutral(moment_s, STOPS_WITHIN_S)


def test_a_drive_that_falls_silent_stands_until_it_says_that_it_is_not_armed(tmp_path):
    with driving(tmp_path) as driven:
        quiet_s = driven.tell("be quiet")
        assert driven.says()["stopped"] == "commands came too late"
        stood_s = driven.stands()
        driven.stands_in_time(quiet_s, STOPS_WITHIN_S)
        driven.tell("go")
        time.sleep(0.6)
        assert driven.stopped_after_s(stood_s) == 0, "it followed after it had stopped"
        driven.tell("rest")
        assert driven.says()["stopped"] == ""
        went_s = driven.tell("go")
        assert driven.goes_back(after_s=went_s)


def test_a_drive_that_is_held_up_stands(tmp_path):
    """Ctrl-Z, a debugger, a card that is busy for seconds."""
    with driving(tmp_path) as driven:
        moment_s = time.monotonic()
        driven.process.send_signal(signal.SIGSTOP)
        stood_s = driven.stands()
        wait_until(lambda: len(driven.neutral_since(stood_s)) > 10)  # neutral goes on
        driven.stands_in_time(moment_s, STOPS_WITHIN_S)
        driven.process.send_signal(signal.SIGCONT)
        assert driven.says()["stopped"] == "commands came too late"
        time.sleep(0.3)
        assert driven.stopped_after_s(stood_s) == 0, "it followed after it had stopped"


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1], ids=lambda n: n.name
)
def test_any_signal_to_the_guard_leaves_neutral_and_the_drive_is_told(number, tmp_path):
    with driving(tmp_path) as driven:
        driven.process.send_signal(signal.SIGSTOP)  # it is not to help
        moment_s = time.monotonic()
        os.kill(driven.guard, number)
        driven.ends_at_neutral(moment_s, STOPS_WITHIN_S)
        driven.process.send_signal(signal.SIGCONT)
        assert "; the car is at neutral" in str(driven.says()["failed"])


def test_a_guard_that_is_killed_takes_its_pulses_along_and_the_drive_sends_neutral(tmp_path):
    with driving(tmp_path) as driven:
        moment_s = time.monotonic()
        os.kill(driven.guard, signal.SIGKILL)
        assert driven.says()["failed"] == "the motors' guard has ended; the car is at neutral"
        driven.is_taken_over(moment_s)


def test_a_guard_that_is_held_up_is_killed_and_the_drive_sends_neutral(tmp_path):
    """Its pulses stop with it: a pin may stay high, which is no pulse to anything."""
    with driving(tmp_path) as driven:
        moment_s = time.monotonic()
        os.kill(driven.guard, signal.SIGSTOP)
        failed = driven.says()
        assert failed["failed"] == "the motors' guard does not answer; the car is at neutral"
        with pytest.raises(ProcessLookupError):
            os.kill(driven.guard, 0)
        driven.is_taken_over(moment_s)
