"""The simulator: track, car, camera, pad, motors and driver."""

import math
import sys
import threading
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from car.clock import RealClock, VirtualClock
from car.drive import Drive, Rules
from car.interfaces import NEUTRAL, Button, Command, Frame, PadState
from car.simulator.camera import SimulatedCamera
from car.simulator.motors import GuardedSimulatedMotors, SimulatedMotors
from car.simulator.pad import SimulatedPad
from car.simulator.track import ROAD_WIDTH_M, TRACKS, Corner, Pose, Track, load_track
from car.simulator.view import SimulatedView
from car.simulator.world import World
from common.errors import CameraFailed, MotorsFailed, PadLost
from get_data.labels.classes import Classes
from tests.helpers.waiting import HANGS_S

MAX_THROTTLE = 0.5


def world_at_rest(track="school", *, seed=1, **options):
    return World(track, seed=seed, clock=VirtualClock(), **options)


def camera_of(world, *, width_px=160, height_px=120, rate_hz=20.0):
    return SimulatedCamera(world, width_px=width_px, height_px=height_px, rate_hz=rate_hz)


def follow_driver(world, *, rate_hz=20.0):
    """Yield the car's state and the driver's command, tick by tick, while it is followed."""
    motors = SimulatedMotors(world)
    for tick in range(1_000_000):
        world.clock.sleep_until(world.started_s + tick / rate_hz)
        command = world.driver_command()
        motors.apply(command)
        yield world.state(), command


# The track


def steps_of(track):
    """Return the vector from each point of the centre line to the next, around the lap."""
    points = np.stack([track.x_m, track.y_m], axis=1)
    return np.roll(points, -1, axis=0) - points


def turns_of(track):
    """Return the change of direction at each point, positive to the left, from the points alone."""
    step = steps_of(track)
    heading = np.arctan2(step[:, 1], step[:, 0])
    return (heading - np.roll(heading, 1) + math.pi) % math.tau - math.pi


@pytest.fixture(params=TRACKS)
def track(request):
    return load_track(request.param)


def test_a_track_is_closed(track):
    lengths_m = np.hypot(*steps_of(track).T)
    assert lengths_m == pytest.approx(track.spacing_m, rel=0.01)
    assert abs(turns_of(track).sum()) == pytest.approx(math.tau)


def test_a_track_is_25_to_28_m_long(track):
    assert 25 < np.hypot(*steps_of(track).T).sum() < 28


def test_a_track_has_straights_and_bends_both_ways(track):
    curvatures_per_m = turns_of(track) / track.spacing_m
    for share in (curvatures_per_m > 0.3, curvatures_per_m < -0.3, abs(curvatures_per_m) < 0.01):
        assert share.mean() > 0.05


def test_the_tightest_bend_of_a_track_can_be_driven(track):
    assert 0.85 < track.spacing_m / abs(turns_of(track)).max() < 1.0


def test_a_road_keeps_clear_of_itself(track):
    points = track.x_m + 1j * track.y_m
    apart_m = abs(points[:, None] - points[None, :])
    along = abs(np.arange(len(track))[:, None] - np.arange(len(track))[None, :])
    along_m = np.minimum(along, len(track) - along) * track.spacing_m
    assert apart_m[along_m > 3.0].min() > ROAD_WIDTH_M + 0.3


def test_a_position_beside_the_road_is_in_metres_to_the_right(track):
    for index in range(0, len(track), 50):
        middle = track.pose(index)
        right_rad = middle.heading_rad - math.pi / 2
        beside = Pose(
            middle.x_m + 0.2 * math.cos(right_rad), middle.y_m + 0.2 * math.sin(right_rad), 0.0
        )
        position = track.locate(beside)
        assert position.offset_m == pytest.approx(0.2, abs=0.002)
        assert abs(position.index - index) <= 1


def test_the_tracks_differ():
    assert len({load_track(name).length_m for name in TRACKS}) == len(TRACKS) >= 2


def test_an_unknown_track_is_refused_with_the_known_names():
    with pytest.raises(ValueError, match=r"'nowhere'.* school, park"):
        world_at_rest("nowhere")


def test_overlapping_bends_are_refused():
    corners = [Corner(0, 0, 1.0), Corner(1, 0, 1.0), Corner(0, 1, 1.0)]
    with pytest.raises(ValueError, match="overlap"):
        Track("knot", corners)


# The camera


@pytest.mark.slow
@pytest.mark.parametrize(("width_px", "height_px"), [(160, 120), (320, 240), (97, 61), (64, 8)])
def test_a_picture_has_the_size_that_was_asked_for(width_px, height_px):
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
def test_a_thing_on_the_ground_is_where_a_camera_0_22_m_high_sees_it(distance_m):
    """Ends of dashes, which begin every 0.6 m; the camera is 0.15 m ahead of the axle."""
    track = load_track("school")
    middle = SimulatedView(track, 320, 240, seed=1).render(track.pose(0), 0.0, 0)[:, 160, 1]
    focal_px = 160 / math.tan(math.radians(50))
    below_axis_rad = math.atan(0.22 / (distance_m - 0.15)) - math.radians(14)
    expected_row = 119.5 + focal_px * math.tan(below_axis_rad)
    edges = np.flatnonzero(np.diff((middle[90:] > 130).astype(int))) + 90.5
    assert min(abs(edges - expected_row)) < 1.5


def pictures(*, seed, count=5, track="school"):
    world = world_at_rest(track, seed=seed)
    camera = camera_of(world)
    world.apply(Command(0.1, 0.3))
    return np.array([camera.capture().pixels for _ in range(count)])


@pytest.mark.slow
def test_pictures_are_the_same_for_the_same_seed_and_others_for_another():
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


# The car


def test_a_car_with_straight_wheels_goes_straight():
    world = world_at_rest(push_rate_hz=0)
    SimulatedMotors(world).apply(Command(0.0, 0.5))
    world.clock.sleep_until(4.0)
    state = world.state()
    assert state.pose.x_m - load_track("school").x_m[0] > 3.0
    assert abs(state.offset_m) < 1e-9


def test_a_car_comes_near_its_speed_within_a_second_and_not_at_once():
    world = world_at_rest(push_rate_hz=0)
    SimulatedMotors(world).apply(Command(0.0, 0.5))
    speeds_m_s = []
    for moment in (0.05, 1.0, 2.0):
        world.clock.sleep_until(moment)
        speeds_m_s.append(world.state().speed_m_s)
    soon, later, at_last = speeds_m_s
    assert soon < 0.3 * at_last
    assert 0.9 * at_last < later < at_last
    assert 1.0 < at_last < 1.5


def test_wheels_take_a_moment_to_turn():
    world = world_at_rest(push_rate_hz=0)
    motors = SimulatedMotors(world)
    motors.apply(Command(0.0, 0.3))
    headings_rad = []
    for moment in (2.0, 2.06, 2.12):
        world.clock.sleep_until(moment)
        headings_rad.append(world.state().pose.heading_rad)
        motors.apply(Command(1.0, 0.3))
    at_first, then = abs(np.diff(headings_rad))
    assert 0.2 * then < at_first < 0.6 * then


def test_reverse_goes_back():
    world = world_at_rest(push_rate_hz=0)
    SimulatedMotors(world).apply(Command(0.0, -0.3))
    world.clock.sleep_until(1.0)
    assert world.state().pose.x_m < load_track("school").x_m[0]


@pytest.mark.parametrize(("steering", "side"), [(-1.0, -1), (1.0, 1)], ids=["left", "right"])
def test_steering_left_goes_left_and_right_goes_right(steering, side):
    world = world_at_rest(push_rate_hz=0)
    before = world.state()
    SimulatedMotors(world).apply(Command(steering, 0.3))
    world.clock.sleep_until(1.0)
    after = world.state()
    assert side * after.offset_m > 0.02
    assert side * (after.pose.heading_rad - before.pose.heading_rad) < -0.1


def moved_px(before, after):
    """Return by how many pixels the middle of a strip has moved right, whatever the light."""
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


def test_a_drive_does_not_depend_on_how_often_the_world_is_asked():
    often, seldom = world_at_rest(seed=4), world_at_rest(seed=4)
    for tick in range(2000):
        often.clock.sleep_until(tick * 0.0013)
        often.state(), often.driver_command()
        if tick % 500 == 0:
            seldom.clock.sleep_until(tick * 0.0013)
            for world in (often, seldom):
                world.apply(Command(0.2 - tick / 5000, 0.4))
    seldom.clock.sleep_until(often.clock.now())
    assert often.state() == seldom.state()
    assert often.driver_command() == seldom.driver_command()


@pytest.fixture
def hasty_threads():
    """Make threads switch so often that missing locks show."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
def test_a_drive_does_not_depend_on_how_many_threads_ask():
    shared, alone = world_at_rest(seed=4), world_at_rest(seed=4)
    for world in (shared, alone):
        world.apply(Command(0.1, 0.4))

    def ask():
        for tick in range(300):
            shared.clock.sleep_until(tick * 0.01)
            shared.state(), shared.driver_command()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone.clock.sleep_until(shared.clock.now())
    assert shared.state() == alone.state()


def test_pushes_turn_the_car_although_nobody_steers():
    offsets_m = []
    for rate_hz in (0.0, 1.0):
        world = world_at_rest(push_rate_hz=rate_hz)
        SimulatedMotors(world).apply(Command(0.0, 0.3))
        world.clock.sleep_until(5.0)
        offsets_m.append(abs(world.state().offset_m))
    assert offsets_m[0] < 1e-9 < 0.05 < offsets_m[1]


@pytest.mark.slow
def test_pushes_come_as_often_as_was_asked_for_and_from_both_sides():
    """Counted by the turns of a slow car that is steered straight ahead."""
    world = world_at_rest(push_rate_hz=0.3)
    SimulatedMotors(world).apply(Command(0.0, 0.02))
    headings_rad = []
    for tick in range(20 * 300):
        world.clock.sleep_until(tick / 20)
        headings_rad.append(world.state().pose.heading_rad)
    turned_rad = np.diff(headings_rad)
    for side in (turned_rad > 1e-3, turned_rad < -1e-3):
        starts = np.count_nonzero(side[1:] & ~side[:-1])
        assert 0.08 * 300 < starts < 0.22 * 300


@pytest.mark.parametrize("wrong", [0.0, -0.1, 1.1, math.nan])
def test_a_highest_throttle_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match="max_throttle"):
        world_at_rest(max_throttle=wrong)


@pytest.mark.parametrize("wrong", [-0.1, math.nan])
def test_a_push_rate_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match="push_rate_hz"):
        world_at_rest(push_rate_hz=wrong)


# The motors


@pytest.mark.parametrize(
    "command", [Command(math.nan, 0.0), Command(0.0, math.nan)], ids=["steering", "throttle"]
)
def test_motors_refuse_nan_and_keep_the_last_command(command):
    world, other = world_at_rest(), world_at_rest()
    for each in (world, other):
        SimulatedMotors(each).apply(Command(0.1, 0.2))
    with pytest.raises(ValueError, match="not a number"):
        SimulatedMotors(world).apply(command)
    for each in (world, other):
        each.clock.sleep_until(1.0)
    assert world.state() == other.state()


@pytest.mark.parametrize(
    ("command", "clamped"),
    [
        (Command(5.0, 0.3), Command(1.0, 0.3)),
        (Command(-math.inf, 0.3), Command(-1.0, 0.3)),
        (Command(0.0, 2.0), Command(0.0, 1.0)),
        (Command(0.0, -math.inf), Command(0.0, -1.0)),
    ],
    ids=str,
)
def test_motors_clamp_what_is_out_of_range(command, clamped):
    states = []
    for each in (command, clamped):
        world = world_at_rest(push_rate_hz=2.0)
        SimulatedMotors(world).apply(each)
        world.clock.sleep_until(2.0)
        states.append(world.state())
    assert states[0] == states[1]


def test_closed_motors_leave_the_car_at_neutral():
    world = world_at_rest()
    motors = SimulatedMotors(world)
    motors.apply(Command(0.0, 0.5))
    world.clock.sleep_until(1.0)
    motors.close()
    motors.close()
    world.clock.sleep_until(5.0)
    assert world.state().speed_m_s < 0.01


def test_closed_motors_take_no_command():
    motors = SimulatedMotors(world_at_rest())
    motors.close()
    with pytest.raises(RuntimeError, match="closed"):
        motors.apply(NEUTRAL)


# The pad


def test_the_driver_arms_once_with_the_throttle_released_however_late_the_pad_is_read():
    world = world_at_rest()
    world.clock.sleep_until(10.0)
    pad = SimulatedPad(world)
    first = pad.read()
    assert first.pressed == frozenset({Button.ARM})
    assert first.command == NEUTRAL
    later = pad.read()
    assert later.pressed == frozenset()
    assert later.command.throttle > 0.5


def test_buttons_are_pressed_at_their_times():
    world = world_at_rest()
    pad = SimulatedPad(world, presses=[(3.0, Button.STOP_RUN), (1.0, Button.ERASE)])
    seen = {}
    world.apply(Command(0.0, 0.3))
    for tick in range(40):
        world.clock.sleep_until(tick / 10)
        seen.update(dict.fromkeys(pad.read().pressed, tick / 10))
    assert seen == {Button.ARM: 0.0, Button.ERASE: 1.0, Button.STOP_RUN: 3.0}


def test_a_driver_whose_car_stands_arms_it_again():
    world = world_at_rest()
    pad = SimulatedPad(world)
    pad.read()
    world.apply(Command(0.1, 0.5))
    world.clock.sleep_until(5.0)
    assert pad.read().pressed == frozenset()
    world.apply(NEUTRAL)  # stopped for some reason
    world.clock.sleep_until(5.9)
    world.apply(NEUTRAL)
    assert pad.read().pressed == frozenset()
    world.clock.sleep_until(6.1)
    assert pad.read() == PadState(NEUTRAL, frozenset({Button.ARM}))
    assert pad.read().pressed == frozenset()
    assert pad.read().command.throttle > 0


def drive_after(ready_s):
    """Return pictures and pad states of a drive that begins so long after its world was created."""
    world = world_at_rest(push_rate_hz=1.0)
    camera, pad, motors = camera_of(world), SimulatedPad(world), SimulatedMotors(world)
    camera.capture()  # as the checks do
    world.clock.sleep_until(ready_s)
    pad.discard_presses()
    records = []
    for _ in range(100):
        frame, state = camera.capture(), pad.read()
        motors.apply(Command(state.command.steering, state.command.throttle * MAX_THROTTLE))
        records.append((round(frame.captured_s - ready_s, 6), frame.pixels.tobytes(), state))
    assert world.state().speed_m_s > 0
    return records, camera.missed


@pytest.mark.parametrize("ready_s", [0.111, 1.0, 7.77])
def test_the_same_seed_gives_the_same_drive_however_long_it_took_to_get_ready(ready_s):
    assert drive_after(ready_s) == drive_after(0.03)


def test_a_driver_presses_menu_again_for_as_long_as_it_does_nothing():
    """About once a second, releasing it between: a held button does not arm."""
    world = world_at_rest()
    pad = SimulatedPad(world)
    pressed = []
    for tick in range(250):
        world.clock.sleep_until(tick / 50)
        pressed.append(Button.ARM in pad.read().pressed)
    assert sum(pressed) == 5
    assert not any(before and after for before, after in pairwise(pressed))


def test_a_drive_that_was_stopped_goes_on_with_one_press_of_menu():
    world = world_at_rest()
    records = []

    class StoppingMotors(SimulatedMotors):
        @property
        def stop_reason(self):
            return "commands came too late" if 2.0 <= world.clock.now() <= 2.1 else ""

        def apply(self, command):
            records.append((world.clock.now(), command.throttle))
            super().apply(command)

    class StillCamera:
        def capture(self):
            time.sleep(0.01)
            return Frame(np.zeros((12, 16, 3), np.uint8), world.clock.now())

        def close(self):
            pass

    drive = Drive(
        camera=StillCamera(),
        pad=SimulatedPad(world),
        motors=StoppingMotors(world),
        clock=world.clock,
        rules=Rules(MAX_THROTTLE),
        on_frame=lambda _frame: None,
        on_picture=lambda _frame, _command: None,
        on_erase=lambda: None,
        on_pause=lambda: None,
    )
    drive.run(duration_s=10.0)
    assert drive.stop_counts == {"commands came too late": 1}
    standing = [moment_s for moment_s, throttle in records[:-1] if moment_s > 1 and not throttle]
    assert 1.9 < min(standing) < 2.1
    assert 3.0 < max(standing) < 3.2


def test_a_driver_who_stopped_the_car_leaves_it_so():
    world = world_at_rest()
    pad = SimulatedPad(world, presses=[(2.0, Button.EMERGENCY_STOP)])
    pad.read()
    world.apply(Command(0.1, 0.5))
    world.clock.sleep_until(2.0)
    assert pad.read().pressed == frozenset({Button.EMERGENCY_STOP})
    world.apply(NEUTRAL)
    world.clock.sleep_until(60.0)
    assert pad.read().pressed == frozenset()


def test_reading_the_pad_takes_no_time():
    world = world_at_rest()
    pad = SimulatedPad(world)
    for _ in range(100):
        pad.read()
    assert world.clock.now() == 0.0


@pytest.mark.parametrize("max_throttle", [0.25, 0.5, 1.0])
def test_full_throttle_on_the_pad_is_the_highest_allowed(max_throttle):
    world = world_at_rest(max_throttle=max_throttle)
    pad = SimulatedPad(world)
    pad.read()
    world.apply(Command(0.0, 0.1))
    for tick in range(200):
        world.clock.sleep_until(tick / 20)
        thumbs, command = pad.read().command, world.driver_command()
        assert 0 <= command.throttle <= max_throttle
        assert thumbs.steering == command.steering
        assert thumbs.throttle * max_throttle == pytest.approx(command.throttle)


def test_a_closed_pad_is_lost():
    pad = SimulatedPad(world_at_rest())
    pad.close()
    pad.close()
    with pytest.raises(PadLost, match="closed"):
        pad.read()


# The driver


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_driver_stays_on_the_road_for_ten_laps(track, seed):
    for state, _ in follow_driver(world_at_rest(track.name, seed=seed)):
        assert state.on_road, state
        if state.laps == 10:
            break


@pytest.mark.slow
def test_the_driver_stays_on_the_road_also_where_much_more_throttle_is_allowed(track):
    for state, _ in follow_driver(world_at_rest(track.name, max_throttle=1.0)):
        assert state.on_road, state
        if state.laps == 2:
            break


@pytest.fixture(scope="module", params=TRACKS)
def three_laps(request):
    states, commands = [], []
    for state, command in follow_driver(world_at_rest(request.param, seed=1)):
        states.append(state)
        commands.append(command)
        if state.laps == 3:
            return states, commands


@pytest.mark.slow
def test_a_drive_has_pictures_of_every_class(three_laps):
    _, commands = three_laps
    classes = Classes(max_throttle=MAX_THROTTLE)
    directions = np.bincount(
        [classes.direction(command.steering) for command in commands], minlength=5
    )
    speeds = np.bincount([classes.speed(command.throttle) for command in commands], minlength=2)
    assert directions.min() > 0.05 * len(commands)
    assert speeds.min() > 0.2 * len(commands)


def test_the_driver_is_fast_on_straights_and_slow_in_bends(three_laps):
    speeds_m_s = [state.speed_m_s for state in three_laps[0]]
    slow, fast = np.percentile(speeds_m_s[100:], [10, 99])
    assert 0.3 < slow < 0.8
    assert 1.0 < fast < 1.5


def test_a_drive_shows_recoveries(three_laps):
    offsets_m = [state.offset_m for state in three_laps[0]]
    assert np.sqrt(np.mean(np.square(offsets_m))) < 0.1
    assert min(offsets_m) < -0.1
    assert max(offsets_m) > 0.1


def test_the_driver_answers_a_reaction_time_later():
    """In two worlds that differ from some time on, the thumbs differ a little later."""
    calm, pushed = (world_at_rest(push_rate_hz=rate_hz) for rate_hz in (0.0, 5.0))
    differ_at_s: dict[str, float] = {}
    for tick in range(200):
        for world in (calm, pushed):
            world.clock.sleep_until(tick / 100)
            world.apply(Command(0.0, 0.4))
        if calm.state() != pushed.state():
            differ_at_s.setdefault("cars", tick / 100)
        if calm.driver_command() != pushed.driver_command():
            differ_at_s.setdefault("thumbs", tick / 100)
    assert 0.15 <= differ_at_s["thumbs"] - differ_at_s["cars"] <= 0.20


def test_laps_are_counted_forwards_only():
    world = world_at_rest(push_rate_hz=0)
    SimulatedMotors(world).apply(Command(0.0, -0.3))
    world.clock.sleep_until(2.0)
    assert world.state().laps == 0


def test_a_car_beside_the_road_is_not_on_it():
    state = world_at_rest().state()
    assert state.on_road
    assert replace(state, offset_m=-0.39).on_road
    assert not replace(state, offset_m=-0.41).on_road
    assert not replace(state, offset_m=0.41).on_road


# The clocks


def test_a_virtual_clock_jumps_ahead_and_never_back():
    clock = VirtualClock(5.0)
    clock.sleep_until(7.0)
    clock.sleep_until(6.0)
    assert clock.now() == 7.0


def test_a_real_clock_waits_until_the_moment_and_not_for_one_that_is_past():
    clock = RealClock()
    start_s = clock.now()
    clock.sleep_until(start_s + 0.05)
    clock.sleep_until(start_s)
    assert clock.now() - start_s >= 0.05


@pytest.mark.slow
def test_a_simulated_car_drives_in_real_time(monkeypatch):
    """All parts together, as in a real run."""
    monkeypatch.setattr("car.drive.COMMAND_TIMEOUT_S", HANGS_S)  # a busy machine may delay the loop
    clock = RealClock()
    world = World(seed=1, clock=clock, max_throttle=MAX_THROTTLE)
    frames = []
    drive = Drive(
        camera=camera_of(world, rate_hz=50.0),
        pad=SimulatedPad(world),
        motors=SimulatedMotors(world),
        clock=clock,
        rules=Rules(MAX_THROTTLE),
        on_frame=lambda _frame: None,
        on_picture=lambda frame, command: frames.append(frame),
        on_erase=lambda: None,
        on_pause=lambda: None,
    )
    start_s = time.monotonic()
    drive.run(duration_s=0.8)
    assert time.monotonic() - start_s >= 0.8
    assert world.state().pose.x_m - load_track("school").x_m[0] > 0.1
    assert frames
    moments = [frame.captured_s for frame in frames]
    assert moments == sorted(set(moments))


def test_a_guard_that_cannot_start_leaves_no_thread_and_no_descriptor(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'no such thing' >&2\nexit 1\n")
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    before = len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
    with pytest.raises(MotorsFailed, match="no such thing"):
        GuardedSimulatedMotors(world_at_rest())
    assert (len(list(Path("/proc/self/fd").iterdir())), threading.active_count()) == before
