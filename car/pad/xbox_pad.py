"""An Xbox pad, by cable, dongle or Bluetooth, read with the library `inputs`.

Nothing here has a thread or waits: each reading takes what the pad has said since. A pad tells
changes only, so each axis is neutral until it has said something, and again after a reconnection.
"""

import warnings
from math import copysign
from pathlib import Path
from typing import Any

import path
from car import hardware_conf
from car.interfaces import NEUTRAL, Button, Clock, Command, PadState
from car.pad import pad_map
from car.pad.devices import BLUETOOTH, Device, Folders, Node, Range, pads
from car.pad.pad_map import AXES, BUTTONS, LARGEST_TRIGGER, PadMap, Stick, Trigger
from common.errors import PadLost

_LOOKS_EVERY_S = 0.5
_EVENTS_AT_ONCE = 256  # at 50 readings a second more than any pad says; decoded in a millisecond
_GONE = "the pad is gone"
_LINK = "/dev/input/by-id/pad-Xbox-event-joystick"  # `inputs` needs a name of this form, no file


class XboxPad:
    """A pad that is there when this is made, and may go and come back."""

    def __init__(
        self,
        conf: hardware_conf.Pad,
        clock: Clock,
        *,
        conf_file: Path = path.HARDWARE_CONF,
        folders: Folders | None = None,
    ) -> None:
        """The first pad by event number is open. `conf.map` is a file beside `conf_file`.

        Raises: InputError for a map that cannot be used, PadLost when there is no pad to read.
        """
        self._own_map = pad_map.read(conf_file.parent / conf.map) if conf.map else None
        self._dead_zone = conf.dead_zone
        self._clock = clock
        self._lost_s = conf.lost_s
        self._folders = folders or Folders()
        self._closed = False
        self._inputs = _library()
        self._name = ""
        self._pad: _Connected | None = self._found()
        self._controls = self._pad.controls
        self._heard_s = self._gone_s = self._next_look_s = clock.now()
        self._trouble = ""

    @property
    def name(self) -> str:
        """The pad's own name and its node, and how many pads there were to choose from."""
        return self._name

    @property
    def controls(self) -> PadMap:
        """The map in use."""
        return self._controls

    @property
    def map_name(self) -> str:
        """The name of the map in use."""
        return self._controls.name

    def describe(self) -> str:
        """The pad and its map in one line."""
        return f"{self._name}, map {self.map_name}"

    def read(self) -> PadState:
        """The state now; never waits. A pad that comes back is taken up again.

        Where the pad does not fit the map, `fault` says so, and only the buttons count. Raises:
        PadLost when there has been no pad for `lost_s`, and when this is closed.
        """
        if self._closed:
            raise PadLost("the pad is closed")
        now_s = self._clock.now()
        pad = self._pad or self._look_again(now_s)
        if pad is None:
            return PadState(NEUTRAL, silent_s=now_s - self._heard_s, fault=_GONE)
        try:
            pad.listen()
            if pad.heard:
                self._heard_s = now_s
        except OSError:
            pad.close()
            self._pad = None
            self._gone_s, self._next_look_s = now_s, now_s + _LOOKS_EVERY_S
            self._trouble = ""
            silent_s = now_s - self._heard_s
            return PadState(NEUTRAL, pad.take_pressed(), silent_s=silent_s, fault=_GONE)
        return PadState(
            command=NEUTRAL if pad.wrong else pad.command,
            pressed=pad.take_pressed(),
            held=frozenset(pad.held),
            silent_s=now_s - self._heard_s,
            fault=pad.wrong,
            unreported_throttle=pad.unheard,
        )

    def discard_presses(self) -> None:
        """The buttons pressed until now do not count. Raises: PadLost as `read` does."""
        self.read()
        while self._pad and self._pad.heard == _EVENTS_AT_ONCE:  # more may wait
            self.read()

    def close(self) -> None:
        """The device is free again. May be called twice."""
        self._closed = True
        if self._pad:
            self._pad.close()
            self._pad = None

    def _look_again(self, now_s: float) -> "_Connected | None":
        """The pad if one is there again. Raises: PadLost when it took too long."""
        if now_s < self._next_look_s:
            return None
        self._next_look_s = now_s + _LOOKS_EVERY_S
        try:
            self._pad = self._found()
        except PadLost as error:
            self._trouble = str(error)
        else:
            self._controls = self._pad.controls
            self._heard_s = now_s
            return self._pad
        if now_s - self._gone_s >= self._lost_s:
            raise PadLost(
                f"{self._name} has been gone for {self._lost_s:g} s: plug it in and start again "
                f"({self._trouble})"
            )
        return None

    def _found(self) -> "_Connected":
        """The first pad, open. Raises: PadLost."""
        devices = list(pads(self._folders))
        if not devices:
            raise PadLost(
                "no pad is there: plug one in by cable or dongle, or pair it with bluetoothctl "
                "(pair, trust, connect); the user has to be in the group input"
            )
        device = devices[0]
        node = self._folders.dev_input / f"event{device.number}"
        name = f"{device.name} at {node}"
        controls = self._own_map or pad_map.ours(_map_for(device))
        try:
            connected = _Connected(self._inputs, device, node, controls, self._dead_zone)
        except PermissionError as error:
            raise PadLost(
                f"{name} may not be read: sudo usermod -aG input $USER, then log in again"
            ) from error
        except OSError as error:
            raise PadLost(
                f"{name} cannot be opened: {error.strerror}: unplug it and plug it in again"
            ) from error
        self._name = name if len(devices) == 1 else f"{name}, the first of {len(devices)} pads"
        return connected


def _library() -> Any:
    """The module `inputs`, which looks for devices when it is imported. Raises: PadLost."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of devices that it cannot name
            import inputs
    except ModuleNotFoundError as error:
        raise PadLost(
            f"the library {error.name} is missing: pip install -r requirements-pi.txt"
        ) from error
    except Exception as error:  # what devices it cannot take is no one kind of error
        raise PadLost(
            "the library inputs fails at the devices of this machine: "
            f"{type(error).__name__}: {error}: leave one pad plugged in, say "
            "`sudo modprobe joydev`, plug the pad in again and start again"
        ) from error
    return inputs


def _map_for(device: Device) -> str:
    """The name of the map whose driver is behind the device."""
    if device.axes >= {AXES["ABS_GAS"], AXES["ABS_BRAKE"]}:
        return "stock_bluetooth"
    if device.driver != "xpad" and device.bus == BLUETOOTH:
        return "xpadneo"
    return "xpad"


class _Connected:
    """One pad from plugging in to unplugging."""

    def __init__(
        self, inputs: Any, device: Device, file: Path, controls: PadMap, dead_zone: float
    ) -> None:
        """Raises: OSError."""
        self._node = Node(file, inputs.EVENT_SIZE)
        try:
            self._gamepad = inputs.GamePad(inputs.devices, _LINK, str(file))
        except BaseException:
            self._node.close()
            raise
        self._gamepad._character_file = self._node  # else it opens the node and waits
        self._unknown = inputs.UnknownEventCode, inputs.UnknownEventType
        self._steering = _StickAxis(controls.steering, self._range(controls.steering.stick))
        self._throttle, self._brake = (
            _TriggerAxis(trigger, device.name, self._range(trigger.trigger))
            for trigger in (controls.throttle, controls.brake)
        )
        self._axes = {axis.code: axis for axis in (self._steering, self._throttle, self._brake)}
        self._buttons = {key.code: button for button, key in controls.buttons.items()}
        self._dead_zone = dead_zone
        self._pressed: set[Button] = set()
        self._misses = _misses(device, controls)
        self.controls = controls
        self.held: set[Button] = set()
        self.heard = 0

    @property
    def wrong(self) -> str:
        """Why the map is not this pad's; "" while nothing speaks against it."""
        complaints = (axis.wrong for axis in self._axes.values() if axis.wrong)
        return self._misses or next(complaints, "")

    @property
    def command(self) -> Command:
        """What the thumbs say; the brake wins over the throttle."""
        throttle, brake = (
            beyond(self._dead_zone, axis.value) for axis in (self._throttle, self._brake)
        )
        return Command(beyond(self._dead_zone, self._steering.value), -brake or throttle)

    @property
    def unheard(self) -> float:
        """How far a trigger is pulled, as the device says, that has said nothing itself."""
        return max(beyond(self._dead_zone, axis.told) for axis in (self._throttle, self._brake))

    def take_pressed(self) -> frozenset[Button]:
        """The buttons pressed since this was asked last."""
        pressed = frozenset(self._pressed)
        self._pressed.clear()
        return pressed

    def listen(self) -> None:
        """What the pad has said is known; `heard` is how many events those were.

        Raises: OSError when it is gone.
        """
        self._node.fill(_EVENTS_AT_ONCE)
        self.heard = self._node.waiting
        for _ in range(self.heard):
            try:
                [event] = self._gamepad.read()
            except self._unknown:
                continue
            self._hear(event.ev_type, event.code, event.state)
        self._node.check()

    def _hear(self, kind: str, code: str, state: int) -> None:
        if kind == "Absolute" and code in self._axes:
            self._axes[code].hear(state)
        elif kind == "Key" and code in self._buttons:
            self._press(self._buttons[code], state)
        elif code == "SYN_DROPPED":
            self._ask_again()

    def _press(self, button: Button, state: int) -> None:
        if state == 0:
            self.held.discard(button)
            return
        if button not in self.held:  # a key that is held repeats itself
            self._pressed.add(button)
        self.held.add(button)

    def _ask_again(self) -> None:
        """Events were lost: only what the device says when it is asked is still true."""
        for axis in self._axes.values():
            heard, now = axis.heard, self._range(axis.code)
            axis.forget(now)
            if heard and now:
                axis.hear(now.value)
        down = self._node.keys_down()
        for code, button in self._buttons.items():
            self._press(button, int(BUTTONS[code] in down))

    def _range(self, code: str) -> Range | None:
        return self._node.range_of(AXES[code])

    def close(self) -> None:
        """The device is free again. May be called twice."""
        self._node.close()


def _misses(device: Device, controls: PadMap) -> str:
    """What the map names and the pad does not have, in words."""
    axes = [code for code in controls.axes if AXES[code] not in device.axes]
    keys = [key.code for key in controls.buttons.values() if BUTTONS[key.code] not in device.keys]
    return f"the pad has no {', '.join(axes + keys)}: wrong map" if axes or keys else ""


class _Axis:
    """An axis of the pad: `value` is 0 until it is heard of."""

    def __init__(self, code: str, told: Range | None) -> None:
        self.code = code
        self.wrong = ""
        self.forget(told)

    def forget(self, told: Range | None) -> None:
        """Nothing was heard; `told` is what the device says when it is asked."""
        self.heard = False
        self.value = 0.0
        self._told = told

    @property
    def told(self) -> float:
        """The value that the device says, 0 once it is heard of or where it says none."""
        return self._value(self._told.value) if self._told and not self.heard else 0.0

    def hear(self, raw: int) -> None:
        """The axis says `raw`."""
        self.heard = True
        self.value = self._value(raw)

    def _value(self, raw: int) -> float:
        raise NotImplementedError


class _StickAxis(_Axis):
    """From -1 left to 1 right."""

    def __init__(self, conf: Stick, told: Range | None) -> None:
        super().__init__(conf.stick, told)
        self._lowest, self._highest = sorted((conf.left, conf.right))
        self._turned = -1 if conf.right < conf.left else 1
        if told:
            as_mapped = (told.lowest, told.highest) == (self._lowest, self._highest)
            if told.highest - told.lowest <= LARGEST_TRIGGER and not as_mapped:
                self.wrong = f"{self.code} is a trigger, not a stick: wrong map"
            self._lowest, self._highest = told.lowest, told.highest

    def _value(self, raw: int) -> float:
        if not self._lowest <= raw <= self._highest:
            self.wrong = f"{self.code} goes beyond {self._lowest} .. {self._highest}: wrong map"
            return 0.0
        span = self._highest - self._lowest
        return self._turned * (2 * (raw - self._lowest) - span) / span


class _TriggerAxis(_Axis):
    """From 0 released to 1 pressed all the way."""

    def __init__(self, conf: Trigger, device: str, told: Range | None) -> None:
        super().__init__(conf.trigger, told)
        self._full = conf.full_of(device)
        if told:
            self._full = told.highest
            self._refuse(told.lowest < 0 or told.highest > LARGEST_TRIGGER)

    def _value(self, raw: int) -> float:
        self._refuse(not 0 <= raw <= LARGEST_TRIGGER)
        if self.wrong:
            return 0.0
        if raw > self._full:
            self._full = LARGEST_TRIGGER
        return raw / self._full

    def _refuse(self, is_stick: bool) -> None:  # noqa: FBT001  the one question there is
        if is_stick:
            self.wrong = f"{self.code} is a stick, not a trigger: wrong map"


def beyond(dead_zone: float, value: float) -> float:
    """The value, 0 within the dead zone and growing from 0 beyond it; the ends stay -1 and 1."""
    moved = (abs(value) - dead_zone) / (1 - dead_zone)
    return copysign(moved, value) if moved > 0 else 0.0
