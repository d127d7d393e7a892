"""Opening a pad: which one is chosen, and the reasons why none can be opened."""

import shutil
import subprocess
import sys
import warnings

import pytest

from car.pad.inputs_device import EVIOCGABS, EVIOCGKEY, Node
from common.errors import PadLost
from tests.pad.helpers import INPUTS, count_descriptors, raise_enodev
from tests.pi import bench
from tests.pi.pad import CODES, EVENT, USB, FifoPad, Kind

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of devices on this machine that it cannot name
    import inputs


def test_a_missing_pad_is_reported_with_the_remedy(open_pad):
    with pytest.raises(PadLost, match=r"no pad is connected: plug .* pair it .* group input"):
        open_pad()


@pytest.mark.parametrize(
    ("bitmap", "bits"),
    [("key", "120013 10000 0 0 ffffffffffffffff"), ("key", ""), ("abs", "2"), ("abs", "")],
    ids=["keyboard or mouse", "motion sensor", "no stick", "no axis"],
)
def test_a_device_without_button_a_or_left_stick_is_no_pad(pi, open_pad, fake_pad, bitmap, bits):
    file = pi.sys_input / fake_pad.node.name / "device/capabilities" / bitmap
    file.write_text(f"{bits}\n")
    with pytest.raises(PadLost, match="no pad is connected"):
        open_pad()


def test_of_several_pads_the_first_by_number_is_read_and_reported(pi, open_pad):
    with FifoPad(pi, event=10), FifoPad(pi, "xpadneo", event=9) as first:
        pad = open_pad()
        assert pad.name == f"Xbox Wireless Controller at {pi.input}/event9, the first of 2 pads"
        first.throttle(1.0)
        assert pad.read().command.throttle == 1.0


def test_a_missing_node_is_reported(open_pad, fake_pad):
    fake_pad.node.rename(fake_pad.node.parent / "elsewhere")
    with pytest.raises(PadLost, match=r"event7 cannot be opened: No such file .*: unplug it"):
        open_pad()
    (fake_pad.node.parent / "elsewhere").rename(fake_pad.node)


REMEDIES = {"inputs": "pip install -r req", "evdev": "sudo apt install python3-evdev"}


def test_a_missing_library_is_reported(open_pad, fake_pad, library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(PadLost, match=rf"^the library {library} is missing: {REMEDIES[library]}"):
        open_pad()


@pytest.mark.parametrize("library", ["evdev"], indirect=True)
def test_a_library_stands_in_for_one_that_is_missing(open_pad, fake_pad, monkeypatch):
    monkeypatch.setitem(sys.modules, "inputs", None)
    assert open_pad(library=None).describe().endswith("map xpad, read by evdev")


@INPUTS
def test_inputs_is_read_with_unless_another_library_is_wanted(open_pad, fake_pad):
    assert open_pad(library=None).describe().endswith("map xpad, read by inputs")


@INPUTS
def test_without_any_library_the_one_that_pip_installs_is_named(open_pad, fake_pad, monkeypatch):
    monkeypatch.setitem(sys.modules, "inputs", None)
    monkeypatch.setitem(sys.modules, "evdev", None)
    with pytest.raises(PadLost, match=r"^the library inputs is missing: pip install -r req"):
        open_pad(library=None)


def test_a_library_that_fails_at_the_pad_leaves_no_descriptor(
    open_pad, fake_pad, library, device, monkeypatch
):
    monkeypatch.setattr(inputs.GamePad, "_set_name", raise_enodev)
    fake_pad.is_gone = True
    fake_pad.answer()
    before = count_descriptors()
    with pytest.raises(PadLost, match=r"event7 cannot be opened: No such device: unplug it"):
        open_pad()
    assert count_descriptors() == before


@pytest.mark.parametrize("library", ["evdev"], indirect=True)
def test_a_failure_that_the_library_gives_no_reason_for_is_an_unplugged_pad(
    open_pad, fake_pad, monkeypatch
):
    """Version 1.6 returns NULL without an exception where it asks for effects in vain."""

    def fail(_descriptor):
        raise SystemError("error return without exception set")

    monkeypatch.setattr("evdev.device._input.ioctl_EVIOCGEFFECTS", fail)
    before = count_descriptors()
    with pytest.raises(PadLost, match=r"event7 cannot be opened: No such device: unplug it"):
        open_pad()
    assert count_descriptors() == before


def test_a_joystick_is_a_pad_but_not_before_others(pi, open_pad):
    joystick = Kind(
        "DragonRise Gamepad", USB, "hid-generic", "ABS_X ABS_Y ABS_Z ABS_RZ ABS_HAT0X ABS_HAT0Y",
        "BTN_TRIGGER BTN_THUMB BTN_THUMB2 BTN_TOP", (0, 255), "ABS_RZ", "ABS_Z", 255,
    )  # fmt: skip
    with FifoPad(pi, joystick, event=3):
        pad = open_pad()
        assert pad.name == f"DragonRise Gamepad at {pi.input}/event3"
        assert "the pad has no BTN_START, BTN_SOUTH" in pad.read().fault
        with FifoPad(pi, event=5):
            name = open_pad().name
            assert name == f"Microsoft X-Box One S pad at {pi.input}/event5, the first of 2 pads"


def test_reading_a_node_never_blocks(fake_pad):
    node = Node(fake_pad.node, EVENT.size)
    try:
        with pytest.raises(BlockingIOError):
            node.read(EVENT.size)
    finally:
        node.close()


def test_the_ioctl_numbers_are_those_of_linux_input_h(tmp_path):
    if not shutil.which("cc"):
        bench.skip_or_fail("cc is missing; install the package build-essential")
    (tmp_path / "ask.c").write_text(
        "#include <stdio.h>\n#include <linux/input.h>\n"
        'int main(void) { printf("%lu %lu %lu %zu", (unsigned long)EVIOCGABS(0), (unsigned long)'
        "EVIOCGABS(ABS_BRAKE), (unsigned long)EVIOCGKEY((KEY_CNT + 7) / 8), "
        "sizeof(struct input_event)); }\n"
    )
    built = subprocess.run(
        ["cc", "-o", tmp_path / "ask", tmp_path / "ask.c"],
        capture_output=True,
        text=True,
        check=False,
    )
    if "linux/input.h: No such file" in built.stderr:
        bench.skip_or_fail("linux/input.h is missing; install the package linux-libc-dev")
    assert built.returncode == 0, built.stderr
    answers = subprocess.run([tmp_path / "ask"], capture_output=True, text=True, check=True).stdout
    assert [int(number) for number in answers.split()] == [
        EVIOCGABS,
        EVIOCGABS + CODES["ABS_BRAKE"],
        EVIOCGKEY,
        EVENT.size,
    ]
