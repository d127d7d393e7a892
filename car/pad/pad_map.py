"""Maps of pads, which assign an action to each control: those in `maps/`, or the user's own.

    {"about": "Xbox pad by cable",
     "steering": {"stick": "ABS_X", "name": "left stick", "left": -32768, "right": 32767},
     "throttle": {"trigger": "ABS_RZ", "name": "right trigger", "full": 1023},
     "brake": {"trigger": "ABS_Z", "name": "left trigger", "full": 1023},
     "buttons": {"arm": {"code": "BTN_START", "name": "Menu"}, ...}}

Codes are the kernel's; `name` is what people call the control. Ranges apply only to pads that do
not report their own; `full_by_name` overrides `full` for pads with that text in their name.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta, field

from car.hardware_conf import Conf
from car.interfaces import Button
from common import strict_json, structs
from common.atomic_files import atomic_write, rename_exclusive, temporary_file
from common.errors import InputError, WriteFailed

OWN_NAME = "my_pad.json"
"""Name of a user's own map where `hardware_conf.json` gives none."""

BUILT_IN = Path(__file__).resolve().parent / "maps"
# No trigger has a larger range. Of the sticks only 8-bit ones (0..255, as of a PS4 pad) have one as
# small: a map says so by their very ends.
MAX_TRIGGER = 1023
MAX_ABOUT = 60

AXES = {
    "ABS_X": 0x00,
    "ABS_Y": 0x01,
    "ABS_Z": 0x02,
    "ABS_RX": 0x03,
    "ABS_RY": 0x04,
    "ABS_RZ": 0x05,
    "ABS_THROTTLE": 0x06,
    "ABS_RUDDER": 0x07,
    "ABS_WHEEL": 0x08,
    "ABS_GAS": 0x09,
    "ABS_BRAKE": 0x0A,
}
HATS = {
    f"ABS_HAT{number}{axis}": 0x10 + 2 * number + offset
    for number in range(4)
    for offset, axis in enumerate("XY")
}
"""D-pads that the kernel reports as axes; a map cannot use them."""

BUTTONS = {
    "BTN_TRIGGER": 0x120,
    "BTN_THUMB": 0x121,
    "BTN_THUMB2": 0x122,
    "BTN_TOP": 0x123,
    "BTN_TOP2": 0x124,
    "BTN_PINKIE": 0x125,
    "BTN_BASE": 0x126,
    "BTN_BASE2": 0x127,
    "BTN_BASE3": 0x128,
    "BTN_BASE4": 0x129,
    "BTN_BASE5": 0x12A,
    "BTN_BASE6": 0x12B,
    "BTN_DEAD": 0x12F,
    "BTN_SOUTH": 0x130,
    "BTN_EAST": 0x131,
    "BTN_C": 0x132,
    "BTN_NORTH": 0x133,
    "BTN_WEST": 0x134,
    "BTN_Z": 0x135,
    "BTN_TL": 0x136,
    "BTN_TR": 0x137,
    "BTN_TL2": 0x138,
    "BTN_TR2": 0x139,
    "BTN_SELECT": 0x13A,
    "BTN_START": 0x13B,
    "BTN_MODE": 0x13C,
    "BTN_THUMBL": 0x13D,
    "BTN_THUMBR": 0x13E,
    "BTN_DPAD_UP": 0x220,
    "BTN_DPAD_DOWN": 0x221,
    "BTN_DPAD_LEFT": 0x222,
    "BTN_DPAD_RIGHT": 0x223,
    **{f"BTN_TRIGGER_HAPPY{number}": 0x2BF + number for number in range(1, 41)},
    "KEY_MENU": 139,
    "KEY_BACK": 158,
    "KEY_RECORD": 167,
    "KEY_HOMEPAGE": 172,
}

Name = Annotated[str, Meta(min_length=1, max_length=20)]
Full = Annotated[int, Meta(ge=1, le=MAX_TRIGGER)]
End = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]


class Stick(Conf, frozen=True, kw_only=True):
    """Axis that rests in the middle between `left` and `right`."""

    stick: str
    name: Name
    left: End
    right: End


class Trigger(Conf, frozen=True, kw_only=True):
    """Axis that rests at 0 and reads `full` when it is pulled all the way."""

    trigger: str
    name: Name
    full: Full
    full_by_name: dict[Name, Full] = field(default_factory=dict)

    def full_for(self, device: str) -> int:
        """Return the value of a full pull on the device of that name."""
        fulls = (full for text, full in self.full_by_name.items() if text in device)
        return next(fulls, self.full)


class Key(Conf, frozen=True, kw_only=True):
    """Button."""

    code: str
    name: Name


class _Buttons(Conf, frozen=True, kw_only=True):
    arm: Key
    stop_run: Key
    emergency_stop: Key
    pause: Key
    erase: Key
    dead_man: Key


class _PadMapFile(Conf, frozen=True, kw_only=True):
    about: Annotated[str, Meta(max_length=MAX_ABOUT)] = ""
    steering: Stick
    throttle: Trigger
    brake: Trigger
    buttons: _Buttons


@dataclass(frozen=True, slots=True)
class PadMap:
    """Map of a pad; `name` is that of a built-in map, or of the user's file."""

    name: str
    about: str
    steering: Stick
    throttle: Trigger
    brake: Trigger
    buttons: Mapping[Button, Key]

    @property
    def axes(self) -> tuple[str, str, str]:
        """Codes of the axes for steering, throttle and brake."""
        return self.steering.stick, self.throttle.trigger, self.brake.trigger


def read_built_in(name: str) -> PadMap:
    """Read the map of that name in `maps/`.

    Raises:
        InputError: the map is not as it should be.
    """
    return _read(BUILT_IN / f"{name}.json", name)


def read(file: Path) -> PadMap:
    """Read and check a map file.

    Raises:
        InputError: names the file, the key and the expected value.
    """
    return _read(file, file.name)


def check_writable(file: Path) -> None:
    """Check that a map can be written to this path.

    Raises:
        InputError: the folder is missing or cannot be written, or the file is a built-in map.
    """
    if file.resolve().is_relative_to(BUILT_IN):
        raise InputError(
            f"{file} is a built-in map: give pad.map in hardware_conf.json another name"
        )
    try:
        with temporary_file(file.parent):
            pass
    except OSError as error:
        raise InputError(f"{file.parent} cannot be written: {error.strerror}") from error


def write(file: Path, content: Mapping[str, object], *, replace: bool) -> None:
    """Write a map file, in the form of the built-in ones. Without `replace`, it must be new.

    Raises:
        InputError: the content is no map, or the file is a link; nothing was written.
        WriteFailed: it cannot be written, or has appeared meanwhile.
    """
    _check(content, str(file), file.name)
    text = _format(content).encode()
    if replace:
        with atomic_write(file) as target:
            target.write(text)
        return
    try:
        with temporary_file(file.parent) as new:
            new.write(text)
            new.flush()
            rename_exclusive(Path(new.name), file)
    except FileExistsError as error:
        raise WriteFailed(
            f"{file} has appeared meanwhile, and is untouched: move it away"
        ) from error
    except OSError as error:
        raise WriteFailed(f"{file} cannot be written: {error.strerror}") from error


def _format(content: Mapping[str, object]) -> str:
    """Format a map with one control a line."""
    *parts, (last, buttons) = content.items()
    assert isinstance(buttons, Mapping)
    lines = [f"  {_pair(*part)}," for part in parts]
    keys = ",\n".join(f"    {_pair(*button)}" for button in buttons.items())
    return "\n".join(["{", *lines, f"  {json.dumps(last)}: {{", keys, "  }", "}", ""])


def _pair(key: str, value: object) -> str:
    return f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"


def is_trigger_range(minimum: int, maximum: int) -> bool:
    """Return whether an axis of this range can be a trigger."""
    return minimum >= 0 and maximum <= MAX_TRIGGER


def _read(file: Path, name: str) -> PadMap:
    return _check(strict_json.read(file), str(file), name)


def _check(content: object, source: str, name: str) -> PadMap:
    """Return the map with this content, which `source` names in messages. Raises InputError."""
    try:
        checked = structs.convert(content, _PadMapFile)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    keys = {button: getattr(checked.buttons, button.name.lower()) for button in Button}
    controls = PadMap(name, checked.about, checked.steering, checked.throttle, checked.brake, keys)
    for key, reason in _contradictions(controls):
        raise InputError(f"{source}: {key}: {reason}")
    return controls


def _contradictions(controls: PadMap) -> Iterator[tuple[str, str]]:
    """Yield the key and the reason of each value that types and ranges do not rule out."""
    keys = ("steering.stick", "throttle.trigger", "brake.trigger")
    yield from _check_codes(dict(zip(keys, controls.axes, strict=True)), AXES, "an axis")
    codes = {
        f"buttons.{button.name.lower()}.code": key.code for button, key in controls.buttons.items()
    }
    yield from _check_codes(codes, BUTTONS, "a button")
    if abs(controls.steering.right - controls.steering.left) < 2:
        yield "steering.right", "must differ from left, with a middle between them"


def _check_codes(
    codes: dict[str, str], known: dict[str, int], kind: str
) -> Iterator[tuple[str, str]]:
    used: dict[str, str] = {}
    for key, code in codes.items():
        if code not in known:
            yield key, f"{code} is not {kind}; use one of {_list(known)}"
        if code in used:
            yield key, f"{code} is already used by {used[code]}"
        used[code] = key


def _list(codes: Mapping[str, int]) -> str:
    """List the codes, the long row of numbered ones by its ends."""
    shown = [code for code in codes if not code.startswith("BTN_TRIGGER_HAPPY")]
    numbered = ["BTN_TRIGGER_HAPPY1 to 40"] if len(shown) < len(codes) else []
    return ", ".join(shown + numbered)
