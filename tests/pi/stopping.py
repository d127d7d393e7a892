"""Everything that stops the car, and the time within which its wheels must stop.

The tests try each once, the benchmark many times.
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.pi.car import JUST_BEFORE_S, PAD_SILENCE_S, Car

CAMERA_TIMEOUT_S = 1.0
GUARD_TIMEOUT_S = 0.2

_ATTEMPTS = 20  # a busy machine may stop the car by itself
_GUARD, _WRITER = "car.motors.guard", "get_data.recording.writer"


@dataclass(frozen=True)
class Stop:
    """A way to stop the car.

    `act` does it and returns the time from which `within_s` counts. The drive then exits with
    `exit_code` and a last line that contains `message`; if `exit_code` is None it goes on until A
    is pressed. `fault` is one of `broken_drive`.
    """

    name: str
    act: Callable[[Car], float]
    within_s: float
    exit_code: int | None
    message: str = ""
    fault: str = ""
    observe_s: float = 0.6


def _timed(action: Callable[[Car], object]) -> Callable[[Car], float]:
    def act(car: Car) -> float:
        moment_s = time.monotonic()
        action(car)
        return moment_s

    return act


def _signal_drive(number: signal.Signals) -> Callable[[Car], float]:
    return _timed(lambda car: car.signal(number))


def _signal_child(module: str, number: signal.Signals) -> Callable[[Car], float]:
    return _timed(lambda car: os.kill(car.child_pid(module), number))


def _hang_disk_and_press_a(car: Car) -> float:
    writer = car.child_pid(_WRITER)
    for _ in range(_ATTEMPTS):
        car.ensure_driving()
        os.kill(writer, signal.SIGSTOP)
        time.sleep(0.5)
        moment_s = time.monotonic()
        if car.moved(moment_s - JUST_BEFORE_S):
            break
        os.kill(writer, signal.SIGCONT)
    car.pad.tap("A")
    return moment_s


STOPS = (
    Stop("the pad is unplugged", _timed(lambda car: car.pad.unplug()), 0.1, None),
    Stop(
        f"the pad is silent ({PAD_SILENCE_S:g} s are set)",
        lambda car: car.thumb.release(),
        PAD_SILENCE_S + 0.1,
        None,
        observe_s=PAD_SILENCE_S + 0.6,
    ),
    Stop("B is pressed", _timed(lambda car: car.pad.tap("B")), 0.1, None),
    Stop("A is pressed", _timed(lambda car: car.pad.tap("A")), 0.1, 0),
    Stop("the drive is killed (SIGKILL)", _signal_drive(signal.SIGKILL), 0.25, -signal.SIGKILL),
    Stop("the drive is stopped (SIGSTOP)", _signal_drive(signal.SIGSTOP), 0.25, None),
    Stop("the drive is told to end (SIGTERM)", _signal_drive(signal.SIGTERM), 0.25, 130),
    Stop("the terminal is closed (SIGHUP)", _signal_drive(signal.SIGHUP), 0.25, 130),
    Stop(
        "an exception in the control loop",
        _timed(Car.trigger_fault),
        0.25,
        1,
        "a mistake",
        fault="raises",
    ),
    Stop(
        "stuck in C code",
        _timed(Car.trigger_fault),
        0.25,
        None,
        fault="holds_the_lock",
    ),
    Stop(
        "the camera hangs",
        _timed(lambda car: car.camera.behave("stall")),
        CAMERA_TIMEOUT_S + 0.25,
        1,
        "no picture for 1.0 s: check the camera's cable",
        observe_s=CAMERA_TIMEOUT_S + 0.6,
    ),
    Stop("the disk hangs, then A is pressed", _hang_disk_and_press_a, 0.1, 0),
    Stop(
        "the guard's pipe is closed",
        _timed(Car.trigger_fault),
        0.25,
        1,
        "; the car is at neutral",
        fault="closes_the_pipe",
    ),
    Stop(
        "the guard is killed (SIGKILL)",
        _signal_child(_GUARD, signal.SIGKILL),
        0.25,
        1,
        "the motors' guard has ended; the car is at neutral",
    ),
    Stop(
        "the guard is stopped (SIGSTOP)",
        _signal_child(_GUARD, signal.SIGSTOP),
        GUARD_TIMEOUT_S + 0.25,
        1,
        "the motors' guard does not answer; the car is at neutral",
        observe_s=1.0,
    ),
    Stop(
        "the guard hangs",
        _timed(Car.trigger_fault),
        GUARD_TIMEOUT_S + 0.25,
        1,
        "the motors' guard does not answer; the car is at neutral",
        fault="hangs_the_guard",
        observe_s=1.0,
    ),
)
