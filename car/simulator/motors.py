"""The motors of the simulated car, with and without a guard."""

import os
from threading import Thread

from car.interfaces import NEUTRAL, Command, clamp_command
from car.motors import wire
from car.motors.guarded_motors import MotorsBehindGuard
from car.motors.wire import SimulatedWheels
from car.simulator.world import World


class SimulatedMotors:
    """Motors of the world's car without a guard, for drives on a virtual clock."""

    stop_reason = ""

    def __init__(self, world: World) -> None:
        self._world = world
        self._closed = False

    def apply(self, command: Command) -> None:
        """Move the wheels by the command, clamped to -1..1.

        Raises:
            ValueError: a value is not a number.
            RuntimeError: the motors are closed.
        """
        if self._closed:
            raise RuntimeError("the simulated motors are closed")
        self._world.apply(clamp_command(command))

    def disarm(self) -> None:
        """Bring the wheels to neutral.

        Raises:
            RuntimeError: the motors are closed.
        """
        self.apply(NEUTRAL)

    def close(self) -> None:
        """Bring the wheels to neutral. May be called twice."""
        self._closed = True
        self._world.apply(NEUTRAL)


class GuardedSimulatedMotors(MotorsBehindGuard):
    """Motors of the world's car behind the same guard process as real ones (safety S21)."""

    def __init__(self, world: World) -> None:
        """Start the guard, with the car at neutral.

        Raises:
            MotorsFailed: the guard cannot start.
        """
        self._world = world
        self._read_end, self._write_end = os.pipe()
        self._wheels = Thread(target=self._follow_guard, name="wheels", daemon=True)
        self._wheels.start()
        try:
            super().__init__(SimulatedWheels(self._write_end), inherited_fds=(self._write_end,))
        except BaseException:
            self._end_wheels()
            raise

    def _follow_guard(self) -> None:
        while messages := wire.receive_commands(self._read_end):
            self._world.apply(messages[-1].command)

    def close(self) -> None:
        """Bring the car to neutral and end the guard. May be called twice.

        Raises:
            MotorsFailed: the guard does not answer, does not exit, or failed.
        """
        try:
            super().close()
        finally:
            if self._wheels.is_alive():
                self._end_wheels()

    def _end_wheels(self) -> None:
        os.close(self._write_end)  # the guard has closed its copy, so the thread reads the end
        self._wheels.join()
        os.close(self._read_end)
