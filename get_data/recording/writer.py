"""The process that writes a recording to disk, so that the drive never waits for the disk.

Started by `recorder.py`, never by hand. It takes pictures from the queue, encodes and writes each,
then appends its label to the journal; once a second it syncs the disk. When the queue ends, because
the drive closed it or died, it merges the journal and prints a report. It ignores signals: its end
is the end of the queue.

The rules R5 to R9 are listed in docs/architecture.md, "Ordering rules".
"""

import errno
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.atomic_files import sync_file_system
from common.child_process import report_ready
from common.errors import InputError, ToolkitError, WriteFailed
from common.times import from_microseconds, to_microseconds
from get_data.labels import edits
from get_data.labels.constants import AUTO, PILOT
from get_data.labels.schema import Document
from get_data.recording import capture_clock, journal, merge, picture_quality
from get_data.recording.frame_queue import FrameQueueReader, Item
from get_data.recording.jpeg import encode_jpeg
from get_data.recording.picture_quality import MEASURE_PERIOD_S, Measures
from get_data.recording.summary import Recorded, add_statistics
from get_data.recording.wire import (
    HEADER_BYTES,
    ItemHeader,
    ItemKind,
    Origin,
    Report,
    StopCode,
    WriterArguments,
    WriterSettings,
)

SYNC_PERIOD_S = 1.0
WRITER_NICENESS = 5  # on waking up, it lets the drive finish its turn
MIN_THREADED_BYTES = 150_000  # a smaller frame is encoded before another thread wakes up
ENCODER_THREADS = 2  # OpenCV releases the GIL while it encodes

_decode_origin = msgspec.msgpack.Decoder(Origin).decode


class Writer:
    """Writes pictures and labels into the folder of one recording."""

    def __init__(self, settings: WriterSettings, queue: FrameQueueReader) -> None:
        self._settings = settings
        self._queue = queue
        self._folder = Path(settings.folder)
        self._journal = journal.Journal(self._folder)
        self._written: list[Recorded] = []
        self._report = Report(session_id=settings.session_id)
        self._finished = threading.Event()
        self._next_measured_us = 0
        self._newest_us = 0  # of all pictures, also of those erased since
        self._reserved_us = 0
        self._reserving = threading.Lock()

    def run(self) -> Report:
        """Write everything from the queue until it ends, then merge the journal."""
        # R9: synced by a thread of its own, so that writing goes on meanwhile
        syncing = threading.Thread(target=self._sync_periodically, name="sync")
        syncing.start()
        try:
            with ThreadPoolExecutor(ENCODER_THREADS, "encoder") as encoders:
                for batch in self._queue.batches():
                    # encoded in parallel, written in the order of capture
                    encoding = [self._start_encoding(item, encoders) for item in batch]
                    for item, get_jpeg in zip(batch, encoding, strict=True):
                        self._process(item, get_jpeg)
                        # R2: the slot is given back only now, when its picture is written
                        self._queue.release()
        finally:
            self._finished.set()
            syncing.join()
            self._journal.close()
        # R5: nothing follows, so the reserve shrinks to the last id
        self._reserve_ids(timedelta(0))
        # R10: the inherited lock still holds; if the merge fails, the next script repeats it
        try:
            merge.merge(self._folder, check_pictures=False)
        except (ToolkitError, OSError) as error:
            self._report.unmerged = str(error)
        add_statistics(self._report, self._written, self._settings.classes)
        return self._report

    def _start_encoding(self, item: Item, encoders: Executor) -> Callable[[], bytes]:
        """Return a function that returns the item's JPEG file; large frames use the threads."""
        if len(item.body) < MIN_THREADED_BYTES:
            return partial(self._encode, item)
        return encoders.submit(self._encode, item).result

    def _encode(self, item: Item) -> bytes:
        """Return the JPEG file of an item; empty for an erasure.

        Raises:
            OSError: the frame cannot be encoded.
        """
        header = ItemHeader.unpack(item.head)
        if header.kind != ItemKind.FRAME or self._queue.counters.stopped:
            return bytes(item.body)
        return encode_jpeg(_frame_of(item, header), self._settings.jpeg_quality)

    def _process(self, item: Item, get_jpeg: Callable[[], bytes]) -> None:
        """Write the item's picture and label, or erase; a failure stops the recording."""
        header = ItemHeader.unpack(item.head)
        try:
            picture = get_jpeg()
            # R9: after a failure nothing more is recorded, and the queue is only emptied
            if self._queue.counters.stopped:
                return
            if header.kind == ItemKind.ERASURE:
                self._erase(header.time_us)
                return
            document = edits.new_label(
                captured=from_microseconds(header.time_us),
                picture=picture,
                width=header.width,
                height=header.height,
                steering=header.steering,
                throttle=header.throttle,
                classes=self._settings.classes,
                session=self._settings.session,
                car_setting=self._settings.car_setting,
                session_id=self._settings.session_id,
                created_by=PILOT if header.by_pilot else AUTO,
            )
            if len(item.head) > HEADER_BYTES:
                origin = _decode_origin(item.head[HEADER_BYTES:])
                document = edits.imported(
                    document,
                    session_id=origin.session_id,
                    fields=origin.fields,
                    annotation=origin.annotation,
                    to_delete=origin.to_delete,
                )
            # R5: reserve ids before the first picture, and before one beyond the reserve
            # (the clock jumped ahead)
            self._newest_us = max(self._newest_us, header.time_us)
            if self._newest_us > self._reserved_us:
                self._reserve_ids(capture_clock.RESERVED_AHEAD)
            self._write(picture, document)
        except (ToolkitError, OSError) as error:
            self._stop(error)
        else:
            annotation = document["label"]
            self._written.append(
                Recorded(
                    captured_us=header.time_us,
                    img_id=document["img_id"],
                    steering=header.steering,
                    throttle=header.throttle,
                    direction=annotation["label_direction"],
                    speed=annotation["label_speed"],
                    after_pause=header.after_pause,
                    measures=self._measure(item, header),
                )
            )
            self._report.bytes_written += len(picture)
            self._queue.counters.written += 1

    def _measure(self, item: Item, header: ItemHeader) -> Measures | None:
        """Measure a frame now and then; None for the others."""
        if header.kind != ItemKind.FRAME or header.time_us < self._next_measured_us:
            return None
        self._next_measured_us = header.time_us + int(MEASURE_PERIOD_S * 1e6)
        return picture_quality.measure(_frame_of(item, header))

    def _write(self, picture: bytes, document: Document) -> None:
        """Write a picture and its label.

        Raises:
            OSError: neither is there.
        """
        name = document["file_name"]
        target = f"{self._folder}/{name}"
        temporary = f"{self._folder}/{journal.temporary_name(name)}"
        # R6: first under a temporary name, which a repair completes or removes
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666
        )
        try:
            try:
                journal.write_all(descriptor, picture)
            finally:
                os.close(descriptor)
            # R6: the whole picture has its name before its label is in the journal
            os.rename(temporary, target)  # noqa: PTH104  a path object costs as much as the renaming
            self._journal.add(document)
        except OSError:
            # neither half stays: a repair would report the picture as damaged
            for partial_file in (temporary, target):
                with suppress(OSError):
                    os.unlink(partial_file)  # noqa: PTH108
            raise

    def _erase(self, length_us: int) -> None:
        """Move the pictures of the last microseconds to `erased/`."""
        if not self._written:
            return
        # counted back from the newest picture: the queue may lag behind the clock
        oldest_us = self._written[-1].captured_us - length_us
        keep = len(self._written)
        while keep and self._written[keep - 1].captured_us > oldest_us:
            keep -= 1
        img_ids = [written.img_id for written in self._written[keep:]]
        # R8: the erasure is durable in the journal before a picture moves
        self._journal.erase(img_ids)
        del self._written[keep:]
        self._report.erased += len(img_ids)
        self._queue.counters.erased += len(img_ids)
        merge.move_erased(self._folder, img_ids)

    def _sync_periodically(self) -> None:
        # R9: one sync a second, and one after the last picture; a failed one ends recording
        finished = False
        while not finished:
            finished = self._finished.wait(SYNC_PERIOD_S)
            try:
                sync_file_system(self._folder)
                self._reserve_ids(capture_clock.RESERVED_AHEAD)
                free_bytes = shutil.disk_usage(self._folder).free
            except (ToolkitError, OSError) as error:
                self._stop(error)
            else:
                if free_bytes < self._settings.min_free_bytes:
                    self._stop(OSError(errno.ENOSPC, "the disk is nearly full"))

    def _reserve_ids(self, ahead: timedelta) -> None:
        """Make the next run's ids follow this one's, even if this process is killed.

        A failure is reported and costs no picture: with a correct clock ids are in order anyway.
        """
        with self._reserving:
            if self._settings.last_img_id_file and self._newest_us:
                until = from_microseconds(self._newest_us) + ahead
                try:
                    capture_clock.save_last_time(Path(self._settings.last_img_id_file), until)
                    self._report.unremembered = ""
                except (WriteFailed, InputError) as error:
                    self._report.unremembered = str(error)
                self._reserved_us = to_microseconds(until)  # not retried for each picture

    def _stop(self, error: Exception) -> None:
        """Record nothing more; what is written stays."""
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        # later failures follow from the first one, which is reported
        self._report.stopped = self._report.stopped or str(getattr(error, "strerror", error))
        code = StopCode.DISK_NEARLY_FULL if full else StopCode.DISK_FAILED
        self._queue.counters.stopped = code
        self._queue.publish_counters()


def _frame_of(item: Item, header: ItemHeader) -> NDArray[np.uint8]:
    return np.frombuffer(item.body, np.uint8).reshape(header.height, header.width, 3)


def _new_path(folder: str) -> str:
    """Return the current directory if that is no longer the folder, else an empty string."""
    try:
        if os.path.samestat(Path(folder).stat(), Path().stat()):
            return ""
    except OSError:
        pass
    try:
        return str(Path.cwd())
    except OSError:  # deleted; the report has what could not be written there
        return ""


def main(argument: str) -> None:
    """Write one recording, described by WriterArguments as JSON.

    The current directory is the locked folder itself, not its name, and all files are opened
    relative to it: when somebody renames the folder, and creates another of that name, pictures and
    labels still end up together.
    """
    # R3: a signal to all processes must not end this one before the queue is drained
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    os.nice(WRITER_NICENESS)
    arguments = msgspec.json.decode(argument, type=WriterArguments)
    os.fchdir(arguments.folder_fd)
    queue = FrameQueueReader(arguments.queue)
    writer = Writer(replace(arguments.settings, folder="."), queue)
    report_ready()
    report = writer.run()
    report.moved = _new_path(arguments.settings.folder)
    try:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # the drive was killed; nobody reads the report
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
