"""The disk that a recording goes to: how long it lasts, and how fast it takes a picture."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common.atomic_files import sync
from common.errors import RecordingFailed
from common.preflight import Check, CheckResult
from get_data.recording.recorder import MIN_FREE_BYTES, QUEUE_S

PICTURES_TRIED = 20
SLOW_S = 1.0
SOON_FULL_MINUTES = 10.0

_BLOCK_BYTES = 4096  # what a small file takes at least
_LABEL_BYTES = 1500
_PICTURE_BYTES = 10_000


def minutes_left(free_bytes: int, *, picture_bytes: float, rate_hz: float) -> float:
    """How long a recording can go on before it stops to leave the disk some room."""
    taken = -(-picture_bytes // _BLOCK_BYTES) * _BLOCK_BYTES + _LABEL_BYTES
    return max(free_bytes - MIN_FREE_BYTES, 0) / (taken * rate_hz * 60)


def create_checks(
    folder: Path, picture: Callable[[], bytes], *, rate_hz: float
) -> list[tuple[str, Check]]:
    """What is looked at before a drive into that folder; `picture` is one like those to come."""
    return [
        ("space", lambda: check_space(folder, picture_bytes=len(picture()), rate_hz=rate_hz)),
        ("disk", lambda: check_latency(folder)),
    ]


def check_space(folder: Path, *, picture_bytes: int, rate_hz: float) -> CheckResult:
    """How long the disk of a folder lasts, whether or not the folder is there yet.

    Raises: RecordingFailed when nothing would be recorded.
    """
    place = nearest_folder(folder)
    free = shutil.disk_usage(place).free
    left = minutes_left(free, picture_bytes=picture_bytes, rate_hz=rate_hz)
    if not left:
        raise RecordingFailed(
            f"{place} has {free / 1e9:.1f} GB free, and recording leaves "
            f"{MIN_FREE_BYTES / 1e9:.1f} GB: delete what is uploaded"
        )
    todo = "delete what is uploaded" if left < SOON_FULL_MINUTES else ""
    return CheckResult(f"{free / 1e9:.1f} GB free, {left:,.0f} minutes at {rate_hz:g} Hz", todo)


def check_latency(folder: Path) -> CheckResult:
    """How long the disk takes to have a picture for sure.

    Raises: RecordingFailed when it cannot be written to, or is slower than the queue is long.
    """
    place = nearest_folder(folder)
    picture = os.urandom(_PICTURE_BYTES)
    taken_s = []
    try:
        with tempfile.TemporaryDirectory(prefix=".patate-", dir=place) as scratch:
            for number in range(PICTURES_TRIED):
                start_s = time.monotonic()
                with Path(scratch, str(number)).open("wb") as file:
                    file.write(picture)
                    file.flush()
                    sync(file.fileno())
                taken_s.append(time.monotonic() - start_s)
    except OSError as error:
        raise RecordingFailed(f"{place} cannot be written to: {error.strerror}") from error
    worst_s = max(taken_s)
    said = f"a picture is safe after {sorted(taken_s)[len(taken_s) // 2] * 1000:.0f} ms"
    said += f", {worst_s * 1000:.0f} at most"
    if worst_s > QUEUE_S:
        raise RecordingFailed(f"{said}: slower than recording can wait; use another card")
    todo = "a faster card drops no pictures" if worst_s > SLOW_S else ""
    return CheckResult(said, todo)


def nearest_folder(folder: Path) -> Path:
    """The folder, or the one above that is there. Raises: RecordingFailed."""
    for place in (folder, *folder.absolute().parents):
        if place.is_dir():
            return place
    raise RecordingFailed(f"{folder} is on no disk")
