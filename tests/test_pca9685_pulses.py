"""Pulses from a PCA9685, with a fake chip by the data sheet and the API of smbus2."""

import inspect
import random
import sys
import time
from contextlib import closing

import msgspec
import pytest
import smbus2

from car.hardware_conf import Pca9685MotorsConf, SteeringConf, ThrottleConf
from car.interfaces import Command
from car.motors.pca9685_pulses import Pca9685Pulses
from car.motors.servo_and_esc import NEUTRAL_LAST_S, ServoAndEsc
from common.errors import MotorsFailed
from tests.fakes import fake_pca9685
from tests.fakes.fake_pca9685 import (
    ALL_CHANNELS,
    AUTO_INCREMENT,
    FULL_OFF,
    INVERTED,
    MODE1,
    MODE2,
    RESTART,
    SLEEP,
    Bus,
    Chip,
)

STEERING, THROTTLE = 1, 0
CONF = Pca9685MotorsConf(
    steering=SteeringConf(channel=STEERING, left_us=1100, centre_us=1520, right_us=1900),
    throttle=ThrottleConf(channel=THROTTLE, reverse_us=1000, neutral_us=1480, forward_us=2000),
)


@pytest.fixture
def chip():
    return Chip()


@pytest.fixture
def bus(chip):
    return Bus({CONF.address: chip})


def test_the_fake_is_called_as_smbus2_is():
    """Its arguments have the same names, order and defaults."""
    for name in ("read_byte_data", "write_i2c_block_data", "close"):
        real, fake = (inspect.signature(getattr(bus, name)) for bus in (smbus2.SMBus, Bus))
        assert [(each.name, each.default) for each in real.parameters.values()] == [
            (each.name, each.default) for each in fake.parameters.values()
        ]


@pytest.mark.parametrize("frequency_hz", [40.0, 50.0, 60.5, 100.0])
def test_a_pulse_is_as_wide_as_asked_within_half_a_count(frequency_hz, chip, bus):
    conf = msgspec.structs.replace(CONF, frequency_hz=frequency_hz)
    count_us = 1e6 / frequency_hz / 4096
    numbers = random.Random(9685)
    with closing(Pca9685Pulses(conf, bus)) as pulses:
        assert chip.frequency_hz() == pytest.approx(frequency_hz, rel=0.01)
        for channel in (0, 7, 15):
            for width_us in (500.0, 2500.0, *(numbers.uniform(500, 2500) for _ in range(100))):
                pulses.send(channel, width_us)
                assert chip.pulse_us(channel) == pytest.approx(width_us, abs=count_us * 0.51)


def test_at_50_hz_that_is_less_than_5_us():
    assert 1e6 / 50 / 4096 < 4.9


def test_a_chip_that_was_just_powered_sends_nothing_before_neutral(chip, bus):
    pulses = Pca9685Pulses(CONF, bus)
    assert [chip.pulse_us(channel) for channel in range(16)] == [0] * 16
    pulses.send(THROTTLE, 1480)
    assert [channel for channel in range(16) if chip.pulse_us(channel)] == [THROTTLE]


def test_a_chip_keeps_the_last_pulse_of_a_process_that_died(chip, bus):
    """Nothing on a Raspberry Pi stops it then, except the next process."""
    ServoAndEsc(CONF, Pca9685Pulses(CONF, bus)).apply(Command(0.0, 1.0))
    assert chip.pulse_us(THROTTLE) == pytest.approx(2000, abs=3)


def test_the_pulses_of_a_killed_process_end_first(chip, bus):
    ServoAndEsc(CONF, Pca9685Pulses(CONF, bus)).apply(Command(1.0, 1.0))
    before = len(chip.writes)
    wheels = ServoAndEsc(CONF, Pca9685Pulses(CONF, Bus({CONF.address: chip})))
    assert chip.writes[before][1:] == (ALL_CHANNELS + 3, [FULL_OFF])
    assert chip.read(MODE1) == AUTO_INCREMENT
    assert chip.pulse_us(THROTTLE) == pytest.approx(1480, abs=3)
    assert chip.pulse_us(STEERING) == pytest.approx(1520, abs=3)
    wheels.close()


@pytest.mark.parametrize("mode", [SLEEP, SLEEP | RESTART, AUTO_INCREMENT | SLEEP, 0x01, 0x2F])
def test_a_chip_in_any_state_is_usable(mode, chip, bus):
    """Asleep with pulses to restart, awake, or with inverted outputs, by another program."""
    chip.write(MODE1, [0])
    chip.write(ALL_CHANNELS, [0])
    for register, value in ((0x06, 0), (0x07, 0), (0x08, 0x99), (0x09, 0x01), (MODE2, INVERTED)):
        chip.write(register, [value])
    chip.write(MODE1, [mode & ~RESTART])
    pulses = Pca9685Pulses(CONF, bus)
    assert [chip.pulse_us(channel) for channel in range(16)] == [0] * 16
    pulses.send(THROTTLE, 1480)
    assert chip.pulse_us(THROTTLE) == pytest.approx(1480, abs=3)


def test_neutral_is_first_is_held_and_then_all_is_off(chip, bus, monkeypatch):
    slept = []
    wheels = ServoAndEsc(CONF, Pca9685Pulses(CONF, bus))
    assert chip.pulse_us(THROTTLE) == pytest.approx(1480, abs=3)
    wheels.apply(Command(-1.0, 1.0))
    assert chip.pulse_us(STEERING) == pytest.approx(1100, abs=3)
    monkeypatch.setattr(time, "sleep", lambda s: slept.append((s, chip.pulse_us(THROTTLE))))
    wheels.close()
    wheels.close()
    assert slept == [(NEUTRAL_LAST_S, pytest.approx(1480, abs=3))]
    assert [chip.pulse_us(channel) for channel in range(16)] == [0] * 16
    assert bus.closed == 1


def test_noise_on_the_bus_is_retried(chip, bus):
    with closing(Pca9685Pulses(CONF, bus)) as pulses:
        bus.failing = 2
        pulses.send(THROTTLE, 1480)
        assert chip.pulse_us(THROTTLE) == pytest.approx(1480, abs=3)


def test_a_missing_board_is_reported_after_three_attempts(bus):
    pulses = Pca9685Pulses(CONF, bus)
    bus.failing = 99
    with pytest.raises(MotorsFailed, match=r"no PCA9685 answers at address 0x40 of I2C bus 1: Rem"):
        pulses.send(THROTTLE, 1480)
    assert bus.failed == 3
    with pytest.raises(MotorsFailed, match="no PCA9685 answers"):
        pulses.close()
    assert bus.closed == 1


def test_the_bus_is_closed_when_there_is_no_board():
    empty = Bus({})
    with pytest.raises(MotorsFailed, match=r"i2cdetect -y 1"):
        Pca9685Pulses(CONF, empty)
    assert (empty.failed, empty.closed) == (3, 1)


def test_the_bus_is_closed_when_neutral_cannot_be_sent(bus, chip):
    pulses = Pca9685Pulses(CONF, bus)
    chip.power_cycle()
    with pytest.raises(MotorsFailed):
        ServoAndEsc(CONF, pulses)
    assert bus.closed == 1


def test_a_chip_that_lost_power_is_noticed_with_the_next_command(chip, bus):
    """It sleeps then, without auto-increment."""
    wheels = ServoAndEsc(CONF, Pca9685Pulses(CONF, bus))
    wheels.apply(Command(0.0, 1.0))
    chip.power_cycle()
    with pytest.raises(MotorsFailed, match=r"address 0x40 was reset"):
        wheels.apply(Command(0.0, 1.0))
    assert chip.pulse_us(THROTTLE) == 0
    with pytest.raises(MotorsFailed, match="was reset"):
        wheels.close()
    assert bus.closed == 1


def test_the_restart_bit_is_no_sign_of_a_reset(chip, bus):
    """RESTART is set after a sleep with pulses, until it is cleared."""
    with closing(Pca9685Pulses(CONF, bus)) as pulses:
        chip._registers[MODE1] |= RESTART
        pulses.send(THROTTLE, 1480)
        assert chip.pulse_us(THROTTLE) == pytest.approx(1480, abs=3)


def test_a_closed_bus_sends_nothing(bus):
    pulses = Pca9685Pulses(CONF, bus)
    pulses.close()
    with pytest.raises(MotorsFailed, match="I2C bus 1 is closed"):
        pulses.send(THROTTLE, 1480)


def test_a_missing_bus_is_reported_with_how_to_enable_it():
    """The real smbus2 reports it; no machine has a bus 31."""
    with pytest.raises(
        MotorsFailed, match=r"I2C bus 31 cannot be opened: No such file.*raspi-conf"
    ):
        Pca9685Pulses(msgspec.structs.replace(CONF, bus=31))


def test_a_user_without_permission_is_told_the_group(monkeypatch):
    def refuse(_number):
        raise PermissionError(13, "Permission denied", "/dev/i2c-1")

    monkeypatch.setattr(smbus2, "SMBus", refuse)
    with pytest.raises(MotorsFailed, match=r"I2C bus 1 .*Permission denied.*group i2c"):
        Pca9685Pulses(CONF)


def test_a_missing_smbus2_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "smbus2", None)
    with pytest.raises(
        MotorsFailed, match=r"smbus2 is missing: pip install -r requirements-pi\.txt"
    ):
        Pca9685Pulses(CONF)


@pytest.mark.parametrize(
    ("register", "values", "message"),
    [
        pytest.param(0xFE, [121], "PRESCALE is locked", id="prescale while it runs"),
        pytest.param(0x46, [0], "must not be written", id="a register that is not there"),
    ],
)
def test_the_fake_chip_refuses(register, values, message, chip):
    chip.write(MODE1, [0])
    with pytest.raises(AssertionError, match=message):
        chip.write(register, values)


def test_the_fake_chip_takes_all_bytes_into_one_register_without_the_ai_bit(chip):
    chip.write(MODE1, [0])
    chip.write(0x06, [1, 2, 3, 4])
    assert [chip.read(register) for register in range(0x06, 0x0A)] == [4, 0, 0, FULL_OFF]


def test_the_fake_chip_has_no_pulses_to_measure_before_its_oscillator_runs(chip, monkeypatch):
    monkeypatch.setattr(fake_pca9685, "WAKE_S", 60.0)  # longer than any delay of a test
    chip.write(MODE1, [AUTO_INCREMENT])
    chip.write(0x06, [0, 0, 0x33, 0x01])
    with pytest.raises(AssertionError, match="does not run yet"):
        chip.pulse_us(0)


def test_the_fake_chip_restarts_what_slept(chip):
    chip.write(MODE1, [AUTO_INCREMENT])
    chip.write(0x06, [0, 0, 0x33, 0x01])
    chip.write(MODE1, [AUTO_INCREMENT | SLEEP])
    assert chip.read(MODE1) & RESTART
    chip.write(MODE1, [AUTO_INCREMENT])
    assert chip.pulse_us(0) == 0
    time.sleep(0.001)
    chip.write(MODE1, [AUTO_INCREMENT | RESTART])
    assert chip.pulse_us(0) > 0
