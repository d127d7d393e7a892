"""Pulses on pins, by the real RPi.GPIO and the real rpi-lgpio, in a Pi made of a namespace.

Scripts drive the pins there. A pulse is judged by the width that the library asked its timer for,
which no busy machine changes; what comes of it is measured too.
"""

import ast
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import pairwise

import msgspec
import pytest

from car.hardware_conf import GpioMotorsConf, SteeringConf, ThrottleConf
from tests.helpers.waiting import HANGS_S, wait_until
from tests.pi import bench
from tests.pi.libraries import BY_GPIOCHIP, BY_REGISTERS, GPIO_LIBRARIES
from tests.pi.pulses import Level, Pulses, format_widths

STEERING, THROTTLE = 18, 13
CONF = GpioMotorsConf(
    steering=SteeringConf(channel=STEERING, left_us=1100, centre_us=1500, right_us=1900),
    throttle=ThrottleConf(channel=THROTTLE, reverse_us=1000, neutral_us=1500, forward_us=2000),
    longer_by_us=50,
    neutral_first_s=0,
)
DRIVER = """
import gc, os, struct, subprocess, sys, time, warnings
from contextlib import closing
warnings.simplefilter("error")
import msgspec
from car.motors import gpio_pulses
from car.motors.drivers import open_motors
from car.motors.gpio_pulses import GpioPulses
from car.hardware_conf import GpioMotorsConf
from car.interfaces import Command
from common.errors import MotorsFailed
conf = msgspec.json.decode(sys.argv[1], type=GpioMotorsConf)
values = []
say = values.append

def failure_of(action):
    try:
        action()
    except MotorsFailed as error:
        return str(error)

def recorded(layout, place):
    with open(os.environ["EDGES"], "rb") as file:
        file.seek(place)
        return struct.unpack(layout, file.read(struct.calcsize(layout)))[0]

def edges():
    return recorded("<q", 8)

def is_in_a_pulse():
    return recorded("<i", 16 + 32 * edges() - 4) == 2  # the last edge was a rise

def wait_for_edges(count):
    seen = edges()
    while edges() < seen + count:
        time.sleep(0.005)
"""


def _ending(pi):
    """Return code that ends the process, for a library whose release crashes Python 3.13.

    lgpio 0.2.2 on Debian 13: `SWIG_Python_DestroyModule` creates an object while Python ends.
    """
    return (
        "\nsys.stdout.flush(); os._exit(0)"
        if pi.library is BY_GPIOCHIP and sys.version_info >= (3, 13)
        else ""
    )


def command(pi, code, conf=CONF):
    """Return the command line that runs code after `DRIVER` in the Pi."""
    return pi.command(
        sys.executable, "-c", DRIVER + code + _ending(pi), msgspec.json.encode(conf).decode()
    )


def run_driver(pi, code, conf=CONF, *, code_expected=0, **options):
    """Run code after `DRIVER` in the Pi; return the values given to `say`."""
    result = subprocess.run(
        command(pi, code + "\nprint(repr(values))", conf),
        env=bench.environment(pi) | options.pop("variables", {}),
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert (result.returncode, result.stderr) == (code_expected, "")
    return ast.literal_eval(result.stdout) if result.stdout else []


@contextmanager
def started(pi, code, conf=CONF):
    """Run code after `DRIVER` in the Pi within the block, as a process with pipes."""
    with subprocess.Popen(
        command(pi, code, conf),
        env=bench.environment(pi),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(params=GPIO_LIBRARIES, ids=str)
def pi(request, tmp_path):
    return bench.create_pi(tmp_path / "pi", request.param)


@pytest.fixture
def pi_of_registers(tmp_path):
    return bench.create_pi(tmp_path / "pi", BY_REGISTERS)


@pytest.fixture
def pi_of_gpiochip(tmp_path):
    return bench.create_pi(tmp_path / "pi", BY_GPIOCHIP)


def assert_all(pulses, width_us):
    """There are pulses, and each was commanded with that width."""
    assert pulses
    assert all(pulse.has(width_us) for pulse in pulses), format_widths(pulses)


def assert_not_cut_short(pulses):
    """The library's timer has ended each pulse: one cut short is another command to the ESC."""
    cut = [pulse for pulse in pulses if pulse.asked_us is None]
    assert pulses
    assert not cut, format_widths(cut)


def test_a_pulse_is_requested_shorter_by_what_the_library_adds(pi):
    with Pulses(pi) as seen:
        run_driver(
            pi,
            """
with closing(GpioPulses(conf)) as pulses:
    pulses.send(13, 1500)
    wait_for_edges(6)
""",
        )
        assert_all(seen.all(THROTTLE), 1450)
        assert seen.all(STEERING) == []


LONGER_BY_US = {"RPi.GPIO": 59, "rpi-lgpio": 0}
MEASURED_US = (None, 0.0, 30.0, 59.0)


def test_the_correction_is_that_of_the_library_unless_one_is_configured(pi):
    code = f"""
for measured_us in {MEASURED_US}:
    conf = msgspec.structs.replace(conf, longer_by_us=measured_us)
    timing = gpio_pulses.detect_timing(conf)
    with closing(GpioPulses(conf)) as pulses:
        begin_s = time.monotonic()
        pulses.send(13, 1500)
        wait_for_edges(6)
    say((begin_s, time.monotonic(), timing.library, timing.longer_by_us, timing.advice))
"""
    with Pulses(pi) as seen:
        answers = run_driver(pi, code)
        pulses = seen.all(THROTTLE)
    name = pi.library.name
    for measured_us, answer in zip(MEASURED_US, answers, strict=True):
        begin_s, end_s, library, longer_by_us, advice = answer
        taken_us = LONGER_BY_US[name] if measured_us is None else measured_us
        assert library == f"{name} {pi.library.version}"
        assert longer_by_us == taken_us
        assert_all([one for one in pulses if begin_s < one.start_s < end_s], 1500 - taken_us)
        if measured_us == 59 and name == "rpi-lgpio":
            assert "null" in advice
            assert "hardware_conf.json" in advice
        else:
            assert advice == ""


STEPS = {  # steering and throttle, and the pulses of the pins
    (0.0, 0.0): {STEERING: 1500, THROTTLE: 1500},
    (-1.0, -1.0): {STEERING: 1100, THROTTLE: 1000},
    (-0.5, 0.5): {STEERING: 1300, THROTTLE: 1750},
    (1.0, 1.0): {STEERING: 1900, THROTTLE: 2000},
}
STEP_BY_STEP = """
with closing(open_motors(conf)) as wheels:
    for line in sys.stdin:
        wheels.apply(Command(*map(float, line.split())))
        print(time.monotonic(), flush=True)
"""
IDLE = 0.05  # a pulse is as wide as asked, within this share, while the machine is idle
LATE_US = 250.0  # as RPi.GPIO's are on an idle machine, and more on a Pi: it sleeps too long


@pytest.mark.slow
def test_pulses_are_as_wide_as_asked_and_the_first_of_each_pin_is_neutral(pi):
    """The commanded widths are exact; the machine is waited for until it is idle for a pulse."""
    exact = msgspec.structs.replace(CONF, longer_by_us=0)
    with Pulses(pi) as seen, started(pi, STEP_BY_STEP, exact) as driver:
        for (steering, throttle), by_pin in STEPS.items():
            print(steering, throttle, file=driver.stdin, flush=True)
            since_s = float(driver.stdout.readline())
            for pin, width_us in by_pin.items():
                seen.wait_for(pin, width_us, HANGS_S, after_s=since_s)
                wait_until(lambda pin=pin, w=width_us, s=since_s: is_as_wide(seen.since(s, pin), w))
        for pin in (STEERING, THROTTLE):
            assert seen.all(pin)[0].has(1500)
            assert_not_cut_short(seen.all(pin)[:-1])
        driver.stdin.close()
        driver.wait()


def is_as_wide(pulses, width_us):
    """Some pulse is as wide as asked on the pin; RPi.GPIO's are longer by what it adds."""
    return any(
        pulse.has(width_us) and -IDLE * width_us <= pulse.width_us - width_us < LATE_US
        for pulse in pulses
    )


def test_the_pulses_come_fifty_times_a_second_after_many_commands(pi):
    with Pulses(pi) as seen:
        begin, end = run_driver(
            pi,
            """
wheels = open_motors(conf)
say(time.monotonic())
for number in range(100):
    wheels.apply(Command(number % 3 - 1, 0.2))
    time.sleep(0.005)
say(time.monotonic())
wheels.close()
""",
        )
        edges = [edge for edge in seen.edges(THROTTLE) if begin < edge.after_s < end]
    periods_us = [
        before.asked_us + after.asked_us
        for before, after in pairwise(edges)
        if after.level == Level.HIGH and before.asked_us
    ]
    assert len(periods_us) > 5
    # RPi.GPIO may take the width of one command and the pause of the next.
    assert periods_us == [pytest.approx(20_000, rel=0.05)] * len(periods_us)


def test_pins_are_low_before_the_first_pulse_and_neutral_is_sent_to_the_end_and_then_nothing(pi):
    with Pulses(pi) as seen:
        closing_s, closed_s = run_driver(
            pi,
            """
wheels = open_motors(conf)
wheels.apply(Command(-1.0, -1.0))
wait_for_edges(40)
say(time.monotonic())
wheels.close()
say(time.monotonic())
time.sleep(0.2)
""",
        )
        for pin, driven_us in {STEERING: 1050, THROTTLE: 950}.items():
            levels, pulses = [edge.level for edge in seen.edges(pin)], seen.all(pin)
            assert levels[:2] == [Level.LOW, Level.HIGH]
            released = levels.index(Level.INPUT)
            assert levels[released - 1] == Level.LOW, "the pin was given back during a pulse"
            assert set(levels[released:]) == {Level.INPUT}
            assert_not_cut_short(pulses)
            driven = max(i for i, pulse in enumerate(pulses) if pulse.has(driven_us))
            assert_all(pulses[driven + 1 :], 1450)
            assert pulses[-1].end_s - closing_s >= 0.4
            assert seen.since(closed_s, pin) == []


def test_pulses_are_not_cut_short_when_pins_are_reopened(pi):
    with Pulses(pi) as seen:
        run_driver(
            pi,
            """
for _ in range(6):
    with closing(GpioPulses(conf)) as pulses:
        for pin in (18, 13):
            pulses.send(pin, 1500)
        wait_for_edges(5)
        while not is_in_a_pulse():
            pass
""",
        )
        for pin in (STEERING, THROTTLE):
            assert_not_cut_short(seen.all(pin))


def test_a_pin_of_a_killed_process_is_usable_with_warnings_as_errors(pi):
    """RPi.GPIO turns a warning that is raised into a SystemError."""
    run_driver(pi, "if not os.fork(): GpioPulses(conf); os.kill(os.getpid(), 9)\nos.wait()")
    with Pulses(pi) as seen:
        run_driver(pi, "open_motors(conf).close()")
        assert len(seen.all(THROTTLE)) > 10


def test_a_process_that_is_killed_sends_no_more_pulses(pi):
    code = "wheels = open_motors(conf); wheels.apply(Command(0, 1)); time.sleep(600)"
    with Pulses(pi) as seen, started(pi, code) as driver:
        seen.wait_for(THROTTLE, 1950, HANGS_S)
        driver.kill()
        driver.wait()
        killed_s = time.monotonic()
        time.sleep(0.2)
        assert seen.since(killed_s, THROTTLE) == []


def test_the_shortest_allowed_pulse_is_still_a_pulse(pi):
    """A duty cycle of 0 is a lost signal, not neutral."""
    shortest = msgspec.structs.replace(CONF, longer_by_us=200, frequency_hz=40)
    code = "with closing(GpioPulses(conf)) as pulses: pulses.send(13, 500); wait_for_edges(6)"
    with Pulses(pi) as seen:
        run_driver(pi, code, shortest)
        assert_all(seen.all(THROTTLE), 300)


def test_closing_releases_our_pins_and_no_others(pi):
    with Pulses(pi) as seen:
        [closed_s, numbering] = run_driver(
            pi,
            """
from RPi import GPIO
GPIO.setmode(GPIO.BCM)
GPIO.setup(25, GPIO.OUT, initial=GPIO.HIGH)
other = GPIO.PWM(25, 100)
other.start(50)
pulses = GpioPulses(conf)
pulses.close()
pulses.close()
say(time.monotonic())
wait_for_edges(6)
say(GPIO.getmode() == GPIO.BCM)
other.stop()
del other
""",
        )
        for pin in (STEERING, THROTTLE):
            assert [edge.level for edge in seen.edges(pin)][-1] == Level.INPUT
        assert [pulse for pulse in seen.since(closed_s, 25) if pulse.has(5000)]
    assert numbering


REFUSED = {
    "the same pins again": (
        "pulses = GpioPulses(conf); pulses.send(13, 1500)",
        "GpioPulses(conf).send(13, 1500)",
        "PWM object already exists",
    ),
    "closed pins": (
        "pulses = GpioPulses(conf); pulses.close()",
        "pulses.send(13, 1500)",
        "the pins are closed",
    ),
    "another numbering": (
        "from RPi import GPIO; GPIO.setmode(GPIO.BOARD)",
        "GpioPulses(conf)",
        "A different mode has already been set!",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_library_refuses_is_a_failure_of_the_motors(case, pi):
    before, action, message = REFUSED[case]
    numbering = "from RPi import GPIO; say(GPIO.getmode())" if "numbering" in case else ""
    with Pulses(pi) as seen:
        failure, *mode = run_driver(
            pi,
            f"{before}\nsay(failure_of(lambda: {action}))\n{numbering}\n"
            "if 'pulses' in globals(): pulses.close()",
        )
        assert message in failure
        assert mode in ([], [10])  # left alone
        if case == "closed pins":
            assert seen.all(THROTTLE) == []


def test_a_pin_is_released_when_the_other_cannot_be_used(pi):
    code = """
no_pin = msgspec.structs.replace(conf.throttle, channel=54)
conf = msgspec.structs.replace(conf, throttle=no_pin)
say(failure_of(lambda: GpioPulses(conf)))
"""
    with Pulses(pi) as seen:
        [failure] = run_driver(pi, code)
        levels = [edge.level for edge in seen.edges(STEERING)]
    assert "The channel sent is invalid on a Raspberry Pi" in failure
    assert levels[-1:] in ([], [Level.INPUT])


def test_a_pin_that_cannot_be_stopped_does_not_keep_the_other_from_ending(pi_of_gpiochip):
    """RPi.GPIO's objects cannot be given a fault."""
    with Pulses(pi_of_gpiochip) as seen:
        failure, closed_s = run_driver(
            pi_of_gpiochip,
            """
from RPi import GPIO
pulses = GpioPulses(conf)
pulses.send(13, 1500)
pulses.send(18, 1500)
wait_for_edges(8)
real = GPIO.PWM.stop
def stop(pwm):
    real(pwm)
    raise RuntimeError("a fault of the library")
GPIO.PWM.stop = stop
GPIO.PWM.__del__ = lambda _: None
say(failure_of(pulses.close))
say(time.monotonic())
time.sleep(0.1)
""",
        )
        for pin in (STEERING, THROTTLE):
            assert seen.since(closed_s, pin) == []
            assert seen.edges(pin)[-1].level == Level.INPUT
    assert "a fault of the library" in failure


# The kernel gives a pin to one process only, and rpi-lgpio gets its pins from the kernel.

HOLDER = """
with closing(GpioPulses(conf)) as pulses:
    pulses.send(13, 1500)
    print("holds", flush=True)
    sys.stdin.readline()
"""
NEXT = """
gpio_pulses._OTHERS_TIMEOUT_S = 600
print("opens", flush=True)
with closing(GpioPulses(conf)) as pulses:
    print("opened", flush=True)
    pulses.send(13, 1600)
    wait_for_edges(6)
"""


def test_a_process_waits_until_the_one_before_it_has_given_its_pins_back(pi_of_gpiochip):
    pi = pi_of_gpiochip
    with Pulses(pi) as seen, started(pi, HOLDER) as holder:
        assert holder.stdout.readline().strip() == "holds"
        with started(pi, NEXT) as other:
            assert other.stdout.readline().strip() == "opens"
            time.sleep(0.3)  # in which one that does not wait fails
            print(file=holder.stdin, flush=True)
            assert other.stdout.readline().strip() == "opened"
            assert (holder.wait(), other.wait()) == (0, 0)
        widths_us = [round(pulse.commanded_us, -1) for pulse in seen.all(THROTTLE)]
    assert widths_us == sorted(widths_us)
    assert set(widths_us) == {1450, 1550}


def test_pins_that_another_program_keeps_are_told_and_the_first_is_released(pi_of_gpiochip):
    pi = pi_of_gpiochip
    other_steering = msgspec.structs.replace(CONF.steering, channel=12)
    holders = msgspec.structs.replace(CONF, steering=other_steering)
    with Pulses(pi) as seen, started(pi, HOLDER, holders) as holder:
        assert holder.stdout.readline().strip() == "holds"
        [failure] = run_driver(
            pi, "gpio_pulses._OTHERS_TIMEOUT_S = 0; say(failure_of(lambda: GpioPulses(conf)))"
        )
        assert seen.edges(STEERING)[-1].level == Level.INPUT
        count = len(seen.all(THROTTLE))
        wait_until(lambda: len(seen.all(THROTTLE)) > count + 3)  # the other's go on
    assert failure.endswith("'GPIO busy'; another program uses the pins")


def test_a_machine_that_is_not_a_pi_is_told_with_the_remedy(pi):
    """RPi.GPIO reads /proc/cpuinfo, rpi-lgpio the device tree, which nothing here can replace."""
    environment = bench.environment(pi)
    environment.pop("RPI_LGPIO_REVISION", None)
    code = DRIVER + "print(failure_of(lambda: GpioPulses(conf)))" + _ending(pi)
    outside = [sys.executable, "-c", code, msgspec.json.encode(CONF).decode()]
    told = subprocess.run(outside, env=environment, capture_output=True, text=True, check=True)
    assert "can only be run on a Raspberry Pi!; on a Raspberry Pi: sudo apt" in told.stdout
    assert "python3-rpi-lgpio" in told.stdout
    assert len(told.stdout.splitlines()) == 1


def test_a_board_that_rpi_lgpio_does_not_know_is_told_with_the_remedy(pi_of_gpiochip):
    [failure] = run_driver(
        pi_of_gpiochip,
        "say(failure_of(lambda: GpioPulses(conf)))",
        variables={"RPI_LGPIO_REVISION": "000e"},  # of a Pi of 2012
    )
    assert "old-style revision codes; on a Raspberry Pi: sudo apt" in failure


def test_the_real_rpi_gpio_reports_a_raspberry_pi_5(pi_of_registers):
    """It can be imported there, but finds no /dev/gpiomem and an unknown processor."""
    [message] = run_driver(
        pi_of_registers,
        """
from RPi import GPIO
with open("/proc/cpuinfo", "w") as cpuinfo:
    cpuinfo.write("Hardware\\t: BCM2712\\n")
subprocess.run(["umount", "/dev/gpiomem"], check=True)
os.remove("/dev/gpiomem")
say(failure_of(lambda: open_motors(conf)))
""",
    )
    assert message.startswith("the pins cannot be used: Cannot determine SOC")
    assert "Raspberry Pi 5" in message
    assert "rpi-lgpio" in message


DEVICES = {"RPi.GPIO": "/dev/gpiomem", "rpi-lgpio": "/dev/gpiochip0"}


def test_a_user_without_permission_is_told_the_group(pi):
    device = DEVICES[pi.library.name]
    [failure] = run_driver(
        pi,
        f"""
subprocess.run(["umount", "{device}"], check=True)
os.remove("{device}")
say(failure_of(lambda: GpioPulses(conf)))
""",
    )
    assert "the user must be in the group gpio: sudo adduser $USER gpio" in failure


@pytest.mark.parametrize("own", [True, False], ids=["with LG_WD", "without LG_WD"])
def test_lgpio_neither_moves_the_process_nor_leaves_files_in_its_folder(
    own, pi_of_gpiochip, tmp_path
):
    """Importing it creates a FIFO, and makes that folder the current one."""
    here, temporary, chosen = (tmp_path / name for name in ("here", "temporary", "chosen"))
    for folder in (here, temporary, chosen):
        folder.mkdir()
    variables = {"TMPDIR": str(temporary)} | ({"LG_WD": str(chosen)} if own else {})
    code = "GpioPulses(conf).close(); say(os.getcwd()); say(os.environ.get('LG_WD'))"
    answer = run_driver(pi_of_gpiochip, code, cwd=here, variables=variables)
    assert answer == [str(here), str(chosen) if own else None]
    assert [*here.iterdir(), *temporary.iterdir()] == []
    assert len([*chosen.iterdir()]) == own


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
def test_a_process_exits_cleanly_when_its_motors_are_closed(closes, code, pi_of_registers):
    """At exit RPi.GPIO unmaps the registers while its threads may still run."""
    with started(pi_of_registers, SLOW_TO_END + closes) as ending:
        try:
            ending.wait(5)  # a crash is immediate; otherwise it waits for input
        except subprocess.TimeoutExpired:
            ending.communicate()
        assert ending.wait() == code
