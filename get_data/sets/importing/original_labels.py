"""Labels of the original project, 42ai_autonomous_cars: label files beside their pictures.

Its format has changed over the years: classes as numbers or texts, `nb_dir` or `nb_of_direction`,
ids that are seconds since 1970 or a date, classes in the name of the picture only. Steering and
speed are pulse lengths of its servo board; where it also has them as -1 to 1, those are taken.

Source: 42-AI/42ai_autonomous_cars, commit 1c5ee4f, `get_data/src/label_handler.py`.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from common import strict_json
from common.errors import InputError
from common.times import parse_time, to_microseconds
from get_data.labels import ids, label_file
from get_data.labels.constants import AUTO, MAX_CLASSES, SESSION_KEYS
from get_data.labels.schema import Document
from get_data.sets.importing.records import (
    SOURCE_FILE,
    BadValue,
    PictureFolder,
    SourceRecord,
    Unusable,
    check_name,
    modified_us,
    own_fields,
)

PULSE_DIRECTION, PULSE_SPEED = "pulse_direction", "pulse_speed"
"""Custom fields of an imported label: the raw values where they are not within -1 to 1."""

DEFAULT_DIRECTIONS, DEFAULT_SPEEDS = 5, 2

_LABEL_FILES = "labels*.json"
_DAY_US = 86_400_000_000
_NAME_WITH_CLASSES = re.compile(r"(\d{1,2})_(\d{1,2})_[\d.]+\.jpe?g", re.IGNORECASE)
_DIGITS = re.compile(r"\d{1,2}", re.ASCII)
_SECONDS = re.compile(r"(\d{9,10})(\.\d{1,9})?", re.ASCII)
_FINER = re.compile(r"(\d{13}|\d{16})", re.ASCII)  # milliseconds or microseconds since 1970
_NOT_KEPT = frozenset(  # of another database, or read here
    (
        *("img_id", "file_name", "file_type", "raw_picture", "raw_value", "label", "timestamp"),
        *("s3_bucket", "s3_key", "upload_date", "label_fingerprint", "to_delete", "dataset"),
        *("hardware_conf", "car_setting"),
    )
)


class OriginalLabels:
    """The label files of a folder, or one of them.

    They have no sessions: labels of one day, car, event, track and so on are one drive. Where
    several files have a label of one picture, the newest is taken.
    """

    description = "labels of the original project"
    has_classes = True

    def __init__(self, source: Path) -> None:
        """Find the label files and list the pictures beside them.

        Raises:
            InputError: there is no label file, or one cannot be read.
        """
        folder = source if source.is_dir() else source.parent
        self._files = find_label_files(source)
        if not self._files:
            raise InputError(f"{source} has no label file ({_LABEL_FILES})")
        self.warnings = list[str]()
        self.car_setting: Document = {}
        self.started_us = modified_us(self._files[0])
        self.pictures = PictureFolder(folder)
        self._newest: dict[str, tuple[str, int]] = {}
        if len(self._files) > 1:
            self._find_newest()

    def _find_newest(self) -> None:
        """Note which file has the newest label of each picture."""
        superseded = 0
        for number, file in enumerate(self._files):
            for item in _entries(file):
                if isinstance(item, Unusable):
                    continue
                created = str(_inside(item.value, "label").get("created_on_date", ""))
                before = self._newest.get(item.key)
                superseded += before is not None
                if before is None or (created, number) > before:
                    self._newest[item.key] = (created, number)
        if superseded:
            self.warnings.append(
                f"{self.pictures.folder}: {superseded:,} labels have a newer one of the same "
                "picture in another file, which is taken"
            )

    def items(self) -> Iterator[SourceRecord | Unusable]:
        """Yield the labels file by file, and entries that are not labels."""
        for number, file in enumerate(self._files):
            for item in _entries(file):
                if isinstance(item, Unusable):
                    yield item
                elif self._newest.get(item.key, ("", number))[1] == number:
                    yield _read_label(f"{file.name}, {item.key}", item)


def find_label_files(source: Path) -> list[Path]:
    """Return the label file, or the label files of a folder, by name."""
    if not source.is_dir():
        return [source]
    return sorted(file for file in source.glob(_LABEL_FILES) if not file.name.startswith("."))


def is_original(file: Path) -> bool:
    """Return whether a label file is the original project's: its first entry is not one of ours.

    Raises:
        InputError: it cannot be read.
    """
    first = next(iter(_entries(file)), None)
    if not isinstance(first, strict_json.Entry) or "label" not in first.value:
        return False
    return not label_file.starts_like_label_file(
        strict_json.read_bytes(file, "a label file")[:1_000_000]
    )


def _entries(file: Path) -> Iterator[strict_json.Entry | Unusable]:
    """Yield the entries of a label file; a file that is cut off ends with what is wrong."""
    if file.is_symlink():
        yield Unusable(file.name, "is a link, which may lead out of its folder")
        return
    try:
        for entry in strict_json.iter_entries(
            strict_json.read_bytes(file, "a label file"), file.name
        ):
            if isinstance(entry.value, dict):
                yield entry
            else:
                yield Unusable(
                    f"{file.name}, {entry.key}", "is not a label but another kind of JSON"
                )
    except InputError as error:
        yield Unusable(file.name, f"{error}; the labels after that are not imported")


def _read_label(name: str, entry: strict_json.Entry) -> SourceRecord:
    """Return a label as a record; one that cannot be used says why."""
    document: Document = entry.value
    label, raw = _inside(document, "label"), _inside(document, "raw_value")
    file_name = document.get("file_name")
    time_us = _read_time(document, entry.key)
    session = _session(document, time_us)
    try:
        picture = check_name(file_name)
        counts = (
            _read_count(label, ("nb_dir", "nb_of_direction"), DEFAULT_DIRECTIONS),
            _read_count(label, ("nb_speed", "nb_of_speed"), DEFAULT_SPEEDS),
        )
        classes = _read_classes(label, picture, counts)
    except BadValue as error:
        return SourceRecord(
            name=name,
            picture=file_name if isinstance(file_name, str) else "",
            time_us=time_us,
            session=session,
            fault=str(error),
        )
    created_by = label.get("created_by")
    fields = {**_own_fields(document), SOURCE_FILE: picture}
    values: dict[str, float | None] = {}
    for key, normalized, own in (
        ("raw_direction", "normalized_direction", PULSE_DIRECTION),
        ("raw_speed", "normalized_speed", PULSE_SPEED),
    ):
        steps = raw.get(key, label.get(key))
        values[key] = _share(raw.get(normalized))
        if values[key] is None:
            values[key] = _share(steps)
        if _share(steps) is None and _is_number(steps):
            fields[own] = steps
    return SourceRecord(
        name=name,
        picture=picture,
        time_us=time_us,
        steering=values["raw_direction"],
        throttle=values["raw_speed"],
        direction=classes[0],
        speed=classes[1],
        nb_dir=counts[0],
        nb_speed=counts[1],
        created_by=created_by if isinstance(created_by, str) and created_by.strip() else AUTO,
        created_on=_read_date(label.get("created_on_date")),
        session=session,
        fields=fields,
        is_deleted=document.get("to_delete") is True,
    )


def _session(document: Document, time_us: int | None) -> str:
    """Return what the labels of a drive have in common: the day, the car and the session fields."""
    day = (time_us or 0) // _DAY_US
    car = _inside(document, "hardware_conf").get("car")
    return repr((day, car, *(document.get(key) for key in SESSION_KEYS)))


def _inside(document: object, key: str) -> Mapping[str, Any]:
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, dict) else {}


def _read_count(label: Mapping[str, Any], keys: tuple[str, str], default: int) -> int:
    """Return a number of classes; the default if the label does not tell one.

    Raises:
        BadValue: it tells something else.
    """
    for key in keys:
        if label.get(key) is not None:
            count = _integer(label[key])
            if count is None or not 1 <= count <= MAX_CLASSES:
                raise BadValue(f"{key} is {label[key]!r:.100}, not a number of classes")
            return count
    return default


def _read_classes(
    label: Mapping[str, Any], picture: str, counts: tuple[int, int]
) -> tuple[int, int]:
    """Return the classes of direction and speed, from the label or the name of the picture.

    Raises:
        BadValue: there are none, or they are no classes.
    """
    given = (label.get("label_direction"), label.get("label_speed"))
    if given == (None, None) and (match := _NAME_WITH_CLASSES.fullmatch(picture)):
        given = (match[2], match[1])  # the name begins with the speed
    found = []
    for key, value, count in zip(("label_direction", "label_speed"), given, counts, strict=True):
        number = _integer(value)
        if number is None:
            raise BadValue(f"{key} is {value!r:.100}, not a class" if value else f"has no {key}")
        if not 0 <= number < count:
            raise BadValue(f"{key} is {number}, not one of {count} classes")
        found.append(number)
    return found[0], found[1]


def _integer(value: object) -> int | None:
    """Return a whole number, also one that is a text; None for anything else."""
    if isinstance(value, str):
        return int(value) if _DIGITS.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _share(value: object) -> float | None:
    """Return a value from -1 to 1; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -1 <= value <= 1 else None


def _read_time(document: Document, key: str) -> int | None:
    """Return when the picture was taken, from the first field that tells it."""
    name = document.get("file_name")
    candidates = [document.get("timestamp"), document.get("img_id"), key]
    if isinstance(name, str):
        candidates += [Path(name).stem, Path(name).stem.rpartition("_")[2]]
    for candidate in candidates:
        time_us = read_time_text(f"{candidate}") if candidate is not None else None
        if time_us is not None:
            return time_us
    return None


def read_time_text(text: str) -> int | None:
    """Return a time in microseconds since 1970: an id, a number since 1970, or ISO 8601."""
    if captured := ids.parse_img_id(text):
        return to_microseconds(captured)
    if match := _SECONDS.fullmatch(text):
        return int(match[1]) * 1_000_000 + int((match[2] or ".")[1:7].ljust(6, "0"))
    if _FINER.fullmatch(text):
        return int(text) * (1000 if len(text) == 13 else 1)
    parsed = parse_time(text) if "-" in text and "T" in text else None
    return to_microseconds(parsed) if parsed else None


def _read_date(value: object) -> str:
    """Return a time as a label has it; "" for anything else."""
    if not isinstance(value, str):
        return ""
    captured = ids.parse_img_id(value) or parse_time(value)
    return captured.isoformat().replace("+00:00", "Z") if captured else ""


def _own_fields(document: Document) -> Document:
    """Return session fields and custom fields, and what the label says of the car."""
    fields = own_fields(document, without=_NOT_KEPT)
    for key in SESSION_KEYS:
        if isinstance(document.get(key), str):
            fields[key] = document[key]
    hardware, setting = _inside(document, "hardware_conf"), _inside(document, "car_setting")
    car = hardware.get("car")
    if hardware or setting:
        fields["car_setting"] = {
            **({"car": car} if isinstance(car, str) else {}),
            **({"hardware_conf": dict(hardware)} if hardware else {}),
            **setting,
        }
    return fields
