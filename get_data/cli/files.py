"""Files and folders that scripts are given: label files, outputs, interrupted recordings."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import path
from common import links
from common.errors import InputError
from get_data.cli.output import pluralize, print_message
from get_data.labels import label_file
from get_data.labels.schema import Document
from get_data.recording import journal

_BEGINNING_BYTES = 1_000_000


def print_repair(folder: Path, merged: journal.MergeReport | None) -> None:
    """What a killed recording left, and that it is repaired, is said aloud."""
    if merged is None:
        return
    erased = f", {merged.erased} erased" if merged.erased else ""
    kept = pluralize(merged.labels, "label")
    print_message(f"{folder}: repaired an interrupted recording: {kept} kept{erased}")
    for name, reason in merged.damaged.items():
        print_message(f"  damaged: {name}: {reason}")
    if merged.damaged:
        print_message(
            f"  see {folder / journal.DAMAGED_LABELS} and {folder / journal.DAMAGED_PICTURES}/"
        )


def create_folders(*folders: Path) -> None:
    """The folders are there, or, on InputError, none that was not there before."""
    made: list[Path] = []
    for folder in folders:
        try:
            for one in reversed((folder, *folder.parents)):
                if not one.is_dir():
                    one.mkdir()
                    made.append(one)
        except OSError as error:
            for one in reversed(made):
                one.rmdir()
            raise InputError(f"{folder} cannot be made a folder: {error.strerror}") from error


def exists(file: Path) -> bool:
    """Whether there is such a file or folder. Raises: InputError when that cannot be known."""
    try:
        return file.exists()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error


def check_output(file: Path) -> None:
    """A file may be written there. Raises: InputError for what a file must not take the place of.

    Of a link neither is replaced, the link nor what it leads to.

    Nor may it stand in the local database, whose files are nobody else's.
    Renaming a file to /dev/null, as root, would take the device away from everybody.
    """
    if file.is_dir():
        raise InputError(f"{file} is a folder; name a file")
    if file.exists() and not file.is_file():
        raise InputError(f"{file} is not a regular file; name another")
    links.check_not_link(file)
    check_outside_database(file.parent)


def check_outside_database(folder: Path) -> None:
    """The folder is not one of the local database's. Raises: InputError."""
    if Path(os.path.realpath(path.absolute(folder))).is_relative_to(
        os.path.realpath(path.database_folder())
    ):
        raise InputError(f"{folder} is inside the local database; name a place of your own")


def check_overwrites(file: Path, what: str, is_one: Callable[[bytes], bool]) -> None:
    """Nothing is there but `what`, as the beginning of the file tells, or an empty file.

    Raises: InputError.
    """
    if not exists(file):
        return
    try:
        with file.open("rb") as content:
            beginning = content.read(_BEGINNING_BYTES)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}; move it away") from error
    if beginning and not is_one(beginning):
        raise InputError(f"{file} is not {what}; move it away, or name another file with -o")


def find_label_file(argument: Path) -> Path:
    """The label file that an argument means: itself, or a folder's `labels.json`.

    What a killed recording left beside it is repaired first, and said. Raises: InputError.
    """
    folder, file = _folder_and_file(argument)
    if _has_journal(folder):
        print_repair(folder, journal.repair(folder))
    return _existing(file, argument)


def read_labels(argument: Path, *, repair: bool = True) -> tuple[Path, dict[str, Document]]:
    """The label file that an argument means, and its labels, all of them checked.

    Without `repair`, and in a folder that cannot be written, the journal of a killed recording is
    read as it stands, and that is said. Raises: InputError, StillRecording.
    """
    folder, file = _folder_and_file(argument)
    if not _has_journal(folder) or (repair and _may_write(folder)):
        file = find_label_file(argument)
        return file, label_file.read(file)
    if file.name != label_file.NAME:
        return file, label_file.read(_existing(file, argument))
    try:
        with journal.folder_lock(folder) if repair else nullcontext():
            labels = journal.preview_merge(folder)
    except OSError as error:
        raise InputError(f"{folder / journal.NAME} cannot be read: {error.strerror}") from error
    count = pluralize(len(labels), "label")
    print_message(f"{folder}: an interrupted recording, read without repairing it: {count}")
    return file, labels


def _folder_and_file(argument: Path) -> tuple[Path, Path]:
    """The folder of labels, and the label file in it, that an argument means."""
    if argument.is_dir():
        return argument, argument / label_file.NAME
    return argument.parent, argument


def _existing(file: Path, argument: Path) -> Path:
    """Return the label file. Raises: InputError when there is none, or it is a picture."""
    if not exists(file):
        if argument.is_dir():
            raise InputError(f"{argument} has no {label_file.NAME}: not a folder of labels")
        raise InputError(f"{argument} does not exist")
    if file.suffix.lower() in (".jpg", ".jpeg", ".png"):  # as a shell makes of DIR/*
        raise InputError(f"{argument} is a picture; give its folder")
    return file


def _has_journal(folder: Path) -> bool:
    """Whether a recording was interrupted there, or still runs. Raises: InputError."""
    try:
        return links.lexists(folder / journal.NAME)
    except OSError as error:
        raise InputError(f"{folder / journal.NAME} cannot be read: {error.strerror}") from error


def _may_write(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=True)
