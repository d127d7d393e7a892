"""The tracks of the simulator."""

import pytest

from car.constants import TRACKS
from car.simulator.track import load_track


@pytest.fixture(params=TRACKS)
def track(request):
    return load_track(request.param)
