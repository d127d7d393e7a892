"""Shell command that applies an exported label file to the database.

It selects the same database from any folder and any terminal.
"""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import path

HOME = "PATATE_HOME"
DATABASE, LOCAL = "PATATE_DATABASE", "local"
TEAM_PREFIXES = ("PATATE_ES_", "PATATE_S3_")
SECRET_SUFFIXES = ("USER_ID", "USER_PWD", "KEY_ID", "KEY", "PASSWORD", "TOKEN", "SECRET")
SCRIPT = path.ROOT / "get_data" / "upload_to_db.py"


@dataclass(frozen=True, slots=True)
class ApplyCommand:
    """A shell command, and the secret variables that must be set before it runs."""

    command: str
    set_first: list[str]


def build_apply_command(
    labels: Path, pictures: Path, environment: Mapping[str, str] = os.environ
) -> ApplyCommand:
    """Build the command that uploads a label file to the database that `environment` selects.

    Raises:
        InputError: a variable names the home folder of no user.
    """
    settings, secret_names = [(HOME, str(path.home()))], []
    for name, value in _database_settings(environment):
        if name.endswith(SECRET_SUFFIXES) or ("://" in value and "@" in value):
            secret_names.append(name)
        else:
            settings.append((name, value))
    arguments = [sys.executable, SCRIPT, path.absolute(labels), "-p", path.absolute(pictures)]
    words = [f"{name}={quote_for_shell(value)}" for name, value in settings]
    words += [quote_for_shell(str(argument)) for argument in arguments]
    return ApplyCommand(" ".join(words), secret_names)


def _database_settings(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the variables that select the database, with absolute paths for files.

    `PATATE_DATABASE` is always among them: the other terminal may have set it, or the variables of
    a team's database.
    """
    team = {
        name: value
        for name, value in environment.items()
        if value and name.startswith(TEAM_PREFIXES)
    }
    yield DATABASE, environment.get(DATABASE) or ("" if team else LOCAL)
    for name, value in sorted(team.items()):
        is_file = name.endswith("_CERTS")
        yield name, str(path.absolute(path.expand_user(value, name))) if is_file else value


def quote_for_shell(text: str) -> str:
    """Quote the text as one shell word, in characters that every terminal can show."""
    if text.isprintable():
        return shlex.quote(text)
    escaped = (
        chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\{byte:03o}"
        for byte in os.fsencode(text)
    )
    return f"$'{''.join(escaped)}'"
