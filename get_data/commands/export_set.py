"""Writing a set for other tools."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

import path
from common import links
from common.atomic_folders import atomic_folder
from common.errors import InputError
from common.progress import Progress
from get_data.cli import files, output
from get_data.cli.output import pluralize
from get_data.sets.exporting.format_names import FORMATS
from get_data.sets.exporting.pictures import Unusable, UnusablePictures
from get_data.sets.exporting.samples import ExportSet, read_set

EXTRA = "requirements-export.txt"


class Exporter(Protocol):
    """What the module of a format has."""

    KEEPS_DELETED: bool  # whether labels that are marked for deletion are written, too

    def write(self, exported: ExportSet, folder: Path, progress: Progress) -> int:
        """Write the set into an empty folder; return the number of pictures.

        Raises:
            UnusablePictures: some cannot be exported.
            InputError: the format cannot hold this set.
            OSError: the folder cannot be written.
        """

    def opened_by(self, exported: ExportSet, out: Path) -> list[str]:
        """Return the lines with which another tool opens the folder."""


def run(args: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit code."""
    exporter = load_exporter(args.format)
    files.check_label_file(args.pictures)
    check_output(args.output, files.folder_of(args.pictures))
    file, labels = files.iter_labels(args.pictures)

    # until all are exported, free_space.py removes none of the pictures
    with files.pictures_in_use([file.parent]):
        exported = read_set(file, labels, with_deleted=exporter.KEEPS_DELETED)
        count, unusable = write(exported, exporter, args.output)
    if len(unusable) == len(exported):
        raise InputError(
            f"{file.parent} has none of the pictures that {file.name} names; fetch them with "
            "search_and_download.py"
        )

    if unusable:
        output.print_message(
            f"{args.output} is not written: {pluralize(len(unusable), 'picture')} cannot be used"
        )
    else:
        report(exported, exporter, args.output, count)
    output.write_json(
        {
            "exported": count,
            "deleted": exported.deleted,
            "unlabelled": exported.unlabelled,
            "episodes": len(exported.episodes),
            "splits": count_parts(exported),
            "failed": len(unusable),
        }
    )
    return output.report_failures(unusable)


def load_exporter(name: str) -> Exporter:
    """Return the module of a format.

    Raises:
        InputError: it needs a package that is not installed.
    """
    try:
        module = importlib.import_module(f"get_data.sets.exporting.{FORMATS[name]}")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package != "pyarrow":
            raise
        raise InputError(
            f"--format {name} needs {package}, which is not installed: "
            f"{sys.executable} -m pip install -r {path.ROOT / EXTRA}"
        ) from error
    return cast(Exporter, module)


def check_output(out: Path, source: Path) -> None:
    """Check that the folder may be created.

    Raises:
        InputError: it exists, has a reserved name, or is in the set, the local database or nowhere.
    """
    files.check_outside_database(out)
    files.check_folder_name(out)
    try:
        exists = links.lexists(out)
    except OSError as error:
        raise InputError(f"{out} cannot be read: {error.strerror}") from error
    if exists:
        raise InputError(f"{out} exists; name a new folder, or remove it first")
    if not out.parent.is_dir():
        raise InputError(f"{out.parent} is not a folder; create it first")
    place = Path(os.path.realpath(path.absolute(out)))
    if place.is_relative_to(os.path.realpath(path.absolute(source))):
        raise InputError(f"{out} is inside {source}, the set itself; name a folder beside it")


def write(exported: ExportSet, exporter: Exporter, out: Path) -> tuple[int, Sequence[Unusable]]:
    """Write the folder; return the number of pictures, or those because of which it is not written.

    Raises:
        InputError: the format cannot hold this set.
        WriteFailed: the folder cannot be written.
    """
    try:
        with atomic_folder(out) as folder:
            count = exporter.write(exported, folder, output.progress_bar)
    except UnusablePictures as error:
        return 0, error.pictures
    return count, ()


def report(exported: ExportSet, exporter: Exporter, out: Path, count: int) -> None:
    """Print what was written, and how it is opened."""
    episodes = pluralize(len(exported.episodes), "episode")
    output.print_message(f"Wrote {out}: {pluralize(count, 'picture')} in {episodes}")
    parts = count_parts(exported)
    if parts:
        output.print_message(", ".join(f"{part}: {count:,}" for part, count in parts.items()))
    if exported.deleted:
        fate = "listed as deleted" if exporter.KEEPS_DELETED else "left out"
        marked = f"{pluralize(exported.deleted, 'label')} marked for deletion"
        output.print_message(f"{marked}: {fate}")
    if exported.unlabelled:
        pictures = pluralize(exported.unlabelled, "picture")
        output.print_message(f"{pictures} not labelled yet: left out")
    output.print_message("Open it with:")
    for line in exporter.opened_by(exported, out):
        output.print_message(f"    {line}")


def count_parts(exported: ExportSet) -> dict[str, int]:
    """Return the pictures of each part of a split; nothing without a split."""
    return {
        part: sum(len(episode.samples) for episode in episodes)
        for part, episodes in exported.parts().items()
        if part
    }
