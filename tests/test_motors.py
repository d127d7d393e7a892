"""From a command to the pulses of a servo and an ESC, with any driver."""

import math
import os
import random
import time
from contextlib import closing

import msgspec
import pytest

from car.hardware_conf import GpioMotorsConf, Pca9685MotorsConf, SteeringConf, ThrottleConf
from car.interfaces import NEUTRAL, Command
from car.motors import gpio_pulses, pca9685_pulses, servo_and_esc, wire
from car.motors.drivers import open_motors
from car.motors.servo_and_esc import NEUTRAL_LAST_S, ServoAndEsc, interpolate_width_us
from car.motors.wire import SimulatedWheels
from common.errors import MotorsFailed
from tests.fakes.fake_pca9685 import Bus, Chip

STEERING, THROTTLE = 18, 13
CONF = GpioMotorsConf(
    steering=SteeringConf(channel=STEERING, left_us=1100, centre_us=1510, right_us=1900),
    throttle=ThrottleConf(channel=THROTTLE, reverse_us=1000, neutral_us=1490, forward_us=2000),
)
REVERSED = msgspec.structs.replace(
    CONF, steering=SteeringConf(channel=STEERING, left_us=1900, centre_us=1510, right_us=1100)
)


class RecordingDriver:
    """A `PulseDriver` that records pulses; sending to the channel `broken` fails."""

    def __init__(self, *, broken: int | None = None) -> None:
        self.sent: list[tuple[int, float]] = []
        self.closed = 0
        self.broken = broken

    def send(self, channel: int, width_us: float) -> None:
        if self.closed:
            raise MotorsFailed("closed")
        if channel == self.broken:
            raise MotorsFailed("the channel is broken")
        self.sent.append((channel, width_us))

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def slept(monkeypatch) -> list[float]:
    """Replace sleeping by a list of durations."""
    waits: list[float] = []
    monkeypatch.setattr(servo_and_esc.time, "sleep", waits.append)
    return waits


@pytest.mark.parametrize(
    ("value", "pulse_us"),
    [(-1.0, 1000), (-0.5, 1245), (0.0, 1490), (0.5, 1745), (1.0, 2000), (-0.0, 1490)],
)
def test_the_pulse_is_interpolated_between_three(value, pulse_us):
    assert interpolate_width_us(value, 1000, 1490, 2000) == pytest.approx(pulse_us)
    assert interpolate_width_us(-value, 2000, 1490, 1000) == pytest.approx(pulse_us)


def test_commands_are_clamped_to_the_range_of_the_car():
    numbers = random.Random(1)
    pulses = RecordingDriver()
    with closing(ServoAndEsc(CONF, pulses)) as wheels:
        for _ in range(1000):
            wheels.apply(Command(numbers.uniform(-9, 9), numbers.uniform(-9, 9)))
    assert all(1100 <= us <= 1900 for channel, us in pulses.sent if channel == STEERING)
    assert all(1000 <= us <= 2000 for channel, us in pulses.sent if channel == THROTTLE)


@pytest.mark.parametrize(
    ("conf", "command", "sent"),
    [
        pytest.param(CONF, Command(-1, 1), [(13, 2000), (18, 1100)], id="left, ahead"),
        pytest.param(CONF, Command(1, -1), [(13, 1000), (18, 1900)], id="right, back"),
        pytest.param(REVERSED, Command(-1, 0), [(13, 1490), (18, 1900)], id="reversed servo"),
        pytest.param(REVERSED, Command(0.5, 0), [(13, 1490), (18, 1305)], id="reversed, right"),
        pytest.param(CONF, Command(-7, 7), [(13, 2000), (18, 1100)], id="clamped"),
        pytest.param(CONF, Command(math.inf, -math.inf), [(13, 1000), (18, 1900)], id="infinite"),
    ],
)
def test_a_command_becomes_pulses_the_throttle_first(conf, command, sent):
    pulses = RecordingDriver()
    ServoAndEsc(conf, pulses).apply(command)
    assert pulses.sent[2:] == sent


@pytest.mark.parametrize("command", [Command(math.nan, 0), Command(0, math.nan)])
def test_nan_is_refused_before_anything_moves(command):
    pulses = RecordingDriver()
    wheels = ServoAndEsc(CONF, pulses)
    before = list(pulses.sent)
    with pytest.raises(ValueError, match="not a number"):
        wheels.apply(command)
    assert pulses.sent == before


def test_neutral_is_first_and_last_and_is_held_before_the_pulses_end(slept):
    pulses = RecordingDriver()
    wheels = ServoAndEsc(CONF, pulses)
    neutral = [(THROTTLE, 1490), (STEERING, 1510)]
    assert pulses.sent == neutral
    wheels.apply(Command(1, 1))
    wheels.close()
    assert pulses.sent[-2:] == neutral
    assert (slept, pulses.closed) == ([NEUTRAL_LAST_S], 1)


def test_closing_twice_closes_once(slept):
    pulses = RecordingDriver()
    wheels = ServoAndEsc(CONF, pulses)
    wheels.close()
    wheels.close()
    assert (len(slept), pulses.closed) == (1, 1)


def test_closed_wheels_do_not_move():
    wheels = ServoAndEsc(CONF, RecordingDriver())
    wheels.close()
    with pytest.raises(MotorsFailed, match="closed"):
        wheels.apply(Command(0, 1))


@pytest.mark.parametrize("broken", [STEERING, THROTTLE])
def test_pulses_end_when_neutral_cannot_be_sent_at_the_beginning(broken):
    pulses = RecordingDriver(broken=broken)
    with pytest.raises(MotorsFailed, match="channel is broken"):
        ServoAndEsc(CONF, pulses)
    assert pulses.closed == 1


@pytest.mark.parametrize("broken", [STEERING, THROTTLE])
def test_pulses_end_when_neutral_cannot_be_sent_at_the_end(broken):
    pulses = RecordingDriver()
    wheels = ServoAndEsc(CONF, pulses)
    wheels.apply(Command(0, 1))
    pulses.broken = broken
    with pytest.raises(MotorsFailed, match="channel is broken"):
        wheels.close()
    assert pulses.closed == 1


def test_a_failing_servo_does_not_keep_the_esc_from_neutral():
    """The throttle comes first, so it is at neutral when the servo fails."""
    pulses = RecordingDriver()
    wheels = ServoAndEsc(CONF, pulses)
    wheels.apply(Command(0, 1))
    pulses.broken = STEERING
    with pytest.raises(MotorsFailed):
        wheels.close()
    assert pulses.sent[-1] == (THROTTLE, 1490)


def test_gpio_motors_are_opened_on_pins(monkeypatch):
    opened = []
    monkeypatch.setattr(
        gpio_pulses, "GpioPulses", lambda conf: opened.append(conf) or RecordingDriver()
    )
    open_motors(CONF).close()
    assert opened == [CONF]


def test_pca9685_motors_are_opened_on_the_bus(monkeypatch):
    conf = Pca9685MotorsConf(
        steering=SteeringConf(channel=1, left_us=1100, centre_us=1500, right_us=1900),
        throttle=ThrottleConf(channel=0, reverse_us=1000, neutral_us=1500, forward_us=2000),
    )
    chip = Chip()
    monkeypatch.setattr(pca9685_pulses, "_open_bus", lambda _number: Bus({0x40: chip}))
    monkeypatch.setattr(pca9685_pulses.time, "sleep", lambda s: _real_sleep(min(s, 0.002)))
    wheels = open_motors(conf)
    assert chip.pulse_us(0) == pytest.approx(1500, abs=3)
    wheels.close()
    assert chip.pulse_us(0) == 0


_real_sleep = time.sleep


def test_simulated_wheels_are_opened_on_a_pipe():
    read, write = os.pipe()
    wheels = open_motors(SimulatedWheels(write))
    wheels.apply(Command(2, 0.5))
    wheels.close()
    os.close(write)
    assert [(message.armed, message.command) for message in wire.receive_commands(read)] == [
        (True, Command(1, 0.5)),
        (False, NEUTRAL),
    ]
    os.close(read)


def test_neutral_comes_first_for_as_long_as_configured():
    assert CONF.neutral_first_s == 2.0
    assert SimulatedWheels(0).neutral_first_s == 0.0
