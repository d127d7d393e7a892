"""Which database, told by the environment."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import path
from errors import InputError
from get_data.database.interfaces import LabelIndex, PictureStore
from get_data.database.local_store import LocalPictureStore
from get_data.database.sqlite_utils import SqliteIndex

CHOICE = "PATATE_DATABASE"
HOME = "PATATE_HOME"
LOCAL = "local"
TEAM_NEEDS = ("PATATE_ES_URL", "PATATE_S3_BUCKET")
TEAM_PREFIXES = ("PATATE_ES_", "PATATE_S3_")


@dataclass(frozen=True, slots=True)
class Database:
    """A label index and the store of the pictures that its labels name."""

    name: str
    index: LabelIndex
    store: PictureStore


@contextmanager
def database(environment: Mapping[str, str] = os.environ) -> Iterator[Database]:
    """The database that the environment names, closed when the block ends.

    Raises: InputError when the environment names none, or a half one.
    """
    _check(environment)
    folder = path.database()
    _check_folder(folder)
    index = SqliteIndex(folder)
    try:
        yield Database(f"local, {folder}", index, LocalPictureStore(folder))
    finally:
        index.close()


def _check_folder(folder: Path) -> None:
    """The database is in a folder, or is not there yet. Raises: InputError."""
    for one in (folder, *folder.parents):
        try:
            if one.exists() and not one.is_dir():
                raise InputError(
                    f"{one} is not a folder; move the file away or set {HOME} to another place"
                )
        except OSError as error:
            raise InputError(f"{one} cannot be read: {error.strerror}") from error


def _check(environment: Mapping[str, str]) -> None:
    """The environment means the local database. Raises: InputError."""
    choice = environment.get(CHOICE, "")
    if choice not in ("", LOCAL):
        raise InputError(f"{CHOICE} is {choice!r}; it may be {LOCAL!r}, or not set")
    given = [name for name in environment if name.startswith(TEAM_PREFIXES) and environment[name]]
    if choice == LOCAL or not given:
        return
    missing = [name for name in TEAM_NEEDS if not environment.get(name)]
    if missing:
        raise InputError(
            f"{given[0]} is set but {' and '.join(missing)} not: set all for the team's database, "
            f"or {CHOICE}={LOCAL} for the one on this machine"
        )
    raise InputError(
        f"{' and '.join(TEAM_NEEDS)} name a database for a team, which this version cannot reach "
        f"yet; set {CHOICE}={LOCAL} for the one on this machine"
    )
