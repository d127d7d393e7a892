"""What is counted: a drive's control ticks, or the recording of pictures, and nothing else.

    python -m tests.environments.arm64.counted ticks 100
    python -m tests.environments.arm64.counted pictures 100

The parts are real, but for the camera and the wheels: the pad is a FIFO that its library reads, the
guard and the writer are processes of their own, started by the Python that the variable
PATATE_COUNTED_PYTHON names. No part waits for the time: a tick follows when the guard has answered
the one before, and the writer begins when all pictures are in its queue. So the number of
instructions does not depend on how busy the machine is. Prints the processes' ids as JSON, by part.
"""

import json
import os
import select
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from car import drive, hardware_conf
from car.clock import VirtualClock
from car.drive import Drive, DriveLimits
from car.interfaces import Frame
from car.motors import guarded_motors
from car.motors.guarded_motors import MotorsBehindGuard
from car.motors.wire import SimulatedWheels
from car.pad.devices import Folders
from car.pad.xbox_pad import XboxPad
from get_data.labels.classes import Classes
from get_data.recording.recorder import Recorder
from tests.environments.arm64.patient_guard import PATIENCE_S
from tests.pi import namespace
from tests.pi.pad import FifoPad

WIDTH_PX, HEIGHT_PX = 160, 120
RATE_HZ = 20
DIFFERENT_FRAMES = 20
START = datetime(2026, 1, 1, tzinfo=UTC)


class DarkCamera:
    """A camera without a picture until it is closed: only control ticks are counted."""

    missed = 0

    def __init__(self) -> None:
        self._closed = threading.Event()

    def capture(self) -> Frame:
        """Wait until the drive has ended."""
        self._closed.wait()
        return Frame(np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8), 0.0)

    def close(self) -> None:
        """End a capture that waits."""
        self._closed.set()


class MovedPad(XboxPad):
    """A pad whose stick moves before each reading; it ends the drive after so many."""

    def __init__(self, fifo: FifoPad, folders: Folders, clock: VirtualClock, readings: int) -> None:
        super().__init__(hardware_conf.XboxPadConf(), clock, folders=folders)
        self._fifo = fifo
        self._left = readings

    def read(self):
        """Move the stick, and read the pad as a drive does."""
        self._left -= 1
        self._fifo.steer(0.5 if self._left % 2 else -0.5)
        if not self._left:
            self._fifo.tap("A")
        return super().read()

    def discard_presses(self) -> None:
        """Discard what was pressed, then press Menu, which arms the car."""
        super().discard_presses()
        self._fifo.tap("Menu")


class AnsweredClock(VirtualClock):
    """A clock whose time comes when a descriptor can be read: the guard's answer."""

    descriptor = -1

    def sleep_until(self, moment: float) -> None:
        """Wait for the answer, not for the time."""
        select.select([self.descriptor], [], [])
        super().sleep_until(moment)


def run_ticks(ticks: int, folder: Path) -> dict[str, int]:
    """Drive for so many ticks with the car armed; return the processes by part."""
    import inputs  # noqa: PLC0415  it looks for devices

    # it would ask the device for its name, and a FIFO has none
    inputs.GamePad._set_name = lambda self: None
    for name in ("_START_TIMEOUT_S", "_STATUS_TIMEOUT_S", "_EXIT_TIMEOUT_S"):
        setattr(guarded_motors, name, PATIENCE_S)
    guarded_motors.GUARD_MODULE = "tests.environments.arm64.patient_guard"
    drive.COMMAND_TIMEOUT_S = PATIENCE_S

    pi = namespace.create_pi(folder / "pi")
    wheels, wheels_end = os.pipe()
    threading.Thread(target=_drain, args=[wheels], daemon=True).start()
    clock = AnsweredClock()
    with FifoPad(pi) as fifo:
        motors = MotorsBehindGuard(SimulatedWheels(wheels_end), inherited_fds=(wheels_end,))
        clock.descriptor = motors._status_fd
        processes = {"drive": os.getpid(), "guard": motors.pid}
        one = Drive(
            camera=DarkCamera(),
            pad=MovedPad(fifo, Folders(pi.sys_input, pi.input), clock, ticks),
            motors=motors,
            clock=clock,
            limits=DriveLimits(max_throttle=0.5),
            on_frame=lambda _frame: None,
            on_picture=lambda _frame, _command: None,
            on_erase=lambda: None,
            on_pause=lambda: None,
        )
        one.run()
    assert not one.stop_counts, one.stop_counts
    assert one.timing.ticks >= ticks - 3, one.timing.ticks  # those before and after the ticks
    return processes


def _drain(descriptor: int) -> None:
    while os.read(descriptor, 65536):
        pass


def record_pictures(pictures: int, folder: Path) -> dict[str, int]:
    """Record so many pictures; return the processes by part."""
    frames = _frames()
    with Recorder(
        folder / "drive",
        session={"driver": "nobody", "track": "oval"},
        car_setting={"car": "counted", "run": {"rate_hz": RATE_HZ}},
        classes=Classes(),
        rate_hz=pictures,  # so that all have room in the queue
        resolution=(WIDTH_PX, HEIGHT_PX),
        jpeg_quality=90,
    ) as recorder:
        writer = recorder._writer.pid
        os.kill(writer, signal.SIGSTOP)
        for number in range(pictures):
            recorder.record(
                frames[number % DIFFERENT_FRAMES],
                captured=START + timedelta(seconds=number / RATE_HZ),
                steering=0.1,
                throttle=0.3,
            )
        os.kill(writer, signal.SIGCONT)
    assert recorder.report.pictures == pictures, recorder.report
    return {"drive": os.getpid(), "writer": writer}


def _frames() -> list[np.ndarray]:
    """Return pictures like a road's: smooth surfaces with some noise."""
    generator = np.random.default_rng(1)
    row, column = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    frames = []
    for number in range(DIFFERENT_FRAMES):
        road = 90 + 60 * (np.abs(column - 80 - 2 * number) < row / 2)
        noise = generator.normal(0, 4, (HEIGHT_PX, WIDTH_PX, 3))
        frames.append(np.clip(road[..., None] + noise, 0, 255).astype(np.uint8))
    return frames


RUNS: dict[str, Callable[[int, Path], dict[str, int]]] = {
    "ticks": run_ticks,
    "pictures": record_pictures,
}


def main() -> None:
    """Run what the arguments name."""
    kind, number = sys.argv[1], int(sys.argv[2])
    sys.executable = os.environ.get("PATATE_COUNTED_PYTHON", sys.executable)
    with tempfile.TemporaryDirectory() as folder:
        processes = RUNS[kind](number, Path(folder))
    sys.stdout.write(json.dumps(processes) + "\n")


if __name__ == "__main__":
    main()
