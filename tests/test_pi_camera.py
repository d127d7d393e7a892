"""The Pi's camera, driven through a picamera2 that is as strict as the real one."""

import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import path
from car.camera import timing
from car.camera.pi_camera import PiCamera
from car.camera.sensor_modes import SensorMode, choose_mode
from car.hardware_conf import Picamera2Conf
from common.errors import CameraFailed
from tests.fakes import fake_camera
from tests.helpers import camera_deadlines
from tests.helpers.waiting import HANGS_S

WIDTH_PX, HEIGHT_PX = 160, 120
FAST = {"sensor_width": 640, "sensor_height": 480}  # the mode of the imx219 for more than 42 Hz
GREY = 102


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A camera that works, and can be told not to."""
    camera = fake_camera.connect_camera(tmp_path)
    camera.install(monkeypatch)
    return camera


@pytest.fixture(autouse=True)
def restore(monkeypatch):
    return camera_deadlines.relax(monkeypatch)


@pytest.fixture
def package(fake):
    """The package picamera2 as Python finds it."""
    return sys.modules["picamera2"]


@pytest.fixture
def open_camera(fake):
    """Opens cameras that are closed at the end, and sees that nothing is left of them."""
    opened = []

    def open_it(*, rate_hz=100.0, width_px=WIDTH_PX, height_px=HEIGHT_PX, **conf):
        conf = FAST | conf if rate_hz > 41 else conf
        camera = PiCamera(
            Picamera2Conf(**conf), width_px=width_px, height_px=height_px, rate_hz=rate_hz
        )
        opened.append(camera)
        return camera

    yield open_it
    fake.behave()
    for camera in opened:
        camera.close()
    assert not camera_threads()


def camera_threads():
    return [
        thread.name
        for thread in threading.enumerate()
        if thread.name in ("fake sensor", "camera closes")
    ]


def calls(package, name):
    return [call for call in package.calls if call.name == name]


def configuration(package):
    return calls(package, "configure")[-1].arguments["camera_config"]


def number(frame):
    """The number of the picture, which is in its last pixel."""
    return int(frame.pixels[-1, -1, 0])


def capture_some(camera):
    """The next five pictures, one of which may have been there already."""
    return [camera.capture() for _ in range(5)]


def grey(frame):
    """A point of the wall: blue, green, red."""
    return frame.pixels[HEIGHT_PX // 2, WIDTH_PX // 2].astype(int)


def test_pictures_have_blue_first_and_show_the_whole_view(open_camera):
    camera = open_camera(rate_hz=40)
    pixels = camera.capture().pixels
    assert (pixels.dtype, pixels.shape) == (np.uint8, (HEIGHT_PX, WIDTH_PX, 3))
    assert pixels[0, 0] == pytest.approx([0, 0, 229], abs=4)
    assert pixels.flags.c_contiguous
    assert camera.describe() == (
        "imx219: 160x120 at 40 Hz, from 1640x1232 on the sensor, 100% of its width and 100% of its "
        "height"
    )
    assert camera.advice() == ""


def test_requests_mode_rate_and_buffers_explicitly(open_camera, package):
    open_camera(rate_hz=30)
    requested = configuration(package)
    assert requested["sensor"] == {"output_size": (1640, 1232), "bit_depth": 10}
    assert requested["controls"] == {"FrameDurationLimits": (33333, 33333)}
    assert (requested["buffer_count"], requested["queue"]) == (6, True)


def test_a_part_of_the_view_is_described_as_such(open_camera):
    camera = open_camera(rate_hz=200)
    assert camera.describe() == (
        "imx219: 160x120 at 200 Hz, from 640x480 on the sensor, 39% of its width and 39% of its "
        "height"
    )
    assert camera.capture().pixels[0, 0] == pytest.approx([GREY] * 3, abs=4)


@pytest.mark.parametrize(
    ("model", "size", "seen", "whole"),
    [
        ("imx708", (160, 120), "75% of its width and 100% of its height", "160x90"),
        ("imx708", (160, 90), "100% of its width and 100% of its height", ""),
        ("imx219", (160, 90), "100% of its width and 75% of its height", "160x120"),
        ("imx219", (160, 160), "75% of its width and 100% of its height", "160x120"),
    ],
)
def test_what_a_shape_costs_is_told_with_the_size_that_costs_nothing(
    open_camera, fake, model, size, seen, whole
):
    fake.behave(f"model={model}")
    camera = open_camera(rate_hz=40, width_px=size[0], height_px=size[1])
    assert camera.describe().endswith(f"on the sensor, {seen}")
    assert camera.advice().split()[1:2] == [*whole.split()]
    left = camera.capture().pixels[0, 0]
    assert left == pytest.approx([0, 0, 229], abs=4)  # the square is a fifth of the view


@pytest.mark.parametrize("lock_exposure", [False, True])
def test_a_sensor_that_sees_no_colours_records_grey(open_camera, fake, lock_exposure):
    fake.behave("mono")
    camera = open_camera(rate_hz=40, lock_exposure=lock_exposure)
    assert camera.check_colours() == "it sees no colours"
    pixels = camera.capture().pixels
    assert np.ptp(pixels, axis=2).max() == 0
    assert grey(camera.capture()) == pytest.approx([GREY] * 3, abs=4)


def mode(width_px, height_px, fastest_hz, view_px, bit_depth=10):
    return SensorMode(width_px, height_px, bit_depth, fastest_hz, view_px)


IMX219 = [
    mode(640, 480, 206.65, (1280, 960)),
    mode(1640, 1232, 83.7, (3280, 2464), bit_depth=8),
    mode(1640, 1232, 41.85, (3280, 2464)),
    mode(1920, 1080, 47.57, (1920, 1080)),
    mode(3280, 2464, 21.19, (3280, 2464)),
]
IMX708 = [
    mode(1536, 864, 120.13, (3072, 1728)),
    mode(2304, 1296, 56.03, (4608, 2592)),
    mode(4608, 2592, 14.35, (4608, 2592)),
]
OV5647 = [
    mode(640, 480, 58.92, (2560, 1920)),
    mode(1296, 972, 46.34, (2592, 1944)),
    mode(1920, 1080, 32.81, (1928, 1080)),
    mode(2592, 1944, 15.63, (2592, 1944)),
]


@pytest.mark.parametrize(
    ("modes", "conf", "rate_hz", "size", "bit_depth"),
    [
        pytest.param(IMX219, {}, 20, "1640x1232", 10, id="fewest pixels of the whole view"),
        pytest.param(IMX219, {}, 41.85, "1640x1232", 10, id="as fast as it can"),
        pytest.param(IMX219, {}, 60, "1640x1232", 8, id="fewer shades when it has to be fast"),
        pytest.param(IMX708, {}, 50, "2304x1296", 10, id="wide sensor"),
        pytest.param(OV5647, {}, 30, "1296x972", 10, id="widest of nearly whole views"),
        pytest.param(OV5647, {}, 55, "640x480", 10, id="nearly the whole view"),
        pytest.param(IMX219, FAST, 20, "640x480", 10, id="named"),
        pytest.param(
            IMX219, {"sensor_width": 1640, "sensor_height": 1232}, 50, "1640x1232", 8, id="both"
        ),
    ],
)
def test_the_mode_sees_most_and_is_fast_enough(modes, conf, rate_hz, size, bit_depth):
    chosen = choose_mode(modes, Picamera2Conf(**conf), rate_hz)
    assert (chosen.size, chosen.bit_depth) == (size, bit_depth)


@pytest.mark.parametrize(
    ("modes", "conf", "rate_hz", "facts"),
    [
        pytest.param(
            IMX219,
            {},
            100,
            [
                *("full view", "100 Hz", "1640x1232 up to 83.7 Hz", "3280x2464 up to 21.19 Hz"),
                *("--rate", "camera.sensor_width", "640x480 up to 206.65 Hz"),
            ],
            id="full view",
        ),
        pytest.param(
            IMX708,
            {},
            200,
            ["full view", "200 Hz", "2304x1296 up to 56.03 Hz, 4608x2592 up to 14.35 Hz; lower"],
            id="no mode at all",
        ),
        pytest.param(
            IMX219,
            {"sensor_width": 3280, "sensor_height": 2464},
            45,
            [
                *("mode 3280x2464", "45 Hz: 3280x2464 up to 21.19 Hz", "--rate"),
                *("640x480 up to 206.65 Hz, 1640x1232 up to 83.7 Hz, 1920x1080 up to 47.57 Hz",),
            ],
            id="named",
        ),
        pytest.param(
            IMX708,
            FAST,
            20,
            [
                *("camera.sensor_width", "camera.sensor_height", "hardware_conf.json", "640x480"),
                "1536x864 up to 120.13 Hz, 2304x1296 up to 56.03 Hz, 4608x2592 up to 14.35 Hz",
            ],
            id="unknown",
        ),
    ],
)
def test_a_rate_that_no_mode_has_is_answered_by_those_that_there_are(modes, conf, rate_hz, facts):
    with pytest.raises(CameraFailed) as failed:
        choose_mode(modes, Picamera2Conf(**conf), rate_hz)
    for fact in facts:
        assert fact in str(failed.value)


def test_the_rate_is_checked_when_the_camera_is_opened(open_camera, fake):
    fake.behave("model=imx708")
    with pytest.raises(CameraFailed, match=r"60 Hz: 2304x1296 up to 56\.03 Hz"):
        open_camera(rate_hz=60, sensor_width=None, sensor_height=None)
    open_camera(rate_hz=40)


@pytest.mark.parametrize(
    ("width_px", "behaves", "nearest"),
    [(161, (), "160x120"), (160, ("size=128x120",), "128x120")],
    ids=["odd", "changed by the camera"],
)
def test_another_size_than_asked_is_an_error_that_names_the_nearest(
    open_camera, fake, width_px, behaves, nearest
):
    fake.behave(*behaves)
    with pytest.raises(CameraFailed, match=rf"{width_px}x120.*nearest.* {nearest}$"):
        open_camera(width_px=width_px)


def test_another_format_than_asked_is_an_error(open_camera, fake):
    fake.behave("format=BGR888")
    with pytest.raises(CameraFailed, match="BGR888 instead of RGB888"):
        open_camera()


def test_a_moment_is_on_the_monotonic_clock_of_a_machine_that_has_slept(open_camera, monkeypatch):
    real = time.clock_gettime_ns
    slept_ns = {time.CLOCK_BOOTTIME: 3600 * 10**9}
    monkeypatch.setattr(time, "clock_gettime_ns", lambda of: real(of) + slept_ns.get(of, 0))
    opened_s = time.monotonic()
    assert opened_s < open_camera().capture().captured_s < time.monotonic()


def test_buffers_go_back_at_once(open_camera):
    camera = open_camera()
    kept = [camera.capture() for _ in range(12)]  # twice as many as there are
    assert len({number(one) for one in kept}) == 12


def test_a_buffer_goes_back_also_when_it_cannot_be_read(open_camera, package, monkeypatch):
    camera = open_camera()
    with monkeypatch.context() as broken:
        broken.setattr(package.CompletedRequest, "make_array", refuse("failed to find buffer"))
        for _ in range(8):
            with pytest.raises(CameraFailed, match="the camera failed: failed to find buffer; "):
                camera.capture()
    camera.capture()


def refuse(message):
    def raise_it(*_, **__):
        raise RuntimeError(message)

    return raise_it


def test_a_picture_that_comes_again_is_not_taken_again(open_camera, fake):
    camera = open_camera()
    fake.behave("repeat")
    moments = [camera.capture().captured_s for _ in range(20)]
    assert moments == sorted(set(moments))


@pytest.mark.slow
@pytest.mark.parametrize("word", ["", "stall"], ids=["pictures come", "none comes"])
def test_a_drive_that_was_held_up_does_not_blame_the_camera(
    open_camera, fake, package, monkeypatch, word
):
    """Held up for as long as it may wait; the camera then has nearly all of that time once more."""
    monkeypatch.setattr(timing, "_NO_PICTURE_S", 1.0)
    camera = open_camera()
    real = package.Picamera2.capture_request
    waits_s = []

    def held_up(self, **options):
        waits_s.append(options["wait"])
        if len(waits_s) > 1:
            return real(self, **options)
        time.sleep(1.05)
        raise TimeoutError

    monkeypatch.setattr(package.Picamera2, "capture_request", held_up)
    if word:
        fake.behave(word)
        with pytest.raises(CameraFailed, match="no picture"):
            capture_some(camera)
        assert sum(waits_s[1:]) > 0.8, "it was given no time of its own"
    else:
        assert number(camera.capture()) >= 0


@pytest.mark.parametrize("told", [(), ("locks",)], ids=["AeState", "AeLocked"])
def test_exposure_and_white_balance_have_settled_before_the_first_picture(open_camera, fake, told):
    fake.behave(*told)
    assert grey(open_camera().capture()) == pytest.approx([GREY] * 3, abs=4)


@pytest.mark.slow
@pytest.mark.parametrize("told", ["moody", "seeks", "seeks locks"])
def test_light_that_never_stands_still_is_not_waited_for_any_longer(
    open_camera, fake, told, restore
):
    restore("_SETTLE_TIMEOUT_S")
    fake.behave(told)
    start_s = time.monotonic()
    camera = open_camera()
    assert time.monotonic() - start_s > 1.9
    camera.capture()


def frames_until(camera, seen):
    """The first frame of which `seen` is true; None when there is none for ever."""
    give_up_s = time.monotonic() + HANGS_S
    while time.monotonic() < give_up_s:
        frame = camera.capture()
        if seen(frame):
            return frame
    return None


def test_exposure_goes_on_when_it_is_not_locked(open_camera, fake):
    camera = open_camera()
    fake.behave("dim")
    for _ in range(50):
        camera.capture()
    assert grey(camera.capture()) == pytest.approx([GREY] * 3, abs=4)


def test_locked_exposure_stays(open_camera, fake, package):
    camera = open_camera(lock_exposure=True)
    locked = calls(package, "set_controls")[-1].arguments["controls"]
    assert locked.keys() == {"ExposureTime", "AnalogueGain", "AwbEnable", "ColourGains"}
    assert locked["AwbEnable"] is False
    for _ in range(10):  # those taken before the lock reached the sensor
        assert grey(camera.capture()) == pytest.approx([GREY] * 3, abs=4)
    fake.behave("dim")
    assert frames_until(camera, lambda frame: grey(frame)[1] < GREY - 30)
    assert all(grey(camera.capture())[1] <= GREY - 30 for _ in range(40))


def test_red_is_red_and_white_balance_is_as_it_was(open_camera, fake, package):
    camera = open_camera()
    camera.capture()
    assert camera.check_colours() == "red is red and blue is blue"
    assert grey(camera.capture()) == pytest.approx([GREY] * 3, abs=4)
    assert camera.missed == 0


def test_locked_colours_are_as_they_were_after_the_look_at_them(open_camera, package):
    camera = open_camera(lock_exposure=True)
    before = calls(package, "set_controls")[-1].arguments["controls"]["ColourGains"]
    assert camera.check_colours() == "red is red and blue is blue"
    after = calls(package, "set_controls")[-1].arguments["controls"]
    assert after == {"ColourGains": before}
    assert grey(camera.capture()) == pytest.approx([GREY] * 3, abs=4)


def test_exchanged_colours_are_an_error(open_camera, fake):
    camera = open_camera()
    fake.behave("swap")
    with pytest.raises(CameraFailed, match=r"^red and blue are swapped in the pictures"):
        camera.check_colours()
    fake.behave()
    assert frames_until(camera, lambda frame: np.ptp(grey(frame)) <= 4)


@pytest.mark.slow
@pytest.mark.parametrize("light", ["dark", "bright"])
def test_colours_that_cannot_be_told_are_not_guessed(open_camera, fake, light):
    camera = open_camera()
    fake.behave(light)
    frames_until(camera, lambda frame: abs(grey(frame)[1] - GREY) > 90)
    assert camera.check_colours() == f"too {light} to tell"


def test_a_camera_that_does_not_follow_is_an_error(open_camera, fake):
    camera = open_camera()
    fake.behave("deaf")
    with pytest.raises(CameraFailed, match="does not follow ColourGains"):
        camera.check_colours()


def test_the_rate_is_that_of_the_pictures_that_come(open_camera, package, monkeypatch):
    """Not the one that the sensor could."""
    camera = open_camera()
    real = package.CompletedRequest.make_array
    monkeypatch.setattr(
        package.CompletedRequest,
        "make_array",
        lambda self, name: [time.sleep(0.035), real(self, name)][1],
    )
    assert camera.measure_rate_hz(0.3) < 35


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param(
            "raise ModuleNotFoundError(\"No module named 'libcamera'\")",
            "picamera2 cannot be used: No module named 'libcamera'; on a Raspberry Pi: sudo apt "
            "install python3-picamera2 --no-install-recommends, and a .venv that sees system "
            "packages: python3 -m venv --system-site-packages .venv",
            id="missing",
        ),
        pytest.param(
            "raise ValueError('numpy.dtype size changed, may indicate binary incompatibility. "
            "Expected 96 from C header, got 88 from PyObject')",
            "got 88 from PyObject: a system package was built for another numpy than the one in "
            ".venv: .venv/bin/python -m pip install -U simplejpeg, or create .venv anew with "
            "requirements-pi.txt",
            id="numpy",
        ),
        pytest.param(
            "class Picamera2: pass",
            "picamera2 is older than 0.3.20 and may wait forever: sudo apt update && sudo apt "
            "full-upgrade",
            id="old",
        ),
    ],
)
def test_a_library_that_cannot_be_used_says_what_to_install(
    tmp_path, monkeypatch, open_camera, source, said
):
    fake_camera.unload_picamera2(monkeypatch)
    (tmp_path / "picamera2.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CameraFailed) as failed:
        open_camera()
    assert str(failed.value).endswith(said)


@pytest.mark.parametrize(
    ("word", "conf", "said"),
    [
        ("empty", {}, "^no camera is connected; check the camera's cable at both ends"),
        ("gone", {}, "^camera 0, imx219, was disconnected; check the camera's cable"),
        ("busy", {}, "cannot be opened: .* resource busy; end what else uses it"),
        ("usb", {}, "on USB: set camera.driver to v4l2"),
        ("", {"number": 3}, "camera.number .*no camera 3; connected: 0: imx219$"),
        ("lacks=FrameDurationLimits", {}, "FrameDurationLimits is not advertised .* full-upgrade"),
        ("lacks=ColourGains", {"lock_exposure": True}, "ColourGains is not advertised"),
    ],
)
def test_a_camera_that_cannot_be_used_says_what_to_do(open_camera, fake, word, conf, said):
    fake.behave(word)
    with pytest.raises(CameraFailed, match=said):
        open_camera(**conf)
    fake.behave()
    open_camera().capture()  # it was closed


def test_a_camera_that_is_gone_says_so_also_through_an_older_library(
    open_camera, package, monkeypatch
):
    def no_such_camera(self, camera_num=0):
        raise IndexError("list index out of range")

    monkeypatch.setattr(package.Picamera2, "__init__", no_such_camera)
    with pytest.raises(CameraFailed, match="was disconnected; check the camera's cable"):
        open_camera()


def test_a_failure_on_closing_is_told(open_camera, package, monkeypatch):
    camera = open_camera()
    with monkeypatch.context() as broken:
        broken.setattr(package.Picamera2, "close", refuse("Camera in Running state"))
        with pytest.raises(CameraFailed, match="does not close: Camera in Running state"):
            camera.close()
    camera._camera.close()


@pytest.mark.slow
def test_works_in_a_process_of_its_own(fake):
    program = """
import json
from car.camera.pi_camera import PiCamera
from car.hardware_conf import Picamera2Conf
camera = PiCamera(Picamera2Conf(), width_px=160, height_px=120, rate_hz=40)
print(json.dumps([camera.describe(), camera.check_colours(), camera.capture().pixels.shape]))
camera.close()
"""
    environment = os.environ | fake.environment
    environment["PYTHONPATH"] += f":{path.ROOT}"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)[1:] == ["red is red and blue is blue", [120, 160, 3]]
    assert done.stderr == ""
