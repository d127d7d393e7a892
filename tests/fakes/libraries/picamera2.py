"""Fake of picamera2 0.3.38 with a camera: put this folder on PYTHONPATH.

The sensor takes pictures at a steady rate in real time; each needs a free buffer, or is dropped.
Unsupported calls fail, and invalid ones raise the errors of the real package; a test compares both
with the package itself.

The camera sees a grey wall in warm light with a pure red square in the upper left corner, outside
the view of the fastest mode. A picture of another shape than the mode's shows the middle of the
view; ScalerCrop says which part, in pixels of the sensor. The last pixel counts the pictures, so
that neighbouring ones differ.

The environment variable FAKE_CAMERA names a file, which may change at any time, with words that
cause faults:

    empty      no camera is connected            busy     another program uses it
    gone       it is listed, but not there       usb      it is a USB camera
    stall      no more pictures                  die      buffers cannot be returned any more
    dim, dark, bright   half of the light, almost none, far too much
    swap       red and blue are swapped          moody    the light keeps changing
    repeat     each picture comes twice, with the same timestamp
    deaf       ColourGains are ignored           hang     close() does not return
    locks      AeLocked instead of AeState       seeks    exposure never settles
    mono       a monochrome sensor, without white balance in controls and metadata
    model=imx708   size=128x120   lacks=AwbEnable   format=BGR888   results of configure()
"""

# ruff: noqa: B006, B008, FBT002  the signatures are those of the real package

import os
import threading
import time
from collections import deque
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import libcamera
import numpy as np

WORDS = {
    *("empty", "busy", "gone", "usb", "stall", "die", "dim", "dark", "bright", "swap", "moody"),
    *("repeat", "deaf", "locks", "seeks", "hang", "mono"),
}
SETTINGS = {"model", "size", "lacks", "format"}

_SRGGB10 = "SRGGB10_CSI2P"
# Model: width, height, bits, pictures a second, view. Source: picamera2#683, #1233 and #1184.
_MODES = {
    "imx219": [
        (640, 480, 10, 206.65, (1000, 752, 1280, 960)),
        (1640, 1232, 10, 41.85, (0, 0, 3280, 2464)),
        (1920, 1080, 10, 47.57, (680, 692, 1920, 1080)),
        (3280, 2464, 10, 21.19, (0, 0, 3280, 2464)),
        (640, 480, 8, 206.65, (1000, 752, 1280, 960)),
        (1640, 1232, 8, 41.85, (0, 0, 3280, 2464)),
        (1920, 1080, 8, 47.57, (680, 692, 1920, 1080)),
        (3280, 2464, 8, 21.19, (0, 0, 3280, 2464)),
    ],
    "imx708": [
        (1536, 864, 10, 120.13, (768, 432, 3072, 1728)),
        (2304, 1296, 10, 56.03, (0, 0, 4608, 2592)),
        (4608, 2592, 10, 14.35, (0, 0, 4608, 2592)),
    ],
}
_CONTROLS = {"FrameDurationLimits", "ExposureTime", "AnalogueGain", "AwbEnable", "ColourGains"}
_COLOUR_CONTROLS = {"AwbEnable", "ColourGains"}  # not of a monochrome sensor
_CHANNELS = {"RGB888": 3, "BGR888": 3, "XRGB8888": 4, "XBGR8888": 4}
_BLUE_FIRST = {"RGB888", "XRGB8888"}  # the names list the last byte first

_GREY = 0.4
_RED_SQUARE = 0.2  # of the sensor's width and height
_NEUTRAL_GAINS = 1.8, 1.5  # of red and blue, in this light
_TARGET_EXPOSURE_US = 16_000.0  # exposure times gain
_MAX_GAIN = 8.0
_DELIVERY_S = 0.001


def _read_control_file():
    """Return the flags in the control file, and its settings by name."""
    name = os.environ.get("FAKE_CAMERA")
    words = Path(name).read_text().split() if name else []
    flags = {word for word in words if "=" not in word}
    settings = dict(word.split("=") for word in words if "=" in word)
    assert flags <= WORDS, f"unknown to the fake camera: {flags - WORDS}"
    assert set(settings) <= SETTINGS, f"unknown to the fake camera: {set(settings) - SETTINGS}"
    return flags, settings


def _libcamera_error(message):
    """Return an error as libcamera itself raises it."""
    return RuntimeError(message)


@dataclass(frozen=True)
class Call:
    """A call of the package, at a time of the monotonic clock."""

    name: str
    arguments: dict
    at_s: float


calls = []


def _record(name, **arguments):
    calls.append(Call(name, arguments, time.monotonic()))


@dataclass(frozen=True)
class _Taken:
    """Settings and conditions of one picture."""

    number: int
    stamp_ns: int
    frame_us: int
    exposure_us: float
    analogue_gain: float
    red_and_blue: tuple
    searching: bool
    light: float
    view: tuple
    full_size: tuple


@dataclass
class _Sensor:
    """State that carries over from one picture to the next."""

    fastest_us: int
    view: tuple
    full_size: tuple
    frame_us: int = 0
    exposure_us: float = 4_000.0
    analogue_gain: float = 1.0
    red_and_blue: tuple = (1.0, 1.0)
    manual_exposure: bool = False
    manual_gain: bool = False
    manual_colours: bool = False

    def control(self, controls, flags):
        """Apply the controls of a buffer, in the order least favourable to a naive caller."""
        for name, value in controls.items():
            match name:
                case "FrameDurationLimits":
                    self.frame_us = max(value[0], self.fastest_us)
                case "ExposureTime":
                    self.manual_exposure = value != 0
                    self.exposure_us = value or self.exposure_us
                case "AnalogueGain":
                    self.manual_gain = value != 0
                    self.analogue_gain = value or self.analogue_gain
        if "ColourGains" in controls and self.manual_colours and "deaf" not in flags:
            self.red_and_blue = tuple(controls["ColourGains"])
        if "AwbEnable" in controls:
            self.manual_colours = not controls["AwbEnable"]

    def take(self, number, stamp_ns, flags):
        """Take a picture and move exposure and white balance closer to their targets."""
        light = 1.0
        if "moody" in flags:
            light = 2.0 if number // 8 % 2 else 0.5
        for word, factor in (("dim", 0.5), ("dark", 0.001), ("bright", 1000.0)):
            light *= factor if word in flags else 1.0
        target_us = _TARGET_EXPOSURE_US / light
        current_us = self.exposure_us * self.analogue_gain
        next_us = current_us + 0.3 * (target_us - current_us)
        if not self.manual_exposure:
            self.exposure_us = round(min(max(next_us, 75), self.frame_us))
        if not self.manual_gain:
            self.analogue_gain = min(max(next_us / self.exposure_us, 1.0), _MAX_GAIN)
        if not self.manual_colours:
            self.red_and_blue = tuple(
                current + 0.3 * (target - current)
                for current, target in zip(self.red_and_blue, _NEUTRAL_GAINS, strict=True)
            )
        return _Taken(
            number=number,
            stamp_ns=stamp_ns,
            frame_us=self.frame_us,
            exposure_us=self.exposure_us,
            analogue_gain=self.analogue_gain,
            red_and_blue=self.red_and_blue,
            searching="seeks" in flags
            or abs(self.exposure_us * self.analogue_gain - current_us) > 0.05 * current_us,
            light=light,
            view=self.view,
            full_size=self.full_size,
        )


@dataclass
class _Buffer:
    """Buffer for a picture, with the controls that it takes to the sensor."""

    controls: dict = field(default_factory=dict)


class CompletedRequest:
    """A picture with its metadata, until it is released."""

    __slots__ = ("_buffer", "_camera", "_config", "_count", "_started", "_swapped", "_taken")

    def __init__(self, request, picam2):
        self._buffer, self._taken, self._swapped = request
        self._camera = picam2
        self._config = picam2.camera_configuration()
        self._started = picam2._starts
        self._count = 1

    def acquire(self):
        """Take another reference to the picture."""
        with self._camera._lock:
            if self._count == 0:
                raise RuntimeError("CompletedRequest: acquiring lock with ref_count 0")
            self._count += 1

    def release(self):
        """Drop a reference; the last one returns the buffer, with the controls set meanwhile."""
        with self._camera._lock:
            self._count -= 1
            if self._count < 0:
                raise RuntimeError("CompletedRequest: lock now has negative ref_count")
            if self._count == 0:
                buffer, self._buffer = self._buffer, None
                self._config = {}
                if self._started == self._camera._starts and self._camera._started:
                    if "die" in _read_control_file()[0]:
                        raise _libcamera_error("Failed to queue request: No such device")
                    self._camera._queue(buffer)

    def make_array(self, name):
        """Return a copy of the picture."""
        config = self._config.get(name, None)
        if config is None:
            raise RuntimeError(f"Stream {name!r} is not defined")
        transform = self._config["transform"]
        return _pixels(self._taken, config, transform, swapped=self._swapped)

    def get_metadata(self):
        """Return the metadata of the picture in a new dictionary."""
        assert self._buffer is not None
        taken = self._taken
        metadata = {
            "SensorTimestamp": taken.stamp_ns,
            "FrameDuration": taken.frame_us,
            "ExposureTime": round(taken.exposure_us),
            "AnalogueGain": taken.analogue_gain,
            "DigitalGain": 1.0,
            "ScalerCrop": taken.view,
            "Lux": 400.0 * taken.light,
        }
        flags, _ = _read_control_file()
        if "mono" not in flags:
            metadata["ColourGains"] = taken.red_and_blue
        if "locks" in flags:
            return metadata | {"AeLocked": not taken.searching}
        return metadata | {"AeState": 1 if taken.searching else 2}


def _crop(view, size):
    """Crop the view to the shape of the pictures around its middle, as libcamera does."""
    left, top, across, down = view
    width, height = size
    seen = min(across, down * width // height), min(down, across * height // width)
    return left + (across - seen[0]) // 2, top + (down - seen[1]) // 2, *seen


def _pixels(taken, config, transform, *, swapped):
    (width, height), name = config["size"], config["format"]
    left, top, across, down = taken.view
    full_width, full_height = taken.full_size
    columns = (left + (np.arange(width) + 0.5) / width * across) / full_width
    rows = (top + (np.arange(height) + 0.5) / height * down) / full_height
    red_there = (rows[:, None] < _RED_SQUARE) & (columns < _RED_SQUARE)
    if transform.hflip:
        red_there = red_there[:, ::-1]
    if transform.vflip:
        red_there = red_there[::-1]
    seen = np.full((height, width, 3), _GREY)
    seen[red_there] = 0.9, 0.0, 0.0
    red, blue = (
        gain / neutral for gain, neutral in zip(taken.red_and_blue, _NEUTRAL_GAINS, strict=True)
    )
    exposed = taken.exposure_us * taken.analogue_gain * taken.light / _TARGET_EXPOSURE_US
    seen *= np.array([red, 1.0, blue]) * exposed * 255
    if "mono" in _read_control_file()[0]:
        seen[:] = seen.mean(axis=2, keepdims=True)
    if (name in _BLUE_FIRST) != swapped:
        seen = seen[:, :, ::-1]
    pixels = np.full((height, width, _CHANNELS[name]), 255, np.uint8)
    pixels[:, :, :3] = seen.clip(0, 255)
    pixels[-1, -1, :3] = taken.number % 256
    return pixels


class _Job:
    """Functions that wait for a picture, each until it reports success."""

    def __init__(self, functions, signal_function=None):
        self._functions = functions
        self._future = Future()
        self._future.set_running_or_notify_cancel()
        self._signal_function = signal_function
        self._result = None

    def _execute(self):
        try:
            while self._functions:
                done, self._result = self._functions[0]()
                if not done:
                    return False
                self._functions.pop(0)
        except Exception as error:  # noqa: BLE001  it is raised where the result is asked for
            self._future.set_exception(error)
        return True

    def _signal(self):
        if not self._future.done():
            self._future.set_result(self._result)
        if self._signal_function:
            self._signal_function(self)

    def get_result(self, timeout=None):
        """Wait for the result and return it.

        Raises:
            TimeoutError: it did not come in time.
            CancelledError: the job was cancelled.
        """
        return self._future.result(timeout=timeout)


class Picamera2:
    """A camera."""

    __slots__ = (
        *("_completed", "_config", "_ended", "_is_open", "_jobs", "_lock", "_mode", "_model"),
        *("_number", "_pending", "_previous", "_queued", "_sensor", "_started", "_starts"),
        "_thread",
    )
    _in_use = set()  # noqa: RUF012  numbers of the cameras that are open

    @staticmethod
    def global_camera_info():
        """Return the connected cameras."""
        flags, settings = _read_control_file()
        if "empty" in flags:
            return []
        number = "/base/axi/pcie@120000/rp1/usb@300000-1:1.0" if "usb" in flags else "i2c@88000"
        model = settings.get("model", "imx219")
        return [{"Model": model, "Location": 2, "Rotation": 180, "Id": number, "Num": 0}]

    def __init__(self, camera_num=0, verbose_console=None, tuning=None, allocator=None):
        assert (verbose_console, tuning, allocator) == (None, None, None), "not in the fake"
        _record("Picamera2", camera_num=camera_num)
        self._lock = threading.RLock()
        self._is_open = self._started = False
        self._config, self._pending, self._starts = {}, {}, 0
        self._jobs, self._completed, self._thread = [], deque(), None
        flags, settings = _read_control_file()
        if camera_num >= len(self.global_camera_info()) or "gone" in flags:
            raise RuntimeError(
                f'No camera number {camera_num} found - use "rpicam-hello --list-cameras" to check connected cameras'  # noqa: E501
            )
        try:
            if "busy" in flags or camera_num in self._in_use:
                raise _libcamera_error("Failed to acquire camera: Device or resource busy")  # noqa: TRY301
        except Exception as e:
            raise RuntimeError("Camera __init__ sequence did not complete.") from e
        self._in_use.add(camera_num)
        self._number, self._is_open = camera_num, True
        self._model = settings.get("model", "imx219")

    @property
    def sensor_modes(self):
        """Modes of the sensor; reading them configures the camera."""
        if "usb" in _read_control_file()[0]:
            return [{"format": "YUYV"}, {"format": "MJPEG"}]
        modes = []
        for width, height, bit_depth, fps, view in _MODES[self._model]:
            size, name = (width, height), _SRGGB10 if bit_depth == 10 else "SRGGB8"
            self.configure(self.create_video_configuration(raw={"format": name, "size": size}))
            modes.append(
                {
                    "format": name,
                    "unpacked": f"SRGGB{bit_depth}",
                    "bit_depth": bit_depth,
                    "size": size,
                    "fps": fps,
                    "crop_limits": view,
                    "exposure_limits": (75, 11_766_829, None),
                }
            )
        return modes

    def create_video_configuration(
        self,
        main={},
        lores=None,
        raw={},
        transform=libcamera.Transform(),
        colour_space=None,
        buffer_count=6,
        controls={},
        display="main",
        encode="main",
        queue=True,
        sensor={},
        use_case="video",
    ):
        """Create a configuration; sizes are rounded down to even ones."""
        if not self._is_open:
            raise RuntimeError("Camera not opened")
        assert lores is None, "not in the fake"
        main = self._stream({"format": "XBGR8888", "size": (1280, 720), "preserve_ar": True}, main)
        main["size"] = tuple(length - length % 2 for length in main["size"])
        return {
            "use_case": use_case,
            "transform": transform,
            "colour_space": colour_space,
            "buffer_count": buffer_count,
            "queue": queue,
            "main": main,
            "lores": None,
            "raw": self._stream({"format": _SRGGB10, "size": main["size"]}, raw),
            "controls": {"FrameDurationLimits": (33333, 33333)} | controls,
            "sensor": sensor,
            "display": display,
            "encode": encode,
        }

    @staticmethod
    def _stream(stream_config, updates):
        valid = ("format", "size", "stride", "preserve_ar")
        for key in updates:
            if key not in valid:
                raise ValueError(f"Bad key {key!r}: valid stream configuration keys are {valid}")
        return stream_config | updates

    def configure(self, camera_config=None):
        """Configure the camera, adjusting what it does not support."""
        _record("configure", camera_config=camera_config)
        if self._started:
            raise RuntimeError("Camera must be stopped before configuring")
        assert not isinstance(camera_config, str | None), "not in the fake"
        if not isinstance(camera_config, dict):
            raise TypeError("Invalid type for `camera_config` given")
        camera_config = camera_config.copy()
        for name in ("colour_space", "transform", "main", "lores", "raw"):
            if name not in camera_config:
                raise RuntimeError(f"{name!r} key expected in camera configuration")
        if not isinstance(camera_config["transform"], libcamera.Transform):
            raise RuntimeError("Transform has incorrect type")  # noqa: TRY004
        bad_keys = set(camera_config["sensor"].keys()).difference({"bit_depth", "output_size"})
        if bad_keys:
            raise RuntimeError(f"Unexpected keys {bad_keys} in sensor configuration")
        main = dict(camera_config["main"])
        if main["format"] not in _CHANNELS:
            format, name = main["format"], "main"  # noqa: A001
            raise RuntimeError("Bad format " + format + " in stream " + name)
        size = main["size"]
        if size[0] % 2 or size[1] % 2:
            raise RuntimeError("width and height should be even")
        self._check(camera_config["controls"])
        settings = _read_control_file()[1]
        if "size" in settings:
            main["size"] = tuple(map(int, settings["size"].split("x")))
        main["format"] = settings.get("format", main["format"])
        self._mode = self._nearest_mode(camera_config)
        sensor = {"bit_depth": self._mode[2], "output_size": self._mode[:2]}
        self._config = camera_config | {"main": main, "sensor": sensor}

    def _nearest_mode(self, config):
        """Return the mode closest to the request, by picamera2's score."""
        raw, sensor = config["raw"], config["sensor"]
        bit_depth = sensor.get("bit_depth", 10 if "10" in raw["format"] else 8)
        output_size = sensor.get("output_size", raw["size"])

        def penalty(desired, actual):
            return (actual - desired) / 4 if desired < actual else (desired - actual) * 2

        def score(mode):
            shape = penalty(output_size[0] / output_size[1], mode[0] / mode[1])
            sizes = penalty(output_size[0], mode[0]) + penalty(output_size[1], mode[1])
            return sizes + 1500 * shape + 500 * abs(bit_depth - mode[2])

        return min(_MODES[self._model], key=score)

    def camera_configuration(self):
        """Return the configuration in effect."""
        return self._config

    def start(self, config=None, show_preview=False):
        """Start taking pictures."""
        _record("start")
        assert not show_preview, "not in the fake"
        if config is not None:
            self.configure(config)
        if not self._config:
            raise RuntimeError("Camera has not been configured")
        if self._started:
            return
        with self._lock:
            _, _, _, fastest_hz, view = self._mode
            widest = max((mode[4] for mode in _MODES[self._model]), key=lambda each: each[2])
            assert self._config["main"]["preserve_ar"], "not in the fake"
            view = _crop(view, self._config["main"]["size"])
            self._sensor = _Sensor(round(1e6 / fastest_hz), view, widest[2:])
            self._sensor.control(self._config["controls"] | self._pending, set())
            self._pending, self._previous = {}, None
            self._queued = deque(_Buffer() for _ in range(self._config["buffer_count"]))
            self._started, self._ended = True, threading.Event()
            self._starts += 1
            self._thread = threading.Thread(target=self._run, name="fake sensor", daemon=True)
            self._thread.start()

    def _run(self):
        at_ns = time.monotonic_ns()
        boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - at_ns
        number = 0
        while not self._ended.wait(max(0.0, (at_ns / 1e9) + _DELIVERY_S - time.monotonic())):
            with self._lock:
                try:
                    done = self._frame(number, at_ns + boot_ns)
                except RuntimeError:
                    return  # as the real thread that returns buffers does
                at_ns += self._sensor.frame_us * 1000
            for job in done:
                job._signal()
            number += 1

    def _frame(self, number, stamp_ns):
        """Take a picture and give it to the waiting jobs; return the finished ones."""
        flags, _ = _read_control_file()
        if "stall" in flags or not self._queued:
            return []  # the sensor continues
        buffer = self._queued.popleft()
        self._sensor.control(buffer.controls, flags)
        taken = self._sensor.take(number, stamp_ns, flags)
        if "repeat" in flags and number % 2 and self._previous is not None:
            taken = replace(self._previous, number=number)
        self._previous = taken
        self._completed.append(CompletedRequest((buffer, taken, "swap" in flags), self))
        done = self._work()
        kept = 1 if self._config["queue"] and self._config["buffer_count"] > 1 else 0
        while len(self._completed) > kept:
            self._completed.popleft().release()
        return done

    def _work(self):
        done = []
        while self._jobs and self._jobs[0]._execute():
            done.append(self._jobs.pop(0))
        return done

    def _queue(self, buffer):
        buffer.controls, self._pending = self._pending, {}
        self._queued.append(buffer)

    def stop(self):
        """Stop taking pictures."""
        _record("stop")
        with self._lock:
            if not self._started:
                return
            self._started = False
            self._ended.set()
        self._thread.join()
        self._completed.clear()

    def close(self):
        """Release the camera. May be called twice."""
        _record("close")
        if not self._is_open:
            return
        while "hang" in _read_control_file()[0]:
            time.sleep(0.01)
        self.stop()
        self._is_open = False
        self._in_use.discard(self._number)
        self._config = {}

    def set_controls(self, controls):
        """Send the controls with the next buffer given to the camera."""
        _record("set_controls", controls=controls)
        with self._lock:
            self._check(controls)
            self._pending |= controls

    def _check(self, controls):
        flags, settings = _read_control_file()
        missing = {settings.get("lacks")} | (_COLOUR_CONTROLS if "mono" in flags else set())
        for name in controls:
            if name not in _CONTROLS - missing or not self._is_open:
                raise RuntimeError(f"Control {name} is not advertised by libcamera")

    def _dispatch(self, functions, wait, signal_function):
        if wait is None:
            wait = signal_function is None
        timeout = wait
        if timeout is True:
            timeout = None
        job = _Job(functions, signal_function)
        with self._lock:
            self._jobs.append(job)
            can_run = len(self._jobs) == 1 and self._started
            done = self._work() if can_run and self._completed else []
        for each in done:
            each._signal()
        return job.get_result(timeout=timeout) if wait else job

    def _wait_for_timestamp(self, timestamp_ns):
        if not timestamp_ns:
            return True, None
        while self._completed:
            metadata = self._completed[0].get_metadata()
            if metadata["SensorTimestamp"] - 1000 * metadata["ExposureTime"] >= timestamp_ns:
                return True, None
            self._completed.popleft().release()
        return False, None

    def _pop(self):
        return (True, self._completed.popleft()) if self._completed else (False, None)

    def capture_request(self, wait=None, signal_function=None, flush=None):
        """Return the next picture, to be released; `wait` may be a timeout."""
        _record("capture_request", wait=wait)
        if flush is True:
            flush = time.monotonic_ns()
        functions = [partial(self._wait_for_timestamp, flush), self._pop]
        return self._dispatch(functions, wait, signal_function)

    @contextmanager
    def captured_request(self, wait=None, flush=None):
        """Yield the next picture and release it after the block."""
        request = self.capture_request(wait=wait, flush=flush)
        try:
            yield request
        finally:
            request.release()

    def _arrays(self, names):
        if not self._completed:
            return False, None
        request = self._completed.popleft()
        result = [request.make_array(name) for name in names], request.get_metadata()
        request.release()
        return True, result

    def _array(self, name):
        done, result = self._arrays([name])
        return done, result[0][0] if done else None

    def capture_array(self, name="main", wait=None, signal_function=None):
        """Return the pixels of the next picture."""
        return self._dispatch([partial(self._array, name)], wait, signal_function)

    def capture_arrays(self, names=["main"], wait=None, signal_function=None):
        """Return the pixels of the next picture, and its metadata."""
        return self._dispatch([partial(self._arrays, names)], wait, signal_function)

    def cancel_all_and_flush(self):
        """Cancel all waiting jobs with CancelledError."""
        _record("cancel_all_and_flush")
        with self._lock:
            for job in self._jobs:
                job._future.set_exception(CancelledError())
            self._jobs = []
