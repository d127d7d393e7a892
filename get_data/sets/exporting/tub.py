"""Tubs of donkeycar, version 2.

A tub knows no splits: a set with a split becomes one tub a part. Records are numbered in the order
of the drives. Labels that are marked for deletion are records that the tub lists as deleted, which
donkeycar skips, and can bring back. Fields of a team's own that are called as donkeycar calls its
columns (`imu/acl_x`) are columns: an imported tub has such fields.

    manifest.json                 five lines of JSON: names and types of the values, metadata of the
                                  user, sessions, catalogs with the deleted records
    catalog_<n>.catalog           a record a line, 1,000 of them
    catalog_<n>.catalog_manifest  the length of each of these lines
    images/<index>_cam_image_array_.jpg

Source: donkeycar/parts/datastore_v2.py and tub_v2.py of donkeycar 5.3.0.
"""

import json
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import path
from common.progress import Progress
from get_data.labels.constants import PILOT
from get_data.sets.exporting.pictures import place_pictures
from get_data.sets.exporting.samples import ExportSet, Frame, Sample

IMAGES = "images"
MODE = "user/mode"
INPUTS = {
    "cam/image_array": "image_array",
    "user/angle": "float",
    "user/throttle": "float",
    MODE: "str",
}
CATALOG_RECORDS = 1000
KEEPS_DELETED = True

_TYPES = {bool: "boolean", int: "int", float: "float", str: "str", list: "list"}
DRIVER_MODE = "user"
PILOT_MODE = "local"  # a model steers and drives


@dataclass(slots=True)
class _Tub:
    """A tub that is being written."""

    folder: Path
    created_s: float
    own: dict[str, str]
    count: int = 0
    deleted: list[int] = field(default_factory=list)
    sessions: dict[str, None] = field(default_factory=dict)  # in order of their first record
    catalogs: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def image_name(self) -> str:
        """Return the name of the next picture."""
        return f"{self.count}_cam_image_array_.jpg"

    def add(self, sample: Sample, drive: str) -> None:
        """Add the record of a sample whose picture is in place."""
        record = {
            "_index": self.count,
            "_session_id": drive,
            "_timestamp_ms": sample.time_us // 1000,
            "cam/image_array": self.image_name(),
            "user/angle": sample.steering,
            "user/throttle": sample.throttle,
            MODE: _mode(sample),
            **{key: sample.own[key] for key in self.own if sample.own.get(key) is not None},
        }
        self.lines.append(_line(record, sort_keys=True))
        self.sessions[drive] = None
        if sample.is_deleted:
            self.deleted.append(self.count)
        self.count += 1
        if len(self.lines) == CATALOG_RECORDS:
            self.write_catalog()

    def write_catalog(self) -> None:
        """Write the records that are in no catalog yet."""
        number = len(self.catalogs)
        name = f"catalog_{number}.catalog"
        manifest = {
            "created_at": self.created_s,
            "line_lengths": [len(line) for line in self.lines],  # all of them ASCII
            "path": f"{name}_manifest",
            "start_index": self.count - len(self.lines),
        }
        (self.folder / name).write_text("".join(self.lines), encoding="ascii")
        (self.folder / f"{name}_manifest").write_text(
            _line(manifest, sort_keys=True), encoding="ascii"
        )
        self.catalogs.append(name)
        self.lines = []

    def close(self) -> None:
        """Write what is not written yet; a tub without any record is removed."""
        if not self.count:
            shutil.rmtree(self.folder)
            return
        if self.lines:
            self.write_catalog()
        names = list(self.sessions)
        sessions = {
            "all_full_ids": names,
            "last_id": len(names) - 1,
            "last_full_id": names[-1],
        }
        catalogs = {
            "paths": self.catalogs,
            "current_index": self.count,
            "max_len": CATALOG_RECORDS,
            "deleted_indexes": self.deleted,
        }
        lines: tuple[Any, ...] = (
            [*INPUTS, *self.own],
            [*INPUTS.values(), *self.own.values()],
            {},
            {"created_at": self.created_s, "sessions": sessions},
            catalogs,
        )
        (self.folder / "manifest.json").write_text("".join(map(_line, lines)), encoding="ascii")


def opened_by(exported: ExportSet, out: Path) -> list[str]:
    """Return the command that trains with the tubs; in the folder of a donkeycar."""
    train = [part for part in exported.parts() if part in ("", "train")] or [*exported.parts()]
    return [f"donkey train --tub {shlex.quote(str(path.absolute(out / train[0])))}"]


def write(exported: ExportSet, folder: Path, progress: Progress) -> int:
    """Write a tub into the folder, or one for each part of a split into a folder of that name.

    Return the number of records.

    Raises:
        UnusablePictures: some cannot be exported.
        OSError: the folder cannot be written.
    """
    tubs: dict[str, _Tub] = {}
    own = _own_columns(exported)

    def target_of(frame: Frame) -> Path:
        part = frame.episode.part
        if part not in tubs:
            # the time of the first picture, as if donkeycar had recorded it
            tubs[part] = _Tub(folder / part, frame.sample.time_us / 1_000_000, own)
            (folder / part / IMAGES).mkdir(parents=True)
        return folder / part / IMAGES / tubs[part].image_name()

    for frame in place_pictures(exported.folder, exported.frames_shown(progress), target_of):
        tubs[frame.episode.part].add(frame.sample, frame.episode.drive)
    for tub in tubs.values():
        tub.close()
    return sum(tub.count for tub in tubs.values())


def _mode(sample: Sample) -> str:
    """Return who drove, as donkeycar calls it."""
    if sample.created_by != PILOT:
        return DRIVER_MODE
    mode = sample.own.get(MODE)
    return mode if isinstance(mode, str) else PILOT_MODE


def _own_columns(exported: ExportSet) -> dict[str, str]:
    """Return the columns beside INPUTS, with their types."""
    types: dict[str, set[str]] = {}
    for frame in exported.frames():
        for key, value in frame.sample.own.items():
            if "/" in key and key not in INPUTS and value is not None:
                types.setdefault(key, set()).add(_TYPES[type(value)])
    return {
        key: "float" if found == {"float", "int"} else found.pop()
        for key, found in sorted(types.items())
        if len(found) == 1 or found == {"float", "int"}
    }


def _line(content: Any, *, sort_keys: bool = False) -> str:
    return json.dumps(content, allow_nan=False, sort_keys=sort_keys) + "\n"
