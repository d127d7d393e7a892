"""The ranges of the axes, and maps that do not belong to the pad."""

import json

import pytest

import path
from car.interfaces import NEUTRAL, Button, Command
from tests.pi.pad import FifoPad


def test_the_ranges_of_the_device_take_precedence(open_pad, fake_pad, device):
    device.axes = {"ABS_X": (0, 0, 65535), "ABS_RZ": (0, 0, 255)}
    pad = open_pad()
    fake_pad.axis("ABS_X", 0)
    fake_pad.axis("ABS_RZ", 255)
    assert pad.read().command == Command(-1.0, 1.0)
    fake_pad.axis("ABS_X", 65535)
    assert pad.read().command == Command(1.0, 1.0)


def test_an_empty_range_is_ignored(open_pad, fake_pad, device):
    device.axes = {"ABS_X": (0, 0, 0), "ABS_RZ": (0, 0, 0)}
    pad = open_pad()
    fake_pad.steer(-1.0)
    fake_pad.throttle(1.0)
    assert pad.read().command == Command(-1.0, 1.0)


@pytest.mark.parametrize(
    ("name", "full"),
    [("Microsoft X-Box 360 pad", 255), ("Xbox 360 Wireless Receiver", 255), ("Anything", 1023)],
)
def test_an_unknown_range_is_the_larger_one_unless_the_name_is_known(pi, open_pad, name, full):
    with FifoPad(pi, name=name) as fake_pad:
        pad = open_pad()
        fake_pad.axis("ABS_RZ", 255)
        assert pad.read().command.throttle == 255 / full


def test_a_trigger_that_exceeds_the_range_of_its_name_gets_the_larger_range(pi, open_pad):
    with FifoPad(pi, "xpad_360") as fake_pad:
        pad = open_pad()
        fake_pad.axis("ABS_RZ", 700)
        assert pad.read().command.throttle == 700 / 1023
        fake_pad.axis("ABS_RZ", 255)
        assert pad.read().command.throttle == 255 / 1023


@pytest.mark.parametrize(
    ("code", "raw", "fault"),
    [
        ("ABS_RZ", 1024, "ABS_RZ is a stick, not a trigger: wrong map"),
        ("ABS_RZ", -1, "ABS_RZ is a stick, not a trigger: wrong map"),
        ("ABS_Z", 32768, "ABS_Z is a stick, not a trigger: wrong map"),
        ("ABS_X", 32768, "ABS_X exceeds -32768..32767: wrong map"),
        ("ABS_X", -32769, "ABS_X exceeds -32768..32767: wrong map"),
    ],
)
def test_a_value_out_of_range_is_refused_until_the_next_pad(
    open_pad, fake_pad, clock, code, raw, fault
):
    pad = open_pad()
    fake_pad.throttle(1.0)
    fake_pad.axis(code, raw)
    assert (pad.read().command, pad.read().fault) == (NEUTRAL, fault)
    fake_pad.axis(code, 0)
    fake_pad.throttle(1.0)
    fake_pad.tap("A")
    state = pad.read()
    assert (state.command, state.fault) == (NEUTRAL, fault)
    assert state.pressed == {Button.STOP_RUN}  # a run must be able to end
    fake_pad.unplug()
    pad.read()
    fake_pad.replug()
    clock.sleep_until(1.0)
    assert pad.read().fault == ""


@pytest.mark.parametrize(
    ("axes", "fault"),
    [
        ({"ABS_RZ": (0, -32768, 32767)}, "ABS_RZ is a stick, not a trigger: wrong map"),
        ({"ABS_Z": (0, 0, 65535)}, "ABS_Z is a stick, not a trigger: wrong map"),
        ({"ABS_X": (0, 0, 1023)}, "ABS_X is a trigger, not a stick: wrong map"),
        ({"ABS_X": (0, 0, 255)}, "ABS_X is a trigger, not a stick: wrong map"),
    ],
    ids=str,
)
def test_a_range_of_another_kind_of_control_is_refused_before_any_event(
    open_pad, fake_pad, device, axes, fault
):
    device.axes = axes
    pad = open_pad()
    assert pad.read().fault == fault
    fake_pad.throttle(1.0)
    fake_pad.steer(0.001)
    assert (pad.read().command, pad.read().fault) == (NEUTRAL, fault)


def write_map(pi, **changed):
    """Write a custom map beside hardware_conf.json; return its name."""
    content = json.loads((path.ROOT / "car/pad/maps/xpad.json").read_text())
    (pi.folder / "my_pad.json").write_text(json.dumps(content | changed))
    return "my_pad.json"


def test_a_custom_map_is_found_beside_hardware_conf_and_named(pi, open_pad, fake_pad):
    stick = {"stick": "ABS_RX", "name": "right stick", "left": 32767, "right": -32768}
    pad = open_pad(map=write_map(pi, steering=stick))
    assert pad.map_name == "my_pad.json"
    fake_pad.axis("ABS_X", 20000)
    assert pad.read().command == NEUTRAL
    fake_pad.axis("ABS_RX", 32767)
    assert pad.read().command == Command(-1.0, 0.0)  # left and right are exchanged


@pytest.mark.usefixtures("fake_pad")
def test_the_button_that_arms_has_the_name_of_the_map(pi, open_pad):
    assert open_pad().arm_button == "Menu"
    content = json.loads((path.ROOT / "car/pad/maps/xpad.json").read_text())
    buttons = content["buttons"] | {"arm": {"code": "BTN_START", "name": "Options"}}
    assert open_pad(map=write_map(pi, buttons=buttons)).arm_button == "Options"


def test_a_stick_may_have_the_range_of_a_trigger_if_the_map_declares_it(
    pi, open_pad, fake_pad, device
):
    device.axes = {"ABS_X": (128, 0, 255)}
    stick = {"stick": "ABS_X", "name": "left stick", "left": 0, "right": 255}
    pad = open_pad(map=write_map(pi, steering=stick))
    fake_pad.axis("ABS_X", 255)
    assert (pad.read().fault, pad.read().command) == ("", Command(1.0, 0.0))


def test_a_map_with_an_axis_that_the_pad_lacks_is_refused(pi, open_pad, fake_pad):
    gas = {"trigger": "ABS_GAS", "name": "right trigger", "full": 1023}
    pad = open_pad(map=write_map(pi, throttle=gas))
    assert pad.read().fault == "the pad has no ABS_GAS: wrong map"


def test_the_sticks_of_another_driver_are_not_taken_for_triggers(pi, open_pad):
    with FifoPad(pi, "stock_bluetooth") as fake_pad:
        pad = open_pad(map=write_map(pi))
        fake_pad.axis("ABS_RZ", 32768)  # the right stick at rest
        assert pad.read().command == NEUTRAL
        assert pad.read().fault == "ABS_RZ is a stick, not a trigger: wrong map"
