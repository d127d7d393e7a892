"""When a picture was taken, in a time that only goes up.

A Raspberry Pi has no clock of its own before it reaches the network: its wall clock starts in the
past and jumps. Two pictures of one car must never get the same moment, and later ones never an
earlier one, so the last moment given is remembered from run to run.

A clock that was once set far ahead must not stamp every later drive with the future. So a moment
that is more than `MAX_AHEAD` ahead of a clock that the network has set is not followed. What
that risks: the ids given in that future may be given again, but only if a picture is taken in the
very microsecond that the wrong clock showed at another one. In one folder the clock steps over ids
that are there, and `Recorder` refuses them; in the database the same id with another picture is
reported as a conflict, and neither is lost.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from common import strict_json
from common.atomic_files import atomic_write
from common.errors import InputError, RecordingFailed
from common.preflight import CheckResult
from common.times import EPOCH, MICROSECOND
from get_data.labels import label_file
from get_data.labels.ids import format_img_id, parse_img_id

MAX_AHEAD = timedelta(hours=2)  # a drive goes on in its own time when the clock steps back
RESERVED_AHEAD = timedelta(seconds=10)  # more than can be recorded between two writings of the file

_TOO_LATE = datetime(9999, 1, 1, tzinfo=UTC)  # few moments are left that can be told


class CaptureClock:
    """Tells UTC times of capture from a monotonic clock's seconds.

    Follows the wall clock when that jumps ahead, and runs on steadily when it steps back.
    """

    def __init__(
        self,
        *,
        after: datetime | None = None,
        taken: Callable[[datetime], bool] = lambda _moment: False,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Tells times later than `after`, and none that is `taken`.

        Raises: RecordingFailed when there are none.
        """
        _check_room(after)
        self._taken = taken
        self._monotonic = monotonic
        self._wall = wall
        self._last = (after or EPOCH) + timedelta(milliseconds=1)
        self._offset_s = max(wall(), self._last.timestamp()) - monotonic()

    def time_at(self, monotonic_s: float) -> datetime:
        """The moment of a picture taken at `monotonic_s`; later than every one told before."""
        self._offset_s = max(self._offset_s, self._wall() - self._monotonic())
        moment = datetime.fromtimestamp(monotonic_s + self._offset_s, UTC)
        self._last = max(moment, self._last + MICROSECOND)
        while self._taken(self._last):
            self._last += MICROSECOND
        return self._last


@dataclass(frozen=True, slots=True)
class FollowPolicy:
    """Up to which moment earlier ids are followed by later ones; `until` None follows them all."""

    now: datetime
    until: datetime | None

    def newest(self, moments: Iterable[datetime]) -> datetime | None:
        """Return the last of the moments that are followed, if there is one."""
        return max((one for one in moments if not self.until or one <= self.until), default=None)

    def warnings(self, newest: Mapping[Path, datetime | None]) -> list[CheckResult]:
        """Return what to say of files whose newest id is far ahead of the clock.

        The file that remembers the last id can be deleted, a folder's label file cannot.

        Raises: RecordingFailed when no id could follow.
        """
        _check_room(self.newest(filter(None, newest.values())))
        ahead = {
            file: moment
            for file, moment in newest.items()
            if moment and moment - self.now > MAX_AHEAD
        }
        return [self._told(file, moment) for file, moment in ahead.items()]

    def _told(self, file: Path, moment: datetime) -> CheckResult:
        ahead = moment - self.now
        far = (
            f"{ahead.days:,} days" if ahead.days > 1 else f"{ahead / timedelta(hours=1):.0f} hours"
        )
        said = f"{file} has the id {format_img_id(moment)}, {far} ahead of the clock"
        if self.until:
            return CheckResult(
                f"{said}, which the network has set: new pictures get the time of the clock",
                "what was recorded while the clock was wrong keeps its ids"
                + (
                    "; to have ids in order, record into another folder" if _of_labels(file) else ""
                ),
            )
        remedy = "record into another folder" if _of_labels(file) else f"delete {file}"
        return CheckResult(
            f"{said}: new pictures get ids after it", f"if the clock is right, {remedy}"
        )


def follow_policy(*, synchronised: bool | None, now: datetime | None = None) -> FollowPolicy:
    """Return which earlier ids are followed; `synchronised` is whether the network set the clock.

    Where it has not, or that cannot be told, the clock may be wrong, and ids still only go up.
    """
    now = now or datetime.now(UTC)
    return FollowPolicy(now, now + MAX_AHEAD if synchronised else None)


def _check_room(after: datetime | None) -> None:
    if after and after >= _TOO_LATE:
        raise RecordingFailed(
            f"no picture can be later than {format_img_id(after)}, which is there already; "
            "record into another folder"
        )


def _of_labels(file: Path) -> bool:
    return file.name == label_file.NAME


def load_last_time(file: Path) -> datetime | None:
    """The last moment that this car may have given to a picture; None before its first.

    Raises: InputError when the file holds something else.
    """
    try:
        if not file.exists():
            return None
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
    text = strict_json.read_bytes(file, "an id of a picture").decode(errors="replace")
    moment = parse_img_id(text.strip())
    if moment is None or moment >= _TOO_LATE:
        raise InputError(f"{file} holds no id of a picture; delete it if the clock is right")
    return moment


def save_last_time(file: Path, moment: datetime) -> None:
    """The next run starts after `moment`. Raises: WriteFailed."""
    with atomic_write(file) as target:
        target.write(format_img_id(moment).encode() + b"\n")
