"""Presses of a pad's controls, each from rest to rest, as its events tell them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from car.pad.devices import AxisInfo, Event
from car.pad.pad_map import AXES, HATS

MOVED = 0.25  # of its range: an axis so far from its rest has been moved
AT_REST = 0.1  # of its range: an axis so near to its rest has been released
SETTLED_S = 0.4  # without a change at rest: a press is over
HELD_S = 1.5  # without a change away from rest: the user is asked to let go
STUCK_S = 3.0  # without a change away from rest: the press is over all the same
ENDLESS_S = 20.0  # a press that lasts so long is over, whatever moves

_JITTER = 0.02  # of its range


@dataclass(frozen=True, slots=True)
class Motion:
    """Motion of an axis during a press; `before` and `after` are its values at rest."""

    minimum: int
    maximum: int
    before: int
    after: int
    low: int
    high: int

    @property
    def span(self) -> int:
        """Size of the axis's range."""
        return self.maximum - self.minimum

    @property
    def peak(self) -> int:
        """Value farthest from the rest."""
        up, down = self.high - self.before, self.before - self.low
        return self.high if up >= down else self.low

    @property
    def distance(self) -> float:
        """How far the axis went, as a share of its range."""
        return abs(self.peak - self.before) / self.span

    @property
    def reach(self) -> float:
        """How far the axis went, as a share of the way to that end of its range."""
        end = self.maximum if self.peak >= self.before else self.minimum
        return (self.peak - self.before) / (end - self.before) if end != self.before else 0.0


@dataclass(frozen=True, slots=True)
class Press:
    """Axes that were moved and buttons that were pressed, from rest to rest.

    `held` are buttons that were never released; an axis that was not has an `after` of its own.
    """

    motions: Mapping[str, Motion]
    buttons: frozenset[str]
    held: frozenset[str] = frozenset()


class PressRecorder:
    """Recorder of presses, fed with the events of a pad."""

    def __init__(self, axes: Mapping[str, AxisInfo], down: Iterable[str], now_s: float) -> None:
        """Begin with the values that the device reports, and the buttons that are down."""
        self._axes = {code: info for code, info in axes.items() if code in AXES or code in HATS}
        self._values = {code: info.value for code, info in self._axes.items()}
        self._down = set(down)
        self._axis_changed_s: dict[str, float] = {}
        self.restart(now_s)

    @property
    def down(self) -> frozenset[str]:
        """Buttons that are down."""
        return frozenset(self._down)

    def still_s(self, now_s: float) -> float:
        """Return for how long no control has changed, but for the jitter of an axis."""
        return now_s - self._changed_s

    def restless(self, now_s: float, within_s: float) -> frozenset[str]:
        """Return the axes that have changed within that time."""
        changes = self._axis_changed_s.items()
        return frozenset(code for code, changed_s in changes if now_s - changed_s < within_s)

    def leave_out(self, codes: Iterable[str]) -> None:
        """Ignore these axes from now on."""
        for code in codes:
            del self._axes[code], self._values[code]
            self._axis_changed_s.pop(code, None)
            self._moved.discard(code)

    def restart(self, now_s: float) -> None:
        """Take the present values for those at rest, and forget what was pressed."""
        self._take_rest()
        self._still = dict(self._values)  # the values that are being held
        self._moved: set[str] = set()
        self._buttons: set[str] = set()
        self._was_stuck = False
        self._changed_s = self._started_s = now_s

    @property
    def is_at_rest(self) -> bool:
        """Whether no control is moved or pressed at the moment."""
        return not self._down and not self._away(AT_REST)

    @property
    def active(self) -> dict[str, int]:
        """Values of the axes that are moved, and 1 for each button that is down, by code."""
        moved = {code: self._values[code] for code in self._away(AT_REST)}
        return moved | dict.fromkeys(sorted(self._down), 1)

    def is_held(self, now_s: float) -> bool:
        """Return whether a control has been held still for so long that it should be released."""
        return not self.is_at_rest and self.still_s(now_s) >= HELD_S

    def update(self, events: Iterable[Event], now_s: float) -> Press | None:
        """Take events; return a press when it is over: released, or held for `STUCK_S`.

        The rest of each axis is then where it is now.
        """
        for event in events:
            self._take(event, now_s)
        if not self._buttons and not self._moved:
            if self.still_s(now_s) >= SETTLED_S:
                self._take_rest()
            return None
        if self._was_stuck and not self._down and self.is_held(now_s):
            self.restart(now_s)  # released at last, to where it rests
            return None
        was_released = self.is_at_rest
        is_over = self.still_s(now_s) >= (SETTLED_S if was_released else STUCK_S)
        if not is_over and now_s - self._started_s < ENDLESS_S:
            return None
        press = Press(
            {code: self._motion(code) for code in self._moved},
            frozenset(self._buttons),
            frozenset(self._down),
        )
        self.restart(now_s)
        self._was_stuck = not was_released
        return press

    def _take_rest(self) -> None:
        """Take the present values of the axes for those at rest."""
        self._rest = dict(self._values)
        self._low, self._high = dict(self._values), dict(self._values)

    def _take(self, event: Event, now_s: float) -> None:
        code = event.code
        if code in self._axes:
            self._take_axis(code, event.value, now_s)
        elif code.startswith(("BTN_", "KEY_")) and event.value != 2:  # a held key repeats its event
            if event.value:
                self._start(now_s)
                self._buttons.add(code)
                self._down.add(code)
            else:
                self._down.discard(code)
            self._changed_s = now_s

    def _take_axis(self, code: str, value: int, now_s: float) -> None:
        span = self._span(code)
        self._values[code] = value
        self._low[code] = min(self._low[code], value)
        self._high[code] = max(self._high[code], value)
        if abs(value - self._rest[code]) >= MOVED * span and code not in self._moved:
            self._start(now_s)
            self._moved.add(code)
        if abs(value - self._still[code]) > _JITTER * span:
            self._still[code] = value
            self._changed_s = self._axis_changed_s[code] = now_s

    def _start(self, now_s: float) -> None:
        if not self._buttons and not self._moved:
            self._started_s = now_s

    def _away(self, share: float) -> list[str]:
        """Return the axes that are farther from their rest than that share of their range."""
        return [
            code
            for code, value in self._values.items()
            if abs(value - self._rest[code]) > share * self._span(code)
        ]

    def _span(self, code: str) -> int:
        return self._axes[code].maximum - self._axes[code].minimum

    def _motion(self, code: str) -> Motion:
        info = self._axes[code]
        return Motion(
            minimum=info.minimum,
            maximum=info.maximum,
            before=self._rest[code],
            after=self._values[code],
            low=self._low[code],
            high=self._high[code],
        )
