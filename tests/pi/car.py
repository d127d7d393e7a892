"""The drive of a real car: `run_manual.py` in a Pi made of namespaces, with real libraries.

    with driving(folder) as car:
        moment_s = car.now()
        car.pad.unplug()
        car.stopped_after_s(moment_s)

RPi.GPIO and inputs are the real ones, the camera is the fake one. The car drives backwards, since
pulses on a busy machine are late to end and never early: full reverse is the shorter pulse, neutral
the longer one.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
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
from tests.helpers.waiting import wait_until
from tests.pi import bench
from tests.pi.namespace import Pi
from tests.pi.pad import FifoPad
from tests.pi.pulses import LONGEST_US, Pulse, Pulses

SILENCE_S = 1.0
JUST_BEFORE_S = 0.1
THROTTLE = 13
REVERSE_US, NEUTRAL_US, TOLERANCE_US = 700.0, 1700.0, 300.0
CONF = {
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
    "pad": {"silence_s": SILENCE_S},
}

_SAYS_EVERY_S = 0.01
_GOES_WITHIN_S = 20.0


class Thumb(threading.Thread):
    """Holds the brake as a thumb does, never quite still, until it rests."""

    def __init__(self, pad: FifoPad) -> None:
        super().__init__(daemon=True)
        self._pad = pad
        self._over = threading.Event()
        self.last_s = 0.0

    def run(self) -> None:
        full = False
        while not self._over.wait(_SAYS_EVERY_S):
            full = not full
            with suppress(AssertionError):  # the pad is unplugged
                self._pad.brake(1.0 if full else 0.995)
                self.last_s = time.monotonic()

    def rest(self) -> float:
        """The thumb says nothing more; returns when it said something last."""
        self._over.set()
        if self.is_alive():
            self.join()
        return self.last_s


class StoodAlready(AssertionError):
    """A busy machine had stopped the car before the test could."""


@dataclass
class Car:
    """A car that drives backwards at full throttle, and all that can be done to it."""

    process: "subprocess.Popen[str]"
    pad: FifoPad
    camera: FakeCamera
    pulses: Pulses
    folder: Path
    trigger: Path
    thumb: Thumb
    late: Lateness

    def wait_for_motors(self) -> None:
        """The motors are at neutral."""
        wait_until(lambda: self.pulses.all(THROTTLE) or self.process.poll() is not None)
        assert self.process.poll() is None, self.ended()

    def go(self) -> None:
        """The car is armed and goes backwards; Menu is pressed again until it does."""
        give_up_s = time.monotonic() + _GOES_WITHIN_S
        while True:
            self.thumb.rest()
            self.pad.brake(0.0)
            self.pad.tap("Menu")
            time.sleep(0.1)
            self.thumb = Thumb(self.pad)
            self.thumb.start()
            try:
                self.pulses.wait_for(THROTTLE, REVERSE_US, 1, tolerance_us=TOLERANCE_US)
            except AssertionError:
                if time.monotonic() > give_up_s:
                    raise
            else:
                return

    def start_again(self, ready: "Bench") -> None:
        """Another drive goes backwards, at once."""
        self.thumb.rest()
        self.process.communicate()
        self.process = ready.start()
        self.go()

    def keep_going(self) -> None:
        """The car goes backwards, though the guard may have stopped it on a busy machine."""
        try:
            self.pulses.wait_for(THROTTLE, REVERSE_US, 0.1, tolerance_us=TOLERANCE_US)
        except AssertionError:
            assert self.process.poll() is None, self.ended()
            self.go()

    def signal(self, number: signal.Signals) -> None:
        """The drive gets the signal."""
        self.process.send_signal(number)

    def break_loop(self) -> None:
        """The fault that the drive was started with happens with the next tick."""
        self.trigger.touch()
        wait_until(lambda: not self.trigger.exists())

    def child(self, module: str) -> int:
        """The process of the drive that runs a module of that name."""
        for pid in self.children():
            if module.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise AssertionError(f"no process of {module}")

    def children(self) -> list[int]:
        """The processes that the drive has started and that have not ended."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with suppress(OSError):
            return [int(pid) for pid in children.read_text().split()]
        return []

    def go_on(self) -> None:
        """Nothing that was stopped is stopped any more."""
        for pid in (self.process.pid, *self.children()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def stopped_after_s(self, moment_s: float, *, looked_at_for_s: float = 0.6) -> float:
        """How long after that moment the ESC heard what stopped the car, for good.

        That is the start of the first neutral pulse after the last one that was not, or, where
        there is none, the end of that one. Looks when it is surely past. Raises: StoodAlready.
        """
        time.sleep(looked_at_for_s + self.late.allowed_s)
        if not self.moved(moment_s - JUST_BEFORE_S - self.late.allowed_s, moment_s):
            raise StoodAlready("it stood before it was stopped")
        moved, stopped_s = False, moment_s
        for pulse in self._heard():
            if _moves(pulse):
                moved, stopped_s = True, pulse.end_s
            elif moved:
                moved, stopped_s = False, pulse.start_s
        return max(stopped_s - moment_s, 0.0)

    def stands(self) -> float:
        """Return from when on ten pulses in a row were neutral; one alone may be a late other."""
        began_s = time.monotonic()

        def newest() -> list[Pulse]:
            return [one for one in self._heard() if one.start_s >= began_s][-10:]

        wait_until(lambda: [_moves(one) for one in newest()] == [False] * 10)
        return newest()[-1].end_s

    def moved(self, after_s: float, before_s: float = inf) -> bool:
        """Whether the ESC heard anything but neutral between those moments."""
        return any(_moves(one) for one in self._heard() if after_s <= one.start_s <= before_s)

    def _heard(self) -> Iterator[Pulse]:
        """The pulses that the ESC heard, without those that were measured too badly to tell."""
        for pulse in self.pulses.all(THROTTLE):
            if pulse.width_us <= LONGEST_US and pulse.error_us <= TOLERANCE_US:
                yield pulse

    def ended(self, within_s: float = 30.0) -> tuple[int, str]:
        """The drive's exit code and what it said on stderr."""
        _, said = self.process.communicate(timeout=within_s)
        return self.process.returncode, said

    def pictures(self) -> int:
        """How many pictures are on the disk."""
        return len(list(self.folder.glob("*.jpg")))


@dataclass(frozen=True)
class Bench:
    """A Pi with a camera, and the drive that is about to start on it."""

    pi: Pi
    camera: FakeCamera
    folder: Path
    trigger: Path
    command: list[str]
    environment: dict[str, str]

    def start(self, stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[str]":
        """The drive runs."""
        return subprocess.Popen(
            self.command,
            cwd=path.ROOT,
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )


def prepared(
    folder: Path, *options: str, fault: str = "", conf: Mapping[str, object] = CONF
) -> Bench:
    """A drive into `folder / "drive"`, with a fault of `broken_drive` in store."""
    pi = bench.pi(folder / "pi")
    pi.conf.write_text(json.dumps(conf))
    camera = fake_camera.connected(folder)
    trigger = folder / "now"
    script: list[object] = [path.ROOT / "get_data" / "run_manual.py"]
    if fault:
        script = ["-m", "tests.fakes.broken_drive", fault, trigger]
    environment = bench.environment(pi) | {"PATATE_HOME": str(folder / "home")}
    found = (environment["PYTHONPATH"], camera.environment["PYTHONPATH"])
    environment |= camera.environment | {"PYTHONPATH": os.pathsep.join(found)}
    drive = folder / "drive"
    command = pi.command(sys.executable, *script, "-o", drive, *options)
    return Bench(pi, camera, drive, trigger, command, environment)


@contextmanager
def driving(folder: Path, *options: str, **more: Any) -> Iterator[Car]:
    """A car that goes backwards, prepared like that."""
    with started(prepared(folder, *options, **more)) as car:
        car.wait_for_motors()
        car.go()
        yield car


@contextmanager
def started(ready: Bench) -> Iterator[Car]:
    """A drive that looks at its car, and then waits for Menu."""
    with Pulses(ready.pi) as pulses, FifoPad(ready.pi) as pad, lateness.measured() as late:
        thumb = Thumb(pad)
        car = Car(
            ready.start(), pad, ready.camera, pulses, ready.folder, ready.trigger, thumb, late
        )
        try:
            yield car
        finally:
            car.thumb.rest()
            _end(car)


def _moves(pulse: Pulse) -> bool:
    return not pulse.has(NEUTRAL_US, TOLERANCE_US, inf)


def _end(car: Car) -> None:
    """No process of the drive is left, whatever became of it."""
    car.go_on()
    pids = car.children()
    if car.process.poll() is None:
        car.process.kill()
        car.process.communicate()
    wait_until(lambda: not any(_lives(pid) for pid in pids))


def _lives(pid: int) -> bool:
    """Whether the process has not ended, were it only that nobody asks for its exit code."""
    with suppress(OSError):
        return b"State:\tZ" not in Path(f"/proc/{pid}/status").read_bytes()
    return False
