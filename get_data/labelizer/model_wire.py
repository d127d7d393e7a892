"""Messages between the server and the process that judges the labels: one JSON value a line."""

from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from get_data.quality.samples import Samples

_TEXTS = ("img_ids", "file_names", "sha256")
_COLUMNS = {
    "time_us": "<i8",
    "drive": "<i4",
    "steering": "<f4",
    "throttle": "<f4",
    "raw_steering": "<f4",
    "direction": "<i2",
    "nb_dir": "<i2",
    "speed": "<i2",
    "nb_speed": "<i2",
    "reviewed": "|b1",
}


class Request(Struct, frozen=True):
    """Labels to judge; `folder` is the path of their pictures, encoded for the file system."""

    folder: bytes
    texts: dict[str, list[str]]
    columns: dict[str, bytes]

    @property
    def samples(self) -> Samples:
        """The labels."""
        columns: dict[str, Any] = self.texts | {
            name: np.frombuffer(self.columns[name], dtype).copy()
            for name, dtype in _COLUMNS.items()
        }
        return Samples(**columns)


class Progress(Struct, frozen=True, tag="progress"):
    """Pictures read so far."""

    done: int
    total: int


class Lateness(Struct, frozen=True):
    """How many pictures late the labels of a drive are; None if it cannot be told, for a reason."""

    pictures: int | None
    reason: str


class Judgement(Struct, frozen=True, tag="judgement"):
    """Suspicion of the labels: the columns of `quality/suspicion.py`, row by row.

    `wrong`: rows of labels that stand out (`quality/jumps.py`). `drives`: lateness of each drive,
    in the order of the samples.
    """

    score: bytes
    predicted: bytes
    order: bytes
    clips: list[tuple[int, int]]
    wrong: list[int]
    drives: list[Lateness]


Message = Progress | Judgement


def to_request(folder: bytes, samples: Samples) -> Request:
    """Return the request to judge the labels."""
    return Request(
        folder,
        {name: getattr(samples, name) for name in _TEXTS},
        {name: to_bytes(getattr(samples, name), dtype) for name, dtype in _COLUMNS.items()},
    )


def to_bytes(column: NDArray[Any], dtype: str) -> bytes:
    """Return a column as bytes."""
    return column.astype(dtype).tobytes()


def to_line(message: Request | Message) -> bytes:
    """Encode a message as a line."""
    return msgspec.json.encode(message) + b"\n"
