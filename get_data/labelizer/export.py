"""Export of the corrected labels as a new label file, ready for `upload_to_db.py`."""

import hashlib
import io
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from common import strict_json
from common.errors import InputError, ToolkitError
from get_data.labelizer.catalogue import NO_LABELS, Catalogue, Flag
from get_data.labelizer.decisions import Decision
from get_data.labelizer.work_file import WorkFile
from get_data.labels import edits, ids, label_file, picture_file, validation
from get_data.labels.picture_file import NotAPicture
from get_data.labels.schema import Document

PREFIX = "labels_"

_CHUNK_BYTES = 1 << 20


class SourceChanged(ToolkitError):
    """The label file is no longer the one that the work belongs to."""


class LeftOut(Struct, frozen=True):
    """An entry that cannot be exported, as the page gets it."""

    img_id: str
    reason: str = msgspec.field(name="why")


class ExportResult(Struct):
    """New file and its number of entries by outcome, as the page gets it."""

    file: Path
    untouched: int = 0
    corrected: int = 0
    confirmed: int = 0
    deleted: int = 0
    restored: int = 0
    created: int = 0
    left_out: list[LeftOut] = msgspec.field(default_factory=list)


def export(catalogue: Catalogue, work: WorkFile, *, now: datetime) -> ExportResult:
    """Write a new label file beside the old one, which stays unchanged.

    An entry that was not edited is copied byte for byte. An entry that cannot be made valid is left
    out, because an upload refuses a file with an invalid label. New labels come last; pictures that
    have none are not in the file.

    Raises:
        SourceChanged: the label file was modified; no file is written.
        WriteFailed: the new file cannot be written; nothing is left of it.
    """
    for _ in _read_entries(catalogue):  # where the file has changed, no entry is one
        pass
    decisions = {decision.position: decision for decision in work.decisions()}
    name = f"{PREFIX}{ids.format_img_id(now)}.json"
    result = ExportResult(catalogue.labels.absolute().with_name(name))
    # the file appears when the block ends: SourceChanged, raised at its end, leaves none
    with label_file.open_writer(result.file) as file:
        for position, raw in _read_entries(catalogue):
            img_id = catalogue.ids[position]
            decision = decisions.get(position)
            try:
                content = _export_entry(catalogue, position, decision, raw)
            except InputError as error:
                result.left_out.append(LeftOut(img_id, str(error)))
            else:
                _count_outcome(result, decision)
                file.add(img_id, content)
        for position in sorted(decisions.keys() & catalogue.unlabelled.keys()):
            img_id = catalogue.ids[position]
            try:
                content = _export_new(catalogue, position, decisions[position])
            except InputError as error:
                result.left_out.append(LeftOut(img_id, str(error)))
            else:
                result.created += 1
                file.add(img_id, content)
    return result


def source_changed_message(labels: Path) -> str:
    """Return the message for a label file that was modified since it was opened."""
    return (
        f"{labels} has changed since it was opened; restart the labelizer, which offers to carry "
        "the work over"
    )


def _read_entries(catalogue: Catalogue) -> Iterator[tuple[int, bytes]]:
    """Yield each position with its bytes, in file order, in one pass over the file.

    Raises:
        SourceChanged: the file, read to its end, has another hash.
    """
    digest = hashlib.sha256()
    try:
        with _open_labels(catalogue) as file:
            offset = 0
            for position in catalogue.in_file_order():
                start, end = int(catalogue.starts[position]), int(catalogue.ends[position])
                digest.update(file.read(start - offset))
                raw = file.read(end - start)
                digest.update(raw)
                offset = end
                yield position, raw
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise SourceChanged(f"{catalogue.labels} cannot be read: {error.strerror}") from error
    if digest.hexdigest() != catalogue.sha256:
        raise SourceChanged(source_changed_message(catalogue.labels))


def _open_labels(catalogue: Catalogue) -> BinaryIO:
    """Open the label file, or what stands for it where there is none."""
    is_there = catalogue.labels.exists()
    return catalogue.labels.open("rb") if is_there else io.BytesIO(NO_LABELS)


def _export_entry(
    catalogue: Catalogue, position: int, decision: Decision | None, raw: bytes
) -> bytes:
    """Return the bytes of an entry for the new file.

    Raises:
        InputError: the entry cannot be made valid.
    """
    # An entry that was not edited keeps its spelling; the new file has one entry a line.
    is_edited = decision is not None and not decision.is_kept
    if not is_edited and not catalogue.flags[position] & Flag.INVALID:
        return raw if b"\n" not in raw else msgspec.json.format(raw, indent=-1)
    document = strict_json.parse(raw, catalogue.ids[position])
    if not isinstance(document, dict):
        raise InputError("is not a JSON object")
    if decision is not None:
        document = _apply_decision(document, decision, float(catalogue.span[position]))
    # an upload refuses the whole file for one invalid label
    validation.parse(document)
    if document.get("img_id") != catalogue.ids[position]:
        raise InputError(f"its img_id is {document.get('img_id')!r}")
    return msgspec.json.encode(document)


def _export_new(catalogue: Catalogue, position: int, decision: Decision) -> bytes:
    """Return the new label of a picture that had none.

    Raises:
        InputError: the label is not complete, or the picture is not whole.
    """
    entry, file = catalogue.unlabelled[position], catalogue.picture(position)
    if file is None:
        raise InputError("its picture is not in the folder any more")
    try:
        content = picture_file.read(file)
        size = picture_file.read_size(content)
    except OSError as error:
        raise InputError(f"its picture cannot be read: {error.strerror}") from error
    except NotAPicture as error:
        raise InputError(f"its picture {error}") from error
    document = edits.without_annotation(
        img_id=entry.img_id,
        file_name=str(entry.label.file_name),
        captured=entry.taken,
        picture=content,
        width=size.width_px,
        height=size.height_px,
        shared=entry.template or {},
    )
    document = _apply_decision(document, decision, float(catalogue.span[position]))
    validation.parse(document)
    return msgspec.json.encode(document)


def _apply_decision(document: Document, decision: Decision, span: float) -> Document:
    """Return the document as the person decided; `span` is that of its speed bins.

    Raises:
        InputError: the direction or the speed is still unknown.
    """
    if decision.deleted:
        return edits.marked_for_deletion(document)
    # all that was decided is that the label is not to be deleted
    if not (decision.reviewed or decision.changes_classes or decision.sets_values):
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
        steering=decision.steering,
        throttle=decision.throttle,
        span=span,
    )


def _count_outcome(result: ExportResult, decision: Decision | None) -> None:
    if decision is None or decision.is_kept:
        result.untouched += 1
    elif decision.deleted:
        result.deleted += 1
    elif decision.changes_classes or decision.sets_values:
        result.corrected += 1
    elif decision.reviewed:
        result.confirmed += 1
    else:
        result.restored += 1
