"""The picture of a pad: what it shows, and how it is shown."""

import re
from dataclasses import replace

import pytest

from car.clock import VirtualClock
from car.interfaces import NEUTRAL, Button, Command, PadState
from car.pad import pad_map
from car.pad.display import WIDTH, draw, summarize, watch
from common.errors import PadLost

XPAD = pad_map.read_built_in("xpad")


def lines(state, controls=XPAD, name="Xbox pad at /dev/input/event7"):
    return draw(state, controls, name)


def test_the_picture_of_a_pad_that_is_driven_with():
    state = PadState(
        Command(-1.0, 0.5), frozenset({Button.ARM}), frozenset({Button.DEAD_MAN}), 1.26
    )
    assert lines(state) == [
        "Xbox pad at /dev/input/event7",
        "map xpad: Xbox pad by cable or dongle, driver xpad",
        "steering  left stick            [#..............|...............] -1.00",
        "throttle  right trigger         [################...............]  0.50",
        "brake     left trigger          [...............................]  0.00",
        "[*] Menu                  arm",
        "[ ] A                     stop the run",
        "[ ] B                     emergency stop",
        "[ ] Y                     pause or resume recording",
        "[ ] X                     erase the last seconds",
        "[*] LB                    hold to drive",
        "last event 1.3 s ago",
        "",
    ]


@pytest.mark.parametrize(
    ("command", "row", "shown"),
    [
        (NEUTRAL, 2, "[...............#...............]  0.00"),
        (Command(1.0, 0.0), 2, "[...............|..............#]  1.00"),
        (Command(0.2, 0.0), 2, "[...............|..#............]  0.20"),
        (Command(0.0, 1.0), 3, "[###############################]  1.00"),
        (Command(0.0, 0.001), 3, "[#..............................]  0.00"),
        (Command(0.0, -1.0), 3, "[...............................]  0.00"),
        (Command(0.0, -1.0), 4, "[###############################]  1.00"),
        (Command(0.0, 1.0), 4, "[...............................]  0.00"),
        (Command(-0.0, -0.0), 2, "[...............#...............]  0.00"),
    ],
    ids=str,
)
def test_bars_reach_from_end_to_end(command, row, shown):
    assert lines(PadState(command))[row].endswith(shown)


@pytest.mark.parametrize("how", ["pressed", "held"])
@pytest.mark.parametrize("button", Button)
def test_each_button_is_lit_alone_beside_what_it_does(button, how):
    lit = [
        line
        for line in lines(replace(PadState(NEUTRAL), **{how: frozenset({button})}))
        if line.startswith("[*]")
    ]
    (line,) = lit
    assert line.split(maxsplit=2)[1:] == [XPAD.buttons[button].name, button.value]


def test_a_pad_that_cannot_drive_says_why():
    state = PadState(NEUTRAL, fault="ABS_RZ is a stick, not a trigger: wrong map")
    assert lines(state)[-1] == "no driving: ABS_RZ is a stick, not a trigger: wrong map"


@pytest.mark.parametrize("about", ["", "é" * 60])
@pytest.mark.parametrize("name", ["", "Manette de Zoé \x1b[2J" * 20])
def test_no_line_is_too_long_or_moves_the_cursor_and_there_are_always_as_many(name, about):
    for state in (PadState(Command(-1, -1), silent_s=1e9, fault="é" * 200), PadState(NEUTRAL)):
        shown = lines(state, replace(XPAD, about=about, name="m" * 70), name)
        assert len(shown) == 13
        assert all(len(line) <= WIDTH < 80 for line in shown)
        assert all(re.fullmatch("[ -~]*", line) for line in shown)


def test_a_line_of_changes_names_what_is_pressed():
    state = PadState(Command(0.5, -0.25), frozenset({Button.ARM, Button.PAUSE}), silent_s=3.0)
    assert summarize(state, XPAD) == (
        "steering 0.50, throttle -0.25; Menu: arm; Y: pause or resume recording"
    )
    gone = PadState(NEUTRAL, fault="the pad is gone")
    assert summarize(gone, XPAD) == "no driving: the pad is gone; steering 0.00, throttle 0.00"


class Thumbs:
    """A pad that says what it is told to, reading by reading, and then is lost."""

    name = "Xbox pad"
    controls = XPAD

    def __init__(self, *states):
        self.states, self.read_at_s, self.clock = list(states), [], VirtualClock()

    def read(self):
        self.read_at_s.append(self.clock.now())
        if not self.states:
            raise PadLost("the pad has been gone for 30 s")
        return self.states.pop(0)

    def close(self):
        raise AssertionError("it is the caller's")

    def watched(self, until=lambda state: False, *, on_terminal):
        written = []
        watch(self, written.append, until, self.clock, on_terminal=on_terminal)
        return written


REST = PadState(NEUTRAL)
A = PadState(NEUTRAL, pressed=frozenset({Button.STOP_RUN}))


def stops(state):
    return Button.STOP_RUN in state.pressed


def test_a_terminal_is_drawn_on_ten_times_a_second_in_one_place():
    pad = Thumbs(*[REST] * 50, A)
    first, *others = pad.watched(stops, on_terminal=True)
    assert first == "".join(f"{line}\x1b[K\n" for line in lines(REST, name=pad.name))
    assert len(others) == 10
    assert all(one.startswith("\x1b[13A") for one in others)
    assert others[-1].endswith("".join(f"{x}\x1b[K\n" for x in lines(A, name=pad.name)))
    assert pad.clock.now() == pytest.approx(1.0)


def test_the_pad_is_read_as_often_as_in_a_drive():
    pad = Thumbs(*[REST] * 50, A)
    pad.watched(stops, on_terminal=True)
    assert pad.read_at_s == pytest.approx([number * 0.02 for number in range(51)])


def test_a_short_press_is_shown_though_it_falls_between_two_pictures():
    press = PadState(NEUTRAL, pressed=frozenset({Button.PAUSE}))
    pictures = Thumbs(REST, press, *[REST] * 13, A).watched(stops, on_terminal=True)
    assert ["[*] Y" in one for one in pictures] == [True, False, False, False]


def test_elsewhere_there_is_a_line_for_each_summarize():
    left = PadState(Command(-1.0, 0.0))
    pad = Thumbs(*[REST] * 10, *[replace(left, silent_s=one) for one in range(10)], A)
    assert pad.watched(stops, on_terminal=False) == [
        "steering 0.00, throttle 0.00\n",
        "steering -1.00, throttle 0.00\n",
        "steering 0.00, throttle 0.00; A: stop the run\n",
    ]


@pytest.mark.parametrize("on_terminal", [True, False])
def test_a_pad_that_stays_away_ends_the_watching(on_terminal):
    with pytest.raises(PadLost, match="30 s"):
        Thumbs(*[REST] * 7).watched(on_terminal=on_terminal)
