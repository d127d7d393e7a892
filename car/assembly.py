"""The parts of one car, put together: a simulated one, or the real one."""

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import Protocol

import path
from car import pi_checks
from car.camera.pi_camera import PiCamera
from car.clock import RealClock
from car.hardware_conf import GpioMotors, HardwareConf
from car.interfaces import Camera, GuardedMotors, Pad
from car.motors import gpio_pulses
from car.motors.drivers import describe_motors
from car.motors.guarded_motors import MotorsBehindGuard
from car.pad import pad_map
from car.pad.xbox_pad import XboxPad
from car.simulator.camera import SimulatedCamera
from car.simulator.motors import GuardedSimulatedMotors
from car.simulator.pad import SimulatedPad
from car.simulator.world import World
from common.errors import CameraFailed, PadLost
from common.preflight import Check, CheckResult

TRIED_FOR_S = 1.0
TRIES = 3
SEEDS = 2**32
RATE_SHARE = 0.9  # of the rate asked for; a camera that is slower is not ready


class Car(Protocol):
    """The parts of one car. The checks open the camera and the pad, `open_motors` the motors."""

    clock: RealClock
    camera: Camera | None
    pad: Pad | None
    motors: GuardedMotors | None

    def checks(self) -> Sequence[tuple[str, Check]]:
        """What is looked at before anything moves."""

    def open_motors(self) -> CheckResult:
        """The motors are at neutral. Raises: MotorsFailed."""

    def settings(self) -> dict[str, object]:
        """Return what only the parts know of how they are set, by key, for the labels."""

    def speed_m_s(self) -> float | None:
        """How fast the car is; None when that cannot be told."""

    def close(self) -> None:
        """All parts are closed, the motors first. May be called twice."""


class SimulatedCar:
    """A car on a simulated track, driven by a simulated person, in real time."""

    def __init__(
        self,
        *,
        track: str,
        seed: int | None,
        width_px: int,
        height_px: int,
        rate_hz: float,
        max_throttle: float,
    ) -> None:
        """The car stands at the start of `track`, one of `car.simulator.track.TRACKS`.

        Sizes are the picture's, in pixels. Without `seed`, no two drives are the same.
        """
        self.clock = RealClock()
        seed = time.time_ns() % SEEDS if seed is None else seed
        self._world = World(track, clock=self.clock, seed=seed, max_throttle=max_throttle)
        self.camera: Camera | None = SimulatedCamera(
            self._world, width_px=width_px, height_px=height_px, rate_hz=rate_hz
        )
        self.pad: Pad | None = SimulatedPad(self._world)
        self.motors: GuardedMotors | None = None
        self._open = ExitStack()

    def checks(self) -> Sequence[tuple[str, Check]]:
        """What is looked at before anything moves: nothing, a simulated car is always ready."""
        return ()

    def open_motors(self) -> CheckResult:
        """The motors are at neutral. Raises: MotorsFailed."""
        self.motors = self._open.enter_context(closing(GuardedSimulatedMotors(self._world)))
        return CheckResult("simulated, behind a guard")

    def settings(self) -> dict[str, object]:
        """Return what makes this drive come again: the road, and the seed of chance."""
        return {"sim_track": self._world.track.name, "seed": self._world.seed}

    def speed_m_s(self) -> float:
        """How fast the car is."""
        return self._world.state().speed_m_s

    def close(self) -> None:
        """All parts are closed, the motors first. May be called twice."""
        self._open.close()


class RealCar:
    """A Raspberry Pi with a camera, a pad, a servo and an ESC."""

    def __init__(
        self, conf: HardwareConf, *, width_px: int, height_px: int, rate_hz: float
    ) -> None:
        """Nothing is open yet. Sizes are the picture's, in pixels.

        Raises: InputError for a map of the pad that cannot be used.
        """
        if conf.pad.map:
            pad_map.read(path.HARDWARE_CONF.parent / conf.pad.map)
        self.clock = RealClock()
        self.camera: Camera | None = None
        self.pad: Pad | None = None
        self.motors: GuardedMotors | None = None
        self._conf = conf
        self._timing: gpio_pulses.Timing | None = None
        self._rate_hz = rate_hz
        self._open_pad = partial(XboxPad, conf.pad, self.clock, conf_file=path.HARDWARE_CONF)
        self._open_camera = partial(
            PiCamera, conf.camera, width_px=width_px, height_px=height_px, rate_hz=rate_hz
        )
        self._open = ExitStack()

    def checks(self) -> Sequence[tuple[str, Check]]:
        """What is looked at before anything moves; opens the pad and the camera."""
        return (
            ("pad", self._check_pad),
            ("camera", self._check_camera),
            ("clock", pi_checks.clock),
            ("supply", pi_checks.supply),
        )

    def _check_pad(self) -> CheckResult:
        pad = self._open.enter_context(closing(self._open_pad()))
        self.pad = pad
        if wrong := pad.read().fault:
            raise PadLost(
                f"{pad.describe()}: {wrong}; name a map of your own in hardware_conf.json"
            )
        return CheckResult(pad.describe())

    def _check_camera(self) -> CheckResult:
        camera = self._open.enter_context(closing(self._open_camera()))
        come_hz = 0.0
        for _ in range(TRIES):  # a program that starts may take the processor for a moment
            come_hz = max(come_hz, camera.measured_rate_hz(TRIED_FOR_S))
            if come_hz >= self._rate_hz * RATE_SHARE:
                break
        else:
            raise CameraFailed(
                f"{come_hz:.1f} pictures a second come instead of {self._rate_hz:g}: ask for a "
                "lower --rate, or more light"
            )
        said = f"{camera.describe()}, {come_hz:.1f} Hz, {camera.colour_order()}"
        whole = camera.sees_more_with()
        self.camera = camera  # one that failed is not asked for anything more
        return CheckResult(
            said, f"--resolution {whole} shows all that this sensor mode sees" if whole else ""
        )

    def open_motors(self) -> CheckResult:
        """The motors are at neutral, and have been for as long as the ESC wants.

        Raises: MotorsFailed.
        """
        conf = self._conf.motors
        if isinstance(conf, GpioMotors):
            self._timing = gpio_pulses.detect_timing(conf)
        self.motors = self._open.enter_context(closing(MotorsBehindGuard(conf)))
        said = describe_motors(conf)
        if not self._timing:
            return CheckResult(said)
        how = f"timed by {self._timing.library}"
        if longer_us := self._timing.longer_by_us:
            how += f", which is asked for {longer_us:g} us less as its pulses leave longer"
        return CheckResult(f"{said}, {how}", self._timing.advice)

    def settings(self) -> dict[str, object]:
        """Return what only the parts know of how they are set, by key, for the labels."""
        if not self._timing:
            return {}
        return {
            "gpio_library": self._timing.library,
            "longer_by_us": self._timing.longer_by_us,
        }

    def speed_m_s(self) -> None:
        """Cannot be told: there is nothing that measures it."""

    def close(self) -> None:
        """All parts are closed, the motors first. May be called twice."""
        self._open.close()
