"""The process that writes a recording to the disk, so that the drive never waits for it.

Started by `recorder.py`, never by hand. It takes pictures from the queue, encodes and writes each,
and only then adds its label to the journal; once a second it has the disk sync. When the queue
ends, because the drive closed it or died, it merges the journal and prints a report.
Signals are not for this process: it ends with its queue.
"""

import errno
import os
import shutil
import signal
import struct
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from common.atomic_files import sync_file_system
from common.child_process import report_ready
from common.errors import InputError, ToolkitError, WriteFailed
from common.times import from_microseconds, to_microseconds
from get_data.labels import edits
from get_data.labels.classes import Classes
from get_data.labels.schema import Document
from get_data.recording import capture_clock, journal, jpeg
from get_data.recording.frame_queue import FrameQueueReader, Item, QueueHandle

SYNC_PERIOD_S = 1.0
WRITER_NICENESS = 5  # waking up, it waits until the drive has finished its turn
WORTH_A_THREAD_BYTES = 150_000  # a smaller frame is encoded before another thread wakes up
ENCODERS = 2  # threads; OpenCV encodes without holding up the one that writes

# What the queue carries before each picture: the kind of item, whether a pause came before it, the
# time of capture in microseconds since 1970, width, height, steering, throttle. For an erasure the
# time is the number of microseconds to erase.
HEAD = struct.Struct("<B?qHHdd")
FRAME, JPEG, ERASURE = range(3)

RECORDING, DISK_NEARLY_FULL, DISK_FAILED = range(3)


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for the whole recording."""

    folder: str
    session: dict[str, Any]
    car_setting: dict[str, Any]
    classes: Classes
    jpeg_quality: int
    min_free_bytes: int
    last_img_id_file: str | None


@dataclass(slots=True)
class Report:
    """What came of a recording. Gaps and durations leave pauses out.

    `dropped` is how many pictures `Recorder.record` was given and that were not recorded, `moved`
    where the folder is now, if it was renamed meanwhile.
    """

    pictures: int = 0
    bytes_written: int = 0
    erased: int = 0
    duration_s: float = 0.0
    rate_hz: float = 0.0
    longest_gap_s: float = 0.0
    directions: list[int] = field(default_factory=list)
    speeds: list[int] = field(default_factory=list)
    dropped: int = 0
    stopped: str = ""
    unmerged: str = ""
    unremembered: str = ""
    moved: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What is remembered of a picture until the end."""

    captured_us: int
    img_id: str
    direction: int
    speed: int
    after_pause: bool


class Writer:
    """Writes pictures and labels into the folder of one recording."""

    def __init__(self, settings: Settings, queue: FrameQueueReader) -> None:
        self._settings = settings
        self._queue = queue
        self._folder = Path(settings.folder)
        self._journal = journal.Journal(self._folder)
        self._taken: list[Taken] = []
        self._report = Report()
        self._over = threading.Event()
        self._newest_us = 0  # of all pictures, also of those erased since
        self._remembered_us = 0
        self._remembering = threading.Lock()

    def run(self) -> Report:
        """Everything in the queue is on the disk and merged."""
        syncing = threading.Thread(target=self._sync_each_second, name="sync")
        syncing.start()
        try:
            with ThreadPoolExecutor(ENCODERS, "encoder") as encoders:
                for batch in self._queue.batches():
                    for item, picture in [(one, self._encoding(one, encoders)) for one in batch]:
                        self._take(item, picture)
                        self._queue.release()
        finally:
            self._over.set()
            syncing.join()
            self._journal.close()
        self._remember(timedelta(0))
        try:
            journal.merge(self._folder, check_pictures=False)
        except (ToolkitError, OSError) as error:
            self._report.unmerged = str(error)
        return summed_up(self._report, self._taken, self._settings.classes)

    def _encoding(self, item: Item, encoders: Executor) -> Callable[[], bytes]:
        """What gives the JPEG file of an item; a large one's is being made meanwhile."""
        if len(item.body) < WORTH_A_THREAD_BYTES:
            return partial(self._picture, item)
        return encoders.submit(self._picture, item).result

    def _take(self, item: Item, encoding: Callable[[], bytes]) -> None:
        """The picture is on the disk with its label, or recording has stopped."""
        kind, after_pause, time_us, width, height, steering, throttle = HEAD.unpack(item.head)
        try:
            picture = encoding()
            if self._queue.counters.stopped:
                return
            if kind == ERASURE:
                self._erase(time_us)
                return
            document = edits.new_label(
                captured=from_microseconds(time_us),
                picture=picture,
                width=width,
                height=height,
                steering=steering,
                throttle=throttle,
                classes=self._settings.classes,
                session=self._settings.session,
                car_setting=self._settings.car_setting,
            )
            self._newest_us = max(self._newest_us, time_us)
            if self._newest_us > self._remembered_us:  # the first one, or the clock jumped ahead
                self._remember(capture_clock.RESERVED_AHEAD)
            self._write(picture, document)
        except (ToolkitError, OSError) as error:
            self._stop(error)
        else:
            said = document["label"]
            self._taken.append(
                Taken(
                    time_us,
                    document["img_id"],
                    said["label_direction"],
                    said["label_speed"],
                    after_pause,
                )
            )
            self._report.bytes_written += len(picture)
            self._queue.counters.written += 1

    def _picture(self, item: Item) -> bytes:
        """The JPEG file of an item; empty for an erasure. Raises: OSError."""
        kind, _, _, width, height, _, _ = HEAD.unpack(item.head)
        if kind != FRAME or self._queue.counters.stopped:
            return bytes(item.body)
        frame = np.frombuffer(item.body, np.uint8).reshape(height, width, 3)
        return jpeg.encode_jpeg(frame, self._settings.jpeg_quality)

    def _write(self, picture: bytes, document: Document) -> None:
        """The picture is there whole, then its label is; on OSError neither."""
        name = document["file_name"]
        target, temporary = (
            f"{self._folder}/{name}",
            f"{self._folder}/{journal.temporary_name(name)}",
        )
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666
        )
        try:
            try:
                journal.write_all(descriptor, picture)
            finally:
                os.close(descriptor)
            os.rename(temporary, target)  # noqa: PTH104  a path object costs as much as the renaming
            self._journal.add(document)
        except OSError:
            for half_done in (temporary, target):
                with suppress(OSError):
                    os.unlink(half_done)  # noqa: PTH108
            raise

    def _erase(self, length_us: int) -> None:
        """The last pictures, as many as were taken in that time, lie in `erased/`."""
        if not self._taken:
            return
        oldest_us = self._taken[-1].captured_us - length_us
        keep = len(self._taken)
        while keep and self._taken[keep - 1].captured_us > oldest_us:
            keep -= 1
        img_ids = [taken.img_id for taken in self._taken[keep:]]
        self._journal.erase(img_ids)
        del self._taken[keep:]
        self._report.erased += len(img_ids)
        self._queue.counters.erased += len(img_ids)
        journal.move_erased(self._folder, img_ids)

    def _sync_each_second(self) -> None:
        while True:
            over = self._over.wait(SYNC_PERIOD_S)
            try:
                sync_file_system(self._folder)
                self._remember(capture_clock.RESERVED_AHEAD)
                free_bytes = shutil.disk_usage(self._folder).free
            except (ToolkitError, OSError) as error:
                self._stop(error)
            else:
                if free_bytes < self._settings.min_free_bytes:
                    self._stop(OSError(errno.ENOSPC, "the disk is nearly full"))
            if over:
                return

    def _remember(self, ahead: timedelta) -> None:
        """The next run's pictures come after this one's, even if this process is killed.

        Where that cannot be written the pictures still are: they are worth more, and a clock that
        is right needs no memory.
        """
        with self._remembering:
            if self._settings.last_img_id_file and self._newest_us:
                until = from_microseconds(self._newest_us) + ahead
                try:
                    capture_clock.save_last_time(Path(self._settings.last_img_id_file), until)
                    self._report.unremembered = ""
                except (WriteFailed, InputError) as error:
                    self._report.unremembered = str(error)
                self._remembered_us = to_microseconds(until)  # not tried again for each picture

    def _stop(self, error: Exception) -> None:
        """Nothing more is recorded; what is there stays."""
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        self._report.stopped = self._report.stopped or str(getattr(error, "strerror", error))
        self._queue.counters.stopped = DISK_NEARLY_FULL if full else DISK_FAILED
        self._queue.publish_counters()


def summed_up(report: Report, taken: list[Taken], classes: Classes) -> Report:
    """The report with all that can be told from the pictures that were kept."""
    report.pictures = len(taken)
    report.directions = [0] * classes.nb_dir
    report.speeds = [0] * classes.nb_speed
    for one in taken:
        report.directions[one.direction] += 1
        report.speeds[one.speed] += 1
    gaps_s = [
        (later.captured_us - earlier.captured_us) / 1e6
        for earlier, later in pairwise(taken)
        if not later.after_pause
    ]
    duration_s = sum(gaps_s)
    report.longest_gap_s = round(max(gaps_s, default=0.0), 3)
    report.duration_s = round(duration_s, 3)
    report.rate_hz = round(len(gaps_s) / duration_s, 2) if duration_s else 0.0
    return report


def moved(folder: str) -> str:
    """Return where the current directory is, when that is no longer the folder; "" when it is."""
    try:
        if os.path.samestat(Path(folder).stat(), Path().stat()):
            return ""
    except OSError:
        pass
    try:
        return str(Path.cwd())
    except OSError:  # deleted; what could not be written there is told already
        return ""


def main(arguments: Mapping[str, Any]) -> None:
    """Write one recording; told by `recorder.py` where and from which queue.

    All files are opened from the current directory on, which is the locked folder itself and not
    its name: when somebody renames it, and makes another of that name, pictures and labels still
    come together.
    """
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    os.nice(WRITER_NICENESS)
    settings = msgspec.convert(arguments["settings"], Settings)
    os.fchdir(arguments["folder_fd"])
    queue = FrameQueueReader(QueueHandle(**arguments["queue"]))
    writer = Writer(replace(settings, folder="."), queue)
    report_ready()
    report = writer.run()
    report.moved = moved(settings.folder)
    try:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # the drive was killed; nobody reads the report
        os._exit(0)


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1]))
