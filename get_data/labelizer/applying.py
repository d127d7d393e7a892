"""The command that applies an exported file: to the same database, from any folder and terminal."""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import path

HOME = "PATATE_HOME"
CHOICE, LOCAL = "PATATE_DATABASE", "local"
TEAM = ("PATATE_ES_", "PATATE_S3_")  # how the variables of a team's database begin
SECRET = ("USER_ID", "USER_PWD", "KEY_ID", "KEY", "PASSWORD", "TOKEN", "SECRET")  # how they end
SCRIPT = path.ROOT / "get_data" / "upload_to_db.py"


@dataclass(frozen=True, slots=True)
class Applying:
    """A line for a shell, and the variables that it needs and does not tell."""

    command: str
    set_first: list[str]


def applying(labels: Path, pictures: Path, environment: Mapping[str, str] = os.environ) -> Applying:
    """Return what applies this label file to the database that the environment chooses."""
    told, secret = [(HOME, str(path.home()))], []
    for name, value in _choices(environment):
        if name.endswith(SECRET) or ("://" in value and "@" in value):
            secret.append(name)
        else:
            told.append((name, value))
    words = [sys.executable, SCRIPT, path.absolute(labels), "-p", path.absolute(pictures)]
    settings = [f"{name}={quoted(value)}" for name, value in told]
    return Applying(" ".join((*settings, *(quoted(str(word)) for word in words))), secret)


def _choices(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the variables that choose the database, files with their whole path.

    `PATATE_DATABASE` always comes: another terminal may have set it, or a team's database.
    """
    team = {name: value for name, value in environment.items() if value and name.startswith(TEAM)}
    yield CHOICE, environment.get(CHOICE) or ("" if team else LOCAL)
    for name, value in sorted(team.items()):
        is_file = name.endswith("_CERTS")
        yield name, str(path.absolute(Path(value))) if is_file else value


def quoted(text: str) -> str:
    """Return the text as a word for a shell, in signs that every terminal shows."""
    if text.isprintable():
        return shlex.quote(text)
    signs = (
        chr(one) if 32 <= one < 127 and one not in b"'\\" else f"\\{one:03o}"
        for one in os.fsencode(text)
    )
    return f"$'{''.join(signs)}'"
