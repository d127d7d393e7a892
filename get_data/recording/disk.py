"""Checks of the disk that a recording goes to: free space, and latency of a picture."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common.atomic_files import sync
from common.errors import RecordingFailed
from common.preflight import Check, CheckResult
from get_data.recording.wire import QUEUE_S

MIN_FREE_BYTES = 200_000_000
"""Free space at which recording stops."""

PICTURES_TRIED = 20
SLOW_S = 1.0
SOON_FULL_MINUTES = 10.0

_BLOCK_BYTES = 4096  # the least that a small file takes
_LABEL_BYTES = 1500
_PICTURE_BYTES = 10_000


def minutes_left(free_bytes: int, *, picture_bytes: float, rate_hz: float) -> float:
    """Return how many minutes a recording can go on until MIN_FREE_BYTES are left."""
    bytes_each = -(-picture_bytes // _BLOCK_BYTES) * _BLOCK_BYTES + _LABEL_BYTES
    return max(free_bytes - MIN_FREE_BYTES, 0) / (bytes_each * rate_hz * 60)


def create_checks(
    folder: Path, picture: Callable[[], bytes], *, rate_hz: float
) -> list[tuple[str, Check]]:
    """Return the checks before a drive into the folder; `picture` returns a typical JPEG file."""
    return [
        ("space", lambda: check_space(folder, picture_bytes=len(picture()), rate_hz=rate_hz)),
        ("disk", lambda: check_latency(folder)),
    ]


def check_space(folder: Path, *, picture_bytes: int, rate_hz: float) -> CheckResult:
    """Check how long the disk of a folder lasts; the folder need not exist yet.

    Raises:
        RecordingFailed: there is no room for a picture.
    """
    place = nearest_folder(folder)
    free = shutil.disk_usage(place).free
    left = minutes_left(free, picture_bytes=picture_bytes, rate_hz=rate_hz)
    if not left:
        raise RecordingFailed(
            f"{place} has {free / 1e9:.1f} GB free, and recording leaves "
            f"{MIN_FREE_BYTES / 1e9:.1f} GB: remove what is uploaded with free_space.py"
        )
    note = "free_space.py removes what is uploaded" if left < SOON_FULL_MINUTES else ""
    return CheckResult(f"{free / 1e9:.1f} GB free, {left:,.0f} minutes at {rate_hz:g} Hz", note)


def check_latency(folder: Path) -> CheckResult:
    """Check how long it takes until a picture is durable on the disk of a folder.

    Raises:
        RecordingFailed: the disk cannot be written to, or takes longer than the queue lasts.
    """
    place = nearest_folder(folder)
    picture = os.urandom(_PICTURE_BYTES)
    durations_s = []
    try:
        with tempfile.TemporaryDirectory(prefix=".patate-", dir=place) as scratch:
            for number in range(PICTURES_TRIED):
                start_s = time.monotonic()
                with Path(scratch, str(number)).open("wb") as file:
                    file.write(picture)
                    file.flush()
                    sync(file.fileno())
                durations_s.append(time.monotonic() - start_s)
    except OSError as error:
        raise RecordingFailed(f"{place} cannot be written to: {error.strerror}") from error
    median_s, worst_s = sorted(durations_s)[len(durations_s) // 2], max(durations_s)
    message = f"a picture is safe after {median_s * 1000:.0f} ms, {worst_s * 1000:.0f} at most"
    if worst_s > QUEUE_S:
        raise RecordingFailed(f"{message}: slower than recording can wait; use another card")
    return CheckResult(message, "a faster card drops no pictures" if worst_s > SLOW_S else "")


def nearest_folder(folder: Path) -> Path:
    """Return the folder, or its nearest ancestor that exists.

    Raises:
        RecordingFailed: none exists.
    """
    for place in (folder, *folder.absolute().parents):
        if place.is_dir():
            return place
    raise RecordingFailed(f"{folder} is on no disk")
