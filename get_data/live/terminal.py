"""The drive at this moment, in a line on the terminal."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from get_data.recording.recorder import Progress

PERIOD_S = 0.1

_WHEEL_HALF = 8
_LINE_WIDTH = 79


@dataclass(frozen=True, slots=True)
class DriveState:
    """What the driver wants to know while driving.

    Steering and throttle are what the wheels are told, -1 .. 1.
    """

    steering: float
    throttle: float
    state: str
    progress: Progress
    speed_m_s: float | None = None


@contextmanager
def status_line(now: Callable[[], DriveState]) -> Iterator[None]:
    """While the block runs, a terminal shows the drive; in a thread that nothing waits for."""
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_show, args=(now, over), name="live", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=1.0)
        if not thread.is_alive():  # else the terminal is dead, and would block us too
            with suppress(OSError):
                sys.stderr.write("\n")


def _show(now: Callable[[], DriveState], over: threading.Event) -> None:
    start_s = time.monotonic()
    rate = RateMeter()
    while not over.wait(PERIOD_S):
        moment = now()
        rate.note(moment.progress.written)
        shown_line = format_line(moment, seconds=time.monotonic() - start_s, rate_hz=rate.hz)
        sys.stderr.write(f"\r{shown_line}\x1b[K")
        sys.stderr.flush()


class RateMeter:
    """How fast a count goes up, second by second."""

    def __init__(self) -> None:
        self.hz = 0.0
        self._count, self._since_s = 0, time.monotonic()

    def note(self, count: int) -> None:
        """It is that many now."""
        passed_s = time.monotonic() - self._since_s
        if passed_s >= 1.0:
            self.hz = (count - self._count) / passed_s
            self._count, self._since_s = count, self._since_s + passed_s


def format_line(moment: DriveState, *, seconds: float, rate_hz: float) -> str:
    """The drive at this moment, in less than 80 characters."""
    progress = moment.progress
    dropped = f" {progress.dropped} dropped" if progress.dropped else ""
    recorded = f", {progress.stopped}" if progress.stopped else f" {rate_hz:5.1f} Hz{dropped}"
    driven = moment.speed_m_s
    speed = f"{moment.throttle:4.0%}" if driven is None else f"{driven:3.1f} m/s"
    shown_line = (
        f"{seconds:5.1f} s {progress.written:6} pictures{recorded}  "
        f"{_wheel(moment.steering)}  {speed}  {moment.state}"
    )
    return shown_line[:_LINE_WIDTH]


def _wheel(steering: float) -> str:
    """Steering as a bar to the left or to the right of the middle."""
    length = round(min(abs(steering), 1.0) * _WHEEL_HALF)
    left = "█" * length if steering < 0 else ""
    right = "█" * length if steering > 0 else ""
    return f"{left:·>{_WHEEL_HALF}}│{right:·<{_WHEEL_HALF}}"
