"""The state of a drive as one line on the terminal."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from get_data.live.rate_meter import RateMeter
from get_data.live.wire import DriveState

PERIOD_S = 0.1

_BAR_HALF_WIDTH = 8
_LINE_WIDTH = 79


@contextmanager
def status_line(get_state: Callable[[], DriveState]) -> Iterator[None]:
    """Show the drive while the block runs, if stderr is a terminal.

    A thread writes the line, so that a hanging terminal does not block the drive.
    """
    if not sys.stderr.isatty():
        yield
        return
    finished = threading.Event()
    thread = threading.Thread(target=_refresh, args=(get_state, finished), name="live", daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join(timeout=1.0)
        if not thread.is_alive():  # else the terminal hangs, and would block this thread too
            with suppress(OSError):
                sys.stderr.write("\n")


def _refresh(get_state: Callable[[], DriveState], finished: threading.Event) -> None:
    start_s = time.monotonic()
    rate = RateMeter()
    while not finished.wait(PERIOD_S):
        state = get_state()
        rate.update(state.progress.written)
        line = format_line(state, seconds=time.monotonic() - start_s, rate_hz=rate.hz)
        sys.stderr.write(f"\r{line}\x1b[K")
        sys.stderr.flush()


def format_line(state: DriveState, *, seconds: float, rate_hz: float) -> str:
    """Return the line, shorter than 80 characters."""
    progress = state.progress
    dropped = f" {progress.dropped} dropped" if progress.dropped else ""
    rate = f" {rate_hz:5.1f} Hz"
    speed_m_s = state.speed_m_s
    speed = f"{state.throttle:4.0%}" if speed_m_s is None else f"{speed_m_s:3.1f} m/s"
    car = f"{_format_steering(state.steering)}  {speed}  {state.state}"
    if progress.stopped:
        recorded = [f", {progress.stopped}"]
    elif state.recording:
        recorded = [rate + dropped]
    else:  # a long state takes the place of the rate, which is 0 then, and of what was dropped
        recorded = [rate + dropped, dropped, ""]
    lines = [f"{seconds:5.1f} s {progress.written:6} pictures{text}  {car}" for text in recorded]
    return next((line for line in lines if len(line) <= _LINE_WIDTH), lines[-1])[:_LINE_WIDTH]


def _format_steering(steering: float) -> str:
    """Return a bar to the left or to the right of the middle."""
    length = round(min(abs(steering), 1.0) * _BAR_HALF_WIDTH)
    left = "█" * length if steering < 0 else ""
    right = "█" * length if steering > 0 else ""
    return f"{left:·>{_BAR_HALF_WIDTH}}│{right:·<{_BAR_HALF_WIDTH}}"
