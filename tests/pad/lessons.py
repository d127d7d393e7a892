"""Lessons that a thumb gives: `car.pad.learning.Dialog` on a fake pad, in virtual time."""

import re
from collections.abc import Iterator
from itertools import pairwise

from car.clock import VirtualClock
from car.pad import connection
from car.pad.devices import Folders
from car.pad.learning import Dialog
from car.pad.lesson import Lesson
from tests.pi.pad import BLUETOOTH, CODES, USB, Kind

# In readings: how long all controls rest at the start, and one after its release; a held control.
CALM, SETTLE, HOLD = 50, 30, 200
XBOX_BUTTONS = ["BTN_START", "BTN_SOUTH", "BTN_EAST", "BTN_NORTH", "BTN_WEST", "BTN_TL"]

_TWO_STICKS = "ABS_X ABS_Y ABS_Z ABS_RX ABS_RY ABS_RZ ABS_HAT0X ABS_HAT0Y"
_BUTTONS = (
    "BTN_SOUTH BTN_EAST BTN_NORTH BTN_WEST BTN_TL BTN_TR BTN_TL2 BTN_TR2 BTN_SELECT BTN_START "
    "BTN_MODE BTN_THUMBL BTN_THUMBR"
)
PADS = {
    "8 bits": Kind(
        "Sony Computer Entertainment Wireless Controller", USB, "sony", _TWO_STICKS, _BUTTONS,
        (0, 255), "ABS_RZ", "ABS_Z", 255,
    ),
    "10 bits": Kind(
        "8BitDo Pro 2", BLUETOOTH, "hid-generic", _TWO_STICKS, _BUTTONS,
        (0, 1023), "ABS_RZ", "ABS_Z", 1023,
    ),
    "16 bits": Kind(
        "Xbox Wireless Controller", BLUETOOTH, "microsoft",
        "ABS_X ABS_Y ABS_Z ABS_RZ ABS_GAS ABS_BRAKE ABS_HAT0X ABS_HAT0Y", _BUTTONS,
        (0, 65535), "ABS_GAS", "ABS_BRAKE", 1023, "ABS_X ABS_Y ABS_Z ABS_RZ",
    ),
    "signed": Kind(
        "Microsoft X-Box One S pad", USB, "xpad", _TWO_STICKS, _BUTTONS,
        (-32768, 32767), "ABS_RZ", "ABS_Z", 1023,
    ),
    "joystick": Kind(
        "DragonRise Inc. Generic USB Joystick", USB, "hid-generic",
        "ABS_X ABS_Y ABS_Z ABS_RZ ABS_GAS ABS_BRAKE ABS_HAT0X ABS_HAT0Y",
        "BTN_TRIGGER BTN_THUMB BTN_THUMB2 BTN_TOP BTN_TOP2 BTN_PINKIE BTN_BASE BTN_BASE2",
        (0, 255), "ABS_GAS", "ABS_BRAKE", 255, "ABS_X ABS_Y ABS_Z ABS_RZ",
    ),
}  # fmt: skip


class StillAsking(AssertionError):
    """The script is over, and the lesson is not."""


class Thumb(VirtualClock):
    """Thumb on a pad that follows a script, a step for each reading."""

    def __init__(self, script: Iterator[object]) -> None:
        super().__init__()
        self._script = script

    def sleep_until(self, moment: float) -> None:
        super().sleep_until(moment)
        try:
            next(self._script)
        except StopIteration:
            raise StillAsking from None


def wait(readings: int = SETTLE) -> Iterator[object]:
    """Do nothing."""
    yield from range(readings)


def move(pad, code: str, *values: int, steps: int = 6) -> Iterator[object]:
    """Move an axis through these values, beginning at the first one."""
    for start, end in pairwise(values):
        for step in range(1, steps + 1):
            pad.axis(code, round(start + (end - start) * step / steps))
            yield
    yield from wait()


def push(pad, code: str, share: float = 1.0) -> Iterator[object]:
    """Push an axis from its rest to a share of the way to its end, -1 or 1, and let it go."""
    rest, low, high = pad.ranges[code]
    end = round(rest + share * ((high - rest) if share > 0 else (rest - low)))
    yield from move(pad, code, rest, end, rest)


def tap(pad, *buttons: str, readings: int = 5) -> Iterator[object]:
    """Press buttons together and let them go."""
    for button in buttons:
        pad.press(button)
    yield from wait(readings)
    for button in buttons:
        pad.release(button)
    yield from wait()


def steering(pad, code: str = "ABS_X", left: float = -1.0) -> Iterator[object]:
    """Show the steering."""
    yield from push(pad, code, left)
    yield from push(pad, code, -left)


def triggers(pad) -> Iterator[object]:
    """Show throttle and brake."""
    yield from push(pad, pad.kind.gas)
    yield from push(pad, pad.kind.brake)


def keys(pad, buttons) -> Iterator[object]:
    """Show the buttons one by one."""
    for button in buttons:
        yield from tap(pad, button)


def whole(pad, buttons=XBOX_BUTTONS) -> Iterator[object]:
    """Show all controls without a fault."""
    yield from wait(CALM)
    yield from steering(pad)
    yield from triggers(pad)
    yield from keys(pad, buttons)


def learn(pi, library: str, script: Iterator[object], *, dead_zone: float = 0.06):
    """Give a lesson; return it and the lines that stayed on the terminal."""
    found = connection.open_first(connection.load_library(library), Folders(pi.sys_input, pi.input))
    written: list[str] = []
    try:
        lesson = Lesson(found.device.name, dead_zone=dead_zone)
        Dialog(found, lesson, Thumb(script), written.append).run()
    except StillAsking:
        raise AssertionError("\n".join(["still asking:", *lines("".join(written))])) from None
    finally:
        found.opened.close()
    return lesson, lines("".join(written))


def lines(output: str) -> list[str]:
    """Return the lines as a terminal shows them in the end."""
    shown = output.split("\n")
    return [re.sub(r"\x1b\[K", "", line.rpartition("\r")[2]) for line in shown]


def printed(output: list[str]) -> str:
    """Return the lines as one, with single spaces."""
    return " ".join(" ".join(output).split())


assert set(XBOX_BUTTONS) <= set(CODES)
