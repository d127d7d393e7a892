"""Paths given to the scripts: label files, output files, interrupted recordings."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import path
from common import links
from common.errors import InputError
from common.macos_files import is_macos_file
from get_data.cli.output import pluralize, print_message
from get_data.labels import label_file, picture_file, session
from get_data.labels.schema import Document
from get_data.recording import journal, merge
from get_data.sets import metadata, set_file

_HEAD_BYTES = 1_000_000
_RESERVED_NAMES = (
    *(label_file.NAME, session.NAME, journal.NAME, journal.DAMAGED_LABELS),
    *(set_file.NAME, metadata.NAME),
)
_RESERVED_SUFFIXES = (*picture_file.SUFFIXES, ".sqlite3")  # of pictures, of work files
_RECORDING_FOLDERS = (journal.ERASED, journal.DAMAGED_PICTURES)


def print_repair(folder: Path, merged: merge.MergeReport | None) -> None:
    """Print what the repair of an interrupted recording has kept, and what was damaged."""
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
    """Create the folders that do not exist, and their parents.

    Raises:
        InputError: one of them cannot be created; those created before are removed again.
    """
    created: list[Path] = []
    for folder in folders:
        try:
            for parent in reversed((folder, *folder.parents)):
                if not parent.is_dir():
                    parent.mkdir()
                    created.append(parent)
        except OSError as error:
            for parent in reversed(created):
                parent.rmdir()
            raise InputError(f"{folder} cannot be created: {error.strerror}") from error


def exists(file: Path) -> bool:
    """Return whether a file or folder exists.

    Raises:
        InputError: the path cannot be looked up.
    """
    try:
        return file.exists()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error


def check_output(file: Path) -> None:
    """Check that an output file may be created or replaced at this path.

    Raises:
        InputError: it is a folder, a link, a device or in the local database. As root, renaming a
            file to /dev/null would remove that device for all processes.
    """
    if file.is_dir():
        raise InputError(f"{file} is a folder; name a file")
    if file.exists() and not file.is_file():
        raise InputError(f"{file} is not a regular file; name another")
    links.check_not_link(file)
    check_outside_database(file.parent)


def check_file_name(file: Path, *, allowed: str = "") -> None:
    """Check that no other script takes an output file for one of its own.

    It would replace such a file, or make its folder a recording, a set or a backup. Hidden files
    are macOS's or the toolkit's own. `allowed`: a reserved name that the file may have, as spelled.

    Raises:
        InputError: it has a reserved name.
    """
    if file.name != allowed and (_is_reserved(file.name) or file.name.startswith(".")):
        raise _reserved(file)


def check_folder_name(folder: Path) -> None:
    """Check that no other script takes an output folder for something of its own.

    Raises:
        InputError: it has a reserved name, or is one of the inner folders of a recording.
    """
    place = Path(os.path.realpath(path.absolute(folder)))  # `.` has no name
    is_inner = place.name.casefold() in _RECORDING_FOLDERS and any(
        exists(place.parent / mark) for mark in (session.NAME, journal.NAME)
    )
    if is_inner or _is_reserved(place.name) or is_macos_file(place.name):
        raise _reserved(folder)


def _is_reserved(name: str) -> bool:
    folded = name.casefold()  # as some file systems compare names
    return folded in _RESERVED_NAMES or folded.endswith(_RESERVED_SUFFIXES)


def _reserved(place: Path) -> InputError:
    return InputError(
        f"{place}: this name is reserved for pictures or the files of a recording, a set or the "
        "labelizer; choose another name"
    )


def check_outside_database(folder: Path) -> None:
    """Check that a folder is not inside the local database.

    Raises:
        InputError: it is.
    """
    if Path(os.path.realpath(path.absolute(folder))).is_relative_to(
        os.path.realpath(path.database_folder())
    ):
        raise InputError(f"{folder} is inside the local database; choose another folder")


def check_overwrites(file: Path, description: str, is_expected: Callable[[bytes], bool]) -> None:
    """Check that an output file would replace nothing but an older one of its kind.

    `is_expected` gets the first bytes of a file; `description` is the kind, "a label file".

    Raises:
        InputError: the file exists, is not empty and is of another kind.
    """
    if not exists(file):
        return
    try:
        with file.open("rb") as content:
            head = content.read(_HEAD_BYTES)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}; move it away") from error
    if head and not is_expected(head):
        raise InputError(f"{file} is not {description}; move it away, or name another file")


def check_label_file(argument: Path) -> None:
    """Check that there is a label file, or a journal from which a repair makes it.

    Raises:
        InputError: there is neither.
    """
    folder, file = _folder_and_file(argument)
    if not _has_journal(folder) or file.name != label_file.NAME:
        _existing(file, argument)


def find_label_file(argument: Path, *, or_new: bool = False, repair: bool = True) -> Path:
    """Return the label file for an argument: the file itself, or `labels.json` in a folder.

    An interrupted recording beside it is repaired first, unless `repair` is false. With `or_new`, a
    folder need not have a label file yet.

    Raises:
        InputError: there is no label file, or the recording is at fault.
        StillRecording: another process is recording into the folder.
        RecordingFailed: the recording cannot be repaired.
    """
    folder, file = _folder_and_file(argument)
    if not or_new:
        check_label_file(argument)
    if repair and _has_journal(folder):
        print_repair(folder, merge.repair(folder))
    if or_new and argument.is_dir() and not exists(file):
        return file
    return _existing(file, argument)


def read_labels(argument: Path, *, repair: bool = True) -> tuple[Path, dict[str, Document]]:
    """Return the label file for an argument and its labels, all of them checked.

    Without `repair`, or if the folder is read-only, the journal of an interrupted recording is
    read without repairing it.

    Raises:
        InputError: there is no label file, or it has an invalid label.
        StillRecording: another process is recording into the folder.
        RecordingFailed: an interrupted recording can neither be read nor repaired.
    """
    file, preview = find_labels(argument, repair=repair)
    return file, label_file.read(file) if preview is None else preview


def iter_labels(argument: Path, *, repair: bool = True) -> tuple[Path, Iterator[Document]]:
    """Like read_labels(), for large sets: one label is read and checked at a time.

    Raises:
        InputError: there is no label file; or, while iterating, it has an invalid label.
        StillRecording: another process is recording into the folder.
        RecordingFailed: an interrupted recording can neither be read nor repaired.
    """
    file, preview = find_labels(argument, repair=repair)
    return file, label_file.read_each(file) if preview is None else iter(preview.values())


def find_labels(argument: Path, *, repair: bool = True) -> tuple[Path, dict[str, Document] | None]:
    """Return the label file for an argument, and its labels if a journal replaces its content.

    Raises as `read_labels`, but does not read the file.
    """
    folder, file = _folder_and_file(argument)
    if not _has_journal(folder) or (repair and _is_writable(folder)):
        return find_label_file(argument), None
    if file.name != label_file.NAME:
        return _existing(file, argument), None
    try:
        is_running = not repair and journal.is_locked(folder)
        with journal.folder_lock(folder) if repair else nullcontext():
            labels = merge.preview(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error
    count = pluralize(len(labels), "label")
    if is_running:
        print_message(f"{folder}: a recording or repair is still running; read so far: {count}")
    else:
        print_message(f"{folder}: interrupted recording read without repairing it: {count}")
    return file, labels


@contextmanager
def pictures_in_use(folders: Iterable[Path]) -> Iterator[None]:
    """Keep the pictures of these folders where they are while the block runs.

    Raises:
        StillRecording: a recording or free_space.py is at work in one of them.
        InputError: one of them cannot be read.
    """
    with ExitStack() as held:
        for folder in sorted(set(folders)):
            try:
                held.enter_context(journal.shared_lock(folder))
            except OSError as error:
                raise InputError(f"{folder} cannot be read: {error.strerror}") from error
        yield


def folder_of(argument: Path) -> Path:
    """Return the folder for an argument: itself, or that of the label file."""
    try:
        return argument if argument.is_dir() else argument.parent
    except OSError as error:
        raise InputError(f"{argument} cannot be read: {error.strerror}") from error


def _folder_and_file(argument: Path) -> tuple[Path, Path]:
    """Return the folder and the label file for an argument."""
    folder = folder_of(argument)
    return folder, argument / label_file.NAME if folder == argument else argument


def _existing(file: Path, argument: Path) -> Path:
    """Return the label file.

    Raises:
        InputError: it does not exist, or it is a picture.
    """
    if not exists(file):
        if argument.is_dir():
            raise InputError(f"{argument} has no {label_file.NAME}; give a folder of labels")
        raise InputError(f"{argument} does not exist")
    if file.suffix.lower() in (*picture_file.SUFFIXES, ".png"):  # as from DIR/*
        raise InputError(f"{argument} is a picture; give its folder")
    return file


def _has_journal(folder: Path) -> bool:
    """Return whether a recording in the folder was interrupted or is still running.

    Raises:
        InputError: the path cannot be looked up.
    """
    try:
        return links.lexists(folder / journal.NAME)
    except OSError as error:
        raise InputError(f"{folder / journal.NAME} cannot be read: {error.strerror}") from error


def _is_writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=True)
