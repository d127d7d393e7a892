"""Strictly increasing times of capture.

A Raspberry Pi has no clock of its own before it reaches the network: its wall clock starts in the
past and jumps. Two pictures of one car must never get the same time, and later ones never an
earlier time, so the last time given is remembered from run to run.

A clock that was once set far ahead must not stamp every later drive with the future. So a time more
than `MAX_AHEAD` ahead of a clock that the network has set is not followed. The risk: ids given in
that future may be given again, but only if a picture is taken in the very microsecond that the
wrong clock showed at another one. In one folder the clock steps over ids that are there, and
`Recorder` refuses them; in the database the same id with another picture is reported as a conflict,
and neither is lost.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from common import strict_json
from common.atomic_files import atomic_write, temporary_file
from common.errors import InputError, RecordingFailed, WriteFailed
from common.preflight import CheckResult
from common.times import EPOCH, MICROSECOND
from get_data.labels import label_file
from get_data.labels.ids import format_img_id, parse_img_id

MAX_AHEAD = timedelta(hours=2)  # a drive keeps its own time when the clock steps back
RESERVED_AHEAD = timedelta(seconds=10)  # more than is recorded between two writes of the file

_END = datetime(9999, 1, 1, tzinfo=UTC)  # datetime has few times left after it


class CaptureClock:
    """A clock that turns monotonic seconds into UTC times of capture.

    Follows the wall clock when that jumps ahead, and keeps running when it steps back.
    """

    def __init__(
        self,
        *,
        after: datetime | None = None,
        taken: Callable[[datetime], bool] = lambda _time: False,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Give times later than `after`, and none that is `taken`.

        Raises:
            RecordingFailed: no time is left after `after`.
        """
        _check_time_left(after)
        self._taken = taken
        self._monotonic = monotonic
        self._wall = wall
        self._last = (after or EPOCH) + timedelta(milliseconds=1)
        self._offset_s = max(wall(), self._last.timestamp()) - monotonic()

    def time_at(self, monotonic_s: float) -> datetime:
        """Return the time of a picture taken at `monotonic_s`, later than all returned before."""
        # a wall clock set ahead is followed; one set back is ignored for the rest of the run
        self._offset_s = max(self._offset_s, self._wall() - self._monotonic())
        captured = datetime.fromtimestamp(monotonic_s + self._offset_s, UTC)
        # later than the last time, even for two frames with one time stamp
        self._last = max(captured, self._last + MICROSECOND)
        # a run with a wrong clock may have left pictures in this range
        while self._taken(self._last):
            self._last += MICROSECOND
        return self._last


@dataclass(frozen=True, slots=True)
class FollowPolicy:
    """Earlier times that new ones must follow: those up to `until`, or all if it is None."""

    now: datetime
    until: datetime | None

    def newest(self, times: Iterable[datetime]) -> datetime | None:
        """Return the last of the times that are followed, if there is one."""
        followed = (time for time in times if not self.until or time <= self.until)
        return max(followed, default=None)

    def warnings(self, newest: Mapping[Path, datetime | None]) -> list[CheckResult]:
        """Return a warning for each file whose newest id is far ahead of the clock.

        Raises:
            RecordingFailed: no id could follow.
        """
        _check_time_left(self.newest(filter(None, newest.values())))
        return [
            self._warning(file, time)
            for file, time in newest.items()
            if time and time - self.now > MAX_AHEAD
        ]

    def _warning(self, file: Path, newest: datetime) -> CheckResult:
        # The file that remembers the last id can be deleted, a folder's label file cannot.
        is_label_file = file.name == label_file.NAME
        ahead = self._format_duration(newest - self.now)
        fact = f"{file} has the id {format_img_id(newest)}, {ahead} ahead of the clock"
        if self.until:
            order = "; to have ids in order, record into another folder" if is_label_file else ""
            return CheckResult(
                f"{fact}: new pictures get the time of the clock, which the network has set",
                f"pictures recorded while the clock was wrong keep their ids{order}",
            )
        remedy = "record into another folder" if is_label_file else f"delete {file}"
        return CheckResult(
            f"{fact}: new pictures get ids after it", f"if the clock is right, {remedy}"
        )

    @staticmethod
    def _format_duration(duration: timedelta) -> str:
        if duration.days > 1:
            return f"{duration.days:,} days"
        return f"{duration / timedelta(hours=1):.0f} hours"


def follow_policy(*, synchronised: bool | None, now: datetime | None = None) -> FollowPolicy:
    """Return the policy for a clock; `synchronised` is whether the network has set it.

    Where it has not, or that is unknown, the clock may be wrong, and all earlier times are
    followed.
    """
    now = now or datetime.now(UTC)
    return FollowPolicy(now, now + MAX_AHEAD if synchronised else None)


def _check_time_left(after: datetime | None) -> None:
    if after and after >= _END:
        raise RecordingFailed(
            f"no picture can be later than {format_img_id(after)}, which exists already; "
            "record into another folder"
        )


def load_last_time(file: Path) -> datetime | None:
    """Return the last time that this car may have given to a picture; None before its first.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    try:
        if not file.exists():
            return None
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
    text = strict_json.read_bytes(file, "an id of a picture").decode(errors="replace")
    last = parse_img_id(text.strip())
    if last is None or last >= _END:
        raise InputError(f"{file} holds no id of a picture; delete it if the clock is right")
    return last


def save_last_time(file: Path, last: datetime) -> None:
    """Make the next run start after this time.

    Raises:
        WriteFailed: the file could not be written.
    """
    with atomic_write(file) as target:
        target.write(format_img_id(last).encode() + b"\n")


def check_writable(folder: Path) -> None:
    """Check that a last time can be saved in the folder.

    Raises:
        WriteFailed: it cannot.
    """
    try:
        with temporary_file(folder):
            pass
    except OSError as error:
        raise WriteFailed(
            f"{folder} cannot be written: {error.strerror}; check its permissions, or ids may be "
            "used twice if the clock is wrong"
        ) from error
