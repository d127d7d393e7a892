"""A pad map recorded by pressing: what is learned, and what is refused."""

import json
from itertools import chain

import pytest

from car.interfaces import Button, Command
from car.pad import connection, pad_map
from car.pad.devices import Folders
from car.pad.display import WIDTH
from car.pad.learning import Dialog
from car.pad.lesson import Lesson
from common.errors import InputError, NotReady, PadLost, WriteFailed
from tests.pad import lessons
from tests.pad.helpers import INPUTS, Device
from tests.pad.lessons import (
    CALM,
    HOLD,
    PADS,
    XBOX_BUTTONS,
    keys,
    learn,
    move,
    printed,
    push,
    steering,
    tap,
    triggers,
    wait,
    whole,
)  # fmt: skip
from tests.pi.pad import ABS, CODES, SYN, SYN_DROPPED, FifoPad

JOYSTICK_BUTTONS = ["BTN_BASE2", "BTN_THUMB2", "BTN_THUMB", "BTN_TOP", "BTN_TRIGGER", "BTN_TOP2"]


@pytest.fixture
def plug(pi, monkeypatch):
    """Yield a function that plugs a pad in, of which both libraries get answers."""
    plugged = []

    def plug(kind="signed", **changed):
        kind = PADS[kind]
        pad = FifoPad(pi, kind, ranges=kind.ranges() | changed)
        Device(monkeypatch, pad)
        plugged.append(pad)
        return pad

    yield plug
    for pad in plugged:
        pad.unplug()


def drive_with(pi, open_pad, lesson):
    """Open the pad with the map that was learned."""
    pad_map.write(pi.folder / "my_pad.json", lesson.content(), replace=False)
    pad = open_pad(map="my_pad.json")
    assert (pad.read().fault, pad.map_name) == ("", "my_pad.json")
    return pad


@pytest.mark.parametrize("kind", PADS)
def test_a_pad_drives_with_the_map_that_was_learned_from_it(pi, open_pad, plug, library, kind):
    fake_pad = plug(kind)
    buttons = JOYSTICK_BUTTONS if kind == "joystick" else XBOX_BUTTONS
    lesson, output = learn(pi, library, whole(fake_pad, buttons))
    assert "no:" not in printed(output)
    assert all(len(line) <= WIDTH < 80 for line in output)
    assert lesson.advice == ""
    pad = drive_with(pi, open_pad, lesson)
    for steered in (-1.0, 1.0):
        fake_pad.steer(steered)
        fake_pad.throttle(1.0)
        assert pad.read().command == Command(steered, 1.0)
    fake_pad.brake(1.0)
    assert pad.read().command.throttle == -1.0
    order = [Button.ARM, Button.STOP_RUN, Button.EMERGENCY_STOP, Button.ERASE, Button.PAUSE]
    for code, button in zip(buttons, [*order, Button.DEAD_MAN], strict=True):
        fake_pad.tap(code)
        assert pad.read().pressed == {button}


@INPUTS
def test_a_learned_map_of_an_xbox_pad_has_the_names_that_are_printed_on_it(pi, plug, library):
    lesson, _ = learn(pi, library, whole(plug()))
    learned, ours = lesson.content(), pad_map.read_built_in("xpad")
    assert learned["about"] == "Microsoft X-Box One S pad"
    assert learned["steering"] == {
        "stick": "ABS_X", "name": "left stick", "left": -32768, "right": 32767,
    }  # fmt: skip
    assert learned["throttle"] == {"trigger": "ABS_RZ", "name": "right trigger", "full": 1023}
    assert {key: control["name"] for key, control in learned["buttons"].items()} == {
        button.name.lower(): key.name for button, key in ours.buttons.items()
    }


@INPUTS
def test_a_pad_of_another_maker_gets_the_names_of_the_kernel(pi, plug, library):
    lesson, _ = learn(pi, library, whole(plug("8 bits")))
    assert lesson.content()["buttons"]["arm"] == {"code": "BTN_START", "name": "BTN_START"}


@INPUTS
def test_left_is_where_the_stick_was_pushed_first(pi, open_pad, plug, library):
    fake_pad = plug()

    def script():
        yield from wait(CALM)
        yield from steering(fake_pad, "ABS_RY", left=1.0)
        yield from triggers(fake_pad)
        yield from keys(fake_pad, XBOX_BUTTONS)

    lesson, _ = learn(pi, library, script())
    pad = drive_with(pi, open_pad, lesson)
    fake_pad.axis("ABS_RY", 32767)
    assert pad.read().command.steering == -1.0


@INPUTS
def test_values_before_the_first_event_do_not_matter(pi, open_pad, plug, library):
    """The kernel says 0 for an axis that has not moved yet, where the stick rests at 128."""
    fake_pad = plug("8 bits", ABS_X=(0, 0, 255))

    def script():
        yield from wait(CALM)
        yield from move(fake_pad, "ABS_X", 128, 0, 128)
        yield from wait(HOLD)
        fake_pad.ranges["ABS_X"] = (128, 0, 255)
        yield from steering(fake_pad)
        yield from triggers(fake_pad)
        yield from keys(fake_pad, XBOX_BUTTONS)

    lesson, output = learn(pi, library, script())
    assert "ABS_X rested at 0 before and at 128 now" in printed(output)
    assert drive_with(pi, open_pad, lesson).read().fault == ""


@INPUTS
def test_jitter_is_no_press_and_an_axis_that_never_rests_is_left_out(pi, plug, library):
    fake_pad = plug("8 bits")

    def shaken(script, axis, *values):
        for number, _ in enumerate(script):
            fake_pad.send((ABS, CODES["ABS_RY"], 128 + number % 3))
            fake_pad.send((ABS, CODES[axis], values[number % len(values)]))
            yield

    def script():
        yield from wait(400)
        yield from whole(fake_pad)

    lesson, output = learn(pi, library, shaken(script(), "ABS_RX", 30, 150))
    assert "       left out, as it does not rest: ABS_RX" in output
    assert "no:" not in printed(output)
    assert lesson.is_over


@INPUTS
def test_the_rest_of_a_stick_that_is_off_its_middle_is_told_with_a_dead_zone(pi, plug, library):
    lesson, output = learn(pi, library, whole(plug(ABS_X=(3932, -32768, 32767))))
    assert "no:" not in printed(output)
    assert "rests 12% of its way from the middle: set pad.dead_zone to 0.15" in lesson.advice


@INPUTS
def test_a_dead_zone_that_covers_the_rest_of_the_stick_needs_no_advice(pi, plug, library):
    script = whole(plug(ABS_X=(3932, -32768, 32767)))
    assert learn(pi, library, script, dead_zone=0.15)[0].advice == ""


def together(*scripts):
    """Follow scripts at the same time."""
    for _ in zip(*scripts, strict=False):
        yield


STEERING = {
    "two sticks at once": (
        lambda pad: together(push(pad, "ABS_X", -1.0), push(pad, "ABS_RX", -1.0)),
        "ABS_RX and ABS_X moved together",
    ),
    "diagonally": (
        lambda pad: together(push(pad, "ABS_X", -1.0), push(pad, "ABS_Y", 0.7)),
        "ABS_X and ABS_Y moved together",
    ),
    "stick and button": (
        lambda pad: together(push(pad, "ABS_X", -1.0), tap(pad, "BTN_THUMBL")),
        "ABS_X and BTN_THUMBL came together",
    ),
    "a trigger": (lambda pad: push(pad, "ABS_RZ"), "ABS_RZ rests at an end, 0 of 0..1023"),
    "the D-pad": (lambda pad: push(pad, "ABS_HAT0X", -1.0), "ABS_HAT0X is the D-pad"),
    "a button": (lambda pad: tap(pad, "BTN_WEST"), "BTN_WEST is a button: move a stick"),
    "half way": (lambda pad: push(pad, "ABS_X", -0.7), "ABS_X went 70% of the way"),
    "both ways": (
        lambda pad: move(pad, "ABS_X", 0, -32768, 32767, 0),
        "ABS_X went both ways",
    ),
    "it drifts": (
        lambda pad: chain(move(pad, "ABS_X", 0, -32768, 9000), wait(HOLD)),
        "ABS_X rested at 0 before and at 9000 now",
    ),
    "it is held": (
        lambda pad: chain(move(pad, "ABS_X", 0, -32768), wait(HOLD)),
        "ABS_X rested at 0 before and at -32768 now",
    ),
}


@INPUTS
@pytest.mark.parametrize("refused", STEERING)
def test_an_ambiguous_press_is_refused_and_asked_for_again(pi, plug, library, refused):
    fake_pad = plug()
    wrong, reason = STEERING[refused]

    def script():
        yield from wait(CALM)
        yield from wrong(fake_pad)
        for code in ("ABS_X", "ABS_Y"):  # back to their rest, where they were left elsewhere
            value = fake_pad.ranges[code][0]
            if value:
                yield from move(fake_pad, code, value, 0)
                yield from wait(HOLD)
        yield from steering(fake_pad)
        yield from triggers(fake_pad)
        yield from keys(fake_pad, XBOX_BUTTONS)

    lesson, output = learn(pi, library, script())
    assert f"no: {reason}" in printed(output)
    assert printed(output).count("no: ") == 1
    assert lesson.content()["steering"]["stick"] == "ABS_X"


@INPUTS
def test_a_stick_that_rests_far_from_its_middle_is_no_steering(pi, plug, library):
    fake_pad = plug(ABS_RX=(16000, -32768, 32767))

    def script():
        yield from wait(CALM)
        yield from push(fake_pad, "ABS_RX", -1.0)
        yield from whole(fake_pad)

    _, output = learn(pi, library, script())
    assert "no: ABS_RX rests at 16000, far from the middle of -32768..32767" in printed(output)


@INPUTS
@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (lambda pad: push(pad, "ABS_X", -1.0), "ABS_X went the same way as before"),
        (lambda pad: push(pad, "ABS_RX", 1.0), "ABS_RX moved, but ABS_X before"),
    ],
    ids=["the same way", "another stick"],
)
def test_a_stick_is_shown_to_both_sides_or_once_more(pi, plug, library, second, reason):
    fake_pad = plug()

    def script():
        yield from wait(CALM)
        yield from push(fake_pad, "ABS_X", -1.0)
        yield from second(fake_pad)
        yield from whole(fake_pad)

    lesson, output = learn(pi, library, script())
    assert f"no: {reason}" in printed(output)
    assert [line[:6] for line in output if "/10" in line][:4] == [" 1/10 ", " 2/10 "] * 2
    assert lesson.content()["steering"]["left"] == -32768


TRIGGER = {
    "a stick": ("signed", {}, lambda pad: push(pad, "ABS_RX"), "ABS_RX rests in the middle"),
    "a stick of 16 bits": (
        "16 bits", {}, lambda pad: push(pad, "ABS_RZ"), "ABS_RZ rests in the middle",
    ),
    "only a button": (
        "signed", {}, lambda pad: tap(pad, "BTN_TR2"), "BTN_TR2 is a button, all or nothing",
    ),
    "two buttons": (
        "signed", {}, lambda pad: tap(pad, "BTN_TR2", "BTN_TL2"),
        "BTN_TL2 and BTN_TR2 are buttons, all or nothing",
    ),
    "the D-pad": ("signed", {}, lambda pad: push(pad, "ABS_HAT0Y"), "ABS_HAT0Y is the D-pad"),
    "the steering": ("signed", {}, lambda pad: push(pad, "ABS_X"), "ABS_X is taken already"),
    "both triggers": (
        "signed", {}, lambda pad: together(push(pad, "ABS_RZ"), push(pad, "ABS_Z")),
        "ABS_RZ and ABS_Z moved together",
    ),
    "it rests at its upper end": (
        "signed", {"ABS_RY": (255, 0, 255)}, lambda pad: push(pad, "ABS_RY", -1.0),
        "ABS_RY rests at its upper end, 255 of 0..255",
    ),
    "it is signed": (
        "signed", {"ABS_RY": (-32768, -32768, 32767)}, lambda pad: push(pad, "ABS_RY"),
        "ABS_RY has the range -32768..32767",
    ),
    "it has 16 bits": (
        "16 bits", {"ABS_Z": (0, 0, 65535)}, lambda pad: push(pad, "ABS_Z"),
        "ABS_Z has the range 0..65535",
    ),
    "it is never released": (
        "8 bits", {"ABS_RZ": (30, 0, 255)}, lambda pad: push(pad, "ABS_RZ"),
        "ABS_RZ rests at 30 of 255, above pad.dead_zone",
    ),
    "half way": ("signed", {}, lambda pad: push(pad, "ABS_RZ", 0.5), "ABS_RZ went 50% of the way"),
}  # fmt: skip


@INPUTS
@pytest.mark.parametrize("refused", TRIGGER)
def test_what_cannot_be_pulled_part_of_the_way_from_0_is_no_throttle(pi, plug, library, refused):
    kind, changed, wrong, reason = TRIGGER[refused]
    fake_pad = plug(kind, **changed)

    def script():
        yield from wait(CALM)
        yield from steering(fake_pad)
        yield from wrong(fake_pad)

    with pytest.raises(AssertionError, match="still asking") as asked:
        learn(pi, library, script())
    output = printed(str(asked.value).splitlines())
    assert f"no: {reason}" in output
    assert output.count("throttle: pull a trigger") == 2


@INPUTS
def test_a_trigger_with_a_button_of_its_own_is_taken_at_the_second_pull(pi, plug, library):
    fake_pad = plug("8 bits")

    def pull(code, click):
        yield from together(push(fake_pad, code), tap(fake_pad, click))

    def script():
        yield from wait(CALM)
        yield from steering(fake_pad)
        yield from pull("ABS_RZ", "BTN_EAST")  # a finger that slipped
        yield from pull("ABS_RZ", "BTN_TR2")
        yield from pull("ABS_RZ", "BTN_TR2")
        yield from push(fake_pad, "ABS_Z")
        yield from keys(fake_pad, XBOX_BUTTONS)

    lesson, output = learn(pi, library, script())
    assert "no: ABS_RZ and BTN_EAST came together" in printed(output)
    assert "no: ABS_RZ and BTN_TR2 came together" in printed(output)
    assert lesson.content()["throttle"]["trigger"] == "ABS_RZ"


BUTTON = {
    "two at once": (lambda pad: tap(pad, "BTN_EAST", "BTN_NORTH"), "were pressed together"),
    "the one before": (lambda pad: tap(pad, "BTN_START"), "BTN_START is taken already: arm"),
    "the D-pad": (lambda pad: push(pad, "ABS_HAT0X"), "ABS_HAT0X is the D-pad"),
    "a stick": (lambda pad: push(pad, "ABS_RX"), "ABS_RX is a stick or a trigger"),
    "a button that is an axis": (
        lambda pad: together(push(pad, "ABS_RZ"), tap(pad, "BTN_TR2")),
        "BTN_TR2 is also the axis ABS_RZ",
    ),
    "it stays pressed": (
        lambda pad: tap(pad, "BTN_SOUTH", readings=HOLD), "BTN_SOUTH stays pressed",
    ),
}  # fmt: skip


@INPUTS
@pytest.mark.parametrize("refused", BUTTON)
def test_what_is_not_one_button_alone_is_refused(pi, plug, library, refused):
    fake_pad = plug()
    wrong, reason = BUTTON[refused]

    def script():
        yield from wait(CALM)
        yield from steering(fake_pad)
        yield from triggers(fake_pad)
        yield from tap(fake_pad, "BTN_START")
        yield from wrong(fake_pad)
        yield from keys(fake_pad, XBOX_BUTTONS[1:])

    lesson, output = learn(pi, library, script())
    assert reason in printed(output)
    assert lesson.content()["buttons"]["stop_run"]["code"] == "BTN_SOUTH"


def test_events_that_were_lost_are_asked_for(pi, plug, library):
    fake_pad = plug()

    def lost(pad):
        pad.press("BTN_SOUTH")
        yield from wait(5)
        pad.down.discard("BTN_SOUTH")
        pad.answer()  # released, but the event was dropped
        pad.send((SYN, SYN_DROPPED, 0))
        yield from wait()

    def script():
        yield from wait(CALM)
        yield from steering(fake_pad)
        yield from triggers(fake_pad)
        yield from tap(fake_pad, "BTN_START")
        yield from lost(fake_pad)
        yield from keys(fake_pad, XBOX_BUTTONS[2:])

    lesson, output = learn(pi, library, script())
    assert "no:" not in printed(output)
    assert lesson.is_over


@INPUTS
def test_a_button_that_is_down_at_the_start_is_waited_for(pi, plug, library):
    fake_pad = plug()
    fake_pad.press("BTN_EAST")

    def script():
        yield from wait(400)
        fake_pad.release("BTN_EAST")
        yield from whole(fake_pad)

    lesson, output = learn(pi, library, script())
    assert "no:" not in printed(output)
    assert lesson.is_over


@pytest.mark.parametrize("how", ["unplugged", "gone with events in the queue"])
def test_a_pad_that_is_unplugged_ends_the_lesson(pi, plug, library, how, monkeypatch):
    fake_pad = plug()
    device = Device(monkeypatch, fake_pad)

    def script():
        yield from wait(CALM)
        yield from push(fake_pad, "ABS_X", -1.0)
        (fake_pad.unplug if how == "unplugged" else device.fail)()
        yield from wait()

    with pytest.raises(PadLost, match=r"event7 was unplugged; nothing was written: plug it in"):
        learn(pi, library, script())


@INPUTS
@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"axes": "ABS_X ABS_Y"}, "it reports the ranges of 2 axes; one for steering and two"),
        ({"keys": "BTN_SOUTH BTN_EAST"}, "it has 2 buttons; 6 are needed"),
    ],
    ids=str,
)
def test_a_pad_without_enough_controls_is_refused_before_the_first_question(
    pi, library, monkeypatch, changed, reason
):
    kind = lessons.Kind(**({name: getattr(PADS["signed"], name) for name in FIELDS} | changed))
    with FifoPad(pi, kind, ranges=kind.ranges()) as pad:
        Device(monkeypatch, pad)
        with pytest.raises(NotReady, match=reason):
            learn(pi, library, wait())


FIELDS = list(PADS["signed"].__dataclass_fields__)


@INPUTS
def test_a_pad_that_reports_no_ranges_is_refused(pi, library):
    with FifoPad(pi), pytest.raises(NotReady, match="it reports the ranges of 0 axes"):
        learn(pi, library, wait())


@INPUTS
def test_the_line_that_shows_what_moves_fits_and_asks_to_let_go(pi, plug, library):
    fake_pad = plug()

    def script():
        yield from wait(CALM)
        yield from together(*(push(fake_pad, code) for code in fake_pad.ranges))
        yield from move(fake_pad, "ABS_X", 0, -32768)
        yield from wait(100)

    written = []
    found = connection.open_first(connection.load_library(library), Folders(pi.sys_input, pi.input))
    dialog = Dialog(
        found, Lesson("x" * 200, dead_zone=0.0), lessons.Thumb(script()), written.append
    )
    with pytest.raises(lessons.StillAsking):
        dialog.run()
    found.opened.close()
    shown = [
        part.removesuffix("\x1b[K") for part in "".join(written).replace("\n", "\r").split("\r")
    ]
    assert max(map(len, shown)) == WIDTH
    assert "       ABS_X -32768: let go" in shown


@INPUTS
def test_a_map_is_written_as_a_whole_and_not_over_another_one(pi, plug, library):
    lesson, _ = learn(pi, library, whole(plug()))
    file = pi.folder / "my_pad.json"
    pad_map.write(file, lesson.content(), replace=False)
    before = file.read_bytes()
    assert json.loads(before) == lesson.content()
    assert b'\n    "arm": {"code": "BTN_START", "name": "Menu"},\n' in before
    with pytest.raises(WriteFailed, match=r"my_pad.json has appeared meanwhile"):
        pad_map.write(file, lesson.content() | {"about": "another"}, replace=False)
    assert file.read_bytes() == before
    pad_map.write(file, lesson.content() | {"about": "another"}, replace=True)
    assert pad_map.read(file).about == "another"
    assert [each.name for each in pi.folder.glob("*.tmp")] == []


def test_a_built_in_map_is_never_written(tmp_path):
    with pytest.raises(InputError, match=r"maps/xpad.json is a built-in map"):
        pad_map.check_writable(pad_map.BUILT_IN / "xpad.json")
    (tmp_path / "maps").symlink_to(pad_map.BUILT_IN)
    with pytest.raises(InputError, match="is a built-in map"):
        pad_map.check_writable(tmp_path / "maps/new.json")
    with pytest.raises(InputError, match=r"missing cannot be written: No such file"):
        pad_map.check_writable(tmp_path / "missing/my_pad.json")
