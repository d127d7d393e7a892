"""Opening a pad: which one is chosen, and the reasons why none can be opened."""

import shutil
import subprocess
import sys
import warnings

import pytest

from car.pad.devices import EVIOCGABS, EVIOCGKEY, Node
from common.errors import PadLost
from tests.pad.helpers import count_descriptors, raise_enodev
from tests.pi import bench
from tests.pi.pad import CODES, EVENT, FifoPad

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


def test_a_missing_library_is_reported(open_pad, fake_pad, monkeypatch):
    monkeypatch.setitem(sys.modules, "inputs", None)
    with pytest.raises(PadLost, match=r"^the library inputs is missing: pip install -r req"):
        open_pad()


def test_a_library_that_fails_at_the_pad_leaves_no_descriptor(open_pad, fake_pad, monkeypatch):
    monkeypatch.setattr(inputs.GamePad, "_set_name", raise_enodev)
    before = count_descriptors()
    with pytest.raises(PadLost, match=r"event7 cannot be opened: No such device: unplug it"):
        open_pad()
    assert count_descriptors() == before


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
