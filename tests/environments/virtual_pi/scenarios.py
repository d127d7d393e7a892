"""What only real devices of the kernel can show; `make virtualpi` runs it in the virtual Pi."""

import json
import statistics
import subprocess
import sys
import time
from contextlib import closing, contextmanager

import msgspec
import pytest

import path
from car.hardware_conf import GpioMotorsConf
from car.motors.gpio_pulses import GpioPulses
from car.motors.pca9685_pulses import ALL_OFF_HIGH, FULL_OFF, MODE1, SLEEP
from tests.pad.reader import Reader
from tests.pi.car import CONF, NEUTRAL_US, THROTTLE, driving
from tests.pi.kernel import pads
from tests.pi.kernel.traces import PinTrace
from tests.pi.pad import KINDS
from tests.pi.stopping import STOPS
from tests.test_stopping import RATE, check_stop, try_stop

STEERING_CHANNEL = 12
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


@pytest.mark.parametrize("kind", KINDS)
def test_every_pad_is_named_mapped_and_decoded_as_its_driver_presents_it(kind):
    with pads.plug_in(kind) as pad, reading() as reader:
        first = reader.wait_for(lambda line: "describe" in line)
        assert first["name"] == f"{KINDS[kind].name} at {pad.node}"
        assert first["map"] == kind.removesuffix("_360")
        reader.wait_for(lambda line: line.get("lost") == "")
        for label, button in BUTTONS.items():
            pad.press(label)
            assert reader.wait_for(lambda line: line["held"])["pressed"] == [button]
            pad.release(label)
            reader.wait_for(lambda line: not line["held"])
        pad.steer(-1.0)
        pad.throttle(1.0)
        wait_for_command(reader, -1.0, 1.0)
        pad.steer(1.0)
        pad.throttle(0.0)
        pad.brake(1.0)
        wait_for_command(reader, 1.0, -1.0)
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


TRIED = ("the pad is unplugged", "B is pressed")


@pytest.mark.parametrize("name", TRIED)
def test_the_wheels_stop_in_time_by_pulses_on_the_pins(tmp_path, name):
    (stop,) = (stop for stop in STOPS if stop.name == name)
    try_stop(tmp_path, check_stop, stop)


def test_a_pca9685_is_off_before_it_wakes_then_neutral_and_off_at_the_end(tmp_path):
    with driving(tmp_path, *RATE, conf=PCA9685_CONF) as car:
        car.record()
        car.pad.tap("A")
        code, stderr = car.wait_for_exit()
    assert code == 0, stderr
    writes = car.pulses.writes
    off = (ALL_OFF_HIGH, [FULL_OFF])
    assert writes[:2] == [off, (MODE1, [SLEEP])]
    assert writes[-1] == off
    for channel in (STEERING_CHANNEL, THROTTLE):
        first, last = car.pulses.all(channel)[0], car.pulses.all(channel)[-1]
        expected_us = NEUTRAL_US if channel == THROTTLE else 1500
        assert [first.width_us, last.width_us] == pytest.approx([expected_us] * 2, abs=5)


def test_pulses_on_the_pins_are_as_long_as_asked():
    conf = msgspec.convert(
        {"frequency_hz": 50, **CONF["motors"], "longer_by_us": None}, GpioMotorsConf
    )
    with PinTrace() as trace, closing(GpioPulses(conf)) as pulses:
        for asked_us in (1100, NEUTRAL_US, 1900):
            pulses.send(18, asked_us)
            pulses.send(THROTTLE, asked_us)
            time.sleep(0.1)
            start_s = time.monotonic()
            time.sleep(1.0)
            for pin in (18, THROTTLE):
                widths_us = [pulse.width_us for pulse in trace.since(start_s, pin)][:-1]
                assert len(widths_us) >= 45
                assert statistics.median(widths_us) == pytest.approx(asked_us, abs=5)
