"""When a picture was taken, in a time that only goes up.

A Raspberry Pi has no clock of its own before it reaches the network: its wall clock starts in the
past and jumps. Two pictures of one car must never get the same moment, and later ones never an
earlier one, so the last moment given is remembered from run to run.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import strict_json
from errors import InputError, RecordingFailed
from get_data.durable import replacing
from get_data.labels.label import img_id_of, moment_of

LEASE = timedelta(seconds=10)  # more than can be recorded between two writings of the file

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEP = timedelta(microseconds=1)
_TOO_LATE = datetime(9999, 1, 1, tzinfo=UTC)  # few moments are left that can be told


class CaptureClock:
    """Tells UTC times of capture from a monotonic clock's seconds.

    Follows the wall clock when that jumps ahead, and runs on steadily when it steps back.
    """

    def __init__(
        self,
        *,
        after: datetime | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Tells times later than `after`. Raises: RecordingFailed when there are none."""
        if after and after >= _TOO_LATE:
            raise RecordingFailed(
                f"no picture can be later than {img_id_of(after)}, which is there already; "
                "record into another folder"
            )
        self._monotonic = monotonic
        self._wall = wall
        self._last = (after or _EPOCH) + timedelta(milliseconds=1)
        self._offset_s = max(wall(), self._last.timestamp()) - monotonic()

    def at(self, monotonic_s: float) -> datetime:
        """The moment of a picture taken at `monotonic_s`; later than every one told before."""
        self._offset_s = max(self._offset_s, self._wall() - self._monotonic())
        moment = datetime.fromtimestamp(monotonic_s + self._offset_s, UTC)
        self._last = max(moment, self._last + _STEP)
        return self._last


def remembered(file: Path) -> datetime | None:
    """The last moment that this car may have given to a picture; None before its first.

    Raises: InputError when the file holds something else.
    """
    try:
        if not file.exists():
            return None
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
    text = strict_json.bytes_of(file, "an id of a picture").decode(errors="replace")
    moment = moment_of(text.strip())
    if moment is None or moment >= _TOO_LATE:
        raise InputError(f"{file} holds no id of a picture; delete it if the clock is right")
    return moment


def remember(file: Path, moment: datetime) -> None:
    """The next run starts after `moment`. Raises: WriteFailed."""
    with replacing(file) as target:
        target.write(img_id_of(moment).encode() + b"\n")
