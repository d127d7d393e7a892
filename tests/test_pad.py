"""The pad: what the real library `inputs` decodes becomes commands, and a pad may go and come back.

The devices are FIFOs. In the first part they are read in this process, in the second the library
looks for them itself, in a namespace.
"""

import errno
import fcntl
import json
import os
import select
import shutil
import struct
import subprocess
import sys
import threading
import time
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import path
from car import hardware_conf
from car.clock import VirtualClock
from car.drive import Rules, State, decide
from car.interfaces import NEUTRAL, Button, Command
from car.pad import devices
from car.pad.devices import EVIOCGABS, EVIOCGKEY, Folders, Node
from car.pad.xbox_pad import XboxPad, apply_dead_zone
from common.errors import PadLost
from tests.helpers.waiting import HANGS_S
from tests.pi import bench, namespace
from tests.pi.pad import ABS, CODES, EVENT, KEY, KINDS, SYN, SYN_DROPPED, FifoPad

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of devices on this machine that it cannot name
    import inputs

UNKNOWN = [(ABS, 0x21, 1), (KEY, 0x224, 1), (KEY, 0x13F, 1), (0x1F, 1, 1)]


@pytest.fixture
def pi(tmp_path):
    return namespace.create_pi(tmp_path / "pi")


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def opened(pi, clock, monkeypatch):
    """Opens the pad of the Pi in this process, where the library finds no names in /sys."""
    monkeypatch.setattr(inputs.GamePad, "_set_name", lambda self: None)
    made = []

    def opener(**conf):
        pad = XboxPad(
            hardware_conf.XboxPad(**({"dead_zone": 0.0} | conf)),
            clock,
            conf_file=pi.folder / "hardware_conf.json",
            folders=Folders(pi.sys_input, pi.input),
        )
        made.append(pad)
        return pad

    yield opener
    for pad in made:
        pad.close()


@pytest.fixture
def thumbs(pi):
    with FifoPad(pi) as pad:
        yield pad


@pytest.fixture
def device(monkeypatch):
    """What a device answers that tells ranges and buttons: `axes` by code, `down` by code."""
    return Device(monkeypatch)


class Device:
    def __init__(self, monkeypatch):
        self.axes, self.down, self._real = {}, set(), fcntl.ioctl
        monkeypatch.setattr(devices.fcntl, "ioctl", self._ioctl)

    def _ioctl(self, descriptor, request, room):
        if request == EVIOCGKEY and len(room) == 96:
            return sum(1 << CODES[code] for code in self.down).to_bytes(96, "little")
        for code, (value, lowest, highest) in self.axes.items():
            if request == EVIOCGABS + CODES[code] and len(room) == 24:
                return struct.pack("6i", value, lowest, highest, 16, 128, 0)
        return self._real(descriptor, request, room)


# What the thumbs say


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("xpad", "xpad"),
        ("xpad_360", "xpad"),
        ("xpadneo", "xpadneo"),
        ("stock_bluetooth", "stock_bluetooth"),
    ],
)
def test_the_map_is_that_of_the_driver_and_both_ends_are_reached(pi, opened, kind, name):
    with FifoPad(pi, kind) as thumbs:
        pad = opened()
        assert pad.map_name == name
        assert pad.describe() == f"{KINDS[kind].name} at {pi.input}/event7, map {name}"
        for steering in (-1.0, 1.0):
            thumbs.steer(steering)
            thumbs.throttle(1.0)
            assert pad.read().command == Command(steering, 1.0)
        thumbs.brake(1.0)
        assert pad.read().command == Command(1.0, -1.0)
        thumbs.brake(0.0)
        thumbs.throttle(0.5)
        thumbs.steer(0.0)
        state = pad.read()
        assert state.command.throttle == pytest.approx(0.5, abs=3e-3)
        assert state.command.steering == pytest.approx(0.0, abs=1e-4)
        assert state.fault == ""


@pytest.mark.parametrize("kind", KINDS)
def test_each_button_does_what_its_print_says(pi, opened, kind):
    asked = {
        "A": Button.STOP_RUN,
        "B": Button.EMERGENCY_STOP,
        "X": Button.ERASE,
        "Y": Button.PAUSE,
        "LB": Button.DEAD_MAN,
        "Menu": Button.ARM,
    }
    with FifoPad(pi, kind) as thumbs:
        pad = opened()
        for printed, button in asked.items():
            thumbs.press(printed)
            assert pad.read().pressed == {button}
            thumbs.release(printed)
        thumbs.tap("RB")
        thumbs.tap("View")
        assert pad.read().pressed == set()


def test_each_axis_is_neutral_until_it_has_said_something(opened, thumbs):
    pad = opened()
    assert pad.read().command == NEUTRAL
    thumbs.throttle(1.0)
    assert pad.read().command == Command(0.0, 1.0)
    thumbs.steer(1.0)
    assert pad.read().command == Command(1.0, 1.0)


def test_the_brake_wins_over_the_throttle(opened, thumbs):
    pad = opened()
    thumbs.brake(0.25)
    thumbs.throttle(1.0)
    assert pad.read().command.throttle == pytest.approx(-0.25, abs=1e-3)
    thumbs.brake(0.0)
    assert pad.read().command.throttle == 1.0


@pytest.mark.parametrize(
    ("value", "moved"),
    [(0.0, 0.0), (0.2, 0.0), (-0.2, 0.0), (0.6, 0.5), (-0.6, -0.5), (1.0, 1.0), (-1.0, -1.0)],
)
def test_beyond_the_dead_zone_motion_starts_at_0_and_the_ends_stay(value, moved):
    assert apply_dead_zone(value, 0.2) == pytest.approx(moved)
    assert abs(apply_dead_zone(value, 0.2)) <= 1


@pytest.mark.parametrize("dead_zone", [0.0, 0.06, 0.07, 0.1, 0.5])
def test_the_ends_are_exact_with_every_dead_zone(dead_zone):
    assert (apply_dead_zone(1.0, dead_zone), apply_dead_zone(-1.0, dead_zone)) == (1.0, -1.0)


def test_the_dead_zone_holds_for_the_stick_and_both_triggers(opened, thumbs):
    pad = opened(dead_zone=0.1)
    thumbs.steer(-0.09)
    thumbs.throttle(0.5)
    thumbs.brake(0.09)
    state = pad.read()
    assert state.command.steering == 0.0
    assert state.command.throttle == pytest.approx(0.4 / 0.9, abs=1e-3)


def test_a_press_counts_once_however_long_it_is_held(opened, thumbs):
    pad = opened()
    thumbs.press("Y")
    first = pad.read()
    thumbs.send((KEY, CODES["BTN_WEST"], 2))  # a key that is held repeats itself
    second, third = pad.read(), pad.read()
    assert [one.pressed for one in (first, second, third)] == [{Button.PAUSE}, set(), set()]
    assert [one.held for one in (first, second, third)] == [{Button.PAUSE}] * 3
    thumbs.release("Y")
    assert pad.read().held == set()
    thumbs.press("Y")
    assert pad.read().pressed == {Button.PAUSE}


def test_presses_between_two_readings_count_though_nothing_is_held(opened, thumbs):
    pad = opened()
    thumbs.tap("Y")
    thumbs.tap("B")
    thumbs.press("LB")
    state = pad.read()
    assert state.pressed == {Button.PAUSE, Button.EMERGENCY_STOP, Button.DEAD_MAN}
    assert state.held == {Button.DEAD_MAN}
    assert pad.read().pressed == set()


@pytest.mark.parametrize("event", UNKNOWN, ids=str)
def test_what_the_library_does_not_know_is_skipped(opened, thumbs, event):
    pad = opened()
    code = thumbs.kind.gas
    thumbs.send((ABS, CODES["ABS_X"], 32767), event, (ABS, CODES[code], 1023))
    assert pad.read().command == Command(1.0, 1.0)


@pytest.mark.parametrize("event", [*UNKNOWN, (ABS, CODES["ABS_RY"], 9), (4, 4, 9)], ids=str)
def test_any_event_ends_the_silence(opened, thumbs, clock, event):
    pad = opened()
    clock.sleep_until(2.5)
    assert pad.read().silent_s == 2.5
    thumbs.send(event)
    clock.sleep_until(3.0)
    assert pad.read().silent_s == 0.0
    clock.sleep_until(4.0)
    assert pad.read().silent_s == 1.0


def test_an_event_that_comes_in_two_pieces_counts_when_it_is_whole(opened, thumbs):
    pad = opened()
    event = EVENT.pack(0, 0, ABS, CODES["ABS_RZ"], 1023)
    writer = os.open(thumbs.node, os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(writer, event[:10])
        assert pad.read().command == NEUTRAL
        os.write(writer, event[10:])
        assert pad.read().command == Command(0.0, 1.0)
    finally:
        os.close(writer)


def test_a_flood_is_taken_a_piece_at_a_time_and_none_of_it_is_lost(opened, thumbs):
    pad = opened()
    for value in range(1000):
        thumbs.axis("ABS_RZ", value)  # and a SYN_REPORT
    thumbs.tap("B")
    readings = [pad.read() for _ in range(8)]
    assert readings[0].command.throttle == pytest.approx(127 / 1023)
    assert readings[-1].command.throttle == pytest.approx(999 / 1023)
    assert readings[-1].pressed == {Button.EMERGENCY_STOP}


def test_what_was_pressed_can_be_forgotten_however_much_it_is_and_what_is_held_stays(
    opened, thumbs
):
    pad = opened()
    for _ in range(300):
        thumbs.tap("Y")
    thumbs.press("Menu")
    thumbs.throttle(1.0)
    pad.discard_presses()
    state = pad.read()
    assert (state.pressed, state.held) == (set(), {Button.ARM})
    assert state.command.throttle == 1.0
    thumbs.tap("Y")
    assert pad.read().pressed == {Button.PAUSE}


def test_where_events_were_lost_each_axis_is_neutral_until_it_is_heard_again(opened, thumbs):
    pad = opened()
    thumbs.throttle(1.0)
    thumbs.steer(1.0)
    thumbs.press("LB")
    assert pad.read().held == {Button.DEAD_MAN}
    thumbs.send((SYN, SYN_DROPPED, 0), (ABS, CODES["ABS_X"], -32768))
    state = pad.read()
    assert (state.command, state.held, state.pressed) == (Command(-1.0, 0.0), set(), set())


def test_where_events_were_lost_a_device_that_answers_is_asked(opened, thumbs, device):
    device.axes = {"ABS_X": (0, -32768, 32767), "ABS_RZ": (0, 0, 1023), "ABS_Z": (99, 0, 1023)}
    pad = opened()
    thumbs.throttle(0.2)
    thumbs.press("LB")
    pad.read()
    device.axes["ABS_RZ"] = (1023, 0, 1023)
    device.down = {"BTN_EAST"}
    thumbs.send((SYN, SYN_DROPPED, 0))
    state = pad.read()
    assert state.command == Command(0.0, 1.0)  # the brake has said nothing yet
    assert (state.pressed, state.held) == ({Button.EMERGENCY_STOP}, {Button.EMERGENCY_STOP})


def arms(pad, thumbs):
    thumbs.tap("Menu")
    return decide(State(), pad.read(), Rules(0.5)).state.armed


@pytest.mark.parametrize("code", ["ABS_RZ", "ABS_Z"])
def test_a_trigger_that_was_pulled_before_the_pad_came_is_not_at_rest(opened, thumbs, device, code):
    """It says nothing until it moves; the device knows where it is."""
    device.axes[code] = (1023, 0, 1023)
    pad = opened()
    assert not arms(pad, thumbs)
    assert pad.read().command == NEUTRAL
    thumbs.axis(code, 1022)
    assert not arms(pad, thumbs)
    thumbs.axis(code, 0)
    assert arms(pad, thumbs)


def test_a_trigger_that_is_at_rest_needs_to_say_nothing(opened, thumbs, device):
    device.axes = {"ABS_RZ": (0, 0, 1023), "ABS_Z": (20, 0, 1023)}
    assert arms(opened(dead_zone=0.0), thumbs)


def test_where_events_were_lost_a_trigger_that_said_nothing_may_have_moved(opened, thumbs, device):
    device.axes = {"ABS_RZ": (1023, 0, 1023)}
    pad = opened()
    device.axes = {"ABS_RZ": (0, 0, 1023)}
    thumbs.send((SYN, SYN_DROPPED, 0))
    pad.read()
    assert arms(pad, thumbs)
    device.axes = {"ABS_RZ": (1023, 0, 1023)}
    thumbs.send((SYN, SYN_DROPPED, 0))
    pad.read()
    assert not arms(pad, thumbs)


# Ranges, and maps that are not this pad's


def test_the_device_knows_its_ranges_best(opened, thumbs, device):
    device.axes = {"ABS_X": (0, 0, 65535), "ABS_RZ": (0, 0, 255)}
    pad = opened()
    thumbs.axis("ABS_X", 0)
    thumbs.axis("ABS_RZ", 255)
    assert pad.read().command == Command(-1.0, 1.0)
    thumbs.axis("ABS_X", 65535)
    assert pad.read().command == Command(1.0, 1.0)


def test_a_range_without_extent_is_no_answer(opened, thumbs, device):
    device.axes = {"ABS_X": (0, 0, 0), "ABS_RZ": (0, 0, 0)}
    pad = opened()
    thumbs.steer(-1.0)
    thumbs.throttle(1.0)
    assert pad.read().command == Command(-1.0, 1.0)


@pytest.mark.parametrize(
    ("name", "full"),
    [("Microsoft X-Box 360 pad", 255), ("Xbox 360 Wireless Receiver", 255), ("Anything", 1023)],
)
def test_an_unknown_range_is_the_larger_one_unless_the_name_tells(pi, opened, name, full):
    with FifoPad(pi, name=name) as thumbs:
        pad = opened()
        thumbs.axis("ABS_RZ", 255)
        assert pad.read().command.throttle == 255 / full


def test_a_trigger_that_says_more_than_its_name_lets_expect_is_believed(pi, opened):
    with FifoPad(pi, "xpad_360") as thumbs:
        pad = opened()
        thumbs.axis("ABS_RZ", 700)
        assert pad.read().command.throttle == 700 / 1023
        thumbs.axis("ABS_RZ", 255)
        assert pad.read().command.throttle == 255 / 1023


@pytest.mark.parametrize(
    ("code", "raw", "why"),
    [
        ("ABS_RZ", 1024, "ABS_RZ is a stick, not a trigger: wrong map"),
        ("ABS_RZ", -1, "ABS_RZ is a stick, not a trigger: wrong map"),
        ("ABS_Z", 32768, "ABS_Z is a stick, not a trigger: wrong map"),
        ("ABS_X", 32768, "ABS_X exceeds -32768..32767: wrong map"),
        ("ABS_X", -32769, "ABS_X exceeds -32768..32767: wrong map"),
    ],
)
def test_what_an_axis_cannot_say_is_refused_until_the_next_pad(
    opened, thumbs, clock, code, raw, why
):
    pad = opened()
    thumbs.throttle(1.0)
    thumbs.axis(code, raw)
    assert (pad.read().command, pad.read().fault) == (NEUTRAL, why)
    thumbs.axis(code, 0)
    thumbs.throttle(1.0)
    thumbs.tap("A")
    state = pad.read()
    assert (state.command, state.fault) == (NEUTRAL, why)
    assert state.pressed == {Button.STOP_RUN}  # a run must be able to end
    thumbs.unplug()
    pad.read()
    thumbs.replug()
    clock.sleep_until(1.0)
    assert pad.read().fault == ""


@pytest.mark.parametrize(
    ("axes", "why"),
    [
        ({"ABS_RZ": (0, -32768, 32767)}, "ABS_RZ is a stick, not a trigger: wrong map"),
        ({"ABS_Z": (0, 0, 65535)}, "ABS_Z is a stick, not a trigger: wrong map"),
        ({"ABS_X": (0, 0, 1023)}, "ABS_X is a trigger, not a stick: wrong map"),
        ({"ABS_X": (0, 0, 255)}, "ABS_X is a trigger, not a stick: wrong map"),
    ],
    ids=str,
)
def test_a_range_that_is_the_other_control_s_is_refused_before_a_thumb_moves(
    opened, thumbs, device, axes, why
):
    device.axes = axes
    pad = opened()
    assert pad.read().fault == why
    thumbs.throttle(1.0)
    thumbs.steer(0.001)
    assert (pad.read().command, pad.read().fault) == (NEUTRAL, why)


def own_map(pi, **changed):
    """A map of one's own, beside hardware_conf.json."""
    content = json.loads((path.ROOT / "car/pad/maps/xpad.json").read_text())
    (pi.folder / "my_pad.json").write_text(json.dumps(content | changed))
    return "my_pad.json"


def test_a_map_of_one_s_own_is_found_beside_hardware_conf_and_named(pi, opened, thumbs):
    stick = {"stick": "ABS_RX", "name": "right stick", "left": 32767, "right": -32768}
    pad = opened(map=own_map(pi, steering=stick))
    assert pad.map_name == "my_pad.json"
    thumbs.axis("ABS_X", 20000)
    assert pad.read().command == NEUTRAL
    thumbs.axis("ABS_RX", 32767)
    assert pad.read().command == Command(-1.0, 0.0)  # left and right are exchanged


def test_a_stick_as_narrow_as_a_trigger_is_one_where_the_map_says_so(pi, opened, thumbs, device):
    device.axes = {"ABS_X": (128, 0, 255)}
    stick = {"stick": "ABS_X", "name": "left stick", "left": 0, "right": 255}
    pad = opened(map=own_map(pi, steering=stick))
    thumbs.axis("ABS_X", 255)
    assert (pad.read().fault, pad.read().command) == ("", Command(1.0, 0.0))


def test_a_map_that_names_what_the_pad_does_not_have_is_refused(pi, opened, thumbs):
    gas = {"trigger": "ABS_GAS", "name": "right trigger", "full": 1023}
    pad = opened(map=own_map(pi, throttle=gas))
    assert pad.read().fault == "the pad has no ABS_GAS: wrong map"


def test_the_sticks_of_another_driver_are_not_taken_for_triggers(pi, opened):
    with FifoPad(pi, "stock_bluetooth") as thumbs:
        pad = opened(map=own_map(pi))
        thumbs.axis("ABS_RZ", 32768)  # the right stick at rest
        assert pad.read().command == NEUTRAL
        assert pad.read().fault == "ABS_RZ is a stick, not a trigger: wrong map"


# Gone, and there again


def test_a_pad_that_is_gone_is_neutral_in_that_very_reading(opened, thumbs):
    pad = opened()
    thumbs.throttle(1.0)
    thumbs.press("LB")
    assert pad.read().command.throttle == 1.0
    thumbs.unplug()
    state = pad.read()
    assert (state.command, state.held, state.fault) == (NEUTRAL, set(), "the pad is gone")


def error_19(*_arguments):
    raise OSError(errno.ENODEV, "No such device")


def test_a_device_that_says_it_is_gone_is_neutral_though_events_wait(opened, thumbs, monkeypatch):
    """As the kernel has it: reading fails, whatever is still queued."""
    pad = opened()
    thumbs.throttle(1.0)
    pad.read()
    thumbs.throttle(0.9)
    monkeypatch.setattr(devices.os, "read", error_19)
    state = pad.read()
    assert (state.command, state.fault) == (NEUTRAL, "the pad is gone")


@pytest.mark.parametrize("again", [False, True], ids=["node removed", "node replaced"])
def test_a_node_that_is_not_there_any_more_is_a_pad_that_is_gone(opened, thumbs, again):
    pad = opened()
    thumbs.throttle(1.0)
    pad.read()
    thumbs.tap("A")
    thumbs.node.rename(thumbs.node.parent / "elsewhere")  # and nobody closes it
    if again:
        os.mkfifo(thumbs.node)
    state = pad.read()
    assert (state.command, state.fault) == (NEUTRAL, "the pad is gone")
    assert state.pressed == {Button.STOP_RUN}  # what was pressed before was pressed
    if not again:
        (thumbs.node.parent / "elsewhere").rename(thumbs.node)


def test_a_fifo_that_nobody_writes_to_any_more_is_a_pad_that_is_gone(opened, thumbs):
    """Where the library alone would read on and on, with all of the processor's time."""
    pad = opened()
    thumbs.throttle(1.0)
    thumbs.hang_up()
    state = pad.read()
    assert state.command.throttle == 1.0  # it was said before
    state = pad.read()
    assert (state.command, state.fault) == (NEUTRAL, "the pad is gone")


def test_a_pad_that_comes_back_is_taken_up_all_neutral_whatever_its_number(opened, thumbs, clock):
    pad = opened()
    thumbs.throttle(1.0)
    thumbs.press("LB")
    pad.read()
    thumbs.unplug()
    pad.read()
    thumbs.replug(event=12)
    clock.sleep_until(0.4)
    assert pad.read().fault == "the pad is gone"
    clock.sleep_until(0.6)
    state = pad.read()
    assert (state.command, state.held, state.fault, state.silent_s) == (NEUTRAL, set(), "", 0.0)
    assert pad.name.endswith("/event12")
    thumbs.steer(1.0)
    assert pad.read().command == Command(1.0, 0.0)


def test_a_pad_of_another_kind_that_comes_instead_has_its_own_map(pi, opened, clock):
    with FifoPad(pi, "xpad"):
        pad = opened()
    assert pad.read().fault
    with FifoPad(pi, "stock_bluetooth") as thumbs:
        clock.sleep_until(1.0)
        pad.read()
        thumbs.steer(-1.0)
        assert (pad.map_name, pad.read().command) == ("stock_bluetooth", Command(-1.0, 0.0))


def test_a_node_that_is_nobody_s_yet_is_tried_again(opened, thumbs, clock, monkeypatch):
    """After plugging in, udev takes a moment to give the node to the group."""
    pad = opened()
    thumbs.unplug()
    pad.read()
    thumbs.replug()
    really = os.open

    def refuses(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(devices.os, "open", refuses)
    clock.sleep_until(1.0)
    assert pad.read().fault == "the pad is gone"
    monkeypatch.setattr(devices.os, "open", really)
    clock.sleep_until(2.0)
    assert pad.read().fault == ""


def test_while_there_is_no_pad_nobody_looks_more_often_than_every_half_second(
    opened, thumbs, clock, monkeypatch
):
    pad = opened()
    thumbs.unplug()
    pad.read()
    looks = []
    real = devices.Path.glob
    monkeypatch.setattr(
        devices.Path, "glob", lambda self, pattern: looks.append(pattern) or real(self, pattern)
    )
    for tick in range(500):
        clock.sleep_until(tick * 0.02)
        pad.read()
    assert 18 <= len(looks) <= 20


def test_a_pad_that_stays_away_ends_the_run(opened, thumbs, clock):
    pad = opened(lost_s=3.0)
    clock.sleep_until(10.0)
    thumbs.unplug()
    pad.read()
    clock.sleep_until(12.9)
    assert pad.read().fault == "the pad is gone"
    clock.sleep_until(13.5)
    with pytest.raises(
        PadLost, match=r"has been missing for 3 s: plug it in and start again \(no pad"
    ):
        pad.read()
    thumbs.replug()
    clock.sleep_until(14.5)
    assert pad.read().fault == ""


def descriptors():
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("gone", [False, True], ids=["there", "gone"])
def test_closing_twice_leaves_no_descriptor_and_no_thread(opened, thumbs, gone):
    before, threads = descriptors(), threading.active_count()
    pad = opened()
    thumbs.throttle(1.0)
    pad.read()
    assert threading.active_count() == threads
    if gone:
        thumbs.unplug()
        pad.read()
        thumbs.replug()
    pad.close()
    pad.close()
    assert descriptors() == before
    with pytest.raises(PadLost, match="closed"):
        pad.read()


def test_a_library_that_fails_at_the_pad_leaves_no_descriptor(opened, thumbs, monkeypatch):
    monkeypatch.setattr(inputs.GamePad, "_set_name", error_19)
    before = descriptors()
    with pytest.raises(PadLost, match=r"event7 cannot be opened: No such device: unplug it"):
        opened()
    assert descriptors() == before


def test_the_library_is_never_kept_waiting(thumbs):
    node = Node(thumbs.node, EVENT.size)
    try:
        with pytest.raises(BlockingIOError):
            node.read(EVENT.size)
    finally:
        node.close()


# No pad at the start


def test_no_pad_at_the_start_is_said_with_what_to_do(opened):
    with pytest.raises(PadLost, match=r"no pad is connected: plug .* pair it .* group input"):
        opened()


@pytest.mark.parametrize(
    ("bitmap", "bits"),
    [("key", "120013 10000 0 0 ffffffffffffffff"), ("key", ""), ("abs", "2"), ("abs", "")],
    ids=["keyboard or mouse", "motion sensor", "no stick", "no axis"],
)
def test_what_lacks_the_button_a_or_the_left_stick_is_no_pad(pi, opened, thumbs, bitmap, bits):
    file = pi.sys_input / thumbs.node.name / "device/capabilities" / bitmap
    file.write_text(f"{bits}\n")
    with pytest.raises(PadLost, match="no pad is connected"):
        opened()


def test_of_several_pads_the_first_by_number_is_read_and_that_is_said(pi, opened):
    with FifoPad(pi, event=10), FifoPad(pi, "xpadneo", event=9) as first:
        pad = opened()
        assert pad.name == f"Xbox Wireless Controller at {pi.input}/event9, the first of 2 pads"
        first.throttle(1.0)
        assert pad.read().command.throttle == 1.0


def test_a_node_that_is_missing_is_said(opened, thumbs):
    thumbs.node.rename(thumbs.node.parent / "elsewhere")
    with pytest.raises(PadLost, match=r"event7 cannot be opened: No such file .*: unplug it"):
        opened()
    (thumbs.node.parent / "elsewhere").rename(thumbs.node)


def test_a_library_that_is_missing_is_said(opened, thumbs, monkeypatch):
    monkeypatch.setitem(sys.modules, "inputs", None)
    with pytest.raises(PadLost, match=r"^the library inputs is missing: pip install -r req"):
        opened()


def test_the_numbers_of_the_questions_are_those_of_linux_input_h(tmp_path):
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
    told = subprocess.run([tmp_path / "ask"], capture_output=True, text=True, check=True).stdout
    assert [int(number) for number in told.split()] == [
        EVIOCGABS,
        EVIOCGABS + CODES["ABS_BRAKE"],
        EVIOCGKEY,
        EVENT.size,
    ]


# The whole of it, in a namespace


class Reader:
    """`tests.pi.read_pad` in a namespace, and what it says."""

    def __init__(self, process):
        self._process = process
        self._said = b""
        self.lines = []

    def until(self, condition, within_s=HANGS_S):
        """The first line from here on of which the condition holds."""
        give_up = time.monotonic() + within_s
        while not condition(line := self._next(give_up)):
            assert time.monotonic() < give_up, f"waited in vain: {self.lines[-3:]}"
        return line

    def _next(self, give_up):
        """The next line; past Python's buffers, of which `select` knows nothing."""
        while b"\n" not in self._said:
            left_s = max(give_up - time.monotonic(), 0)
            readable = select.select([self._process.stdout], [], [], left_s)[0]
            assert readable, f"waited in vain: {self.lines[-3:]}"
            more = os.read(self._process.stdout.fileno(), 65536)
            assert more, f"it has ended: {self.lines}"
            self._said += more
        line, _, self._said = self._said.partition(b"\n")
        self.lines.append(json.loads(line))
        return self.lines[-1]

    def end(self):
        """All that it said, once it has ended well."""
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        rest = self._said + self._process.stdout.read()
        self.lines += map(json.loads, rest.splitlines())
        assert self._process.wait(HANGS_S) == 0
        return self.lines


@contextmanager
def reading(pi, *enter, **more):
    """A reader of the pad; `enter` runs it inside."""
    if why := namespace.missing_support():
        bench.skip_or_fail(why)
    conf = json.dumps({"dead_zone": 0.0, **more})
    command = (*enter, sys.executable, "-m", "tests.pi.read_pad", conf)
    process = subprocess.Popen(
        pi.command(*command),
        cwd=path.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,  # else a line that is there already would be waited for
    )
    try:
        with process.stdin, process.stdout:
            yield Reader(process)
    finally:
        process.kill()
        process.wait()


in_namespace = pytest.mark.slow


@in_namespace
@pytest.mark.parametrize("kind", KINDS)
def test_the_library_finds_and_decodes_every_kind_of_pad(pi, kind):
    with FifoPad(pi, kind) as thumbs, reading(pi) as reader:
        first = reader.until(lambda line: "describe" in line)
        assert first["name"] == f"{KINDS[kind].name} at /dev/input/event7"
        assert first["map"] == kind.removesuffix("_360")
        reader.until(lambda line: line.get("lost") == "")
        for event in UNKNOWN:
            thumbs.send(event)
        thumbs.press("Menu")
        assert reader.until(lambda line: line["pressed"])["pressed"] == ["ARM"]
        thumbs.steer(-1.0)
        thumbs.throttle(1.0)
        reader.until(lambda line: (line["steering"], line["throttle"]) == (-1.0, 1.0))
        thumbs.release("Menu")
        thumbs.brake(1.0)
        reader.until(lambda line: line["throttle"] == -1.0 and not line["held"])
        assert reader.end()[-1] == {"descriptors_left": 0}


@in_namespace
def test_an_unplugged_pad_is_neutral_within_a_tick_and_is_taken_up_again(pi):
    with FifoPad(pi, "xpadneo") as thumbs, reading(pi) as reader:
        reader.until(lambda line: line.get("lost") == "")
        thumbs.throttle(1.0)
        reader.until(lambda line: line["throttle"] == 1.0)
        thumbs.unplug()
        gone_s = time.monotonic()
        lost = reader.until(lambda line: line["lost"])
        assert lost["throttle"] == 0.0
        assert sum(one > gone_s for one in lost["began_s"]) <= 1
        thumbs.replug(event=9)
        again = reader.until(lambda line: not line["lost"])
        assert (again["throttle"], again["held"]) == (0.0, [])
        thumbs.throttle(0.0)
        thumbs.steer(1.0)
        reader.until(lambda line: line["steering"] == 1.0)
        assert reader.end()[-1] == {"descriptors_left": 0}


@in_namespace
def test_a_pad_that_stays_away_ends_the_reading(pi):
    with FifoPad(pi) as thumbs, reading(pi, lost_s=1) as reader:
        reader.until(lambda line: line.get("lost") == "")
        thumbs.unplug()
        said = reader.until(lambda line: "error" in line)["error"]
        assert said.startswith("PadLost: Microsoft X-Box One S pad at /dev/input/event7 has been")
        assert reader.end()[-1] == {"descriptors_left": 0}


FLOOD_HZ = 10_000
READINGS_OF_A_FULL_PIPE = 65536 // EVENT.size // 256 + 2


@in_namespace
def test_a_flood_of_ten_thousand_events_a_second_holds_no_tick_up(pi):
    with FifoPad(pi) as thumbs, reading(pi) as reader:
        reader.until(lambda line: line.get("lost") == "")
        start_s, sent = time.monotonic(), 0
        while sent * 10 < FLOOD_HZ * 2:
            for _ in range(int((time.monotonic() - start_s) * FLOOD_HZ / 10) - sent):
                thumbs.send(*[(ABS, CODES["ABS_RX"], value) for value in range(9)])
                sent += 1
            time.sleep(0.002)
        thumbs.throttle(1.0)
        flooded_s = time.monotonic()
        full = reader.until(lambda line: line["throttle"] == 1.0)
        assert sum(one > flooded_s for one in full["began_s"]) <= READINGS_OF_A_FULL_PIPE
        figures = reader.end()[-2]
    assert figures["read"]["most"] < 60 * figures["counted"]["most"]
    assert figures["read"]["mean"] < 60 * figures["counted"]["mean"]


@in_namespace
def test_a_silent_and_a_lost_pad_cost_next_to_nothing(pi):
    with FifoPad(pi) as thumbs, reading(pi) as reader:
        reader.until(lambda line: line.get("lost") == "")
        thumbs.unplug()
        reader.until(lambda line: line["lost"])
        time.sleep(2.0)
        figures = reader.end()[-2]
    assert figures["read"]["mean"] < 5 * figures["counted"]["mean"]


@in_namespace
def test_of_two_pads_the_first_is_read(pi):
    with FifoPad(pi, event=11), FifoPad(pi, "stock_bluetooth", event=6), reading(pi) as reader:
        said = reader.until(lambda line: True)
        assert said["name"] == (
            "Xbox Wireless Controller at /dev/input/event6, the first of 2 pads"
        )


@in_namespace
def test_without_a_pad_the_reading_ends_at_once(pi):
    with reading(pi) as reader:
        assert reader.until(lambda line: True)["error"].startswith("PadLost: no pad is connected: ")


@in_namespace
def test_a_pad_that_may_not_be_read_is_said_with_the_group(pi):
    with FifoPad(pi) as thumbs:
        thumbs.node.chmod(0)
        with reading(pi, "unshare", "-U") as reader:  # nobody: also root's rights end here
            assert reader.until(lambda line: True)["error"] == (
                "PadLost: no permission to read Microsoft X-Box One S pad at /dev/input/event7: "
                "sudo usermod -aG input $USER, then log in again"
            )


LED_WITHOUT_PAD = """
mount -t tmpfs tmpfs /sys/class
mkdir /sys/class/input /sys/class/leds /sys/class/leds/xpad0
mount --bind "$0" /sys/class/input
exec "$@"
"""


@in_namespace
def test_a_library_that_falls_over_an_led_is_one_line(pi):
    enter = "sh", "-ec", LED_WITHOUT_PAD, pi.sys_input
    with FifoPad(pi), reading(pi, *enter) as reader:
        said = reader.until(lambda line: True)["error"]
    assert said.startswith("PadLost: the library inputs fails on the devices of this machine: Attr")
    assert "get_char_device_path" in said
    assert "leave one pad plugged in" in said


@in_namespace
def test_a_library_that_falls_over_a_link_to_nowhere_is_one_line(pi):
    with FifoPad(pi):
        (pi.input / "by-id/usb-Gone-event-joystick").symlink_to("../event9")
        with reading(pi) as reader:
            said = reader.until(lambda line: True)["error"]
    assert said.startswith("PadLost: the library inputs fails on the devices of this machine: File")
    assert "event9" in said
