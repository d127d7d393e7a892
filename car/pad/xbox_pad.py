"""Xbox pads, by cable, dongle or Bluetooth, and others that a map describes.

There is no thread and no waiting: each reading takes the events since the previous one. A pad
reports only changes, so each axis is neutral until its first event, also after a reconnection.
"""

from math import copysign
from pathlib import Path

import path
from car import hardware_conf
from car.interfaces import NEUTRAL, Button, Clock, Command, PadState
from car.pad import connection, pad_map
from car.pad.connection import Connection
from car.pad.devices import BLUETOOTH, SYN_DROPPED, AxisInfo, Device, Event, Folders
from car.pad.pad_map import AXES, BUTTONS, MAX_TRIGGER, PadMap, Stick, Trigger, is_trigger_range
from common.errors import PadLost

_SEARCH_EVERY_S = 0.5
_MAX_EVENTS = 256  # per reading; more than any pad sends in 1/50 s, and decoded in a millisecond
_DISCONNECTED = "the pad is gone"


class XboxPad:
    """Xbox pad, which may be unplugged and plugged in again."""

    def __init__(
        self,
        conf: hardware_conf.XboxPadConf,
        clock: Clock,
        *,
        conf_file: Path = path.HARDWARE_CONF,
        folders: Folders | None = None,
    ) -> None:
        """Open the first pad by event number. `conf.map` is a file beside `conf_file`.

        Raises:
            InputError: the map cannot be used.
            PadLost: no pad is connected, or it cannot be read.
        """
        self._own_map = pad_map.read(conf_file.parent / conf.map) if conf.map else None
        self._dead_zone = conf.dead_zone
        self._clock = clock
        self._lost_s = conf.lost_s
        self._folders = folders or Folders()
        self._closed = False
        self._library = connection.load_library(conf.library)
        self._name = ""
        self._pad: _ConnectedPad | None = self._connect()
        self._controls = self._pad.controls
        self._last_event_s = self._disconnected_s = self._next_search_s = clock.now()
        self._search_failure = ""

    @property
    def name(self) -> str:
        """Name and node of the pad, and the number of pads if there were several."""
        return self._name

    @property
    def controls(self) -> PadMap:
        """Map in use."""
        return self._controls

    @property
    def arm_button(self) -> str:
        """Name of the button that arms the car, from the map."""
        return self._controls.buttons[Button.ARM].name

    @property
    def map_name(self) -> str:
        """Name of the map in use."""
        return self._controls.name

    def describe(self) -> str:
        """Return the pad and its map, in one line."""
        return f"{self._name}, map {self.map_name}, read by {self._library.name}"

    def read(self) -> PadState:
        """Return the current state without waiting, reconnecting to a pad that has come back.

        When the map does not fit the pad, `fault` reports it, and only the buttons count.

        Raises:
            PadLost: there has been no pad for `lost_s`, or this is closed.
        """
        if self._closed:
            raise PadLost("the pad is closed")
        now_s = self._clock.now()
        pad = self._pad or self._reconnect(now_s)
        if pad is None:
            return PadState(NEUTRAL, silent_s=now_s - self._last_event_s, fault=_DISCONNECTED)
        try:
            pad.read_events()
            if pad.event_count:
                self._last_event_s = now_s
        except OSError:
            # S1: unplugged; this state's fault stops the car.
            pad.close()
            self._pad = None
            self._disconnected_s, self._next_search_s = now_s, now_s + _SEARCH_EVERY_S
            self._search_failure = ""
            silent_s = now_s - self._last_event_s
            return PadState(NEUTRAL, pad.take_pressed(), silent_s=silent_s, fault=_DISCONNECTED)
        # P7: with a wrong map no axis counts, but the buttons that stop the car do.
        return PadState(
            command=NEUTRAL if pad.fault else pad.command,
            pressed=pad.take_pressed(),
            held=frozenset(pad.held),
            silent_s=now_s - self._last_event_s,
            fault=pad.fault,
            unreported_throttle=pad.unreported_throttle,
        )

    def discard_presses(self) -> None:
        """Discard the buttons pressed so far.

        Raises:
            PadLost: as for `read`.
        """
        # P4: presses up to here were not meant to drive.
        self.read()
        while self._pad and self._pad.event_count == _MAX_EVENTS:  # there may be more
            self.read()

    def close(self) -> None:
        """Release the device. May be called twice."""
        self._closed = True
        if self._pad:
            self._pad.close()
            self._pad = None

    def _reconnect(self, now_s: float) -> "_ConnectedPad | None":
        """Return the pad if one is connected again. Raises PadLost after `lost_s` without one."""
        if now_s < self._next_search_s:
            return None
        self._next_search_s = now_s + _SEARCH_EVERY_S
        try:
            self._pad = self._connect()
        except PadLost as error:
            self._search_failure = str(error)
        else:
            # P5: each axis is neutral until its first event, and the car stays disarmed.
            self._controls = self._pad.controls
            self._last_event_s = now_s
            return self._pad
        if now_s - self._disconnected_s >= self._lost_s:
            raise PadLost(
                f"{self._name} has been missing for {self._lost_s:g} s: plug it in and start again "
                f"({self._search_failure})"
            )
        return None

    def _connect(self) -> "_ConnectedPad":
        """Open the first pad. Raises PadLost."""
        found = connection.open_first(self._library, self._folders)
        controls = self._own_map or pad_map.read_built_in(_built_in_map(found.device))
        self._name = found.name
        return _ConnectedPad(found, controls, self._dead_zone)


def _built_in_map(device: Device) -> str:
    """Return the name of the built-in map that fits the device's kernel driver."""
    if device.axes >= {AXES["ABS_GAS"], AXES["ABS_BRAKE"]}:
        return "stock_bluetooth"
    if device.driver != "xpad" and device.bus == BLUETOOTH:
        return "xpadneo"
    return "xpad"


class _ConnectedPad:
    """Pad from connection to disconnection."""

    def __init__(self, found: Connection, controls: PadMap, dead_zone: float) -> None:
        device = found.device
        self._open = found.opened
        self._steering = _StickAxis(controls.steering, self._read_axis(controls.steering.stick))
        self._throttle, self._brake = (
            _TriggerAxis(trigger, device.name, self._read_axis(trigger.trigger))
            for trigger in (controls.throttle, controls.brake)
        )
        self._axes = {axis.code: axis for axis in (self._steering, self._throttle, self._brake)}
        self._buttons = {key.code: button for button, key in controls.buttons.items()}
        self._dead_zone = dead_zone
        self._pressed: set[Button] = set()
        self._missing = _describe_missing(device, controls)
        self.controls = controls
        self.held: set[Button] = set()
        self.event_count = 0

    @property
    def fault(self) -> str:
        """Why the map does not fit the pad; "" while nothing contradicts it."""
        faults = (axis.fault for axis in self._axes.values() if axis.fault)
        return self._missing or next(faults, "")

    @property
    def command(self) -> Command:
        """Command of stick and triggers; the brake overrides the throttle."""
        throttle, brake = (
            apply_dead_zone(axis.value, self._dead_zone) for axis in (self._throttle, self._brake)
        )
        return Command(apply_dead_zone(self._steering.value, self._dead_zone), -brake or throttle)

    @property
    def unreported_throttle(self) -> float:
        """How far a trigger is pulled that has sent no event yet, as the device reports it."""
        return max(
            apply_dead_zone(axis.unreported, self._dead_zone)
            for axis in (self._throttle, self._brake)
        )

    def take_pressed(self) -> frozenset[Button]:
        """Return the buttons pressed since the previous call."""
        pressed = frozenset(self._pressed)
        self._pressed.clear()
        return pressed

    def read_events(self) -> None:
        """Process the pending events, and count them in `event_count`.

        Raises:
            OSError: the pad was unplugged.
        """
        events = self._open.read(_MAX_EVENTS)
        self.event_count = len(events)
        for event in events:
            self._handle(event)
        # Another pad may have taken this node's name since.
        self._open.check()

    def _handle(self, event: Event) -> None:
        if event.code in self._axes:
            self._axes[event.code].update(event.value)
        elif event.code in self._buttons:
            self._press(self._buttons[event.code], event.value)
        elif event.code == SYN_DROPPED:
            self._resynchronize()

    def _press(self, button: Button, state: int) -> None:
        if state == 0:
            self.held.discard(button)
            return
        if button not in self.held:  # a button that is held repeats its event
            self._pressed.add(button)
        self.held.add(button)

    def _resynchronize(self) -> None:
        """Read the state from the device, after the kernel has dropped events."""
        for axis in self._axes.values():
            had_event, info = axis.had_event, self._read_axis(axis.code)
            axis.reset(info)
            # P7: an axis that has sent no event stays neutral.
            if had_event and info:
                axis.update(info.value)
        down = self._open.read_keys_down()
        for code, button in self._buttons.items():
            self._press(button, int(BUTTONS[code] in down))

    def _read_axis(self, code: str) -> AxisInfo | None:
        return self._open.read_axis(AXES[code])

    def close(self) -> None:
        """Release the device. May be called twice."""
        self._open.close()


def _describe_missing(device: Device, controls: PadMap) -> str:
    """Return which controls of the map the pad does not have; "" when it has all."""
    axes = [code for code in controls.axes if AXES[code] not in device.axes]
    keys = [key.code for key in controls.buttons.values() if BUTTONS[key.code] not in device.keys]
    return f"the pad has no {', '.join(axes + keys)}: wrong map" if axes or keys else ""


class _Axis:
    """Axis of the pad; `value` is 0 until its first event."""

    def __init__(self, code: str, info: AxisInfo | None) -> None:
        self.code = code
        self.fault = ""
        self.reset(info)

    def reset(self, info: AxisInfo | None) -> None:
        """Forget all events; `info` is what the device reports when it is asked."""
        self.had_event = False
        self.value = 0.0
        self._info = info

    @property
    def unreported(self) -> float:
        """Value that the device reports before the first event; 0 afterwards."""
        return self._normalize(self._info.value) if self._info and not self.had_event else 0.0

    def update(self, raw: int) -> None:
        """Take the value of an event."""
        self.had_event = True
        self.value = self._normalize(raw)

    def _normalize(self, raw: int) -> float:
        raise NotImplementedError


class _StickAxis(_Axis):
    """Stick from -1, left, to 1, right."""

    def __init__(self, conf: Stick, info: AxisInfo | None) -> None:
        super().__init__(conf.stick, info)
        self._minimum, self._maximum = sorted((conf.left, conf.right))
        self._direction = -1 if conf.right < conf.left else 1
        if info:
            as_mapped = (info.minimum, info.maximum) == (self._minimum, self._maximum)
            # P7: only a trigger has so small a range, unless the map says otherwise.
            if info.maximum - info.minimum <= MAX_TRIGGER and not as_mapped:
                self.fault = f"{self.code} is a trigger, not a stick: wrong map"
            self._minimum, self._maximum = info.minimum, info.maximum

    def _normalize(self, raw: int) -> float:
        if not self._minimum <= raw <= self._maximum:
            self.fault = f"{self.code} exceeds {self._minimum}..{self._maximum}: wrong map"
            return 0.0
        span = self._maximum - self._minimum
        return self._direction * (2 * (raw - self._minimum) - span) / span


class _TriggerAxis(_Axis):
    """Trigger from 0, released, to 1, pulled all the way."""

    def __init__(self, conf: Trigger, device: str, info: AxisInfo | None) -> None:
        super().__init__(conf.trigger, info)
        self._full = conf.full_for(device)
        if info:
            self._full = info.maximum
            self._set_fault(is_stick=not is_trigger_range(info.minimum, info.maximum))

    def _normalize(self, raw: int) -> float:
        self._set_fault(is_stick=not 0 <= raw <= MAX_TRIGGER)
        if self.fault:
            return 0.0
        # Beyond the range of the map: a pad whose triggers have the wider one.
        if raw > self._full:
            self._full = MAX_TRIGGER
        return raw / self._full

    def _set_fault(self, *, is_stick: bool) -> None:
        if is_stick:
            self.fault = f"{self.code} is a stick, not a trigger: wrong map"


def apply_dead_zone(value: float, dead_zone: float) -> float:
    """Return 0 within the dead zone, and the value rescaled outside so that the ends stay -1, 1."""
    moved = (abs(value) - dead_zone) / (1 - dead_zone)
    return copysign(moved, value) if moved > 0 else 0.0
