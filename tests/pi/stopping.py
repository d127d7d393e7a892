"""Everything that stops the car: what is done to it, and when the wheels have to stand.

For tests, which try each once, and for the benchmark, which tries each many times.
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.pi.car import JUST_BEFORE_S, SILENCE_S, Car

CAMERA_PATIENCE_S = 1.0
GUARD_ANSWERS_S = 0.2

_TRIES = 20  # a busy machine may stop it now and then
_GUARD, _WRITER = "car.motors.guard", "get_data.recording.writer"


@dataclass(frozen=True)
class Stop:
    """One way to stop. `act` does it and returns the moment from which on time counts.

    The wheels stand `within_s`; the drive ends with `code` and says `says`, or, where `code` is
    None, goes on: A ends it.
    """

    name: str
    act: Callable[[Car], float]
    within_s: float
    code: int | None
    says: str = ""
    fault: str = ""
    looked_at_for_s: float = 0.6


def _now(does: Callable[[Car], object]) -> Callable[[Car], float]:
    def act(car: Car) -> float:
        moment_s = time.monotonic()
        does(car)
        return moment_s

    return act


def _signals(number: signal.Signals) -> Callable[[Car], float]:
    return _now(lambda car: car.signal(number))


def _to(module: str, number: signal.Signals) -> Callable[[Car], float]:
    return _now(lambda car: os.kill(car.child(module), number))


def _breaks(car: Car) -> float:
    moment_s = time.monotonic()
    car.break_loop()
    return moment_s


def _disk_hangs_and_a(car: Car) -> float:
    writer = car.child(_WRITER)
    for _ in range(_TRIES):
        car.keep_going()
        os.kill(writer, signal.SIGSTOP)
        time.sleep(0.5)
        moment_s = time.monotonic()
        if car.moved(moment_s - JUST_BEFORE_S):
            break
        os.kill(writer, signal.SIGCONT)
    car.pad.tap("A")
    return moment_s


STOPS = (
    Stop("the pad is unplugged", _now(lambda car: car.pad.unplug()), 0.1, None),
    Stop(
        f"the pad is silent ({SILENCE_S:g} s are set)",
        lambda car: car.thumb.rest(),
        SILENCE_S + 0.1,
        None,
        looked_at_for_s=SILENCE_S + 0.6,
    ),
    Stop("B is pressed", _now(lambda car: car.pad.tap("B")), 0.1, None),
    Stop("A is pressed", _now(lambda car: car.pad.tap("A")), 0.1, 0),
    Stop("the drive is killed (SIGKILL)", _signals(signal.SIGKILL), 0.25, -signal.SIGKILL),
    Stop("the drive is stopped (SIGSTOP)", _signals(signal.SIGSTOP), 0.25, None),
    Stop("the drive is told to end (SIGTERM)", _signals(signal.SIGTERM), 0.25, 130),
    Stop("the terminal is closed (SIGHUP)", _signals(signal.SIGHUP), 0.25, 130),
    Stop("an exception in the control loop", _breaks, 0.25, 1, "a mistake", fault="raises"),
    Stop("stuck in C code", _breaks, 0.25, None, fault="holds_the_lock"),
    Stop(
        "the camera hangs",
        _now(lambda car: car.camera.behaves("stall")),
        CAMERA_PATIENCE_S + 0.25,
        1,
        "no picture for 1.0 s: check the camera's cable",
        looked_at_for_s=CAMERA_PATIENCE_S + 0.6,
    ),
    Stop("the disk hangs, then A is pressed", _disk_hangs_and_a, 0.1, 0),
    Stop(
        "the guard's pipe is closed",
        _breaks,
        0.25,
        1,
        "; the car is at neutral",
        fault="closes_the_pipe",
    ),
    Stop(
        "the guard is killed (SIGKILL)",
        _to(_GUARD, signal.SIGKILL),
        0.25,
        1,
        "the motors' guard has ended; the car is at neutral",
    ),
    Stop(
        "the guard is stopped (SIGSTOP)",
        _to(_GUARD, signal.SIGSTOP),
        GUARD_ANSWERS_S + 0.25,
        1,
        "the motors' guard does not answer; the car is at neutral",
        looked_at_for_s=1.0,
    ),
    Stop(
        "the guard hangs",
        _breaks,
        GUARD_ANSWERS_S + 0.25,
        1,
        "the motors' guard does not answer; the car is at neutral",
        fault="hangs_the_guard",
        looked_at_for_s=1.0,
    ),
)
