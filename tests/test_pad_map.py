"""The maps of pads: ours, and what is refused in one's own."""

import json
import re
import sys
import warnings
from pathlib import Path

import pytest

from car import hardware_conf
from car.clock import VirtualClock
from car.interfaces import Button
from car.pad import pad_map
from car.pad.pad_map import AXES, BUTTONS, Trigger
from car.pad.xbox_pad import XboxPad
from common.errors import InputError
from tests.pi import bench
from tests.pi.pad import CODES

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of devices on this machine that it cannot name
    import inputs

HEADER = Path("/usr/include/linux/input-event-codes.h")
OURS = sorted(file.stem for file in pad_map.BUILT_IN.iterdir())


@pytest.fixture
def content():
    return json.loads((pad_map.BUILT_IN / "xpad.json").read_text())


@pytest.fixture
def file(tmp_path):
    return tmp_path / "my_pad.json"


def changed(content, key, value):
    """The content with another value at a dotted key; None takes the key out."""
    *outer, last = key.split(".")
    place = content
    for one in outer:
        place = place[one]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return content


def test_there_are_three_maps_of_ours_and_they_can_be_read():
    assert OURS == ["stock_bluetooth", "xpad", "xpadneo"]
    for name in OURS:
        controls = pad_map.read_built_in(name)
        assert (controls.name, set(controls.buttons)) == (name, set(Button))


@pytest.mark.parametrize(
    ("name", "axes", "ends"),
    [
        ("xpad", ("ABS_X", "ABS_RZ", "ABS_Z"), (-32768, 32767)),
        ("xpadneo", ("ABS_X", "ABS_RZ", "ABS_Z"), (-32768, 32767)),
        ("stock_bluetooth", ("ABS_X", "ABS_GAS", "ABS_BRAKE"), (0, 65535)),
    ],
)
def test_our_maps_are_those_of_the_drivers(name, axes, ends):
    controls = pad_map.read_built_in(name)
    assert controls.axes == axes
    assert (controls.steering.left, controls.steering.right) == ends
    assert (controls.throttle.full, controls.brake.full) == (1023, 1023)
    assert {button: (key.code, key.name) for button, key in controls.buttons.items()} == {
        Button.ARM: ("BTN_START", "Menu"),
        Button.STOP_RUN: ("BTN_SOUTH", "A"),
        Button.EMERGENCY_STOP: ("BTN_EAST", "B"),
        Button.PAUSE: ("BTN_WEST", "Y"),
        Button.ERASE: ("BTN_NORTH", "X"),
        Button.DEAD_MAN: ("BTN_TL", "LB"),
    }


def test_a_copy_of_one_of_ours_is_a_map_of_one_s_own(content, file):
    file.write_text(json.dumps(content))
    controls = pad_map.read(file)
    assert controls.name == "my_pad.json"
    assert controls.buttons == pad_map.read_built_in("xpad").buttons


@pytest.mark.parametrize("text", ["360", "X-Box"])
def test_a_trigger_s_range_may_hang_on_the_pad_s_name(text):
    trigger = Trigger(trigger="ABS_Z", name="left", full=1023, full_by_name={text: 255})
    assert trigger.full_for("Microsoft X-Box 360 pad") == 255
    assert trigger.full_for("Xbox Wireless Controller") == 1023


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("throttle", None, "missing key throttle"),
        ("buttons.emergency_stop", None, "buttons: missing key emergency_stop"),
        ("buttons.honk", {"code": "BTN_TR", "name": "RB"}, "buttons: Object contains unknown"),
        ("wheels", 4, "Object contains unknown field wheels"),
        ("steering.left", "far", "steering.left: Expected int, got str"),
        ("steering.left", 2**31, "steering.left: Expected int <= 2147483647"),
        ("steering.left", 32767, "steering.right: must differ from left"),
        ("throttle.full", 0, "throttle.full: Expected int >= 1"),
        ("throttle.full", 65535, "throttle.full: Expected int <= 1023"),
        ("brake.full_by_name", {"360": 1024}, "brake.full_by_name[...]: Expected int <= 1023"),
        ("throttle.trigger", "ABS_Q", "throttle.trigger: ABS_Q is not an axis; use one of ABS_X,"),
        ("throttle.trigger", "BTN_TR", "throttle.trigger: BTN_TR is not an axis"),
        ("throttle.trigger", "ABS_Z", "brake.trigger: ABS_Z is already used by throttle.trigger"),
        ("throttle.trigger", "ABS_X", "throttle.trigger: ABS_X is already used by steering.stick"),
        (
            "buttons.arm.code",
            "BTN_STRAT",
            "buttons.arm.code: BTN_STRAT is not a button; use one of",
        ),
        ("buttons.arm.code", "ABS_RZ", "buttons.arm.code: ABS_RZ is not a button"),
        ("buttons.arm.code", 315, "buttons.arm.code: Expected str, got int"),
        (
            "buttons.pause.code",
            "BTN_START",
            "buttons.pause.code: BTN_START is already used by buttons.arm",
        ),
        ("buttons.arm.name", "", "buttons.arm.name: Expected str of length >= 1"),
        ("about", "x" * 61, "about: Expected str of length <= 60"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_broken_map_is_told_with_file_key_and_what_it_should_be(
    content, file, key, value, complaint
):
    file.write_text(json.dumps(changed(content, key, value)))
    with pytest.raises(InputError, match=rf"^{re.escape(f'{file}: {complaint}')}"):
        pad_map.read(file)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "line 1, column 2: not JSON"),
        ("[]", "Expected object, got array"),
        ('{"about": "", "about": ""}', "duplicate key"),
    ],
)
def test_what_is_no_map_at_all_is_told_too(file, text, complaint):
    file.write_text(text)
    with pytest.raises(InputError, match=f"my_pad.json.*{complaint}"):
        pad_map.read(file)


def test_a_map_that_is_missing_is_told_before_anybody_looks_for_a_pad(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "inputs", None)
    with pytest.raises(InputError, match=r"cars/my_pad.json does not exist"):
        XboxPad(
            hardware_conf.XboxPadConf(map="cars/my_pad.json"),
            VirtualClock(),
            conf_file=tmp_path / "hardware_conf.json",
        )


def test_the_codes_are_those_that_the_library_decodes():
    codes = inputs.devices.codes
    assert {code: codes["Absolute"].get(number) for code, number in AXES.items()} == {
        code: code for code in AXES
    }
    assert {code: codes["Key"].get(number) for code, number in BUTTONS.items()} == {
        code: code for code in BUTTONS
    }


def test_the_codes_are_those_of_the_kernel_also_in_the_pads_of_the_tests():
    if not HEADER.exists():
        bench.skip_or_fail(f"{HEADER} is missing; install the package linux-libc-dev")
    lines = re.findall(r"^#define\s+(\w+)\s+(0x[0-9a-f]+|\d+)", HEADER.read_text(), re.MULTILINE)
    aliases = re.findall(r"^#define\s+(BTN_\w)\s+(BTN_[A-Z]+)$", HEADER.read_text(), re.MULTILINE)
    numbers = {name: int(number, 0) for name, number in lines}
    for codes in (AXES, BUTTONS, CODES):
        assert {code: numbers[code] for code in codes} == codes
    named = dict(aliases)  # BTN_X is BTN_NORTH, wherever it is printed
    assert (named["BTN_X"], named["BTN_Y"]) == ("BTN_NORTH", "BTN_WEST")
