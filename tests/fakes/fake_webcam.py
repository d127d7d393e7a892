"""Stands in for cv2.VideoCapture with the V4L2 backend, and for a USB webcam.

The webcam makes pictures at its own steady pace, in real time. The kernel keeps the four oldest
that nobody has read. It sees a grey wall with a pure red square in the upper left corner; the last
pixel counts the pictures. Words make things go wrong, from the moment that they are set:

    busy       another program has it        stall      no picture comes any more
    hang       `grab` does not return        unplugged  its node is gone, and `grab` fails at once
    corrupt    every second JPEG is damaged  clockless  it gives no time stamps
    slow       half of the rate that it tells

Source: OpenCV 4.8, modules/videoio/src/cap_v4l.cpp.
"""

import math
import os
import time
from typing import ClassVar

import cv2
import numpy as np
import pytest

from car.camera import webcam

NAME = "HD Pro Webcam C920"
WORDS = {"busy", "stall", "hang", "unplugged", "corrupt", "clockless", "slow"}
MODES = {
    "YUYV": {(160, 120): (2, 4, 20, 40, 100), (640, 480): (15, 30)},
    "MJPG": {(160, 120): (20, 30), (640, 480): (15, 30, 60), (1280, 720): (30,)},
}
_KERNEL_QUEUE = 4
_LOOK_EVERY_S = 0.005
_GREY, _RED = (102, 102, 102), (0, 0, 229)  # blue, green, red


class FakeWebcam:
    """The webcam at `/dev/video0`, below a folder."""

    def __init__(self, folder) -> None:
        self.dev, self.sys = folder / "dev", folder / "sys"
        self.words = set()
        (self.sys / "video0").mkdir(parents=True)
        (self.sys / "video0/name").write_text(f"{NAME}\n")
        self.dev.mkdir()
        self.node = self.dev / "video0"
        self.behave()

    def behave(self, *words) -> None:
        """Set the words, in place of those before."""
        assert set(words) <= WORDS, f"the fake webcam does not know {set(words) - WORDS}"
        self.words = set(words)
        if "unplugged" in words:
            self.node.unlink(missing_ok=True)
        else:
            self.node.touch()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make this the only webcam of this process, until the test ends."""
        monkeypatch.setattr(VideoCapture, "webcam", self)
        monkeypatch.setattr(VideoCapture, "open_count", 0)
        monkeypatch.setattr(cv2, "VideoCapture", VideoCapture)
        monkeypatch.setattr(webcam, "_DEV", self.dev)
        monkeypatch.setattr(webcam, "_SYS", self.sys)
        monkeypatch.delenv(webcam._SELECT_TIMEOUT, raising=False)


class VideoCapture:
    """One opened device."""

    __slots__ = (
        *("_fourcc", "_grabbed", "_is_open", "_number", "_rate_hz", "_size", "_start_s"),
        "_width_set",
    )
    webcam: ClassVar[FakeWebcam | None] = None
    open_count: ClassVar[int] = 0

    def __init__(self, index, apiPreference) -> None:  # noqa: N803  as in OpenCV
        assert isinstance(index, int)
        assert apiPreference == cv2.CAP_V4L2
        self._is_open = index == 0 and self.webcam.node.exists() and not self._is("busy")
        type(self).open_count += self._is_open
        self._fourcc, self._size, self._rate_hz = "YUYV", (640, 480), 30.0
        self._width_set, self._start_s, self._number, self._grabbed = None, None, -1, False

    def _is(self, word):
        return word in self.webcam.words

    def isOpened(self):  # noqa: N802
        """Whether the device could be opened and is not released yet."""
        return self._is_open

    def set(self, propId, value):  # noqa: N803
        """Request a value; the nearest one that the webcam has is taken."""
        if not self._is_open:
            return False
        assert self._start_s is None, "a mode is set before the first picture"
        match propId:
            case cv2.CAP_PROP_FOURCC:
                wanted = int(value).to_bytes(4, "little").decode()
                self._fourcc = wanted if wanted in MODES else self._fourcc
                self._take_nearest(self._size, self._rate_hz)
            case cv2.CAP_PROP_FRAME_WIDTH:
                self._width_set = int(value)
            case cv2.CAP_PROP_FRAME_HEIGHT:
                self._take_nearest((self._width_set, int(value)), self._rate_hz)
            case cv2.CAP_PROP_FPS:
                self._take_nearest(self._size, round(value))
            case _:
                raise AssertionError(f"property {propId} is not in the fake")
        return True

    def _take_nearest(self, size, rate_hz):
        sizes = MODES[self._fourcc]
        self._size = min(sizes, key=lambda has: abs(has[0] - size[0]) + abs(has[1] - size[1]))
        self._rate_hz = float(min(sizes[self._size], key=lambda has: abs(has - rate_hz)))

    def get(self, propId):  # noqa: N803
        """Return a value, -1 for one that is not there."""
        if not self._is_open:
            return -1.0
        match propId:
            case cv2.CAP_PROP_FOURCC:
                return float(cv2.VideoWriter.fourcc(*self._fourcc))
            case cv2.CAP_PROP_FRAME_WIDTH:
                return float(self._size[0])
            case cv2.CAP_PROP_FRAME_HEIGHT:
                return float(self._size[1])
            case cv2.CAP_PROP_FPS:
                return self._rate_hz
            case cv2.CAP_PROP_POS_MSEC:
                return 0.0 if self._is("clockless") else 1000 * self._made_s(self._number)
        raise AssertionError(f"property {propId} is not in the fake")

    @property
    def _period_s(self):
        return (2 if self._is("slow") else 1) / self._rate_hz

    def _made_s(self, number):
        return self._start_s + number * self._period_s

    def grab(self):
        """Wait for a picture, as long as OpenCV does."""
        if not self._is_open:
            return False
        if self._start_s is None:
            self._start_s = time.monotonic()
        give_up_s = time.monotonic() + int(os.environ.get(webcam._SELECT_TIMEOUT, "10"))
        while self._is_open and not self._is("unplugged"):
            newest = math.floor((time.monotonic() - self._start_s) / self._period_s)
            if newest > self._number and not self._is("stall") and not self._is("hang"):
                # Further pictures were dropped, as the kernel had no room for them.
                self._number = max(self._number + 1, newest - _KERNEL_QUEUE + 1)
                self._grabbed = True
                return True
            if time.monotonic() > give_up_s and not self._is("hang"):
                break
            time.sleep(_LOOK_EVERY_S)
        return False

    def retrieve(self):
        """Decode the picture that was grabbed."""
        if not self._grabbed or (self._is("corrupt") and self._number % 2):
            return False, None
        self._grabbed = False
        width_px, height_px = self._size
        pixels = np.full((height_px, width_px, 3), _GREY, np.uint8)
        pixels[: height_px // 5, : width_px // 5] = _RED
        pixels[-1, -1] = self._number % 256
        return True, pixels

    def release(self):
        """Close the device."""
        type(self).open_count -= self._is_open
        self._is_open = self._grabbed = False
