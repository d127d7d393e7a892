"""Events of a pad become steering, throttle, presses, and the time since the last event."""

import os

import pytest

from car.drive import DriveLimits, State, decide
from car.interfaces import NEUTRAL, Button, Command
from car.pad.xbox_pad import apply_dead_zone
from tests.pad.helpers import INPUTS, UNKNOWN_EVENTS
from tests.pi.pad import ABS, CODES, EVENT, KEY, KINDS, SYN, SYN_DROPPED, FifoPad


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("xpad", "xpad"),
        ("xpad_360", "xpad"),
        ("xpadneo", "xpadneo"),
        ("stock_bluetooth", "stock_bluetooth"),
    ],
)
def test_the_map_is_that_of_the_driver_and_both_ends_are_reached(pi, open_pad, library, kind, name):
    with FifoPad(pi, kind) as fake_pad:
        pad = open_pad()
        assert pad.map_name == name
        assert pad.describe() == (
            f"{KINDS[kind].name} at {pi.input}/event7, map {name}, read by {library}"
        )
        for steering in (-1.0, 1.0):
            fake_pad.steer(steering)
            fake_pad.throttle(1.0)
            assert pad.read().command == Command(steering, 1.0)
        fake_pad.brake(1.0)
        assert pad.read().command == Command(1.0, -1.0)
        fake_pad.brake(0.0)
        fake_pad.throttle(0.5)
        fake_pad.steer(0.0)
        state = pad.read()
        assert state.command.throttle == pytest.approx(0.5, abs=3e-3)
        lowest, highest = KINDS[kind].stick
        half_a_step = 1 / (highest - lowest)  # a stick rests between two values
        assert state.command.steering == pytest.approx(0.0, abs=1.001 * half_a_step)
        assert state.fault == ""


@pytest.mark.parametrize("kind", KINDS)
def test_each_button_is_the_one_with_that_print(pi, open_pad, kind):
    buttons = {
        "A": Button.STOP_RUN,
        "B": Button.EMERGENCY_STOP,
        "X": Button.ERASE,
        "Y": Button.PAUSE,
        "LB": Button.DEAD_MAN,
        "Menu": Button.ARM,
    }
    with FifoPad(pi, kind) as fake_pad:
        pad = open_pad()
        for printed, button in buttons.items():
            fake_pad.press(printed)
            assert pad.read().pressed == {button}
            fake_pad.release(printed)
        fake_pad.tap("RB")
        fake_pad.tap("View")
        assert pad.read().pressed == set()


def test_each_axis_is_neutral_until_its_first_event(open_pad, fake_pad):
    pad = open_pad()
    assert pad.read().command == NEUTRAL
    fake_pad.throttle(1.0)
    assert pad.read().command == Command(0.0, 1.0)
    fake_pad.steer(1.0)
    assert pad.read().command == Command(1.0, 1.0)


def test_the_brake_wins_over_the_throttle(open_pad, fake_pad):
    pad = open_pad()
    fake_pad.brake(0.25)
    fake_pad.throttle(1.0)
    assert pad.read().command.throttle == pytest.approx(-0.25, abs=1e-3)
    fake_pad.brake(0.0)
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


def test_the_dead_zone_holds_for_the_stick_and_both_triggers(open_pad, fake_pad):
    pad = open_pad(dead_zone=0.1)
    fake_pad.steer(-0.09)
    fake_pad.throttle(0.5)
    fake_pad.brake(0.09)
    state = pad.read()
    assert state.command.steering == 0.0
    assert state.command.throttle == pytest.approx(0.4 / 0.9, abs=1e-3)


def test_a_press_counts_once_however_long_it_is_held(open_pad, fake_pad):
    pad = open_pad()
    fake_pad.press("Y")
    first = pad.read()
    fake_pad.send((KEY, CODES["BTN_WEST"], 2))  # a key that is held repeats itself
    second, third = pad.read(), pad.read()
    assert [state.pressed for state in (first, second, third)] == [{Button.PAUSE}, set(), set()]
    assert [state.held for state in (first, second, third)] == [{Button.PAUSE}] * 3
    fake_pad.release("Y")
    assert pad.read().held == set()
    fake_pad.press("Y")
    assert pad.read().pressed == {Button.PAUSE}


def test_presses_between_two_readings_count_after_their_release(open_pad, fake_pad):
    pad = open_pad()
    fake_pad.tap("Y")
    fake_pad.tap("B")
    fake_pad.press("LB")
    state = pad.read()
    assert state.pressed == {Button.PAUSE, Button.EMERGENCY_STOP, Button.DEAD_MAN}
    assert state.held == {Button.DEAD_MAN}
    assert pad.read().pressed == set()


@pytest.mark.parametrize("event", UNKNOWN_EVENTS, ids=str)
def test_events_that_the_library_does_not_know_are_skipped(open_pad, fake_pad, event):
    pad = open_pad()
    code = fake_pad.kind.gas
    fake_pad.send((ABS, CODES["ABS_X"], 32767), event, (ABS, CODES[code], 1023))
    assert pad.read().command == Command(1.0, 1.0)


@pytest.mark.parametrize("event", [*UNKNOWN_EVENTS, (ABS, CODES["ABS_RY"], 9), (4, 4, 9)], ids=str)
def test_any_event_resets_silent_s(open_pad, fake_pad, clock, event):
    pad = open_pad()
    clock.sleep_until(2.5)
    assert pad.read().silent_s == 2.5
    fake_pad.send(event)
    clock.sleep_until(3.0)
    assert pad.read().silent_s == 0.0
    clock.sleep_until(4.0)
    assert pad.read().silent_s == 1.0


@INPUTS  # of a FIFO: the kernel gives whole events only
def test_an_event_that_arrives_in_two_parts_counts_when_it_is_complete(open_pad, fake_pad):
    pad = open_pad()
    event = EVENT.pack(0, 0, ABS, CODES["ABS_RZ"], 1023)
    writer = os.open(fake_pad.node, os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(writer, event[:10])
        assert pad.read().command == NEUTRAL
        os.write(writer, event[10:])
        assert pad.read().command == Command(0.0, 1.0)
    finally:
        os.close(writer)


def test_a_flood_of_events_is_read_in_batches_and_none_is_lost(open_pad, fake_pad):
    pad = open_pad()
    for value in range(1000):
        fake_pad.axis("ABS_RZ", value)  # and a SYN_REPORT
    fake_pad.tap("B")
    readings = [pad.read() for _ in range(8)]
    assert readings[0].command.throttle == pytest.approx(127 / 1023)
    assert readings[-1].command.throttle == pytest.approx(999 / 1023)
    assert readings[-1].pressed == {Button.EMERGENCY_STOP}


def test_any_number_of_presses_can_be_discarded_and_held_buttons_stay_held(open_pad, fake_pad):
    pad = open_pad()
    for _ in range(300):
        fake_pad.tap("Y")
    fake_pad.press("Menu")
    fake_pad.throttle(1.0)
    pad.discard_presses()
    state = pad.read()
    assert (state.pressed, state.held) == (set(), {Button.ARM})
    assert state.command.throttle == 1.0
    fake_pad.tap("Y")
    assert pad.read().pressed == {Button.PAUSE}


def test_after_lost_events_each_axis_is_neutral_until_its_next_event(open_pad, fake_pad):
    pad = open_pad()
    fake_pad.throttle(1.0)
    fake_pad.steer(1.0)
    fake_pad.press("LB")
    assert pad.read().held == {Button.DEAD_MAN}
    fake_pad.send((SYN, SYN_DROPPED, 0), (ABS, CODES["ABS_X"], -32768))
    state = pad.read()
    assert (state.command, state.held, state.pressed) == (Command(-1.0, 0.0), set(), set())


def test_the_last_event_is_never_lost(open_pad, fake_pad):
    """As in the kernel: when the buffer is full, unread events are dropped for the new one."""
    pad = open_pad()
    group = EVENT.pack(0, 0, ABS, CODES["ABS_RX"], 1) + EVENT.pack(0, 0, SYN, 0, 0)
    with fake_pad.node.open("ab", buffering=0) as node:
        os.set_blocking(node.fileno(), False)
        while node.write(group):  # until it is full
            pass
    fake_pad.throttle(1.0)
    states = [pad.read() for _ in range(100)]
    assert states[-1].command.throttle == 1.0


def test_after_lost_events_a_device_that_answers_is_queried(open_pad, fake_pad, device):
    device.axes = {"ABS_X": (0, -32768, 32767), "ABS_RZ": (0, 0, 1023), "ABS_Z": (99, 0, 1023)}
    pad = open_pad()
    fake_pad.throttle(0.2)
    fake_pad.press("LB")
    pad.read()
    device.set_axis("ABS_RZ", 1023, 0, 1023)
    device.down = {"BTN_EAST"}
    fake_pad.send((SYN, SYN_DROPPED, 0))
    state = pad.read()
    assert state.command == Command(0.0, 1.0)  # the brake has had no event yet
    assert (state.pressed, state.held) == ({Button.EMERGENCY_STOP}, {Button.EMERGENCY_STOP})


def arms(pad, fake_pad):
    """Return whether a tap on Menu arms the car."""
    fake_pad.tap("Menu")
    return decide(State(), pad.read(), DriveLimits(0.5)).state.armed


@pytest.mark.parametrize("code", ["ABS_RZ", "ABS_Z"])
def test_a_trigger_that_was_pulled_before_the_pad_was_opened_is_not_at_rest(
    open_pad, fake_pad, device, code
):
    """It has no event until it moves; the device knows its position."""
    device.set_axis(code, 1023, 0, 1023)
    pad = open_pad()
    assert not arms(pad, fake_pad)
    assert pad.read().command == NEUTRAL
    fake_pad.axis(code, 1022)
    assert not arms(pad, fake_pad)
    fake_pad.axis(code, 0)
    assert arms(pad, fake_pad)


def test_a_trigger_at_rest_needs_no_event(open_pad, fake_pad, device):
    device.axes = {"ABS_RZ": (0, 0, 1023), "ABS_Z": (20, 0, 1023)}
    assert arms(open_pad(dead_zone=0.0), fake_pad)


def test_after_lost_events_a_trigger_without_events_may_have_moved(open_pad, fake_pad, device):
    device.axes = {"ABS_RZ": (1023, 0, 1023)}
    pad = open_pad()
    device.axes = {"ABS_RZ": (0, 0, 1023)}
    fake_pad.send((SYN, SYN_DROPPED, 0))
    pad.read()
    assert arms(pad, fake_pad)
    device.axes = {"ABS_RZ": (1023, 0, 1023)}
    fake_pad.send((SYN, SYN_DROPPED, 0))
    pad.read()
    assert not arms(pad, fake_pad)
