"""Pulses by the hardware PWM, with the kernel's files played by the kernel's rules."""

import ast
import os
import signal
import subprocess
import sys

import msgspec
import pytest

import path
from car.hardware_conf import PwmMotorsConf, SteeringConf, ThrottleConf
from tests.pi import bench, pwm
from tests.pi.pulses import Pulses

STEERING, THROTTLE = 18, 13
CONF = PwmMotorsConf(
    steering=SteeringConf(channel=STEERING, left_us=1100, centre_us=1520, right_us=1900),
    throttle=ThrottleConf(channel=THROTTLE, reverse_us=1000, neutral_us=1480, forward_us=2000),
    throttle_driver="pwm",
)
MIXED = msgspec.structs.replace(CONF, throttle_driver="gpio", longer_by_us=0)

DRIVER = """
import os, signal, sys, warnings
from contextlib import closing
warnings.simplefilter("error")
import msgspec
from car.hardware_conf import PwmMotorsConf
from car.interfaces import Command
from car.motors.drivers import open_motors
from car.motors.pwm_pulses import PwmPulses
from common.errors import MotorsFailed
conf = msgspec.json.decode(sys.argv[1], type=PwmMotorsConf)
values = []
say = values.append
"""
ONE_DRIVE = """
with closing(open_motors(conf)) as wheels:
    wheels.apply(Command(-1, 1))
"""
KILLED = "open_motors(conf).apply(Command(-1, 1)); os.kill(os.getpid(), signal.SIGKILL)"
REFUSED = """
try:
    open_motors(conf)
except MotorsFailed as error:
    say(str(error))
"""


@pytest.fixture
def pi(tmp_path):
    return bench.create_pi(tmp_path / "pi")


@pytest.fixture(params=[(pwm.PI_5, 4, {STEERING: 2, THROTTLE: 1}), (pwm.PI_4, 2, {18: 0, 13: 1})])
def board(request, pi):
    """A Pi with its chip, and the chip's channel of each pin; another chip comes first."""
    device, count, channels = request.param
    pwm.add_chip(pi, pwm.FAN, number=0, channels=4)
    return pi, pwm.add_chip(pi, device, number=1, channels=count), channels


def run(pi, code, conf=CONF, *, code_expected=0):
    """Run code after `DRIVER` in the Pi; return what it gave to `say`."""
    command = [sys.executable, "-c", DRIVER + code + "\nprint(repr(values))"]
    environment = os.environ | pwm.environment(pi) | {"PYTHONPATH": str(path.ROOT)}
    if conf.gpio_pins:
        both = f"{pwm.environment(pi)['LD_PRELOAD']}:{bench.environment(pi)['LD_PRELOAD']}"
        environment |= bench.environment(pi) | {"LD_PRELOAD": both}
    result = subprocess.run(
        pi.command(*command, msgspec.json.encode(conf).decode()),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (code_expected, ""), result.stderr
    return ast.literal_eval(result.stdout) if result.stdout else None


def of(chip, channel):
    """What was written into the files of a channel, in order."""
    writes = [write for write in chip.writes() if write.channel == f"pwm{channel}"]
    return [(write.name, write.value) for write in writes]


def test_widths_are_exact_and_neutral_comes_before_the_first_pulse_and_last(board):
    pi, chip, channels = board
    run(pi, ONE_DRIVE)
    for pin, neutral_ns, driven_ns in [
        (STEERING, "1520000", "1100000"),
        (THROTTLE, "1480000", "2000000"),
    ]:
        assert of(chip, channels[pin]) == [
            ("period", "20000000"),
            ("duty_cycle", neutral_ns),
            ("enable", "1"),
            ("duty_cycle", driven_ns),
            ("duty_cycle", neutral_ns),
            ("duty_cycle", "0"),
            ("enable", "0"),
        ]
        assert chip.value(channels[pin], "enable") == ""  # given back


@pytest.mark.parametrize("frequency_hz", [40.0, 60.5, 100.0])
def test_the_period_is_that_of_the_frequency(frequency_hz, board):
    pi, chip, channels = board
    run(pi, ONE_DRIVE, msgspec.structs.replace(CONF, frequency_hz=frequency_hz))
    assert of(chip, channels[STEERING])[0] == ("period", str(round(1e9 / frequency_hz)))


def test_the_pulses_of_a_killed_process_go_on_until_the_next_one_ends_them_before_neutral(board):
    pi, chip, channels = board
    run(pi, KILLED, code_expected=-signal.SIGKILL)
    throttle = channels[THROTTLE]
    killed_s = chip.writes()[-1].moment_s
    assert (chip.value(throttle, "enable"), chip.value(throttle, "duty_cycle")) == ("1", "2000000")
    assert chip.pulses(throttle, killed_s + 1)[-1].width_us == 2000
    before = len(of(chip, throttle))
    run(pi, ONE_DRIVE, msgspec.structs.replace(CONF, frequency_hz=100.0))  # another period
    assert of(chip, throttle)[before : before + 5] == [
        ("duty_cycle", "0"),
        ("enable", "0"),
        ("period", "10000000"),
        ("duty_cycle", "1480000"),
        ("enable", "1"),
    ]
    assert chip.value(throttle, "enable") == ""


NEXT = """
from car.motors import pwm_pulses
pwm_pulses._OTHERS_TIMEOUT_S = 600
print("opens", flush=True)
with closing(PwmPulses(conf)) as pulses:
    pulses.send({pin}, 1600)
"""


def test_a_process_waits_until_the_one_before_it_has_given_its_channels_back(board):
    pi, chip, channels = board
    code = f"""
import subprocess, time
pulses = PwmPulses(conf)
pulses.send({THROTTLE}, 1500)
command = [sys.executable, "-c", {DRIVER + NEXT.format(pin=THROTTLE)!r}, sys.argv[1]]
with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
    other.stdout.readline()
    time.sleep(0.3)  # in which one that does not wait opens them
    pulses.close()
say(other.returncode)
"""
    assert run(pi, code) == [0]
    one = [("period", "20000000"), ("duty_cycle", "{}"), ("enable", "1")]
    end = [("duty_cycle", "0"), ("enable", "0")]
    first, second = ([(name, value.format(ns)) for name, value in one] for ns in (1500000, 1600000))
    assert of(chip, channels[THROTTLE]) == [*first, *end, *second, *end]


def test_steering_by_the_hardware_and_throttle_by_software_use_a_pin_each(board):
    pi, chip, channels = board
    with Pulses(pi) as seen:
        run(pi, ONE_DRIVE, MIXED)
        assert seen.all(THROTTLE)
        assert not seen.edges(STEERING)  # else the pin leaves the hardware PWM
    assert ("duty_cycle", "1100000") in of(chip, channels[STEERING])
    assert of(chip, channels[THROTTLE]) == []


def test_a_missing_overlay_is_told_with_its_line(pi):
    pwm.add_chip(pi, pwm.FAN, channels=4)
    [message] = run(pi, REFUSED)
    assert "dtoverlay=pwm-2chan,pin=18,func=2,pin2=13,func2=4" in message


def test_a_channel_that_the_kernel_uses_is_told_and_the_other_given_back(board):
    pi, chip, channels = board
    busy = chip.folder / f"pwm{channels[THROTTLE]}"
    busy.touch()  # no folder of a channel, and in its way
    [message] = run(pi, REFUSED)
    assert str(busy.name) in message
    assert chip.value(channels[STEERING], "enable") == ""
    assert ("enable", "1") not in of(chip, channels[STEERING])


def test_what_the_kernel_refuses_is_a_failure_of_the_motors_that_ends_all_pulses(board):
    pi, chip, channels = board
    code = f"""
wheels = open_motors(conf)
os.truncate("/sys/class/pwm/pwmchip1/pwm{channels[STEERING]}/period", 0)
try:
    wheels.apply(Command(1, 1))
except MotorsFailed as error:
    say(str(error))
try:
    wheels.close()
except MotorsFailed as error:
    say(str(error))
"""
    refused, at_the_end = run(pi, code)
    assert "duty_cycle: Invalid argument" in refused
    assert "Invalid argument" in at_the_end
    assert chip.value(channels[THROTTLE], "enable") == ""
    assert of(chip, channels[THROTTLE])[-1] == ("enable", "0")


def test_closed_pins_send_nothing(board):
    pi, _, _ = board
    code = f"""
pulses = PwmPulses(conf)
pulses.close()
pulses.close()
try:
    pulses.send({STEERING}, 1500)
except MotorsFailed as error:
    say(str(error))
"""
    assert len(run(pi, code)) == 1


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [("duty_cycle", 1, 22), ("enable", 1, 22), ("period", 0, 22), ("enable", 2, 22)],
)
def test_the_played_kernel_refuses_what_the_kernel_refuses(name, value, number, board):
    pi, chip, _ = board
    code = f"""
import contextlib
from pathlib import Path
from car.motors import pwm_pulses
folder = Path("/sys/class/pwm/pwmchip1")
pwm_pulses._write(folder / "export", 0)
try:
    pwm_pulses._write(folder / "pwm0/{name}", {value})
except MotorsFailed as error:
    say(error.__cause__.errno)
"""
    assert run(pi, code) == [number]
    assert of(chip, 0) == []
