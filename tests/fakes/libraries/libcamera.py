"""Fake of libcamera's Python module: the part that the fake picamera2 and car/ use."""


class Transform:
    """Flips of the picture; both together rotate it by 180 degrees."""

    __slots__ = ("hflip", "transpose", "vflip")

    def __init__(self, *, hflip=False, vflip=False, transpose=False):
        self.hflip = bool(hflip)
        self.vflip = bool(vflip)
        self.transpose = bool(transpose)
