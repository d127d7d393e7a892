"""Text display of a pad for `--check-pad`: stick, triggers, and what each button does."""

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import path
from car.clock import RealClock
from car.hardware_conf import XboxPadConf
from car.interfaces import Button, Clock, PadState
from car.pad.drivers import MappedPad, open_pad
from car.pad.pad_map import PadMap

WIDTH = 79

_READ_RATE_HZ = 50  # the kernel buffers only a tenth of a second of a pad in motion
_READS_PER_UPDATE = 5
_BAR = 31  # odd, so that a stick has a middle
_UP = "\x1b[{}A"
CLEAR = "\x1b[K"


def draw(state: PadState, controls: PadMap, name: str) -> list[str]:
    """Draw the pad as a fixed number of lines of printable ASCII, none longer than `WIDTH`.

    A button is marked while it is held, and when it was pressed since the previous reading.
    """
    command = state.command
    about = f": {controls.about}" if controls.about else ""
    lines = [
        name,
        f"map {controls.name}{about}",
        f"steering  {controls.steering.name:<20}  [{_draw_position(command.steering)}] "
        f"{_format(command.steering):>5}",
        f"throttle  {controls.throttle.name:<20}  [{_draw_level(command.throttle)}] "
        f"{_format(max(command.throttle, 0.0)):>5}",
        f"brake     {controls.brake.name:<20}  [{_draw_level(-command.throttle)}] "
        f"{_format(max(-command.throttle, 0.0)):>5}",
    ]
    marked = state.held | state.pressed
    for button in Button:
        mark = "*" if button in marked else " "
        lines.append(f"[{mark}] {controls.buttons[button].name:<20}  {button.value}")
    lines.append(f"last event {state.silent_s:.1f} s ago")
    lines.append(f"no driving: {state.fault}" if state.fault else "")
    return [shorten(to_ascii(line)) for line in lines]


def summarize(state: PadState, controls: PadMap) -> str:
    """Summarize the pad in one line of printable ASCII that changes only with the pad."""
    command = state.command
    marked = state.held | state.pressed
    parts = [f"no driving: {state.fault}"] if state.fault else []
    parts.append(f"steering {_format(command.steering)}, throttle {_format(command.throttle)}")
    parts += [
        f"{controls.buttons[button].name}: {button.value}" for button in Button if button in marked
    ]
    return to_ascii("; ".join(parts))


def show_pad(conf: XboxPadConf) -> None:
    """Show the pad on stderr until its button that ends a run is pressed.

    Raises:
        InputError: the pad's map cannot be used.
        PadLost: there is no pad, or it has been missing for too long.
    """
    clock = RealClock()
    with closing(open_pad(conf, clock, conf_file=path.HARDWARE_CONF)) as pad:
        watch(
            pad,
            sys.stderr.write,
            lambda state: Button.STOP_RUN in state.pressed,
            clock,
            on_terminal=sys.stderr.isatty(),
        )


def watch(
    pad: MappedPad,
    write: Callable[[str], object],
    until: Callable[[PadState], bool],
    clock: Clock,
    *,
    on_terminal: bool,
) -> None:
    """Show the pad ten times a second until a reading satisfies `until`.

    A terminal gets a drawing that is updated in place; anything else, a line for each change.

    Raises:
        PadLost: the pad has been missing for too long.
    """
    show = _Drawing(write) if on_terminal else _ChangeLog(write)
    pressed: frozenset[Button] = frozenset()
    moment_s = clock.now()
    over = False
    while not over:
        for _ in range(_READS_PER_UPDATE):
            state = pad.read()
            pressed |= state.pressed
            if over := until(state):
                break
            moment_s = max(moment_s + 1 / _READ_RATE_HZ, clock.now())
            clock.sleep_until(moment_s)
        show(replace(state, pressed=pressed), pad)
        pressed = frozenset()


class _Drawing:
    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._up = ""

    def __call__(self, state: PadState, pad: MappedPad) -> None:
        lines = draw(state, pad.controls, pad.name)
        self._write(self._up + "".join(f"{line}{CLEAR}\n" for line in lines))
        self._up = _UP.format(len(lines))


class _ChangeLog:
    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._previous = ""

    def __call__(self, state: PadState, pad: MappedPad) -> None:
        line = summarize(state, pad.controls)
        if line != self._previous:
            self._write(f"{line}\n")
        self._previous = line


def _draw_position(value: float) -> str:
    """Draw a bar with a mark at -1..1."""
    middle = _BAR // 2
    bar = ["."] * _BAR
    bar[middle] = "|"
    bar[middle + round(value * middle)] = "#"
    return "".join(bar)


def _draw_level(value: float) -> str:
    """Draw a bar that is as full as the trigger is pulled; any pull at all shows."""
    full = max(round(value * _BAR), int(value > 0))
    return "#" * full + "." * (_BAR - full)


def _format(value: float) -> str:
    return f"{value + 0.0:.2f}"  # turns -0.0 into 0.0


def to_ascii(line: str) -> str:
    """Replace what is not printable ASCII."""
    return "".join(sign if " " <= sign <= "~" else "?" for sign in line)


def shorten(line: str) -> str:
    """Shorten a line to `WIDTH`."""
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
