"""Checks of where a fetch writes, before anything is changed."""

import os
from pathlib import Path

import path
from common.errors import InputError
from common.macos_files import is_macos_file
from get_data.cli import files
from get_data.labels import label_file, session
from get_data.recording import journal
from get_data.sets import metadata, set_file


def check_target(pictures: Path, labels: Path, *, prunes: bool) -> None:
    """Check that a fetch may write its pictures into a folder, and this label file.

    `prunes`: it also removes pictures of earlier fetches from the folder.

    Raises:
        InputError: it may not; the message says why.
    """
    check_folder(pictures)
    check_folder(labels.parent)
    files.check_output(labels)
    files.check_file_name(labels, allowed=label_file.NAME)
    files.check_folder_name(pictures)
    files.check_overwrites(labels, "a label file", label_file.starts_like_label_file)
    check_no_corrections(labels)
    check_description(labels)
    if prunes:
        check_fetched(pictures)


def check_folder(folder: Path) -> None:
    """Check that the results of a search may be written to the folder.

    Raises:
        InputError: it belongs to a recording or to the local database.
    """
    files.check_outside_database(folder)
    place = Path(os.path.realpath(path.absolute(folder)))
    if place.name in (journal.ERASED, journal.DAMAGED_PICTURES):  # a recording's own folders
        place = place.parent
    if any(files.exists(place / mark) for mark in (session.NAME, journal.NAME)):
        raise InputError(f"{place} is a recording; choose another folder")


def check_description(labels: Path) -> None:
    """Check that the files that describe the label file replace only such files.

    Raises:
        InputError: a file of another kind has the name of one.
    """
    description, lines = set_file.beside(labels), labels.with_name(metadata.NAME)
    files.check_output(description)
    files.check_overwrites(description, "the description of a set", set_file.starts_like_set_file)
    if description.name == set_file.NAME:
        files.check_output(lines)
        files.check_overwrites(lines, "the metadata of a set", metadata.starts_like_metadata)


def check_no_corrections(labels: Path) -> None:
    """Check that the label file to be replaced has no corrections.

    Raises:
        InputError: it has some, or it cannot be read.
    """
    if not labels.is_file():
        return
    try:
        with labels.open("rb") as file:
            has_corrections = any(
                b'"replaces":' in line or b'"to_delete":' in line for line in file
            )
    except OSError as error:
        raise InputError(f"{labels} cannot be read: {error.strerror}; move it away") from error
    if has_corrections:
        raise InputError(
            f"{labels} has corrections; apply them with upload_to_db.py and move it away, "
            "or use another file with -o"
        )


def check_fetched(folder: Path) -> None:
    """Check that pictures that are no longer in the set may be removed from a folder.

    Raises:
        InputError: it was not fetched, or cannot be read.
    """
    description = folder / set_file.NAME
    try:
        has_files = folder.is_dir() and not all(
            is_macos_file(file.name) for file in folder.iterdir()
        )
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error
    if has_files and not files.exists(description):
        raise InputError(
            f"{folder} has no {set_file.NAME}, so nothing tells which of its files were fetched; "
            "fetch once without --prune"
        )
