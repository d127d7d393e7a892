"""Who drives, where and on what occasion: told by the folder, by options, or by who is asked."""

import sys
from collections.abc import Mapping
from pathlib import Path

from errors import InputError
from get_data import command_line
from get_data.labels import label_file, session
from get_data.labels.unicode_forms import composed


def session_of(
    folder: Path, given: Mapping[str, str | None], *, may_ask: bool = True
) -> session.Session:
    """The session of a folder: its template, else what is given; None is asked for on a terminal.

    Raises: InputError when the template is broken, or the folder is not a recording.
    """
    template = folder / session.NAME
    if command_line.is_there(template):
        for key, value in session.read(template).items():
            if given.get(key) not in (None, value):
                command_line.say(f"warning: {template} stays as it is: {key} is {value!r}")
        return session.read(template)
    if (folder / label_file.NAME).exists():
        raise InputError(f"{folder} has labels that were not recorded there; choose another folder")
    if may_ask and sys.stdin.isatty():
        given = {
            key: command_line.ask(f"{key}: ") if value is None else value
            for key, value in given.items()
        }
    content = {key: composed(value or "") for key, value in given.items()}
    session.check(content, "the session")
    return content


def keep(said: session.Session, template: Path) -> None:
    """The template is there. Raises: WriteFailed."""
    if not template.exists():
        session.write(template, said)
