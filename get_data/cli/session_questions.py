"""Who drives, where and on what occasion: told by the folder, by options, or by who is asked."""

import sys
from collections.abc import Mapping
from pathlib import Path

from common.errors import InputError
from get_data.cli import files, output
from get_data.labels import label_file, session
from get_data.labels.unicode_forms import to_nfc
from get_data.recording import journal


def resolve_session(
    folder: Path, given: Mapping[str, str | None], *, may_ask: bool = True
) -> session.Session:
    """Return the session of a folder: its template, with the empty fields filled by what is given.

    What is given nowhere is asked for on a terminal, before the first picture of the folder: a
    field that was left empty then is an answer too.

    Raises: InputError when the template is broken or says something else than what is given, or
    when the folder is not a recording.
    """
    template = folder / session.NAME
    recorded = any((folder / name).exists() for name in (label_file.NAME, journal.NAME))
    if files.exists(template):
        kept = session.read(template)
    elif (folder / label_file.NAME).exists():
        raise InputError(f"{folder} has labels that were not recorded there; choose another folder")
    else:
        kept = dict.fromkeys(given, "")
    told = {key: to_nfc(value) for key, value in given.items() if value is not None}
    _check_same(template, kept, told)
    if may_ask and not recorded and sys.stdin.isatty():
        asked = [key for key in given if not kept[key] and key not in told]
        told |= {key: to_nfc(output.prompt(f"{key}: ")) for key in asked}
    filled = {key: value for key, value in told.items() if value and not kept[key]}
    content = {**kept, **filled}
    session.check(content, "the session")
    if recorded and filled:
        output.print_message(f"warning: {folder}: earlier pictures have no {', '.join(filled)}")
    return content


def _check_same(template: Path, kept: session.Session, given: Mapping[str, str]) -> None:
    """Raise InputError when the template has another value than an option gives."""
    for key, value in given.items():
        before = kept[key]
        if before and to_nfc(before) != value:
            raise InputError(
                f"{template}: {key} is {before!r}, but --{key.replace('_', '-')} is {value!r}; "
                "record into another folder, or correct the template"
            )


def save_template(said: session.Session, template: Path) -> None:
    """Write the template, unless it says so already. Raises: InputError, WriteFailed."""
    if not template.exists() or session.read(template) != said:
        session.write(template, said)
