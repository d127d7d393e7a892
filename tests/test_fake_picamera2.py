"""The camera that is not there is as strict as the one that is."""

import ast
import os
import subprocess
import sys
import time
import zipfile
from concurrent.futures import CancelledError
from concurrent.futures import wait as all_done
from contextlib import suppress
from functools import cache

import numpy as np
import pytest

from tests.fakes import fake_camera
from tests.helpers.waiting import wait_until
from tests.pi import wheels
from tests.servers.fetching import Missing

RATE_HZ = 100
PERIOD_NS = 10_000_000

SURFACE = {
    "Picamera2": {
        *("__init__", "global_camera_info", "sensor_modes", "create_video_configuration"),
        *("configure", "camera_configuration", "start", "stop", "close", "set_controls"),
        *("capture_request", "captured_request", "capture_array", "capture_arrays"),
        "cancel_all_and_flush",
    },
    "CompletedRequest": {"__init__", "acquire", "release", "make_array", "get_metadata"},
    "Job": {"__init__", "get_result"},
}


@cache
def sources():
    """The modules of the real package, parsed."""
    with zipfile.ZipFile(wheels.picamera2()) as wheel:
        return {
            name: ast.parse(wheel.read(f"picamera2/{name}.py"))
            for name in ("picamera2", "request", "job", "controls", "devices/imx500/imx500")
        }


@cache
def fake_source():
    return ast.parse((fake_camera.FAKES / "picamera2.py").read_text())


def methods(modules, name):
    """The functions of a class by name; the last one of each, as overloads come before it."""
    [found] = [
        node
        for module in modules
        for node in module.body
        if isinstance(node, ast.ClassDef) and node.name == name
    ]
    return {node.name: node for node in found.body if isinstance(node, ast.FunctionDef)}


def public(functions):
    return {name for name in functions if name == "__init__" or not name.startswith("_")}


def parameters(function):
    """Names, order and defaults, and what kind of method it is; types left out."""
    for each in ast.walk(function.args):
        if isinstance(each, ast.arg):
            each.annotation = None
    kinds = {ast.unparse(one).rpartition(".")[2] for one in function.decorator_list}
    return ast.unparse(function.args), kinds


def refusals(modules):
    """All that is raised with a message, as written."""
    return {
        ast.unparse(node.exc)
        for module in modules
        for node in ast.walk(module)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args
    }


@pytest.mark.parametrize("name", SURFACE)
def test_the_fake_has_these_methods_and_no_others(name):
    in_fake = "_Job" if name == "Job" else name
    assert public(methods([fake_source()], in_fake)) == SURFACE[name]


@pytest.mark.parametrize(
    ("name", "method"), [(name, method) for name in SURFACE for method in sorted(SURFACE[name])]
)
def test_the_real_package_has_the_fakes_methods_with_the_same_parameters(name, method):
    real = methods(sources().values(), name)[method]
    fake = methods([fake_source()], "_Job" if name == "Job" else name)[method]
    assert parameters(fake) == parameters(real)


def test_the_fake_refuses_in_the_words_of_the_real_package():
    ours = {one for one in refusals([fake_source()]) if not one.startswith("_libcamera_error")}
    ours -= {"RuntimeError(message)"}
    assert ours
    assert ours - refusals(sources().values()) == set()


def test_a_package_that_cannot_be_fetched_is_an_error_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("PATATE_SERVER_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(Missing, match=r"No matching distribution .* is the package index"):
        wheels.picamera2()


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A camera that works, and can be told not to."""
    camera = fake_camera.connect_camera(tmp_path)
    camera.install(monkeypatch)
    return camera


@pytest.fixture
def package(fake):
    """The package that Python finds."""
    return sys.modules["picamera2"]


@pytest.fixture
def picamera2(fake, package):
    """The camera as its package gives it, closed at the end."""
    camera = package.Picamera2()
    yield camera
    fake.behave()
    camera.close()


def configuration(camera, **others):
    return camera.create_video_configuration(
        main={"size": (32, 24), "format": "RGB888"} | others.pop("main", {}),
        controls={"FrameDurationLimits": (10_000, 10_000)},
        sensor={"output_size": (640, 480), "bit_depth": 10},
        **others,
    )


@pytest.fixture
def started(picamera2):
    picamera2.configure(configuration(picamera2))
    picamera2.start()
    return picamera2


def literals(node):
    """The dictionaries and subscripts below a node, as written."""
    found = (ast.Dict, ast.Subscript)
    return {ast.unparse(one) for one in ast.walk(node) if isinstance(one, found)}


def test_what_the_view_is_cut_by_is_called_as_in_the_real_package(started):
    [main] = [
        one
        for one in literals(methods([fake_source()], "Picamera2")["create_video_configuration"])
        if "preserve_ar" in one
    ]
    real = methods(sources().values(), "Picamera2")["create_video_configuration"]
    assert main in literals(real)
    assert "metadata['ScalerCrop']" in literals(sources()["devices/imx500/imx500"])
    with started.captured_request(wait=1) as request:
        left, top, width, height = request.get_metadata()["ScalerCrop"]
    assert (left, top, width, height) == (1000, 752, 1280, 960)


@pytest.mark.parametrize(
    ("size", "view"),
    [
        ((32, 24), (1000, 752, 1280, 960)),
        ((32, 18), (1000, 872, 1280, 720)),
        ((24, 24), (1160, 752, 960, 960)),
    ],
)
def test_shows_the_middle_of_the_view_when_pictures_have_another_shape(picamera2, size, view):
    picamera2.start(configuration(picamera2, main={"size": size}))
    with picamera2.captured_request(wait=1) as request:
        assert request.get_metadata()["ScalerCrop"] == view


def stamp(request):
    return request.get_metadata()["SensorTimestamp"]


def test_refuses_what_the_package_does_not_have(started):
    with pytest.raises(AttributeError):
        started.capture_picture()
    with pytest.raises(AttributeError):
        started.framerate = 20
    request = started.capture_request(wait=1)
    with pytest.raises(AttributeError):
        request.metadata  # noqa: B018
    request.release()


def test_keeps_its_pace_and_skips_whole_periods_for_a_late_reader(started):
    stamps = []
    for pause_s in (0, 0, 0.08, 0, 0):
        time.sleep(pause_s)
        with started.captured_request(wait=1) as request:
            stamps.append(stamp(request))
    assert all(isinstance(one, int) for one in stamps)
    steps = np.diff(stamps)
    assert all(steps > 0)
    assert all(steps % PERIOD_NS == 0)
    assert max(steps) >= 6 * PERIOD_NS


def test_stamps_are_of_the_boot_clock(started):
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    with started.captured_request(wait=1, flush=True) as request:
        after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        assert before - PERIOD_NS < stamp(request) < after


def test_starves_when_all_buffers_are_held_and_goes_on_when_one_is_released(started):
    held = [started.capture_request(wait=1) for _ in range(6)]
    with pytest.raises(TimeoutError):
        started.capture_request(wait=0.1)
    started.cancel_all_and_flush()
    held.pop().release()
    with started.captured_request(wait=1) as request:
        assert stamp(request) - stamp(held[-1]) > PERIOD_NS
    for each in held:
        each.release()


def test_waits_for_ever_without_a_time_and_is_let_go(started, fake):
    fake.behave("stall")
    with suppress(TimeoutError):  # one may have been there
        started.capture_request(wait=0.1).release()
    with pytest.raises(TimeoutError):
        started.capture_request(wait=0.1)
    started.cancel_all_and_flush()
    job = started.capture_request(wait=False)
    assert not all_done([job._future], timeout=0.2).done
    started.cancel_all_and_flush()
    with pytest.raises(CancelledError):
        job.get_result()


@pytest.mark.parametrize(
    ("name", "red"),
    [
        ("RGB888", [0, 0, 229]),
        ("BGR888", [229, 0, 0]),
        ("XRGB8888", [0, 0, 229, 255]),
        ("XBGR8888", [229, 0, 0, 255]),
    ],
)
def test_bytes_go_from_the_last_letter_to_the_first(picamera2, name, red):
    sensor = {"sensor": {"output_size": (1640, 1232), "bit_depth": 10}}
    picamera2.configure(configuration(picamera2, main={"format": name}) | sensor)
    picamera2.start()
    wait_until(lambda: picamera2.capture_array().max(axis=(0, 1))[:3].max() == 229, 5)
    wait_until(lambda: np.allclose(picamera2.capture_array()[0, 0], red, atol=2), 5)


def test_gains_act_on_red_and_blue(started):
    wait_until(lambda: np.ptp(started.capture_array()[0, 0].astype(int)) <= 2, 5)
    started.set_controls({"AwbEnable": False})
    with started.captured_request(wait=1):
        pass
    started.set_controls({"ColourGains": (3.6, 0.75)})
    wait_until(lambda: started.capture_arrays()[1]["ColourGains"] == (3.6, 0.75), 5)
    blue, green, red = started.capture_array()[0, 0].astype(int)
    assert (red / green, blue / green) == pytest.approx((2, 0.5), abs=0.05)


def test_gains_that_come_with_the_end_of_white_balance_are_lost(started):
    """libcamera takes up controls in any order; this is the one that hurts."""
    started.set_controls({"AwbEnable": False, "ColourGains": (8.0, 8.0)})
    for _ in range(12):
        told = started.capture_arrays()[1]
    assert told["ColourGains"] != (8.0, 8.0)


def test_a_request_is_released_once_and_not_used_afterwards(started):
    request = started.capture_request(wait=1)
    request.acquire()
    request.release()
    assert request.make_array("main").shape == (24, 32, 3)
    assert request.get_metadata() is not request.get_metadata()
    request.release()
    with pytest.raises(RuntimeError, match="Stream 'main' is not defined"):
        request.make_array("main")
    with pytest.raises(AssertionError):
        request.get_metadata()
    with pytest.raises(RuntimeError, match="acquiring lock with ref_count 0"):
        request.acquire()
    with pytest.raises(RuntimeError, match="lock now has negative ref_count"):
        request.release()


@pytest.mark.parametrize(
    ("wrong", "refused"),
    [
        (lambda camera: configuration(camera, main={"sise": (2, 2)}), "Bad key 'sise'"),
        (lambda camera: configuration(camera) | {"main": {"size": (33, 24), "format": "RGB888"}},
         "width and height should be even"),
        (lambda camera: configuration(camera, main={"format": "RGB"}), "Bad format RGB in stream"),
        (lambda camera: configuration(camera) | {"controls": {"Gain": 1}}, "Control Gain is not"),
        (lambda camera: configuration(camera) | {"transform": None}, "Transform has incorrect"),
        (lambda camera: configuration(camera) | {"sensor": {"size": (1, 1)}}, "Unexpected keys"),
        (lambda _: [], "Invalid type for `camera_config` given"),
    ],
    ids=["key", "odd", "format", "control", "transform", "sensor", "type"],
)  # fmt: skip
def test_refuses_a_wrong_configuration(picamera2, wrong, refused):
    with pytest.raises((RuntimeError, TypeError, ValueError), match=refused):
        picamera2.configure(wrong(picamera2))


def test_rounds_sizes_down_to_even_ones(picamera2):
    picamera2.configure(configuration(picamera2, main={"size": (161, 121)}))
    assert picamera2.camera_configuration()["main"]["size"] == (160, 120)


def test_takes_the_mode_nearest_to_small_pictures_when_none_is_asked_for(picamera2):
    picamera2.configure(
        picamera2.create_video_configuration(main={"size": (160, 120), "format": "RGB888"})
    )
    assert picamera2.camera_configuration()["sensor"]["output_size"] == (640, 480)


def test_is_configured_before_it_starts_and_not_after(picamera2):
    with pytest.raises(RuntimeError, match="has not been configured"):
        picamera2.start()
    picamera2.start(configuration(picamera2))
    with pytest.raises(RuntimeError, match="must be stopped before"):
        picamera2.configure(configuration(picamera2))


def test_has_one_owner_at_a_time(picamera2):
    with pytest.raises(RuntimeError, match="did not complete") as failed:
        type(picamera2)()
    assert "busy" in str(failed.value.__cause__)
    picamera2.close()
    picamera2.close()
    type(picamera2)().close()


def test_a_word_that_it_does_not_know_is_a_mistake(fake, package):
    fake.behave("stal")
    with pytest.raises(AssertionError, match="stal"):
        package.Picamera2()


def test_tells_the_rates_that_its_makers_tell(picamera2):
    assert {mode["size"]: mode["fps"] for mode in picamera2.sensor_modes} == {
        (640, 480): 206.65,
        (1640, 1232): 41.85,
        (1920, 1080): 47.57,
        (3280, 2464): 21.19,
    }


def test_another_process_finds_it(fake):
    answer = subprocess.run(
        [sys.executable, "-c", "import picamera2; print(picamera2.Picamera2.global_camera_info())"],
        env=os.environ | fake.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "imx219" in answer.stdout
