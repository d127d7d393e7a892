"""Whatever happens to the drive of a real car: the wheels stand in time, and nothing is lost."""

import os
import pty
import re
import resource
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from get_data.recording import journal
from tests.helpers.waiting import wait_until
from tests.pi.car import (
    CONF,
    THROTTLE,
    StoodAlready,
    driving,
    prepared,
    started,
)
from tests.pi.pad import FifoPad
from tests.pi.pulses import Pulses
from tests.pi.stopping import STOPS, Stop
from tests.test_recorder import assert_whole

pytestmark = pytest.mark.slow

SLACK_S = 0.15  # besides what the machine is late; the figures are in tests/benchmarks
ATTEMPTS = 3


def processes_of(folder):
    """Every process that works for a drive into that folder, its guard included."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(folder).encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().decode())
    return found


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.name)
def test_the_wheels_stand_in_time_and_everything_recorded_is_kept(tmp_path, stop):
    for attempt in range(ATTEMPTS):
        try:
            stands_in_time(tmp_path / str(attempt), stop)
        except StoodAlready:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return


def stands_in_time(folder, stop):
    folder.mkdir()
    with driving(folder, fault=stop.fault) as car:
        wait_until(lambda: car.pictures() >= 5)
        car.keep_going()
        taken = car.pictures()
        moment_s = stop.act(car)
        stopped_s = car.stopped_after_s(moment_s, looked_at_for_s=stop.looked_at_for_s)
        car.go_on()
        if stop.code is None:
            car.thumb.rest()
            if not car.pad.node.exists():
                car.pad.replug()
                time.sleep(0.8)
            car.pad.tap("A")
        code, said = car.ended()
    assert stopped_s <= stop.within_s + SLACK_S + car.late.allowed_s
    assert code == (stop.code or 0), said
    assert stop.says in (said.splitlines() or [""])[-1]
    wait_until(lambda: not processes_of(folder))
    journal.repair(car.folder)
    assert len(assert_whole(car.folder)) >= taken


def test_after_a_pad_came_back_menu_drives_on(tmp_path):
    with driving(tmp_path) as car:
        car.thumb.rest()
        car.pad.unplug()
        time.sleep(0.3)
        car.pad.replug(event=9)
        time.sleep(0.8)
        before_s = time.monotonic()
        car.pad.brake(1.0)
        time.sleep(0.3)
        assert not car.moved(before_s), "it drove without Menu"
        car.pad.tap("Menu")  # the trigger is pulled
        time.sleep(0.3)
        assert not car.moved(before_s), "it drove off at full throttle"
        car.go()
        car.pad.tap("A")
        code, said = car.ended()
    assert code == 0, said


ORDERS = {  # who goes on first, and how much later the other one
    "drive first": (("drive", "guard"), 0.03),
    "drive first, at once": (("drive", "guard"), 0.0),
    "guard first": (("guard", "drive"), 0.03),
}


@pytest.mark.parametrize("order", ORDERS)
def test_a_car_that_was_held_up_as_a_whole_stands_until_menu_is_pressed(tmp_path, order):
    """A frozen cgroup, a paused machine, a card that thrashes; the thumb stays on the trigger."""
    names, apart_s = ORDERS[order]
    with driving(tmp_path) as car:
        wait_until(lambda: car.pictures() >= 5)
        car.keep_going()
        pids = {"drive": car.process.pid, "guard": car.child("car.motors.guard")}
        for name in names:
            os.kill(pids[name], signal.SIGSTOP)
        time.sleep(0.6)
        first, other = names
        os.kill(pids[first], signal.SIGCONT)
        time.sleep(apart_s)
        os.kill(pids[other], signal.SIGCONT)
        # RPi.GPIO goes on with the pulses of before until the guard has said another thing.
        stood_s = car.stands()
        time.sleep(1.0)
        assert not car.moved(stood_s), "it drove on without Menu"
        if car.process.poll() is None:
            car.go()
            car.pad.tap("A")
        code, said = car.ended()
    if code:  # the guard went on so late that the drive took over
        assert "; the car is at neutral" in said.splitlines()[-1]
        return
    assert re.search(r"  stopped +\d+ times?: ", said)
    for label in assert_whole(car.folder).values():
        assert label["car_setting"]["run"]["gpio_library"].startswith("RPi.GPIO")


def test_a_pad_that_stays_away_ends_the_run_with_everything_kept(tmp_path):
    conf = {**CONF, "pad": {**CONF["pad"], "lost_s": 1.0}}
    with driving(tmp_path, conf=conf) as car:
        wait_until(lambda: car.pictures() >= 5)
        car.pad.unplug()
        code, said = car.ended()
        taken = car.pictures()
    assert code == 1
    assert re.search("has been gone for 1 s: plug it in and start again", said.splitlines()[-1])
    assert len(assert_whole(car.folder)) == taken >= 5


def test_a_disk_that_takes_nothing_more_ends_the_recording_and_not_the_drive(tmp_path):
    """Told at the end, with exit 1; everything before is in `labels.json`."""
    with driving(tmp_path) as car:
        wait_until(lambda: car.pictures() >= 5)
        writer = car.child("get_data.recording.writer")
        limit = resource.prlimit(writer, resource.RLIMIT_FSIZE)
        resource.prlimit(writer, resource.RLIMIT_FSIZE, (100, limit[1]))
        time.sleep(0.5)
        taken = car.pictures()
        car.keep_going()
        assert car.pictures() == taken
        resource.prlimit(writer, resource.RLIMIT_FSIZE, limit)
        car.pad.tap("A")
        code, said = car.ended()
    assert code == 1
    assert "recording stopped early: File too large" in said.splitlines()[-1]
    assert len(assert_whole(car.folder)) == taken


def _kills_the_writer_and_the_drive(car):
    os.kill(car.child("get_data.recording.writer"), signal.SIGKILL)
    car.signal(signal.SIGKILL)


KILLED = Stop("all but the guard is killed", _kills_the_writer_and_the_drive, 0, -signal.SIGKILL)
ENDS = [KILLED, *(stop for stop in STOPS if stop.code is not None and "hangs" not in stop.name)]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.name)
def test_a_second_drive_starts_at_once_whatever_ended_the_first(tmp_path, end):
    """On the same Pi, into the same folder, while the guard of the first still ends."""
    ready = prepared(tmp_path, fault=end.fault)
    with started(ready) as car:
        car.wait_for_motors()
        car.go()
        wait_until(lambda: car.pictures() >= 5)
        guard = car.child("guard")
        end.act(car)
        assert car.process.wait(30) == end.code
        if end.code == -signal.SIGKILL:
            os.kill(guard, 0)
        ends = []
        for _ in range(3):  # a guard that a busy machine holds up at the end counts as dead
            car.start_again(ready)
            taken = car.pictures()
            wait_until(lambda taken=taken: car.pictures() >= taken + 5)
            car.pad.tap("A")
            ends.append(car.ended())
            if "guard does not answer; the car is at neutral" not in ends[-1][1]:
                break
        code, said = ends[-1]
        assert code == 0, said
        assert ("repaired an interrupted recording" in ends[0][1]) == (end is KILLED)
        assert len(assert_whole(car.folder)) >= taken + 5
        wait_until(lambda: not processes_of(tmp_path))


def test_the_car_is_looked_at_before_the_first_pulse(tmp_path):
    """Red and blue are exchanged: it says so, and no pulse ever leaves."""
    ready = prepared(tmp_path)
    ready.camera.behaves("swap")
    with Pulses(ready.pi) as pulses, FifoPad(ready.pi):
        process = ready.start()
        _, said = process.communicate()
        assert pulses.all(THROTTLE) == []
    assert process.returncode == 1
    assert "camera   FAILED  red and blue are exchanged" in said
    assert said.splitlines()[-1] == "error: not ready to drive: camera; nothing has moved"
    assert not (tmp_path / "drive").exists()


def test_what_was_pressed_while_the_car_was_looked_at_does_not_count(tmp_path):
    with started(prepared(tmp_path)) as car:
        assert any("pad      ok" in line for line in car.process.stderr)
        car.pad.tap("Menu")
        for _ in range(200):  # more than one reading takes
            car.pad.tap("View")
        car.pad.tap("Y")
        car.wait_for_motors()
        assert any("motors   ok" in line for line in car.process.stderr)
        time.sleep(1.0)
        car.pad.brake(1.0)
        time.sleep(0.5)
        assert not car.moved(0), "it drove without Menu"
        car.go()
        wait_until(lambda: car.pictures() >= 5)  # so it is not paused
        car.pad.tap("A")
        code, said = car.ended()
    assert code == 0, said


SESSION = [f"--{key}=x" for key in ("event", "track", "track-type", "driver", "comment")]


@pytest.mark.parametrize(("answer", "drives"), [("n", False), ("", False), ("y", True)])
def test_a_terminal_is_asked_before_the_motors_come_on(tmp_path, answer, drives):
    ready = prepared(tmp_path, *SESSION)
    master, slave = pty.openpty()
    with Pulses(ready.pi) as pulses, FifoPad(ready.pi) as pad, ready.start(slave) as process:
        said = iter(process.stderr.readline, "")
        assert any("disk     ok" in line for line in said)
        time.sleep(0.5)
        assert pulses.all(THROTTLE) == []
        os.write(master, f"{answer}\n".encode())
        if drives:
            wait_until(lambda: pulses.all(THROTTLE))
            while process.poll() is None:  # what is pressed before the drive begins does not count
                pad.tap("A")
                time.sleep(0.1)
        rest = process.stderr.read()
        assert bool(pulses.all(THROTTLE)) == drives
    os.close(master)
    os.close(slave)
    assert "Are the wheels off the ground, or is the way free? [y/N]" in rest
    assert process.returncode == (0 if drives else 1)
    assert ("error: nothing was changed" in rest) == (not drives)
    assert (tmp_path / "drive").exists() == drives
