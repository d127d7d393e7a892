"""Records pictures with their labels into a folder, without making a drive wait.

    with Recorder(folder, session=..., car_setting=..., classes=Classes()) as recorder:
        recorder.record(frame, captured=moment, steering=0.1, throttle=0.4)
    print(recorder.report)

`record` takes a frame or an already encoded JPEG file, which is kept byte for byte, so that drives
recorded elsewhere can be brought in. Whoever brings them in is in no hurry and says `wait=True`:
then every picture is recorded, or the failure is raised.
"""

import os
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

import path
from common import child_process
from common.child_process import ChildFailed
from common.errors import InputError, RecordingFailed
from common.times import to_microseconds
from get_data.labels import picture_file
from get_data.labels.classes import Classes
from get_data.labels.ids import format_img_id, parse_img_id
from get_data.labels.picture_file import NotAPicture
from get_data.recording import journal
from get_data.recording.frame_queue import POLL_PERIOD_S, FrameQueue
from get_data.recording.writer import (
    DISK_FAILED,
    DISK_NEARLY_FULL,
    ERASURE,
    FRAME,
    HEAD,
    JPEG,
    RECORDING,
    Report,
    Settings,
)

STOP_REASONS = {RECORDING: "", DISK_NEARLY_FULL: "disk full", DISK_FAILED: "disk failed"}
QUEUE_S = 3.0
QUEUE_BYTES = 256_000_000  # a Raspberry Pi has little memory: huge pictures get fewer seconds
MIN_FREE_BYTES = 200_000_000

WRITER_STALL_TIMEOUT_S = 120.0  # a picture, from a full queue; a card that stalls takes seconds

_WRITER_EXIT_TIMEOUT_S = 120.0
_ENDED_BADLY = (
    "the writing process did not end well; the next script that reads the folder repairs it"
)
_JPEG_OVERHEAD_BYTES = 65536  # tables and comments that a small JPEG file may carry


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a recording has come."""

    written: int
    erased: int
    dropped: int
    stopped: str


def check_available(folder: Path) -> None:
    """No other recording runs in the folder, or a folder can be made there.

    Raises: InputError, StillRecording.
    """
    if not folder.is_dir():
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        if not there.is_dir():
            raise InputError(f"{folder} cannot be made a folder: {there} is a file")
        return
    try:
        with journal.folder_lock(folder):
            journal.check_links(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be recorded into: {error.strerror}") from error


class Recorder:
    """Records into one folder; continues the `labels.json` that is there."""

    def __init__(
        self,
        folder: Path,
        *,
        session: Mapping[str, Any],
        car_setting: Mapping[str, Any],
        classes: Classes,
        rate_hz: float = 20.0,
        resolution: tuple[int, int] = (160, 120),
        jpeg_quality: int = 90,
        min_free_bytes: int = MIN_FREE_BYTES,
        last_img_id_file: Path | None = None,
    ) -> None:
        """Ready to record; `resolution` is the largest picture's (width, height) in pixels.

        What a killed recording left in the folder is repaired. The newest moment is kept in
        `last_img_id_file`, if given, for the next run's `CaptureClock`.

        Raises: StillRecording when another process records into the folder; InputError when what
        is there is no recording, or a link is in the place of one of its files; RecordingFailed
        when nothing can be written there.
        """
        self.folder = folder
        self.report = Report()
        self.dropped = 0
        self._accepted = 0
        self._waited = False
        self._after_pause = False
        self._erasures: deque[bytes] = deque()
        self._closed = False
        settings = Settings(
            folder=str(folder.absolute()),
            session=dict(session),
            car_setting=dict(car_setting),
            classes=classes,
            jpeg_quality=jpeg_quality,
            min_free_bytes=min_free_bytes,
            last_img_id_file=str(last_img_id_file.absolute()) if last_img_id_file else None,
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = journal.acquire_lock(folder)
        except OSError as error:
            raise RecordingFailed(f"{folder} cannot be recorded into: {error.strerror}") from error
        try:
            journal.check_links(folder)
            self.repaired = journal.repair_locked(folder)
            self._img_ids = {
                *journal.read_ids(folder),
                *journal.read_ids(folder / journal.ERASED),
            }
            pixels = resolution[0] * resolution[1]
            item_bytes = HEAD.size + pixels * 3 + _JPEG_OVERHEAD_BYTES
            slots = min(int(QUEUE_S * rate_hz), QUEUE_BYTES // item_bytes)
            self._queue = FrameQueue(slots=max(slots, 2), item_bytes=item_bytes)
            self._writer = self._start_writer(settings)
        finally:
            os.close(self._lock)  # the writer holds it from here on

    def _start_writer(self, settings: Settings) -> "subprocess.Popen[bytes]":
        """The writing process runs and holds the folder's lock; it has no terminal's signals."""
        handle = self._queue.handle
        told = {
            "settings": asdict(settings),
            "queue": asdict(handle),
            "folder_fd": self._lock,
        }
        arguments = msgspec.json.encode(told)
        try:
            return child_process.start_process(
                "get_data.recording.writer",
                arguments.decode(),
                name="the writing process",
                inherited_fds=(handle.memory_fd, handle.pipe_fd, self._lock),
            )
        except ChildFailed as error:
            self._queue.close()
            raise RecordingFailed(f"{self.folder} cannot be recorded into: {error}") from error
        finally:
            self._queue.release_handle()

    @property
    def capture_times(self) -> Iterator[datetime]:
        """The moments of the pictures that are in the folder."""
        return filter(None, map(parse_img_id, self._img_ids))

    @property
    def newest(self) -> datetime | None:
        """The moment of the newest picture that was in the folder at the start."""
        return max(self.capture_times, default=None)

    def has_picture(self, moment: datetime) -> bool:
        """Return whether the folder has a picture of that moment."""
        return format_img_id(moment) in self._img_ids

    @property
    def progress(self) -> Progress:
        """How far the recording has come, as the writing process said last."""
        counters = self._queue.counters
        stopped = STOP_REASONS[counters.stopped] if self._queue.has_reader else "not recording"
        return Progress(counters.written, counters.erased, self.dropped, stopped)

    def record(
        self,
        picture: NDArray[np.uint8] | bytes,
        *,
        captured: datetime,
        steering: float,
        throttle: float,
        wait: bool = False,
    ) -> bool:
        """Have the picture written; return False when it was dropped, the queue being full.

        `picture` is a frame (height, width, 3), blue green red, or the bytes of a JPEG file;
        `captured` is aware; steering and throttle go from -1 to 1.

        False also when recording has stopped. With `wait`, which is not for a drive, nothing is
        dropped: a full queue is waited for, and that recording has stopped is raised, here or when
        it was found later, by `close`.

        Raises: InputError for what is no picture of this recording's size, a moment that has one
        already, and steering or throttle out of range; with `wait` also RecordingFailed.
        """
        self._waited |= wait
        if self._closed or self.progress.stopped:
            return self._drop(wait=wait)
        img_id = format_img_id(captured)
        if img_id in self._img_ids:
            raise InputError(f"{self.folder} has a picture of {img_id} already")
        if not (-1 <= steering <= 1 and -1 <= throttle <= 1):
            raise InputError(f"steering {steering} and throttle {throttle} must be within -1 .. 1")
        if isinstance(picture, bytes):
            kind, body = JPEG, memoryview(picture)
            height, width = _size_of(picture)
        elif picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3:
            kind, body = FRAME, np.ascontiguousarray(picture).data.cast("B")
            height, width = picture.shape[:2]
        else:
            raise InputError(f"not a frame: {picture.dtype} {picture.shape}, not uint8 (h, w, 3)")
        moment_us = to_microseconds(captured)
        head = HEAD.pack(kind, self._after_pause, moment_us, width, height, steering, throttle)
        put = self._put_when_there_is_room if wait else self._put
        if not put(head, body):
            return self._drop(wait=wait)
        self._accepted += 1
        self._img_ids.add(img_id)
        self._after_pause = False
        return True

    def _put_when_there_is_room(self, head: bytes, body: memoryview) -> bool:
        """Put an item; return False when the writing process takes nothing more."""
        taken, give_up = -1, 0.0
        while not self._put(head, body):
            now = time.monotonic()
            if self._queue.counters.taken != taken:
                taken, give_up = self._queue.counters.taken, now + WRITER_STALL_TIMEOUT_S
            # A dead process takes nothing, and what it held is not recorded.
            if now > give_up or self.progress.stopped or self._writer.poll() is not None:
                return False
            time.sleep(POLL_PERIOD_S)
        return True

    def _drop(self, *, wait: bool) -> bool:
        """Count a picture that is not recorded; return False.

        Raises: RecordingFailed when it must not be dropped.
        """
        self.dropped += 1
        if wait:
            why = self.progress.stopped or ("closed" if self._closed else "it takes no picture")
            raise RecordingFailed(
                f"{self.folder}: recording has stopped: {why}; what was written before is kept"
            )
        return False

    def pause(self) -> None:
        """The time until the next picture counts as a pause, not as a gap."""
        self._after_pause = True

    def erase(self, seconds: float) -> None:
        """The last pictures, as many as were taken in that time, will be moved to `erased/`.

        May be called from another thread than `record`: the wish travels with the next picture.
        """
        self.pause()
        self._erasures.append(HEAD.pack(ERASURE, False, int(seconds * 1e6), 0, 0, 0.0, 0.0))

    def _put_erasures(self) -> bool:
        """The erasures wished for are in the queue; False when there was no room for all."""
        while self._erasures:
            if not self._queue.put(self._erasures[0], b""):
                return False
            self._erasures.popleft()
        return True

    def _put(self, head: bytes, body: memoryview) -> bool:
        """Put an item after the erasures wished for; return False when there is no room."""
        try:
            return self._put_erasures() and self._queue.put(head, body)
        except ValueError as error:
            raise InputError(f"{error}: record with a larger resolution") from error

    def close(self) -> None:
        """Everything recorded is on the disk, in `labels.json`; `report` says what came of it.

        Raises: RecordingFailed when the writing process did not end well; what it wrote is repaired
        by the next script. Also when a picture that was to `wait` is not recorded.
        """
        if self._closed:
            return
        self._closed = True
        give_up = time.monotonic() + _WRITER_EXIT_TIMEOUT_S
        while not self._put_erasures() and self._writer.poll() is None:
            if time.monotonic() > give_up:
                break
            time.sleep(0.01)
        self._queue.close()
        try:
            output, _ = self._writer.communicate(timeout=_WRITER_EXIT_TIMEOUT_S)
            self.report = msgspec.json.decode(output, type=Report)
        except (subprocess.TimeoutExpired, msgspec.DecodeError) as error:
            counters = self._queue.counters
            self.report = Report(
                pictures=counters.written - counters.erased,
                erased=counters.erased,
                stopped=_ENDED_BADLY,
            )
            raise RecordingFailed(f"{self.folder}: {_ENDED_BADLY}") from error
        finally:
            # What was in the queue when recording stopped is not recorded either.
            unwritten = self._accepted - self.report.pictures - self.report.erased
            self.report.dropped = self.dropped + unwritten
        if self._waited:
            self.check_complete()

    def check_complete(self) -> None:
        """All that was driven is recorded. Raises: RecordingFailed when it stopped before."""
        if self.report.stopped:
            raise RecordingFailed(
                f"{self.folder}: recording stopped early: {self.report.stopped}; the pictures "
                f"until then are saved{self._unmerged()}"
            )
        if self.report.unmerged:
            raise RecordingFailed(f"{self.folder}: the pictures are saved{self._unmerged()}")

    def _unmerged(self) -> str:
        """What has to be done before the labels stand in their file; "" when they do."""
        if not self.report.unmerged:
            return ""
        return (
            f", but their labels are still in {journal.NAME}: {self.report.unmerged}; when that is "
            "mended, the next script that reads the folder completes it"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def check_encodable(*folders: Path) -> None:
    """The writing process can be told the folders. Raises: InputError."""
    for folder in folders:
        whole = path.absolute(folder)
        try:
            str(whole).encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{whole}: to record there, rename it in UTF-8") from error


def _size_of(jpeg: bytes) -> tuple[int, int]:
    """Height and width of an encoded picture in pixels. Raises: InputError."""
    try:
        size = picture_file.read_size(jpeg)
    except NotAPicture as error:
        raise InputError(f"the bytes are not a picture in JPEG: it {error}") from error
    return size.height_px, size.width_px
