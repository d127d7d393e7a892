"""What every camera driver promises, each tried with a stand-in for its library."""

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from car.camera import timing
from car.camera.drivers import open_camera
from car.hardware_conf import Picamera2Conf, V4l2Conf
from common.errors import CameraFailed
from tests.fakes import fake_camera
from tests.fakes.fake_webcam import FakeWebcam
from tests.helpers import camera_deadlines
from tests.helpers.waiting import HANGS_S, wait_until

WIDTH_PX, HEIGHT_PX = 160, 120
THREADS = {"fake sensor", "camera closes", "webcam"}


@dataclass
class Rig:
    """A camera that works, and can be told not to."""

    conf: Any
    fake: Any
    opened: list
    lost: str  # the word that makes it fail, and not only fall silent

    def open(self, *, rate_hz=20, width_px=WIDTH_PX, height_px=HEIGHT_PX, **conf):
        camera = open_camera(
            self.conf(**conf), width_px=width_px, height_px=height_px, rate_hz=rate_hz
        )
        self.opened.append(camera)
        return camera


@pytest.fixture(params=["picamera2", "v4l2"])
def rig(request, tmp_path, monkeypatch):
    """The rig of each driver; nothing is left of its cameras afterwards."""
    if request.param == "picamera2":
        rig = Rig(Picamera2Conf, fake_camera.connect_camera(tmp_path), [], "die")
    else:
        rig = Rig(V4l2Conf, FakeWebcam(tmp_path), [], "unplugged")
    rig.fake.install(monkeypatch)
    yield rig
    rig.fake.behave()
    for camera in rig.opened:
        camera.close()
    assert not [thread.name for thread in threading.enumerate() if thread.name in THREADS]


@pytest.fixture(autouse=True)
def restore(monkeypatch):
    return camera_deadlines.relax(monkeypatch)


def number(frame):
    """The number of the picture, which is in its last pixel."""
    return int(frame.pixels[-1, -1, 0])


def count_missing(frames):
    """How many numbers are missing between those of the frames."""
    return sum((number(later) - number(earlier)) % 256 - 1 for earlier, later in pairwise(frames))


def capture_some(camera):
    """The next five pictures, some of which may have been there already."""
    return [camera.capture() for _ in range(5)]


def test_pictures_have_blue_first(rig):
    pixels = rig.open().capture().pixels
    assert (pixels.dtype, pixels.shape) == (np.uint8, (HEIGHT_PX, WIDTH_PX, 3))
    assert pixels[0, 0] == pytest.approx([0, 0, 229], abs=4)
    assert pixels.flags.c_contiguous


def test_upside_down_pictures_are_rotated_by_180_degrees(rig):
    pixels = rig.open(upside_down=True).capture().pixels
    corner = pixels[-2, -2]  # beside the number, where that is in the last pixel
    assert corner == pytest.approx([0, 0, 229], abs=4)
    assert np.ptp(pixels[1, 1].astype(int)) <= 4
    assert pixels.flags.c_contiguous


def test_the_description_names_size_and_rate(rig):
    description = rig.open().describe()
    assert "160x120 at 20 Hz" in description
    assert "\n" not in description


def test_colours_are_right(rig):
    camera = rig.open()
    camera.capture()
    assert "red is red and blue is blue" in camera.check_colours()
    camera.capture()
    assert camera.missed == 0  # those before it are no drive
    assert camera.advice() == ""


def test_moments_are_those_of_the_pictures_on_the_monotonic_clock(rig):
    opened_s = time.monotonic()
    camera = rig.open()
    frames = [camera.capture() for _ in range(10)]
    assert opened_s < frames[0].captured_s
    assert frames[-1].captured_s < time.monotonic()
    for earlier, later in pairwise(frames):
        periods = round((later.captured_s - earlier.captured_s) * 20)
        assert later.captured_s - earlier.captured_s == pytest.approx(periods / 20, abs=1e-3)
        assert (number(later) - number(earlier)) % 256 == periods > 0


def test_pictures_that_nobody_captured_are_counted_from_the_first_capture_on(rig):
    camera = rig.open()
    time.sleep(0.2)
    frames = [camera.capture()]
    for pause_s in (0.2, 0, 0.1, 0):
        time.sleep(pause_s)
        frames.append(camera.capture())
    assert camera.missed == count_missing(frames)
    assert camera.missed >= 2


def test_a_picture_is_as_new_as_the_last_one_that_was_made(rig):
    camera = rig.open()
    camera.capture()
    time.sleep(0.5)  # ten pictures
    captured_s = camera.capture().captured_s
    wait_until(lambda: time.monotonic() - camera.capture().captured_s < 0.15)
    assert camera.capture().captured_s > captured_s


@pytest.mark.slow
def test_the_rate_is_measured(rig):
    camera = rig.open()
    camera.capture()
    wait_until(lambda: camera.measure_rate_hz(0.5) == pytest.approx(20, rel=0.01))
    camera.capture()
    assert camera.missed == 0


@pytest.mark.slow
def test_a_camera_that_falls_silent_is_noticed_in_a_second(rig, restore):
    restore("_NO_PICTURE_S")
    camera = rig.open()
    rig.fake.behave("stall")
    with pytest.raises(CameraFailed, match=r"^no picture for 1\.0 s.* cable"):
        capture_some(camera)
    rig.fake.behave()
    wait_until(lambda: number(camera.capture()) >= 0)


@pytest.mark.slow
def test_a_slow_camera_is_given_five_periods(rig, restore):
    restore("_NO_PICTURE_S")
    camera = rig.open(rate_hz=4)
    rig.fake.behave("stall")
    with pytest.raises(CameraFailed, match=r"^no picture for 1\.2 s"):
        capture_some(camera)


@pytest.mark.slow
def test_a_camera_that_gives_no_picture_at_all_is_released(rig, restore):
    restore("_NO_FIRST_PICTURE_S")
    rig.fake.behave("stall")
    with pytest.raises(CameraFailed, match=r"^no picture for 3\.0 s"):
        rig.open()
    rig.fake.behave()
    rig.open().capture()


def test_a_camera_that_is_lost_says_so(rig):
    camera = rig.open()
    rig.fake.behave(rig.lost)
    with pytest.raises(CameraFailed, match=r"cable|plug it in") as failed:
        capture_some(camera)
    assert "\n" not in str(failed.value)


def test_a_size_that_it_does_not_have_is_an_error_that_names_the_nearest(rig):
    with pytest.raises(CameraFailed, match=r"161x120.*nearest.* 160x120"):
        rig.open(width_px=161)
    rig.open().capture()  # it was released


def test_a_rate_that_it_does_not_have_is_an_error_that_names_those_it_has(rig):
    with pytest.raises(CameraFailed, match=r"Hz.*--rate"):
        rig.open(rate_hz=190)
    rig.open().capture()


def test_a_camera_that_another_program_uses_says_so(rig):
    rig.fake.behave("busy")
    with pytest.raises(CameraFailed, match="end what else uses it"):
        rig.open()
    rig.fake.behave()
    rig.open().capture()


def test_an_interrupted_start_releases_the_camera(rig, monkeypatch):
    def interrupted(_period_s):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(timing, "first_picture_timeout_s", interrupted)
        with pytest.raises(KeyboardInterrupt):
            rig.open()
    rig.open().capture()


def test_closes_twice_and_gives_no_picture_afterwards(rig):
    camera = rig.open()
    camera.close()
    camera.close()
    with pytest.raises(CameraFailed, match=r"^the camera is closed$"):
        camera.capture()
    rig.open().capture()


@contextmanager
def capturing(camera):
    """Another thread captures; what ended it is in the list."""
    ended = []

    def capture():
        try:
            while True:
                camera.capture()
        except CameraFailed as error:
            ended.append(str(error))

    thread = threading.Thread(target=capture)
    thread.start()
    yield ended
    thread.join(HANGS_S)
    assert not thread.is_alive()


@pytest.mark.slow
@pytest.mark.parametrize("word", ["", "stall"], ids=["while pictures come", "while none comes"])
def test_may_be_closed_while_another_thread_captures(rig, word):
    camera = rig.open(rate_hz=2)
    with capturing(camera) as ended:
        rig.fake.behave(*word.split())
        time.sleep(0.7)  # most likely the last one was fetched by now, if no more come
        camera.close()
    assert ended == ["the camera is closed"]


@pytest.mark.slow
def test_a_camera_that_does_not_close_is_given_up(rig, restore):
    restore("CLOSE_TIMEOUT_S")
    camera = rig.open()
    rig.fake.behave("hang")
    if rig.conf is V4l2Conf:
        time.sleep(0.2)  # until it waits for the next picture
    with pytest.raises(CameraFailed, match="does not close within 3 s"):
        camera.close()
    with pytest.raises(CameraFailed, match="closed"):
        camera.capture()
    rig.fake.behave()
    wait_until(lambda: not {thread.name for thread in threading.enumerate()} & THREADS)
