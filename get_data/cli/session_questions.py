"""Session of a drive (event, track, driver, ...) from its folder, options or prompts."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from common.errors import InputError
from get_data.cli import files, output
from get_data.labels import label_file, session
from get_data.labels.constants import SESSION_KEYS
from get_data.labels.unicode_forms import to_nfc
from get_data.recording import journal


def get_session(args: argparse.Namespace, *, simulated_track: str) -> session.Session:
    """Return the session of a drive with the options of `run_manual.py`.

    `simulated_track`: track of a simulated drive whose session has none; "" for a real car.

    Raises:
        InputError: it is invalid, or differs from the session of the folder.
    """
    given = {key: getattr(args, key) for key in SESSION_KEYS}
    template = args.output / session.NAME if args.output else None
    known = session.read(template)["track"] if template and files.exists(template) else ""
    if simulated_track and not (known or args.track):
        given["track"] = simulated_track
    if not args.output:
        return {key: value or "" for key, value in given.items()}
    return resolve_session(args.output, given, may_ask=not args.check)


def resolve_session(
    folder: Path, given: Mapping[str, str | None], *, may_ask: bool = True
) -> session.Session:
    """Return the session of a folder: its template, with empty fields filled from `given`.

    Before the first picture of a folder, the user is prompted for fields that are still empty, and
    only then: an empty answer counts.

    Raises:
        InputError: the template is invalid or differs from `given`, or the folder has labels but
            is not a recording.
    """
    template = folder / session.NAME
    recorded = any((folder / name).exists() for name in (label_file.NAME, journal.NAME))
    if files.exists(template):
        saved = session.read(template)
    elif (folder / label_file.NAME).exists():
        raise InputError(f"{folder} has labels that were not recorded there; choose another folder")
    else:
        saved = dict.fromkeys(given, "")
    fields = {key: to_nfc(value) for key, value in given.items() if value is not None}
    _check_same(template, saved, fields)
    if may_ask and not recorded and sys.stdin.isatty():
        missing = [key for key in given if not saved[key] and key not in fields]
        if missing:
            output.print_message("Describe the session. Enter leaves a field empty.")
        fields |= {key: to_nfc(output.prompt(f"{key}: ")) for key in missing}
    filled = {key: value for key, value in fields.items() if value and not saved[key]}
    content = {**saved, **filled}
    session.check(content, "the session")
    if recorded and filled:
        output.print_message(f"warning: {folder}: earlier pictures do not have {', '.join(filled)}")
    return content


def _check_same(template: Path, saved: session.Session, given: Mapping[str, str]) -> None:
    """Check that the given values do not contradict the template.

    Raises:
        InputError: a field has different values.
    """
    for key, value in given.items():
        if saved[key] and to_nfc(saved[key]) != value:
            raise InputError(
                f"{template}: {key} is {saved[key]!r}, but --{key.replace('_', '-')} is {value!r}; "
                "record into another folder, or edit the template"
            )


def save_template(content: session.Session, template: Path) -> None:
    """Write the session template, unless it has this content already.

    Raises:
        InputError: the existing template is invalid.
        WriteFailed: the file could not be written.
    """
    if not template.exists() or session.read(template) != content:
        session.write(template, content)
