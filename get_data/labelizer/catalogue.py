"""A label file and its picture folder, read into columns, faults included.

Pictures that no label names are entries too, without classes. Both are only read. Of a hundred
thousand labels only columns stay in memory; the bytes of an entry are read from the file again when
they are needed.
"""

import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common import strict_json
from common.collector import collector_paused
from common.errors import InputError
from common.links import resolve_picture
from get_data.labelizer.captures import Captures, read_captures
from get_data.labelizer.entries import (
    Group,
    LabelEntry,
    parse_entries,
    split_into_runs,
    time_and_id,
)
from get_data.labelizer.operations import UNKNOWN, Floats
from get_data.labelizer.picture_folder import FolderFile, hash_listing, list_files
from get_data.labelizer.problems import Problems, find_problems
from get_data.labelizer.unlabelled import find_unlabelled
from get_data.labels import classes, label_file
from get_data.labels.classes import direction_bins, speed_bins
from get_data.labels.constants import NOBODY, NOT_PEOPLE
from get_data.labels.drives import DriveKey
from get_data.labels.values import DEFAULT_SPAN

MAX_CLASS_KEYS = 10  # one for each digit key
NO_LABELS = b"{}"  # in place of a label file that does not exist

Progress = Callable[[Iterable[label_file.Entry]], Iterable[label_file.Entry]]


class Flag(IntFlag):
    """Properties of an entry; `store.js` has the same names and values."""

    MISSING = 1  # no picture that may be shown
    BROKEN = 2  # the size of the picture is wrong
    INVALID = 4  # the label is not valid
    HOPELESS = 8  # the label is not valid, and no correction makes it valid
    PERSON = 16  # the label is from a person, not from the driver's commands
    MARKED = 32  # the file marks it for deletion
    RUN_START = 64  # the first picture of a run: of a drive, or after a pause in it
    VALUED = 128  # the label has a steering of its own
    UNLABELLED = 256  # a picture that no label names
    NOBODY = 512  # the label stands for a picture that nobody has labelled


@dataclass(frozen=True, slots=True)
class Fix:
    """Classes of an entry that are strings in the file, such as "2"."""

    position: int
    direction: int
    speed: int


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """Entries ordered by drive and time, as columns with one value for each entry.

    The pictures of a run are neighbours, also where two cars drove at the same time.

    `direction`, `speed`: classes, -1 if unknown. `raw_direction`, `raw_speed`: what the driver did,
    -1 .. 1, NaN if unknown. `steering`, `throttle`: the label's values, as a reader gets them, NaN
    without a class. `span`: the throttle up to which the speed bins reach; `tells_span`: whether
    the label says so, else it is the most throttle of its drive.
    `captures`: drive and time of each picture. `group`: index into `groups`. `starts`, `ends`: byte
    ranges of the values in the label file. `version`: changes with any picture. `problems`: by
    kind, see `PROBLEM_KINDS`. `unlabelled`: by position, the pictures without a label. `people`: by
    position, who made the labels that are not from the driver's commands.
    """

    labels: Path
    folder: Path
    sha256: str
    ids: list[str]
    file_names: list[str | None]
    direction: NDArray[np.int8]
    speed: NDArray[np.int8]
    raw_direction: Floats
    raw_speed: Floats
    steering: Floats
    throttle: Floats
    span: Floats
    tells_span: NDArray[np.bool_]
    captures: Captures
    group: NDArray[np.int16]
    groups: list[Group]
    flags: NDArray[np.uint16]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    version: str
    problems: Problems
    fixes: list[Fix]
    unlabelled: dict[int, LabelEntry]
    people: dict[int, str]

    def __len__(self) -> int:
        return len(self.ids)

    def group_of(self, position: int) -> Group:
        """Return the group of an entry."""
        return self.groups[int(self.group[position])]

    def in_file_order(self) -> list[int]:
        """Return the positions of the label file's entries, in the order of the file."""
        order: list[int] = self.starts.argsort().tolist()
        return order[len(self.unlabelled) :]

    def picture(self, position: int) -> Path | None:
        """Return the picture file of an entry; None if it is not in the folder."""
        name = self.file_names[position]
        return resolve_picture(self.folder, name) if name else None

    def raw(self, position: int) -> bytes:
        """Return the label of an entry, byte for byte as in the file; `null` if it has none.

        Raises:
            InputError: the label file cannot be read.
        """
        if position in self.unlabelled:
            return b"null"
        start, end = int(self.starts[position]), int(self.ends[position])
        try:
            with self.labels.open("rb") as file:
                file.seek(start)
                return file.read(end - start)
        except OSError as error:
            raise InputError(f"{self.labels} cannot be read: {error.strerror}") from error


def read_catalogue(labels: Path, folder: Path, progress: Progress = iter) -> Catalogue:
    """Read a label file and the folder of its pictures; there may be no label file yet.

    `progress` wraps the iterator over the entries, for a progress bar.

    Raises:
        InputError: the file is not a label file, or has too many classes; or there is nothing to
            label.
    """
    with collector_paused():
        return _read(labels, folder, progress)


def _read(labels: Path, folder: Path, progress: Progress) -> Catalogue:
    raw = strict_json.read_bytes(labels, "a label file") if labels.exists() else NO_LABELS
    labelled = parse_entries(progress(label_file.iter_entries(BytesIO(raw), str(labels))))
    files = list_files(folder)
    unlabelled = find_unlabelled(labelled, labels, folder, files, raw)
    in_order = sorted([*labelled, *unlabelled.entries], key=time_and_id)
    runs = split_into_runs(in_order)
    entries = [entry for run in runs for entry in run]
    if not entries:
        raise InputError(
            f"{labels} has no labels, and {folder} has no pictures; give a folder of pictures"
        )
    group_counts = _count_groups(entries, labels)
    most_common = max(group_counts, key=lambda group: group_counts[group])
    groups = list(group_counts)
    groups_of_entries = [entry.group or most_common for entry in entries]
    spans = _find_spans(entries)
    flags = _flags(entries, files)
    run_starts = np.cumsum([0, *(len(run) for run in runs[:-1])])
    flags[run_starts] |= np.uint16(Flag.RUN_START)
    return Catalogue(
        labels=labels,
        folder=folder,
        sha256=hashlib.sha256(raw).hexdigest(),
        ids=[entry.img_id for entry in entries],
        file_names=[entry.label.file_name for entry in entries],
        direction=_class_column(entry.label.direction for entry in entries),
        speed=_class_column(entry.label.speed for entry in entries),
        raw_direction=_float_column(entry.label.raw_direction for entry in entries),
        raw_speed=_float_column(entry.label.raw_speed for entry in entries),
        steering=_float_column(
            _read_steering(entry, group)
            for entry, group in zip(entries, groups_of_entries, strict=True)
        ),
        throttle=_float_column(
            _read_throttle(entry, group, span)
            for entry, group, span in zip(entries, groups_of_entries, spans, strict=True)
        ),
        span=np.array(spans, np.float64),
        tells_span=np.array([entry.label.span is not None for entry in entries], np.bool_),
        captures=read_captures(runs),
        group=_index_groups(groups_of_entries, groups),
        groups=groups,
        flags=flags,
        starts=np.array([entry.start for entry in entries], np.int64),
        ends=np.array([entry.end for entry in entries], np.int64),
        version=hash_listing(files),
        problems=find_problems(entries, group_counts, files, unlabelled),
        fixes=_find_fixes(entries),
        unlabelled={
            position: entry for position, entry in enumerate(entries) if entry.template is not None
        },
        people={
            position: sys.intern(entry.label.created_by)
            for position, entry in enumerate(entries)
            if entry.label.created_by not in NOT_PEOPLE
        },
    )


def _count_groups(entries: Sequence[LabelEntry], labels: Path) -> Counter[Group]:
    """Count the labels of each group; if there is none, return the group of a default recording.

    Raises:
        InputError: a group has more classes than there are digit keys.
    """
    counts: Counter[Group] = Counter()
    for entry in entries:
        if group := entry.group:
            if max(group.nb_dir, group.nb_speed) > MAX_CLASS_KEYS:
                raise InputError(
                    f"{labels}, entry {entry.img_id!r}: {group.nb_dir} directions and "
                    f"{group.nb_speed} speeds; the labelizer has keys for {MAX_CLASS_KEYS} of each"
                )
            counts[group] += 1
    recorded = classes.Classes()
    return counts or Counter({Group(recorded.nb_dir, recorded.nb_speed): 1})


def _class_column(values: Iterable[int | None]) -> NDArray[np.int8]:
    return np.array([UNKNOWN if value is None else value for value in values], np.int8)


def _float_column(values: Iterable[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _read_steering(entry: LabelEntry, group: Group) -> float | None:
    """Return the steering of a label, its own or the one that goes with its class."""
    label = entry.label
    if label.steering is not None or label.direction is None:
        return label.steering
    return direction_bins(group.nb_dir).value_in(label.direction, label.raw_direction)


def _read_throttle(entry: LabelEntry, group: Group, span: float) -> float | None:
    """Return the throttle of a label, its own or the one that goes with its class."""
    label = entry.label
    if label.throttle is not None or label.speed is None:
        return label.throttle
    if label.span is None and label.raw_speed is not None:
        return label.raw_speed
    return speed_bins(group.nb_speed, span).value_in(label.speed, label.raw_speed)


def _find_spans(entries: Sequence[LabelEntry]) -> list[float]:
    """Return the throttle up to which the speed bins of each entry reach."""
    most: dict[DriveKey, float] = {}
    for entry in entries:
        most[entry.drive] = max(most.get(entry.drive, 0.0), entry.label.raw_speed or 0.0)
    return [entry.label.span or most[entry.drive] or DEFAULT_SPAN for entry in entries]


def _index_groups(groups_of_entries: Sequence[Group], groups: list[Group]) -> NDArray[np.int16]:
    numbers = {group: number for number, group in enumerate(groups)}
    return np.array([numbers[group] for group in groups_of_entries], np.int16)


def _flags(entries: Sequence[LabelEntry], files: Mapping[str, FolderFile]) -> NDArray[np.uint16]:
    """Return the flags of all entries, without `RUN_START`."""
    labels = [entry.label for entry in entries]
    flags = np.zeros(len(entries), np.uint16)
    for flag, holds in (
        (Flag.MISSING, [label.file_name not in files for label in labels]),
        (Flag.BROKEN, [entry.find_picture_fault(files) != "" for entry in entries]),
        (Flag.INVALID, [entry.fault != "" for entry in entries]),
        (Flag.HOPELESS, [entry.hopeless for entry in entries]),
        (Flag.PERSON, [label.created_by not in NOT_PEOPLE for label in labels]),
        (Flag.MARKED, [label.marked for label in labels]),
        (Flag.VALUED, [label.steering is not None for label in labels]),
        (Flag.UNLABELLED, [entry.template is not None for entry in entries]),
        (Flag.NOBODY, [label.created_by == NOBODY for label in labels]),
    ):
        flags[np.array(holds, np.bool_)] |= np.uint16(flag)
    return flags


def _find_fixes(entries: Sequence[LabelEntry]) -> list[Fix]:
    """Return the fixes for entries that become valid once their strings are read as numbers."""
    fixes = []
    for position, entry in enumerate(entries):
        label = entry.label
        has_text = label.text_direction is not None or label.text_speed is not None
        direction = label.direction if label.text_direction is None else label.text_direction
        speed = label.speed if label.text_speed is None else label.text_speed
        if has_text and not entry.hopeless and direction is not None and speed is not None:
            fixes.append(Fix(position, direction, speed))
    return fixes
