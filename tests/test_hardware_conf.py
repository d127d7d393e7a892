"""Checks of `hardware_conf.json`: each mistake is reported in one line, before anything moves."""

import copy
import json
import re
from typing import get_args

import msgspec
import pytest

import path
from car import hardware_conf
from car.hardware_conf import GpioMotorsConf, Pca9685MotorsConf
from car.motors import wire
from common.errors import InputError

GPIO = {
    "car": "patate",
    "max_throttle": 0.5,
    "jpeg_quality": 90,
    "motors": {
        "driver": "gpio",
        "steering": {"channel": 18, "left_us": 1100, "centre_us": 1500, "right_us": 1900},
        "throttle": {"channel": 13, "reverse_us": 1000, "neutral_us": 1500, "forward_us": 2000},
    },
}
PCA9685 = copy.deepcopy(GPIO)
PCA9685["motors"]["driver"] = "pca9685"
PCA9685["motors"]["steering"]["channel"] = 1
PCA9685["motors"]["throttle"]["channel"] = 0
PWM = copy.deepcopy(GPIO)
PWM["motors"]["driver"] = "pwm"
WEBCAM = GPIO | {"camera": {"driver": "v4l2", "device": 1}}
REMOVED = object()


def changed(content, changes):
    """The content with other values, by dotted keys."""
    content = copy.deepcopy(content)
    for dotted, value in changes.items():
        *folders, key = dotted.split(".")
        place = content
        for folder in folders:
            place = place.setdefault(folder, {})
        if value is REMOVED:
            del place[key]
        else:
            place[key] = value
    return content


def read(folder, content):
    file = folder / "hardware_conf.json"
    file.write_text(json.dumps(content))
    return hardware_conf.read(file)


def refusal(folder, content):
    with pytest.raises(InputError) as raised:
        read(folder, content)
    reason = str(raised.value)
    assert "\n" not in reason
    assert reason.startswith(f"{folder}/hardware_conf.json: ")
    return reason.removeprefix(f"{folder}/hardware_conf.json: ")


def test_the_file_of_the_checkout_is_right():
    conf = hardware_conf.read(path.HARDWARE_CONF)
    assert hardware_conf.to_dict(conf) == json.loads(path.HARDWARE_CONF.read_text())


def keys(kind):
    """Yield the keys of a Struct and of the Structs inside."""
    for field in msgspec.structs.fields(kind):
        inner = [
            kind
            for kind in (field.type, *get_args(field.type))
            if hasattr(kind, "__struct_config__")
        ]
        yield from (key for kind in inner for key in keys(kind))
        if not inner:
            yield field.name


def test_the_page_for_the_pi_tells_every_key():
    page = (path.ROOT / "docs/raspberry_pi.md").read_text()
    table = set(re.findall(r"\w+", page.partition("## 4. ")[2].partition("## 5. ")[0]))
    assert set(keys(hardware_conf.HardwareConf)) - table == set()


def test_what_may_be_left_out_has_a_value(tmp_path):
    conf = read(tmp_path, GPIO)
    assert isinstance(conf.motors, GpioMotorsConf)
    assert (conf.motors.frequency_hz, conf.motors.neutral_first_s) == (50, 2)
    assert conf.motors.longer_by_us is None
    assert conf.pad == hardware_conf.XboxPadConf()
    assert conf.camera == hardware_conf.Picamera2Conf()


def test_the_driver_tells_the_kind_of_motors(tmp_path):
    conf = read(tmp_path, PCA9685)
    assert isinstance(conf.motors, Pca9685MotorsConf)
    assert (conf.motors.bus, conf.motors.address) == (1, 0x40)


def test_a_file_from_before_there_was_a_choice_of_drivers_is_right(tmp_path):
    earlier = changed(GPIO, {"pad.dead_zone": 0.1, "camera.number": 1})
    conf = read(tmp_path, earlier)
    assert conf.pad == hardware_conf.XboxPadConf(dead_zone=0.1)
    assert conf.camera == hardware_conf.Picamera2Conf(number=1)


def test_the_driver_tells_the_kind_of_camera(tmp_path):
    conf = read(tmp_path, changed(GPIO, {"camera.driver": "v4l2"}))
    assert conf.camera == hardware_conf.V4l2Conf(device=0)
    named = changed(GPIO, {"camera.driver": "v4l2", "camera.device": "/dev/video2"})
    assert read(tmp_path, named).camera == hardware_conf.V4l2Conf(device="/dev/video2")
    assert hardware_conf.to_dict(conf)["camera"]["driver"] == "v4l2"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"camera.driver": "usb"}, "camera.driver: Invalid value 'usb'"),
        ({"camera.driver": 1}, "camera.driver: Expected str"),
        ({"pad.driver": "ps4"}, "pad.driver: Invalid value 'ps4'"),
        ({"camera.device": 0}, "camera: Object contains unknown field device"),
        ({"camera.driver": "v4l2", "camera.number": 0}, "camera: Object contains unknown field"),
        ({"camera.driver": "v4l2", "camera.device": -1}, "camera.device: Expected int >= 0"),
        ({"camera.driver": "v4l2", "camera.device": ""}, "camera.device: Expected str of length"),
        ({"camera": []}, "camera: Expected object, got array"),
    ],
    ids=str,
)
def test_a_driver_has_its_own_keys(changes, reason, tmp_path):
    assert refusal(tmp_path, changed(GPIO, changes)).startswith(reason)


def test_by_hardware_pwm_the_throttle_stays_with_gpio_unless_it_is_told_otherwise(tmp_path):
    motors = read(tmp_path, PWM).motors
    assert (motors.pwm_pins, motors.gpio_pins) == ((18,), (13,))
    motors = read(tmp_path, changed(PWM, {"motors.throttle_driver": "pwm"})).motors
    assert (motors.pwm_pins, motors.gpio_pins) == ((18, 13), ())


def test_only_pulses_by_hardware_pwm_are_bound_to_its_pins(tmp_path):
    read(tmp_path, changed(PWM, {"motors.throttle.channel": 26}))
    by_pwm = {"motors.throttle.channel": 26, "motors.throttle_driver": "pwm"}
    assert refusal(tmp_path, changed(PWM, by_pwm)).startswith("motors.throttle.channel: ")
    steering = changed(PWM, {"motors.steering.channel": 12})
    assert refusal(tmp_path, steering).startswith("motors.steering.channel: ")


@pytest.mark.parametrize(
    "content", [GPIO, PCA9685, PWM, WEBCAM], ids=["gpio", "pca9685", "pwm", "webcam"]
)
def test_a_label_tells_all_and_it_can_be_read_again(content, tmp_path):
    conf = read(tmp_path, content)
    assert read(tmp_path, hardware_conf.to_dict(conf)) == conf


@pytest.mark.parametrize("content", [GPIO, PCA9685, PWM], ids=["gpio", "pca9685", "pwm"])
def test_motors_travel_to_the_guard_as_json(content, tmp_path):
    conf = read(tmp_path, content).motors
    assert wire.decode_settings(wire.encode_settings(conf)) == conf


def test_a_servo_that_is_mounted_the_other_way_round_is_right(tmp_path):
    turned = changed(GPIO, {"motors.steering.left_us": 1900, "motors.steering.right_us": 1100})
    assert read(tmp_path, turned).motors.steering.left_us == 1900


WRONG = [  # of a car on pins: key, value, what is reason
    *[
        (f"motors.{part}.{key}", value, reason)
        for part, keys in (
            ("steering", ("left_us", "centre_us", "right_us")),
            ("throttle", ("reverse_us", "neutral_us", "forward_us")),
        )
        for key in keys
        for value, reason in (
            (499, "Expected float >= 500"),
            (2501, "Expected float <= 2500"),
            ("1500", "Expected float, got str"),
            (None, "Expected float, got null"),
        )
    ],
    *[
        (f"motors.{part}.channel", value, reason)
        for part in ("steering", "throttle")
        for value, reason in (
            (-1, "Expected int >= 0"),
            (28, "Expected int <= 27"),
            (18.5, "Expected int, got float"),
            (True, "Expected int, got bool"),
            (0, "GPIO 0 is kept for the memory of add-on boards; take 2 to 27"),
            (1, "GPIO 1 is kept for the memory of add-on boards; take 2 to 27"),
        )
    ],
    ("motors.frequency_hz", 39, "Expected float >= 40"),
    ("motors.frequency_hz", 101, "Expected float <= 100"),
    ("motors.neutral_first_s", -1, "Expected float >= 0"),
    ("motors.neutral_first_s", 11, "Expected float <= 10"),
    ("motors.longer_by_us", -1, "Expected float >= 0"),
    ("motors.longer_by_us", 201, "Expected float <= 200"),
    ("motors.longer_by_us", "59", "Expected float | null, got str"),
    ("motors.driver", "servo", "Invalid value 'servo'"),
    ("motors.driver", 1, "Expected str"),
    ("motors.steering", [], "Expected object, got array"),
    ("motors", "gpio", "Expected object, got str"),
    ("max_throttle", 0, "Expected float > 0"),
    ("max_throttle", 1.1, "Expected float <= 1"),
    ("max_throttle", True, "Expected float, got bool"),
    ("jpeg_quality", 0, "Expected int >= 1"),
    ("jpeg_quality", 101, "Expected int <= 100"),
    ("car", "", "Expected str of length >= 1"),
    ("car", 7, "Expected str, got int"),
    ("pad.map", "", "Expected str of length >= 1"),
    ("pad.dead_zone", -0.1, "Expected float >= 0"),
    ("pad.dead_zone", 0.6, "Expected float <= 0.5"),
    ("pad.silence_s", 0, "Expected float > 0"),
    ("pad.silence_s", 11, "Expected float <= 10"),
    ("pad.dead_man", 1, "Expected bool, got int"),
    ("camera.number", -1, "Expected int >= 0"),
    ("camera.upside_down", "no", "Expected bool, got str"),
    ("camera.sensor_width", 15, "Expected int >= 16"),
    ("camera.lock_exposure", None, "Expected bool, got null"),
]


@pytest.mark.parametrize(("key", "value", "reason"), WRONG, ids=lambda one: repr(one)[:40])
def test_a_wrong_value_is_named_with_its_key(key, value, reason, tmp_path):
    assert refusal(tmp_path, changed(GPIO, {key: value})).startswith(f"{key}: {reason}")


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("motors.address", 0x3F, "Expected int >= 64"),
        ("motors.address", 0x78, "Expected int <= 119"),
        ("motors.bus", -1, "Expected int >= 0"),
        ("motors.bus", 32, "Expected int <= 31"),
        ("motors.steering.channel", 16, "a PCA9685 has channels 0 to 15, not 16"),
        ("motors.throttle.channel", 27, "a PCA9685 has channels 0 to 15, not 27"),
    ],
)
def test_a_wrong_value_of_a_board_is_named_with_its_key(key, value, reason, tmp_path):
    assert refusal(tmp_path, changed(PCA9685, {key: value})) == f"{key}: {reason}"


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("car", "missing key car"),
        ("max_throttle", "missing key max_throttle"),
        ("jpeg_quality", "missing key jpeg_quality"),
        ("motors", "missing key motors"),
        ("motors.driver", "motors: missing key driver"),
        ("motors.steering", "motors: missing key steering"),
        ("motors.throttle.neutral_us", "motors.throttle: missing key neutral_us"),
    ],
)
def test_what_is_missing_is_named_with_its_place(key, reason, tmp_path):
    assert refusal(tmp_path, changed(GPIO, {key: REMOVED})) == reason


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("speed", "Object contains unknown field speed"),
        ("motors.bus", "motors: Object contains unknown field bus"),
        ("motors.throttle.neutral", "motors.throttle: Object contains unknown field neutral"),
        ("pad.name", "pad: Object contains unknown field name"),
        ("camera.width", "camera: Object contains unknown field width"),
    ],
)
def test_a_key_that_nobody_knows_is_a_mistake(key, reason, tmp_path):
    assert refusal(tmp_path, changed(GPIO, {key: 1})) == reason


def test_what_only_a_pin_needs_is_unknown_to_a_board(tmp_path):
    reason = refusal(tmp_path, changed(PCA9685, {"motors.longer_by_us": 59}))
    assert reason == "motors: Object contains unknown field longer_by_us"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param(
            {"motors.throttle.neutral_us": 2100},
            "motors.throttle.neutral_us: is not between reverse_us and forward_us",
            id="neutral beyond full ahead",
        ),
        pytest.param(
            {"motors.throttle.neutral_us": 2000},
            "motors.throttle.neutral_us: is not between reverse_us and forward_us",
            id="neutral is full ahead",
        ),
        pytest.param(
            {"motors.throttle.reverse_us": 1600},
            "motors.throttle.neutral_us: is not between reverse_us and forward_us",
            id="both sides ahead",
        ),
        pytest.param(
            {"motors.steering.centre_us": 1000},
            "motors.steering.centre_us: is not between left_us and right_us",
            id="centre outside",
        ),
        pytest.param(
            {"motors.throttle.channel": 18},
            "motors.throttle.channel: is that of the steering too",
            id="one pin for both",
        ),
        pytest.param(
            {"camera.sensor_width": 1640},
            "camera: give both sensor_width and sensor_height, or none for the full view",
            id="half a sensor",
        ),
    ],
)
def test_values_that_contradict_each_other_are_named(changes, reason, tmp_path):
    assert refusal(tmp_path, changed(GPIO, changes)) == reason


def test_every_pulse_that_may_be_told_fits_into_the_shortest_period():
    """So no pulse ever runs into the next one, and none vanishes when the lateness is taken off."""
    shortest_us, longest_us = limits(hardware_conf.ThrottleConf, "neutral_us")
    highest_hz = limits(GpioMotorsConf, "frequency_hz")[1]
    most_late_us = limits(GpioMotorsConf, "longer_by_us")[1]
    assert longest_us < 0.5 * 1e6 / highest_hz
    assert shortest_us - most_late_us > 0


def limits(kind, key):
    """The smallest and the largest value that a key may have."""
    properties = msgspec.json.schema(kind)["$defs"][kind.__name__]["properties"]
    schemas = properties[key].get("anyOf", [properties[key]])
    schema = next(schema for schema in schemas if "minimum" in schema)
    return schema["minimum"], schema["maximum"]
