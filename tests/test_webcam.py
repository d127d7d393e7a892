"""USB webcams, driven through a cv2.VideoCapture that is as strict as the real one."""

import json
import os
import re
import subprocess
import sys
import time

import cv2
import pytest

import path
from car.camera import webcam
from car.camera.webcam import Webcam
from car.hardware_conf import V4l2Conf
from common.errors import CameraFailed
from get_data import run_manual
from tests.fakes.fake_webcam import NAME, FakeWebcam, VideoCapture
from tests.helpers import camera_deadlines
from tests.helpers.waiting import wait_until

REAL_VIDEO_CAPTURE = cv2.VideoCapture


@pytest.fixture(autouse=True)
def restore(monkeypatch):
    return camera_deadlines.relax(monkeypatch)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    fake = FakeWebcam(tmp_path)
    fake.install(monkeypatch)
    return fake


@pytest.fixture
def open_webcam(fake):
    """Opens webcams that are closed at the end, and sees that their device is released."""
    opened = []

    def open_it(*, width_px=160, height_px=120, rate_hz=20, **conf):
        opened.append(
            Webcam(V4l2Conf(**conf), width_px=width_px, height_px=height_px, rate_hz=rate_hz)
        )
        return opened[-1]

    yield open_it
    fake.behave()
    for camera in opened:
        camera.close()
    assert VideoCapture.open_count == 0


def public(kind):
    return {name for name in dir(kind) if not name.startswith("_")}


def test_the_fake_has_methods_of_the_real_class_only():
    assert public(VideoCapture) - {"webcam", "open_count"} <= public(REAL_VIDEO_CAPTURE)


def test_the_fake_answers_like_the_real_class_when_nothing_is_open(fake):
    fake.behave("busy")
    for capture in (VideoCapture(0, cv2.CAP_V4L2), REAL_VIDEO_CAPTURE()):
        assert capture.isOpened() is False
        assert capture.grab() is False
        assert capture.retrieve() == (False, None)
        assert capture.set(cv2.CAP_PROP_FPS, 20) is False
        assert capture.get(cv2.CAP_PROP_FPS) <= 0
        assert capture.release() is None


def test_the_real_class_fails_on_a_device_that_is_not_there():
    capture = REAL_VIDEO_CAPTURE(63, cv2.CAP_V4L2)
    assert not capture.isOpened()
    capture.release()


@pytest.mark.parametrize(
    ("size", "rate_hz", "fourcc"),
    [
        ((160, 120), 20, "YUYV"),  # nothing is lost to a second JPEG
        ((640, 480), 60, "MJPG"),  # does not fit the bus otherwise
        ((1280, 720), 30, "MJPG"),
    ],
)
def test_pictures_are_uncompressed_where_the_webcam_offers_that(open_webcam, size, rate_hz, fourcc):
    camera = open_webcam(width_px=size[0], height_px=size[1], rate_hz=rate_hz)
    assert camera.describe().startswith(f"{NAME} at ")
    assert camera.describe().endswith(f"{size[0]}x{size[1]} at {rate_hz} Hz as {fourcc}")
    assert camera.capture().pixels.shape == (size[1], size[0], 3)


@pytest.mark.parametrize(
    ("size", "rate_hz", "nearest"),
    [
        ((160, 120), 34.5, "160x120 at 40 Hz as YUYV, 160x120 at 30 Hz as MJPG"),
        ((320, 240), 20, "160x120 at 20 Hz as YUYV"),
        ((1920, 1080), 30, "1280x720 at 30 Hz as MJPG"),
    ],
)
def test_a_mode_that_it_does_not_have_is_answered_by_the_nearest_of_each_format(
    open_webcam, size, rate_hz, nearest
):
    with pytest.raises(CameraFailed, match=r"--resolution.*--rate.*v4l2-ctl -d") as failed:
        open_webcam(width_px=size[0], height_px=size[1], rate_hz=rate_hz)
    assert f"{size[0]}x{size[1]} at {rate_hz:g} Hz" in str(failed.value)
    assert nearest in str(failed.value)


def test_a_rate_that_the_camera_rounds_is_the_rate(open_webcam, monkeypatch):
    real = VideoCapture.get
    monkeypatch.setattr(
        VideoCapture,
        "get",
        lambda self, prop: real(self, prop) * (1000 / 1001 if prop == cv2.CAP_PROP_FPS else 1),
    )
    open_webcam(rate_hz=20).capture()


@pytest.mark.parametrize("rgb_format", ["NV12", "GREY"])
def test_a_format_whose_colours_opencv_may_swap_is_refused(open_webcam, monkeypatch, rgb_format):
    real = VideoCapture.get
    code = float(cv2.VideoWriter.fourcc(*rgb_format))
    monkeypatch.setattr(
        VideoCapture,
        "get",
        lambda self, prop: code if prop == cv2.CAP_PROP_FOURCC else real(self, prop),
    )
    with pytest.raises(CameraFailed, match=rgb_format):
        open_webcam()


def test_a_node_may_be_named_by_a_link_that_stays_the_same(open_webcam, fake, tmp_path):
    link = tmp_path / "usb-046d_HD_Pro_Webcam_C920-video-index0"
    link.symlink_to(fake.node)
    camera = open_webcam(device=str(link))
    assert str(fake.node) in camera.describe()


def test_a_webcam_without_a_name_has_its_node(open_webcam, fake):
    (fake.sys / "video0/name").unlink()
    assert open_webcam().describe().startswith(f"webcam at {fake.node}: ")


@pytest.mark.parametrize("device", [3, "/dev/v4l/by-id/usb-none"])
def test_no_webcam_says_what_to_do(open_webcam, device):
    with pytest.raises(CameraFailed, match=r"^no camera at .*camera\.device.*v4l2-ctl --list"):
        open_webcam(device=device)


def test_a_node_without_permission_names_the_group(open_webcam, fake, monkeypatch):
    def refuse(path, *_):
        raise PermissionError(13, os.strerror(13), str(path))

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with pytest.raises(CameraFailed, match=rf"permission.*{fake.node}.*usermod -aG video"):
            open_webcam()


def test_a_node_that_cannot_be_opened_says_why(open_webcam, monkeypatch):
    def refuse(path, *_):
        raise OSError(19, os.strerror(19), str(path))

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with pytest.raises(CameraFailed, match="cannot be opened: No such device; unplug it"):
            open_webcam()


def test_what_is_no_camera_is_named(open_webcam, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CameraFailed, match=r"camera\.device.*file is not a camera"):
        open_webcam(device=str(tmp_path / "file"))


def test_a_webcam_that_is_unplugged_is_named_with_its_node(open_webcam, fake):
    camera = open_webcam()
    fake.behave("unplugged")
    with pytest.raises(CameraFailed, match=f"{NAME} was unplugged from {fake.node}"):
        [camera.capture() for _ in range(5)]
    with pytest.raises(CameraFailed, match="was unplugged"):
        camera.capture()


def test_a_damaged_jpeg_is_skipped(open_webcam, fake):
    camera = open_webcam(width_px=640, height_px=480, rate_hz=60)
    fake.behave("corrupt")
    numbers = [int(camera.capture().pixels[-1, -1, 0]) for _ in range(8)]
    assert [number % 2 for number in numbers[2:]] == [0] * 6


def test_a_webcam_without_time_stamps_has_the_time_of_arrival(open_webcam, fake):
    fake.behave("clockless")
    camera = open_webcam()
    before_s = time.monotonic()
    camera.capture()
    moments_s = [camera.capture().captured_s for _ in range(5)]
    assert moments_s == sorted(set(moments_s))
    assert before_s < moments_s[0] < moments_s[-1] < time.monotonic()


@pytest.mark.slow
def test_a_rate_that_is_not_held_is_measured(open_webcam, fake):
    camera = open_webcam()
    fake.behave("slow")
    camera.capture()
    wait_until(lambda: camera.measure_rate_hz(0.5) == pytest.approx(10, rel=0.05))


@pytest.mark.slow
@pytest.mark.parametrize("word", ["", "stall"], ids=["pictures come", "none comes"])
def test_a_process_that_was_held_up_does_not_blame_the_webcam(open_webcam, fake, monkeypatch, word):
    """Held up for as long as it may wait; the webcam then has nearly all of that time once more."""
    camera = open_webcam()
    fake.behave("stall")
    wait_until(lambda: not camera._newest and time.sleep(0.3) is None and not camera._newest)
    real, waits = camera._changed.wait_for, []
    timeout_s = 0.3 if word else 2.0

    def held_up(predicate, wait_s):
        waits.append(wait_s)
        if len(waits) > 1:
            return real(predicate, wait_s)
        time.sleep(1.05 * timeout_s)
        fake.behave(*word.split())
        return False

    monkeypatch.setattr(camera._changed, "wait_for", held_up)
    if word:
        with pytest.raises(CameraFailed, match=r"^no picture for 0\.3 s"):
            camera._take(timeout_s)
        assert sum(waits[1:]) > 0.8 * timeout_s
    else:
        camera._take(timeout_s)


def test_an_error_of_opencv_is_reported_by_capture(open_webcam, monkeypatch):
    camera = open_webcam()

    def fail(_self):
        raise cv2.error("OpenCV(5.0.0) corrupt buffer")

    monkeypatch.setattr(VideoCapture, "retrieve", fail)
    with pytest.raises(CameraFailed, match=f"{NAME} failed: .*corrupt buffer"):
        [camera.capture() for _ in range(5)]


def test_opencv_gives_up_on_a_silent_device_before_close_does(open_webcam):
    open_webcam()
    assert 1 <= int(os.environ[webcam._SELECT_TIMEOUT]) < 3


def test_the_checks_before_a_drive_use_the_webcam_that_the_file_names(
    fake, call, tmp_path, monkeypatch
):
    conf = tmp_path / "hardware_conf.json"
    contents = json.loads(path.HARDWARE_CONF.read_text())
    conf.write_text(json.dumps(contents | {"camera": {"driver": "v4l2"}}))
    monkeypatch.setattr(path, "HARDWARE_CONF", conf)
    code, _, err = call(run_manual, "--check")
    assert code == 1  # there is no pad
    assert re.search(rf"(?m)^  camera +ok +{NAME} at .*160x120 at 20 Hz.* Hz, red is red", err)
    assert VideoCapture.open_count == 0


@pytest.mark.new_interpreter
def test_the_drivers_libraries_are_imported_when_a_camera_is_opened():
    code = "import car.camera.drivers, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=path.ROOT, capture_output=True, text=True, check=True
    )
    assert {"cv2", "picamera2", "numpy"} & set(done.stdout.split()) == set()
