"""Recording a drive of another tool."""

import argparse
import os
import shlex
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import path
from common import links
from common.errors import InputError, RecordingFailed
from common.times import format_time
from get_data.cli import files, output, session_questions
from get_data.labels import edits, label_file, session, validation
from get_data.labels.classes import Classes
from get_data.labels.constants import SESSION_KEYS
from get_data.labels.schema import Document
from get_data.recording import disk, journal
from get_data.recording.capture_clock import MAX_AHEAD
from get_data.recording.recorder import Recorder, check_available, check_encodable
from get_data.recording.report import format_chart
from get_data.recording.wire import Report
from get_data.sets.importing.bare_pictures import BarePictures
from get_data.sets.importing.formats import open_source
from get_data.sets.importing.importer import Earlier, Importer, Status, read_earlier
from get_data.sets.importing.records import Source, Unusable
from get_data.sets.importing.survey import Survey, survey

SESSIONS_SHOWN = 5
QUEUE_HZ = 200.0  # an import fills the queue faster than a drive


def run(args: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit code."""
    check_places(args.source, args.output)
    check_encodable(args.output)
    check_available(args.output)
    source = open_source(args.source, args.format)
    found = survey(source)
    if not found.usable:
        raise InputError(describe_empty(args.source, found))
    earlier = read_earlier(args.output)
    check_replaces_nothing(args.output, found)
    classes = choose_classes(args, source, found, earlier)
    setting = car_setting(source, classes)
    given = {key: getattr(args, key) for key in SESSION_KEYS}
    content = session_questions.resolve_session(args.output, given)
    check_label(content, setting, args.source)
    check_space(args.output, found, earlier)
    for warning in (*source.warnings, *warnings(args.source, found)):
        output.print_message(f"warning: {warning}")

    files.create_folders(args.output)
    session_questions.save_template(content, args.output / session.NAME)
    work = Work(args.output, source, found, content, setting, classes)
    counts, failed, recorded = work.run(earlier)
    return report(args.output, source, found, recorded, counts, failed)


@dataclass(frozen=True, slots=True)
class Work:
    """An import that has passed all checks."""

    folder: Path
    source: Source
    found: Survey
    session: session.Session
    setting: Document
    classes: Classes

    def run(self, earlier: Earlier) -> tuple[Counter[Status], list[Unusable], Report]:
        """Record what is not there yet; return the numbers, what is not imported, and the report.

        Raises:
            RecordingFailed: the folder cannot be written to; what was recorded until then is kept.
        """
        is_interrupted = links.lexists(self.folder / journal.NAME)
        if self.found.img_ids <= earlier.hashes.keys() and not is_interrupted:
            return *self._go_through(earlier, None), Report()
        with Recorder(
            self.folder,
            session=self.session,
            car_setting=self.setting,
            classes=self.classes,
            rate_hz=QUEUE_HZ,
            jpeg_quality=100,  # no picture is encoded
            max_jpeg_bytes=self.found.largest_bytes,
        ) as recorder:
            if recorder.repaired:
                files.print_repair(self.folder, recorder.repaired)
                earlier = read_earlier(self.folder)  # a damaged picture is imported again
            counts, failed = self._go_through(earlier, recorder)
        return counts, failed, recorder.report

    def _go_through(
        self, earlier: Earlier, recorder: Recorder | None
    ) -> tuple[Counter[Status], list[Unusable]]:
        outcomes = Importer(self.source, self.found, self.classes, earlier.hashes).run(recorder)
        counts: Counter[Status] = Counter()
        failed = []
        for outcome in output.progress_bar(
            outcomes, total=self.found.total, description="importing", unit="record"
        ):
            if isinstance(outcome, Unusable):
                failed.append(outcome)
            else:
                counts[outcome] += 1
        return counts, failed


def check_places(source: Path, target: Path) -> None:
    """Check that neither folder is inside the other, and that the target is not in the database.

    Raises:
        InputError: one of them is.
    """
    inner, outer = (Path(os.path.realpath(path.absolute(place))) for place in (target, source))
    if outer.is_file() and outer.suffix == ".json":  # a label file, beside its pictures
        outer = outer.parent
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise InputError(
            f"{target} and {source} are the same folder, or one is inside the other; choose "
            "another folder for the import"
        )
    files.check_outside_database(target)
    files.check_folder_name(target)


def check_replaces_nothing(folder: Path, found: Survey) -> None:
    """Check that no picture has the name of one to be imported, except from an earlier import.

    Raises:
        InputError: one has, and the folder is no recording.
    """
    marks = (session.NAME, journal.NAME, label_file.NAME)
    if not files.exists(folder) or any(files.exists(folder / mark) for mark in marks):
        return
    try:
        names = os.listdir(folder)  # noqa: PTH208  names only
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error
    taken = sorted(name for name in names if Path(name).stem in found.img_ids)
    if taken:
        raise InputError(
            f"{folder} has {taken[0]}, which no import has written, and which this one would "
            "replace; import into another folder"
        )


def describe_empty(source: Path, found: Survey) -> str:
    """Return why nothing of a source can be imported."""
    if not found.first_fault:
        return f"{source} has no records"
    first = found.first_fault
    return f"{source} has no record that can be imported; the first: {first.img_id}: {first.reason}"


def choose_classes(
    args: argparse.Namespace, source: Source, found: Survey, earlier: Earlier
) -> Classes:
    """Return the classes of the labels, those of an earlier import into the folder if there is one.

    Raises:
        InputError: the folder has other classes, or pictures that are not of this source.
    """
    foreign = sorted(earlier.hashes.keys() - found.img_ids)
    if foreign:
        raise InputError(
            f"{args.output} has {output.pluralize(len(foreign), 'picture')} that "
            f"{args.source} does not have, such as {foreign[0]}; import into another folder"
        )
    spans = earlier.max_throttle
    span = args.max_throttle or (min(spans) if spans else min(found.max_throttle, 1.0) or 1.0)
    classes = Classes(args.nb_dir, args.nb_speed, span)
    if source.has_classes:
        classes = Classes(found.nb_dir, found.nb_speed, span)
    else:
        check_same(args.output, "nb_dir", earlier.nb_dir, classes.nb_dir)
        check_same(args.output, "nb_speed", earlier.nb_speed, classes.nb_speed)
    check_same(args.output, "max_throttle", spans, span)
    return classes


def check_same(folder: Path, name: str, before: set[Any], now: float) -> None:
    """Check that an earlier import had the same setting.

    Raises:
        InputError: it had another one.
    """
    if before - {now}:
        text = " and ".join(sorted(map(str, before)))
        raise InputError(
            f"{folder} was imported with {name} {text}, now it is {now}: import into another folder"
        )


def car_setting(source: Source, classes: Classes) -> Document:
    """Return the `car_setting` of the labels: the source, and the span of the speed classes."""
    known = {"metadata": source.car_setting} if source.car_setting else {}
    return {
        edits.IMPORT_SOURCE: {"format": source.description, **known},
        "run": {"max_throttle": classes.max_throttle},
    }


def check_label(content: session.Session, setting: Document, source: Path) -> None:
    """Check that labels with this session and setting are valid.

    Raises:
        InputError: they are not; the source describes itself in a way that no index takes.
    """
    label = edits.new_label(
        captured=datetime(2020, 1, 1, tzinfo=UTC),
        picture=b"",
        width=160,
        height=120,
        steering=0.0,
        throttle=0.0,
        classes=Classes(),
        session=content,
        car_setting=setting,
    )
    label["picture_size"] = 1
    try:
        validation.parse(label)
    except InputError as error:
        raise InputError(f"{source}: its metadata cannot be kept in labels: {error}") from error


def check_space(folder: Path, found: Survey, earlier: Earlier) -> None:
    """Check that the disk has room for the pictures that are not there yet.

    Raises:
        RecordingFailed: it has not.
    """
    missing = 1 - len(earlier.hashes) / len(found.img_ids)
    needed = found.bytes * missing
    place = disk.nearest_folder(folder)
    free = shutil.disk_usage(place).free - disk.MIN_FREE_BYTES
    if needed > max(free, 0):
        raise RecordingFailed(
            f"{place}: the import needs {needed / 1e9:.2f} GB, and the disk has "
            f"{max(free, 0) / 1e9:.2f} GB beside the {disk.MIN_FREE_BYTES / 1e9:.1f} GB that a "
            "recording leaves free"
        )


def warnings(source: Path, found: Survey) -> Iterable[str]:
    """Yield what is unusual about the times of a source."""
    if found.times.untimed:
        yield (
            f"{source}: {output.pluralize(found.times.untimed, 'record')} without a usable time: "
            "each counts as 50 ms later than the record before"
        )
    if found.newest and found.newest - datetime.now(UTC) > MAX_AHEAD:
        yield (
            f"{source} has times in the future, up to {format_time(found.newest)}: its clock was "
            "wrong, and the pictures get their ids from it"
        )


def report(
    folder: Path,
    source: Source,
    found: Survey,
    recorded: Report,
    counts: Mapping[Status, int],
    failed: Sequence[Unusable],
) -> int:
    """Print what was imported, and return the exit code."""
    imported = counts[Status.IMPORTED] + counts[Status.DELETED]
    output.print_message(f"{recorded.moved or folder}")
    sessions = list(found.session_ids.values())
    for session_id in sessions[:SESSIONS_SHOWN]:
        output.print_message(f"  session   {session_id}")
    if len(sessions) > SESSIONS_SHOWN:
        output.print_message(f"  session   ... {len(sessions):,} in all")
    output.print_message(f"  source    {source.description}")
    pictures = output.pluralize(imported, "picture")
    output.print_message(f"  imported  {pictures}, {output.format_size(recorded.bytes_written)}")
    if counts[Status.THERE]:
        output.print_message(f"  there     {counts[Status.THERE]:,} by an earlier import")
    if counts[Status.DELETED]:
        output.print_message(
            f"  deleted   {counts[Status.DELETED]:,} in the source, marked with to_delete"
        )
    is_labelled = not isinstance(source, BarePictures)
    if imported and not is_labelled:
        output.print_message("  labels    none yet")
    elif imported:
        for line in (
            *format_chart("direction", recorded.directions, first="left", last="right"),
            *format_chart("speed", recorded.speeds, first="slow", last="fast"),
        ):
            output.print_message(line)
    script = "upload_data.py" if is_labelled else "run_labelizer.py"
    place = shlex.quote(str(recorded.moved or folder))
    output.print_message(f"  next      python get_data/{script} {place}")
    output.write_json(
        {
            "format": source.description,
            "session_ids": sessions,
            "records": found.records,
            "pictures": imported,
            "there": counts[Status.THERE],
            "deleted": counts[Status.DELETED],
            "failed": len(failed),
            "untimed": found.times.untimed,
            "bytes_written": recorded.bytes_written,
            "directions": recorded.directions,
            "speeds": recorded.speeds,
        }
    )
    return output.report_failures(failed)
