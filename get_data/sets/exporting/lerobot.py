"""LeRobotDataset, version 3.0: pictures and values in Parquet files.

    meta/info.json             what there is: features, rate, numbers, parts of a split by episode
    meta/tasks.parquet         the one task
    meta/episodes/...parquet   a row an episode: where it is, and its statistics
    meta/stats.json            the statistics of the whole
    data/chunk-<n>/file-<n>.parquet    a row a picture, its JPEG unchanged

`timestamp` is the number of the frame divided by the rate, as LeRobot demands; the time of capture
is in `capture_time_us`. `observation.state` is the action of the picture before, zeros at the start
of an episode: what a model that drives knows of itself.

Source: lerobot/datasets of LeRobot 0.6 (`dataset_metadata.py`, `dataset_writer.py`, `io_utils.py`).
"""

import json
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from common.errors import InputError
from common.progress import Progress
from get_data.labels.picture_file import Header
from get_data.sets.exporting.lerobot_stats import Floats, PixelStats, Stats, looked_at, stats_of
from get_data.sets.exporting.pictures import REMEDY, Picture, read_pictures
from get_data.sets.exporting.samples import Episode, ExportSet

CAMERA, STATE, ACTION = "observation.images.front", "observation.state", "action"
TIME, FRAME, EPISODE = "timestamp", "frame_index", "episode_index"
INDEX, TASK_INDEX, CAPTURED, ID = "index", "task_index", "capture_time_us", "img_id"
VECTOR = ("steering", "throttle")
TASK = "Drive the car along the track."
KEEPS_DELETED = False
FILE_MB, VIDEO_FILE_MB, CHUNK_FILES = 100, 200, 1000

_DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_EPISODES = "meta/episodes/chunk-000/file-000.parquet"
_GROUP_ROWS, _GROUP_BYTES = 1000, 32_000_000  # of a row group, at most

_COLUMNS = {  # of the numbers of an episode
    STATE: slice(0, 2),
    ACTION: slice(2, 4),
    TIME: slice(4, 5),
    FRAME: slice(5, 6),
    EPISODE: slice(6, 7),
    INDEX: slice(7, 8),
    TASK_INDEX: slice(8, 9),
    CAPTURED: slice(9, 10),
}
_TYPES = {
    CAMERA: pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    STATE: pa.list_(pa.float32(), len(VECTOR)),
    ACTION: pa.list_(pa.float32(), len(VECTOR)),
    TIME: pa.float32(),
    **dict.fromkeys((FRAME, EPISODE, INDEX, TASK_INDEX, CAPTURED), pa.int64()),
    ID: pa.string(),
}
_STATS = ("min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99")


def opened_by(_exported: ExportSet, out: Path) -> list[str]:
    """Return the Python code that opens the dataset."""
    name = f"local/{out.name}"
    return [f"lerobot.datasets.LeRobotDataset({name!r}, root={str(out)!r})"]


def write(exported: ExportSet, folder: Path, progress: Progress) -> int:
    """Write the dataset into the folder; return the number of frames.

    Raises:
        UnusablePictures: some cannot be exported.
        InputError: the pictures are not all of one size, or one cannot be decoded.
        OSError: the folder cannot be written.
    """
    dataset = _Dataset(exported, folder)
    try:
        for picture in read_pictures(exported.folder, exported.frames_shown(progress)):
            dataset.add(picture)
    finally:
        dataset.close()
    dataset.write_meta()
    return len(exported)


class _Dataset:
    """A dataset that is being written, picture by picture."""

    def __init__(self, exported: ExportSet, folder: Path) -> None:
        self._exported = exported
        self._folder = folder
        self._rate_hz = _rate_hz(exported)
        self._header: Header | None = None
        self._data = _DataFiles(folder)
        self._episodes = _EpisodeFile(folder)
        self._frames = 0  # of the episodes before
        self._numbers: list[Floats] = []
        self._looked_at: set[int] = set()
        self._pixels = self._all_pixels = PixelStats(1)

    def add(self, picture: Picture) -> None:
        """Add the next picture of the set."""
        frame = picture.frame
        self._check_header(picture)
        if frame.index == 0:
            self._begin(frame.episode, frame.number, picture.header.colours)
        if frame.index in self._looked_at and not self._pixels.add(picture.content):
            raise InputError(
                f"{self._exported.folder / frame.sample.file_name} cannot be decoded; {REMEDY}"
            )
        sample, numbers = frame.sample, self._numbers[-1]
        self._data.add(picture.content, sample.file_name, sample.img_id, numbers[frame.index])
        if frame.index + 1 == len(frame.episode.samples):
            self._end(frame.number)

    def _check_header(self, picture: Picture) -> None:
        if self._header is None:
            self._header = picture.header
            self._all_pixels = PixelStats(picture.header.colours)
        elif picture.header != self._header:
            name = self._exported.folder / picture.frame.sample.file_name
            raise InputError(
                f"{name} has {_describe(picture.header)}, others of the set "
                f"{_describe(self._header)}; LeRobot needs pictures of one kind: search for those "
                "with one resolution"
            )

    def _begin(self, episode: Episode, number: int, colours: int) -> None:
        count = len(episode.samples)
        self._numbers.append(_numbers(episode, number, self._frames, self._rate_hz))
        self._looked_at = looked_at(count)
        self._pixels = PixelStats(colours)
        self._data.begin_episode(count)

    def _end(self, number: int) -> None:
        self._data.flush()
        numbers = self._numbers[-1]
        self._all_pixels.merge(self._pixels)
        self._episodes.add(
            {
                EPISODE: number,
                "tasks": [TASK],
                "length": len(numbers),
                "data/chunk_index": self._data.number // CHUNK_FILES,
                "data/file_index": self._data.number % CHUNK_FILES,
                "dataset_from_index": self._frames,
                "dataset_to_index": self._frames + len(numbers),
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
            },
            _all_stats(numbers, self._pixels),
        )
        self._frames += len(numbers)

    def close(self) -> None:
        """Complete the files."""
        self._data.close()
        self._episodes.close()

    def write_meta(self) -> None:
        """Write what is known at the end: info, statistics and tasks."""
        if self._header is None:
            return
        _write_json(self._folder / "meta/info.json", self._info(self._header))
        stats = _all_stats(np.concatenate(self._numbers), self._all_pixels)
        _write_json(
            self._folder / "meta/stats.json",
            {
                feature: {name: value.tolist() for name, value in values.items()}
                for feature, values in stats.items()
            },
        )
        pq.write_table(_tasks(), self._folder / "meta/tasks.parquet")

    def _info(self, header: Header) -> dict[str, Any]:
        splits, start = {}, 0
        for part, episodes in self._exported.parts().items():
            splits[part or "train"] = f"{start}:{start + len(episodes)}"
            start += len(episodes)
        return {
            "codebase_version": "v3.0",
            "robot_type": self._exported.car or None,
            "total_episodes": start,
            "total_frames": self._frames,
            "total_tasks": 1,
            "chunks_size": CHUNK_FILES,
            "data_files_size_in_mb": FILE_MB,
            "video_files_size_in_mb": VIDEO_FILE_MB,
            "fps": self._rate_hz,
            "splits": splits,
            "data_path": _DATA,
            "video_path": None,
            "features": _features(header),
        }


class _DataFiles:
    """The files of the rows, of which the last one is open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.number = -1  # of the open file
        self._writer: _Writer | None = None
        self._rows = 0
        self._pictures: list[dict[str, Any]] = []
        self._ids: list[str] = []
        self._numbers: list[Floats] = []
        self._bytes = 0

    def begin_episode(self, count: int) -> None:
        """Open another file if an episode of that many pictures would make the last one too large.

        An episode is in one file.
        """
        if self._writer:
            size = self._writer.size()
            if size * (1 + count / self._rows) < FILE_MB * 1_000_000:
                return
            self._writer.close()
        self.number += 1
        chunk, number = divmod(self.number, CHUNK_FILES)
        file = self._folder / _DATA.format(chunk_index=chunk, file_index=number)
        self._writer, self._rows = _Writer(file, _data_schema(), indexed=[EPISODE, INDEX]), 0

    def add(self, content: bytes, name: str, img_id: str, numbers: Floats) -> None:
        """Add a row."""
        self._pictures.append({"bytes": content, "path": name})
        self._ids.append(img_id)
        self._numbers.append(numbers)
        self._bytes += len(content)
        if len(self._ids) == _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are not written yet as a row group."""
        if not self._ids or not self._writer:
            return
        numbers = np.stack(self._numbers)
        columns = {CAMERA: pa.array(self._pictures, _TYPES[CAMERA]), ID: pa.array(self._ids)}
        for name, span in _COLUMNS.items():
            kind, values = _TYPES[name], numbers[:, span].ravel()
            if pa.types.is_fixed_size_list(kind):
                flat = pa.array(values.astype(np.float32))
                columns[name] = pa.FixedSizeListArray.from_arrays(flat, type=kind)
            else:
                number = np.float32 if name == TIME else np.int64
                columns[name] = pa.array(values.astype(number))
        self._writer.add(pa.table([columns[name] for name in _TYPES], schema=_data_schema()))
        self._rows += len(self._ids)
        self._pictures, self._ids, self._numbers, self._bytes = [], [], [], 0

    def close(self) -> None:
        """Complete the last file."""
        if self._writer:
            self._writer.close()
            self._writer = None


class _EpisodeFile:
    """The file of the episodes, a row each."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / _EPISODES
        self._writer: _Writer | None = None
        self._schema: Any = None
        self._rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any], stats: dict[str, Stats]) -> None:
        """Add an episode."""
        for feature, values in stats.items():
            for name in _STATS:
                row[f"stats/{feature}/{name}"] = values[name].tolist()
        self._rows.append(row)
        if len(self._rows) == _GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._writer is None:
            self._schema = _episode_schema(self._rows[0])
            self._writer = _Writer(self._file, self._schema, indexed=[EPISODE])
        self._writer.add(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []

    def close(self) -> None:
        """Complete the file."""
        self._flush()
        if self._writer:
            self._writer.close()
            self._writer = None


class _Writer:
    """A Parquet file that is being written, in row groups."""

    def __init__(self, file: Path, schema: Any, *, indexed: list[str]) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        # opened here: errors of the disk are then Python's own
        self._file = file.open("wb")
        self._writer = pq.ParquetWriter(
            self._file,
            schema,
            compression="snappy",
            use_dictionary=indexed,
            write_statistics=indexed,
        )

    def add(self, table: Any) -> None:
        """Write a row group."""
        self._writer.write_table(table, row_group_size=len(table))

    def size(self) -> int:
        """Return how many bytes are written."""
        return self._file.tell()

    def close(self) -> None:
        """Complete the file."""
        try:
            self._writer.close()
        finally:
            self._file.close()


def _rate_hz(exported: ExportSet) -> int:
    """Return the rate of the pictures, a whole number; 1 if no two follow each other."""
    intervals_us = [
        after.time_us - before.time_us
        for episode in exported.episodes
        for before, after in pairwise(episode.samples)
    ]
    typical_us = median(intervals_us) if intervals_us else 0
    return max(round(1_000_000 / typical_us), 1) if typical_us else 1


def _numbers(episode: Episode, number: int, start: int, rate_hz: int) -> Floats:
    """Return the numbers of an episode, a row a frame; `start` is the index of the first one."""
    samples = episode.samples
    frames = np.arange(len(samples))
    numbers = np.zeros((len(samples), 10))
    actions = np.array([(sample.steering, sample.throttle) for sample in samples])
    numbers[1:, _COLUMNS[STATE]] = actions[:-1]
    numbers[:, _COLUMNS[ACTION]] = actions
    for name, values in (
        (TIME, frames / rate_hz),
        (FRAME, frames),
        (EPISODE, number),
        (INDEX, start + frames),
        (CAPTURED, [sample.time_us for sample in samples]),
    ):
        numbers[:, _COLUMNS[name].start] = values
    return numbers


def _all_stats(numbers: Floats, pixels: PixelStats) -> dict[str, Stats]:
    """Return the statistics by feature."""
    columns = list(stats_of(numbers))
    found = {CAMERA: pixels.stats()}
    for feature, span in _COLUMNS.items():
        parts = columns[span]
        found[feature] = {
            name: np.concatenate([part[name] for part in parts])
            for name in _STATS
            if name != "count"
        } | {"count": parts[0]["count"]}
    return found


def _features(header: Header) -> dict[str, Any]:
    """Return the features as `info.json` has them."""
    features: dict[str, Any] = {
        CAMERA: {
            "dtype": "image",
            "shape": [header.size.height_px, header.size.width_px, header.colours],
            "names": ["height", "width", "channels"],
        }
    }
    for name, kind in _TYPES.items():
        if name in (STATE, ACTION):
            features[name] = {"dtype": "float32", "shape": [len(VECTOR)], "names": [*VECTOR]}
        elif name != CAMERA:
            dtype = "float32" if name == TIME else str(kind)
            features[name] = {"dtype": dtype, "shape": [1], "names": None}
    return features


def _data_schema() -> Any:
    """Return the schema of the rows, in which Hugging Face's datasets find the pictures."""
    features: dict[str, Any] = {}
    for name, kind in _TYPES.items():
        if name == CAMERA:
            features[name] = {"_type": "Image"}
        elif name in (STATE, ACTION):
            value = {"dtype": "float32", "_type": "Value"}
            features[name] = {"feature": value, "length": len(VECTOR), "_type": "List"}
        else:
            dtype = "float32" if name == TIME else str(kind)
            features[name] = {"dtype": dtype, "_type": "Value"}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema(list(_TYPES.items()), metadata=metadata)


def _episode_schema(row: dict[str, Any]) -> Any:
    """Return the schema of the episodes, of which this is one."""
    kinds = {}
    for name, value in row.items():
        if name == "tasks":
            kinds[name] = pa.list_(pa.string())
        elif not isinstance(value, list):
            kinds[name] = pa.int64()
        elif name.endswith("/count"):
            kinds[name] = pa.list_(pa.int64())
        else:
            kinds[name] = pa.list_(pa.float64())
            if name.startswith(f"stats/{CAMERA}/"):
                kinds[name] = pa.list_(pa.list_(kinds[name]))
    return pa.schema(list(kinds.items()))


def _tasks() -> Any:
    """Return the table of tasks, of which the text is the index when pandas reads it."""
    table = pa.table({"task_index": pa.array([0], pa.int64()), "task": [TASK]})
    column = {"metadata": None, "numpy_type": "int64", "pandas_type": "int64"}
    text = {"metadata": None, "numpy_type": "object", "pandas_type": "unicode"}
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [
            column | {"name": "task_index", "field_name": "task_index"},
            text | {"name": "task", "field_name": "task"},
        ],
    }
    return table.replace_schema_metadata({"pandas": json.dumps(pandas)})


def _describe(header: Header) -> str:
    """Return what a picture is like, for people."""
    colours = "grey" if header.colours == 1 else "colour"
    return f"{header.size.width_px}x{header.size.height_px} pixels in {colours}"


def _write_json(file: Path, content: object) -> None:
    text = json.dumps(content, indent=4, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")
