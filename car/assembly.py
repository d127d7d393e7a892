"""Assembly of a car from its parts: a simulated one, or the real one."""

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Protocol

import path
from car import pi_checks
from car.camera.drivers import open_camera
from car.clock import RealClock
from car.constants import SEEDS
from car.hardware_conf import GpioMotorsConf, HardwareConf, PwmMotorsConf
from car.interfaces import Camera, GuardedMotors, Pad, Pilot, RoadKeeping
from car.motors import gpio_pulses
from car.motors.drivers import describe_motors
from car.motors.guarded_motors import MotorsBehindGuard
from car.pad.drivers import check_map, open_pad
from car.pilot.piloting import PilotedCamera, PilotedPad, Piloting
from car.simulator.camera import SimulatedCamera
from car.simulator.motors import GuardedSimulatedMotors
from car.simulator.pad import SimulatedPad
from car.simulator.world import World
from common.errors import CameraFailed, PadLost
from common.preflight import Check, CheckResult

RATE_CHECK_S = 1.0
RATE_CHECK_TRIES = 3
MIN_RATE = 0.9  # of the requested rate; a slower camera is not ready


@dataclass(frozen=True, slots=True)
class Parts:
    """Open parts of a car, ready to drive."""

    camera: Camera
    pad: Pad
    motors: GuardedMotors


class Car(Protocol):
    """Car whose parts are opened one by one, and closed together.

    A check of a part looks at an open one. Its result is None where there is nothing to report.
    """

    clock: RealClock

    def open_pad(self) -> Pad:
        """Open the pad.

        Raises:
            PadLost: no pad is connected, or it cannot be read.
        """

    def check_pad(self, pad: Pad) -> CheckResult | None:
        """Check whether the pad can drive the car.

        Raises:
            PadLost: it cannot.
            PilotFailed: the pilot in its place cannot.
        """

    def open_camera(self) -> Camera:
        """Open the camera.

        Raises:
            CameraFailed: the camera cannot be used.
        """

    def check_camera(self, camera: Camera) -> CheckResult | None:
        """Check rate and colours of the pictures.

        Raises:
            CameraFailed: they are wrong, or no picture arrives.
        """

    def open_motors(self) -> GuardedMotors:
        """Open the motors, at neutral for as long as the ESC needs.

        Raises:
            MotorsFailed: the motors cannot be used.
        """

    def check_motors(self, motors: GuardedMotors) -> CheckResult:
        """Return how the motors are connected."""

    def checks(self) -> Sequence[tuple[str, Check]]:
        """Return the checks of everything but the parts, by name."""

    def settings(self) -> dict[str, object]:
        """Return settings that only the parts know, by key, for the labels."""

    def speed_m_s(self) -> float | None:
        """Return the car's speed; None when it is unknown."""

    def road_keeping(self) -> RoadKeeping | None:
        """Return how well the drive has kept to the road; None when it is unknown."""

    def close(self) -> None:
        """Close all parts, in the reverse order of opening. May be called twice."""


class SimulatedCar:
    """Car on a simulated track, in real time, driven by a simulated person or by a pilot.

    The pilot takes the person's place at stick and trigger; Menu stays the person's.
    """

    def __init__(
        self,
        *,
        track: str,
        seed: int | None,
        width_px: int,
        height_px: int,
        rate_hz: float,
        max_throttle: float,
        pilot: Pilot | None = None,
    ) -> None:
        """Place the car at the start of `track`, one of `car.constants.TRACKS`.

        Without `seed`, no two drives are the same.
        """
        self.clock = RealClock()
        seed = time.time_ns() % SEEDS if seed is None else seed
        self._world = World(track, clock=self.clock, seed=seed, max_throttle=max_throttle)
        self._width_px, self._height_px, self._rate_hz = width_px, height_px, rate_hz
        self._pilot = pilot
        self._piloting: Piloting | None = None
        self._open_parts = ExitStack()

    def open_pad(self) -> Pad:
        """Open the simulated driver's pad, and start the pilot."""
        pad: Pad = SimulatedPad(self._world)
        if self._pilot:
            self._piloting = Piloting(self._pilot, self.clock)
            pad = PilotedPad(pad, self._piloting, max_throttle=self._world.max_throttle)
        return self._open_parts.enter_context(closing(pad))

    def check_pad(self, pad: Pad) -> CheckResult | None:
        """Check that the pilot, if there is one, answers; the simulated pad needs no check.

        Raises:
            PilotFailed: it does not.
        """
        if not self._piloting:
            return None
        return CheckResult(self._piloting.check(self._width_px, self._height_px))

    def open_camera(self) -> Camera:
        """Open the simulated camera, whose pictures the pilot sees."""
        camera: Camera = SimulatedCamera(
            self._world, width_px=self._width_px, height_px=self._height_px, rate_hz=self._rate_hz
        )
        if self._piloting:
            camera = PilotedCamera(camera, self._piloting)
        return self._open_parts.enter_context(closing(camera))

    def check_camera(self, camera: Camera) -> None:
        """Report nothing: the camera is simulated."""

    def open_motors(self) -> GuardedMotors:
        """Open the simulated motors, behind a real guard.

        Raises:
            MotorsFailed: the guard does not start.
        """
        return self._open_parts.enter_context(closing(GuardedSimulatedMotors(self._world)))

    def check_motors(self, motors: GuardedMotors) -> CheckResult:
        """Return that the motors are simulated."""
        return CheckResult("simulated, behind a guard")

    def checks(self) -> Sequence[tuple[str, Check]]:
        """Return no checks: a simulated car is always ready."""
        return ()

    def settings(self) -> dict[str, object]:
        """Return the settings that reproduce this drive: track, seed and pilot."""
        pilot = self._pilot.settings() if self._pilot else {}
        return {"sim_track": self._world.track.name, "seed": self._world.seed, **pilot}

    def speed_m_s(self) -> float:
        """Return the car's speed."""
        return self._world.state().speed_m_s

    def road_keeping(self) -> RoadKeeping:
        """Return how well the drive has kept to the road."""
        return self._world.road_keeping()

    def close(self) -> None:
        """Close all parts, in the reverse order of opening. May be called twice."""
        self._open_parts.close()


class RealCar:
    """Raspberry Pi with a camera, a pad, a servo and an ESC."""

    def __init__(
        self, conf: HardwareConf, *, width_px: int, height_px: int, rate_hz: float
    ) -> None:
        """Describe the car; its parts are opened later.

        Raises:
            InputError: the pad's map cannot be used.
        """
        check_map(conf.pad, conf_file=path.HARDWARE_CONF)
        self.clock = RealClock()
        self._conf = conf
        self._width_px, self._height_px, self._rate_hz = width_px, height_px, rate_hz
        self._timing: gpio_pulses.Timing | None = None
        self._open_parts = ExitStack()

    def open_pad(self) -> Pad:
        """Open the pad.

        Raises:
            PadLost: no pad is connected, or it cannot be read.
        """
        pad = open_pad(self._conf.pad, self.clock, conf_file=path.HARDWARE_CONF)
        return self._open_parts.enter_context(closing(pad))

    def check_pad(self, pad: Pad) -> CheckResult:
        """Check whether the map fits the pad.

        Raises:
            PadLost: it does not.
        """
        # P7: a map that does not fit is found before the drive, not during it.
        if fault := pad.read().fault:
            raise PadLost(
                f"{pad.describe()}: {fault}; record one of its own: "
                "run_manual.py --check-pad --learn"
            )
        return CheckResult(pad.describe())

    def open_camera(self) -> Camera:
        """Open the camera.

        Raises:
            CameraFailed: the camera cannot be used.
        """
        camera = open_camera(
            self._conf.camera,
            width_px=self._width_px,
            height_px=self._height_px,
            rate_hz=self._rate_hz,
        )
        return self._open_parts.enter_context(closing(camera))

    def check_camera(self, camera: Camera) -> CheckResult:
        """Check rate and colours of the pictures.

        Raises:
            CameraFailed: they are wrong, or no picture arrives.
        """
        rate_hz = 0.0
        for _ in range(RATE_CHECK_TRIES):  # a starting program may take the processor for a moment
            rate_hz = max(rate_hz, camera.measure_rate_hz(RATE_CHECK_S))
            if rate_hz >= self._rate_hz * MIN_RATE:
                break
        else:
            raise CameraFailed(
                f"{rate_hz:.1f} pictures per second instead of {self._rate_hz:g}: lower --rate, or "
                "use more light"
            )
        return CheckResult(
            f"{camera.describe()}, {rate_hz:.1f} Hz, {camera.check_colours()}", camera.advice()
        )

    def open_motors(self) -> GuardedMotors:
        """Open the motors, at neutral for as long as the ESC needs.

        Raises:
            MotorsFailed: the motors cannot be used.
        """
        motors = self._conf.motors
        if isinstance(motors, GpioMotorsConf | PwmMotorsConf) and motors.gpio_pins:
            self._timing = gpio_pulses.detect_timing(motors)
        return self._open_parts.enter_context(closing(MotorsBehindGuard(self._conf.motors)))

    def check_motors(self, motors: GuardedMotors) -> CheckResult:
        """Return how the motors are connected, and which library times their pulses."""
        description = describe_motors(self._conf.motors)
        if not self._timing:
            return CheckResult(description)
        description += f", timed by {self._timing.library}"
        if longer_us := self._timing.longer_by_us:
            description += f", whose pulses are shortened by the {longer_us:g} us that it adds"
        return CheckResult(description, self._timing.advice)

    def checks(self) -> Sequence[tuple[str, Check]]:
        """Return the checks of the Pi, by name."""
        checks = [
            ("system", pi_checks.check_system),
            ("kernel", pi_checks.check_kernel),
            ("clock", pi_checks.check_clock),
            ("supply", pi_checks.check_supply),
        ]
        if pins := self._conf.motors.pwm_pins:
            checks.append(("pins", pi_checks.pwm_pins_check(pins)))
            checks.append(("audio", pi_checks.check_audio))
        if self._conf.motors.outlive_processes:
            checks.append(("watchdog", pi_checks.check_watchdog))
        return checks

    def settings(self) -> dict[str, object]:
        """Return the library that times the pulses, and by how much it lengthens them."""
        if not self._timing:
            return {}
        return {
            "gpio_library": self._timing.library,
            "longer_by_us": self._timing.longer_by_us,
        }

    def speed_m_s(self) -> None:
        """Return None: nothing measures the speed."""

    def road_keeping(self) -> None:
        """Return None: nothing knows where the road is."""

    def close(self) -> None:
        """Close all parts, in the reverse order of opening. May be called twice."""
        self._open_parts.close()
