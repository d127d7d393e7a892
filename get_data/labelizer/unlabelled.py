"""Pictures that no label names, as entries that a person can label."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from common import strict_json, times
from common.errors import InputError
from get_data.labelizer.entries import LabelEntry
from get_data.labelizer.partial_label import PartialLabel
from get_data.labelizer.picture_folder import FolderFile
from get_data.labels import ids, label_file, picture_file, session
from get_data.labels.constants import SESSION_KEYS
from get_data.labels.drives import MIN_PAUSE_S, drive_key, group_by_drive
from get_data.labels.edits import SHARED_KEYS
from get_data.labels.schema import RESERVED, Document
from get_data.labels.unicode_forms import file_name_key
from get_data.labels.validation import is_file_name, is_img_id
from get_data.labels.values import speed_span

_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9._]+")
_MAX_STEM = 50  # characters of a name in an id; a hash may follow
_PAUSE = timedelta(seconds=MIN_PAUSE_S)
_ABSENT = object()

Fault = tuple[str, str]  # the name of a file, and what is wrong with it


@dataclass(slots=True)
class Unlabelled:
    """Pictures without a label.

    `misnamed`: those that no label may name. `template_fault`: why the session template cannot be
    used, "" if it can or if there is none.
    """

    entries: list[LabelEntry] = field(default_factory=list)
    misnamed: list[Fault] = field(default_factory=list)
    template_fault: str = ""


def find_unlabelled(
    labelled: Sequence[LabelEntry],
    labels: Path,
    folder: Path,
    files: Mapping[str, FolderFile],
    raw: bytes,
) -> Unlabelled:
    """Return the pictures of the folder that none of the `labelled` entries names.

    `raw` is the content of the label file `labels`. Where that is not the folder's own, pictures
    that the own one names are left alone: they have a label.
    """
    names = {entry.label.file_name for entry in labelled if entry.label.file_name}
    # an entry that names no picture is at fault, and has to be mended in the file
    names |= {
        entry.img_id + suffix
        for entry in labelled
        if not entry.label.file_name
        for suffix in picture_file.SUFFIXES
    }
    found = Unlabelled()
    pictures = _pictures_without(names, files)
    own = folder / label_file.NAME
    if pictures and own.exists() and not own.samefile(labels):
        pictures = _pictures_without(names | set(_names_in(own)), files)
    if not pictures:
        return found
    accepted = _accept_names(pictures, names, found.misnamed)
    session_template, found.template_fault = _read_session(folder)
    templates = _Templates(labelled, raw, session_template)
    taken_ids = {file_name_key(entry.img_id) for entry in labelled}
    for name in accepted:
        img_id = _new_id(name, taken_ids)
        taken_ids.add(file_name_key(img_id))
        found.entries.append(_entry(img_id, name, files[name], templates))
    return found


def _pictures_without(names: Set[str], files: Iterable[str]) -> list[str]:
    """Return the pictures that have none of the names."""
    return [
        name
        for name in sorted(files)
        if name.lower().endswith(picture_file.SUFFIXES) and name not in names
    ]


def _names_in(labels: Path) -> Iterator[str]:
    """Yield the file names in a label file, up to its first fault."""
    with suppress(InputError), strict_json.open_file(labels, "a label file") as file:
        for entry in label_file.iter_entries(file, str(labels)):
            if entry.label:
                yield entry.label.label.file_name
            elif isinstance(entry.value, dict) and isinstance(entry.value.get("file_name"), str):
                yield entry.value["file_name"]


def _accept_names(
    pictures: Iterable[str], labelled: Iterable[str], misnamed: list[Fault]
) -> list[str]:
    """Return the names that labels may have; add the others to `misnamed`.

    An upload refuses two labels whose names some disks take for one.
    """
    known = {file_name_key(name): name for name in labelled}
    accepted = []
    for name in pictures:
        if not _is_text(name) or not is_file_name(name):
            misnamed.append((name, "no label can have this name; rename it"))
        elif (other := known.setdefault(file_name_key(name), name)) != name:
            misnamed.append((name, f"many disks take it for {other}; rename it"))
        else:
            accepted.append(name)
    return accepted


def _is_text(name: str) -> bool:
    """Return whether the name is UTF-8 on the disk."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _new_id(file_name: str, taken_ids: set[str]) -> str:
    """Return the id of a picture: its name, as far as an id may have it and nothing else has it."""
    stem = Path(file_name).stem
    if is_img_id(stem) and file_name_key(stem) not in taken_ids:
        return stem
    plain = _NOT_IN_IDS.sub("-", stem).strip("-._")[:_MAX_STEM]
    digest = hashlib.sha256(file_name.encode()).hexdigest()[:8]
    return f"{plain}-{digest}" if plain else f"picture-{digest}"


def _entry(img_id: str, file_name: str, file: FolderFile, templates: "_Templates") -> LabelEntry:
    captured = ids.parse_img_id(img_id)
    taken = captured or _modification_time(file)
    template = templates.of_picture(captured)
    label = PartialLabel(fault="", file_name=file_name, taken=taken, span=speed_span(template))
    return LabelEntry(
        img_id,
        taken,
        label,
        drive_key(template),
        fault="",
        hopeless=False,
        start=-1,
        end=-1,
        template=template,
    )


def _modification_time(file: FolderFile) -> datetime:
    """Return when the file was modified, within the times that an index takes."""
    latest = times.to_microseconds(times.INDEXABLE_END)
    return times.from_microseconds(min(max(file.modified_ns // 1000, 0), latest))


def _read_session(folder: Path) -> tuple[Document, str]:
    """Return the folder's session template, and why it cannot be used; both may be empty."""
    file = folder / session.NAME
    if not file.exists():
        return {}, ""
    try:
        return session.read(file), ""
    except InputError as error:
        return {}, str(error)


@dataclass(frozen=True, slots=True)
class _Drive:
    first: datetime
    last: datetime
    shared: Document


class _Templates:
    """What new labels have in common with those that are there.

    A picture taken during one drive, and no other, is of that drive. Of other pictures only that is
    known in which all drives of the folder agree, and what the session template says.
    """

    def __init__(self, labelled: Sequence[LabelEntry], raw: bytes, session_: Document) -> None:
        valid = [entry for entry in labelled if not entry.fault]
        keys, taken = [entry.drive for entry in valid], [entry.taken for entry in valid]
        self._drives = [
            _Drive(taken[drive[0]], taken[drive[-1]], _shared([valid[at] for at in drive], raw))
            for drive in group_by_drive(keys, taken)
        ]
        common = _agreement([drive.shared for drive in self._drives])
        common.pop("session_id", None)
        self._folder: Document = {**dict.fromkeys(SESSION_KEYS, ""), **session_, **common}
        # equal templates are one object: there may be a hundred thousand pictures
        self._of_drives = [{**self._folder, **drive.shared} for drive in self._drives]

    def of_picture(self, captured: datetime | None) -> Document:
        """Return the template for a picture; `captured` is None if its name does not tell."""
        if captured is None:
            return self._folder
        around = [
            index
            for index, drive in enumerate(self._drives)
            if drive.first - _PAUSE <= captured <= drive.last + _PAUSE
        ]
        return self._of_drives[around[0]] if len(around) == 1 else self._folder


def _shared(drive: Sequence[LabelEntry], raw: bytes) -> Document:
    """Return what the first, the middle and the last label of a drive agree in."""
    chosen = {0, len(drive) // 2, len(drive) - 1}
    documents = [
        strict_json.parse(raw[drive[at].start : drive[at].end], drive[at].img_id) for at in chosen
    ]
    return _agreement(
        [
            {
                key: value
                for key, value in document.items()
                if key in SHARED_KEYS or key not in RESERVED
            }
            for document in documents
        ]
    )


def _agreement(documents: Sequence[Document]) -> Document:
    """Return the keys that have the same value in all documents."""
    if not documents:
        return {}
    first, *others = documents
    return {
        key: value
        for key, value in first.items()
        if all(other.get(key, _ABSENT) == value for other in others)
    }
