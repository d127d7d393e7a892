"""What a report says of driving and pictures, and what it advises."""

from dataclasses import replace
from datetime import timedelta

import cv2
import numpy as np
import pytest

from car.clock import VirtualClock
from car.simulator.camera import SimulatedCamera
from car.simulator.world import World
from get_data.recording import picture_quality
from get_data.recording.advice import find_advice
from get_data.recording.wire import PictureQuality, Report, SteeringShares
from tests.conftest import START
from tests.helpers.recordings import FRAME, open_recorder


def record(recorder, pictures, *, first=0):
    """Record steering, throttle and frame of each picture, 0.1 s apart."""
    for number, (steering, throttle, frame) in enumerate(pictures, start=first):
        captured = START + timedelta(milliseconds=100 * number)
        assert recorder.record(
            frame, captured=captured, steering=steering, throttle=throttle, wait=True
        )


def test_a_report_counts_steering_and_standing_of_the_pictures_that_were_kept(tmp_path):
    left, straight, right = (-0.5, 0.3, FRAME), (0.1, -0.2, FRAME), (0.5, 0.3, FRAME)
    rolls, stands = [(0.5, 0.0, FRAME)] * 9, [(0.0, 0.0, FRAME)] * 10
    with open_recorder(tmp_path) as recorder:
        kept = [left] * 4 + rolls + [straight] * 3 + stands + [right]
        record(recorder, [*kept, *[left] * 50])
        recorder.erase(5.0)
    report = recorder.report
    assert report.pictures == len(kept)
    assert report.standing == len(stands)
    assert report.steering == SteeringShares(8, left=0.5, straight=0.375, right=0.125)


def test_a_stop_counts_until_the_throttle_though_recording_waited(tmp_path):
    with open_recorder(tmp_path) as recorder:
        record(recorder, [(0, 0.3, FRAME), *[(0, 0.0, FRAME)] * 5])
        recorder.skip()
        record(recorder, [(0, 0.3, FRAME), *[(0, 0.0, FRAME)] * 5], first=11)
    assert recorder.report.standing == 5  # of the stop, not of what follows


def test_a_picture_is_measured_every_half_second_unless_it_is_erased(tmp_path):
    frames = [np.full_like(FRAME, shade) for shade in (100, 200)]
    shades = [frames[number >= 50] for number in range(100)]
    with open_recorder(tmp_path) as recorder:
        record(recorder, [(0, 0.3, frame) for frame in shades])
        recorder.erase(5.0)
    assert recorder.report.picture_quality.measured == 10
    assert recorder.report.picture_quality.brightness == 100
    jpeg = cv2.imencode(".jpg", FRAME)[1].tobytes()
    with open_recorder(tmp_path / "files") as recorder:
        record(recorder, [(0, 0.3, jpeg)])
    assert recorder.report.picture_quality == PictureQuality()


@pytest.fixture(scope="module")
def frames():
    """Return pictures along a simulated track."""
    world = World("park", seed=1, clock=VirtualClock())
    camera = SimulatedCamera(world, width_px=160, height_px=120, rate_hz=2)
    taken = []
    for point in range(0, len(world.track), len(world.track) // 8):
        world._car.pose = world.track.pose(point)
        taken.append(camera.capture().pixels)
    assert len({frame.tobytes() for frame in taken}) == len(taken)
    return taken


def defocus(frame):
    return cv2.GaussianBlur(frame, (0, 0), 1.5)


def smear(frame):
    return cv2.blur(frame, (7, 1))


def shake(frame):
    return cv2.blur(frame, (1, 11))


LOOKS = {  # what a fault does to a picture, and the advice
    "as it is": (lambda frame: frame, []),
    "dim": (lambda frame: frame // 2, []),
    "noisy": (
        lambda frame: cv2.add(frame, np.random.default_rng(1).integers(0, 9, frame.shape, "u1")),
        [],
    ),
    "large": (lambda frame: cv2.resize(frame, (640, 480), interpolation=cv2.INTER_CUBIC), []),
    "grey wall": (lambda frame: np.full_like(frame, 120), []),
    "dark": (lambda frame: frame // 5, ["dark"]),
    "lens cap": (np.zeros_like, ["dark"]),
    "overexposed": (lambda frame: cv2.convertScaleAbs(frame, alpha=3.5), ["overexposed"]),
    "out of focus": (defocus, ["out_of_focus"]),
    "out of focus and dim": (lambda frame: defocus(frame) // 2, ["out_of_focus"]),
    "smeared": (smear, ["smeared"]),
    "smeared and large": (
        lambda frame: cv2.resize(smear(frame), (640, 480), interpolation=cv2.INTER_CUBIC),
        ["smeared"],
    ),
    "shaken": (shake, ["smeared"]),
}


@pytest.mark.parametrize("name", LOOKS)
def test_faults_of_pictures_are_told_apart(frames, name):
    change, codes = LOOKS[name]
    measured = [picture_quality.measure(change(frame)) for frame in frames] * 3
    report = Report(picture_quality=picture_quality.summarize(measured))
    assert [each.code for each in find_advice(report)] == codes


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (2, 3), (161, 2)], ids=str)
def test_frames_of_any_size_are_measured(size):
    frame = np.random.default_rng(1).integers(0, 255, (*size, 3), np.uint8)
    assert 0 <= picture_quality.measure(frame).brightness <= 255


DRIVE = Report(
    pictures=700, duration_s=35.0, steering=SteeringShares(700, left=0.3, straight=0.5, right=0.2)
)
DRIVES = {
    "good": ({}, []),
    "stood often": ({"standing": 70}, ["standing"]),
    "straight on": ({"steering": SteeringShares(700, 0.1, 0.8, 0.1)}, ["straight"]),
    "as straight as check_set.py names a set": (
        {"steering": SteeringShares(700, 0.15, 0.7, 0.15)},
        ["straight"],
    ),
    "one way": ({"steering": SteeringShares(700, 0.4, 0.5, 0.1)}, ["one_sided"]),
    "one way, and no other": ({"steering": SteeringShares(700, 0.0, 0.5, 0.5)}, ["one_sided"]),
    "few bends": ({"steering": SteeringShares(700, 0.0, 0.92, 0.08)}, ["straight"]),
    "half a lap": ({"duration_s": 9, "steering": SteeringShares(180, 0.0, 0.5, 0.5)}, []),
    "half a lap, standing": ({"duration_s": 9, "standing": 300}, []),
    "short, and dark": (
        {"duration_s": 2, "picture_quality": PictureQuality(5, 20.0, 0.5, 0.5, dark=1.0)},
        [],
    ),
    "few pictures": ({"pictures": 9, "steering": SteeringShares(9, 0.0, 0.5, 0.5)}, []),
    "nothing": ({"pictures": 0, "steering": SteeringShares()}, []),
}


@pytest.mark.parametrize("name", DRIVES)
def test_advice_is_what_the_numbers_say(name):
    changes, codes = DRIVES[name]
    advice = find_advice(replace(DRIVE, **changes))
    assert [each.code for each in advice] == codes


def test_who_records_a_standing_car_on_purpose_is_told_the_option():
    stood = replace(DRIVE, standing=700)
    options = [find_advice(stood, record_standing=on)[0].text for on in (True, False)]
    assert ["--record-standing" in text for text in options] == [True, False]


@pytest.mark.parametrize(
    ("shares", "side"), [((0.6, 0.3, 0.1), "left"), ((0.1, 0.3, 0.6), "right")]
)
def test_the_side_that_most_pictures_steer_to_is_named_with_its_share(shares, side):
    (advice,) = find_advice(replace(DRIVE, steering=SteeringShares(700, *shares)))
    assert f"60% of the pictures steer {side}" in advice.text
