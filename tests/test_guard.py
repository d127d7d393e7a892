"""The guard and the motors behind it: whatever happens to the drive, the wheels end at neutral."""

import math
import os
import select
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager, suppress
from itertools import pairwise
from math import inf
from pathlib import Path

import pytest

import path
from car import hardware_conf
from car.clock import since_boot_s
from car.interfaces import COMMAND_TIMEOUT_S, NEUTRAL, Command
from car.motors import guarded_motors, wire
from car.motors.guard import _UNHANDLED_SIGNALS
from car.motors.guarded_motors import MotorsBehindGuard
from car.motors.watchdog import Watchdog
from car.motors.wire import GuardStatus, Message, SimulatedWheels
from common.errors import MotorsFailed
from tests.helpers import lateness
from tests.helpers.faults import before_anything
from tests.helpers.waiting import HANGS_S, wait_until
from tests.pi import bench

pytestmark = pytest.mark.new_interpreter  # its start is part of its safety

GO = Command(0.4, 0.5)
LEFT = Command(-1.0, 0.5)
WITHIN_S = 0.25  # docs/safety.md, for a dead or stuck drive
TAKES_OVER_WITHIN_S = 0.45  # docs/safety.md, for a guard that does not answer
SLACK_S = 0.15  # besides the machine's lateness; measured times are in tests/benchmarks


def armed(sent_s, command=GO):
    return Message(sent_s, armed=True, command=command)


def disarmed(sent_s):
    return Message(sent_s, armed=False, command=NEUTRAL)


def read_late(late_s, message):
    """Return the message and the time at which it is read."""
    return message, message.sent_s + late_s


def run_watchdog(*events):
    """Return a watchdog after these events: a message, a message read late, or a check."""
    watchdog = Watchdog()
    for event in events:
        match event:
            case Message():
                watchdog.receive(event, event.sent_s)
            case message, read_s:
                watchdog.receive(message, read_s)
            case moment_s:
                watchdog.check(moment_s)
    return watchdog


@pytest.mark.parametrize(
    ("events", "command", "status"),
    [
        ([], NEUTRAL, GuardStatus.FOLLOWING),
        ([5.0], NEUTRAL, GuardStatus.FOLLOWING),
        ([armed(1.0)], GO, GuardStatus.FOLLOWING),
        ([armed(1.0), 1.19], GO, GuardStatus.FOLLOWING),
        ([armed(1.0), 1.2], NEUTRAL, GuardStatus.TIMED_OUT),
        ([armed(1.0), armed(1.1), 1.25], GO, GuardStatus.FOLLOWING),
        ([armed(1.0), 1.3, armed(1.31)], NEUTRAL, GuardStatus.TIMED_OUT),
        ([armed(1.0), 1.3, armed(1.31), 9.0], NEUTRAL, GuardStatus.TIMED_OUT),
        ([armed(1.0), 1.3, disarmed(1.31)], NEUTRAL, GuardStatus.FOLLOWING),
        ([armed(1.0), 1.3, disarmed(1.31), armed(1.33)], GO, GuardStatus.FOLLOWING),
        ([armed(1.0), disarmed(1.1), 9.0], NEUTRAL, GuardStatus.FOLLOWING),
        ([armed(1.0), 1.5, armed(1.2), armed(1.4)], NEUTRAL, GuardStatus.TIMED_OUT),
        ([armed(1.0), armed(1.02, LEFT), 1.5], NEUTRAL, GuardStatus.TIMED_OUT),
        ([armed(1.0), armed(1.19)], GO, GuardStatus.FOLLOWING),
        ([armed(1.0), armed(1.2)], NEUTRAL, GuardStatus.TIMED_OUT),
        ([armed(1.0), armed(1.6), 1.61, armed(1.62)], NEUTRAL, GuardStatus.TIMED_OUT),
        ([armed(1.0), armed(1.6), 1.61, disarmed(1.62), armed(1.64)], GO, GuardStatus.FOLLOWING),
        (
            [armed(1.0), read_late(0.58, armed(1.02)), 1.6, armed(1.61)],
            NEUTRAL,
            GuardStatus.TIMED_OUT,
        ),
        (
            [
                armed(1.0),
                *(read_late(1.6 - sent_s, armed(sent_s)) for sent_s in (1.02, 1.1, 1.3, 1.59)),
            ],
            NEUTRAL,
            GuardStatus.TIMED_OUT,
        ),
        ([read_late(0.3, armed(1.0))], NEUTRAL, GuardStatus.TIMED_OUT),
        ([disarmed(1.0), read_late(0.6, armed(1.02)), armed(1.63)], NEUTRAL, GuardStatus.TIMED_OUT),
        ([armed(1.0), read_late(0.6, disarmed(1.02)), armed(1.63)], GO, GuardStatus.FOLLOWING),
        ([armed(1.0), (armed(9.0), 1.02), 1.5], NEUTRAL, GuardStatus.TIMED_OUT),
    ],
    ids=[
        "no message",
        "no message for long",
        "a command",
        "nearly too late",
        "too late",
        "the newest counts",
        "latched",
        "latched for good",
        "disarmed ends it",
        "and the next is followed",
        "a disarmed car may be silent",
        "commands that queued up",
        "the newest was long ago",
        "sent just in time",
        "sent too late, and not checked between",
        "both were held up, the drive resumes first",
        "after such a gap disarmed ends it too",
        "both were held up with a message in the pipe",
        "only the guard was held up",
        "the first is too old already",
        "the first of those armed is too old already",
        "disarmed counts however late it is read",
        "a message from the future",
    ],
)
def test_the_watchdog_decides(events, command, status):
    watchdog = run_watchdog(*events)
    assert (watchdog.command, watchdog.status) == (command, status)


def test_the_age_of_a_late_command_counts_from_when_it_was_sent():
    watchdog = run_watchdog(armed(1.0))
    assert watchdog.deadline_s == pytest.approx(1.0 + COMMAND_TIMEOUT_S)
    assert run_watchdog(armed(1.0), disarmed(1.1)).deadline_s == inf


class Wheels:
    """The other end of the simulated motors, which records the guard's messages."""

    def __init__(self):
        self.read_end, self.write_end = os.pipe()
        self.messages = []
        self._thread = threading.Thread(target=self._receive)
        self._thread.start()

    def _receive(self):
        while messages := wire.receive_commands(self.read_end):
            self.messages.extend(messages)

    @property
    def command(self):
        return self.messages[-1].command if self.messages else NEUTRAL

    def neutral_at(self, after_s):
        """Wait for neutral; return when the wheels came to it for good, after `after_s`."""
        wait_until(lambda: self.command == NEUTRAL)
        later = [message for message in self.messages if message.sent_s >= after_s]
        moving = [message.sent_s for message in later if message.command != NEUTRAL]
        return next(each.sent_s for each in later if each.sent_s > max(moving, default=0.0))

    def close(self):
        with suppress(OSError):
            os.close(self.write_end)
        self._thread.join(10)
        os.close(self.read_end)


@pytest.fixture
def late():
    with lateness.measured() as lateness_measured:
        yield lateness_measured


@pytest.fixture
def wheels():
    recorder = Wheels()
    yield recorder
    recorder.close()


@contextmanager
def driving(wheels):
    """Drive by guarded motors, with 50 commands a second, until the block ends."""
    motors = MotorsBehindGuard(SimulatedWheels(wheels.write_end), inherited_fds=(wheels.write_end,))
    over = threading.Event()

    def command():
        with suppress(MotorsFailed):
            while not over.wait(0.02):
                if motors.stop_reason:  # the machine is busy
                    motors.disarm()
                motors.apply(GO)

    thread = threading.Thread(target=command)
    thread.start()
    try:
        wait_until(lambda: wheels.command == GO)
        yield motors
    finally:
        over.set()
        thread.join()
        with suppress(MotorsFailed):
            motors.close()


def test_the_wheels_follow_and_end_at_neutral(wheels):
    motors = MotorsBehindGuard(SimulatedWheels(wheels.write_end), inherited_fds=(wheels.write_end,))
    assert motors.stop_reason == ""
    follow(motors, wheels, Command(0.4, 3.0), Command(0.4, 1.0))
    motors.disarm()
    wait_until(lambda: wheels.command == NEUTRAL)
    follow(motors, wheels, LEFT, LEFT)
    motors.close()
    motors.close()
    assert wheels.neutral_at(0) >= wheels.messages[0].sent_s
    assert not Path(f"/proc/{motors.pid}").exists()
    with pytest.raises(MotorsFailed, match="closed"):
        motors.apply(GO)


@pytest.mark.parametrize("broken", [Command(math.nan, 0.0), Command(0.0, math.nan)])
def test_nan_is_refused_before_it_reaches_the_guard(wheels, broken):
    with driving(wheels) as motors:
        with pytest.raises(ValueError, match="not a number"):
            motors.apply(broken)
        wait_until(lambda: not motors.stop_reason and wheels.command == GO)
    assert {message.command for message in wheels.messages} <= {NEUTRAL, GO}


def test_a_gap_stops_the_wheels_until_the_drive_disarms(wheels, late):
    motors = open_moving_motors(wheels)
    sent_s = since_boot_s()
    motors.apply(GO)
    wait_until(lambda: motors.stop_reason)
    assert motors.stop_reason == "commands came too late"
    assert wheels.neutral_at(0) - sent_s < WITHIN_S + SLACK_S + late.allowed_s
    for _ in range(10):
        motors.apply(GO)
        time.sleep(0.01)
    assert wheels.command == NEUTRAL
    motors.disarm()
    wait_until(lambda: not motors.stop_reason)
    follow(motors, wheels, GO, GO)
    motors.close()


DRIVE = """
    import ctypes, sys, time
    sys.path.insert(0, {root!r})
    from car.clock import since_boot_s
    from car.motors.guarded_motors import MotorsBehindGuard
    from car.interfaces import Command
    from car.motors.wire import SimulatedWheels
    motors = MotorsBehindGuard(SimulatedWheels({write_end}), inherited_fds=({write_end},))
    print("ready", motors.pid, flush=True)
    while True:
        time.sleep(0.02)
        if motors.stop_reason:
            print(motors.stop_reason, flush=True)
            motors.disarm()
        motors.apply(Command(0.4, 0.5))
        {stuck}
"""
HOLDS_THE_GIL = "ctypes.PyDLL(None).usleep(900_000) if since_boot_s() > {moment} else None"


@contextmanager
def drive_in_a_process(wheels, stuck="", drive=DRIVE):
    """Run a drive in a process of its own; yield it and the process id of its guard."""
    code = textwrap.dedent(drive).format(
        root=str(path.ROOT), write_end=wheels.write_end, stuck=stuck
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=(wheels.write_end,),
    )
    try:
        guard = int(process.stdout.readline().split()[1])
        wait_until(lambda: wheels.command == GO)
        yield process, guard
    finally:
        process.kill()
        process.communicate()
        wait_until(lambda: not Path(f"/proc/{guard}").exists())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGSTOP])
def test_a_drive_that_is_killed_or_stopped_leaves_the_wheels_at_neutral(wheels, number, late):
    with drive_in_a_process(wheels) as (process, _):
        sent_s = since_boot_s()
        process.send_signal(number)
        assert wheels.neutral_at(sent_s) - sent_s < WITHIN_S + SLACK_S + late.allowed_s


def test_a_resumed_drive_learns_of_the_stop_and_its_old_commands_are_ignored(wheels):
    with drive_in_a_process(wheels) as (process, _):
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: wheels.command == NEUTRAL)
        process.send_signal(signal.SIGCONT)
        assert process.stdout.readline() == "commands came too late\n"
        wait_until(lambda: wheels.command == GO)  # unlike a real drive, this one arms itself again


def test_a_drive_stuck_in_c_code_that_holds_the_gil_leaves_the_wheels_at_neutral(wheels, late):
    moment = since_boot_s() + 1.0
    with drive_in_a_process(wheels, HOLDS_THE_GIL.format(moment=moment)):
        wait_until(lambda: wheels.command == NEUTRAL)
        last_s = max(each.sent_s for each in wheels.messages if each.command == GO)
        assert wheels.neutral_at(moment) - max(last_s, moment) < WITHIN_S + SLACK_S + late.allowed_s


CLOCK = "from car.clock import since_boot_s; import time; print(since_boot_s() - time.monotonic())"


def test_time_asleep_counts_as_a_gap():
    """The clock of the commands includes the time asleep."""
    asleep = ["unshare", "-UrT", "--boottime", "1000"]  # as if it had slept for that many seconds
    if subprocess.run([*asleep, "true"], capture_output=True, check=False).returncode:
        bench.skip_or_fail("there are no namespaces for time here")
    slept_s = [
        float(subprocess.check_output([*prefix, sys.executable, "-c", CLOCK], cwd=path.ROOT))
        for prefix in ([], asleep)
    ]
    assert slept_s[1] - slept_s[0] == pytest.approx(1000, abs=100)


FROZEN_S = 0.5  # longer than the timeout of commands
INSISTENT_DRIVE = """
    import select, sys
    sys.path.insert(0, {root!r})
    from car.motors.guarded_motors import MotorsBehindGuard
    from car.interfaces import Command
    from car.motors.wire import SimulatedWheels
    from common.errors import MotorsFailed
    motors = MotorsBehindGuard(SimulatedWheels({write_end}), inherited_fds=({write_end},))
    print("ready", motors.pid, flush=True)
    insists = False
    try:
        while not (insists and motors.stop_reason):
            if not insists and select.select([0], [], [], 0.02)[0]:
                insists = sys.stdin.readline()
                print("insists", flush=True)
            elif insists:
                select.select([], [], [], 0.02)
            elif motors.stop_reason:
                motors.disarm()
            motors.apply(Command(0.4, 0.5))
        print(motors.stop_reason, flush=True)
    except MotorsFailed as error:
        print(error, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("order", ["drive first", "guard first", "drive first, at once"])
def test_a_drive_and_a_guard_that_were_held_up_together_leave_the_wheels_at_neutral(wheels, order):
    """As in a frozen cgroup or a paused machine: the drive itself sees no gap."""
    with drive_in_a_process(wheels, drive=INSISTENT_DRIVE) as (process, guard):
        process.stdin.write("insist\n")
        process.stdin.flush()
        assert process.stdout.readline() == "insists\n"
        both = [process.pid, guard] if order.startswith("drive") else [guard, process.pid]
        for pid in both:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(FROZEN_S)
        before = len(wheels.messages)
        os.kill(both[0], signal.SIGCONT)
        if not order.endswith("at once"):
            time.sleep(0.03)
        os.kill(both[1], signal.SIGCONT)
        # The drive takes over if it resumes early and the guard late.
        reason = process.stdout.readline()
        assert reason == "commands came too late\n" or reason.endswith("car is at neutral\n")
        wait_until(lambda: wheels.command == NEUTRAL)
        assert GO not in [message.command for message in wheels.messages[before:]]


CATCHABLE = sorted(signal.valid_signals() - _UNHANDLED_SIGNALS)


@pytest.mark.usefixtures("_late_answers_allowed")
@pytest.mark.parametrize("number", CATCHABLE[::6], ids=str)
def test_any_signal_ends_the_guard_at_neutral(wheels, number, late):
    motors = open_moving_motors(wheels)
    sent_s = since_boot_s()
    os.kill(motors.pid, number)
    with pytest.raises(MotorsFailed, match="has ended; the car is at neutral"):
        _apply_until_it_fails(motors)
    assert wheels.neutral_at(sent_s) - sent_s < WITHIN_S + SLACK_S + late.allowed_s


def open_moving_motors(wheels):
    """Open motors behind a guard, and wait until they move."""
    motors = MotorsBehindGuard(SimulatedWheels(wheels.write_end), inherited_fds=(wheels.write_end,))
    follow(motors, wheels, GO, GO)
    return motors


def follow(motors, wheels, command, expected):
    """Apply the command until the wheels do what is `expected`, as a busy machine may be late."""

    def follows():
        if motors.stop_reason:
            motors.disarm()
        motors.apply(command)
        return wheels.command == expected

    wait_until(follows)


def _apply_until_it_fails(motors):
    deadline_s = time.monotonic() + HANGS_S
    while time.monotonic() < deadline_s:
        motors.apply(GO)
        time.sleep(0.02)


@pytest.fixture
def _late_answers_allowed(monkeypatch):
    """For guards that exit: on a busy machine they may seem not to answer before."""
    monkeypatch.setattr(guarded_motors, "_STATUS_TIMEOUT_S", HANGS_S)


@pytest.mark.usefixtures("_late_answers_allowed")
def test_a_guard_that_is_killed_is_noticed_and_the_wheels_are_stopped_without_it(wheels, late):
    motors = open_moving_motors(wheels)
    os.kill(motors.pid, signal.SIGKILL)
    killed_s = since_boot_s()
    with pytest.raises(MotorsFailed, match="has ended; the car is at neutral"):
        _apply_until_it_fails(motors)
    assert wheels.neutral_at(killed_s) - killed_s < WITHIN_S + SLACK_S + late.allowed_s
    motors.close()


def test_a_guard_that_does_not_answer_is_killed_and_the_wheels_are_stopped_without_it(wheels, late):
    motors = open_moving_motors(wheels)
    os.kill(motors.pid, signal.SIGSTOP)
    stopped_s = since_boot_s()
    with pytest.raises(MotorsFailed, match="does not answer; the car is at neutral"):
        _apply_until_it_fails(motors)
    assert wheels.neutral_at(stopped_s) - stopped_s < TAKES_OVER_WITHIN_S + SLACK_S + late.allowed_s
    assert not Path(f"/proc/{motors.pid}").exists()
    motors.close()


def test_a_drive_that_ends_while_its_guard_does_not_answer_leaves_the_wheels_at_neutral(
    wheels, late
):
    motors = open_moving_motors(wheels)
    os.kill(motors.pid, signal.SIGSTOP)
    stopped_s = since_boot_s()
    with pytest.raises(MotorsFailed, match="does not answer; the car is at neutral"):
        motors.close()
    assert wheels.neutral_at(stopped_s) - stopped_s < TAKES_OVER_WITHIN_S + SLACK_S + late.allowed_s


@pytest.mark.usefixtures("_late_answers_allowed")
def test_closing_after_the_guard_has_exited_normally_is_no_failure(wheels):
    motors = open_moving_motors(wheels)
    os.kill(motors.pid, signal.SIGTERM)
    wait_until(lambda: wheels.command == NEUTRAL)
    motors.close()


@pytest.mark.usefixtures("_late_answers_allowed")
def test_a_library_that_crashes_while_python_ends_is_no_failure(wheels, tmp_path, monkeypatch):
    """As lgpio 0.2.2 does under Python 3.13, after all is done."""
    crash = """
        import atexit, os, signal, sys
        if "car.motors.guard" in sys.orig_argv:
            atexit.register(os.kill, os.getpid(), signal.SIGSEGV)
    """
    before_anything(monkeypatch, tmp_path, textwrap.dedent(crash))
    motors = open_moving_motors(wheels)
    motors.close()
    assert wheels.command == NEUTRAL


def test_a_killed_guard_that_does_not_die_is_not_waited_for(wheels, monkeypatch, late):
    """It may be inside a system call that cannot be interrupted."""
    motors = open_moving_motors(wheels)
    monkeypatch.setattr(guarded_motors, "_KILL_TIMEOUT_S", 0.2)
    monkeypatch.setattr(motors._guard, "kill", lambda: os.kill(motors.pid, signal.SIGSTOP))
    os.kill(motors.pid, signal.SIGSTOP)
    stopped_s = since_boot_s()
    with pytest.raises(MotorsFailed, match="does not answer; the car is at neutral"):
        _apply_until_it_fails(motors)
    assert (
        wheels.neutral_at(stopped_s) - stopped_s
        < TAKES_OVER_WITHIN_S + 0.2 + SLACK_S + late.allowed_s
    )
    os.kill(motors.pid, signal.SIGKILL)
    motors._guard.communicate()


def test_a_drive_that_was_held_up_gives_its_guard_time_to_answer(wheels, monkeypatch):
    """Whatever held up the drive may have held up the guard."""
    motors = open_moving_motors(wheels)
    motors.disarm()
    wait_until(lambda: not motors.stop_reason and not motors._unanswered)
    os.kill(motors.pid, signal.SIGSTOP)
    for _ in range(3):
        motors.apply(GO)
        time.sleep(0.15)
    os.kill(motors.pid, signal.SIGCONT)
    motors.disarm()
    wait_until(lambda: wheels.command == NEUTRAL)
    monkeypatch.setattr(guarded_motors, "_STATUS_TIMEOUT_S", HANGS_S)  # not what is tested
    motors.close()


def test_a_guard_that_does_not_get_ready_is_killed(tmp_path, monkeypatch):
    stuck = tmp_path / "python"
    stuck.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\nexec sleep 60\n")
    stuck.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(stuck))
    monkeypatch.setattr(guarded_motors, "_START_TIMEOUT_S", 0.5)
    with pytest.raises(MotorsFailed, match=r"not ready after 0\.5 s"):
        MotorsBehindGuard(SimulatedWheels(1))
    if (tmp_path / "pid").exists():  # a busy machine may not have started it
        assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_a_drive_that_was_held_up_does_not_take_its_guard_for_dead(wheels):
    """Its answers are in the pipe; only the drive has not read them."""
    motors = open_moving_motors(wheels)
    time.sleep(0.8)
    motors.apply(GO)
    wait_until(lambda: motors.stop_reason)
    assert motors.stop_reason == "commands came too late"
    motors.close()


def test_motors_that_cannot_be_opened_are_reported_in_one_line():
    conf = hardware_conf.read(path.HARDWARE_CONF).motors
    with pytest.raises(MotorsFailed, match=r"RPi\.GPIO") as caught:
        MotorsBehindGuard(conf)
    assert "\n" not in str(caught.value)


def loaded_by(module):
    """Return the names of all modules that are loaded after an import."""
    code = f"import {module}, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=path.ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_guard_starts_without_what_only_the_drive_needs():
    assert {"numpy", "cv2", "inputs", "picamera2"} & loaded_by("car.motors.guard") == set()


def test_the_drive_does_not_import_the_program_of_the_guard():
    assert "car.motors.guard" not in loaded_by("car.motors.guarded_motors")


def test_the_wire_loads_no_driver():
    modules = {name for name in loaded_by("car.motors.wire") if name.startswith("car.motors.")}
    assert modules == {"car.motors.wire"}


def test_the_guard_sends_only_changes_to_a_simulated_car(wheels):
    """The guard writes only changes, so the pipe to the wheels never fills."""
    with driving(wheels):
        time.sleep(0.3)
        wait_until(lambda: not select.select([wheels.read_end], [], [], 0)[0])
        commands = [message.command for message in wheels.messages]
        assert all(before != after for before, after in pairwise(commands))
