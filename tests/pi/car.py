"""The drive of a real car: `run_manual.py` in an emulated Pi, with real libraries.

    with driving(folder) as car:
        moment_s = time.monotonic()
        car.pad.unplug()
        car.stop_delay_s(moment_s)

The library for the pins and inputs are real, the camera is a fake; in the virtual Pi the kernel's
devices are real too.
"""

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import path
from tests.fakes import fake_camera
from tests.fakes.fake_camera import FakeCamera
from tests.helpers import lateness
from tests.helpers.lateness import Lateness
from tests.helpers.waiting import HANGS_S, wait_until
from tests.pi import rigs
from tests.pi.libraries import BY_REGISTERS, GpioLibrary
from tests.pi.pad import Pad
from tests.pi.pulses import Pulse, Pulses
from tests.pi.rigs import Rig

PAD_SILENCE_S = 1.0
_ATTEMPTS = 3
JUST_BEFORE_S = 0.1
THROTTLE = 13
REVERSE_US, NEUTRAL_US = 700.0, 1700.0
TOLERANCE_US = 50.0  # a thumb is never quite still
CONF: dict[str, Any] = {
    "car": "bench",
    "max_throttle": 1.0,
    "jpeg_quality": 90,
    "motors": {
        "driver": "gpio",
        "steering": {"channel": 18, "left_us": 1100, "centre_us": 1500, "right_us": 1900},
        "throttle": {
            "channel": THROTTLE,
            "reverse_us": REVERSE_US,
            "neutral_us": NEUTRAL_US,
            "forward_us": 2000,
        },
        "longer_by_us": 0,
        "neutral_first_s": 0.1,
    },
    "pad": {"silence_s": PAD_SILENCE_S},
}

PWM_CONF = CONF | {
    "motors": {key: value for key, value in CONF["motors"].items() if key != "longer_by_us"}
    | {"driver": "pwm", "throttle_driver": "pwm"}
}

_THUMB_PERIOD_S = 0.01


class Thumb(threading.Thread):
    """A thumb that holds the brake, never quite still, until it is released."""

    def __init__(self, pad: Pad) -> None:
        super().__init__(daemon=True)
        self._pad = pad
        self._released = threading.Event()
        self.last_s = 0.0

    def run(self) -> None:
        full = False
        while not self._released.wait(_THUMB_PERIOD_S):
            full = not full
            with suppress(AssertionError):  # the pad is unplugged
                self._pad.brake(1.0 if full else 0.995)
                self.last_s = time.monotonic()

    def release(self) -> float:
        """Send no more events; return the time of the last one."""
        self._released.set()
        if self.is_alive():
            self.join()
        return self.last_s


class GuardLate(AssertionError):
    """The guard of a busy machine answered too late, so this attempt proves nothing."""


def retry_if_guard_late(test: Callable[..., None]) -> Callable[..., None]:
    """Retry a test in another folder if the guard stopped the car because it was late itself."""

    @functools.wraps(test)
    def tried(tmp_path: Path, **arguments: Any) -> None:
        for attempt in range(_ATTEMPTS):
            folder = tmp_path / str(attempt)
            folder.mkdir()
            try:
                test(folder, **arguments)
            except GuardLate:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    return tried


@dataclass
class Car:
    """A car that drives backwards at full throttle, and the controls of its environment."""

    process: "subprocess.Popen[str]"
    pad: Pad
    camera: FakeCamera
    pulses: Pulses
    folder: Path
    trigger: Path
    thumb: Thumb
    late: Lateness

    def wait_for_motors(self) -> None:
        """Wait until the motors send neutral."""
        wait_until(
            lambda: (
                (self.find_child("guard") and self.pulses.all(THROTTLE))
                or self.process.poll() is not None
            ),
            poll_s=0.05,
        )
        self.assert_running()

    def assert_running(self) -> None:
        """Fail with the drive's exit code and stderr if it has exited.

        Raises:
            GuardLate: the guard of a busy machine answered too late, and the drive took over.
        """
        if self.process.poll() is None:
            return
        code, stderr = self.wait_for_exit()
        raise (GuardLate if guard_was_late(stderr) else AssertionError)(code, stderr)

    def go(self) -> None:
        """Arm the car and drive backwards, pressing Menu until it moves."""
        deadline_s = time.monotonic() + HANGS_S
        while True:
            self.thumb.release()
            self.pad.brake(0.0)
            self.pad.tap("Menu")
            time.sleep(0.1)
            self.thumb = Thumb(self.pad)
            self.thumb.start()
            try:
                self.pulses.wait_for(THROTTLE, REVERSE_US, 1, tolerance_us=TOLERANCE_US)
            except AssertionError:
                self.assert_running()
                if time.monotonic() > deadline_s:
                    raise
            else:
                return

    def start_again(self, setup: "DriveSetup") -> None:
        """Start another drive, once this one has exited."""
        self.process.communicate()
        self.process = setup.start()

    def ensure_driving(self) -> None:
        """Start the car again if the guard of a busy machine has stopped it."""
        try:
            self.pulses.wait_for(THROTTLE, REVERSE_US, 0.1, tolerance_us=TOLERANCE_US)
        except AssertionError:
            self.assert_running()
            self.go()

    def record(self, pictures: int = 5) -> None:
        """Drive until so many more pictures are recorded, also if the car is stopped meanwhile."""
        enough = self.count_pictures() + pictures

        def has_recorded() -> bool:
            self.ensure_driving()
            return self.count_pictures() >= enough

        wait_until(has_recorded)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the drive."""
        self.process.send_signal(number)

    def trigger_fault(self) -> None:
        """Trigger the fault that the drive was prepared with, and wait until it has begun."""
        self.trigger.touch()
        wait_until(lambda: not self.trigger.exists())

    def child_pid(self, module: str) -> int:
        """Return the id of the drive's child process that runs a module of that name."""
        pid = self.find_child(module)
        assert pid, f"no process of {module}"
        return pid

    def find_child(self, module: str) -> int | None:
        """Return what `child_pid` does; None if there is none."""
        for pid in self.children():
            with suppress(OSError):
                if module.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        return None

    def children(self) -> list[int]:
        """Return the ids of the drive's child processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with suppress(OSError):
            return [int(pid) for pid in children.read_text().split()]
        return []

    def resume_processes(self) -> None:
        """Resume the drive and its children, if they were suspended."""
        for pid in (self.process.pid, *self.children()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def stop_delay_s(self, moment_s: float, *, observe_s: float = 0.6) -> float:
        """Return the delay from that time until the wheels stopped for good.

        They stop with the first neutral pulse after the last other one or, without one, with the
        end of that. The pulses are observed for long enough first.

        Raises:
            GuardLate: the car stood before that time.
        """
        time.sleep(observe_s + self.late.allowed_s)
        if not self.moved(moment_s - JUST_BEFORE_S - self.late.allowed_s, moment_s):
            raise GuardLate("the car stood before it was stopped")
        moving, stopped_s = False, moment_s
        for pulse in self._measured_pulses():
            if _is_moving(pulse):
                moving, stopped_s = True, pulse.end_s
            elif moving:
                moving, stopped_s = False, pulse.start_s
        return max(stopped_s - moment_s, 0.0)

    def wait_until_standing(self) -> float:
        """Wait for ten neutral pulses in a row and return their end."""
        start_s = time.monotonic()

        def newest() -> list[Pulse]:
            return list(self._measured_pulses(start_s))[-10:]

        wait_until(lambda: [_is_moving(pulse) for pulse in newest()] == [False] * 10)
        return newest()[-1].end_s

    def moved(self, after_s: float, before_s: float = inf) -> bool:
        """Return whether any pulse between those times was not neutral."""
        pulses = self._measured_pulses(after_s)
        return any(_is_moving(pulse) for pulse in pulses if pulse.start_s <= before_s)

    def _measured_pulses(self, after_s: float = 0.0) -> Iterator[Pulse]:
        """Yield the pulses that the ESC accepts and whose width is known."""
        for pulse in self.pulses.since(after_s, THROTTLE):
            if pulse.is_known(TOLERANCE_US):
                yield pulse

    def quit(self) -> str:
        """Press A, and return the stderr of a drive that ends well.

        Raises:
            GuardLate: the guard of a busy machine answered too late, also at the end.
        """
        self.pad.tap("A")
        code, stderr = self.wait_for_exit()
        if guard_was_late(stderr):
            raise GuardLate(code, stderr)
        assert code == 0, stderr
        return stderr

    def wait_for_exit(self, timeout_s: float = HANGS_S) -> tuple[int, str]:
        """Return the drive's exit code and stderr."""
        _, stderr = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, stderr

    def count_pictures(self) -> int:
        """Return the number of pictures on the disk."""
        return len(self.picture_ids())

    def picture_ids(self) -> set[str]:
        """Return the ids of the pictures on the disk."""
        return {file.stem for file in self.folder.glob("*.jpg")}


@dataclass(frozen=True)
class DriveSetup:
    """A Pi with a camera, and the command of its drive."""

    rig: Rig
    camera: FakeCamera
    folder: Path
    trigger: Path
    command: list[str]
    environment: dict[str, str]
    cwd: Path = path.ROOT

    def start(self, stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[str]":
        """Start the drive."""
        return subprocess.Popen(
            self.command,
            cwd=self.cwd,
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )


def prepare_drive(
    folder: Path,
    *options: str,
    fault: str = "",
    conf: Mapping[str, Any] = CONF,
    library: GpioLibrary = BY_REGISTERS,
    output: Path | None = None,
) -> DriveSetup:
    """Prepare a drive into `folder / "drive"`, with a fault of `broken_drive` if given.

    It runs in `folder` if a relative `output` is given.
    """
    rig = rigs.create(folder / "pi", conf, library)
    camera = fake_camera.connect_camera(folder)
    trigger = folder / "trigger"
    script: list[object] = [path.ROOT / "get_data" / "run_manual.py"]
    if fault:
        script = ["-m", "tests.fakes.broken_drive", fault, trigger]
    environment = {**rig.environment, "PATATE_HOME": str(folder / "home")}
    python_path = (environment["PYTHONPATH"], camera.environment["PYTHONPATH"])
    environment |= camera.environment | {"PYTHONPATH": os.pathsep.join(python_path)}
    drive = folder / (output or "drive")
    command = rig.command(sys.executable, *script, "-o", output or drive, *options)
    cwd = folder if output else path.ROOT
    return DriveSetup(rig, camera, drive, trigger, command, environment, cwd)


@contextmanager
def driving(folder: Path, *options: str, **more: Any) -> Iterator[Car]:
    """Prepare and start a drive, and drive backwards within the block."""
    with start_drive(prepare_drive(folder, *options, **more)) as car:
        car.wait_for_motors()
        car.go()
        yield car


@contextmanager
def start_drive(setup: DriveSetup) -> Iterator[Car]:
    """Start the drive, which checks its car and then waits for Menu, and end it after the block."""
    with setup.rig.recorder as pulses, setup.rig.plug_in() as pad, lateness.measured() as late:
        thumb = Thumb(pad)
        car = Car(
            setup.start(), pad, setup.camera, pulses, setup.folder, setup.trigger, thumb, late
        )
        try:
            yield car
        finally:
            car.thumb.release()
            _end(car)


def guard_was_late(stderr: str) -> bool:
    """Return whether a drive has taken over from its guard, as on a busy machine."""
    return "guard does not answer; the car is at neutral" in stderr


def _is_moving(pulse: Pulse) -> bool:
    return not pulse.has(NEUTRAL_US, TOLERANCE_US)


def _end(car: Car) -> None:
    """End all processes of the drive, whatever state they are in."""
    car.resume_processes()
    pids = car.children()
    if car.process.poll() is None:
        car.process.kill()
        car.process.communicate()
    wait_until(lambda: not any(_is_running(pid) for pid in pids))


def _is_running(pid: int) -> bool:
    """Return whether the process runs; a zombie does not."""
    with suppress(OSError):
        return b"State:\tZ" not in Path(f"/proc/{pid}/status").read_bytes()
    return False
