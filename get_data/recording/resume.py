"""What a folder was recorded with, where a drive is about to continue it.

All labels of a folder have one meaning: the same classes, cut from the same range, of pictures of
one size. A drive that is set otherwise goes into another folder.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw, Struct

from common.errors import InputError
from get_data.labels.ids import parse_img_id
from get_data.labels.schema import Resolution
from get_data.recording import journal


@dataclass(frozen=True, slots=True)
class DriveSettings:
    """How a drive is set, as far as its labels tell; None where they do not.

    Labels of drives from elsewhere tell only classes and size.
    """

    nb_dir: int | None
    nb_speed: int | None
    max_throttle: float | None
    resolution: str | None
    simulated: bool | None
    rate_hz: float | None
    car: str | None


MUST_MATCH = ("nb_dir", "nb_speed", "max_throttle", "resolution", "simulated")
"""What must not change within a folder: it decides what a class is, or what a picture shows."""

MAY_DIFFER = ("rate_hz", "car")
"""What every label tells of itself, so that a change is only worth a word."""


@dataclass(frozen=True, slots=True)
class PreviousDrives:
    """What stands in a folder already: its newest moment, and every way it was recorded."""

    newest: datetime | None
    settings: frozenset[DriveSettings]

    def values(self, name: str) -> set[Any]:
        """Return the values that a setting had."""
        told = {getattr(one, name) for one in self.settings}
        return told - {None}


class _Run(Struct, frozen=True):
    max_throttle: float | None = None
    resolution: str | None = None
    simulated: bool | None = None
    rate_hz: float | None = None


class _Car(Struct, frozen=True):
    car: str | None = None
    run: _Run = _Run()


class _Annotation(Struct, frozen=True):
    nb_dir: int
    nb_speed: int


class _Label(Struct, frozen=True):
    label: _Annotation
    resolution: Resolution | None = None
    car_setting: Any = None


_decode = msgspec.json.Decoder(_Label).decode


def read_previous(folder: Path) -> PreviousDrives:
    """Return what stands in the folder, also what waits in a journal to be repaired.

    Nothing is changed. Raises: InputError, RecordingFailed.
    """
    settings: set[DriveSettings] = set()
    newest = None
    for img_id, line in journal.iter_labels(folder):
        moment = parse_img_id(img_id)
        newest = max(filter(None, (newest, moment)), default=None)
        settings.update(_settings_of(line))
    return PreviousDrives(newest, frozenset(settings))


def _settings_of(line: Raw) -> Iterator[DriveSettings]:
    """How the label was recorded; nothing for what is no label, which an upload will name."""
    try:
        label = _decode(line)
    except msgspec.MsgspecError:
        return
    size = label.resolution
    yield _setting(
        _car_of(label.car_setting),
        label.label,
        size=f"{size.horizontal}x{size.vertical}" if size else None,
    )


def check_compatible(folder: Path, earlier: PreviousDrives, setting: DriveSettings) -> list[str]:
    """Return what differs and may, a line each. Raises: InputError for what may not differ."""
    for name in MUST_MATCH:
        before, now = earlier.values(name), getattr(setting, name)
        if before - {now}:
            raise InputError(
                f"{folder} was recorded with {_listed(name, before)}, this drive has "
                f"{_listed(name, {now})}: record into another folder"
            )
    return [
        f"{folder} was recorded with {_listed(name, before)}, this drive has "
        f"{_listed(name, {getattr(setting, name)})}"
        for name in MAY_DIFFER
        if (before := earlier.values(name)) - {getattr(setting, name)}
    ]


def _listed(name: str, values: set[Any]) -> str:
    texts = [str(one).lower() if one is True or one is False else str(one) for one in values]
    return f"{name} {' and '.join(sorted(texts))}"


def drive_settings(car_setting: Mapping[str, Any], *, nb_dir: int, nb_speed: int) -> DriveSettings:
    """Return how a drive is set that gives its labels this `car_setting`."""
    return _setting(_car_of(car_setting), _Annotation(nb_dir, nb_speed))


def _car_of(car_setting: object) -> _Car:
    """What a label says of its car; nothing where that has a form of its own."""
    try:
        return msgspec.convert(car_setting, _Car)
    except msgspec.MsgspecError:
        return _Car()


def _setting(car: _Car, annotation: _Annotation, *, size: str | None = None) -> DriveSettings:
    return DriveSettings(
        nb_dir=annotation.nb_dir,
        nb_speed=annotation.nb_speed,
        max_throttle=car.run.max_throttle,
        resolution=car.run.resolution or size,
        simulated=car.run.simulated,
        rate_hz=car.run.rate_hz,
        car=car.car,
    )
