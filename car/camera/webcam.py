"""USB webcams, by OpenCV and the kernel's V4L2 interface.

A thread reads the device all the time and keeps the newest picture: `grab` takes no timeout, and
the kernel queues up old pictures while nobody reads.

Source: OpenCV 4.8 to 5.0, modules/videoio/src/cap_v4l.cpp.
"""

import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread
from typing import Any

from car import hardware_conf
from car.camera import timing
from car.interfaces import Frame
from common.errors import CameraFailed

# OpenCV turns these two into blue, green, red; others, such as NV12, it turns into red, green, blue
# in some versions. YUYV comes first, as it loses nothing; a large picture fits USB 2 as MJPG only.
_FORMATS = ("YUYV", "MJPG")
_RATE_TOLERANCE = 0.01  # 30000/1001 Hz passes for 30 Hz
_OLDEST_STAMP_S = 1.0  # an older time stamp is of another clock
_RETRY_S = 0.05
_SELECT_TIMEOUT = "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"  # of `grab`, in whole seconds; OpenCV has 10

_DEV = Path("/dev")
_SYS = Path("/sys/class/video4linux")


@dataclass(frozen=True, slots=True)
class _Mode:
    """Pixel format, size and rate of a webcam's pictures."""

    fourcc: str
    width_px: int
    height_px: int
    rate_hz: float

    def __str__(self) -> str:
        return f"{self.width_px}x{self.height_px} at {self.rate_hz:g} Hz as {self.fourcc}"

    def satisfies(self, wanted: "_Mode") -> bool:
        """Return whether this is the wanted mode, rates being rounded by the camera."""
        return (self.fourcc, self.width_px, self.height_px) == (
            wanted.fourcc,
            wanted.width_px,
            wanted.height_px,
        ) and abs(self.rate_hz - wanted.rate_hz) <= _RATE_TOLERANCE * wanted.rate_hz


class Webcam:
    """Pictures of a USB webcam. One thread captures; any thread may close."""

    def __init__(
        self, conf: hardware_conf.V4l2Conf, *, width_px: int, height_px: int, rate_hz: float
    ) -> None:
        """Open the webcam and wait for its first picture.

        Raises:
            CameraFailed: names what to plug in, to install or to request; the device is released.
        """
        self._upside_down = conf.upside_down
        self._period_s = 1 / rate_hz
        self._changed = Condition()
        self._closed = False
        self._failure = ""
        self._newest: Frame | None = None
        self._number = 0  # of the newest picture that was read
        self._last_number: int | None = None  # of the last one that was captured
        self._missed = 0
        self._node = _find_node(conf.device)
        self._name = _read_name(self._node)
        device, self._mode = _open_device(self._node, self._name, width_px, height_px, rate_hz)
        self._reader = Thread(target=self._read, args=[device], name="webcam", daemon=True)
        self._reader.start()
        try:
            self._take(timing.first_picture_timeout_s(self._period_s))
        except BaseException:
            with suppress(CameraFailed):  # the first failure is the one to report
                self.close()
            raise

    @property
    def missed(self) -> int:
        """Pictures that arrived between two calls of `capture` and were not captured."""
        return self._missed

    def describe(self) -> str:
        """Return the camera and its pictures, in one line."""
        return f"{self._name} at {self._node}: {self._mode}"

    def advice(self) -> str:
        """Return "": a webcam does not report whether its pictures are cropped."""
        return ""

    def check_colours(self) -> str:
        """Return the colour order; the two formats that are accepted leave no doubt about it."""
        return f"red is red and blue is blue, as OpenCV converts {self._mode.fourcc}"

    def capture(self) -> Frame:
        """Wait for the next picture and return it.

        `captured_s` is the kernel's time stamp.

        Raises:
            CameraFailed: none arrived for a second, or for five periods if that is longer.
        """
        frame, number = self._take(timing.picture_timeout_s(self._period_s))
        if self._last_number is not None:
            self._missed += number - self._last_number - 1
        self._last_number = number
        return frame

    def measure_rate_hz(self, duration_s: float) -> float:
        """Measure for `duration_s` how many pictures arrive per second.

        Raises:
            CameraFailed: no picture arrives.
        """
        timeout_s = timing.picture_timeout_s(self._period_s)
        self._last_number = None
        return timing.measure_rate_hz(lambda: self._take(timeout_s)[0].captured_s, duration_s)

    def close(self) -> None:
        """Release the device and end a capture that waits. May be called twice.

        Raises:
            CameraFailed: the device is not released in time.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._reader.join(timing.CLOSE_TIMEOUT_S)
        if self._reader.is_alive():
            raise CameraFailed(
                f"the camera {self._name} does not close within {timing.CLOSE_TIMEOUT_S:g} s; "
                "unplug it"
            )

    def _take(self, timeout_s: float) -> tuple[Frame, int]:
        """Return the next picture and its number. Raises CameraFailed."""
        for wait_s in timing.divide_timeout(timeout_s):
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closed or self._failure or self._newest, wait_s
                )
                if self._closed:
                    raise CameraFailed("the camera is closed")
                if self._newest:
                    frame, self._newest = self._newest, None
                    return frame, self._number
                if self._failure:
                    raise CameraFailed(self._failure)
        raise CameraFailed(
            f"no picture for {timeout_s:.1f} s from {self._name}: check its cable, plug it in again"
        )

    def _read(self, device: Any) -> None:
        """Keep the newest picture until the camera is closed or has failed; release the device."""
        try:
            while not self._closed and not self._failure:
                self._read_picture(device)
        except Exception as error:  # noqa: BLE001  whatever it is, `capture` has to report it
            self._fail(f"the camera {self._name} failed: {error!r}")
        finally:
            device.release()

    def _read_picture(self, device: Any) -> None:
        from cv2 import CAP_PROP_POS_MSEC

        if not device.grab():
            if not self._node.exists():
                self._fail(f"the camera {self._name} was unplugged from {self._node}: plug it in")
            else:
                # `capture` decides when a picture is too late; `grab` may fail at once, so sleep.
                time.sleep(_RETRY_S)
            return
        grabbed_s, stamp_s = time.monotonic(), device.get(CAP_PROP_POS_MSEC) / 1000
        decoded, pixels = device.retrieve()
        if not decoded or pixels is None:
            return  # a JPEG that USB has damaged
        if self._upside_down:
            pixels = pixels[::-1, ::-1].copy()
        is_monotonic = 0 <= grabbed_s - stamp_s <= _OLDEST_STAMP_S
        with self._changed:
            self._newest = Frame(pixels, stamp_s if is_monotonic else grabbed_s)
            self._number += 1
            self._changed.notify_all()

    def _fail(self, reason: str) -> None:
        with self._changed:
            self._failure = reason
            self._changed.notify_all()


def _find_node(device: int | str) -> Path:
    """Return the node of the device, `/dev/videoN`. Raises CameraFailed."""
    path = Path(device) if isinstance(device, str) else _DEV / f"video{device}"
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
    except FileNotFoundError as error:
        raise CameraFailed(
            f"no camera at {path} (camera.device in hardware_conf.json): plug it in; "
            "`v4l2-ctl --list-devices` lists the cameras"
        ) from error
    except PermissionError as error:
        raise CameraFailed(
            f"no permission to open the camera {path}: sudo usermod -aG video $USER, then log in "
            "again"
        ) from error
    except OSError as error:
        raise CameraFailed(
            f"the camera {path} cannot be opened: {error.strerror}; unplug it and plug it in again"
        ) from error
    node = path.resolve()  # names that stay the same, /dev/v4l/by-id/..., are links
    if not re.fullmatch(r"video\d+", node.name):
        raise CameraFailed(
            f"camera.device in hardware_conf.json: {path} is not a camera; give the N of "
            "/dev/videoN, or a path in /dev/v4l/by-id"
        )
    return node


def _read_name(node: Path) -> str:
    """Return the webcam's own name in printable characters, for messages."""
    try:
        name = (_SYS / node.name / "name").read_text(errors="replace").strip()
    except OSError:
        name = ""
    return "".join(char if char.isprintable() else "?" for char in name) or "webcam"


def _open_device(
    node: Path, name: str, width_px: int, height_px: int, rate_hz: float
) -> tuple[Any, _Mode]:
    """Open the node and set the mode. Raises CameraFailed."""
    os.environ.setdefault(_SELECT_TIMEOUT, "1")  # before OpenCV waits for the first time
    import cv2

    device = cv2.VideoCapture(int(node.name.removeprefix("video")), cv2.CAP_V4L2)
    if not device.isOpened():
        raise CameraFailed(
            f"{name} at {node} gives no pictures: end what else uses it, such as a browser or "
            "another drive, or name another node (camera.device in hardware_conf.json): a webcam "
            "has several; `v4l2-ctl --list-devices` lists them"
        )
    offers = []
    for fourcc in _FORMATS:
        wanted = _Mode(fourcc, width_px, height_px, rate_hz)
        offer = _set_mode(device, wanted)
        if offer.satisfies(wanted):
            return device, offer
        offers.append(offer)
    device.release()
    raise CameraFailed(
        f"{name} gives no pictures of {width_px}x{height_px} at {rate_hz:g} Hz; its nearest are "
        f"{', '.join(dict.fromkeys(map(str, offers)))}: change --resolution or --rate; "
        f"`v4l2-ctl -d {node} --list-formats-ext` lists all"
    )


def _set_mode(device: Any, wanted: _Mode) -> _Mode:
    """Request a mode; return the nearest one that the webcam has, which is set now."""
    import cv2

    # In this order: a format restricts the sizes, and a size restricts the rates.
    device.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*wanted.fourcc))
    device.set(cv2.CAP_PROP_FRAME_WIDTH, wanted.width_px)
    device.set(cv2.CAP_PROP_FRAME_HEIGHT, wanted.height_px)
    device.set(cv2.CAP_PROP_FPS, wanted.rate_hz)
    fourcc = int(device.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF  # -1 without a format
    return _Mode(
        fourcc.to_bytes(4, "little").decode("ascii", "replace"),
        int(device.get(cv2.CAP_PROP_FRAME_WIDTH)),
        int(device.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        device.get(cv2.CAP_PROP_FPS),
    )
