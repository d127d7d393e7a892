"""Entries of a label file, parsed as far as they are valid."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from msgspec import Struct

from get_data.labelizer.partial_label import PartialLabel, read_partial, read_valid
from get_data.labelizer.picture_folder import FolderFile
from get_data.labels import edits, ids, label_file
from get_data.labels.drives import (
    DriveKey,
    drive_key,
    find_pauses,
    group_by_drive,
    label_drive_key,
)
from get_data.labels.schema import Document

LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Group:
    """Numbers of classes that some of the labels share."""

    nb_dir: int
    nb_speed: int


class LabelEntry(Struct, frozen=True):
    """An entry of the label file, or a picture that no entry names.

    `taken`: time of the picture, from the label or else from the id.
    `drive`: what it has in common with the labels of its drive. `fault`: why it is not valid, "" if
    it is. `hopeless`: no correction makes it valid. `start`, `end`: byte range of its value in the
    file. `template`: what a new label starts from, for a picture that no label names; it has no
    byte range.
    """

    img_id: str
    taken: datetime
    label: PartialLabel
    drive: DriveKey
    fault: str
    hopeless: bool
    start: int
    end: int
    template: Document | None = None

    @property
    def group(self) -> Group | None:
        """Group of the label; None if it lacks a number of classes."""
        nb_dir, nb_speed = self.label.nb_dir, self.label.nb_speed
        return _group(nb_dir, nb_speed) if nb_dir and nb_speed else None

    def find_picture_fault(self, files: Mapping[str, FolderFile]) -> str:
        """Return why the picture cannot be the recorded one, judged by its size; "" if it can."""
        if self.label.file_name is None or self.label.file_name not in files:
            return ""
        size, recorded_size = files[self.label.file_name].size, self.label.picture_size
        if size == 0:
            return "the picture is empty"
        if recorded_size is not None and recorded_size != size:
            return f"the picture has {size} bytes instead of {recorded_size}"
        return ""


@lru_cache
def _group(nb_dir: int, nb_speed: int) -> Group:
    return Group(nb_dir, nb_speed)


def parse_entries(raw_entries: Iterable[label_file.Entry]) -> list[LabelEntry]:
    """Parse the entries, and sort them by time and id."""
    return sorted((_parse_entry(entry) for entry in raw_entries), key=time_and_id)


def time_and_id(entry: LabelEntry) -> tuple[datetime, str]:
    """Return the key by which entries are sorted."""
    return entry.taken, entry.img_id


def split_into_runs(entries: Sequence[LabelEntry]) -> list[list[LabelEntry]]:
    """Return entries by run: those of one drive with no pause between them.

    `entries` are sorted by time.
    """
    times = [entry.taken for entry in entries]
    runs = []
    for drive in group_by_drive([entry.drive for entry in entries], times):
        starts = [0, *find_pauses([times[index] for index in drive])]
        for start, end in zip(starts, [*starts[1:], len(drive)], strict=True):
            runs.append([entries[index] for index in drive[start:end]])
    return runs


def _parse_entry(entry: label_file.Entry) -> LabelEntry:
    if entry.label and entry.label.img_id == entry.key:
        valid = entry.label.label
        return _label_entry(entry, read_valid(valid), label_drive_key(valid), "", hopeless=False)
    document = entry.content
    label = read_partial(document)
    img_id = document.get("img_id") if isinstance(document, dict) else None
    fault = label.fault
    if isinstance(img_id, str) and img_id != entry.key:
        fault = f"its img_id is {img_id!r}; make it equal to the entry's name"
    hopeless = bool(fault) and (img_id != entry.key or not _is_correctable(document, label))
    return _label_entry(entry, label, drive_key(document), fault, hopeless=hopeless)


def _label_entry(
    entry: label_file.Entry, label: PartialLabel, drive: DriveKey, fault: str, *, hopeless: bool
) -> LabelEntry:
    taken = label.taken or ids.parse_img_id(entry.key) or LONG_AGO
    return LabelEntry(entry.key, taken, label, drive, fault, hopeless, entry.start, entry.end)


def _is_correctable(document: Document, label: PartialLabel) -> bool:
    """Return whether an invalid label becomes valid once its classes are set."""
    correction = edits.corrected(
        document,
        created_by="somebody",
        direction=0,
        speed=0,
        created_on=LONG_AGO,
        nb_dir=label.nb_dir or 1,
        nb_speed=label.nb_speed or 1,
    )
    return not read_partial(correction).fault
