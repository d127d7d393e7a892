"""A car on a track and a person who drives it, behind the same doors as the real parts.

    world = World("school", seed=1, clock=RealClock())
    camera = SimulatedCamera(world, width_px=160, height_px=120, rate_hz=20)
    pad, motors = SimulatedPad(world), GuardedSimulatedMotors(world)

No thread moves the car: whoever asks or tells the world something makes it catch up with its clock
first, in steps of a fixed length, so that nothing depends on how often it is asked. Same seed, same
commands at the same moments: same drive.
"""

import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import atan, atan2, ceil, cos, exp, floor, hypot, inf, radians, sin, sqrt, tan
from threading import Lock, Thread

import numpy as np

from car.interfaces import NEUTRAL, Button, Clock, Command, Frame, PadState, clamp, clamp_command
from car.motors import wire
from car.motors.guarded import MotorsBehindGuard
from car.motors.opening import SimulatedWheels
from car.simulator.track import ROAD_WIDTH_M, Place, Pose, Track, load
from car.simulator.view import SimulatedView
from common.errors import CameraFailed, PadLost

_STEP_S = 0.005
_STEPS_PER_THOUGHT = 2
_THOUGHT_S = _STEP_S * _STEPS_PER_THOUGHT
_EARLY_S = 1e-6  # a clock this near to a moment has reached it; sums of floats are not exact

_WHEELBASE_M = 0.26
_MAX_STEERING_RAD = radians(25)
_SERVO_LAG_S = 0.06
_MOTOR_LAG_S = 0.35
_TOP_SPEED_M_S = 2.8

_PUSH_S = 0.5
_PUSH_STEERING = 0.2, 0.4  # weakest and strongest; 1 is full lock

_REACTION_S = 0.17
_LOOK_AHEAD_M = 0.5
_BRAKING_M = 0.75
_NOTICES_AFTER_S = 1.0  # that the car stands though it should drive
_DARES_THROTTLE = 0.5  # also where more is allowed: faster than that, reactions come too late
_THROTTLE_ON_STRAIGHTS = 0.9  # of the highest allowed and dared
_THROTTLE_PER_CURVATURE_M = 0.47  # less of it in a bend of 1/m
_STEERING_NOISE = 0.05
_THROTTLE_NOISE = 0.02
_NOISE_LASTS_S = 0.1


@dataclass(frozen=True, slots=True)
class CarState:
    """How the car is doing; `offset_m` is how far it is to the right of the middle of the road."""

    pose: Pose
    speed_m_s: float
    offset_m: float
    laps: int

    @property
    def on_road(self) -> bool:
        """Whether the middle of the car is on the road."""
        return abs(self.offset_m) <= ROAD_WIDTH_M / 2


class World:
    """A track, a car on it and somebody who would drive it. Safe to use from threads."""

    def __init__(
        self,
        track: str = "school",
        *,
        seed: int,
        clock: Clock,
        max_throttle: float = 0.5,
        push_rate_hz: float = 0.3,
    ) -> None:
        """The car stands at the start of `track`, one of `car.simulator.track.TRACKS`.

        The driver uses no more than `max_throttle`, 0 to 1 of what the motor can do. Pushes turn
        the wheels away from what they are told, so that a drive shows how one gets back.

        Raises: ValueError for an unknown track or a throttle or rate out of range.
        """
        if not 0 < max_throttle <= 1:
            raise ValueError(f"max_throttle {max_throttle} is not above 0 and at most 1")
        if not push_rate_hz >= 0:
            raise ValueError(f"push_rate_hz {push_rate_hz} is negative")
        self.track = load(track)
        self.seed = seed
        self.clock = clock
        self.max_throttle = max_throttle
        self._push_rate_hz = push_rate_hz
        self._command = NEUTRAL
        self._lock = Lock()
        self.begin()

    def begin(self) -> None:
        """Start over now: the car at the start of the track, time and chance from the beginning.

        For when a drive begins: how long it took to get ready must not decide where pushes come.
        """
        # `Generator.spawn` came with numpy 1.25; this gives the same streams.
        driver_rng, push_rng = map(
            np.random.default_rng, np.random.SeedSequence(self.seed).spawn(2)
        )
        with self._lock:
            self.started_s = self._drove_s = self.clock.now()
            self._driver = _Driver(self.track, self.max_throttle, driver_rng)
            self._pushes = _Pushes(self._push_rate_hz, push_rng)
            self._car = _Car(self.track.pose(0))
            self._odometer = _Odometer(self.track)
            self._steps = 0

    def state(self) -> CarState:
        """How the car is doing now."""
        with self._lock:
            self._catch_up()
            pose = self._car.pose
            offset_m = self.track.place(pose).offset_m
            return CarState(pose, self._car.speed_m_s, offset_m, self._odometer.laps)

    def wish(self) -> Command:
        """What the driver would tell the wheels now."""
        with self._lock:
            self._catch_up()
            return self._driver.wish

    def obey(self, command: Command) -> None:
        """The wheels follow `command`, which is within -1 .. 1, from now on."""
        with self._lock:
            self._catch_up()
            if command.throttle or self._command.throttle:
                self._drove_s = self.clock.now()
            self._command = command

    def idle_s(self) -> float:
        """Return how long ago the wheels drove, or the world began; 0 while they drive."""
        with self._lock:
            return 0.0 if self._command.throttle else self.clock.now() - self._drove_s

    def _catch_up(self) -> None:
        elapsed_s = self.clock.now() - self.started_s
        for _ in range(self._steps, floor((elapsed_s + _EARLY_S) / _STEP_S)):
            self._step()

    def _step(self) -> None:
        if self._steps % _STEPS_PER_THOUGHT == 0:
            place = self.track.place(self._car.pose)
            self._odometer.note(place)
            self._driver.think(self._car.pose, place)
        push = self._pushes.steering(self._steps * _STEP_S)
        self._car.step(clamp(self._command.steering + push), self._command.throttle)
        self._steps += 1


class _Car:
    """A bicycle model whose servo and motor take their time."""

    def __init__(self, pose: Pose) -> None:
        self.pose = pose
        self.speed_m_s = 0.0
        self._steering = 0.0

    def step(self, steering: float, throttle: float) -> None:
        """One step later."""
        self._steering += (steering - self._steering) * _share_of_lag(_SERVO_LAG_S)
        self.speed_m_s += (throttle * _TOP_SPEED_M_S - self.speed_m_s) * _share_of_lag(_MOTOR_LAG_S)
        moved_m = self.speed_m_s * _STEP_S
        turned_rad = -moved_m * tan(self._steering * _MAX_STEERING_RAD) / _WHEELBASE_M
        middle_rad = self.pose.heading_rad + turned_rad / 2
        self.pose = Pose(
            self.pose.x_m + moved_m * cos(middle_rad),
            self.pose.y_m + moved_m * sin(middle_rad),
            self.pose.heading_rad + turned_rad,
        )


class _Pushes:
    """Bumps and gusts that turn the wheels for a while; the driver only sees what comes of it."""

    def __init__(self, rate_hz: float, rng: np.random.Generator) -> None:
        self._mean_pause_s = max(1 / rate_hz - _PUSH_S, 0.0) if rate_hz else inf
        self._rng = rng
        self._plan(after_s=0.0)

    def steering(self, moment_s: float) -> float:
        """How far the wheels are pushed at a moment; moments only ever grow."""
        if moment_s >= self._start_s + _PUSH_S:
            self._plan(after_s=moment_s)
        return self._strength if moment_s >= self._start_s else 0.0

    def _plan(self, after_s: float) -> None:
        self._start_s = after_s + self._mean_pause_s * self._rng.exponential()
        self._strength = self._rng.uniform(*_PUSH_STEERING) * self._rng.choice((-1, 1))


class _Odometer:
    """Counts laps; a car that goes back unwinds them."""

    def __init__(self, track: Track) -> None:
        self._points = len(track)
        self._last = 0
        self._travelled = 0

    @property
    def laps(self) -> int:
        """How often the car has gone all the way round."""
        return max(0, self._travelled // self._points)

    def note(self, place: Place) -> None:
        """The car has come to `place`, by the shorter way."""
        half = self._points // 2
        self._travelled += (place.index - self._last + half) % self._points - half
        self._last = place.index


class _Driver:
    """A person: looks ahead, reacts late, has no perfectly still thumbs and brakes for bends."""

    def __init__(self, track: Track, max_throttle: float, rng: np.random.Generator) -> None:
        self.wish = NEUTRAL
        self._track = track
        self._max_throttle = min(max_throttle, _DARES_THROTTLE)
        self._rng = rng
        self._seen: deque[tuple[Pose, Place]] = deque(maxlen=round(_REACTION_S / _THOUGHT_S))
        self._unrest = np.zeros(2)  # of the thumbs, 1 on average

    def think(self, pose: Pose, place: Place) -> None:
        """The driver sees the car and answers to what was seen a reaction time ago."""
        self._seen.append((pose, place))
        if len(self._seen) < (self._seen.maxlen or 0):
            return
        fades = exp(-_THOUGHT_S / _NOISE_LASTS_S)
        self._unrest = fades * self._unrest + sqrt(1 - fades**2) * self._rng.standard_normal(2)
        steering = self._steering(*self._seen[0]) + _STEERING_NOISE * float(self._unrest[0])
        throttle = self._throttle(place) + _THROTTLE_NOISE * float(self._unrest[1])
        self.wish = Command(clamp(steering), self._max_throttle * max(0.0, min(throttle, 1.0)))

    def _steering(self, pose: Pose, place: Place) -> float:
        """Turns the wheels so that the car's arc meets the middle of the road ahead."""
        aim = self._track.pose(place.index + self._track.points_ahead(_LOOK_AHEAD_M))
        east_m, north_m = aim.x_m - pose.x_m, aim.y_m - pose.y_m
        bearing_rad = atan2(north_m, east_m) - pose.heading_rad
        curvature_per_m = 2 * sin(bearing_rad) / hypot(east_m, north_m)
        return -atan(curvature_per_m * _WHEELBASE_M) / _MAX_STEERING_RAD

    def _throttle(self, place: Place) -> float:
        """The share of the driver's highest throttle that suits the tightest bend in sight."""
        ahead = np.arange(place.index, place.index + self._track.points_ahead(_BRAKING_M))
        curvatures_per_m = np.take(self._track.curvatures_per_m, ahead, mode="wrap")
        tightest_per_m = float(np.abs(curvatures_per_m).max())
        return _THROTTLE_ON_STRAIGHTS - _THROTTLE_PER_CURVATURE_M * tightest_per_m


class SimulatedCamera:
    """Looks at the world from the car, at a steady rate; a late reader misses pictures."""

    def __init__(self, world: World, *, width_px: int, height_px: int, rate_hz: float) -> None:
        """Raises: ValueError for a size or a rate that is not above 0."""
        if width_px < 1 or height_px < 1 or not rate_hz > 0:
            raise ValueError(f"no camera takes {width_px}x{height_px} pixels at {rate_hz} Hz")
        self._world = world
        self._rate_hz = rate_hz
        self._view = SimulatedView(world.track, width_px, height_px, seed=world.seed)
        self._start_s = world.started_s
        self._number = -1
        self._missed = 0
        self._closed = False

    @property
    def missed(self) -> int:
        """Pictures that were made, and not fetched before the next one was."""
        return self._missed

    def capture(self) -> Frame:
        """The next picture; waits for it, a period at most, or two if the world begins meanwhile.

        Raises: CameraFailed when the camera is closed.
        """
        if self._closed:
            raise CameraFailed("the simulated camera is closed")
        due = self._wait_for_next()
        # Whoever wakes up late gets a later picture, since the car is further by now.
        number = max(due, floor(self._periods_gone(_EARLY_S)))
        self._missed += number - self._number - 1 if self._number >= 0 else 0
        self._number = number
        captured_s = self._moment_s(self._number)
        pose = self._world.state().pose
        pixels = self._view.picture(pose, captured_s - self._start_s, self._number)
        return Frame(pixels, captured_s)

    def _wait_for_next(self) -> int:
        """Wait for the next picture; return its number, from the last time that the world began."""
        while True:
            start_s = self._world.started_s
            if start_s != self._start_s:
                self._start_s, self._number = start_s, -1
            due = max(self._number + 1, ceil(self._periods_gone(-_EARLY_S)))
            self._world.clock.sleep_until(self._moment_s(due))
            if start_s == self._world.started_s:  # else it has begun meanwhile
                return due

    def close(self) -> None:
        """There are no more pictures. May be called twice."""
        self._closed = True

    def _periods_gone(self, tolerance_s: float) -> float:
        elapsed_s = self._world.clock.now() - self._start_s
        return (elapsed_s + tolerance_s) * self._rate_hz

    def _moment_s(self, number: int) -> float:
        return self._start_s + number / self._rate_hz


class SimulatedPad:
    """The thumbs of the world's driver, who arms the car first of all.

    When it stands for another reason than that the driver has stopped it, the driver lets go of
    the throttle, presses Menu once, drives on, and presses again if it still stands later.
    """

    def __init__(self, world: World, *, presses: Sequence[tuple[float, Button]] = ()) -> None:
        """`presses` are buttons and when they are pressed, in seconds since the drive began."""
        self._world = world
        self._began_s = world.started_s
        self._presses = deque([(0.0, Button.ARM), *sorted(presses, key=lambda press: press[0])])
        self._armed_s = -inf  # when Menu was pressed last
        self._stopped = False
        self._closed = False

    def read(self) -> PadState:
        """The state now; never waits. Full throttle on the pad is the world's `max_throttle`.

        Raises: PadLost when the pad is closed.
        """
        if self._closed:
            raise PadLost("the simulated pad is closed")
        now_s = self._world.clock.now()
        elapsed_s = now_s - self._began_s
        pressed = set()
        while self._presses and self._presses[0][0] <= elapsed_s + _EARLY_S:
            pressed.add(self._presses.popleft()[1])
        self._stopped = self._stopped or Button.EMERGENCY_STOP in pressed
        stands_s = min(self._world.idle_s(), now_s - self._armed_s)
        if stands_s > _NOTICES_AFTER_S and not self._stopped:
            pressed.add(Button.ARM)
        if Button.ARM in pressed:
            self._armed_s = now_s
        wish = self._world.wish()
        command = Command(wish.steering, wish.throttle / self._world.max_throttle)
        # A car arms only with the throttle at rest, and drivers know it.
        return PadState(NEUTRAL if Button.ARM in pressed else command, frozenset(pressed))

    def discard_presses(self) -> None:
        """The drive begins, and the world with it; this driver presses no button before."""
        self._world.begin()
        self._began_s = self._world.started_s

    def close(self) -> None:
        """The pad is gone. May be called twice."""
        self._closed = True


class SimulatedMotors:
    """The wheels of the world's car, without a guard: nothing here can die by itself."""

    stop_reason = ""

    def __init__(self, world: World) -> None:
        self._world = world
        self._closed = False

    def apply(self, command: Command) -> None:
        """The wheels follow the command, clamped to -1 .. 1.

        Raises: ValueError for a value that is not a number, RuntimeError when closed.
        """
        if self._closed:
            raise RuntimeError("the simulated motors are closed")
        self._world.obey(clamp_command(command))

    def disarm(self) -> None:
        """The car is at neutral. Raises: RuntimeError when closed."""
        self.apply(NEUTRAL)

    def close(self) -> None:
        """The car is at neutral. May be called twice."""
        self._closed = True
        self._world.obey(NEUTRAL)


class GuardedSimulatedMotors(MotorsBehindGuard):
    """The wheels of the world's car behind the same guard, in its own process, as real ones."""

    def __init__(self, world: World) -> None:
        """The car is at neutral. Raises: MotorsFailed."""
        self._world = world
        self._heard, self._told = os.pipe()
        self._wheels = Thread(target=self._obey, name="wheels", daemon=True)
        self._wheels.start()
        try:
            super().__init__(SimulatedWheels(self._told), inherited=(self._told,))
        except BaseException:
            self._end_wheels()
            raise

    def _obey(self) -> None:
        while messages := wire.receive(self._heard):
            self._world.obey(messages[-1].command)

    def close(self) -> None:
        """The car is at neutral and the guard has ended. May be called twice.

        Raises: MotorsFailed.
        """
        try:
            super().close()
        finally:
            if self._wheels.is_alive():
                self._end_wheels()

    def _end_wheels(self) -> None:
        os.close(self._told)  # the guard's end is closed already, so the wheels see the end
        self._wheels.join()
        os.close(self._heard)


def _share_of_lag(lag_s: float) -> float:
    """How much of the way to its target something slow goes in a step."""
    return 1 - exp(-_STEP_S / lag_s)
