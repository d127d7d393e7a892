"""Cameras on the Pi's camera connector, by picamera2 from the Pi's system packages.

Pictures have picamera2's format "RGB888": libcamera names bytes from the last to the first, so blue
comes first in memory. The sensor mode is requested explicitly: by default, picamera2 takes the mode
nearest to the size of the pictures, which for small pictures crops the view to its middle. Pictures
of another aspect ratio than the mode's are cropped to theirs.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any

from car.camera import timing
from car.camera.sensor_modes import WHOLE_VIEW, choose_mode, parse_modes
from car.hardware_conf import Picamera2Conf
from car.interfaces import Frame, Pixels
from common.errors import CameraFailed

_BUFFERS = 6  # one in use here, one waiting, the others on their way through the ISP
_SETTLE_TIMEOUT_S = 2.0
_STEADY_S = 0.2
_STEADY_PERIODS = 5
_STEADY_TOLERANCE = 0.02
_AE_STATE_SEARCHING = 1
_MAX_PICTURES_TO_GAINS = 20  # those queued before the change, and the delay of the sensor
_CANCEL_EVERY_S = 0.05
_PICTURES_PER_COLOUR = 3
_NOISE = 16  # of 255: a channel this dark is too noisy to compare colours
_MIN_COLOUR_RATIO = 1.2  # red over blue; 1.9 in good light, gamma being 2.2

_UPGRADE = "sudo apt update && sudo apt full-upgrade"
_CHECK_CABLE = (
    "check the camera's cable at both ends, with the Pi off, "
    "and the output of `rpicam-hello --list-cameras`"
)
_CONF = "in hardware_conf.json"


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture and its metadata."""

    pixels: Pixels
    stamp_ns: int
    captured_s: float
    period_us: int
    exposure_us: int
    analogue_gain: float
    digital_gain: float
    colour_gains: tuple[float, float] | None  # of red and of blue
    adjusting: bool
    view_px: tuple[int, int] | None

    @property
    def light(self) -> tuple[float, ...]:
        """Results of automatic exposure and white balance, to see whether they have settled."""
        gains = self.colour_gains or ()
        return (self.exposure_us * self.analogue_gain * self.digital_gain, *gains)


class PiCamera:
    """Camera that shows the whole view. One thread captures; any thread may close."""

    def __init__(
        self, conf: Picamera2Conf, *, width_px: int, height_px: int, rate_hz: float
    ) -> None:
        """Start the camera and wait until exposure and white balance have settled.

        Raises:
            CameraFailed: names what to install, to plug in or to request; the camera is released.
        """
        self._conf = conf
        self._width_px, self._height_px, self._rate_hz = width_px, height_px, rate_hz
        self._period_s = 1 / rate_hz
        self._capturing = Lock()
        self._closing = Lock()
        self._closed = False
        self._newest_ns = 0
        self._last: _Picture | None = None
        self._missed = 0
        self._locked_gains: tuple[float, float] | None = None
        library = _import_picamera2()
        self._model = _find_model(library, conf.number)
        self._camera = _open_library_camera(library, conf.number, self._model)
        try:
            with _translate_errors("the camera does not list its modes", _UPGRADE):
                self._modes = parse_modes(self._camera.sensor_modes)
            self._mode = choose_mode(self._modes, conf, rate_hz)
            self._configure()
            with _translate_errors("the camera does not start", _CHECK_CABLE):
                self._camera.start()
            settled = self._settle()
            self._view_px = settled.view_px or self._mode.view_px
            if conf.lock_exposure:
                self._lock_exposure(settled)
        except BaseException:
            with suppress(CameraFailed):  # the first failure is the one to report
                self.close()
            raise

    @property
    def missed(self) -> int:
        """Number of pictures that the sensor made and `capture` did not return."""
        return self._missed

    def describe(self) -> str:
        """Return the camera, its pictures and how much of the sensor they show, in one line."""
        full_view = max(self._modes, key=lambda mode: mode.area).view_px
        width, height = (part / full for part, full in zip(self._view_px, full_view, strict=True))
        return (
            f"{self._model}: {self._width_px}x{self._height_px} at {self._rate_hz:g} Hz, from "
            f"{self._mode.size} on the sensor, {width:.0%} of its width and {height:.0%} of its "
            "height"
        )

    def advice(self) -> str:
        """Return the option that shows the mode's whole view; "" if the pictures show it."""
        width, height = self._mode.view_px
        if self._view_px[0] * self._view_px[1] >= WHOLE_VIEW * width * height:
            return ""
        size = f"{self._width_px}x{2 * round(self._width_px * height / width / 2)}"
        return f"--resolution {size} shows all that this sensor mode sees"

    def capture(self) -> Frame:
        """Wait for the next picture, newer than the previous one, and return it.

        `captured_s` is the sensor's time stamp of the picture's first row.

        Raises:
            CameraFailed: none arrived for a second, or for five periods if that is longer.
        """
        picture = self._take(timing.picture_timeout_s(self._period_s))
        if self._last is not None:
            frames = (picture.stamp_ns - self._last.stamp_ns) / (picture.period_us * 1000)
            if frames > 1.5:
                self._missed += round(frames) - 1
        self._last = picture
        return Frame(picture.pixels, picture.captured_s)

    def measure_rate_hz(self, duration_s: float) -> float:
        """Measure for `duration_s` how many pictures arrive per second.

        Raises:
            CameraFailed: no picture arrives.
        """
        timeout_s = timing.picture_timeout_s(self._period_s)
        self._last = None
        return timing.measure_rate_hz(lambda: self._take(timeout_s).captured_s, duration_s)

    def check_colours(self) -> str:
        """Return the result of a check of the colour order, "too dark to tell" for example.

        Raises the gain of red, then that of blue, and compares which pictures are redder. White
        balance is restored afterwards.

        Raises:
            CameraFailed: red and blue are swapped.
        """
        before = self._take(timing.picture_timeout_s(self._period_s))
        if before.colour_gains is None:
            return "it sees no colours"
        red, blue = before.colour_gains
        try:
            reddish = self._measure_red_over_blue((2 * red, blue))
            bluish = self._measure_red_over_blue((red, 2 * blue))
        finally:
            if self._locked_gains is None:
                self._set_controls({"AwbEnable": True})
            else:
                self._set_gains(self._locked_gains)
        self._settle()
        self._last = None
        if reddish < bluish / _MIN_COLOUR_RATIO:
            raise CameraFailed(
                "red and blue are swapped in the pictures, which would not match those of other "
                f"cars: bring picamera2 and libcamera to one version: {_UPGRADE}"
            )
        if reddish > bluish * _MIN_COLOUR_RATIO:
            return "red is red and blue is blue"
        return "too dark to tell" if before.pixels.mean() < 128 else "too bright to tell"

    def close(self) -> None:
        """Release the camera and end a capture that waits. May be called twice.

        Raises:
            CameraFailed: the camera is not released in time.
        """
        with self._closing:
            if self._closed:
                return
            self._closed = True
        failures: list[CameraFailed] = []
        closer = Thread(target=self._release, args=[failures], name="camera closes", daemon=True)
        closer.start()
        closer.join(timing.CLOSE_TIMEOUT_S)
        if closer.is_alive():
            failures.append(
                CameraFailed(
                    f"the camera does not close within {timing.CLOSE_TIMEOUT_S:g} s; {_CHECK_CABLE}"
                )
            )
        if failures:
            raise failures[-1]

    def _release(self, failures: list[CameraFailed]) -> None:
        try:
            with _translate_errors("the camera does not close", _CHECK_CABLE):
                # A capture that waits holds the lock and ends only when it is cancelled.
                while not self._capturing.acquire(timeout=_CANCEL_EVERY_S):
                    self._camera.cancel_all_and_flush()
                self._capturing.release()  # later captures see that the camera is closed
                self._camera.close()
        except CameraFailed as error:
            failures.append(error)

    def _configure(self) -> None:
        """Request size, rate and sensor mode. Raises CameraFailed."""
        width_px, height_px = self._width_px, self._height_px
        with _translate_errors(
            "the camera refuses its settings", f"change --resolution or --rate, or: {_UPGRADE}"
        ):
            from libcamera import Transform

            frame_us = round(1e6 * self._period_s)
            flipped = self._conf.upside_down
            self._camera.configure(
                self._camera.create_video_configuration(
                    main={"size": (width_px, height_px), "format": "RGB888"},
                    sensor={
                        "output_size": (self._mode.width_px, self._mode.height_px),
                        "bit_depth": self._mode.bit_depth,
                    },
                    transform=Transform(hflip=flipped, vflip=flipped),
                    controls={"FrameDurationLimits": (frame_us, frame_us)},
                    buffer_count=_BUFFERS,
                    queue=True,
                )
            )
            main = self._camera.camera_configuration()["main"]
        nearest = "x".join(map(str, main["size"]))
        if nearest != f"{width_px}x{height_px}":
            raise CameraFailed(
                f"the camera {self._model} has no pictures of {width_px}x{height_px}; "
                f"the nearest size is {nearest}"
            )
        if main["format"] != "RGB888":
            raise CameraFailed(
                f"the camera delivers {main['format']} instead of RGB888: {_UPGRADE}"
            )

    def _settle(self) -> _Picture:
        """Wait until exposure and white balance are steady; return the newest picture.

        Flickering light never is, so the wait ends after `_SETTLE_TIMEOUT_S`.
        """
        deadline_s = time.monotonic() + _SETTLE_TIMEOUT_S
        steady_s = max(_STEADY_S, _STEADY_PERIODS * self._period_s)
        since = newest = self._take(timing.first_picture_timeout_s(self._period_s))
        while newest.adjusting or newest.captured_s - since.captured_s < steady_s:
            if time.monotonic() > deadline_s:
                break
            newest = self._take(timing.picture_timeout_s(self._period_s))
            if not _near(newest.light, since.light):
                since = newest
        return newest

    def _lock_exposure(self, picture: _Picture) -> None:
        """Fix exposure and white balance at those of a picture."""
        controls: dict[str, object] = {
            "ExposureTime": picture.exposure_us,
            "AnalogueGain": picture.analogue_gain,
        }
        if picture.colour_gains:
            controls |= {"AwbEnable": False, "ColourGains": picture.colour_gains}
        self._set_controls(controls)
        self._locked_gains = picture.colour_gains

    def _measure_red_over_blue(self, gains: tuple[float, float]) -> float:
        """Return the ratio of red to blue in pictures with these gains."""
        self._set_controls({"AwbEnable": False})
        self._set_gains(gains)
        timeout_s = timing.picture_timeout_s(self._period_s)
        pictures = [self._take(timeout_s).pixels for _ in range(_PICTURES_PER_COLOUR)]
        blue, red = (
            sum(float(pixels[..., channel].mean()) for pixels in pictures) for channel in (0, 2)
        )
        noise = _NOISE * len(pictures)
        return (red + noise) / (blue + noise)

    def _set_gains(self, gains: tuple[float, float]) -> None:
        """Set the colour gains and wait for a picture that has them. Raises CameraFailed."""
        for _ in range(_MAX_PICTURES_TO_GAINS):
            # Repeated, because gains are ignored until AwbEnable has taken effect.
            self._set_controls({"ColourGains": gains})
            actual = self._take(timing.picture_timeout_s(self._period_s)).colour_gains
            if actual and _near(actual, gains):
                return
        raise CameraFailed(f"the camera {self._model} does not follow ColourGains: {_UPGRADE}")

    def _set_controls(self, controls: dict[str, object]) -> None:
        with _translate_errors("the camera refuses its settings", _UPGRADE):
            self._camera.set_controls(controls)

    def _take(self, timeout_s: float) -> _Picture:
        """Wait for a picture newer than all before and return it. Raises CameraFailed."""
        with self._capturing:
            for wait_s in timing.divide_timeout(timeout_s):
                if self._closed:
                    raise CameraFailed("the camera is closed")
                with _translate_errors("the camera failed", _CHECK_CABLE):
                    try:
                        request = self._camera.capture_request(wait=wait_s)
                    except TimeoutError:
                        self._camera.cancel_all_and_flush()
                        continue
                    except CancelledError:
                        continue
                    try:
                        picture = _read_request(request)
                    finally:
                        request.release()
                if picture.stamp_ns > self._newest_ns:
                    self._newest_ns = picture.stamp_ns
                    return picture
        raise CameraFailed(f"no picture for {timeout_s:.1f} s: {_CHECK_CABLE}")


def _import_picamera2() -> Any:
    """Return the class Picamera2. Raises CameraFailed."""
    try:
        from picamera2 import Picamera2
    except ValueError as error:  # numpy.dtype size changed, may indicate binary incompatibility
        raise CameraFailed(
            f"picamera2 cannot be used: {error}: a system package was built for another numpy "
            "than the one in .venv: .venv/bin/python -m pip install -U simplejpeg, or create "
            ".venv anew with requirements-pi.txt"
        ) from error
    except Exception as error:
        raise CameraFailed(
            f"picamera2 cannot be used: {error}; on a Raspberry Pi: sudo apt install "
            "python3-picamera2 --no-install-recommends, and a .venv that sees system packages: "
            "python3 -m venv --system-site-packages .venv"
        ) from error
    if not hasattr(Picamera2, "cancel_all_and_flush"):  # added along with capture timeouts
        raise CameraFailed(f"picamera2 is older than 0.3.20 and may wait forever: {_UPGRADE}")
    return Picamera2


def _find_model(library: Any, number: int) -> str:
    """Return the model of a camera. Raises CameraFailed."""
    with _translate_errors("the cameras cannot be listed", _CHECK_CABLE):
        models = [str(camera.get("Model", "unknown")) for camera in library.global_camera_info()]
    if not models:
        raise CameraFailed(f"no camera is connected; {_CHECK_CABLE}")
    if number >= len(models):
        choices = ", ".join(f"{position}: {model}" for position, model in enumerate(models))
        raise CameraFailed(f"camera.number {_CONF}: no camera {number}; connected: {choices}")
    return models[number]


def _open_library_camera(library: Any, number: int, model: str) -> Any:
    """Open a camera for exclusive use. Raises CameraFailed."""
    try:
        return library(number)
    except Exception as error:
        if isinstance(error, IndexError) or "No camera number" in str(error):
            raise CameraFailed(
                f"camera {number}, {model}, was disconnected; {_CHECK_CABLE}"
            ) from error
        raise CameraFailed(
            f"camera {number}, {model}, cannot be opened: {error.__cause__ or error}; end what "
            "else uses it, such as another drive, rpicam-hello or a browser; the user has to be in "
            "the group video"
        ) from error


def _read_request(request: Any) -> _Picture:
    """Copy a request's picture and metadata."""
    metadata = request.get_metadata()
    # The stamp is documented as BOOTTIME, which counts suspension; the kernel often gives
    # MONOTONIC. A Pi is never suspended, so both are right. The clocks are read one after the
    # other; a pause in between makes the difference too small, so the largest of three is best.
    suspended_ns = max(
        time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns() for _ in range(3)
    )
    return _Picture(
        pixels=request.make_array("main"),
        stamp_ns=metadata["SensorTimestamp"],
        captured_s=(metadata["SensorTimestamp"] - suspended_ns) / 1e9,
        period_us=metadata["FrameDuration"],
        exposure_us=metadata["ExposureTime"],
        analogue_gain=metadata["AnalogueGain"],
        digital_gain=metadata["DigitalGain"],
        colour_gains=tuple(metadata["ColourGains"]) if "ColourGains" in metadata else None,
        adjusting=metadata.get("AeState") == _AE_STATE_SEARCHING
        or metadata.get("AeLocked") is False,
        view_px=metadata["ScalerCrop"][2:] if "ScalerCrop" in metadata else None,
    )


def _near(values: Sequence[float], others: Sequence[float]) -> bool:
    return all(
        abs(value - other) <= _STEADY_TOLERANCE * abs(other)
        for value, other in zip(values, others, strict=True)
    )


@contextmanager
def _translate_errors(failure: str, remedy: str) -> Iterator[None]:
    """Turn the library's errors into CameraFailed."""
    try:
        yield
    except CameraFailed:
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, RuntimeError) else repr(error)
        raise CameraFailed(f"{failure}: {reason}; {remedy}") from error
