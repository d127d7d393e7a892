"""Stands in for libcamera's Python module: as much of it as the fake picamera2 and ours use."""


class Transform:
    """How pictures are turned; two flips are half a turn."""

    __slots__ = ("hflip", "transpose", "vflip")

    def __init__(self, *, hflip=False, vflip=False, transpose=False):
        self.hflip = bool(hflip)
        self.vflip = bool(vflip)
        self.transpose = bool(transpose)
