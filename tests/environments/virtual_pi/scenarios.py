"""What only real devices of the kernel can show; `make virtualpi` runs it in the virtual Pi."""

import json
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager
from math import inf
from pathlib import Path

import msgspec
import pytest

import path
from car.hardware_conf import GpioMotorsConf, Pca9685MotorsConf, PwmMotorsConf
from car.interfaces import Command
from car.motors.drivers import open_motors
from car.motors.gpio_pulses import GpioPulses
from car.motors.pca9685_pulses import ALL_OFF_HIGH, FULL_OFF, MODE1, SLEEP
from tests.helpers.waiting import HANGS_S
from tests.pad.reader import Reader
from tests.pi.car import CONF, NEUTRAL_US, PWM_CONF, THROTTLE, retry_if_guard_late
from tests.pi.kernel import pads
from tests.pi.kernel.traces import Pca9685Trace, PinTrace, PwmTrace
from tests.pi.pad import KINDS
from tests.pi.pwm import PI_5
from tests.pi.rigs import PWM_CHANNELS
from tests.pi.stopping import STOPS
from tests.test_stopping import KILLED, check_end, check_stop

STEERING, STEERING_CHANNEL = 18, 12  # a pin, and an output of the PCA9685
PCA9685_CONF = CONF | {
    "motors": {
        "driver": "pca9685",
        "bus": 0,
        "address": 0x40,
        "steering": CONF["motors"]["steering"] | {"channel": STEERING_CHANNEL},
        "throttle": CONF["motors"]["throttle"],
        "neutral_first_s": 0.1,
    }
}
BUTTONS = {
    "Menu": "ARM",
    "A": "STOP_RUN",
    "B": "EMERGENCY_STOP",
    "Y": "PAUSE",
    "X": "ERASE",
    "LB": "DEAD_MAN",
}


@contextmanager
def reading(**conf):
    """Run a reader of the pad."""
    command = [sys.executable, "-m", "tests.pi.read_pad", json.dumps({"dead_zone": 0.0, **conf})]
    process = subprocess.Popen(
        command, cwd=path.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    try:
        with process.stdin, process.stdout:
            yield Reader(process)
    finally:
        process.kill()
        process.wait()


def wait_for_command(reader, steering, throttle):
    reader.wait_for(lambda line: (line["steering"], line["throttle"]) == (steering, throttle))


LIBRARIES = ("inputs", "evdev")  # evdev is the system's package, as on a Pi


@pytest.mark.parametrize("kind", KINDS)
def test_every_pad_is_named_mapped_and_decoded_as_its_driver_presents_it(kind):
    with pads.plug_in(kind) as pad, ExitStack() as stack:
        readers = [stack.enter_context(reading(library=library)) for library in LIBRARIES]
        for reader, library in zip(readers, LIBRARIES, strict=True):
            first = reader.wait_for(lambda line: "describe" in line)
            assert first["name"] == f"{KINDS[kind].name} at {pad.node}"
            assert first["map"] == kind.removesuffix("_360")
            assert first["describe"].endswith(f"read by {library}")
            reader.wait_for(lambda line: line.get("lost") == "")
        for label, button in BUTTONS.items():
            pad.press(label)
            for reader in readers:
                assert reader.wait_for(lambda line: line["held"])["pressed"] == [button]
            pad.release(label)
            for reader in readers:
                reader.wait_for(lambda line: not line["held"])
        for steering, throttle, brake in ((-1.0, 1.0, 0.0), (1.0, 0.0, 1.0)):
            pad.steer(steering)
            pad.throttle(throttle)
            pad.brake(brake)
            for reader in readers:
                wait_for_command(reader, steering, throttle - brake)
        for reader in readers:
            assert reader.end()[-1] == {"descriptors_left": 0}


@pytest.mark.parametrize("kind", ["xpad", "stock_bluetooth"])
def test_an_unplugged_pad_is_neutral_and_read_again_when_it_returns(kind):
    with pads.plug_in(kind) as pad, reading() as reader:
        reader.wait_for(lambda line: line.get("lost") == "")
        pad.throttle(1.0)
        reader.wait_for(lambda line: line["throttle"] == 1.0)
        pad.unplug()
        assert reader.wait_for(lambda line: line["lost"])["throttle"] == 0.0
        pad.replug()
        again = reader.wait_for(lambda line: not line["lost"])
        assert (again["throttle"], again["held"]) == (0.0, [])
        pad.throttle(1.0)
        reader.wait_for(lambda line: line["throttle"] == 1.0)
        assert reader.end()[-1] == {"descriptors_left": 0}


def test_after_more_events_than_the_kernel_keeps_the_axes_are_asked_for():
    with pads.plug_in("xpadneo") as pad, reading() as reader:
        reader.wait_for(lambda line: line.get("lost") == "")
        pad.throttle(1.0)
        reader.wait_for(lambda line: line["throttle"] == 1.0)
        for number in range(3000):
            pad.axis("ABS_X", -32768 + 20 * number)
        pad.steer(1.0)
        wait_for_command(reader, 1.0, 1.0)


CONFS = {
    "gpio": CONF,
    "pwm": PWM_CONF | {"pad": CONF["pad"] | {"library": "evdev"}},
    "pca9685": PCA9685_CONF,
}
UNPLUGGED, STOPPED = "the pad is unplugged", "the drive is stopped (SIGSTOP)"
GUARD_KILLED = "the guard is killed (SIGKILL)"
# Those that end each kind of pulses in another way; machines take turns, and these are long.
TRIED = [
    ("gpio", KILLED.name),
    ("gpio", UNPLUGGED),
    ("gpio", STOPPED),
    ("pwm", KILLED.name),
    ("pwm", GUARD_KILLED),
    ("gpio", GUARD_KILLED),
    ("pca9685", KILLED.name),
    ("pca9685", GUARD_KILLED),
]


@pytest.mark.parametrize(("driver", "name"), TRIED)
@retry_if_guard_late
def test_the_wheels_stop_in_time_whatever_makes_the_pulses(tmp_path, driver, name):
    """When all but the guard is killed, a second drive starts at once, on what the first left."""
    (stop,) = (stop for stop in [*STOPS, KILLED] if stop.name == name)
    check = check_end if stop is KILLED else check_stop
    check(tmp_path, stop, conf=CONFS[driver])


# Steering full left, throttle full ahead: pin, width of neutral and of that, in microseconds.
STEPS = ((STEERING, 1500, 1100), (THROTTLE, NEUTRAL_US, 2000))
LEFT_AHEAD = Command(-1.0, 1.0)


def conf_of(motors, kind, **changes):
    return msgspec.convert({**motors, **changes}, kind)


def pwm_chip():
    """Return the folder of the Pi's PWM chip."""
    chips = Path("/sys/class/pwm").iterdir()
    (chip,) = (chip for chip in chips if (chip / "device").resolve().name == PI_5)
    return chip


def test_the_hardware_pwm_gets_neutral_before_it_is_on_then_exact_widths_and_is_off_at_the_end():
    conf = conf_of(PWM_CONF["motors"], PwmMotorsConf)
    with PwmTrace(PWM_CHANNELS) as trace, closing(open_motors(conf)) as wheels:
        wheels.apply(LEFT_AHEAD)
    for pin, neutral_us, driven_us in STEPS:
        applied = trace.applied[pin]
        begin = next(n for n, (_, width_ns, _) in enumerate(applied) if width_ns)
        assert not any(is_on for _, _, is_on in applied[:begin])
        neutral_ns, driven_ns = round(1000 * neutral_us), 1000 * driven_us
        assert applied[begin:] == [
            (20_000_000, neutral_ns, False),
            (20_000_000, neutral_ns, True),
            (20_000_000, driven_ns, True),
            (20_000_000, neutral_ns, True),
            (20_000_000, 0, True),
            (20_000_000, 0, False),
        ]
    assert [*pwm_chip().glob("pwm[0-9]")] == []  # given back


def test_steering_by_the_hardware_and_throttle_by_software_use_a_pin_each():
    conf = conf_of(PWM_CONF["motors"], PwmMotorsConf, throttle_driver="gpio", longer_by_us=0)
    with PinTrace() as trace, closing(open_motors(conf)) as wheels:
        wheels.apply(LEFT_AHEAD)
        trace.wait_for(THROTTLE, 2000, HANGS_S, tolerance_us=5)
        steering = pwm_chip() / f"pwm{PWM_CHANNELS[STEERING]}"
        assert [(steering / name).read_text() for name in ("duty_cycle", "enable")] == [
            "1100000\n",
            "1\n",
        ]
        assert [*pwm_chip().glob("pwm[0-9]")] == [steering]
    assert trace.all(STEERING) == []  # else the pin leaves the hardware PWM


def test_a_pca9685_is_off_before_it_wakes_then_neutral_and_off_at_the_end():
    conf = conf_of(PCA9685_CONF["motors"], Pca9685MotorsConf)
    with Pca9685Trace() as trace, closing(open_motors(conf)) as wheels:
        wheels.apply(LEFT_AHEAD)
        time.sleep(0.1)
    off = (ALL_OFF_HIGH, [FULL_OFF])
    assert trace.writes[:2] == [off, (MODE1, [SLEEP])]
    assert trace.writes[-1] == off
    for pin, neutral_us, driven_us in STEPS:
        channel = STEERING_CHANNEL if pin == STEERING else THROTTLE
        widths_us = [pulse.width_us for pulse in trace.all(channel)]
        assert widths_us[0] == widths_us[-1] == pytest.approx(neutral_us, abs=3)
        assert pytest.approx(driven_us, abs=3) in widths_us


def test_pulses_on_the_pins_are_as_long_as_asked():
    conf = conf_of(CONF["motors"], GpioMotorsConf, longer_by_us=None)
    with PinTrace() as trace, closing(GpioPulses(conf)) as pulses:
        for asked_us in (1100, NEUTRAL_US, 1900):
            for pin in (STEERING, THROTTLE):
                pulses.send(pin, asked_us)
            time.sleep(0.1)
            start_s = time.monotonic()
            time.sleep(1.0)
            for pin in (STEERING, THROTTLE):
                widths_us = [pulse.width_us for pulse in trace.since(start_s, pin)][:-1]
                assert len(widths_us) >= 45
                assert statistics.median(widths_us) == pytest.approx(asked_us, abs=5)


def test_a_pulse_under_way_when_the_pins_are_closed_is_not_cut_short():
    """It would be another command to the ESC: full reverse, for neutral."""
    conf = conf_of(CONF["motors"], GpioMotorsConf)
    with PinTrace() as trace:
        for _ in range(3):
            with closing(GpioPulses(conf)) as pulses:
                pulses.send(THROTTLE, 1900)
                trace.wait_for(THROTTLE, 1900, HANGS_S, tolerance_us=50)
                while trace.all(THROTTLE)[-1].width_us != inf:
                    time.sleep(0.0003)  # so that the library's thread is not held up
        widths_us = [pulse.width_us for pulse in trace.all(THROTTLE)]
    # A pulse that comes long was made while the machine's one processor was reading the trace.
    assert all(1850 < width_us < inf for width_us in widths_us)
