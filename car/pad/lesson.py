"""Lesson in which a pad's controls are shown one by one, and become a map.

Each press is judged by what the toolkit can drive with: a stick that rests in the middle, triggers
that rest at 0, and buttons that are nothing else. What is ambiguous is refused with its reason.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from car.interfaces import Button
from car.pad.pad_map import AXES, BUTTONS, HATS, MAX_ABOUT, MAX_TRIGGER, is_trigger_range
from car.pad.presses import AT_REST, Motion, Press

FULL = 0.8  # of the way to its end: worn sticks do not reach it
TOGETHER = 0.5  # of the way to its end: a second axis that goes so far was moved as well
OFF_CENTRE = 0.25  # of half its range: farther from its middle, a stick is broken

_XBOX_BUTTONS = {
    Button.ARM: "Menu",
    Button.STOP_RUN: "A",
    Button.EMERGENCY_STOP: "B",
    Button.ERASE: "X",
    Button.PAUSE: "Y",
    Button.DEAD_MAN: "LB",
}
_XBOX_NAMES = {
    "ABS_RX": "right stick",
    "ABS_Z": "left trigger",
    "ABS_RZ": "right trigger",
    "ABS_BRAKE": "left trigger",
    "ABS_GAS": "right trigger",
    "BTN_SOUTH": "A",
    "BTN_EAST": "B",
    "BTN_NORTH": "X",
    "BTN_WEST": "Y",
    "BTN_TL": "LB",
    "BTN_TR": "RB",
    "BTN_SELECT": "View",
    "BTN_START": "Menu",
}


class Refused(Exception):
    """A press that does not answer the question, with the reason."""


@dataclass(frozen=True, slots=True)
class _Question:
    text: str
    answer: Callable[[Press], str]


class Lesson:
    """Questions for the controls of a map, and the map that their answers make."""

    def __init__(self, pad: str, *, dead_zone: float) -> None:
        """`pad` is the name of the pad, `dead_zone` that of `hardware_conf.json`."""
        self._pad = pad
        self._dead_zone = dead_zone
        self._names = _XBOX_NAMES if "xbox" in pad.lower().replace("-", "") else {}
        self._used: dict[str, str] = {}
        self._clicks: dict[str, frozenset[str]] = {}
        self._controls: dict[str, dict[str, object]] = {}
        self._keys: dict[Button, dict[str, object]] = {}
        self._rest_offset = 0.0
        self._questions = [
            _Question("steering: push a stick all the way to the left", self._answer_left),
            _Question("steering: the same stick all the way to the right", self._answer_right),
            _Question(
                "throttle: pull a trigger all the way (RT on an Xbox pad)",
                partial(self._answer_trigger, "throttle"),
            ),
            _Question(
                "brake: pull the other trigger all the way (LT on an Xbox pad)",
                partial(self._answer_trigger, "brake"),
            ),
            *(
                _Question(
                    f"{button.value}: press a button ({xbox} on an Xbox pad)",
                    partial(self._answer_button, button),
                )
                for button, xbox in _XBOX_BUTTONS.items()
            ),
        ]
        self._asked = 0

    @property
    def count(self) -> int:
        """Number of questions."""
        return len(self._questions)

    @property
    def number(self) -> int:
        """Number of the question that is asked, from 1; one more than `count` at the end."""
        return self._asked + 1

    @property
    def question(self) -> str:
        """The question that is asked."""
        return self._questions[self._asked].text

    @property
    def is_over(self) -> bool:
        """Whether all questions are answered."""
        return self._asked == len(self._questions)

    def answer(self, press: Press) -> str:
        """Answer the question; return what was understood.

        Raises:
            Refused: the press is ambiguous, or of a control that the question is not about.
        """
        understood = self._questions[self._asked].answer(press)
        self._asked += 1
        return understood

    @property
    def advice(self) -> str:
        """What to set in `hardware_conf.json` for this pad; "" for nothing."""
        if self._rest_offset <= self._dead_zone:
            return ""
        return (
            f"the stick rests {self._rest_offset:.0%} of its way from the middle: set "
            f"pad.dead_zone to {self._rest_offset + 0.03:.2f}, or the car does not drive straight"
        )

    def content(self) -> dict[str, object]:
        """Return the content of the map file, once all questions are answered."""
        keys = {button.name.lower(): self._keys[button] for button in Button}
        return {"about": self._pad[:MAX_ABOUT], **self._controls, "buttons": keys}

    def _answer_left(self, press: Press) -> str:
        code, motion = self._take_stick(press)
        ends = motion.minimum, motion.maximum
        left, right = ends if motion.peak < motion.before else ends[::-1]
        self._controls["steering"] = {
            "stick": code,
            "name": self._name(code),
            "left": left,
            "right": right,
        }
        return self._describe(code, f"goes to {motion.peak}, rests at {motion.after}")

    def _answer_right(self, press: Press) -> str:
        code, motion = self._take_stick(press)
        steering = self._controls["steering"]
        if code != steering["stick"]:
            self._asked = 0
            raise Refused(f"{code} moved, but {steering['stick']} before: once more from the left")
        if (motion.peak > motion.before) == (steering["left"] == motion.maximum):
            self._asked = 0
            raise Refused(f"{code} went the same way as before: once more from the left")
        middle = (motion.minimum + motion.maximum) / 2
        self._rest_offset = abs(motion.after - middle) / (motion.span / 2)
        self._used[code] = "the steering"
        return self._describe(code, f"goes to {motion.peak}, rests at {motion.after}")

    def _answer_trigger(self, role: str, press: Press) -> str:
        code, motion = self._take_trigger(press)
        self._controls[role] = {
            "trigger": code,
            "name": self._name(code),
            "full": motion.maximum,
        }
        self._used[code] = f"the {role}"
        return self._describe(code, f"goes to {motion.peak} of {motion.maximum}")

    def _answer_button(self, button: Button, press: Press) -> str:
        if press.motions:
            [code, *_] = _by_reach(press.motions)
            if code in HATS:
                raise Refused(f"{code} is the D-pad, which is an axis here: press a button")
            if press.buttons:
                raise Refused(
                    f"{_list(press.buttons)} is also the axis {code}: press a button that moves "
                    "nothing else"
                )
            raise Refused(f"{code} is a stick or a trigger: press a button")
        if len(press.buttons) > 1:
            raise Refused(f"{_list(press.buttons)} were pressed together: press one")
        [code] = press.buttons
        if press.held:
            raise Refused(f"{code} stays pressed: let go of it, or press another one")
        if code in self._used:
            raise Refused(f"{code} is taken already: {self._used[code]}")
        self._keys[button] = {"code": code, "name": self._name(code)}
        self._used[code] = button.value
        return self._describe(code, "")

    def _take_stick(self, press: Press) -> tuple[str, Motion]:
        """Return the stick that was pushed. Raises Refused."""
        code, motion = self._take_axis(press, "a stick")
        if press.buttons:
            raise Refused(f"{code} and {_list(press.buttons)} came together: move one control")
        if code in HATS:
            raise Refused(f"{code} is the D-pad, all or nothing: push a stick")
        _check_returned(code, motion)
        from_end = min(motion.after - motion.minimum, motion.maximum - motion.after)
        if from_end <= AT_REST * motion.span:
            raise Refused(
                f"{code} rests at an end, {motion.after} of {motion.minimum}..{motion.maximum}, "
                "as triggers do: push a stick"
            )
        middle = (motion.minimum + motion.maximum) / 2
        if abs(motion.after - middle) > OFF_CENTRE * motion.span / 2:
            raise Refused(
                f"{code} rests at {motion.after}, far from the middle of {motion.minimum}.."
                f"{motion.maximum}: push another stick"
            )
        both = min(motion.high - motion.before, motion.before - motion.low)
        if both > TOGETHER * motion.span / 2:
            raise Refused(f"{code} went both ways: push it to one side and let go")
        _check_reached(code, motion)
        return code, motion

    def _take_trigger(self, press: Press) -> tuple[str, Motion]:
        """Return the trigger that was pulled. Raises Refused."""
        if press.buttons and not press.motions:
            raise Refused(f"{_describe_buttons(press)}, all or nothing: pull a trigger")
        code, motion = self._take_axis(press, "a trigger")
        if code in self._used:
            raise Refused(f"{code} is taken already: {self._used[code]}")
        if code in HATS:
            raise Refused(f"{code} is the D-pad, all or nothing: pull a trigger")
        if press.buttons and self._clicks.get(code) != press.buttons:
            # Some triggers have a button of their own, which comes with them every time.
            self._clicks[code] = press.buttons
            raise Refused(
                f"{code} and {_list(press.buttons)} came together: move one control. If they are "
                "one trigger, pull it once more"
            )
        _check_returned(code, motion)
        _check_trigger_rest(code, motion, self._dead_zone)
        _check_reached(code, motion)
        return code, motion

    def _take_axis(self, press: Press, wanted: str) -> tuple[str, Motion]:
        """Return the one axis that was moved. Raises Refused."""
        if not press.motions:
            raise Refused(f"{_describe_buttons(press)}: move {wanted}")
        code, *others = _by_reach(press.motions)
        together = [other for other in others if press.motions[other].reach >= TOGETHER]
        if together:
            raise Refused(f"{_list([code, *together])} moved together: move one control, straight")
        return code, press.motions[code]

    def _name(self, code: str) -> str:
        """Return what people call the control, as far as that is known."""
        return self._names.get(code, "left stick" if code == "ABS_X" else code)

    def _describe(self, code: str, facts: str) -> str:
        name = self._name(code)
        shown = code if name == code else f"{name} ({code})"
        return f"{shown}, {facts}" if facts else shown


def check_usable(axes: Iterable[str], keys: Iterable[int]) -> str:
    """Return why no map can be made for a pad with these controls; "" if one can."""
    sticks_and_triggers = [code for code in axes if code in AXES]
    if len(sticks_and_triggers) < 3:
        return (
            f"it reports the ranges of {len(sticks_and_triggers)} axes; one for steering and two "
            "for throttle and brake are needed"
        )
    known = set(BUTTONS.values())
    if (count := sum(key in known for key in keys)) < len(Button):
        return f"it has {count} buttons; {len(Button)} are needed"
    return ""


def _check_returned(code: str, motion: Motion) -> None:
    if abs(motion.after - motion.before) > AT_REST * motion.span:
        raise Refused(
            f"{code} rested at {motion.before} before and at {motion.after} now: let go of it; if "
            "that was done, it drifts or sticks. Try again, or take another"
        )


def _check_reached(code: str, motion: Motion) -> None:
    if motion.reach < FULL:
        raise Refused(f"{code} went {motion.reach:.0%} of the way: all the way, and let go")


def _check_trigger_rest(code: str, motion: Motion, dead_zone: float) -> None:
    extent = f"{motion.minimum}..{motion.maximum}"
    from_start = (motion.after - motion.minimum) / motion.span
    if from_start >= 1 - OFF_CENTRE:
        raise Refused(f"{code} rests at its upper end, {motion.after} of {extent}: take another")
    if from_start > OFF_CENTRE:
        raise Refused(
            f"{code} rests in the middle, {motion.after} of {extent}, as sticks do: pull a trigger"
        )
    if not is_trigger_range(motion.minimum, motion.maximum):
        raise Refused(
            f"{code} has the range {extent}; triggers have 0..{MAX_TRIGGER} at most: take another"
        )
    if from_start > dead_zone:
        raise Refused(
            f"{code} rests at {motion.after} of {motion.maximum}, above pad.dead_zone: it would "
            "never count as released. Take another"
        )


def _describe_buttons(press: Press) -> str:
    return f"{_list(press.buttons)} {'is a button' if len(press.buttons) == 1 else 'are buttons'}"


def _by_reach(motions: Mapping[str, Motion]) -> list[str]:
    return sorted(motions, key=lambda code: -motions[code].reach)


def _list(codes: Iterable[str]) -> str:
    return " and ".join(sorted(codes))
