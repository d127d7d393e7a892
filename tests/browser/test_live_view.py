"""The page of a drive, in a real browser."""

import socket

import numpy as np
import pytest

from get_data.live.web_view import LiveView, view_url
from get_data.live.wire import DriveState
from get_data.recording.wire import Progress

FRAME = np.zeros((48, 64, 3), np.uint8)


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_recording_that_has_stopped_hides_nothing_of_the_car(tmp_path, context, watch, port):
    page = watch.page(context.new_page())
    told = {"folder": tmp_path, "resolution": (64, 48), "rate_hz": 20.0, "jpeg_quality": 90}
    with LiveView(host="127.0.0.1", port=port, **told) as view:
        view.show(FRAME, DriveState(0.0, 0.0, "press Menu", False, Progress(7, 0, 0, "")))
        page.goto(view_url("127.0.0.1", port), wait_until="domcontentloaded")
        page.wait_for_selector("#state:text('press Menu')")
        assert page.is_hidden("#stopped")
        page.wait_for_timeout(100)
        view.show(FRAME, DriveState(0.0, 0.0, "driving", True, Progress(7, 0, 0, "disk full")))
        page.wait_for_selector("#state:text('driving')")
        assert page.inner_text("#stopped").endswith("disk full")
        page.close()
