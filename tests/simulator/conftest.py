"""The tracks of the simulator."""

import pytest

from car.simulator.track import TRACKS, load_track


@pytest.fixture(params=TRACKS)
def track(request):
    return load_track(request.param)
