"""Settings of earlier drives into a folder, compared with those of a drive that continues it.

All labels of a folder have one meaning: the same classes, cut from the same range, of pictures of
one size. A drive with other settings goes into another folder.
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

MUST_MATCH = ("nb_dir", "nb_speed", "max_throttle", "resolution", "simulated")
"""Settings that must not change within a folder: they define a class, or what a picture shows."""

MAY_DIFFER = ("rate_hz", "car")
"""Settings that every label carries, so that a change is only worth a warning."""


@dataclass(frozen=True, slots=True)
class DriveSettings:
    """Settings of a drive as its labels have them; None where they do not.

    Labels of drives from elsewhere have only classes and size.
    """

    nb_dir: int | None
    nb_speed: int | None
    max_throttle: float | None
    resolution: str | None
    simulated: bool | None
    rate_hz: float | None
    car: str | None


@dataclass(frozen=True, slots=True)
class PreviousDrives:
    """Earlier drives into a folder: the newest time of capture, and all settings they had."""

    newest: datetime | None
    settings: frozenset[DriveSettings]

    def values(self, name: str) -> set[Any]:
        """Return the values that a setting had."""
        return {getattr(settings, name) for settings in self.settings} - {None}


class _Run(Struct, frozen=True):
    max_throttle: float | None = None
    resolution: str | None = None
    simulated: bool | None = None
    rate_hz: float | None = None


class _CarSetting(Struct, frozen=True):
    car: str | None = None
    run: _Run = _Run()


class _Classes(Struct, frozen=True):
    nb_dir: int
    nb_speed: int


class _Label(Struct, frozen=True):
    """The few fields of a label that are needed here, decoded without the others."""

    label: _Classes
    resolution: Resolution | None = None
    car_setting: Any = None


_decode = msgspec.json.Decoder(_Label).decode


def read_previous(folder: Path) -> PreviousDrives:
    """Return the earlier drives of a folder, also those in a journal that needs repair.

    Nothing is changed.

    Raises:
        InputError: a label file cannot be read.
        RecordingFailed: the journal cannot be read.
    """
    settings: set[DriveSettings] = set()
    newest = None
    for img_id, line in journal.iter_labels(folder):
        newest = max(filter(None, (newest, parse_img_id(img_id))), default=None)
        settings.update(_settings_of(line))
    return PreviousDrives(newest, frozenset(settings))


def _settings_of(line: Raw) -> Iterator[DriveSettings]:
    """Yield the settings of a label; nothing for an invalid one, which an upload will report."""
    try:
        label = _decode(line)
    except msgspec.MsgspecError:
        return
    size = label.resolution
    yield _combine(
        _convert_car_setting(label.car_setting),
        label.label,
        size=f"{size.horizontal}x{size.vertical}" if size else None,
    )


def drive_settings(car_setting: Mapping[str, Any], *, nb_dir: int, nb_speed: int) -> DriveSettings:
    """Return the settings of a drive that writes this `car_setting` into its labels."""
    return _combine(_convert_car_setting(car_setting), _Classes(nb_dir, nb_speed))


def _convert_car_setting(car_setting: object) -> _CarSetting:
    """Return the known values of a label's `car_setting`; none where it has a form of its own."""
    try:
        return msgspec.convert(car_setting, _CarSetting)
    except msgspec.MsgspecError:
        return _CarSetting()


def _combine(
    car_setting: _CarSetting, classes: _Classes, *, size: str | None = None
) -> DriveSettings:
    return DriveSettings(
        nb_dir=classes.nb_dir,
        nb_speed=classes.nb_speed,
        max_throttle=car_setting.run.max_throttle,
        resolution=car_setting.run.resolution or size,
        simulated=car_setting.run.simulated,
        rate_hz=car_setting.run.rate_hz,
        car=car_setting.car,
    )


def check_compatible(folder: Path, previous: PreviousDrives, settings: DriveSettings) -> list[str]:
    """Return a warning for each setting of MAY_DIFFER that differs.

    Raises:
        InputError: a setting of MUST_MATCH differs.
    """
    for name in MUST_MATCH:
        if previous.values(name) - {getattr(settings, name)}:
            difference = _describe_difference(folder, name, previous, settings)
            raise InputError(f"{difference}: record into another folder")
    return [
        _describe_difference(folder, name, previous, settings)
        for name in MAY_DIFFER
        if previous.values(name) - {getattr(settings, name)}
    ]


def _describe_difference(
    folder: Path, name: str, previous: PreviousDrives, settings: DriveSettings
) -> str:
    before, now = _format(previous.values(name)), _format({getattr(settings, name)})
    return f"{folder} was recorded with {name} {before}, this drive has {name} {now}"


def _format(values: set[Any]) -> str:
    """Return the values as text: `true`, `16 and 20`."""
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    return " and ".join(sorted(texts))
