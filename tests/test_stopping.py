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

from get_data.recording import merge
from tests.helpers.waiting import wait_until
from tests.helpers.wholeness import assert_whole
from tests.pi.car import (
    CONF,
    NEUTRAL_US,
    PWM_CONF,
    REVERSE_US,
    THROTTLE,
    GuardLate,
    driving,
    guard_was_late,
    prepare_drive,
    retry_if_guard_late,
    start_drive,
)
from tests.pi.libraries import BY_GPIOCHIP, BY_REGISTERS, GPIO_LIBRARIES
from tests.pi.stopping import STOPS, Stop

pytestmark = pytest.mark.slow

SLACK_S = 0.15  # besides the machine's lateness; measured times are in tests/benchmarks
RATE = ("--rate", "10")  # enough, and a busy machine keeps it


def processes_of(folder):
    """Return the command lines of all processes of a drive into that folder, guard included."""
    command_lines = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(folder).encode() in (process / "environ").read_bytes():
                command_lines.append((process / "cmdline").read_bytes().decode())
    return command_lines


def _kill_writer_and_drive(car):
    moment_s = time.monotonic()
    os.kill(car.child_pid("get_data.recording.writer"), signal.SIGKILL)
    car.signal(signal.SIGKILL)
    return moment_s


KILLED = Stop("all but the guard is killed", _kill_writer_and_drive, 0.25, -signal.SIGKILL)
# Told to end, a drive ends as with A.
SAME_AS_A = ("(SIGTERM)", "(SIGHUP)")
ENDS = [
    KILLED,
    *(
        stop
        for stop in STOPS
        if stop.exit_code is not None
        and "hangs" not in stop.name
        and not stop.name.endswith(SAME_AS_A)
    ),
]


def assert_in_time(stop, stopped_s, late):
    assert stopped_s <= stop.within_s + SLACK_S + late.allowed_s


def assert_reported(stop, code, stderr):
    """Check the exit code and the last line.

    Raises:
        GuardLate: the guard of a busy machine answered too late, and that is reported instead.
    """
    last = (stderr.splitlines() or [""])[-1]
    is_reported = stop.message != "" and stop.message in last
    if guard_was_late(stderr) and not is_reported:
        raise GuardLate(code, stderr)
    assert code == (stop.exit_code or 0), stderr
    assert stop.message in last


@pytest.mark.parametrize(
    "stop", [stop for stop in STOPS if stop not in ENDS], ids=lambda stop: stop.name
)
@retry_if_guard_late
def test_the_wheels_stop_in_time_and_all_recorded_pictures_are_kept(tmp_path, stop):
    check_stop(tmp_path, stop)


def check_stop(folder, stop, **pulses):
    with driving(folder, *RATE, fault=stop.fault, **pulses) as car:
        car.record()
        car.ensure_driving()
        taken = car.picture_ids()
        moment_s = stop.act(car)
        stopped_s = car.stop_delay_s(moment_s, observe_s=stop.observe_s)
        car.resume_processes()
        if stop.exit_code is None:
            car.thumb.release()
            if not car.pad.node.exists():
                car.pad.replug()
                time.sleep(0.8)
            car.pad.tap("A")
        code, stderr = car.wait_for_exit()
    assert_in_time(stop, stopped_s, car.late)
    assert_reported(stop, code, stderr)
    wait_until(lambda: not processes_of(folder), poll_s=0.1)
    merge.repair(car.folder)
    assert assert_whole(car.folder).keys() >= taken


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.name)
@retry_if_guard_late
def test_the_wheels_stop_in_time_and_a_second_drive_starts_at_once_and_keeps_all_pictures(
    tmp_path, end
):
    """The second is on the same Pi, into the same folder, while the first one's guard may exit."""
    check_end(tmp_path, end)


def check_end(folder, end, **pulses):
    setup = prepare_drive(folder, *RATE, fault=end.fault, **pulses)
    with start_drive(setup) as car:
        car.wait_for_motors()
        car.go()
        car.record()
        car.ensure_driving()
        taken = car.picture_ids()
        guard = car.child_pid("guard")
        moment_s = end.act(car)
        code, stderr = car.wait_for_exit()
        if end.exit_code == -signal.SIGKILL:
            os.kill(guard, 0)
        # The second drive sends nothing but neutral until Menu is pressed.
        car.start_again(setup)
        stopped_s = car.stop_delay_s(moment_s, observe_s=end.observe_s)
        car.thumb.release()
        assert_in_time(end, stopped_s, car.late)
        assert_reported(end, code, stderr)
        results = [drive_some(car)]
        for _ in range(2):  # on a busy machine the guard may answer too late at the end
            if not guard_was_late(results[-1][1]):
                break
            car.start_again(setup)
            results.append(drive_some(car))
        code, stderr = results[-1]
        assert code == 0, stderr
        assert ("repaired an interrupted recording" in results[0][1]) == (end is KILLED)
        labels = assert_whole(car.folder)
        assert labels.keys() >= taken
        assert len(labels) >= len(taken) + 5
        wait_until(lambda: not processes_of(folder), poll_s=0.1)


# After these, a drive by rpi-lgpio gets its pins from the kernel while another process has them, or
# has just been killed.
AT_ONCE = ("A is pressed", "the guard is killed", KILLED.name)


@pytest.mark.parametrize("stop", [*STOPS, KILLED], ids=lambda stop: stop.name)
@retry_if_guard_late
def test_wheels_driven_by_rpi_lgpio_stop_in_time_and_a_second_drive_starts_at_once(tmp_path, stop):
    check = check_end if stop.name.startswith(AT_ONCE) else check_stop
    check(tmp_path, stop, library=BY_GPIOCHIP)


# With the hardware PWM, which goes on by itself, only these differ: nothing ends pulses but the
# guard, or the drive that takes over from it.
BY_PWM = [
    *(stop for stop in STOPS if stop.name.startswith(("the guard is", "the guard hangs"))),
    KILLED,
]


@pytest.mark.parametrize("stop", BY_PWM, ids=lambda stop: stop.name)
@retry_if_guard_late
def test_wheels_driven_by_the_hardware_pwm_stop_in_time_and_a_second_drive_starts_at_once(
    tmp_path, stop
):
    check = check_end if stop in ENDS else check_stop
    check(tmp_path, stop, conf=PWM_CONF)


def drive_some(car):
    """Drive for five pictures, and return the exit code and stderr."""
    car.wait_for_motors()
    car.go()
    car.record()
    car.pad.tap("A")
    return car.wait_for_exit()


@retry_if_guard_late
def test_menu_drives_on_after_the_pad_is_plugged_in_again(tmp_path):
    with driving(tmp_path, *RATE) as car:
        car.thumb.release()
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
        car.quit()


ORDERS = {  # which process resumes first, and how many seconds later the other
    "drive first": (("drive", "guard"), 0.03),
    "drive first, at once": (("drive", "guard"), 0.0),
    "guard first": (("guard", "drive"), 0.03),
}


@pytest.mark.parametrize("library", GPIO_LIBRARIES, ids=str)
@pytest.mark.parametrize("order", ORDERS)
@retry_if_guard_late
def test_a_car_that_was_held_up_as_a_whole_stops_until_menu_is_pressed(tmp_path, order, library):
    """As in a frozen cgroup, a paused machine or on a thrashing card, with the trigger pulled."""
    names, gap_s = ORDERS[order]
    with driving(tmp_path, *RATE, library=library) as car:
        car.record()
        car.ensure_driving()
        pids = {"drive": car.process.pid, "guard": car.child_pid("car.motors.guard")}
        for name in names:
            os.kill(pids[name], signal.SIGSTOP)
        time.sleep(0.6)
        first, other = names
        os.kill(pids[first], signal.SIGCONT)
        time.sleep(gap_s)
        os.kill(pids[other], signal.SIGCONT)
        # The library repeats the last pulse until the guard sets another width; lgpio even makes
        # up for those that it has missed.
        stood_s = car.wait_until_standing()
        time.sleep(1.0)
        assert not car.moved(stood_s), "it drove on without Menu"
        try:
            car.go()
            stderr = car.quit()
        except GuardLate:  # the guard resumed so late that the drive took over
            return
    assert re.search(r"  stopped +\d+ times?: ", stderr)
    for label in assert_whole(car.folder).values():
        assert label["car_setting"]["run"]["gpio_library"].startswith(library.name)


@pytest.mark.parametrize(("library", "longer_us"), [(BY_REGISTERS, 59), (BY_GPIOCHIP, 0)], ids=str)
@retry_if_guard_late
def test_labels_name_the_library_that_times_the_pulses_and_its_correction(
    tmp_path, library, longer_us
):
    throttle = {"reverse_us": REVERSE_US + longer_us, "neutral_us": NEUTRAL_US + longer_us}
    motors = CONF["motors"] | {
        "throttle": CONF["motors"]["throttle"] | throttle,  # the pulses are those of CONF
        "longer_by_us": None,
    }
    with driving(tmp_path, *RATE, conf=CONF | {"motors": motors}, library=library) as car:
        car.record()
        car.quit()
    labels = assert_whole(car.folder)
    assert len(labels) >= 5
    for label in labels.values():
        setting = label["car_setting"]
        assert setting["motors"]["longer_by_us"] is None
        assert setting["run"]["gpio_library"] == f"{library.name} {library.version}"
        assert setting["run"]["longer_by_us"] == longer_us


@retry_if_guard_late
def test_a_relative_folder_is_found_although_lgpio_moves_the_process_when_it_is_imported(tmp_path):
    setup = prepare_drive(tmp_path, *RATE, library=BY_GPIOCHIP, output=Path("a", "drive"))
    with start_drive(setup) as car:
        car.wait_for_motors()
        car.go()
        car.record()
        car.quit()
    assert len(assert_whole(tmp_path / "a" / "drive")) >= 5


@retry_if_guard_late
def test_a_pad_that_stays_away_ends_the_run_with_everything_kept(tmp_path):
    conf = {**CONF, "pad": {**CONF["pad"], "lost_s": 1.0}}
    with driving(tmp_path, *RATE, conf=conf) as car:
        car.record()
        car.pad.unplug()
        code, stderr = car.wait_for_exit()
        taken = car.count_pictures()
    assert code == 1
    assert re.search(
        "has been missing for 1 s: plug it in and start again", stderr.splitlines()[-1]
    )
    assert len(assert_whole(car.folder)) == taken >= 5


@retry_if_guard_late
def test_a_full_disk_ends_the_recording_and_not_the_drive(tmp_path):
    """It is reported at the end, with exit code 1; `labels.json` has everything before."""
    with driving(tmp_path, *RATE) as car:
        car.record()
        writer = car.child_pid("get_data.recording.writer")
        limit = resource.prlimit(writer, resource.RLIMIT_FSIZE)
        resource.prlimit(writer, resource.RLIMIT_FSIZE, (100, limit[1]))
        time.sleep(0.5)
        taken = car.count_pictures()
        car.ensure_driving()
        assert car.count_pictures() == taken
        resource.prlimit(writer, resource.RLIMIT_FSIZE, limit)
        car.pad.tap("A")
        code, stderr = car.wait_for_exit()
    assert code == 1
    assert "recording stopped early: File too large" in stderr.splitlines()[-1]
    assert len(assert_whole(car.folder)) == taken


def test_the_car_is_checked_before_the_first_pulse(tmp_path):
    """Swapped red and blue are reported, and no pulse is sent."""
    setup = prepare_drive(tmp_path, *RATE)
    setup.camera.behave("swap")
    with setup.rig.recorder as pulses, setup.rig.plug_in():
        process = setup.start()
        _, stderr = process.communicate()
        assert pulses.all(THROTTLE) == []
    assert process.returncode == 1
    assert "camera   FAILED  red and blue are" in stderr
    assert stderr.splitlines()[-1] == "error: not ready to drive: camera; nothing has moved"
    assert not (tmp_path / "drive").exists()


@retry_if_guard_late
def test_buttons_pressed_during_the_checks_are_ignored(tmp_path):
    with start_drive(prepare_drive(tmp_path, *RATE)) as car:
        assert any("pad      ok" in line for line in car.process.stderr)
        car.pad.tap("Menu")
        for _ in range(200):  # more events than one reading takes
            car.pad.tap("View")
        car.pad.tap("Y")
        car.wait_for_motors()
        assert any("motors   ok" in line for line in car.process.stderr)
        time.sleep(1.0)
        car.pad.brake(1.0)
        time.sleep(0.5)
        assert not car.moved(0), "it drove without Menu"
        car.go()
        car.record()  # so it is not paused
        car.quit()


SESSION = [f"--{key}=x" for key in ("event", "track", "track-type", "driver", "comment")]


@pytest.mark.parametrize(("answer", "drives"), [("n", False), ("", False), ("y", True)])
def test_a_terminal_is_asked_before_the_motors_are_opened(tmp_path, answer, drives):
    setup = prepare_drive(tmp_path, *RATE, *SESSION)
    master, slave = pty.openpty()
    with setup.rig.recorder as pulses, setup.rig.plug_in() as pad, setup.start(slave) as process:
        lines = iter(process.stderr.readline, "")
        assert any("disk     ok" in line for line in lines)
        time.sleep(0.5)
        assert pulses.all(THROTTLE) == []
        os.write(master, f"{answer}\n".encode())
        if drives:
            wait_until(lambda: pulses.all(THROTTLE))
            while process.poll() is None:  # presses before the drive begins are discarded
                pad.tap("A")
                time.sleep(0.1)
        rest = process.stderr.read()
        assert bool(pulses.all(THROTTLE)) == drives
    os.close(master)
    os.close(slave)
    assert "[y/N]" in rest
    assert process.returncode == (0 if drives else 1)
    assert ("error: nothing was changed" in rest) == (not drives)
    assert (tmp_path / "drive").exists() == drives
