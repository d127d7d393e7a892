"""A power cut costs at most the pictures after the last sync, and never a folder."""

import itertools
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from unittest.mock import patch

import msgspec
import numpy as np

from common.times import to_microseconds
from get_data.labels import label_file
from get_data.labels.classes import Classes
from get_data.labels.schema import Document
from get_data.recording import journal, merge, writer
from get_data.recording.frame_queue import FrameQueue, FrameQueueReader
from get_data.recording.wire import HEADER_BYTES, ItemHeader, ItemKind, WriterSettings
from get_data.recording.writer import Writer
from tests.conftest import START, document, save
from tests.soak.disk_log import Log, Name, Write, logged
from tests.soak.drive import SIZE, noise
from tests.soak.scripts import assert_whole_recording
from tests.soak.trials import Outcome, Property

SYNC_PERIOD_S = 0.03  # instead of a second: more of them in less time


def trial(folder: Path, random: Random) -> Outcome:
    """Cut the power while recording, merging, or repairing a killed recording."""
    drive = folder / "drive"
    drive.mkdir()
    if random.random() < 0.3:  # recorded into before
        save(drive, [document(number) for number in range(-3, 0)])
    log = Log(drive)
    log.add_existing()
    begin = len(log.operations)
    with logged(log):
        record(drive, _items(random))
    kind = random.choice(["recording", "merging", "repairing"])
    end = len(log.operations)
    if kind == "merging":
        begin = max(number for number, one in enumerate(log.operations) if _label_of(one))
    if kind == "repairing":
        end = random.randint(begin, end)
        begin = end
        log = repair_after_kill(log, end, folder / "killed")
        end = len(log.operations)
    cut = random.randint(begin, end)
    return Outcome(kind, cut_power(log, cut, random, folder / "cut"))


def repair_after_kill(log: Log, end: int, folder: Path) -> Log:
    """Repair in `folder` what a recording killed after `end` operations has left; log it too."""
    killed = log.first(end, folder)
    _lay_out(killed.contents(), folder)
    with logged(killed):
        merge.repair(folder)
    return killed


def cut_power(log: Log, cut: int, random: Random, folder: Path) -> int:
    """Cut the power after `cut` operations, check the repair, and return how many are lost."""
    _lay_out(log.after_power_cut(cut, random), folder)
    return _assert_repaired(folder, log, cut)


def _items(random: Random) -> Iterator[float | None]:
    """Items of a random recording, sent at random times."""
    for _ in range(random.randrange(10, 80)):
        if random.random() < 0.03:
            yield random.uniform(0.1, 3.0)
        yield None
        time.sleep(random.uniform(0, 0.003))


def record(folder: Path, items: Iterable[float | None]) -> None:
    """Record into the folder with the writer, here in a thread, from the first item to the merge.

    An item is a picture, or the length in seconds of an erasure. Pictures are 0.1 s apart.
    """
    queue = FrameQueue(slots=300, item_bytes=HEADER_BYTES + SIZE[0] * SIZE[1] * 3)
    settings = WriterSettings(
        session_id="20201231T15-45-00-000000-7f3a",
        folder=str(folder),
        session={"driver": "Zoé"},
        car_setting={"car": "soak"},
        classes=Classes(max_throttle=0.5),
        jpeg_quality=90,
        min_free_bytes=0,
        last_img_id_file=None,
    )
    writing = Writer(settings, FrameQueueReader(queue.handle))
    pixels = np.random.default_rng(0)
    times = (START + timedelta(milliseconds=100 * number) for number in itertools.count())
    with patch.object(writer, "SYNC_PERIOD_S", SYNC_PERIOD_S):
        thread = threading.Thread(target=writing.run)
        thread.start()
        for erased_s in items:
            if erased_s is not None:
                queue.put(ItemHeader.erasure(erased_s).pack(), b"")
                continue
            time_us = to_microseconds(next(times))
            head = ItemHeader(ItemKind.FRAME, False, time_us, *SIZE, 0.0, 0.3).pack()
            assert queue.put(head, noise(pixels).data.cast("B"))
        queue.close()
        thread.join()
    queue.release_handle()


def _lay_out(files: dict[str, bytes], folder: Path) -> None:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def _label_of(operation: object) -> Document | None:
    """Return the label that an operation writes into the journal, if any."""
    if isinstance(operation, Write) and operation.data.startswith(b'{"img_id"'):
        return msgspec.json.decode(operation.data)
    return None


def _assert_repaired(folder: Path, log: Log, cut: int) -> int:
    """Check that everything synced survived the repair; return how many pictures are lost."""
    durable = log.durable(cut)
    written = {
        label["img_id"]: label
        for operation in log.operations[:cut]
        if (label := _label_of(operation))
    }
    synced = _synced(log, cut, durable)
    merge.repair(folder)
    if not (folder / label_file.NAME).exists():  # cut before there was a recording
        assert not synced, f"lost: {sorted(synced)}"
        assert not [file for file in folder.rglob("*") if file.is_file()]
        return len(written)
    labels, erased = assert_whole_recording(folder)
    for img_id, label in {**labels, **erased}.items():
        assert label == written.get(img_id, label), f"{img_id} is not what was recorded"
    lost = synced - labels.keys() - erased.keys()
    assert not lost, f"lost though synced: {sorted(lost)}"
    restored = {
        img_id
        for number, operation in enumerate(log.operations[:cut])
        if number in durable and isinstance(operation, Write) and operation.data.startswith(b'{"er')
        for img_id in msgspec.json.decode(operation.data)[journal.ERASED]
    } & labels.keys()
    assert not restored, f"erased and restored: {sorted(restored)}"
    assert merge.repair(folder) is None
    return len(written.keys() - labels.keys() - erased.keys())


def _synced(log: Log, cut: int, durable: set[int]) -> set[str]:
    """Return the ids of the pictures that were written, with labels, before a completed sync."""
    safe = [log.operations[number] for number in sorted(durable) if number < cut]
    contents = {operation.inode for operation in safe if isinstance(operation, Write)}
    pictures = {
        Path(operation.target).stem
        for operation in safe
        if isinstance(operation, Name) and operation.inode in contents
    }
    labels = {label["img_id"] for operation in safe if (label := _label_of(operation))}
    return labels & pictures


PROPERTIES = (
    Property(
        "power_cut",
        "a power cut costs at most the pictures after the last sync, and never a folder",
        500,
        "pictures lost after the last sync",
        trial,
    ),
)
