"""The corrected labels as a new label file, which `upload_to_db.py` applies as it stands."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from common import strict_json
from common.errors import InputError, ToolkitError
from get_data.labelizer.catalogue import Catalogue, Flag
from get_data.labelizer.work_file import Decision, WorkFile
from get_data.labels import edits, ids, label_file, validation
from get_data.labels.schema import Document

PREFIX = "labels_"

_PIECE = 1 << 20


class SourceChanged(ToolkitError):
    """The label file is not the one that the work is on."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An entry of which no valid label can be made."""

    img_id: str
    why: str


@dataclass(slots=True)
class Exported:
    """What went into the new file, and what did not."""

    file: Path
    untouched: int = 0
    corrected: int = 0
    confirmed: int = 0
    deleted: int = 0
    restored: int = 0
    left_out: list[LeftOut] = field(default_factory=list)


def export(catalogue: Catalogue, work: WorkFile, *, now: datetime) -> Exported:
    """A new label file lies beside the old one, which is as it was.

    An entry that nobody touched is byte for byte the old one. One of which no valid label can be
    made is left out, because an upload would refuse the whole file for it.

    Raises: SourceChanged, WriteFailed; no file is written then.
    """
    decisions = {one.position: one for one in work.decisions()}
    name = f"{PREFIX}{ids.format_img_id(now)}.json"
    exported = Exported(catalogue.labels.absolute().with_name(name))
    with label_file.open_writer(exported.file) as file:
        for position, raw in _entries(catalogue):
            img_id = catalogue.ids[position]
            try:
                content = _entry(catalogue, position, decisions.get(position), raw, exported)
            except InputError as error:
                exported.left_out.append(LeftOut(img_id, str(error)))
            else:
                file.add(img_id, content)
    return exported


def _entries(catalogue: Catalogue) -> Iterator[tuple[int, bytes]]:
    """Each position with its bytes, in the order of the file, which is read once.

    Raises: SourceChanged when at its end it turns out to be another file.
    """
    digest = hashlib.sha256()
    try:
        with catalogue.labels.open("rb") as file:
            at = 0
            for position in catalogue.starts.argsort().tolist():
                start, end = int(catalogue.starts[position]), int(catalogue.ends[position])
                digest.update(file.read(start - at))
                raw = file.read(end - start)
                digest.update(raw)
                at = end
                yield position, raw
            while piece := file.read(_PIECE):
                digest.update(piece)
    except OSError as error:
        raise SourceChanged(f"{catalogue.labels} cannot be read: {error.strerror}") from error
    if digest.hexdigest() != catalogue.sha256:
        raise SourceChanged(changed(catalogue.labels))


def changed(labels: Path) -> str:
    """What to tell about a label file that is no longer the one that was opened."""
    return (
        f"{labels} has changed since it was opened; start the labelizer again, it offers to carry "
        "the work over"
    )


def _entry(
    catalogue: Catalogue,
    position: int,
    decision: Decision | None,
    raw: bytes,
    exported: Exported,
) -> bytes:
    """The entry as it goes into the file, counted. Raises: InputError with why it does not go."""
    invalid = bool(catalogue.flags[position] & Flag.INVALID)
    if decision is None and not invalid:
        exported.untouched += 1
        return raw if b"\n" not in raw else msgspec.json.format(raw, indent=-1)
    document = strict_json.parse(raw, catalogue.ids[position])
    if not isinstance(document, dict):
        raise InputError("is no object")
    decided = document if decision is None else _decided(document, decision)
    validation.parse(decided)
    if decided.get("img_id") != catalogue.ids[position]:
        raise InputError(f"its img_id is {decided.get('img_id')!r}")
    if decision is None:
        exported.untouched += 1
    elif decision.deleted:
        exported.deleted += 1
    elif decision.changes_classes:
        exported.corrected += 1
    elif decision.reviewed:
        exported.confirmed += 1
    else:
        exported.restored += 1
    return msgspec.json.encode(decided)


def _decided(document: Document, decision: Decision) -> Document:
    """The document as the person wants it. Raises: InputError when that is not known whole."""
    if decision.deleted:
        return edits.marked_for_deletion(document)
    if not decision.reviewed and not decision.changes_classes:
        return edits.unmarked(document)
    for name, value in (("direction", decision.direction), ("speed", decision.speed)):
        if value < 0:
            raise InputError(f"has no {name} yet")
    return edits.corrected(
        document,
        created_by=decision.changed_by,
        direction=decision.direction,
        speed=decision.speed,
        created_on=datetime.fromisoformat(decision.changed_on),
        nb_dir=decision.nb_dir,
        nb_speed=decision.nb_speed,
    )
