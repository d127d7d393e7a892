"""Servo and ESC: a command becomes two pulse widths."""

import time
from contextlib import ExitStack
from typing import Protocol

from car.hardware_conf import PulseMotorsConf
from car.interfaces import NEUTRAL, Command, clamp_command

NEUTRAL_LAST_S = 0.5  # neutral for an ESC before the pulses end


class PulseDriver(Protocol):
    """Hardware that repeats a pulse on each channel until it is given another width."""

    def send(self, channel: int, width_us: float) -> None:
        """Set the width of the channel's pulses.

        Raises:
            MotorsFailed: the hardware does not respond.
        """

    def close(self) -> None:
        """End all pulses. May be called twice."""


class ServoAndEsc:
    """Wheels moved by a servo and an ESC, at neutral when opened and before they are closed."""

    def __init__(self, conf: PulseMotorsConf, pulses: PulseDriver) -> None:
        """Send neutral.

        Raises:
            MotorsFailed: the hardware does not respond; `pulses` is closed.
        """
        self._conf = conf
        self._pulses = pulses
        self._closed = False
        with ExitStack() as on_failure:
            on_failure.callback(pulses.close)
            self.apply(NEUTRAL)  # P2: the first pulse is neutral
            on_failure.pop_all()

    def apply(self, command: Command) -> None:
        """Move the wheels by the command, clamped to -1..1.

        Raises:
            ValueError: a value is not a number.
            MotorsFailed: the hardware does not respond.
        """
        command = clamp_command(command)  # P8
        steering, throttle = self._conf.steering, self._conf.throttle
        # The throttle comes first: a servo that fails must not keep the ESC from neutral.
        self._pulses.send(
            throttle.channel,
            interpolate_width_us(
                command.throttle, throttle.reverse_us, throttle.neutral_us, throttle.forward_us
            ),
        )
        self._pulses.send(
            steering.channel,
            interpolate_width_us(
                command.steering, steering.left_us, steering.centre_us, steering.right_us
            ),
        )

    def close(self) -> None:
        """Send neutral for `NEUTRAL_LAST_S`, then end the pulses. May be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            self.apply(NEUTRAL)  # P9: an ESC sees neutral for a while before the pulses end
            time.sleep(NEUTRAL_LAST_S)
        finally:
            self._pulses.close()


def interpolate_width_us(
    value: float, at_minus_1_us: float, at_0_us: float, at_1_us: float
) -> float:
    """Interpolate a value from -1 to 1 linearly between three pulse widths."""
    if value >= 0:
        return at_0_us + value * (at_1_us - at_0_us)
    return at_0_us - value * (at_minus_1_us - at_0_us)
