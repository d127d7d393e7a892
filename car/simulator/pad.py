"""The pad of the simulated car, in the hands of the world's driver."""

from collections import deque
from collections.abc import Sequence
from math import inf

from car.interfaces import NEUTRAL, Button, Command, PadState
from car.simulator.world import CLOCK_TOLERANCE_S, World
from common.errors import PadLost

_NOTICE_AFTER_S = 1.0  # until the driver notices that the car is not moving


class SimulatedPad:
    """Pad of a driver who arms the car first, and again whenever it was stopped.

    If the car stops without the driver's doing, the driver releases the throttle, presses Menu once
    and drives on; if the car still does not move, Menu is pressed again.
    """

    arm_button = "Menu"

    def __init__(self, world: World, *, presses: Sequence[tuple[float, Button]] = ()) -> None:
        """`presses` are additional buttons, each with its time in seconds since the start."""
        self._world = world
        self._start_s = world.started_s
        self._presses = deque([(0.0, Button.ARM), *sorted(presses, key=lambda press: press[0])])
        self._last_armed_s = -inf
        self._stopped_by_driver = False
        self._closed = False

    def describe(self) -> str:
        """Return the pad, in one line."""
        return "simulated driver"

    def read(self) -> PadState:
        """Return the current state without waiting.

        Full throttle on the pad is the world's `max_throttle`.

        Raises:
            PadLost: the pad is closed.
        """
        if self._closed:
            raise PadLost("the simulated pad is closed")
        now_s = self._world.clock.now()
        elapsed_s = now_s - self._start_s
        pressed = set()
        while self._presses and self._presses[0][0] <= elapsed_s + CLOCK_TOLERANCE_S:
            pressed.add(self._presses.popleft()[1])
        self._stopped_by_driver |= Button.EMERGENCY_STOP in pressed
        standing_s = min(self._world.idle_s(), now_s - self._last_armed_s)
        if standing_s > _NOTICE_AFTER_S and not self._stopped_by_driver:
            pressed.add(Button.ARM)
        if Button.ARM in pressed:
            self._last_armed_s = now_s
        command = self._world.driver_command()
        on_pad = Command(command.steering, command.throttle / self._world.max_throttle)
        # A car can be armed only with the throttle released.
        return PadState(NEUTRAL if Button.ARM in pressed else on_pad, frozenset(pressed))

    def discard_presses(self) -> None:
        """Restart the world: the drive begins now. This driver presses no button before."""
        self._world.restart()
        self._start_s = self._world.started_s

    def close(self) -> None:
        """Disconnect the pad. May be called twice."""
        self._closed = True
