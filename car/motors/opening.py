"""Motors by pulse width: a command becomes the pulses that a servo and an ESC understand."""

import time
from contextlib import ExitStack
from typing import Protocol

from msgspec import Struct

from car.hardware_conf import GpioMotors, Pca9685Motors, PulseMotors
from car.interfaces import NEUTRAL, Command, Motors, clamp_command
from car.motors import gpio_pulses, pca9685_pulses
from car.motors.wire import WireMotors

NEUTRAL_LAST_S = 0.5  # so long an ESC hears neutral before the pulses end


class SimulatedWheels(Struct, frozen=True, tag_field="driver", tag="simulated"):
    """The wheels of a simulated car, at the other end of a pipe."""

    descriptor: int


AnyMotors = GpioMotors | Pca9685Motors | SimulatedWheels


class PulseDriver(Protocol):
    """Sends pulses to channels, one after the other, until it is told another width."""

    def send(self, channel: int, width_us: float) -> None:
        """The channel's pulses are this wide. Raises: MotorsFailed."""

    def close(self) -> None:
        """There are no more pulses. May be called twice."""


class ServoAndEsc:
    """A car whose servo and ESC hear pulses; neutral from the beginning to the end."""

    def __init__(self, conf: PulseMotors, pulses: PulseDriver) -> None:
        """Neutral goes out. Raises: MotorsFailed, with `pulses` closed."""
        self._conf = conf
        self._pulses = pulses
        self._closed = False
        with ExitStack() as failed:
            failed.callback(pulses.close)
            self.apply(NEUTRAL)
            failed.pop_all()

    def apply(self, command: Command) -> None:
        """The wheels follow the command, clamped to -1 .. 1.

        Raises: ValueError for a value that is not a number, MotorsFailed.
        """
        command = clamp_command(command)
        steering, throttle = self._conf.steering, self._conf.throttle
        self._pulses.send(
            throttle.channel,
            width_us(
                command.throttle, throttle.reverse_us, throttle.neutral_us, throttle.forward_us
            ),
        )
        self._pulses.send(
            steering.channel,
            width_us(command.steering, steering.left_us, steering.centre_us, steering.right_us),
        )

    def close(self) -> None:
        """Neutral was sent for a while, and the pulses have ended. May be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            self.apply(NEUTRAL)
            time.sleep(NEUTRAL_LAST_S)
        finally:
            self._pulses.close()


def width_us(value: float, at_minus_1: float, at_0: float, at_1: float) -> float:
    """The pulse for a value from -1 to 1: straight lines between the three pulses."""
    return at_0 + value * (at_1 - at_0) if value >= 0 else at_0 - value * (at_minus_1 - at_0)


def opened(conf: AnyMotors) -> Motors:
    """The motors of that kind, at neutral. Raises: MotorsFailed."""
    match conf:
        case SimulatedWheels():
            return WireMotors(conf.descriptor)
        case GpioMotors():
            return ServoAndEsc(conf, gpio_pulses.GpioPulses(conf))
        case Pca9685Motors():
            return ServoAndEsc(conf, pca9685_pulses.Pca9685Pulses(conf))


def described(conf: PulseMotors) -> str:
    """The motors and where they are connected, in one line."""
    return (
        f"{conf.__struct_config__.tag}: steering on {conf.steering.channel}, throttle on "
        f"{conf.throttle.channel}, at neutral"
    )


def neutral_first_s(conf: AnyMotors) -> float:
    """How long neutral has to go out before anything else."""
    return 0.0 if isinstance(conf, SimulatedWheels) else conf.neutral_first_s
