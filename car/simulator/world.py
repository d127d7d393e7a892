"""A track, a car on it and a person who drives it: what the simulated parts share.

    world = World("school", seed=1, clock=RealClock())
    camera = SimulatedCamera(world, width_px=160, height_px=120, rate_hz=20)
    pad, motors = SimulatedPad(world), GuardedSimulatedMotors(world)

No thread moves the car. Each call first makes the world catch up with its clock, in steps of a
fixed length, so that nothing depends on how often it is called: the same seed and the same commands
at the same times give the same drive.
"""

from array import array
from collections import deque
from dataclasses import dataclass
from math import floor, sqrt
from threading import Lock

import numpy as np

from car.interfaces import NEUTRAL, Clock, Command, RoadKeeping, clamp
from car.simulator.car_model import STEP_S, CarModel
from car.simulator.driver import STEPS_PER_UPDATE, Driver
from car.simulator.pushes import Pushes
from car.simulator.track import ROAD_WIDTH_M, Pose, RoadPosition, Track, load_track

OFFSET_PERIOD_S = 0.25
"""Time between two offsets of `RoadKeeping`."""

CLOCK_TOLERANCE_S = 1e-6
"""A clock this close to a time has reached it: sums of floats are not exact."""

POSES_S = 2.0
"""How long poses are remembered: more than a period of the camera."""


@dataclass(frozen=True, slots=True)
class CarState:
    """State of the car; `offset_m` is its distance to the right of the middle of the road."""

    pose: Pose
    speed_m_s: float
    offset_m: float
    laps: int

    @property
    def on_road(self) -> bool:
        """Whether the middle of the car is on the road."""
        return _is_on_road(self.offset_m)


def _is_on_road(offset_m: float) -> bool:
    return abs(offset_m) <= ROAD_WIDTH_M / 2


class World:
    """A track, a car and a driver. Safe to use from several threads."""

    def __init__(
        self,
        track: str = "school",
        *,
        seed: int,
        clock: Clock,
        max_throttle: float = 0.5,
        push_rate_hz: float = 0.3,
    ) -> None:
        """Place the car at the start of `track`, one of `car.constants.TRACKS`.

        The driver uses at most `max_throttle`, from 0 to 1 of what the motor can do. Random pushes
        turn the wheels away from the command, so that a drive contains recoveries.

        Raises:
            ValueError: the track is unknown, or the throttle or the rate out of range.
        """
        if not 0 < max_throttle <= 1:
            raise ValueError(f"max_throttle {max_throttle} is not above 0 and at most 1")
        if not push_rate_hz >= 0:
            raise ValueError(f"push_rate_hz {push_rate_hz} is negative")
        self.track = load_track(track)
        self.seed = seed
        self.clock = clock
        self.max_throttle = max_throttle
        self._push_rate_hz = push_rate_hz
        self._command = NEUTRAL
        self._lock = Lock()
        self.restart()

    def restart(self) -> None:
        """Move the car back to the start, and time and the random numbers to their beginning.

        Called when a drive begins, so that the time it took to get ready does not decide when
        pushes come.
        """
        # numpy's `Generator.spawn` came with 1.25; this gives the same streams.
        driver_rng, push_rng = map(
            np.random.default_rng, np.random.SeedSequence(self.seed).spawn(2)
        )
        with self._lock:
            self.started_s = self._last_driven_s = self.clock.now()
            self._driver = Driver(self.track, self.max_throttle, driver_rng)
            self._pushes = Pushes(self._push_rate_hz, push_rng)
            self._car = CarModel(self.track.pose(0))
            self._lap_counter = _LapCounter(self.track)
            self._offsets = _Offsets()
            self._steps = 0
            self._poses = deque([self._car.pose], maxlen=round(POSES_S / STEP_S))  # of each step

    def state(self) -> CarState:
        """Return the current state of the car."""
        with self._lock:
            self._catch_up()
            pose = self._car.pose
            offset_m = self.track.locate(pose).offset_m
            return CarState(pose, self._car.speed_m_s, offset_m, self._lap_counter.laps)

    def road_keeping(self) -> RoadKeeping:
        """Return how well the car has kept to the road while it was driven."""
        with self._lock:
            self._catch_up()
            return self._offsets.summarize(self._lap_counter.laps)

    def pose_at(self, time_s: float) -> Pose:
        """Return where the car was at a time of the clock, at most `POSES_S` ago.

        A thread that is late sees what there was to see when it was due.
        """
        with self._lock:
            self._catch_up()
            step = floor((time_s - self.started_s + CLOCK_TOLERANCE_S) / STEP_S)
            steps_ago = min(max(self._steps - step, 0), len(self._poses) - 1)
            return self._poses[-1 - steps_ago]

    def driver_command(self) -> Command:
        """Return the command that the driver gives now."""
        with self._lock:
            self._catch_up()
            return self._driver.command

    def apply(self, command: Command) -> None:
        """Make the wheels follow `command`, which is within -1..1, from now on."""
        with self._lock:
            self._catch_up()
            if command.throttle or self._command.throttle:
                self._last_driven_s = self.clock.now()
            self._command = command

    def idle_s(self) -> float:
        """Return how long the car has had no throttle since it last drove or the world began."""
        with self._lock:
            return 0.0 if self._command.throttle else self.clock.now() - self._last_driven_s

    def _catch_up(self) -> None:
        elapsed_s = self.clock.now() - self.started_s
        for _ in range(self._steps, floor((elapsed_s + CLOCK_TOLERANCE_S) / STEP_S)):
            self._step()

    def _step(self) -> None:
        if self._steps % STEPS_PER_UPDATE == 0:
            position = self.track.locate(self._car.pose)
            self._lap_counter.update(position)
            if self._command.throttle:  # else it stands, or coasts after the end of a drive
                self._offsets.add(position.offset_m)
            self._driver.update(self._car.pose, position)
        push = self._pushes.steering(self._steps * STEP_S)
        self._car.step(clamp(self._command.steering + push), self._command.throttle)
        self._steps += 1
        self._poses.append(self._car.pose)


class _Offsets:
    """Distances of the car from the centre line, one for each update of the driver."""

    def __init__(self) -> None:
        self._count = self._on_road = 0
        self._squares_m2 = 0.0
        self._samples_m: array[float] = array("f")
        self._updates_per_sample = round(OFFSET_PERIOD_S / (STEP_S * STEPS_PER_UPDATE))

    def add(self, offset_m: float) -> None:
        """Add the next distance, positive to the right."""
        if self._count % self._updates_per_sample == 0:
            self._samples_m.append(offset_m)
        self._count += 1
        self._on_road += _is_on_road(offset_m)
        self._squares_m2 += offset_m**2

    def summarize(self, laps: int) -> RoadKeeping:
        """Return the summary of all distances."""
        count = max(self._count, 1)
        rms_offset_m = sqrt(self._squares_m2 / count)
        on_road = self._on_road / count if self._count else 1.0
        return RoadKeeping(rms_offset_m, on_road, laps, list(self._samples_m))


class _LapCounter:
    """Counter of laps; a car that drives backwards reduces it."""

    def __init__(self, track: Track) -> None:
        self._points = len(track)
        self._last_index = 0
        self._travelled = 0

    @property
    def laps(self) -> int:
        """Number of complete laps."""
        return max(0, self._travelled // self._points)

    def update(self, position: RoadPosition) -> None:
        """Add the way from the last position to this one, in the shorter direction."""
        half = self._points // 2
        self._travelled += (position.index - self._last_index + half) % self._points - half
        self._last_index = position.index
