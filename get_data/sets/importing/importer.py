"""The records of a source, recorded one after the other; none is left out without being named."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path

import msgspec

from common.errors import InputError
from common.times import from_microseconds
from get_data.labels.classes import Classes, direction_bins, speed_bins
from get_data.labels.constants import AUTO
from get_data.labels.ids import format_img_id, sha256
from get_data.labels.picture_file import NotAPicture
from get_data.labels.schema import Document
from get_data.recording import journal
from get_data.recording.recorder import Recorder
from get_data.recording.wire import Origin
from get_data.sets.importing.capture_times import UniqueTimes
from get_data.sets.importing.records import Source, SourceRecord, Unusable
from get_data.sets.importing.survey import Survey


class _Classes(msgspec.Struct):
    nb_dir: int
    nb_speed: int


class _Run(msgspec.Struct):
    max_throttle: float | None = None


class _CarSetting(msgspec.Struct):
    run: _Run = msgspec.field(default_factory=_Run)


class _Label(msgspec.Struct):
    """The few fields of a label that are needed here, decoded without the others."""

    label: _Classes
    picture_sha256: str = ""
    car_setting: _CarSetting = msgspec.field(default_factory=_CarSetting)


_decode = msgspec.json.Decoder(_Label).decode


@dataclass(slots=True)
class Earlier:
    """Labels that are in the folder before an import: hashes of their pictures, their settings."""

    hashes: dict[str, str] = field(default_factory=dict)
    nb_dir: set[int] = field(default_factory=set)
    nb_speed: set[int] = field(default_factory=set)
    max_throttle: set[float] = field(default_factory=set)


def read_earlier(folder: Path) -> Earlier:
    """Return what a folder has, also in the journal of an import that was killed.

    Raises:
        InputError: a label file cannot be read.
        RecordingFailed: the journal cannot be read.
    """
    earlier = Earlier()
    for img_id, line in journal.iter_labels(folder):
        try:
            label = _decode(line)
        except msgspec.MsgspecError:  # an invalid label, which an upload will report
            earlier.hashes[img_id] = ""
            continue
        earlier.hashes[img_id] = label.picture_sha256
        earlier.nb_dir.add(label.label.nb_dir)
        earlier.nb_speed.add(label.label.nb_speed)
        if label.car_setting.run.max_throttle is not None:
            earlier.max_throttle.add(label.car_setting.run.max_throttle)
    return earlier


class Status(Enum):
    """What became of a record."""

    IMPORTED = "imported"
    DELETED = "deleted"  # imported, and marked for deletion
    THERE = "there"  # by an earlier run


class Importer:
    """Records a source into a folder that has the pictures `there` of it, hashes by img_id."""

    def __init__(
        self, source: Source, found: Survey, classes: Classes, there: Mapping[str, str]
    ) -> None:
        self._source = source
        self._found = found
        self._classes = classes
        self._there = there

    def run(self, recorder: Recorder | None) -> Iterator[Status | Unusable]:
        """Record all pictures that are not there, and yield what became of each record.

        Without a recorder, all of them have to be there.

        Raises:
            RecordingFailed: the folder cannot be written to.
        """
        times = UniqueTimes(self._source.started_us)
        last: tuple[str, datetime] | None = None
        for item in self._source.items():
            if isinstance(item, Unusable):
                yield item
                continue
            captured = from_microseconds(times.assign(item.time_us))
            # between drives, and where time goes back, there is no interval to be measured
            if recorder and last and (last[0] != item.session or captured <= last[1]):
                recorder.pause()
            last = (item.session, captured)
            yield self._import(item, captured, recorder)
        for name in self._found.unnamed:
            reason = self._source.pictures.others.get(name, "is named by no record")
            yield Unusable(name, reason)

    def _import(
        self, record: SourceRecord, captured: datetime, recorder: Recorder | None
    ) -> Status | Unusable:
        if record.fault:
            return Unusable(record.name, record.fault)
        img_id = format_img_id(captured)
        try:
            picture = self._source.pictures.read(record.picture)
            if img_id in self._there or recorder is None:
                return self._compare(record, img_id, picture)
            recorder.record(
                picture,
                captured=captured,
                steering=record.steering or 0.0,
                throttle=record.throttle or 0.0,
                origin=self._origin(record),
                wait=True,
            )
        except InputError as error:
            fault = error if isinstance(error, NotAPicture) else error.__cause__
            is_known = isinstance(fault, NotAPicture)
            reason = f"{fault}" if is_known else f"cannot be recorded: {error}"
            is_name = record.name == record.picture
            return Unusable(record.name, reason if is_name else f"{record.picture} {reason}")
        return Status.DELETED if record.is_deleted else Status.IMPORTED

    def _compare(self, record: SourceRecord, img_id: str, picture: bytes) -> Status | Unusable:
        """Return that a record is there already, if its picture is the same one."""
        if self._there[img_id] in ("", sha256(picture)):
            return Status.THERE
        return Unusable(
            record.name,
            f"{record.picture} is another picture than the one that was imported as {img_id}; "
            "import into another folder",
        )

    def _origin(self, record: SourceRecord) -> Origin:
        return Origin(
            session_id=self._found.session_ids[record.session],
            fields=record.fields,
            annotation=_annotation(record, self._classes),
            to_delete=record.is_deleted,
        )


def _annotation(record: SourceRecord, classes: Classes) -> Document:
    """Return in what an annotation differs from one that follows from steering and throttle."""
    told: Document = {} if record.created_by == AUTO else {"created_by": record.created_by}
    if record.created_on:
        told["created_on_date"] = record.created_on
    if record.direction is None and record.steering is not None:
        return told
    nb_dir, nb_speed = record.nb_dir or classes.nb_dir, record.nb_speed or classes.nb_speed
    if record.direction is None or record.speed is None:
        # nothing is known: the middle class, and no values
        values = ("created_on_date", "raw_direction", "raw_speed", "steering", "throttle")
        return {
            **told,
            "label_direction": nb_dir // 2,
            "label_speed": nb_speed // 2,
            **dict.fromkeys(values),
        }
    directions, speeds = direction_bins(nb_dir), speed_bins(nb_speed, classes.max_throttle)
    return {
        **told,
        "label_direction": record.direction,
        "label_speed": record.speed,
        "nb_dir": nb_dir,
        "nb_speed": nb_speed,
        "raw_direction": record.steering,
        "raw_speed": record.throttle,
        "steering": directions.value_in(record.direction, record.steering),
        "throttle": speeds.value_in(record.speed, record.throttle),
    }
