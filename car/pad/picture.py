"""The pad as a few lines of text: where the thumbs are, and what each button does."""

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Protocol

import path
from car import hardware_conf
from car.clock import RealClock
from car.interfaces import Button, Clock, Pad, PadState
from car.pad.pad_map import PadMap
from car.pad.xbox_pad import XboxPad

WIDTH = 79

_READS_HZ = 50  # the kernel keeps no more of a moving pad than a tenth of a second
_READS_A_PICTURE = 5
_BAR = 31  # odd: a wheel has a middle
_UP = "\x1b[{}A"
_CLEAR = "\x1b[K"


class ShownPad(Pad, Protocol):
    """A pad that can say who it is."""

    @property
    def name(self) -> str:
        """The pad's own name."""

    @property
    def controls(self) -> PadMap:
        """The map in use."""


def picture(state: PadState, controls: PadMap, name: str) -> list[str]:
    """The pad in lines of printable ASCII, always as many, none longer than `WIDTH`.

    A button is lit while it is held, and when it was pressed since the last reading.
    """
    command = state.command
    about = f": {controls.about}" if controls.about else ""
    lines = [
        name,
        f"map {controls.name}{about}",
        f"steering  {controls.steering.name:<20}  [{_wheel(command.steering)}] "
        f"{_number(command.steering):>5}",
        f"throttle  {controls.throttle.name:<20}  [{_level(command.throttle)}] "
        f"{_number(max(command.throttle, 0.0)):>5}",
        f"brake     {controls.brake.name:<20}  [{_level(-command.throttle)}] "
        f"{_number(max(-command.throttle, 0.0)):>5}",
    ]
    lit = state.held | state.pressed
    for button in Button:
        mark = "*" if button in lit else " "
        lines.append(f"[{mark}] {controls.buttons[button].name:<20}  {button.value}")
    lines.append(f"last event {state.silent_s:.1f} s ago")
    lines.append(f"no driving: {state.fault}" if state.fault else "")
    return [_fitting(_plain(line)) for line in lines]


def change(state: PadState, controls: PadMap) -> str:
    """The state in one line of printable ASCII, which stays the same while the pad does."""
    command = state.command
    lit = state.held | state.pressed
    parts = [f"no driving: {state.fault}"] if state.fault else []
    parts.append(f"steering {_number(command.steering)}, throttle {_number(command.throttle)}")
    parts += [f"{controls.buttons[one].name}: {one.value}" for one in Button if one in lit]
    return _plain("; ".join(parts))


def check(conf: hardware_conf.Pad) -> None:
    """What each control of the pad does was shown, until the one that ends a run was pressed.

    Raises: InputError, PadLost.
    """
    clock = RealClock()
    with closing(XboxPad(conf, clock, conf_file=path.HARDWARE_CONF)) as pad:
        watch(
            pad,
            sys.stderr.write,
            lambda state: Button.STOP_RUN in state.pressed,
            clock,
            on_terminal=sys.stderr.isatty(),
        )


def watch(
    pad: ShownPad,
    write: Callable[[str], object],
    until: Callable[[PadState], bool],
    clock: Clock,
    *,
    on_terminal: bool,
) -> None:
    """The pad was shown until `until` said true of a reading, or an exception came.

    On a terminal as a picture that is drawn ten times a second in its place, elsewhere as a line
    whenever something has changed, ten a second at most. Raises: PadLost.
    """
    show = _Picture(write) if on_terminal else _Changes(write)
    pressed: frozenset[Button] = frozenset()
    moment_s = clock.now()
    over = False
    while not over:
        for _ in range(_READS_A_PICTURE):
            state = pad.read()
            pressed |= state.pressed
            if over := until(state):
                break
            moment_s = max(moment_s + 1 / _READS_HZ, clock.now())
            clock.sleep_until(moment_s)
        show(replace(state, pressed=pressed), pad)
        pressed = frozenset()


class _Picture:
    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._up = ""

    def __call__(self, state: PadState, pad: ShownPad) -> None:
        lines = picture(state, pad.controls, pad.name)
        self._write(self._up + "".join(f"{line}{_CLEAR}\n" for line in lines))
        self._up = _UP.format(len(lines))


class _Changes:
    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._before = ""

    def __call__(self, state: PadState, pad: ShownPad) -> None:
        line = change(state, pad.controls)
        if line != self._before:
            self._write(f"{line}\n")
        self._before = line


def _wheel(value: float) -> str:
    """A bar with a mark where the wheel is."""
    middle = _BAR // 2
    bar = ["."] * _BAR
    bar[middle] = "|"
    bar[middle + round(value * middle)] = "#"
    return "".join(bar)


def _level(value: float) -> str:
    """A bar as full as the trigger is pressed; something shows as soon as it counts."""
    full = max(round(value * _BAR), int(value > 0))
    return "#" * full + "." * (_BAR - full)


def _number(value: float) -> str:
    return f"{value + 0.0:.2f}"


def _plain(line: str) -> str:
    """The line as any terminal shows it."""
    return "".join(sign if " " <= sign <= "~" else "?" for sign in line)


def _fitting(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
