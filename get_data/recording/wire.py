"""Messages between a drive and its writer process: settings, items of the queue, report."""

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple, Self

from get_data.labels.classes import Classes
from get_data.recording.frame_queue import QueueHandle

QUEUE_S = 3.0
"""How many seconds of pictures the queue holds."""


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """Settings of one recording; the paths are absolute."""

    folder: str
    session_id: str
    session: dict[str, Any]
    car_setting: dict[str, Any]
    classes: Classes
    jpeg_quality: int
    min_free_bytes: int
    last_img_id_file: str | None


@dataclass(frozen=True, slots=True)
class WriterArguments:
    """The writer's command line, as JSON; `folder_fd` is the folder, open and locked."""

    settings: WriterSettings
    queue: QueueHandle
    folder_fd: int


class ItemKind(IntEnum):
    """Kinds of items in the queue."""

    FRAME = 0
    JPEG = 1
    ERASURE = 2


_HEADER = struct.Struct("<B?qHHdd?")
HEADER_BYTES = _HEADER.size


class ItemHeader(NamedTuple):
    """The head of an item; its body is the frame or the JPEG file.

    `time_us` is the time of capture in microseconds since 1970, or for an erasure the number of
    microseconds to erase. Width and height are in pixels, steering and throttle -1 to 1;
    `by_pilot`: whether a model gave the command.
    """

    kind: int
    after_pause: bool
    time_us: int
    width: int
    height: int
    steering: float
    throttle: float
    by_pilot: bool = False

    def pack(self) -> bytes:
        """Return the header as it travels in the queue."""
        return _HEADER.pack(*self)

    @classmethod
    def unpack(cls, raw: bytes | memoryview) -> Self:
        """Return the header at the beginning of an item's head."""
        return cls(*_HEADER.unpack_from(raw))

    @classmethod
    def erasure(cls, seconds: float) -> Self:
        """Return the header of an item that erases the last seconds."""
        return cls(ItemKind.ERASURE, False, int(seconds * 1e6), 0, 0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Origin:
    """What another tool has recorded of an imported picture, see `edits.imported`.

    It follows the header in the head of an item.
    """

    session_id: str
    fields: dict[str, Any]
    annotation: dict[str, Any]
    to_delete: bool


class StopCode(IntEnum):
    """Values of the queue's counter `stopped`: why the writer has stopped recording."""

    RECORDING = 0
    DISK_NEARLY_FULL = 1
    DISK_FAILED = 2


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts of a running recording; `stopped`: why it has stopped, "" while it continues."""

    written: int
    erased: int
    dropped: int
    stopped: str


@dataclass(frozen=True, slots=True)
class SteeringShares:
    """Shares of the `pictures` with throttle that steer left, straight and right, 0 to 1."""

    pictures: int = 0
    left: float = 0.0
    straight: float = 0.0
    right: float = 0.0


@dataclass(frozen=True, slots=True)
class PictureQuality:
    """Brightness (0 to 255) and sharpness, medians of the pictures that were `measured`.

    The others are shares of these pictures, 0 to 1; see `picture_quality.py`.
    """

    measured: int = 0
    brightness: float | None = None
    sharpness_horizontal: float | None = None
    sharpness_vertical: float | None = None
    dark: float = 0.0
    overexposed: float = 0.0
    out_of_focus: float = 0.0
    smeared: float = 0.0


@dataclass(slots=True)
class Report:
    """Result of a recording. Gaps and durations leave pauses out.

    `standing` counts the recorded pictures of a standing car, `dropped` the pictures that were
    passed to `Recorder.record` and not recorded; `moved` is the folder's present path if it was
    renamed meanwhile.
    """

    session_id: str = ""
    pictures: int = 0
    bytes_written: int = 0
    erased: int = 0
    duration_s: float = 0.0
    rate_hz: float = 0.0
    longest_gap_s: float = 0.0
    directions: list[int] = field(default_factory=list)
    speeds: list[int] = field(default_factory=list)
    standing: int = 0
    steering: SteeringShares = SteeringShares()
    picture_quality: PictureQuality = PictureQuality()
    dropped: int = 0
    stopped: str = ""
    unmerged: str = ""
    unremembered: str = ""
    moved: str = ""
