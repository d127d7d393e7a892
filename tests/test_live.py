"""The line that the driver sees on the terminal."""

import pytest

from get_data.live import terminal
from get_data.live.wire import DriveState
from get_data.recording.wire import Progress


def line(*, state="recording", stopped="", dropped=0, speed_m_s=None):
    recording = state in {"recording", "driving"}
    progress = Progress(246, 0, dropped, stopped)
    moment = DriveState(-0.25, 0.5, state, recording, progress, speed_m_s)
    return terminal.format_line(moment, seconds=12.3, rate_hz=20.0)


def test_a_line_tells_what_is_recorded_and_what_the_car_does():
    assert line(dropped=3) == (
        " 12.3 s    246 pictures  20.0 Hz 3 dropped  ······██│········   50%  recording"
    )


@pytest.mark.parametrize("stopped", ["disk full", "disk failed"])
@pytest.mark.parametrize("state", ["press Menu", "driving"])
def test_a_recording_that_has_stopped_hides_nothing_of_the_car(state, stopped):
    shown = line(state=state, stopped=stopped, dropped=9999)
    assert shown == f" 12.3 s    246 pictures, {stopped}  ······██│········   50%  {state}"
    assert len(shown) < 80


@pytest.mark.parametrize("dropped", [0, 9999])
@pytest.mark.parametrize("speed_m_s", [None, 0.0], ids=["real", "simulated"])
def test_a_waiting_recording_is_told_in_full(dropped, speed_m_s):
    shown = line(state="waiting: standing", dropped=dropped, speed_m_s=speed_m_s)
    assert shown.endswith("  waiting: standing")
    assert len(shown) < 80
