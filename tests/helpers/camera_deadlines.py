"""Long deadlines for cameras, so that a busy machine fails no unrelated test."""

from car.camera import pi_camera, timing
from tests.helpers.waiting import HANGS_S

_DEADLINES = {
    "_NO_PICTURE_S": timing,
    "_NO_FIRST_PICTURE_S": timing,
    "CLOSE_TIMEOUT_S": timing,
    "_SETTLE_TIMEOUT_S": pi_camera,
}


def relax(monkeypatch):
    """Make all deadlines long; return a function that restores some of them by name."""
    real = {name: getattr(module, name) for name, module in _DEADLINES.items()}
    for name, module in _DEADLINES.items():
        monkeypatch.setattr(module, name, HANGS_S)

    def restore(*names):
        for name in names:
            monkeypatch.setattr(_DEADLINES[name], name, real[name])

    return restore
