"""A camera on the Pi's camera connector, by picamera2, which comes with the Pi's system packages.

Pictures have picamera2's format "RGB888": libcamera names bytes from the last to the first, so blue
comes first in memory. A mode of the sensor is asked for in so many words; left to itself, picamera2
takes the one nearest to the size of the pictures, which with small pictures is a hole in the middle
of the view. Pictures of another shape than the mode's show its middle only.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any

from car import hardware_conf
from car.interfaces import COMMAND_TIMEOUT_S, Frame, Pixels
from common.errors import CameraFailed

_BUFFERS = 6  # one in our hands, one waiting for us, the others on their way through the ISP
_NO_PICTURE_S = 1.0
_NO_PICTURE_PERIODS = 5
_NO_FIRST_PICTURE_S = 3.0  # the sensor starts, and libcamera keeps the first pictures to itself
_NO_FIRST_PICTURE_PERIODS = 15
_SETTLES_WITHIN_S = 2.0
_STEADY_S = 0.2
_STEADY_PERIODS = 5
_STEADY_WITHIN = 0.02
_SEARCHING = 1  # AeStateSearching
_GAINS_WITHIN_PICTURES = 20  # those before it in the queue, and what the sensor takes
_CLOSES_WITHIN_S = 3.0
_LOOKS_AGAIN_S = 0.05
_WHOLE_VIEW = 0.95  # of the widest; some modes leave a few lines out
_FAST_ENOUGH_HZ = 0.005  # picamera2 rounds rates to 0.01 Hz
_PICTURES_A_COLOUR = 3
_NOISE = 16  # of 255: so little says nothing about colours
_TELLS_COLOURS_APART = 1.2  # red over blue; in good light 1.9, gamma being 2.2

_NEWER = "sudo apt update && sudo apt full-upgrade"
_CABLE = (
    "check the camera's cable at both ends, with the Pi off, "
    "and what `rpicam-hello --list-cameras` says"
)
_CONF = "in hardware_conf.json"


@dataclass(frozen=True, slots=True)
class SensorMode:
    """A way to read the sensor: `width_px` by `height_px` out of `view_px` of its own pixels."""

    width_px: int
    height_px: int
    bit_depth: int
    fastest_hz: float
    view_px: tuple[int, int]

    @property
    def size(self) -> str:
        """Width and height, for people."""
        return f"{self.width_px}x{self.height_px}"

    @property
    def area(self) -> int:
        """How much of the sensor is seen, in its own pixels."""
        return self.view_px[0] * self.view_px[1]


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture with what the camera says about that very one."""

    pixels: Pixels
    stamp_ns: int
    captured_s: float
    lasts_us: int
    exposure_us: int
    analogue_gain: float
    digital_gain: float
    red_and_blue: tuple[float, float] | None
    searching: bool
    view_px: tuple[int, int] | None

    @property
    def light(self) -> tuple[float, ...]:
        """What exposure and white balance have come to."""
        gains = self.red_and_blue or ()
        return (self.exposure_us * self.analogue_gain * self.digital_gain, *gains)


class PiCamera:
    """Pictures of the whole view at a steady rate. One thread captures; any thread may close."""

    def __init__(
        self, conf: hardware_conf.Camera, *, width_px: int, height_px: int, rate_hz: float
    ) -> None:
        """The camera runs; exposure and white balance have settled, and are locked if so asked.

        Raises: CameraFailed that says what to install, to plug in or to ask for, with the camera
        free again.
        """
        self._conf = conf
        self._width_px, self._height_px, self._rate_hz = width_px, height_px, rate_hz
        self._period_s = 1 / rate_hz
        self._patience_s = max(_NO_PICTURE_S, _NO_PICTURE_PERIODS * self._period_s)
        self._capturing = Lock()
        self._closing = Lock()
        self._closed = False
        self._newest_ns = 0
        self._last: _Picture | None = None
        self._missed = 0
        self._locked: tuple[float, float] | None = None  # the gains of red and blue
        library = _library()
        self._model = _connected(library, conf.number)
        self._camera = _opened(library, conf.number, self._model)
        try:
            with _explained("the camera does not tell its modes", _NEWER):
                self._modes = _modes(self._camera.sensor_modes)
            self._mode = chosen_mode(self._modes, conf, rate_hz)
            self._configure()
            with _explained("the camera does not start", _CABLE):
                self._camera.start()
            settled = self._settle()
            self._view_px = settled.view_px or self._mode.view_px
            if conf.lock_exposure:
                self._lock(settled)
        except BaseException:
            with suppress(CameraFailed):  # why it failed is what the user has to know
                self.close()
            raise

    @property
    def missed(self) -> int:
        """Pictures that the sensor made between two calls of `capture` and that neither got."""
        return self._missed

    def describe(self) -> str:
        """The camera, its pictures, and what of the sensor they show, in one line."""
        whole = max(self._modes, key=lambda mode: mode.area).view_px
        width, height = (seen / of for seen, of in zip(self._view_px, whole, strict=True))
        return (
            f"{self._model}: {self._width_px}x{self._height_px} at {self._rate_hz:g} Hz, from "
            f"{self._mode.size} on the sensor, {width:.0%} of its width and {height:.0%} of its "
            "height"
        )

    def sees_more_with(self) -> str:
        """The size of the same width that shows the mode's whole view; "" if this one does."""
        width, height = self._mode.view_px
        if self._view_px[0] * self._view_px[1] >= _WHOLE_VIEW * width * height:
            return ""
        return f"{self._width_px}x{2 * round(self._width_px * height / width / 2)}"

    def capture(self) -> Frame:
        """The next picture, newer than the one before.

        `captured_s` is the sensor's own stamp, of the picture's first row, on the machine's
        monotonic clock. Raises: CameraFailed when none came for a second, or for five periods
        where these are longer.
        """
        picture = self._take(self._patience_s)
        if self._last is not None:
            frames = (picture.stamp_ns - self._last.stamp_ns) / (picture.lasts_us * 1000)
            if frames > 1.5:
                self._missed += round(frames) - 1
        self._last = picture
        return Frame(picture.pixels, picture.captured_s)

    def measured_rate_hz(self, duration_s: float) -> float:
        """How many pictures a second came, for so long. Raises: CameraFailed."""
        first = last = self._take(self._patience_s)
        came = 0
        while not came or last.captured_s - first.captured_s < duration_s:
            last = self._take(self._patience_s)
            came += 1
        self._last = None
        return came / (last.captured_s - first.captured_s)

    def colour_order(self) -> str:
        """Whether red is red in the pictures, in a few words; "too dark to tell" if need be.

        The gain of red is raised, then that of blue, and what becomes redder is looked at; white
        balance is as it was afterwards. Raises: CameraFailed when red and blue are exchanged.
        """
        before = self._take(self._patience_s)
        if before.red_and_blue is None:
            return "it sees no colours"
        red, blue = before.red_and_blue
        try:
            reddish = self._red_over_blue((2 * red, blue))
            bluish = self._red_over_blue((red, 2 * blue))
        finally:
            if self._locked is None:
                self._control({"AwbEnable": True})
            else:
                self._follow(self._locked)
        self._settle()
        self._last = None
        if reddish < bluish / _TELLS_COLOURS_APART:
            raise CameraFailed(
                "red and blue are exchanged in the pictures: what this records would not fit what "
                f"other cars record; bring picamera2 and libcamera to one version: {_NEWER}"
            )
        if reddish > bluish * _TELLS_COLOURS_APART:
            return "red is red and blue is blue"
        return "too dark to tell" if before.pixels.mean() < 128 else "too bright to tell"

    def close(self) -> None:
        """The camera is free again, and a capture that waits has ended. May be called twice.

        Raises: CameraFailed when the camera does not let go.
        """
        with self._closing:
            if self._closed:
                return
            self._closed = True
        failures: list[CameraFailed] = []
        ending = Thread(target=self._end, args=[failures], name="camera closes", daemon=True)
        ending.start()
        ending.join(_CLOSES_WITHIN_S)
        if ending.is_alive():
            failures.append(
                CameraFailed(f"the camera does not close within {_CLOSES_WITHIN_S:g} s; {_CABLE}")
            )
        if failures:
            raise failures[-1]

    def _end(self, failures: list[CameraFailed]) -> None:
        try:
            with _explained("the camera does not close", _CABLE):
                while not self._capturing.acquire(timeout=_LOOKS_AGAIN_S):
                    self._camera.cancel_all_and_flush()
                self._capturing.release()  # whoever captures from now on sees that it is closed
                self._camera.close()
        except CameraFailed as error:
            failures.append(error)

    def _configure(self) -> None:
        """The camera is going to give what was asked. Raises: CameraFailed."""
        width_px, height_px = self._width_px, self._height_px
        with _explained(
            "the camera refuses its settings", f"ask for another size or rate, or: {_NEWER}"
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
                f"the camera {self._model} gives no pictures of {width_px}x{height_px}; "
                f"the nearest that it gives are of {nearest}"
            )
        if main["format"] != "RGB888":
            raise CameraFailed(f"the camera gives {main['format']} in place of RGB888; {_NEWER}")

    def _settle(self) -> _Picture:
        """Exposure and white balance are steady, or had long enough; returns the newest picture."""
        give_up_s = time.monotonic() + _SETTLES_WITHIN_S
        steady_s = max(_STEADY_S, _STEADY_PERIODS * self._period_s)
        since = newest = self._take(
            max(_NO_FIRST_PICTURE_S, _NO_FIRST_PICTURE_PERIODS * self._period_s)
        )
        while newest.searching or newest.captured_s - since.captured_s < steady_s:
            if time.monotonic() > give_up_s:
                break  # some light never stands still
            newest = self._take(self._patience_s)
            if not _near(newest.light, since.light):
                since = newest
        return newest

    def _lock(self, at: _Picture) -> None:
        """Exposure and white balance stay what they were in that picture."""
        locked: dict[str, object] = {
            "ExposureTime": at.exposure_us,
            "AnalogueGain": at.analogue_gain,
        }
        if at.red_and_blue:
            locked |= {"AwbEnable": False, "ColourGains": at.red_and_blue}
        self._control(locked)
        self._locked = at.red_and_blue

    def _red_over_blue(self, red_and_blue: tuple[float, float]) -> float:
        """How much more red than blue there is in the pictures, with these gains."""
        self._control({"AwbEnable": False})
        self._follow(red_and_blue)
        taken = [self._take(self._patience_s).pixels for _ in range(_PICTURES_A_COLOUR)]
        blue, red = (sum(float(one[..., channel].mean()) for one in taken) for channel in (0, 2))
        noise = _NOISE * len(taken)
        return (red + noise) / (blue + noise)

    def _follow(self, red_and_blue: tuple[float, float]) -> None:
        """The newest picture was taken with these gains. Raises: CameraFailed."""
        for _ in range(_GAINS_WITHIN_PICTURES):
            self._control({"ColourGains": red_and_blue})  # again: before AwbEnable it does nothing
            taken = self._take(self._patience_s).red_and_blue
            if taken and _near(taken, red_and_blue):
                return
        raise CameraFailed(f"the camera {self._model} does not follow ColourGains; {_NEWER}")

    def _control(self, controls: dict[str, object]) -> None:
        with _explained("the camera refuses its settings", _NEWER):
            self._camera.set_controls(controls)

    def _take(self, within_s: float) -> _Picture:
        """The next picture that is newer than all before. Raises: CameraFailed."""
        give_up_s = time.monotonic() + within_s
        held_up = False
        with self._capturing:
            while (left_s := give_up_s - time.monotonic()) > 0:
                if self._closed:
                    raise CameraFailed("the camera is closed")
                with _explained("the camera failed", _CABLE):
                    try:
                        request = self._camera.capture_request(wait=left_s)
                    except TimeoutError:
                        self._camera.cancel_all_and_flush()
                        late_s = time.monotonic() - give_up_s
                        if held_up or late_s < COMMAND_TIMEOUT_S:
                            break
                        # This process was held up, which says nothing of the camera: once more.
                        held_up, give_up_s = True, time.monotonic() + within_s
                        continue
                    except CancelledError:
                        continue
                    try:
                        picture = _picture(request)
                    finally:
                        request.release()
                if picture.stamp_ns > self._newest_ns:
                    self._newest_ns = picture.stamp_ns
                    return picture
        raise CameraFailed(f"no picture for {within_s:.1f} s: {_CABLE}")


def chosen_mode(
    modes: Sequence[SensorMode], conf: hardware_conf.Camera, rate_hz: float
) -> SensorMode:
    """The mode that `conf` names, or else the one that sees the whole view, fast enough.

    Of several, the one with the most shades and then the fewest pixels. Raises: CameraFailed that
    says which rates the view comes at, and which modes are fast enough.
    """
    if not modes:
        raise CameraFailed(
            "the camera has no sensor modes: those on USB are not supported; connect one to the "
            f"camera connector, and set camera.number {_CONF} to it"
        )
    if conf.sensor_width is None:
        widest = max(mode.area for mode in modes)
        wanted = [mode for mode in modes if mode.area >= _WHOLE_VIEW * widest]
        what = "the full view"
    else:
        size = (conf.sensor_width, conf.sensor_height)
        wanted = [mode for mode in modes if (mode.width_px, mode.height_px) == size]
        what = f"the sensor's mode {conf.sensor_width}x{conf.sensor_height}"
    if not wanted:
        raise CameraFailed(
            f"camera.sensor_width and camera.sensor_height {_CONF}: the sensor has no mode "
            f"{conf.sensor_width}x{conf.sensor_height}, only {_list(modes)}"
        )
    if fast := _fast_enough(wanted, rate_hz):
        return max(
            fast, key=lambda mode: (mode.area, mode.bit_depth, -mode.width_px * mode.height_px)
        )
    message = f"{what} does not come at {rate_hz:g} Hz: {_list(wanted)}; ask for a lower rate"
    if others := _fast_enough(modes, rate_hz):
        message += (
            f", or set camera.sensor_width and camera.sensor_height {_CONF}, which sees less: "
            f"{_list(others)}"
        )
    raise CameraFailed(message)


def _fast_enough(modes: Sequence[SensorMode], rate_hz: float) -> list[SensorMode]:
    return [mode for mode in modes if mode.fastest_hz + _FAST_ENOUGH_HZ >= rate_hz]


def _list(modes: Sequence[SensorMode]) -> str:
    fastest: dict[str, float] = {}
    for mode in modes:
        fastest[mode.size] = max(mode.fastest_hz, fastest.get(mode.size, 0.0))
    return ", ".join(f"{size} up to {rate_hz:g} Hz" for size, rate_hz in fastest.items())


def _modes(told: Sequence[dict[str, Any]]) -> list[SensorMode]:
    """What picamera2 tells of the sensor; it tells but formats of a camera on USB."""
    return [
        SensorMode(
            width_px=mode["size"][0],
            height_px=mode["size"][1],
            bit_depth=mode["bit_depth"],
            fastest_hz=mode["fps"],
            view_px=mode["crop_limits"][2:],
        )
        for mode in told
        if "size" in mode
    ]


def _library() -> Any:
    """The class Picamera2. Raises: CameraFailed."""
    try:
        from picamera2 import Picamera2
    except ValueError as error:  # numpy.dtype size changed, may indicate binary incompatibility
        raise CameraFailed(
            f"picamera2 cannot be used: {error}: a module of the system was built for another "
            "numpy than the one in .venv; say: .venv/bin/python -m pip install -U simplejpeg, or "
            "make .venv again with requirements-pi.txt"
        ) from error
    except Exception as error:
        raise CameraFailed(
            f"picamera2 cannot be used: {error}; on a Raspberry Pi: sudo apt install "
            "python3-picamera2 --no-install-recommends, and a .venv that sees system packages: "
            "python3 -m venv --system-site-packages .venv"
        ) from error
    if not hasattr(Picamera2, "cancel_all_and_flush"):  # came with captures that end in time
        raise CameraFailed(f"picamera2 is older than 0.3.20 and may wait for ever; say: {_NEWER}")
    return Picamera2


def _connected(library: Any, number: int) -> str:
    """The model of the camera of that number. Raises: CameraFailed."""
    with _explained("the cameras cannot be listed", _CABLE):
        models = [str(camera.get("Model", "unknown")) for camera in library.global_camera_info()]
    if not models:
        raise CameraFailed(f"no camera is connected; {_CABLE}")
    if number >= len(models):
        there = ", ".join(f"{position}: {model}" for position, model in enumerate(models))
        raise CameraFailed(f"camera.number {_CONF}: there is no camera {number}; there are {there}")
    return models[number]


def _opened(library: Any, number: int, model: str) -> Any:
    """The camera, ours alone. Raises: CameraFailed."""
    try:
        return library(number)
    except Exception as error:
        if isinstance(error, IndexError) or "No camera number" in str(error):
            raise CameraFailed(f"camera {number}, {model}, is gone; {_CABLE}") from error
        raise CameraFailed(
            f"camera {number}, {model}, cannot be opened: {error.__cause__ or error}; end what "
            "else uses it: another drive, rpicam-hello, a browser; the user has to be in the group "
            "video"
        ) from error


def _picture(request: Any) -> _Picture:
    """What a request holds, copied."""
    told = request.get_metadata()
    # The stamp is documented as BOOTTIME, which counts sleep; the kernel often gives MONOTONIC. A
    # Pi never sleeps, so both are right; the largest of three is the one least torn apart.
    slept_ns = max(
        time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns() for _ in range(3)
    )
    return _Picture(
        pixels=request.make_array("main"),
        stamp_ns=told["SensorTimestamp"],
        captured_s=(told["SensorTimestamp"] - slept_ns) / 1e9,
        lasts_us=told["FrameDuration"],
        exposure_us=told["ExposureTime"],
        analogue_gain=told["AnalogueGain"],
        digital_gain=told["DigitalGain"],
        red_and_blue=tuple(told["ColourGains"]) if "ColourGains" in told else None,
        searching=told.get("AeState") == _SEARCHING or told.get("AeLocked") is False,
        view_px=told["ScalerCrop"][2:] if "ScalerCrop" in told else None,
    )


def _near(values: Sequence[float], others: Sequence[float]) -> bool:
    return all(
        abs(value - other) <= _STEADY_WITHIN * abs(other)
        for value, other in zip(values, others, strict=True)
    )


@contextmanager
def _explained(what: str, remedy: str) -> Iterator[None]:
    """An error of the library becomes CameraFailed: what does not work, why, and the remedy."""
    try:
        yield
    except CameraFailed:
        raise
    except Exception as error:
        said = str(error) if isinstance(error, RuntimeError) else repr(error)
        raise CameraFailed(f"{what}: {said}; {remedy}") from error
