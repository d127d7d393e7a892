"""The simulated camera: what its pictures show, and when they come."""

import math

import numpy as np
import pytest

from car.clock import VirtualClock
from car.interfaces import Command
from car.simulator.motors import SimulatedMotors
from car.simulator.track import load_track
from car.simulator.view import SimulatedView
from car.simulator.world import World
from common.errors import CameraFailed
from tests.simulator.worlds import camera_of, world_at_rest


@pytest.mark.slow
@pytest.mark.parametrize(("width_px", "height_px"), [(160, 120), (320, 240), (97, 61), (64, 8)])
def test_a_picture_has_the_requested_size(width_px, height_px):
    frame = camera_of(world_at_rest(), width_px=width_px, height_px=height_px).capture()
    assert frame.pixels.shape == (height_px, width_px, 3)
    assert frame.pixels.dtype == np.uint8
    assert frame.pixels.flags.c_contiguous


def test_a_picture_shows_sky_above_and_the_road_in_the_middle(track):
    pixels = SimulatedView(track, 160, 120, seed=1).render(track.pose(20), 0.0, 0)
    sky, below = pixels[:30].mean(axis=(0, 1)), pixels[60].mean(axis=1)
    assert sky[0] > sky[2], "blue above"
    left, right = below[:70].argmax(), 90 + below[90:].argmax()
    assert min(below[left], below[right]) > 150, "a white border on either side"
    assert left + right == pytest.approx(159, abs=3), "the car in the middle"
    assert below[72:76].mean() < 100, "asphalt between them"


@pytest.mark.slow
@pytest.mark.parametrize("distance_m", [0.6, 0.9, 1.2])
def test_marks_on_the_road_appear_where_a_camera_0_22_m_high_sees_them(distance_m):
    """The dashes of the centre line begin every 0.6 m; the camera is 0.15 m ahead of the axle."""
    track = load_track("school")
    middle = SimulatedView(track, 320, 240, seed=1).render(track.pose(0), 0.0, 0)[:, 160, 1]
    focal_px = 160 / math.tan(math.radians(50))
    below_axis_rad = math.atan(0.22 / (distance_m - 0.15)) - math.radians(14)
    expected_row = 119.5 + focal_px * math.tan(below_axis_rad)
    edges = np.flatnonzero(np.diff((middle[90:] > 130).astype(int))) + 90.5
    assert min(abs(edges - expected_row)) < 1.5


def pictures(*, seed, count=5, track="school"):
    """Return the first pictures of a drive, in one array."""
    world = world_at_rest(track, seed=seed)
    camera = camera_of(world)
    world.apply(Command(0.1, 0.3))
    return np.array([camera.capture().pixels for _ in range(count)])


@pytest.mark.slow
def test_the_same_seed_gives_the_same_pictures_and_another_seed_others():
    assert (pictures(seed=1) == pictures(seed=1)).all()
    assert (pictures(seed=1) != pictures(seed=2)).any(axis=(1, 2, 3)).all()


def test_two_pictures_of_a_parked_car_differ_by_noise():
    world = world_at_rest()
    camera = camera_of(world, rate_hz=100.0)
    first, second = (camera.capture().pixels.astype(int) for _ in range(2))
    assert 2 < (first - second).std() < 8


@pytest.mark.slow
def test_the_light_drifts_by_at_most_a_quarter():
    world = world_at_rest()
    camera = camera_of(world, rate_hz=1.0)
    road = [camera.capture().pixels[90:110, 30:60].mean() for _ in range(120)]
    assert 1.3 < max(road) / min(road) < 1.25 / 0.75


def moved_px(before, after):
    """Return by how many pixels the middle of a strip has moved right, ignoring brightness."""
    before, after = (strip - strip.mean() for strip in (before, after))
    misfits = {
        shift: abs(after[:, 55 + shift : 105 + shift] - before[:, 55:105]).mean()
        for shift in range(-30, 31)
    }
    return min(misfits, key=misfits.__getitem__)


@pytest.mark.parametrize("rows", [slice(25, 42), slice(46, 54)], ids=["around", "ground"])
@pytest.mark.parametrize(("steering", "side"), [(-1.0, 1), (1.0, -1)], ids=["left", "right"])
def test_what_is_ahead_moves_right_in_the_picture_when_the_car_turns_left(steering, side, rows):
    world = world_at_rest(push_rate_hz=0)
    camera = camera_of(world)
    SimulatedMotors(world).apply(Command(steering, 0.3))
    before = camera.capture().pixels
    world.clock.sleep_until(0.375)
    after = camera.capture().pixels
    turned_rad = abs(world.state().pose.heading_rad)
    expected_px = 80 / math.tan(math.radians(50)) * math.tan(turned_rad)
    assert 5 < expected_px < 20
    assert side * moved_px(before[rows], after[rows]) == pytest.approx(expected_px, abs=3)


@pytest.mark.slow
def test_pictures_come_on_the_schedule_and_do_not_drift():
    world = world_at_rest()
    camera = camera_of(world, rate_hz=30.0)
    moments = [camera.capture().captured_s for _ in range(600)]
    assert moments == pytest.approx([number / 30 for number in range(600)], abs=1e-9)


def test_a_late_reader_misses_pictures_and_gets_none_twice():
    world = world_at_rest()
    camera = camera_of(world, rate_hz=10.0)
    first = camera.capture().captured_s
    second = camera.capture().captured_s
    world.clock.sleep_until(0.55)
    third = camera.capture().captured_s
    assert [first, second, third] == pytest.approx([0.0, 0.1, 0.6])
    assert camera.missed == 4


def test_a_camera_that_wakes_up_late_gives_the_picture_of_that_time():
    class LateClock(VirtualClock):
        def sleep_until(self, moment):
            super().sleep_until(moment + 0.25)

    camera = camera_of(World(seed=1, clock=LateClock()), rate_hz=10.0)
    moments = [camera.capture().captured_s for _ in range(3)]
    assert moments == pytest.approx([0.2, 0.5, 0.8])


def test_a_picture_shows_the_moment_of_its_time_however_late_the_camera_wakes_up():
    class LateClock(VirtualClock):
        def sleep_until(self, moment):
            super().sleep_until(moment + 0.04)

    def drive(clock):
        world = World(seed=1, clock=clock)
        camera = camera_of(world, width_px=64, height_px=48, rate_hz=10.0)
        world.apply(Command(0.5, 0.4))
        return [camera.capture() for _ in range(8)]

    frames = zip(drive(VirtualClock()), drive(LateClock()), strict=True)
    for expected, late in frames:
        assert late.captured_s == expected.captured_s
        assert (late.pixels == expected.pixels).all()


def test_a_camera_keeps_its_rate_when_the_world_restarts_while_it_waits():
    class RestartingClock(VirtualClock):
        def sleep_until(self, moment):
            super().sleep_until(moment)
            if world.started_s == 0.0:  # a little before the picture
                world.clock = VirtualClock(moment - 0.003)
                world.restart()
                world.clock.sleep_until(moment)

    world = World(seed=1, clock=RestartingClock())
    camera = camera_of(world, rate_hz=10.0)
    moments = [camera.capture().captured_s - world.started_s for _ in range(3)]
    assert moments == pytest.approx([0.1, 0.2, 0.3])
    assert camera.missed == 0


def test_a_closed_camera_gives_no_picture():
    camera = camera_of(world_at_rest())
    camera.close()
    camera.close()
    with pytest.raises(CameraFailed, match="closed"):
        camera.capture()


@pytest.mark.parametrize(
    "wrong", [{"width_px": 0}, {"height_px": -1}, {"rate_hz": 0}, {"rate_hz": math.nan}], ids=str
)
def test_an_impossible_camera_is_refused(wrong):
    with pytest.raises(ValueError, match="no camera"):
        camera_of(world_at_rest(), **wrong)
