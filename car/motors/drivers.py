"""The drivers of motors, opened from their configuration."""

from collections.abc import Mapping
from contextlib import ExitStack, closing

from car.hardware_conf import (
    GpioMotorsConf,
    Pca9685MotorsConf,
    PulseMotorsConf,
    PwmMotorsConf,
)
from car.interfaces import Motors
from car.motors import gpio_pulses, pca9685_pulses, pwm_pulses
from car.motors.pipe_motors import PipeMotors
from car.motors.servo_and_esc import PulseDriver, ServoAndEsc
from car.motors.wire import AnyMotors, SimulatedWheels


def open_motors(conf: AnyMotors) -> Motors:
    """Open the motors at neutral.

    Raises:
        MotorsFailed: the hardware does not respond.
    """
    match conf:
        case SimulatedWheels():
            return PipeMotors(conf.descriptor)
        case GpioMotorsConf():
            return ServoAndEsc(conf, gpio_pulses.GpioPulses(conf))
        case PwmMotorsConf():
            return ServoAndEsc(conf, _open_pwm_pins(conf))
        case Pca9685MotorsConf():
            return ServoAndEsc(conf, pca9685_pulses.Pca9685Pulses(conf))


class _MixedPulses:
    """Pulses of several drivers, each with channels of its own."""

    def __init__(self, drivers: Mapping[int, PulseDriver]) -> None:
        self._drivers = drivers

    def send(self, channel: int, width_us: float) -> None:
        self._drivers[channel].send(channel, width_us)

    def close(self) -> None:
        with ExitStack() as steps:  # each is closed, even after a failure of another
            for driver in self._drivers.values():
                steps.callback(driver.close)


def _open_pwm_pins(conf: PwmMotorsConf) -> PulseDriver:
    with ExitStack() as on_failure:
        pwm = on_failure.enter_context(closing(pwm_pulses.PwmPulses(conf)))
        drivers: dict[int, PulseDriver] = dict.fromkeys(conf.pwm_pins, pwm)
        if conf.gpio_pins:
            drivers |= dict.fromkeys(conf.gpio_pins, gpio_pulses.GpioPulses(conf))
        on_failure.pop_all()
    return _MixedPulses(drivers)


def describe_motors(conf: PulseMotorsConf) -> str:
    """Return the driver and its channels in one line."""
    throttle = f"throttle on {conf.throttle.channel}"
    if isinstance(conf, PwmMotorsConf):
        throttle += f" by {conf.throttle_driver}"
    tag = conf.__struct_config__.tag
    return f"{tag}: steering on {conf.steering.channel}, {throttle}, at neutral"
