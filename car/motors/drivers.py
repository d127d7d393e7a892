"""The drivers of motors, opened from their configuration."""

from car.hardware_conf import GpioMotorsConf, Pca9685MotorsConf, PulseMotorsConf
from car.interfaces import Motors
from car.motors import gpio_pulses, pca9685_pulses
from car.motors.pipe_motors import PipeMotors
from car.motors.servo_and_esc import ServoAndEsc
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
        case Pca9685MotorsConf():
            return ServoAndEsc(conf, pca9685_pulses.Pca9685Pulses(conf))


def describe_motors(conf: PulseMotorsConf) -> str:
    """Return the driver and its channels in one line."""
    return (
        f"{conf.__struct_config__.tag}: steering on {conf.steering.channel}, throttle on "
        f"{conf.throttle.channel}, at neutral"
    )
