"""Paths of the checkout and of the local database.

They do not depend on the current directory, and importing this module creates nothing.
"""

import os
from pathlib import Path

from common.errors import InputError

ROOT = Path(__file__).resolve().parent
HARDWARE_CONF = ROOT / "hardware_conf.json"
QUERIES = ROOT / "get_data" / "queries"


def home() -> Path:
    """Return the folder that holds the local database: `PATATE_HOME`, or else the checkout."""
    variable = os.environ.get("PATATE_HOME")
    return absolute(expand_user(variable)) if variable else ROOT


def expand_user(text: str) -> Path:
    """Return the path with `~` expanded, which not every shell does; an unknown `~name` stays."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  never raises


def absolute(path: Path) -> Path:
    """Return the absolute path.

    Raises:
        InputError: the current directory no longer exists.
    """
    try:
        return path.absolute()
    except FileNotFoundError as error:
        raise InputError(f"{path}: the current folder no longer exists; cd to another") from error


def database_folder() -> Path:
    """Return the folder of the local database: `index.sqlite`, `pictures/`, `last_img_id`."""
    return home() / "database"
