"""Recording of pictures with their labels into a folder, without making the drive wait.

    with Recorder(folder, session=..., car_setting=..., classes=..., jpeg_quality=...) as recorder:
        recorder.record(frame, captured=time, steering=0.1, throttle=0.4)
    print(recorder.report)

`record` takes a frame or an encoded JPEG file, which is kept byte for byte, so that drives recorded
elsewhere can be imported, with what is known of their `origin`. An importer is in no hurry and
passes `wait=True`: then every picture is recorded, or RecordingFailed is raised.
"""

import os
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

import path
from common.child_process import ChildFailed, start_process
from common.errors import InputError, RecordingFailed
from common.times import to_microseconds
from get_data.labels import picture_file
from get_data.labels.classes import Classes
from get_data.labels.ids import format_img_id, new_session_id, parse_img_id
from get_data.labels.picture_file import NotAPicture
from get_data.recording import journal, merge
from get_data.recording.disk import MIN_FREE_BYTES
from get_data.recording.frame_queue import POLL_PERIOD_S, FrameQueue
from get_data.recording.wire import (
    HEADER_BYTES,
    QUEUE_S,
    ItemHeader,
    ItemKind,
    Origin,
    Progress,
    Report,
    StopCode,
    WriterArguments,
    WriterSettings,
)

STOP_REASONS = {
    StopCode.RECORDING: "",
    StopCode.DISK_NEARLY_FULL: "disk full",
    StopCode.DISK_FAILED: "disk failed",
}
MAX_QUEUE_BYTES = 256_000_000  # a Raspberry Pi has little memory: huge pictures get fewer seconds
WRITER_STALL_TIMEOUT_S = 120.0  # for one item of a full queue; a card that stalls takes seconds

_WRITER_EXIT_TIMEOUT_S = 120.0
_WRITER_FAILED = "the writer process failed; the next script that reads the folder repairs it"
_JPEG_OVERHEAD_BYTES = 65536  # tables and comments of a small JPEG file, or the origin of one


class Recorder:
    """A recording into one folder, which continues the `labels.json` that is there."""

    def __init__(
        self,
        folder: Path,
        *,
        session: Mapping[str, Any],
        car_setting: Mapping[str, Any],
        classes: Classes,
        rate_hz: float = 20.0,
        resolution: tuple[int, int] = (160, 120),
        jpeg_quality: int,
        max_jpeg_bytes: int = 0,
        min_free_bytes: int = MIN_FREE_BYTES,
        last_img_id_file: Path | None = None,
        started: datetime | None = None,
    ) -> None:
        """Repair what a killed recording left in the folder, and start the writer process.

        `resolution` is the largest picture's (width, height) in pixels, `max_jpeg_bytes` the size
        of the largest encoded one if that is more than its pixels have. The newest time of capture
        is kept in `last_img_id_file`, if given, for the next run's `CaptureClock`. The labels get a
        `session_id` of their own, from the time when the drive `started` (default: now).

        Raises:
            StillRecording: another process records into the folder.
            InputError: the folder holds something else than a recording, or a link in the place of
                one of its files.
            RecordingFailed: the folder cannot be written to.
        """
        self.folder = folder
        self.session_id = new_session_id(started or datetime.now(UTC))
        self.report = Report(session_id=self.session_id)
        self.dropped = 0
        self._accepted = 0
        self._waited = False
        self._after_pause = False
        self._erasures: deque[bytes] = deque()
        self._closed = False
        settings = WriterSettings(
            folder=str(folder.absolute()),
            session_id=self.session_id,
            session=dict(session),
            car_setting=dict(car_setting),
            classes=classes,
            jpeg_quality=jpeg_quality,
            min_free_bytes=min_free_bytes,
            last_img_id_file=str(last_img_id_file.absolute()) if last_img_id_file else None,
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # R10: locked before the first write
            lock_fd = journal.acquire_lock(folder)
        except OSError as error:
            raise RecordingFailed(f"{folder} cannot be recorded into: {error.strerror}") from error
        try:
            journal.check_layout(folder)
            # a journal that a killed run left is merged before this run appends to it
            self.repaired = merge.repair_locked(folder)
            self._img_ids = {
                *journal.read_ids(folder),
                *journal.read_ids(folder / journal.ERASED),
            }
            # QUEUE_S of pictures, fewer where they would fill the memory of a Pi
            picture_bytes = max(resolution[0] * resolution[1] * 3, max_jpeg_bytes)
            item_bytes = HEADER_BYTES + picture_bytes + _JPEG_OVERHEAD_BYTES
            slots = min(int(QUEUE_S * rate_hz), MAX_QUEUE_BYTES // item_bytes)
            self._queue = FrameQueue(slots=max(slots, 2), item_bytes=item_bytes)
            self._writer = self._start_writer(settings, lock_fd)
        finally:
            os.close(lock_fd)  # R10: the writer has inherited the lock

    def _start_writer(self, settings: WriterSettings, lock_fd: int) -> "subprocess.Popen[bytes]":
        """Return the writer process once it is ready; it holds the folder's lock.

        Raises:
            RecordingFailed: it did not start.
        """
        queue = self._queue.handle
        try:
            return start_process(
                "get_data.recording.writer",
                msgspec.json.encode(WriterArguments(settings, queue, lock_fd)).decode(),
                name="the writer process",
                inherited_fds=(queue.memory_fd, queue.pipe_fd, lock_fd),
            )
        except ChildFailed as error:
            self._queue.close()
            raise RecordingFailed(f"{self.folder} cannot be recorded into: {error}") from error
        finally:
            self._queue.release_handle()

    @property
    def capture_times(self) -> Iterator[datetime]:
        """Times of capture of the pictures in the folder."""
        return filter(None, map(parse_img_id, self._img_ids))

    @property
    def newest(self) -> datetime | None:
        """Time of capture of the folder's newest picture."""
        return max(self.capture_times, default=None)

    def has_picture(self, captured: datetime) -> bool:
        """Return whether the folder has a picture of that time."""
        return format_img_id(captured) in self._img_ids

    @property
    def progress(self) -> Progress:
        """Counts that the writer process last published."""
        counters = self._queue.counters
        running = self._queue.has_reader
        stopped = STOP_REASONS[StopCode(counters.stopped)] if running else "not recording"
        return Progress(counters.written, counters.erased, self.dropped, stopped)

    def record(
        self,
        picture: NDArray[np.uint8] | bytes,
        *,
        captured: datetime,
        steering: float,
        throttle: float,
        by_pilot: bool = False,
        origin: Origin | None = None,
        wait: bool = False,
    ) -> bool:
        """Queue a picture for writing; return False when it was dropped.

        `picture` is a frame (height, width, 3) in BGR, or the bytes of a JPEG file; `captured` is
        aware; steering and throttle are -1 to 1. `by_pilot`: a model gave the command, and the
        label's `created_by` says so. `origin` is for a picture that another tool took.

        A picture is dropped when the queue is full or recording has stopped. With `wait`, which is
        not for a drive, a full queue is waited for, and a stopped recording raises, here or (when
        it is found later) in `close`.

        Raises:
            InputError: the picture is invalid or too large for this recording; its time has a
                picture already; steering or throttle is out of range.
            RecordingFailed: recording has stopped (only with `wait`).
        """
        self._waited |= wait
        if self._closed or self.progress.stopped:
            return self._drop(wait=wait)
        # two pictures of one id would be one file, and the second would replace the first
        img_id = format_img_id(captured)
        if img_id in self._img_ids:
            raise InputError(f"{self.folder} has a picture of {img_id} already")
        if not (-1 <= steering <= 1 and -1 <= throttle <= 1):
            raise InputError(f"steering {steering} and throttle {throttle} must be within -1 .. 1")
        if isinstance(picture, bytes):
            kind, body = ItemKind.JPEG, memoryview(picture)
            height, width = _jpeg_shape(picture)
        elif picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3:
            kind, body = ItemKind.FRAME, np.ascontiguousarray(picture).data.cast("B")
            height, width = picture.shape[:2]
        else:
            raise InputError(f"not a frame: {picture.dtype} {picture.shape}, not uint8 (h, w, 3)")
        header = ItemHeader(
            kind,
            self._after_pause,
            to_microseconds(captured),
            width,
            height,
            steering,
            throttle,
            by_pilot,
        )
        put = self._put_waiting if wait else self._put
        # R1: once it is in the queue, the picture survives a kill of this process
        if not put(header.pack() + (msgspec.msgpack.encode(origin) if origin else b""), body):
            return self._drop(wait=wait)
        self._accepted += 1
        self._img_ids.add(img_id)
        self._after_pause = False
        return True

    def _put(self, head: bytes, body: memoryview) -> bool:
        """Put an item behind the pending erasures; return False when there is no room.

        Raises:
            InputError: the item is too large for the queue.
        """
        try:
            return self._put_erasures() and self._queue.put(head, body)
        except ValueError as error:
            raise InputError(f"{error}: record with a larger resolution") from error

    def _put_erasures(self) -> bool:
        """Put the pending erasures; return False when there was no room for all."""
        while self._erasures:
            if not self._queue.put(self._erasures[0], b""):
                return False
            self._erasures.popleft()
        return True

    def _put_waiting(self, head: bytes, body: memoryview) -> bool:
        """Put an item, waiting for room; return False when the writer has stopped."""
        taken, deadline_s = -1, 0.0
        while not self._put(head, body):
            now_s = time.monotonic()
            if self._queue.counters.taken != taken:
                taken = self._queue.counters.taken
                deadline_s = now_s + WRITER_STALL_TIMEOUT_S
            # a dead process takes nothing, and what it held is not recorded
            if now_s > deadline_s or self.progress.stopped or self._writer.poll() is not None:
                return False
            time.sleep(POLL_PERIOD_S)
        return True

    def _drop(self, *, wait: bool) -> bool:
        """Count a picture that is not recorded; return False.

        Raises:
            RecordingFailed: the caller waits, so no picture may be dropped.
        """
        self.dropped += 1
        if wait:
            default = "it was closed" if self._closed else "the writer process takes no picture"
            reason = self.progress.stopped or default
            raise RecordingFailed(
                f"{self.folder}: recording has stopped: {reason}; earlier pictures are kept"
            )
        return False

    def pause(self) -> None:
        """Count the time until the next picture as a pause, not as a gap."""
        self._after_pause = True

    def skip(self) -> None:
        """Record no picture this time, as in a pause; requested erasures are sent nevertheless.

        Called from the thread that calls `record`.
        """
        self.pause()
        if not (self._closed or self.progress.stopped):
            self._put_erasures()

    def erase(self, seconds: float) -> None:
        """Have the pictures of the last seconds moved to `erased/`.

        May be called from another thread than `record`: the request travels with the next picture,
        recorded or skipped.
        """
        self.pause()
        self._erasures.append(ItemHeader.erasure(seconds).pack())

    def close(self) -> None:
        """Wait until everything is written and merged into `labels.json`; set `report`.

        Raises:
            RecordingFailed: the writer process failed, and the next script repairs what it wrote;
                or a picture recorded with `wait` was not written.
        """
        if self._closed:
            return
        self._closed = True
        deadline_s = time.monotonic() + _WRITER_EXIT_TIMEOUT_S
        # erasures requested after the last picture have none to travel with
        while not self._put_erasures() and self._writer.poll() is None:
            if time.monotonic() > deadline_s:
                break
            time.sleep(POLL_PERIOD_S)
        # R3: the end of the queue tells the writer to merge and report
        self._queue.close()
        try:
            output, _ = self._writer.communicate(timeout=_WRITER_EXIT_TIMEOUT_S)
            self.report = msgspec.json.decode(output, type=Report)
        except (subprocess.TimeoutExpired, msgspec.DecodeError) as error:
            # R4: the counters are in shared memory and outlive the writer
            counters = self._queue.counters
            self.report = Report(
                session_id=self.session_id,
                pictures=counters.written - counters.erased,
                erased=counters.erased,
                stopped=_WRITER_FAILED,
            )
            raise RecordingFailed(f"{self.folder}: {_WRITER_FAILED}") from error
        finally:
            # items left in the queue when recording stopped are not recorded either
            unwritten = self._accepted - self.report.pictures - self.report.erased
            self.report.dropped = self.dropped + unwritten
        if self._waited:
            self.check_complete()

    def check_complete(self) -> None:
        """Raise RecordingFailed if recording stopped early, or its labels are not merged."""
        if self.report.stopped:
            raise RecordingFailed(
                f"{self.folder}: recording stopped early: {self.report.stopped}; the pictures "
                f"until then are saved{self._merge_remedy()}"
            )
        if self.report.unmerged:
            raise RecordingFailed(f"{self.folder}: the pictures are saved{self._merge_remedy()}")

    def _merge_remedy(self) -> str:
        """Return the remedy for labels that are not merged; "" when they are."""
        if not self.report.unmerged:
            return ""
        return (
            f", but their labels are still in {journal.NAME}: {self.report.unmerged}; when "
            "that is fixed, the next script that reads the folder merges them"
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


def check_available(folder: Path) -> None:
    """Check that no other process records into the folder, or that it can be created.

    Raises:
        InputError: the folder cannot be used.
        StillRecording: another process records into it.
    """
    if not folder.is_dir():
        existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        if not existing.is_dir():
            raise InputError(f"{folder} cannot be made a folder: {existing} is a file")
        return
    try:
        with journal.folder_lock(folder):
            journal.check_layout(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be recorded into: {error.strerror}") from error


def check_encodable(*folders: Path) -> None:
    """Check that the folders' paths can be passed to the writer process.

    Raises:
        InputError: a path is not UTF-8.
    """
    for folder in folders:
        absolute = path.absolute(folder)
        try:
            str(absolute).encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{absolute}: rename it to UTF-8 to record there") from error


def _jpeg_shape(jpeg: bytes) -> tuple[int, int]:
    """Return height and width of an encoded picture in pixels.

    Raises:
        InputError: the bytes are no whole JPEG.
    """
    try:
        size = picture_file.read_size(jpeg)
    except NotAPicture as error:
        raise InputError(f"the bytes are not a picture in JPEG: it {error}") from error
    return size.height_px, size.width_px
