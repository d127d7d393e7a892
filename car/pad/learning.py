"""Dialog of `--check-pad --learn`, in which the controls of a pad become a map on a terminal."""

import sys
import textwrap
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from car.clock import RealClock
from car.hardware_conf import XboxPadConf
from car.interfaces import Clock
from car.pad import connection, pad_map
from car.pad.connection import Connection
from car.pad.devices import SYN_DROPPED, AxisInfo, Event, Folders
from car.pad.display import CLEAR, WIDTH, shorten, to_ascii
from car.pad.lesson import Lesson, Refused, check_usable
from car.pad.pad_map import AXES, BUTTONS, HATS
from car.pad.presses import Press, PressRecorder
from common.errors import NotReady, PadLost

_READ_RATE_HZ = 50
_MAX_EVENTS = 256
_CALM_S = 0.7
_RESTLESS_S = 6.0  # axes that still move then are left out
_INDENT = " " * 7


def learn_map(conf: XboxPadConf, file: Path, *, replace: bool) -> str:
    """Ask for the controls of the first pad on stderr, and write their map.

    Return what to set in `hardware_conf.json` for this pad; "" for nothing.

    Raises:
        PadLost: there is no pad, or it was unplugged; nothing was written.
        NotReady: no map can be made for it.
        WriteFailed: the file cannot be written.
    """
    library = connection.load_library(conf.library)
    found = connection.open_first(library, Folders())
    with closing(found.opened):
        write_line(f"{found.name}, read by {library.name}", sys.stderr.write)
        lesson = Lesson(found.device.name, dead_zone=conf.dead_zone)
        Dialog(found, lesson, RealClock(), sys.stderr.write).run()
    pad_map.write(file, lesson.content(), replace=replace)
    return lesson.advice


class Dialog:
    """Questions and answers about a pad that is open."""

    def __init__(
        self, found: Connection, lesson: Lesson, clock: Clock, write: Callable[[str], object]
    ) -> None:
        """Ask the device for its axes.

        Raises:
            NotReady: it does not have or does not report what a map needs.
        """
        self._found, self._lesson, self._clock, self._write = found, lesson, clock, write
        self._shown = ""
        device = found.device
        known = {code: number for code, number in (AXES | HATS).items() if number in device.axes}
        answers = {code: found.opened.read_axis(number) for code, number in known.items()}
        self._axes = {code: info for code, info in answers.items() if info}
        self._keys = {code: number for code, number in BUTTONS.items() if number in device.keys}
        if reason := check_usable(self._axes, device.keys):
            raise NotReady(f"no map can be made for {found.name}: {reason}")
        self._recorder = PressRecorder(self._axes, self._read_down(), clock.now())

    def run(self) -> None:
        """Ask until all questions are answered.

        Raises:
            PadLost: the pad was unplugged.
        """
        self._print("Move only the control that is asked for, all the way, and let it go again.")
        self._print("Ctrl-C ends this, and nothing is written. Leave all controls alone now.")
        self._settle()
        lesson = self._lesson
        while not lesson.is_over:
            self._print(f"{lesson.number:>2}/{lesson.count}  {lesson.question}")
            self._answer()

    def _settle(self) -> None:
        """Wait until no control moves; leave out the axes that never rest."""
        recorder, began_s = self._recorder, self._clock.now()
        while recorder.down or recorder.still_s(self._clock.now()) < _CALM_S:
            self._read()
            now_s = self._clock.now()
            if now_s - began_s < _RESTLESS_S / 2:
                continue
            moving = recorder.restless(now_s, _CALM_S)
            self._show("let go of " + " and ".join(sorted(moving | recorder.down)))
            if moving and now_s - began_s >= _RESTLESS_S:
                recorder.leave_out(moving)
                self._print(f"{_INDENT}left out, as it does not rest: {', '.join(sorted(moving))}")
        self._show("")
        recorder.restart(self._clock.now())

    def _answer(self) -> None:
        """Wait for a press, and print what was understood or why it is no answer."""
        press = self._wait_for_press()
        try:
            understood = self._lesson.answer(press)
        except Refused as reason:
            understood = f"no: {reason}"
        for line in textwrap.wrap(understood, WIDTH - len(_INDENT)):
            self._print(_INDENT + line)

    def _wait_for_press(self) -> Press:
        """Show what moves until a press is over. Raises PadLost."""
        while not (press := self._read()):
            active = ", ".join(
                code if code in BUTTONS else f"{code} {value}"
                for code, value in self._recorder.active.items()
            )
            held = self._recorder.is_held(self._clock.now())
            self._show(f"{active}: let go" if active and held else active)
        return press

    def _read(self) -> Press | None:
        """Take the events of the next fiftieth of a second. Raises PadLost."""
        self._clock.sleep_until(self._clock.now() + 1 / _READ_RATE_HZ)
        opened = self._found.opened
        try:
            events = opened.read(_MAX_EVENTS)
            opened.check()
        except OSError as error:
            self._write("\n")
            raise PadLost(
                f"{self._found.name} was unplugged; nothing was written: plug it in and start again"
            ) from error
        if any(event.code == SYN_DROPPED for event in events):
            events = self._current()
        return self._recorder.update(events, self._clock.now())

    def _current(self) -> Sequence[Event]:
        """Return the state of the device as events, after the kernel has dropped some."""
        down = self._read_down()
        axes: list[tuple[str, AxisInfo | None]] = [
            (code, self._found.opened.read_axis((AXES | HATS)[code])) for code in self._axes
        ]
        return [Event(code, info.value) for code, info in axes if info] + [
            Event(code, int(code in down)) for code in sorted(down | self._recorder.down)
        ]

    def _read_down(self) -> frozenset[str]:
        down = self._found.opened.read_keys_down()
        return frozenset(code for code, number in self._keys.items() if number in down)

    def _show(self, line: str) -> None:
        """Show a line that the next one replaces."""
        if line != self._shown:
            self._write(f"\r{shorten(_INDENT + to_ascii(line)) if line else ''}{CLEAR}")
        self._shown = line

    def _print(self, line: str) -> None:
        write_line(line, self._write)
        self._shown = ""


def write_line(line: str, write: Callable[[str], object]) -> None:
    """Write a line of printable ASCII, none longer than `WIDTH`."""
    write(f"\r{shorten(to_ascii(line))}{CLEAR}\n")
