"""What there is to label: a label file and its folder of pictures, as they are, faults and all.

Nothing is changed, and of a hundred thousand labels only columns stay in memory: an entry's bytes
are read again from the file when they are needed.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntFlag
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common import strict_json
from common.errors import InputError
from common.links import resolve_picture
from get_data.labelizer import partial_label
from get_data.labelizer.operations import UNKNOWN
from get_data.labelizer.partial_label import Glance
from get_data.labels import classes, edits, ids
from get_data.labels.schema import AUTO

MAX_CLASSES = 10  # a digit key each
SUFFIXES = (".jpg", ".jpeg")
_OF_MACOS = "._"  # begins what macOS keeps beside a file on a disk of another kind

_LEAST_PAUSE_S = 1.0  # between pictures of two runs
_PAUSE_PERIODS = 4.0
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Flag(IntFlag):
    """What is to be known of an entry besides its label."""

    MISSING = 1  # no picture that may be shown
    BROKEN = 2  # a picture that cannot be whole, seen without decoding it
    INVALID = 4  # no valid label
    HOPELESS = 8  # and relabelling does not make it one
    PERSON = 16  # somebody said this, not the driver's own command
    MARKED = 32  # the file asks to delete it
    RUN_START = 64  # the picture before it, in time, is of another run


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a person should know of; `position` -1 where it is of no entry."""

    name: str
    what: str
    position: int = -1


Problems = dict[str, list[Problem]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem, in words for one and for many, and what to do about it."""

    one: str
    many: str
    remedy: str


KINDS = {
    "invalid": Kind(
        "label that is not valid",
        "labels that are not valid",
        "Set their direction and speed, or mark them to delete; as they are they are not exported.",
    ),
    "hopeless": Kind(
        "label that no correction makes valid",
        "labels that no correction makes valid",
        "They are not exported. Correct their entries in the label file by hand.",
    ),
    "missing": Kind(
        "label without a picture",
        "labels without a picture",
        "They can be labelled and are exported; to apply them, their pictures must be in the "
        "database.",
    ),
    "broken": Kind(
        "picture that is broken",
        "pictures that are broken",
        "Mark them to delete if they should not be kept.",
    ),
    "unlabelled": Kind(
        "picture without a label",
        "pictures without a label",
        "They are left as they are; no label is invented.",
    ),
    "groups": Kind(
        "set of classes in this file",
        "different sets of classes in one file",
        "All can be labelled, but an edit of many (a class, a confirmation, a mark to delete) is "
        "only of those with the classes of the picture shown.",
    ),
    "corrections": Kind(
        "correction that stands in this file",
        "corrections that stand in this file",
        "Apply them with upload_to_db.py before you correct them again, and search anew.",
    ),
}


@dataclass(frozen=True, slots=True)
class Group:
    """Labels that speak of the same classes."""

    nb_dir: int
    nb_speed: int


@dataclass(frozen=True, slots=True)
class Fix:
    """Classes that stand as texts in the file, such as "2", and are plainly meant."""

    position: int
    direction: int
    speed: int


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """The entries in the order of time; every column has one value an entry.

    `direction`, `speed`: classes, -1 unknown. `steering`, `throttle`: -1 .. 1, NaN unknown.
    `group`: which of `groups`. `starts`, `ends`: where its value stands in the file, in bytes.
    `version` changes when any picture does. `problems`: by kind, see `KINDS`.
    """

    labels: Path
    folder: Path
    sha256: str
    ids: list[str]
    file_names: list[str | None]
    direction: NDArray[np.int8]
    speed: NDArray[np.int8]
    steering: NDArray[np.float32]
    throttle: NDArray[np.float32]
    group: NDArray[np.int16]
    groups: list[Group]
    flags: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    version: str
    problems: Problems
    fixes: list[Fix]

    def __len__(self) -> int:
        return len(self.ids)

    def group_of(self, position: int) -> Group:
        """The classes that an entry speaks of."""
        return self.groups[int(self.group[position])]

    def picture(self, position: int) -> Path | None:
        """The file of a picture in the folder; None where there is none that may be shown."""
        name = self.file_names[position]
        return resolve_picture(self.folder, name) if name else None

    def raw(self, position: int) -> bytes:
        """The bytes of an entry's label, as they stand in the file. Raises: InputError."""
        start, end = int(self.starts[position]), int(self.ends[position])
        try:
            with self.labels.open("rb") as file:
                file.seek(start)
                return file.read(end - start)
        except OSError as error:
            raise InputError(f"{self.labels} cannot be read: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Row:
    """An entry on its way into the columns."""

    img_id: str
    says: Glance
    fault: str
    hopeless: bool
    start: int
    end: int

    @property
    def taken(self) -> datetime:
        return self.says.taken or ids.parse_img_id(self.img_id) or _LONG_AGO


Progress = Callable[[Iterable[strict_json.Entry]], Iterable[strict_json.Entry]]


def read(labels: Path, folder: Path, progress: Progress = iter) -> Catalogue:
    """The catalogue of a label file whose pictures lie in the folder.

    `progress` passes the entries on and may show how far it is. Raises: InputError for what is no
    label file at all, has no labels, or has too many classes for keys.
    """
    raw = strict_json.read_bytes(labels, "a label file")
    rows = [_row(entry) for entry in progress(strict_json.iter_entries(raw, str(labels)))]
    if not rows:
        raise InputError(f"{labels} has no labels to correct")
    rows.sort(key=lambda row: (row.taken, row.img_id))
    groups = _groups(rows, labels)
    usual = max(groups, key=lambda group: groups[group])
    names = list(groups)
    files = _files(folder)
    flags = np.array([_flags(row, files) for row in rows], np.uint8)
    flags[_run_starts(rows)] |= np.uint8(Flag.RUN_START)
    return Catalogue(
        labels=labels,
        folder=folder,
        sha256=hashlib.sha256(raw).hexdigest(),
        ids=[row.img_id for row in rows],
        file_names=[row.says.file_name for row in rows],
        direction=_classes(row.says.direction for row in rows),
        speed=_classes(row.says.speed for row in rows),
        steering=_shares(row.says.steering for row in rows),
        throttle=_shares(row.says.throttle for row in rows),
        group=np.array([names.index(_group(row) or usual) for row in rows], np.int16),
        groups=names,
        flags=flags,
        starts=np.array([row.start for row in rows], np.int64),
        ends=np.array([row.end for row in rows], np.int64),
        version=_version(files),
        problems=_problems(rows, groups, files),
        fixes=_fixes(rows),
    )


def _row(entry: strict_json.Entry) -> _Row:
    says = partial_label.glance(entry.value)
    named = entry.value.get("img_id") if isinstance(entry.value, dict) else None
    fault = says.fault
    if isinstance(named, str) and named != entry.key:
        fault = f"its img_id is {named!r}; make it equal to the entry's name"
    hopeless = bool(fault) and (named != entry.key or not _can_be_corrected(entry, says))
    return _Row(entry.key, says, fault, hopeless, entry.start, entry.end)


def _can_be_corrected(entry: strict_json.Entry, says: Glance) -> bool:
    """Whether a direction and a speed are all that an invalid label lacks."""
    correction = edits.corrected(
        entry.value,
        created_by="somebody",
        direction=0,
        speed=0,
        created_on=_LONG_AGO,
        nb_dir=says.nb_dir or 1,
        nb_speed=says.nb_speed or 1,
    )
    return not partial_label.glance(correction).fault


def _group(row: _Row) -> Group | None:
    nb_dir, nb_speed = row.says.nb_dir, row.says.nb_speed
    return Group(nb_dir, nb_speed) if nb_dir and nb_speed else None


def _groups(rows: Sequence[_Row], labels: Path) -> Counter[Group]:
    """How many labels speak of which classes; never empty. Raises: InputError for too many."""
    groups: Counter[Group] = Counter()
    for row in rows:
        if group := _group(row):
            if max(group.nb_dir, group.nb_speed) > MAX_CLASSES:
                raise InputError(
                    f"{labels}, entry {row.img_id!r}: {group.nb_dir} directions and "
                    f"{group.nb_speed} speeds; the labelizer has keys for {MAX_CLASSES} of each"
                )
            groups[group] += 1
    return groups or Counter({_group_of_a_recording(): 1})


def _group_of_a_recording() -> Group:
    usual = classes.Classes()
    return Group(usual.nb_dir, usual.nb_speed)


def _classes(values: Iterable[int | None]) -> NDArray[np.int8]:
    return np.array([UNKNOWN if value is None else value for value in values], np.int8)


def _shares(values: Iterable[float | None]) -> NDArray[np.float32]:
    return np.array([np.nan if value is None else value for value in values], np.float32)


def _run_starts(rows: Sequence[_Row]) -> NDArray[np.bool_]:
    """Which pictures do not follow close upon the one before them."""
    seconds = np.array([(row.taken - _LONG_AGO).total_seconds() for row in rows])
    gaps = np.diff(seconds)
    usual = float(np.median(gaps)) if gaps.size else 0.0
    pauses = gaps > max(_LEAST_PAUSE_S, _PAUSE_PERIODS * usual)
    return np.concatenate([np.array([True]), pauses])


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the folder that may be shown."""

    size: int
    changed_ns: int


def _files(folder: Path) -> dict[str, _File]:
    """The regular files of the folder by name, without links that lead out of it.

    Raises: InputError.
    """
    files: dict[str, _File] = {}
    try:
        with os.scandir(folder) as found:
            for one in found:
                if one.is_symlink() and resolve_picture(folder, one.name) is None:
                    continue
                if one.is_file() and not one.name.startswith(_OF_MACOS):
                    told = one.stat()
                    files[one.name] = _File(told.st_size, told.st_mtime_ns)
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error
    return files


def shown(name: Path | str) -> str:
    """The name for people: what of it is no text, which Linux allows, becomes a sign for that."""
    return os.fsencode(name).decode(errors="replace")


def _version(files: Mapping[str, _File]) -> str:
    told = sorted((name, one.size, one.changed_ns) for name, one in files.items())
    return hashlib.sha256(repr(told).encode(errors="surrogatepass")).hexdigest()[:12]


def _flags(row: _Row, files: Mapping[str, _File]) -> int:
    name = row.says.file_name
    return (
        (Flag.MISSING if name not in files else 0)
        | (Flag.BROKEN if _fault_of_picture(row, files) else 0)
        | (Flag.INVALID if row.fault else 0)
        | (Flag.HOPELESS if row.hopeless else 0)
        | (Flag.PERSON if row.says.created_by != AUTO else 0)
        | (Flag.MARKED if row.says.marked else 0)
    )


def _fault_of_picture(row: _Row, files: Mapping[str, _File]) -> str:
    """Why a picture that is there cannot be the one that was recorded, as far as its size tells."""
    if row.says.file_name is None or row.says.file_name not in files:
        return ""
    size, recorded = files[row.says.file_name].size, row.says.picture_size
    if size == 0:
        return "the picture is empty"
    if recorded is not None and recorded != size:
        return f"the picture has {size} bytes instead of {recorded}"
    return ""


def _problems(rows: Sequence[_Row], groups: Counter[Group], files: Mapping[str, _File]) -> Problems:
    problems: Problems = {kind: [] for kind in KINDS}
    for position, row in enumerate(rows):
        if row.fault:
            problems["hopeless" if row.hopeless else "invalid"].append(
                Problem(row.img_id, row.fault, position)
            )
        if row.says.file_name not in files:
            name = row.says.file_name
            what = f"{name} is not in the folder" if name else "the label names no picture"
            problems["missing"].append(Problem(row.img_id, what, position))
        if fault := _fault_of_picture(row, files):
            problems["broken"].append(Problem(row.img_id, fault, position))
        if row.says.marked or row.says.replaces:
            what = "asks to be deleted" if row.says.marked else "corrects another label"
            problems["corrections"].append(Problem(row.img_id, what, position))
    labelled = {row.says.file_name for row in rows}
    problems["unlabelled"] = [
        Problem(shown(name), "no label names this picture")
        for name in sorted(files)
        if name.lower().endswith(SUFFIXES) and name not in labelled
    ]
    if len(groups) > 1:
        problems["groups"] = [
            Problem(f"{group.nb_dir} directions, {group.nb_speed} speeds", f"{count} labels")
            for group, count in groups.most_common()
        ]
    return problems


def _fixes(rows: Sequence[_Row]) -> list[Fix]:
    fixes = []
    for position, row in enumerate(rows):
        says = row.says
        direction = says.direction if says.said_direction is None else says.said_direction
        speed = says.speed if says.said_speed is None else says.said_speed
        told = says.said_direction is not None or says.said_speed is not None
        if told and not row.hopeless and direction is not None and speed is not None:
            fixes.append(Fix(position, direction, speed))
    return fixes
