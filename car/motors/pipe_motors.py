"""Motors of a simulated car: commands go to the other end of a pipe."""

from car.interfaces import NEUTRAL, Command, clamp_command
from car.motors import wire


class PipeMotors:
    """Sender of commands in the format of `wire`."""

    def __init__(self, descriptor: int) -> None:
        """Send to `descriptor`, which the caller closes."""
        self._descriptor = descriptor

    def apply(self, command: Command) -> None:
        """Send the command, clamped to -1..1.

        Raises:
            ValueError: a value is not a number.
        """
        wire.send_command(self._descriptor, clamp_command(command), armed=True)

    def close(self) -> None:
        """Send neutral. May be called twice."""
        wire.send_command(self._descriptor, NEUTRAL, armed=False)
