"""Pulses on pins: with the fake, and with the real RPi.GPIO in a namespace, measured."""

import ast
import importlib
import os
import subprocess
import sys
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from car.hardware_conf import GpioMotorsConf, SteeringConf, ThrottleConf
from car.motors import gpio_pulses
from car.motors.gpio_pulses import GpioPulses
from common.errors import MotorsFailed
from tests.pi import bench, libraries
from tests.pi.pulses import Level, Pulses, format_widths

FAKES = Path(__file__).parent / "fakes" / "libraries"
STEERING, THROTTLE = 18, 13
CONF = GpioMotorsConf(
    steering=SteeringConf(channel=STEERING, left_us=1100, centre_us=1500, right_us=1900),
    throttle=ThrottleConf(channel=THROTTLE, reverse_us=1000, neutral_us=1500, forward_us=2000),
    longer_by_us=50,
    neutral_first_s=0,
)


@pytest.fixture
def gpio(monkeypatch):
    """A new fake in place of RPi.GPIO."""
    return install_fake(monkeypatch, "")


def install_fake(monkeypatch, kind):
    monkeypatch.setenv("FAKE_GPIO", kind)
    monkeypatch.setattr(sys, "path", [str(FAKES), *sys.path])
    for name in ("RPi", "RPi.GPIO"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "RPi", importlib.import_module("RPi"))
    if kind == "no Pi":
        return None
    monkeypatch.setitem(sys.modules, "RPi.GPIO", importlib.import_module("RPi.GPIO"))
    return sys.modules["RPi.GPIO"]


def calls_of(gpio, pin, *names):
    return [call for call in gpio.calls if call.pin == pin and call.name in names]


def test_a_pulse_is_requested_shorter_by_what_the_library_adds(gpio):
    with closing(GpioPulses(CONF)) as pulses:
        pulses.send(THROTTLE, 1500)
        assert gpio.pulsing(THROTTLE) == (50, pytest.approx(1450))
        assert gpio.pulsing(STEERING) == (0, 0)


LIBRARIES = [("", "RPi.GPIO", 59), ("rpi-lgpio", "rpi-lgpio", 0)]


@pytest.mark.parametrize(("kind", "library", "longer_by_us"), LIBRARIES, ids=["RPi", "lgpio"])
@pytest.mark.parametrize("measured_us", [None, 0.0, 30.0, 59.0])
def test_the_correction_is_that_of_the_library_unless_one_is_configured(
    kind, library, longer_by_us, measured_us, monkeypatch
):
    gpio = install_fake(monkeypatch, kind)
    conf = msgspec.structs.replace(CONF, longer_by_us=measured_us)
    taken_us = longer_by_us if measured_us is None else measured_us
    timing = gpio_pulses.detect_timing(conf)
    assert timing.library.split()[0] == library
    assert timing.longer_by_us == taken_us
    with closing(GpioPulses(conf)) as pulses:
        pulses.send(THROTTLE, 1500)
        assert gpio.pulsing(THROTTLE) == (50, pytest.approx(1500 - taken_us))
    wrong = measured_us == 59 and library == "rpi-lgpio"
    assert bool(timing.advice) == wrong
    if wrong:
        assert "null" in timing.advice
        assert "hardware_conf.json" in timing.advice


def test_the_version_of_the_library_is_that_of_its_package(monkeypatch, tmp_path):
    """VERSION of rpi-lgpio is that of the RPi.GPIO it replaces."""
    install_fake(monkeypatch, "rpi-lgpio")
    package = tmp_path / "rpi_lgpio-0.6.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: rpi-lgpio\nVersion: 0.6\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert gpio_pulses.detect_timing(CONF).library == "rpi-lgpio 0.6"


def test_a_pin_has_one_pwm_object_which_is_started_once(gpio):
    with closing(GpioPulses(CONF)) as pulses:
        for width_us in (1500, 1000, 2000, 1500):
            pulses.send(THROTTLE, width_us)
        assert gpio.pulsing(THROTTLE) == (50, pytest.approx(1450))
    made = [call.name for call in calls_of(gpio, THROTTLE, "PWM", "start", "stop")]
    assert made[:3] == ["PWM", "start", "stop"]
    assert "start" not in made[3:]


def test_the_shortest_allowed_pulse_is_still_a_pulse(gpio):
    """A duty cycle of 0 is a lost signal, not neutral."""
    longest = msgspec.structs.replace(CONF, longer_by_us=200, frequency_hz=40)
    with closing(GpioPulses(longest)) as pulses:
        pulses.send(THROTTLE, 500)
        assert gpio.pulsing(THROTTLE)[1] == pytest.approx(300)


def test_pins_are_low_outputs_before_the_first_pulse(gpio):
    with closing(GpioPulses(CONF)) as pulses:
        pulses.send(THROTTLE, 1500)
    order = [(call.name, call.value) for call in gpio.calls if call.pin in (None, THROTTLE)]
    assert order[:3] == [("setmode", gpio.BCM), ("setup", gpio.LOW), ("PWM", 50)]


def test_no_pin_is_released_before_its_last_pulse_has_ended(gpio):
    pulses = GpioPulses(CONF)
    pulses.send(THROTTLE, 1500)
    pulses.send(STEERING, 1500)
    pulses.close()
    for pin in (STEERING, THROTTLE):
        [given_back] = calls_of(gpio, pin, "cleanup")
        assert given_back.moment_s - calls_of(gpio, pin, "stop")[0].moment_s >= 0.02


def test_closing_releases_our_pins_and_no_others(gpio):
    gpio.setmode(gpio.BCM)
    gpio.setup(25, gpio.OUT, initial=gpio.HIGH)
    other = gpio.PWM(25, 100)
    other.start(50)
    pulses = GpioPulses(CONF)
    pulses.close()
    pulses.close()
    assert [call.pin for call in gpio.calls if call.name == "cleanup"] == [STEERING, THROTTLE]
    assert (gpio.getmode(), gpio.pulsing(25)[0]) == (gpio.BCM, 100)


def test_rpi_lgpio_objects_are_deleted_before_the_pins_are_released(monkeypatch):
    """Otherwise its objects raise when they are deleted, which pytest reports as an error."""
    gpio = install_fake(monkeypatch, "rpi-lgpio")
    pulses = GpioPulses(CONF)
    pulses.send(THROTTLE, 1500)
    pulses.send(STEERING, 1500)
    pulses.close()
    names = [call.name for call in gpio.calls]
    assert max(i for i, name in enumerate(names) if name == "stop") < names.index("cleanup")


def test_pins_can_be_opened_again(gpio):
    for _ in range(2):
        with closing(GpioPulses(CONF)) as pulses:
            pulses.send(THROTTLE, 1600)
            assert gpio.pulsing(THROTTLE) == (50, pytest.approx(1550))
    assert gpio.pulsing(THROTTLE) == (0, 0)


def test_opening_pins_twice_is_refused_by_the_library(gpio):
    with closing(GpioPulses(CONF)) as pulses:
        pulses.send(THROTTLE, 1500)
        with pytest.raises(MotorsFailed, match="PWM object already exists"):
            GpioPulses(CONF).send(THROTTLE, 1500)


def test_closed_pins_send_nothing(gpio):
    pulses = GpioPulses(CONF)
    pulses.close()
    with pytest.raises(MotorsFailed, match="pins are closed"):
        pulses.send(THROTTLE, 1500)
    assert gpio.pulsing(THROTTLE) == (0, 0)


def test_another_numbering_is_refused_and_left_alone(gpio):
    gpio.setmode(gpio.BOARD)
    with pytest.raises(MotorsFailed, match=r"A different mode has already been set!$"):
        GpioPulses(CONF)
    assert gpio.getmode() == gpio.BOARD


def test_pins_are_released_when_the_second_fails(gpio, monkeypatch):
    real = gpio.setup

    def setup_first(pins, *arguments, **more):
        real(pins[:1], *arguments, **more)
        raise RuntimeError("GPIO busy")

    monkeypatch.setattr(gpio, "setup", setup_first)
    with pytest.raises(MotorsFailed, match="GPIO busy"):
        GpioPulses(CONF)
    assert [call.pin for call in gpio.calls if call.name == "cleanup"] == [STEERING]


def test_a_pin_that_cannot_be_stopped_does_not_keep_the_other_from_ending(gpio, monkeypatch):
    pulses = GpioPulses(CONF)
    pulses.send(THROTTLE, 1500)
    pulses.send(STEERING, 1500)
    real = gpio.PWM.stop

    def stop(pwm):
        real(pwm)
        raise RuntimeError("a fault of the library")

    monkeypatch.setattr(gpio.PWM, "stop", stop)
    monkeypatch.setattr(gpio.PWM, "__del__", lambda _pwm: None)
    with pytest.raises(MotorsFailed, match="a fault of the library"):
        pulses.close()
    assert gpio.pulsing(THROTTLE) == gpio.pulsing(STEERING) == (0, 0)
    assert [call.pin for call in gpio.calls if call.name == "cleanup"] == [STEERING, THROTTLE]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        pytest.param(
            "no Pi",
            r"RPi\.GPIO .*: This module can only be run on a Raspberry Pi!; .*"
            "sudo apt install python3-rpi-lgpio",
            id="no Pi",
        ),
        pytest.param(
            "Raspberry Pi 5",
            "Cannot determine SOC peripheral base address; .*Raspberry Pi 5.* rpi-lgpio",
            id="Raspberry Pi 5",
        ),
    ],
)
def test_a_machine_without_such_pins_is_reported_with_the_remedy(kind, message, monkeypatch):
    install_fake(monkeypatch, kind)
    with pytest.raises(MotorsFailed, match=message) as raised:
        GpioPulses(CONF)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("No access to /dev/mem.  Try running as root!", id="RPi.GPIO"),
        pytest.param("can not open gpiochip", id="lgpio"),
    ],
)
def test_a_user_without_permission_is_told_the_group(message, gpio, monkeypatch):
    def refuse(*_arguments, **_more):
        raise RuntimeError(message)

    monkeypatch.setattr(gpio, "setup", refuse)
    with pytest.raises(MotorsFailed, match=r"adduser .* gpio"):
        GpioPulses(CONF)


@pytest.mark.parametrize(("configured", "used"), [(None, "/tmp-folder"), ("/own", "/own")])
def test_lgpio_writes_its_files_to_a_temporary_folder(configured, used, gpio, monkeypatch):
    """By default it creates `.lgd-nfy0` in the current folder."""
    del gpio
    monkeypatch.setattr(gpio_pulses.tempfile, "gettempdir", lambda: "/tmp-folder")
    monkeypatch.delenv("LG_WD", raising=False)
    if configured:
        monkeypatch.setenv("LG_WD", configured)
    GpioPulses(CONF).close()
    folder, _ = os.environ.get("LG_WD"), monkeypatch.delenv("LG_WD")
    assert folder == used


# The real library: scripts drive it in a namespace, and the pulses on the pins are measured.

DRIVER = """
import gc, json, os, subprocess, sys, time, warnings
warnings.simplefilter("error")
import msgspec
from car.motors.drivers import open_motors
from car.motors.gpio_pulses import GpioPulses
from car.hardware_conf import GpioMotorsConf
from car.interfaces import Command
conf = msgspec.json.decode(sys.argv[1], type=GpioMotorsConf)
values = []
say = values.append
"""


def run_driver(pi, code, conf=CONF):
    """Run code after `DRIVER` in the Pi; return the values given to `say`."""
    text = DRIVER + code + "\nprint(repr(values))"
    command = [sys.executable, "-c", text, msgspec.json.encode(conf).decode()]
    result = subprocess.run(
        pi.command(*command), env=bench.environment(pi), capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    return ast.literal_eval(result.stdout)


@pytest.fixture
def pi(tmp_path):
    return bench.create_pi(tmp_path / "pi")


def requested_us(pulses):
    """Return the width that was requested: a busy machine ends many pulses late, none early."""
    widths_us = [pulse.width_us for pulse in pulses if pulse.error_us < 30]
    assert widths_us, f"none of {format_widths(pulses)} was measured well"
    return min(widths_us)


STEPS = {  # steering and throttle, and the pulses of the pins
    (0.0, 0.0): {STEERING: 1500, THROTTLE: 1500},
    (-1.0, -1.0): {STEERING: 1100, THROTTLE: 1000},
    (-0.5, 0.5): {STEERING: 1300, THROTTLE: 1750},
    (1.0, 1.0): {STEERING: 1900, THROTTLE: 2000},
}
STEP_BY_STEP = """
with __import__("contextlib").closing(open_motors(conf)) as wheels:
    for line in sys.stdin:
        wheels.apply(Command(*map(float, line.split())))
        print(time.monotonic(), flush=True)
"""


@pytest.mark.slow
def test_pulses_are_as_wide_as_asked_and_the_first_of_each_pin_is_neutral(pi):
    """A busy machine makes pulses longer and never shorter, so each width is waited for."""
    exact = msgspec.structs.replace(CONF, longer_by_us=0)
    code = DRIVER + STEP_BY_STEP
    command = [sys.executable, "-c", code, msgspec.json.encode(exact).decode()]
    with (
        Pulses(pi) as seen,
        subprocess.Popen(
            pi.command(*command),
            env=bench.environment(pi),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as driver,
    ):
        for (steering, throttle), by_pin in STEPS.items():
            print(steering, throttle, file=driver.stdin, flush=True)
            since_s = float(driver.stdout.readline())
            for pin, width_us in by_pin.items():
                seen.wait_for(pin, width_us + 80, 60, tolerance_us=100, after_s=since_s)
                pulses = seen.since(since_s, pin)
                short = [
                    pulse for pulse in pulses if pulse.width_us + pulse.error_us < width_us - 20
                ]
                assert not short, format_widths(short)
        for pin in (STEERING, THROTTLE):
            first = seen.all(pin)[0]
            assert first.width_us + first.error_us > 1500 - 20
        driver.stdin.close()


@pytest.mark.slow
def test_the_real_library_is_detected(pi):
    code = (
        "from car.motors import gpio_pulses; t = gpio_pulses.detect_timing(conf); "
        "say((t.library, t.advice))"
    )
    conf = msgspec.structs.replace(CONF, longer_by_us=59)
    assert run_driver(pi, code, conf) == [(f"RPi.GPIO {libraries.RPI_GPIO}", "")]


@pytest.mark.slow
def test_the_pulses_come_fifty_times_a_second_after_many_commands(pi):
    with Pulses(pi) as seen:
        begin, end = run_driver(
            pi,
            """
wheels = open_motors(conf)
say(time.monotonic())
for number in range(300):
    wheels.apply(Command(number % 3 - 1, 0.2))
    time.sleep(0.005)
say(time.monotonic())
wheels.close()
""",
        )
        pulses = [pulse for pulse in seen.since(begin, THROTTLE) if pulse.start_s < end]
    steps_s = [
        after.start_s - before.start_s for before, after in pairwise(pulses) if before.error_us < 30
    ]
    assert min(steps_s) == pytest.approx(0.02, rel=0.15)  # the others are late


@pytest.mark.slow
def test_neutral_is_sent_to_the_end_and_then_nothing(pi):
    with Pulses(pi) as seen:
        closing_s, closed_s = run_driver(
            pi,
            """
wheels = open_motors(conf)
wheels.apply(Command(-1.0, -1.0))
time.sleep(0.4)
say(time.monotonic())
wheels.close()
say(time.monotonic())
time.sleep(0.3)
""",
        )
        pulses = seen.since(closing_s + 0.05, THROTTLE)
        edges = seen.edges(THROTTLE)
        assert seen.since(closed_s, STEERING) == seen.since(closed_s, THROTTLE) == []
    assert requested_us(pulses) == pytest.approx(1500, rel=0.1)
    assert pulses[-1].end_s - closing_s >= 0.4
    assert all(pulse.width_us + pulse.error_us >= 1430 for pulse in pulses), format_widths(pulses)
    assert edges[-1].level == Level.INPUT
    assert edges[-2].level == Level.LOW, "the pin was given back during a pulse"


@pytest.mark.slow
def test_pulses_are_not_cut_short_when_pins_are_reopened(pi):
    with Pulses(pi) as seen:
        run_driver(
            pi,
            """
for _ in range(12):
    pulses = GpioPulses(conf)
    for pin in (18, 13):
        pulses.send(pin, 1500)
    time.sleep(0.07)
    pulses.close()
""",
        )
        pulses = [*seen.all(STEERING), *seen.all(THROTTLE)]
    assert len(pulses) >= 24
    short = [pulse for pulse in pulses if pulse.width_us + pulse.error_us < 1430]
    assert not short, format_widths(short)


@pytest.mark.slow
def test_a_pin_of_a_killed_process_is_usable_with_warnings_as_errors(pi):
    """RPi.GPIO turns a warning that is raised into a SystemError."""
    run_driver(pi, "if not os.fork(): GpioPulses(conf); os.kill(os.getpid(), 9)\nos.wait()")
    with Pulses(pi) as seen:
        run_driver(pi, "open_motors(conf).close()")
        assert len(seen.all(THROTTLE)) > 10


@pytest.mark.slow
def test_a_process_that_is_killed_sends_no_more_pulses(pi):
    code = "wheels = open_motors(conf); wheels.apply(Command(0, 1)); time.sleep(60)"
    command = [sys.executable, "-c", DRIVER + code, msgspec.json.encode(CONF).decode()]
    with Pulses(pi) as seen:
        driver = subprocess.Popen(pi.command(*command), env=bench.environment(pi))
        try:
            seen.wait_for(THROTTLE, 2000, timeout_s=20)
        finally:
            driver.kill()
            driver.wait()
        killed = time.monotonic()
        time.sleep(0.2)
        assert seen.since(killed, THROTTLE) == []


SLOW_TO_END = """
import ctypes
libc = ctypes.CDLL(None)
libc.__cxa_atexit(ctypes.cast(libc.getchar, ctypes.c_void_p), None, None)  # waits for input
wheels = open_motors(conf)
ctypes.pythonapi.Py_IncRef(ctypes.py_object(wheels))  # so that Python does not delete it
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("closes", "code"),
    [pytest.param("wheels.close()", 0, id="closed"), pytest.param("", -11, id="not closed")],
)
def test_a_process_exits_cleanly_when_its_motors_are_closed(closes, code, pi):
    """At exit RPi.GPIO unmaps the registers while its threads may still run."""
    command = [
        sys.executable,
        "-c",
        DRIVER + SLOW_TO_END + closes,
        msgspec.json.encode(CONF).decode(),
    ]
    ending = subprocess.Popen(
        pi.command(*command), env=bench.environment(pi), stdin=subprocess.PIPE
    )
    try:
        ending.wait(5)  # a crash is immediate; otherwise it waits for input
    except subprocess.TimeoutExpired:
        ending.communicate()
    finally:
        ending.kill()
        ending.communicate()
    assert ending.returncode == code


@pytest.mark.slow
def test_the_real_library_reports_a_raspberry_pi_5(pi):
    """It can be imported there, but finds no /dev/gpiomem and an unknown processor."""
    [message] = run_driver(
        pi,
        """
from RPi import GPIO
with open("/proc/cpuinfo", "w") as cpuinfo:
    cpuinfo.write("Hardware\\t: BCM2712\\n")
subprocess.run(["umount", "/dev/gpiomem"], check=True)
os.remove("/dev/gpiomem")
try:
    open_motors(conf)
except Exception as error:
    say(f"{type(error).__name__}: {error}")
""",
    )
    assert message.startswith("MotorsFailed: the pins cannot be used: Cannot determine SOC")
    assert "Raspberry Pi 5" in message
    assert "rpi-lgpio" in message


@pytest.mark.slow
def test_the_real_library_refuses_a_machine_that_is_not_a_pi(pi):
    text = (
        "from car.motors import gpio_pulses\n"
        "try: gpio_pulses._import_gpio()\n"
        "except Exception as error: print(error)"
    )
    environment = bench.environment(pi)
    result = subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=True
    )
    assert "can only be run on a Raspberry Pi!; on a Raspberry Pi: sudo apt" in result.stdout
    assert libraries.RPI_GPIO in environment["PYTHONPATH"]
